//! sciworld-mini: a small simulator of our own, which needs no Java. It is **not** ScienceWorld: a score here says
//! nothing about a score there.
//!
//! Seven rooms with doors, things inside things, appliances that heat and cool, substances that melt and boil, plants
//! and animals. Tasks are of ScienceWorld's sort (change a substance's state, find something, measure and decide), as
//! are the actions, the focus that ends a task when it is wrong, and the scale of the score; so what is written for one
//! can be tried on the other.
//!
//! `matter` knows substances, `world` things and heat, `house` draws a task's world, `task` says what is to be done and
//! how much of it is, `actions` and `describe` are what the agent does and reads, `expert` demonstrates.

mod actions;
mod describe;
mod expert;
mod house;
mod matter;
mod options;
mod task;
mod world;

use serde_json::{Map, Value, json};

use self::actions::Action;
pub use self::options::{SciWorldMiniOptions, Topic};
use self::task::{Progress, Task};
use self::world::World;
use super::agentgym::{Kind, opening};
use super::begun::Begun;
use super::{
    Baselines, Demonstrator, Description, Environment, Facts, Identity, Instructions, Parsed, Step, TurnLimit,
    settings_but,
};
use crate::engine::Result;
use crate::engine::text::Message;

const NAME: &str = "sciworld-mini";

/// The environment; every integer is a task.
#[derive(Debug, Clone)]
pub struct SciWorldMini {
    options: SciWorldMiniOptions,
    instructions: String,
    episode: Begun<Episode>,
}

#[derive(Debug, Clone)]
struct Episode {
    world: World,
    task: Task,
    task_text: String,
    observation: String,
    progress: Progress,
    score: i64,
    moves: u32,
    done: bool,
}

impl SciWorldMini {
    pub fn new(options: &SciWorldMiniOptions) -> Result<Self> {
        options.validate()?;
        let instructions = match options.instructions.as_deref() {
            None => include_str!("instructions.txt").trim_end().to_string(),
            given => Kind::SciWorld.instructions(given)?,
        };
        Ok(SciWorldMini { options: options.clone(), instructions, episode: Begun::none(NAME) })
    }
}

impl Episode {
    fn begin(task_id: u64, topic: Option<Topic>) -> Self {
        let (world, task) = house::build(task_id, topic);
        let task_text = task.text(&world);
        let observation = format!("{task_text}\n{}", describe::room(&world));
        let progress = Progress::default();
        Episode { world, task, task_text, observation, progress, score: 0, moves: 0, done: false }
    }

    fn act(&mut self, text: &str) -> String {
        let action = match actions::read(&self.world, text) {
            Ok(Action::Task) => return self.task_text.clone(),
            Ok(action) => action,
            Err(complaint) => return complaint,
        };
        let said = actions::act(&mut self.world, action);
        self.task.watch(&self.world, action, &mut self.progress);
        for _ in 0..action.moves() {
            self.world.tick();
        }
        self.moves += action.moves();
        said
    }
}

impl Environment for SciWorldMini {
    fn describe(&self) -> Description {
        Description {
            name: NAME.to_string(),
            num_tasks: None,
            score_range: Kind::SciWorld.score_range(),
            success_threshold: Kind::SciWorld.success_threshold(),
            max_turns: self.options.max_turns,
            turn_limit: TurnLimit::of_task(SciWorldMiniOptions::default().max_turns, self.options.max_turns),
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        let which = Kind::SciWorld.which_instructions(&self.instructions);
        // Its own words are others than those for the real simulator.
        let source = if self.options.instructions.is_none() { "affine" } else { which.source };
        Identity {
            instructions: Some(Instructions { source, ..which }),
            settings: settings_but(&self.options, &["max_turns", "instructions"]),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let episode = self.episode.begin(Episode::begin(task_id, self.options.topic));
        Ok(episode.observation.clone())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(opening(Kind::SciWorld, &self.instructions, &self.episode.get()?.observation))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Kind::SciWorld.parse(reply))
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(Kind::SciWorld.reply(action, thought))
    }

    /// The reward is what the score gained.
    fn step(&mut self, action: &str) -> Result<Step> {
        self.episode.going(|episode| episode.done)?;
        let episode = self.episode.get_mut()?;
        let observation = episode.act(action);
        let score = episode.task.score(&episode.world, &episode.progress);
        let reward = score - std::mem::replace(&mut episode.score, score);
        episode.done = !(0..100).contains(&score);
        let mut info = Map::new();
        info.insert("moves".to_string(), json!(episode.moves));
        info.insert("admissible".to_string(), json!(actions::admissible(&episode.world)));
        Ok(Step { observation, reward: reward as f64, done: episode.done, score: score as f64, truncated: false, info })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(SciWorldMini { episode: Begun::none(NAME), ..self.clone() }))
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

impl Demonstrator for SciWorldMini {
    fn expert(&mut self) -> Result<Option<String>> {
        let episode = self.episode.get()?;
        Ok(expert::next(&episode.world, &episode.task, &episode.progress))
    }
}

impl Baselines for SciWorldMini {
    /// One of the actions that do something here.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let mut possible = actions::admissible(&self.episode.get()?.world);
        let drawn = random(possible.len() as u64) as usize;
        let last = possible.len() - 1;
        Ok(Some(possible.swap_remove(drawn.min(last))))
    }

    fn constant_actions(&self) -> Vec<String> {
        vec!["Action:\nlook around".to_string()]
    }
}

impl Facts for SciWorldMini {
    fn state(&self) -> Map<String, Value> {
        let Ok(episode) = self.episode.get() else { return Map::new() };
        let facts = [
            ("task_description", json!(episode.task_text)),
            ("score", json!(episode.score)),
            ("moves", json!(episode.moves)),
            ("admissible", json!(actions::admissible(&episode.world))),
        ];
        facts.into_iter().map(|(name, fact)| (name.to_string(), fact)).collect()
    }
}
