//! TextCraft: make one item of Minecraft from what can be gathered, with the crafting commands that are shown.
//!
//! The tasks, texts and errors are those of AgentGym (`agentenv-textcraft` at 3ef9235), itself after ADaPT, byte for
//! byte. Two things upstream differ between machines: the order in which it reads its recipe files, which decides what
//! goal an id has (here: by file name, ascending), and Python's hash seed, which decides which distractors are shown and
//! in which order (here an option).

mod book;
mod count;
mod crafting;
mod expert;
mod shown;

use serde::{Deserialize, Serialize};
use serde_json::json;

use self::book::{book, spoken};
use self::crafting::{Inventory, Refusal};
use self::expert::Choices;
use self::shown::Draw;
use super::agentgym::{Kind, opening};
use super::begun::Begun;
use super::python::HashSecret;
use super::{
    Baselines, Demonstrator, Description, Environment, Explained, Identity, Parsed, Step, TurnLimit, settings_but,
};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

const NAME: &str = "textcraft";

/// More distractors than there are recipes is a slip of the pen.
const MAX_DISTRACTORS: usize = 1000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextCraftOptions {
    /// What draws the distractors and shuffles the commands: upstream's `random.seed`.
    pub seed: u64,
    /// Upstream's `PYTHONHASHSEED`: it too decides distractors and order, because upstream draws from Python sets.
    pub hash_seed: u32,
    /// At most this many commands that the goal does not need are shown, from 0 to 1000.
    pub max_distractors: usize,
    /// Turns after which an episode is over, at least 1.
    pub max_turns: usize,
    /// Instructions in place of the built-in ones: a text, or the path of a file with it.
    pub instructions: Option<String>,
}

impl Default for TextCraftOptions {
    fn default() -> Self {
        let max_turns = Kind::TextCraft.max_turns();
        TextCraftOptions { seed: 42, hash_seed: 0, max_distractors: 10, max_turns, instructions: None }
    }
}

impl TextCraftOptions {
    pub fn validate(&self) -> Result<()> {
        if self.max_distractors > MAX_DISTRACTORS {
            let expected = format!("from 0 to {MAX_DISTRACTORS} commands");
            return Err(Error::option("max_distractors", expected, self.max_distractors));
        }
        if self.max_turns < 1 {
            return Err(Error::option("max_turns", "at least 1 turn", self.max_turns));
        }
        Ok(())
    }
}

/// The environment; `task_id` counts through the goals, the shallow ones first, and starts over after the last.
#[derive(Debug, Clone)]
pub struct TextCraft {
    options: TextCraftOptions,
    instructions: String,
    episode: Begun<Episode>,
}

#[derive(Debug, Clone)]
struct Episode {
    goal: &'static str,
    commands: Vec<String>,
    /// The expert's, once it was asked.
    choices: Option<Choices>,
    inventory: Inventory,
}

impl TextCraft {
    pub fn new(options: &TextCraftOptions) -> Result<Self> {
        options.validate()?;
        let instructions = Kind::TextCraft.instructions(options.instructions.as_deref())?;
        Ok(TextCraft { options: options.clone(), instructions, episode: Begun::none(NAME) })
    }

    fn draw(&self) -> Draw {
        Draw {
            seed: self.options.seed,
            secret: HashSecret::new(self.options.hash_seed),
            max_distractors: self.options.max_distractors,
        }
    }
}

impl Episode {
    fn observation(&self) -> String {
        format!("Crafting commands:\n{}\n\nGoal: craft {}.", self.commands.join("\n"), spoken(self.goal))
    }

    /// Every action that the shown commands suggest: to craft, to gather an ingredient as a command asks for it, and to
    /// look.
    fn suggested(&self) -> Vec<String> {
        let inputs = self.commands.iter().filter_map(|command| command.split_once(" using "));
        let inputs = inputs.flat_map(|(_, inputs)| inputs.split(", "));
        let gathered = inputs.filter(|input| {
            let name = input.split_once(' ').map_or("", |(_, name)| name);
            book().gathered(&name.replace(' ', "_")).is_some()
        });
        let mut actions = self.commands.clone();
        actions.extend(gathered.map(|input| format!("get {input}")));
        actions.push("inventory".to_string());
        actions
    }
}

impl Environment for TextCraft {
    fn describe(&self) -> Description {
        Description {
            name: NAME.to_string(),
            num_tasks: Some(book().goals().len() as u64),
            score_range: Kind::TextCraft.score_range(),
            success_threshold: Kind::TextCraft.success_threshold(),
            max_turns: self.options.max_turns,
            turn_limit: TurnLimit::of_task(Kind::TextCraft.max_turns(), self.options.max_turns),
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(Kind::TextCraft.which_instructions(&self.instructions)),
            settings: settings_but(&self.options, &["max_turns", "instructions"]),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let goals = book().goals();
        let (goal, _) = goals[(task_id % goals.len() as u64) as usize];
        let commands = shown::commands(book(), goal, self.draw());
        let episode = Episode { goal, commands, choices: None, inventory: Inventory::default() };
        Ok(self.episode.begin(episode).observation())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(opening(Kind::TextCraft, &self.instructions, &self.episode.get()?.observation()))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Kind::TextCraft.parse(reply))
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(Kind::TextCraft.reply(action, thought))
    }

    /// The end is not sticky: upstream plays on after the goal was made, and says `done` again when it is made again.
    fn step(&mut self, action: &str) -> Result<Step> {
        let episode = self.episode.get_mut()?;
        let mut info = serde_json::Map::new();
        let (observation, made) = match crafting::act(book(), &mut episode.inventory, action) {
            Ok(done) => (done.observation, done.made),
            Err(Refusal::Observation(observation)) => (observation, None),
            Err(Refusal::Crash(text)) => {
                info.insert("error".to_string(), json!(text));
                (text, None)
            }
        };
        let done = made == Some(episode.goal);
        let reward = if done { 1.0 } else { 0.0 };
        Ok(Step { observation, reward, done, score: reward, truncated: false, info })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(TextCraft { episode: Begun::none(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for TextCraft {
    /// Solves every task: 6 actions on average, 48 at most, 13 tasks in more than 20.
    fn expert(&mut self) -> Result<Option<String>> {
        let Episode { goal, choices, inventory, .. } = self.episode.get_mut()?;
        let choices = choices.get_or_insert_with(|| Choices::for_goal(goal));
        Ok(expert::advise(choices, goal, inventory))
    }

    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(action) = self.expert()? else { return Ok(None) };
        let Episode { goal, choices, inventory, .. } = self.episode.get()?;
        let thought = choices.as_ref().map(|choices| expert::reason(choices, goal, inventory));
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for TextCraft {
    /// One of the shown crafts, of the `get`s of their ingredients, or `inventory`.
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let mut actions = self.episode.get()?.suggested();
        let drawn = random(actions.len() as u64) as usize;
        Ok(Some(actions.swap_remove(drawn.min(actions.len() - 1))))
    }

    fn constant_actions(&self) -> Vec<String> {
        vec!["Action:\ninventory".to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refusal = |options: TextCraftOptions| TextCraft::new(&options).unwrap_err().to_string();
        let turns = TextCraftOptions { max_turns: 0, ..Default::default() };
        assert_eq!(refusal(turns), "max_turns: expected at least 1 turn, got 0");
        let distractors = TextCraftOptions { max_distractors: 1001, ..Default::default() };
        assert_eq!(refusal(distractors), "max_distractors: expected from 0 to 1000 commands, got 1001");
        assert!(serde_json::from_str::<TextCraftOptions>(r#"{"distractors": 4}"#).is_err());
        assert_eq!(serde_json::from_str::<TextCraftOptions>("{}").unwrap(), TextCraftOptions::default());
    }
}
