//! ALFWorld: household tasks as a text game. Fetch, clean, heat, cool, look at things under a lamp.
//!
//! Three layers, each in files of its own:
//!
//! - a game: [`lisp`], [`problem`], [`household`] and [`goal`] turn a PDDL problem into tables; [`domain`] and
//!   [`grammar`] make sure that a game file's rules are those that we play; [`game_file`] and [`library`] find and read
//!   files; [`generator`] makes games of our own;
//! - the play: [`state`] is the state machine, [`text`] what it says, [`expert`] who plays it well;
//! - this file: episodes, as AgentGym wraps them ([`Wrapper::Agentgym`]) or as TextWorld shows them.
//!
//! Real games are played exactly: what is recorded of the original's engine comes out byte for byte, the list of
//! admissible commands included (`tests/alfworld`). Games of our own obey the same rules in rooms that are not
//! ALFRED's, so a score on them is no score on ALFWorld.

mod dialect;
mod domain;
mod expert;
mod game_file;
mod generator;
mod goal;
mod grammar;
mod household;
mod library;
mod lisp;
mod name;
mod options;
mod problem;
mod reach;
mod state;
mod task;
mod text;
mod things;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::agentgym::{Kind, opening};
use super::begun::Begun;
use super::python::strip;
use super::{
    Baselines, Demonstrator, Description, Environment, Explained, Facts, Identity, Parsed, Step, TurnLimit,
    settings_but,
};
use crate::engine::Result;
use crate::engine::text::Message;

pub use dialect::Wording;
use expert::Memory;
pub use game_file::compose;
pub use generator::{Generated, generate};
use household::Household;
use library::Library;
use name::NAME;
use options::Origin;
pub use options::{AlfWorldOptions, Split, Wrapper};
use state::{Action, State};
pub use task::TaskType;

/// The environment. Without a game or data, every non-negative integer is a task with a room of its own.
///
/// Instances share games and lists of games; each plays its own episode.
pub struct AlfWorld {
    options: AlfWorldOptions,
    instructions: String,
    source: Source,
    episode: Begun<Episode>,
}

#[derive(Clone)]
enum Source {
    Game(Arc<Household>, String),
    Library(Arc<Library>),
    Generated(Wording),
}

struct Episode {
    household: Arc<Household>,
    /// What AgentGym calls the task's type: `<task>/<trial>` of a game file, the bare type of a game of ours.
    title: String,
    state: State,
    /// What can be done now, sorted by the command's words, which is the original's order.
    choices: Vec<(String, Action)>,
    memory: Memory,
    won: bool,
    /// The last step said so.
    over: bool,
}

impl AlfWorld {
    pub fn new(options: &AlfWorldOptions) -> Result<Self> {
        let source = match options.origin(std::env::var_os("ALFWORLD_DATA").map(PathBuf::from))? {
            Origin::File(path) => Source::Game(Arc::new(game_file::load(&path)?), title(&path)),
            Origin::Data(folder, split) => Source::Library(Arc::new(Library::open(&folder, split)?)),
            Origin::Generated(wording) => Source::Generated(wording),
        };
        let instructions = Kind::AlfWorld.instructions(options.instructions.as_deref())?;
        Ok(AlfWorld { options: options.clone(), instructions, source, episode: Begun::none(NAME) })
    }

    fn begin(&self, task_id: u64) -> Result<Episode> {
        let (household, title) = match &self.source {
            Source::Game(household, title) => (household.clone(), title.clone()),
            Source::Library(library) => {
                let path = library.path(task_id)?;
                (Arc::new(game_file::load(&path)?), title(&path))
            }
            Source::Generated(wording) => {
                let household = generate(task_id)?.household(*wording)?;
                let title = household.task.kind.name().to_string();
                (Arc::new(household), title)
            }
        };
        Ok(Episode::begin(household, title))
    }

    fn first_observation(&self) -> Result<String> {
        let episode = self.episode.get()?;
        let opening = text::opening(&episode.household, &episode.household.start);
        Ok(match self.options.wrapper {
            Wrapper::Textworld => opening,
            Wrapper::Agentgym => {
                let without_welcome: Vec<&str> = opening.split("\n\n").skip(1).collect();
                let start = choices(&episode.household, &episode.household.start);
                let available: Vec<&str> = start.iter().map(|(command, _)| command.as_str()).collect();
                format!("{}\nAVAILABLE ACTIONS: {}", without_welcome.join("\n"), available.join(","))
            }
        })
    }
}

impl Environment for AlfWorld {
    fn describe(&self) -> Description {
        Description {
            name: NAME.to_string(),
            num_tasks: match &self.source {
                Source::Game(..) => Some(1),
                Source::Library(library) => Some(library.len() as u64),
                Source::Generated(_) => None,
            },
            score_range: (0.0, 1.0),
            success_threshold: 1.0,
            max_turns: self.options.max_turns,
            turn_limit: TurnLimit::of_task(AlfWorldOptions::default().max_turns, self.options.max_turns),
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(Kind::AlfWorld.which_instructions(&self.instructions)),
            settings: settings_but(&self.options, &["max_turns", "instructions"]),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let episode = self.begin(task_id)?;
        self.episode.begin(episode);
        self.first_observation()
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(opening(Kind::AlfWorld, &self.instructions, &self.first_observation()?))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(match self.options.wrapper {
            Wrapper::Agentgym => Kind::AlfWorld.parse(reply),
            Wrapper::Textworld => Parsed::Action(reply.trim().to_string()),
        })
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(match self.options.wrapper {
            Wrapper::Agentgym => Kind::AlfWorld.reply(action, thought),
            Wrapper::Textworld => action.to_string(),
        })
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let wrapper = self.options.wrapper;
        self.episode.going(|episode| episode.over)?;
        let episode = self.episode.get_mut()?;
        let observation = episode.play(action);
        episode.over = episode.won;
        let score = if episode.won { 1.0 } else { 0.0 };
        Ok(Step {
            observation: match wrapper {
                Wrapper::Textworld => observation,
                Wrapper::Agentgym => without_arrival(observation),
            },
            reward: score,
            done: episode.won,
            score,
            truncated: false,
            info: episode.info(),
        })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        let (options, instructions) = (self.options.clone(), self.instructions.clone());
        Ok(Box::new(AlfWorld { options, instructions, source: self.source.clone(), episode: Begun::none(NAME) }))
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

impl Demonstrator for AlfWorld {
    fn expert(&mut self) -> Result<Option<String>> {
        let Episode { household, state, memory, .. } = self.episode.get()?;
        let action = expert::next(household, state, memory);
        Ok(action.map(|action| text::command(household, action)))
    }

    fn explain(&mut self) -> Result<Option<Explained>> {
        let Episode { household, state, memory, .. } = self.episode.get()?;
        let Some(action) = expert::next(household, state, memory) else { return Ok(None) };
        let thought = Some(expert::reason(household, state, action));
        Ok(Some(Explained { action: text::command(household, action), thought }))
    }
}

impl Baselines for AlfWorld {
    /// One of the admissible commands.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let choices = &self.episode.get()?.choices;
        let drawn = random(choices.len() as u64) as usize;
        Ok(choices.get(drawn).map(|(command, _)| command.clone()))
    }

    /// Commands that are admissible everywhere. No constant action wins.
    fn constant_actions(&self) -> Vec<String> {
        let reply = |command: &str| match self.options.wrapper {
            Wrapper::Agentgym => format!("Action:\n{command}"),
            Wrapper::Textworld => command.to_string(),
        };
        ["look", "inventory"].map(reply).to_vec()
    }
}

impl Facts for AlfWorld {
    fn state(&self) -> Map<String, Value> {
        let Ok(episode) = self.episode.get() else { return Map::new() };
        let mut state = episode.info();
        state.insert("task_type".to_string(), json!(episode.title));
        state
    }
}

impl Episode {
    fn begin(household: Arc<Household>, title: String) -> Self {
        let state = household.start.clone();
        let choices = choices(&household, &state);
        let memory = Memory::new(&household);
        let won = household.goal.is_reached(&household, &state);
        Episode { household, title, state, choices, memory, won, over: false }
    }

    /// Plays a command and returns what is said; what is not admissible at this moment changes nothing.
    fn play(&mut self, command: &str) -> String {
        let command = strip(command);
        let chosen = self.choices.binary_search_by(|(choice, _)| choice.as_str().cmp(command));
        let Some((_, action)) = chosen.ok().and_then(|place| self.choices.get(place)).cloned() else {
            return text::NOTHING_HAPPENS.to_string();
        };
        self.state.apply(&self.household, action);
        self.memory.note(&self.household, &self.state, action);
        self.choices = choices(&self.household, &self.state);
        self.won = self.household.goal.is_reached(&self.household, &self.state);
        text::feedback(&self.household, &self.state, action)
    }

    fn info(&self) -> Map<String, Value> {
        let admissible: Vec<&str> = self.choices.iter().map(|(command, _)| command.as_str()).collect();
        let info = [
            ("admissible", json!(admissible)),
            ("won", json!(self.won)),
            ("task_type", json!(self.household.task.kind.name())),
        ];
        info.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
    }
}

/// What a moment allows, with the words for it.
fn choices(household: &Household, state: &State) -> Vec<(String, Action)> {
    let actions = state.actions(household).into_iter();
    let mut choices: Vec<(String, Action)> = actions.map(|action| (text::command(household, action), action)).collect();
    choices.sort_by(|a, b| a.0.cmp(&b.0));
    choices.dedup_by(|a, b| a.0 == b.0);
    choices
}

/// AgentGym does not show the location in `You arrive at loc 12. On the desk 1, you see …`.
fn without_arrival(observation: String) -> String {
    match observation.strip_prefix("You arrive at loc ").and_then(|rest| rest.split_once(". ")) {
        Some((_, rest)) => rest.to_string(),
        None => observation,
    }
}

/// The last two folders of a game file's path.
fn title(path: &Path) -> String {
    let folders: Vec<_> = path.parent().into_iter().flat_map(Path::components).collect();
    let last: Vec<_> = folders.iter().rev().take(2).rev().map(|folder| folder.as_os_str().to_string_lossy()).collect();
    last.join("/")
}
