//! ScienceWorld: elementary science in a simulated house, played on the real simulator.
//!
//! The simulator is a Java program, `scienceworld.jar` of the Python package of that name. Here each environment
//! instance has a Java process of its own and speaks to it over loopback, without Python in between; tasks, texts and
//! scores are therefore the original's, and the numbering, the opening and the rules that only the Python wrapper knows
//! (a negative score ends the episode, as do too many moves) are those of AgentGym (`agentenv-sciworld` at 3ef9235).
//!
//! `find` looks for Java and the jar, `launch` starts a process, `connection` and `wire` speak to it, `simulator` knows
//! its methods, `pool` keeps processes and watches memory, `tasks` numbers the worlds, `expert` demonstrates.

mod connection;
mod error;
mod expert;
pub mod find;
mod launch;
mod options;
mod pool;
mod setup;
mod simulator;
mod tasks;
mod wire;

use std::cell::RefCell;

use serde_json::{Map, Value, json};

pub use self::launch::Launch;
pub use self::options::SciWorldOptions;
pub use self::pool::bytes_per_process;
pub use self::setup::setup;
pub use self::simulator::{Simulator, Turn};
pub use self::tasks::Variation;

use self::error::{NAME, broken};
use self::options::check_simplifications;
use self::pool::{Instance, Lent};
use self::tasks::Named;
use super::agentgym::{Kind, opening};
use super::begun::{Begun, not_begun};
use super::{
    Baselines, Demonstrator, Description, Environment, Facts, Identity, Parsed, Step, TurnLimit, settings_but,
};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// What the wrapper does before the first turn.
const FIRST_ACTION: &str = "look around";

/// The environment; `task_id` is AgentGym's index, or counts the variations of the one task that the options name.
pub struct SciWorld {
    options: SciWorldOptions,
    instructions: String,
    launch: Launch,
    /// Kept from one episode to the next. In a cell because telling the state asks it as well.
    simulator: RefCell<Option<Lent>>,
    episode: Begun<Episode>,
    _instance: Instance,
}

struct Episode {
    variation: Variation,
    simplifications: String,
    task_description: String,
    observation: String,
    score: i64,
    done: bool,
    /// The actions so far, and whether each took a move.
    taken: Vec<(String, bool)>,
    moves: i64,
    /// The expert's, once it was asked.
    path: Option<expert::Path>,
}

impl SciWorld {
    /// Looks for Java and the jar, and whether there is memory for one process more; starts nothing yet.
    pub fn new(options: &SciWorldOptions) -> Result<Self> {
        options.validate()?;
        let instructions = Kind::SciWorld.instructions(options.instructions.as_deref())?;
        let launch = options.launch()?;
        let instance = Instance::promised(options.heap_mb)?;
        Ok(SciWorld::with_instance(options.clone(), instructions, launch, instance))
    }

    fn with_instance(options: SciWorldOptions, instructions: String, launch: Launch, instance: Instance) -> Self {
        let simulator = RefCell::new(None);
        SciWorld { options, instructions, launch, simulator, episode: Begun::none(NAME), _instance: instance }
    }

    fn num_tasks(&self) -> u64 {
        match self.options.fixed() {
            Some((_, Some(_))) => 1,
            Some((task, None)) => tasks::variations(task),
            None => tasks::num_tasks(),
        }
    }

    fn variation(&self, task_id: u64) -> Result<Variation> {
        let variation = match self.options.fixed() {
            Some((task, Some(number))) if task_id == 0 => Some(Variation::named(task, number)?),
            Some((task, None)) if task_id < self.num_tasks() => Some(Variation::named(task, task_id as u32)?),
            Some(_) => None,
            None => Variation::numbered(task_id),
        };
        let last = self.num_tasks() - 1;
        variation.ok_or_else(|| Error::environment(NAME, format!("the tasks are from 0 to {last}, not {task_id}")))
    }

    /// Does something with this instance's simulator. A process that broke is given up, and its world with it; the next
    /// reset gets another.
    fn with<T>(&self, ask: impl FnOnce(&mut Simulator) -> Result<T>) -> Result<T> {
        let mut slot = self.simulator.borrow_mut();
        let lent = slot.as_mut().ok_or_else(|| not_begun(NAME))?;
        let answer = ask(lent.simulator()?);
        if !lent.is_usable() {
            *slot = None;
        }
        answer
    }

    /// One action and, where the options want them, the actions that are valid after it.
    fn act(&self, action: &str) -> Result<(Turn, Option<Vec<String>>)> {
        self.with(|simulator| {
            let turn = simulator.act(action)?;
            let admissible = if self.options.admissible { Some(simulator.look_as_the_wrapper()?) } else { None };
            Ok((turn, admissible))
        })
    }

    fn begin(&mut self, variation: Variation, simplifications: &str) -> Result<String> {
        self.episode.leave();
        check_simplifications(simplifications, Some(variation.task))?;
        if self.simulator.borrow().is_none() {
            *self.simulator.borrow_mut() = Some(Lent::get(&self.launch)?);
        }
        let task_description = self.with(|simulator| {
            simulator.load(variation, simplifications, false)?;
            simulator.task_description()
        })?;
        let (turn, _) = self.act(FIRST_ACTION)?;
        let observation = format!("{task_description}\n{}", turn.observation);
        self.episode.begin(Episode {
            variation,
            simplifications: simplifications.to_string(),
            task_description,
            observation: observation.clone(),
            score: percent(turn.score),
            done: false,
            taken: Vec::new(),
            moves: turn.moves,
            path: None,
        });
        Ok(observation)
    }
}

/// From the simulator's scale to ScienceWorld's, with Python's rounding of halves to even.
fn percent(score: f64) -> i64 {
    (100.0 * score).round_ties_even() as i64
}

impl Environment for SciWorld {
    fn describe(&self) -> Description {
        let own = SciWorldOptions::default();
        Description {
            name: NAME.to_string(),
            num_tasks: Some(self.num_tasks()),
            score_range: Kind::SciWorld.score_range(),
            success_threshold: Kind::SciWorld.success_threshold(),
            max_turns: self.options.max_turns,
            turn_limit: TurnLimit::of_task(own.max_turns, self.options.max_turns),
            move_limit: TurnLimit::of_task(own.step_limit as usize, self.options.step_limit as usize),
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(Kind::SciWorld.which_instructions(&self.instructions)),
            settings: settings_but(&self.options, &["max_turns", "instructions"]),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.episode.leave();
        let variation = self.variation(task_id)?;
        let simplifications = self.options.simplifications.clone();
        self.begin(variation, &simplifications)
    }

    /// A task by its name: `{ task =, variation = }`, also of those that AgentGym does not number, and with
    /// `simplifications` in place of those of the options.
    fn reset_to(&mut self, task: &Map<String, Value>) -> Result<String> {
        self.episode.leave();
        let named =
            Named::read(task).map_err(|e| Error::Environment { name: NAME.to_string(), source: Box::new(e) })?;
        let simplifications = named.simplifications.unwrap_or_else(|| self.options.simplifications.clone());
        self.begin(named.variation, &simplifications)
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

    /// The reward is what the score gained. A Java process that breaks ends the episode with an error.
    fn step(&mut self, action: &str) -> Result<Step> {
        self.episode.going(|episode| episode.done)?;
        let acted = self.act(action);
        // A process that broke took the world with it.
        if self.simulator.borrow().is_none() {
            self.episode.leave();
        }
        let (turn, admissible) = acted?;
        let episode = self.episode.get_mut()?;
        let score = percent(turn.score);
        let failed = score < 0;
        let over_limit = turn.moves > i64::from(self.options.step_limit);
        let reward = score - episode.score;
        let took_moves = turn.moves != episode.moves;
        (episode.score, episode.moves) = (score, turn.moves);
        episode.done = turn.completed || failed || over_limit;
        match &mut episode.path {
            Some(path) => path.follow(action, took_moves),
            None => episode.taken.push((action.to_string(), took_moves)),
        }
        let mut info = Map::new();
        info.insert("moves".to_string(), json!(turn.moves));
        if let Some(admissible) = admissible {
            info.insert("admissible".to_string(), json!(admissible));
        }
        Ok(Step {
            observation: turn.observation,
            reward: reward as f64,
            done: episode.done,
            score: score as f64,
            truncated: over_limit && !turn.completed && !failed,
            info,
        })
    }

    /// Unlike [`SciWorld::new`] this is never refused for want of memory: the engine makes many instances and plays few
    /// of them at a time, each with a process only while it plays.
    fn fresh(&self) -> Result<Box<dyn Environment>> {
        let instance = Instance::spare(self.options.heap_mb);
        let (options, instructions, launch) = (self.options.clone(), self.instructions.clone(), self.launch.clone());
        Ok(Box::new(SciWorld::with_instance(options, instructions, launch, instance)))
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

impl Demonstrator for SciWorld {
    /// The simulator's own path to the goal, as long as the episode keeps to it. Not every variation has one, and it
    /// need not be the shortest. Steps that take no move, such as looking around, do not count as leaving it.
    fn expert(&mut self) -> Result<Option<String>> {
        let launch = &self.launch;
        let episode = self.episode.get_mut()?;
        let path = match &mut episode.path {
            Some(path) => path,
            none => {
                let mut path = expert::Path::search(episode.variation, &episode.simplifications, launch)?;
                episode.taken.drain(..).for_each(|(action, took_moves)| path.follow(&action, took_moves));
                none.insert(path)
            }
        };
        Ok(path.next().map(str::to_string))
    }
}

impl Baselines for SciWorld {
    /// One of the actions that the simulator calls valid; there are hundreds.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        self.episode.get()?;
        let mut valid = self.with(Simulator::valid_actions)?;
        if valid.is_empty() {
            return Ok(None);
        }
        let drawn = random(valid.len() as u64) as usize;
        Ok(Some(valid.swap_remove(drawn.min(valid.len() - 1))))
    }

    fn constant_actions(&self) -> Vec<String> {
        vec![format!("Action:\n{FIRST_ACTION}")]
    }
}

impl Facts for SciWorld {
    fn state(&self) -> Map<String, Value> {
        let Ok(episode) = self.episode.get() else { return Map::new() };
        let mut state = Map::new();
        state.insert("task_name".to_string(), json!(episode.variation.task));
        state.insert("var_num".to_string(), json!(episode.variation.number));
        state.insert("task_description".to_string(), json!(episode.task_description));
        state.insert("score".to_string(), json!(episode.score));
        state.insert("moves".to_string(), json!(episode.moves));
        state
    }

    /// What the simulator is asked for only when somebody wants to know: even asking changes the course of a few tasks.
    fn fact(&self, name: &str) -> Result<Option<Value>> {
        if self.episode.get().is_err() {
            return Ok(None);
        }
        let told = match name {
            "possible_actions" => json!(self.with(Simulator::possible_actions)?),
            "possible_objects" => json!(self.with(Simulator::possible_objects)?),
            "goals" => json!(self.with(Simulator::goals)?),
            "object_tree" => {
                let folder = tempfile::tempdir().map_err(|e| broken(e.to_string()))?;
                self.with(|simulator| simulator.object_tree(folder.path()))?
            }
            _ => return Ok(self.state().remove(name)),
        };
        Ok(Some(told))
    }
}
