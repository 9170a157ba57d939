//! What the shopper is asked to buy: the goals, their order and their price limits.
//!
//! As in the original, and as AgentGym plays it: the price limit is the larger of two draws from the next four
//! multiples of ten above the product's price; `random.seed(233)` comes before those draws and again before the
//! shuffle, and the integer session is the index in the shuffled list. Where a product has a range of prices, the
//! original charges a different one after every start; here it comes from a stream of its own with the same seed, so
//! that a task is the same task tomorrow. (A folder may name the prices and goals of a running original, see
//! [`Recording`].)
//!
//! A goal is kept as three numbers and written out when its episode begins: real catalogues have millions.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name::NAME;
use super::product::{Pricing, Product};
use super::store::Store;
use crate::engine::env::python::mersenne::Mersenne;
use crate::engine::{Error, Result, file};

/// The seed that the original and AgentGym write into their code.
const SEED: u64 = 233;

/// The price of a product whose file names none.
const UNKNOWN_PRICE: f64 = 100.0;

/// A limit that no price reaches, for products too dear for the table of limits.
const NO_LIMIT: f64 = 1_000_000.0;

/// Twelve bytes each: more would not be a list of tasks any more.
const MOST_GOALS: usize = 100_000_000;

/// How an instruction goes on when there is a price limit.
pub const PRICE_WISH: &str = ", and price lower than ";

/// Which goals are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalKind {
    /// Made from the attribute file's sentences: one goal per way to choose the product's options. What the original's
    /// text mode and AgentGym play when they are not told otherwise.
    Synthetic,
    /// People's sentences, with a drawn price limit.
    Human,
    /// People's sentences, each four times with the next four price limits, as in AgentGym's copy of the code.
    HumanEveryPrice,
}

/// One goal, written out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Goal {
    pub asin: String,
    pub query: String,
    pub name: String,
    pub product_category: String,
    pub instruction_text: String,
    pub attributes: Vec<String>,
    pub price_upper: f64,
    #[serde(rename = "goal_options", deserialize_with = "read_options")]
    pub options: GoalOptions,
}

/// The options asked for. The two kinds of goals differ in how they are compared, see `reward`.
#[derive(Debug, Clone, PartialEq)]
pub enum GoalOptions {
    /// A value for each option's name.
    Named(Vec<(String, String)>),
    /// Values alone, as people wrote them.
    Values(Vec<String>),
}

impl GoalOptions {
    pub fn len(&self) -> usize {
        match self {
            GoalOptions::Named(pairs) => pairs.len(),
            GoalOptions::Values(values) => values.len(),
        }
    }
}

fn read_options<'de, D: serde::Deserializer<'de>>(json: D) -> Result<GoalOptions, D::Error> {
    let text = |value: &Value| value.as_str().map(str::to_string);
    let options = match Value::deserialize(json)? {
        Value::Array(items) => items.iter().map(text).collect::<Option<_>>().map(GoalOptions::Values),
        Value::Object(pairs) => pairs
            .iter()
            .map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect::<Option<_>>()
            .map(GoalOptions::Named),
        _ => None,
    };
    options.ok_or_else(|| serde::de::Error::custom("expected goal_options as a list or an object of texts"))
}

/// The goals and charged prices of a running original, saved as `goals.json` beside the product files: the object
/// `{"goals": [the server's goals in its order], "prices": {asin: price}}`. The original draws both without a seed.
#[derive(Debug, Deserialize)]
pub struct Recording {
    goals: Vec<Goal>,
    #[serde(default)]
    prices: HashMap<String, f64>,
}

impl Recording {
    /// The recording in a folder, where there is one.
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("goals.json");
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(|e| file::unreadable(&path, &e))?;
        let recording = serde_json::from_slice(&text)
            .map_err(|e| Error::file(&path, format!("is no recording of goals and prices: {e}")))?;
        Ok(Some(recording))
    }
}

/// All goals of a catalogue, in the order of their sessions.
pub struct Goals {
    list: List,
    /// By the product's place, where it is not the one the product names.
    prices: HashMap<usize, f64>,
}

enum List {
    Planned(Vec<Plan>),
    Recorded(Vec<Goal>),
}

#[derive(Clone, Copy)]
struct Plan {
    product: u32,
    /// Which combination of options, or which of people's sentences.
    variant: u32,
    /// In tens of dollars; 0 for no limit.
    limit: u8,
    is_human: bool,
}

impl Goals {
    /// The goals that the original makes from these products.
    pub fn make(store: &Store, kind: GoalKind, recording: Option<Recording>) -> Result<Self> {
        let mut prices = HashMap::new();
        let mut price_draws = Mersenne::new(SEED);
        let mut limit_draws = Mersenne::new(SEED);
        let mut plans = Vec::new();
        let recorded_prices = recording.as_ref().map(|recording| &recording.prices);
        for place in 0..store.len() {
            let product = store.product(place)?;
            let drawn = match product.pricing {
                Pricing::Unknown => None,
                Pricing::One(_) => None,
                Pricing::Range(low, high) => Some(low + (high - low) * price_draws.random()),
            };
            let recorded = recorded_prices.and_then(|prices| prices.get(&product.asin)).copied();
            if let Some(price) = recorded.or(drawn) {
                prices.insert(place, price);
            }
            if recording.is_none() {
                let price = prices.get(&place).copied().unwrap_or_else(|| listed_price(&product));
                plan(&mut plans, place, &product, kind, price, &mut limit_draws)?;
            }
        }
        let list = match recording {
            Some(recording) => List::Recorded(recording.goals),
            None => {
                Mersenne::new(SEED).shuffle(&mut plans);
                List::Planned(plans)
            }
        };
        Ok(Goals { list, prices })
    }

    pub fn len(&self) -> usize {
        match &self.list {
            List::Planned(plans) => plans.len(),
            List::Recorded(goals) => goals.len(),
        }
    }

    /// What a product costs at the till.
    pub fn charged_price(&self, place: usize, product: &Product) -> f64 {
        self.prices.get(&place).copied().unwrap_or_else(|| listed_price(product))
    }

    /// The goal of an integer session; `None` beyond the last.
    pub fn get(&self, session: usize, store: &Store) -> Result<Option<Goal>> {
        match &self.list {
            List::Recorded(goals) => Ok(goals.get(session).cloned()),
            List::Planned(plans) => match plans.get(session) {
                Some(plan) => plan.write(&store.product(plan.product as usize)?).map(Some),
                None => Ok(None),
            },
        }
    }
}

/// What a product costs if it has one price. (For a range, [`Goals::make`] has drawn one.)
fn listed_price(product: &Product) -> f64 {
    match product.pricing {
        Pricing::Unknown => UNKNOWN_PRICE,
        Pricing::One(price) | Pricing::Range(price, _) => price,
    }
}

/// Adds a product's goals.
fn plan(
    plans: &mut Vec<Plan>,
    place: usize,
    product: &Product,
    kind: GoalKind,
    price: f64,
    draws: &mut Mersenne,
) -> Result<()> {
    let limits = limits_above(price);
    let product_number = place as u32;
    if kind == GoalKind::Synthetic {
        if product.instruction.is_none() {
            return Ok(());
        }
        let limit = drawn_limit(&limits, draws);
        let combinations = product.num_combinations().filter(|&n| n <= (MOST_GOALS - plans.len()) as u64);
        let combinations = combinations.ok_or_else(|| {
            let problem = format!("product {} brings the goals above {MOST_GOALS}; limit num_products", product.asin);
            Error::environment(NAME, problem)
        })?;
        let plan = |variant| Plan { product: product_number, variant, limit, is_human: false };
        plans.extend((0..combinations as u32).map(plan));
        return Ok(());
    }
    let sentences = product.human_instructions.iter().enumerate();
    for (variant, _) in sentences.filter(|(_, sentence)| !sentence.attributes.is_empty()) {
        let plan = |limit| Plan { product: product_number, variant: variant as u32, limit, is_human: true };
        match kind {
            GoalKind::HumanEveryPrice if limits.len() >= 2 => plans.extend(limits.iter().map(|&limit| plan(limit))),
            GoalKind::HumanEveryPrice => plans.extend([plan(0); 4]),
            _ => plans.push(plan(drawn_limit(&limits, draws))),
        }
    }
    Ok(())
}

/// The next four multiples of ten above a price, in tens; 990 is the last.
fn limits_above(price: f64) -> Vec<u8> {
    (1..100u8).filter(|&tens| f64::from(tens) * 10.0 > price).take(4).collect()
}

/// The larger of two different ones; 0 where there are not two.
fn drawn_limit(limits: &[u8], draws: &mut Mersenne) -> u8 {
    match limits.len() {
        0 | 1 => 0,
        n => draws.sample(n, 2).into_iter().map(|number| limits[number - 1]).max().unwrap_or(0),
    }
}

impl Plan {
    fn write(&self, product: &Product) -> Result<Goal> {
        let damaged = || Error::environment(NAME, "a goal points at nothing: the cached catalogue is damaged");
        let (sentence, attributes, options, wish) = if self.is_human {
            let human = product.human_instructions.get(self.variant as usize).ok_or_else(damaged)?;
            let sentence = human.text.trim_matches('.').to_string();
            (sentence, &human.attributes, GoalOptions::Values(human.options.clone()), String::new())
        } else {
            let synthetic = product.instruction.as_ref().ok_or_else(damaged)?;
            let options = combination(product, self.variant).ok_or_else(damaged)?;
            let wishes: Vec<String> = options.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let wish = if wishes.is_empty() { String::new() } else { format!(" with {}", wishes.join(", and ")) };
            (synthetic.text.clone(), &synthetic.attributes, GoalOptions::Named(options), wish)
        };
        let (price_upper, price_wish) = match self.limit {
            0 => (NO_LIMIT, String::new()),
            tens => {
                let limit = f64::from(tens) * 10.0;
                (limit, format!("{PRICE_WISH}{limit:.2} dollars"))
            }
        };
        Ok(Goal {
            asin: product.asin.clone(),
            query: product.query.clone(),
            name: product.name.clone(),
            product_category: product.product_category.clone(),
            instruction_text: format!("{sentence}{wish}{price_wish}"),
            attributes: attributes.clone(),
            price_upper,
            options,
        })
    }
}

/// The values of the `variant`th combination of a product's options, names sorted, the last name's values changing
/// fastest.
fn combination(product: &Product, variant: u32) -> Option<Vec<(String, String)>> {
    let mut options: Vec<&(String, Vec<String>)> = product.options.iter().collect();
    options.sort_by(|a, b| a.0.cmp(&b.0));
    let mut rest = variant as usize;
    let mut chosen = Vec::with_capacity(options.len());
    for (name, values) in options.into_iter().rev() {
        chosen.push((name.clone(), values.get(rest.checked_rem(values.len())?)?.clone()));
        rest /= values.len();
    }
    chosen.reverse();
    Some(chosen)
}
