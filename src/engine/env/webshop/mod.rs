//! WebShop: buy the product that an instruction asks for, on the pages of a simulated shop.
//!
//! Pages, actions, search, goals and rewards are those of the original's text mode (princeton-nlp/WebShop at 64fa2a5)
//! and of AgentGym's copy (`agentenv-webshop` at 3ef9235). With `data` the shop sells what the original's three JSON
//! files list; without, a catalogue of our own. The task id is the original's integer session: a goal's number in the
//! shuffled list.
//!
//! What differs, all of it where the original has no one answer or fails:
//! - the nouns of a name come from a rule, not from spaCy ([`nouns`]);
//! - where a product has a range of prices, the charged one is drawn from a fixed seed, not anew at every start;
//! - `search[<r>]` (random products) is drawn from the session's number; `search[<a> …]`, which ends in a traceback
//!   there, lists the products with that attribute, as the original's web pages do;
//! - a query of more than 1024 different words is searched, not refused;
//! - words of the newest scripts may be cut differently by the search ([`analysis`]).
//!
//! As in the original, a session goes on after a purchase: the thanks stay on show until the next search.

mod analysis;
mod cache;
mod catalogue;
mod expert;
pub mod fuzzy;
mod goals;
mod index;
mod kinds;
mod load;
mod name;
mod nouns;
mod options;
mod page;
mod porter;
mod product;
mod python;
mod reward;
mod session;
mod shop;
mod store;

use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use self::goals::GoalKind;
use self::goals::PRICE_WISH;
use self::name::NAME;
pub use self::nouns::NounRule;
pub use self::options::WebShopOptions;
pub use self::page::ObservationMode;
use self::session::Session;
use self::shop::Shop;
use super::agentgym::{self, Kind};
use super::begun::Begun;
use super::{
    Baselines, Demonstrator, Description, Environment, Explained, Facts, Identity, Parsed, Step, TurnLimit,
    settings_but,
};
use crate::engine::Result;
use crate::engine::text::Message;

/// The environment; `task_id` is the goal's number.
#[derive(Clone)]
pub struct WebShop {
    /// Shared by all instances.
    shop: Arc<Shop>,
    options: Arc<WebShopOptions>,
    instructions: Arc<str>,
    episode: Begun<Episode>,
}

#[derive(Clone)]
struct Episode {
    session: Session,
    opening: String,
    turns: usize,
}

/// What can be done on the page on show.
#[derive(Debug, Clone, PartialEq)]
pub struct Available {
    pub has_search_bar: bool,
    pub clickables: Vec<String>,
}

impl WebShop {
    /// Opens the shop: seconds to minutes for a large catalogue the first time. Share it with
    /// [`fresh`](Environment::fresh).
    pub fn new(options: &WebShopOptions) -> Result<Self> {
        options.validate()?;
        let instructions = Kind::WebShop.instructions(options.instructions.as_deref())?.into();
        let shop = Arc::new(Shop::open(options)?);
        Ok(WebShop { shop, options: Arc::new(options.clone()), instructions, episode: Begun::none(NAME) })
    }

    /// Products on sale.
    pub fn num_products(&self) -> usize {
        self.shop.store.len()
    }

    /// Bytes of the catalogue and its index, in memory or in the mapped file.
    pub fn num_bytes(&self) -> usize {
        self.shop.store.num_bytes()
    }

    /// The best products for a query by the search engine, at most `limit`: their ids and scores, the best first.
    pub fn search(&self, query: &str, limit: usize) -> Result<Vec<(String, f32)>> {
        let hits = self.shop.store.search(query, limit).into_iter();
        hits.map(|hit| Ok((self.shop.store.product(hit.document as usize)?.asin, hit.score))).collect()
    }

    /// Writes the catalogue as the original's three files, for the original to play on.
    pub fn export(&self, folder: &std::path::Path) -> Result<()> {
        shop::export(&self.shop, folder)
    }

    pub fn available(&self) -> Result<Available> {
        let page = &self.session()?.page;
        let clickables = page.clickables().map(str::to_string).collect();
        Ok(Available { has_search_bar: page.has_search_bar, clickables })
    }

    /// The page's address in the original.
    pub fn url(&self) -> Result<&str> {
        Ok(&self.session()?.url)
    }

    fn session(&self) -> Result<&Session> {
        Ok(&self.episode.get()?.session)
    }
}

impl Environment for WebShop {
    fn describe(&self) -> Description {
        Description {
            name: NAME.to_string(),
            num_tasks: Some(self.shop.goals.len() as u64),
            score_range: (0.0, 1.0),
            success_threshold: 1.0,
            max_turns: self.options.max_turns,
            turn_limit: TurnLimit::of_task(WebShopOptions::default().max_turns, self.options.max_turns),
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(Kind::WebShop.which_instructions(&self.instructions)),
            settings: settings_but(&*self.options, &["max_turns", "instructions", "cache_dir", "cache"]),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let goal = self.shop.goal(task_id)?;
        let session = Session::begin(self.shop.clone(), task_id, goal, self.options.show_attrs);
        let opening = session.observation(self.options.observation_mode);
        self.episode.begin(Episode { session, opening: opening.clone(), turns: 0 });
        Ok(opening)
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(agentgym::opening(Kind::WebShop, &self.instructions, &self.episode.get()?.opening))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Kind::WebShop.parse(reply))
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(Kind::WebShop.reply(action, thought))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let mode = self.options.observation_mode;
        let episode = self.episode.get_mut()?;
        episode.turns += 1;
        let done = episode.session.act(action)?;
        let session = &episode.session;
        let reward = session.purchase.as_ref().filter(|_| done).map_or(0.0, |purchase| purchase.reward.total);
        Ok(Step {
            observation: session.observation(mode),
            reward,
            done,
            score: reward,
            truncated: false,
            info: info(session, done, reward),
        })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(WebShop { episode: Begun::none(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }

    fn facts(&self) -> Option<&dyn Facts> {
        Some(self)
    }
}

impl Demonstrator for WebShop {
    fn expert(&mut self) -> Result<Option<String>> {
        let episode = self.episode.get()?;
        let turns = self.options.max_turns.saturating_sub(episode.turns);
        expert::next_action(&episode.session, &self.shop, turns)
    }

    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(action) = self.expert()? else { return Ok(None) };
        let thought = Some(expert::reason(self.session()?, &action));
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for WebShop {
    /// A click on anything, or where there is a search bar a search for what some product was found by.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let page = &self.session()?.page;
        if page.has_search_bar {
            let product = self.shop.store.product(random(self.shop.store.len() as u64) as usize)?;
            return Ok(Some(format!("search[{}]", product.query)));
        }
        let clickables: Vec<&str> = page.clickables().collect();
        Ok(match clickables.len() {
            0 => None,
            n => clickables.get(random(n as u64) as usize).map(|text| format!("click[{text}]")),
        })
    }

    /// No repeated action buys anything; these show it.
    fn constant_actions(&self) -> Vec<String> {
        ["click[buy now]", "search[shoes]"].map(str::to_string).to_vec()
    }

    /// Searches with the instruction and buys the first product as it is.
    fn rule(&self) -> Result<Option<String>> {
        let session = self.session()?;
        let asked = session.goal.instruction_text.split(PRICE_WISH).next().unwrap_or_default();
        Ok(Some(match session.page.products().next() {
            Some((asin, _)) => format!("click[{asin}]"),
            None if session.item().is_some() => "click[buy now]".to_string(),
            None => format!("search[{asked}]"),
        }))
    }
}

impl Facts for WebShop {
    fn state(&self) -> Map<String, Value> {
        let Ok(session) = self.session() else { return Map::new() };
        let mut state = info(session, false, 0.0);
        state.insert("html".to_string(), json!(session.page.html()));
        state
    }
}

/// What a script learns besides the observation; the names are the original's.
fn info(session: &Session, done: bool, reward: f64) -> Map<String, Value> {
    let mut info = Map::new();
    let mut put = |key: &str, value: Value| info.insert(key.to_string(), value);
    put("has_search_bar", json!(session.page.has_search_bar));
    put("clickables", json!(session.page.clickables().collect::<Vec<_>>()));
    put("instruction_text", json!(format!("Instruction: {}", session.goal.instruction_text)));
    put("url", json!(session.url));
    if let Some(purchase) = session.purchase.as_ref().filter(|_| done) {
        put("success", json!(reward >= 1.0));
        put("asin", json!(purchase.asin));
        put("reward_info", Value::Object(purchase.reward.parts()));
    }
    info
}
