//! BabyAI: reach, fetch, open and put objects in a maze of rooms, told in words. AgentGym's environment, in Rust.
//!
//! Below is minigrid 3.2.0, bit for bit: the same levels from the same seeds, missions, views, verdicts, limits and
//! rewards ([`Game`]). Above it is AgentGym's wrapper (agentenv-babyai at 3ef9235), byte for byte: observations, text
//! actions such as `go to red ball 1`, and errors. The wrapper's scoring has holes that a policy can farm, so there
//! are two [modes](Mode).
//!
//! AgentGym itself asks for an older minigrid, 2.3.1, which draws the same tasks but for a few of levels 36 and 37: there
//! a locked room from a rejected attempt could leak into the next.
//!
//! Task ids are AgentGym's: the level is `id mod 40` and the seed `id div 40`. Every id is a task. Not every task has
//! a solution: in level 26 the key is in a box, which no text action opens, and see also the head of `designs.rs` and
//! its `open_doors_order`.

mod designs;
mod expert;
mod game;
mod geometry;
mod language;
mod levels;
mod mission;
mod paths;
mod play;
mod rooms;
mod text;
mod view;
mod world;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use game::{Game, Moved};
pub use levels::LEVELS;
pub use mission::Verdict;
pub use play::Mode;
pub use world::Move;

use super::agentgym::{Kind, opening};
use super::begun::Begun;
use super::python::strip;
use super::{Baselines, Demonstrator, Description, Environment, Explained, Identity, Parsed, Step, TurnLimit};
use crate::engine::text::Message;
use crate::engine::{Error, Result};
use play::Play;

const NAME: &str = "babyai";

/// A success scores at least 1 − 0.9, whose nearest floating-point number lies a little below 0.1.
const SUCCESS: f64 = 0.0999;

/// The options of the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BabyAiOptions {
    pub mode: Mode,
    /// Turns after which an episode is over, at least 1.
    pub max_turns: usize,
    /// The first turn of the conversation, instead of our own text: the text, or the path of a text file.
    pub instructions: Option<String>,
}

impl Default for BabyAiOptions {
    fn default() -> Self {
        BabyAiOptions { mode: Mode::Fixed, max_turns: 20, instructions: None }
    }
}

impl BabyAiOptions {
    pub fn validate(&self) -> Result<()> {
        if self.max_turns < 1 {
            return Err(Error::option("max_turns", "at least 1 turn", self.max_turns));
        }
        if self.instructions.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::option("instructions", "a text", "an empty one"));
        }
        Ok(())
    }
}

/// The environment.
#[derive(Debug, Clone)]
pub struct BabyAi {
    mode: Mode,
    max_turns: usize,
    instructions: String,
    episode: Begun<Episode>,
}

#[derive(Debug, Clone)]
struct Episode {
    play: Play,
    first_observation: String,
    /// The reward of the last step, which AgentGym repeats when nothing moves.
    reward: f64,
    score: f64,
    done: bool,
    /// What the expert means to do.
    plan: Option<expert::Plan>,
}

impl BabyAi {
    pub fn new(options: &BabyAiOptions) -> Result<Self> {
        options.validate()?;
        let instructions = Kind::BabyAi.instructions(options.instructions.as_deref())?;
        Ok(BabyAi { mode: options.mode, max_turns: options.max_turns, instructions, episode: Begun::none(NAME) })
    }
}

/// What the agent is told of the mission: AgentGym hides the order of its parts.
fn goal(mission: &str) -> String {
    mission.replace("then", "and").replace("after you", "and")
}

impl Environment for BabyAi {
    fn describe(&self) -> Description {
        Description {
            name: NAME.to_string(),
            num_tasks: None,
            score_range: (0.0, 1.0),
            success_threshold: SUCCESS,
            max_turns: self.max_turns,
            turn_limit: TurnLimit::of_task(BabyAiOptions::default().max_turns, self.max_turns),
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            instructions: Some(Kind::BabyAi.which_instructions(&self.instructions)),
            settings: json!({ "mode": self.mode }),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let play = Play::new(Game::new(task_id)?);
        let (goal, scene) = (goal(play.game.mission()), &play.scene);
        let observation = format!("Your goal: {goal}\n{}{}", scene.description, scene.list());
        let first_observation = observation.clone();
        self.episode.begin(Episode { play, first_observation, reward: 0.0, score: 0.0, done: false, plan: None });
        Ok(observation)
    }

    /// AgentGym's opening: the instructions as the first user turn, the model's consent, the first observation.
    fn messages(&self) -> Result<Vec<Message>> {
        Ok(opening(Kind::BabyAi, &self.instructions, &self.episode.get()?.first_observation))
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(Kind::BabyAi.parse(reply))
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(Kind::BabyAi.reply(action, thought))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let mode = self.mode;
        self.episode.going(|episode| episode.done)?;
        Ok(self.episode.get_mut()?.step(action, mode))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(BabyAi { episode: Begun::none(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for BabyAi {
    /// `None` as soon as no way to success is known, so from the first turn on for a task without a solution.
    fn expert(&mut self) -> Result<Option<String>> {
        let mode = self.mode;
        let episode = self.episode.get_mut()?;
        if episode.done {
            return Ok(None);
        }
        Ok(expert::action(&episode.play, &mut episode.plan, mode))
    }

    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(action) = self.expert()? else { return Ok(None) };
        let goal = goal(self.episode.get()?.play.game.mission());
        let thought = Some(text::reason(&goal, &action));
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for BabyAi {
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let actions = &self.episode.get()?.play.scene.actions;
        let index = random(actions.len() as u64) as usize;
        Ok(actions.get(index).map(|(name, _)| name.clone()))
    }

    fn constant_actions(&self) -> Vec<String> {
        ["move forward", "turn left", "turn right", "toggle"].map(|action| format!("Action:\n{action}")).to_vec()
    }
}

impl Episode {
    fn step(&mut self, action: &str, mode: Mode) -> Step {
        let lowered = action.to_lowercase();
        let action = strip(&lowered);
        let scene = &self.play.scene;
        let answer = if action.contains("check") {
            scene.sentence()
        } else if action.is_empty() {
            text::NO_CHANGE.to_string()
        } else {
            match scene.moves(action).map(<[Move]>::to_vec) {
                None => scene.refusal(action).to_string(),
                Some(moves) if moves.is_empty() => text::NO_CHANGE.to_string(),
                Some(moves) => return self.play_moves(&moves, mode),
            }
        };
        match mode {
            Mode::Fixed => self.reward = 0.0,
            Mode::Faithful => self.score += self.reward,
        }
        self.report(answer, false, false)
    }

    fn play_moves(&mut self, moves: &[Move], mode: Mode) -> Step {
        match mode {
            Mode::Fixed => self.play_fixed(moves),
            Mode::Faithful => self.play_faithful(moves),
        }
    }

    fn play_fixed(&mut self, moves: &[Move]) -> Step {
        let moved = self.play.run(moves, Mode::Fixed);
        let truncated = moved.truncated && moved.verdict == Verdict::Continue;
        (self.reward, self.score) = (moved.reward, moved.reward);
        self.done = truncated || moved.verdict != Verdict::Continue;
        let ending = match moved.verdict {
            Verdict::Success => text::COMPLETED,
            Verdict::Failure => text::FAILED,
            Verdict::Continue if truncated => text::OUT_OF_MOVES,
            Verdict::Continue => "",
        };
        let answer = format!("{}{ending}", self.play.scene.description);
        self.report(answer, moved.verdict == Verdict::Success, truncated)
    }

    fn play_faithful(&mut self, moves: &[Move]) -> Step {
        let moved = self.play.run(moves, Mode::Faithful);
        let terminated = moved.verdict != Verdict::Continue;
        self.reward = moved.reward;
        self.score += moved.reward;
        self.done = terminated && moved.reward > 0.5;
        let ending = if terminated { text::COMPLETED } else { "" };
        let answer = format!("{}{ending}", self.play.scene.description);
        self.report(answer, moved.verdict == Verdict::Success, false)
    }

    fn report(&self, answer: String, success: bool, truncated: bool) -> Step {
        let (game, scene) = (&self.play.game, &self.play.scene);
        let info = [
            ("available_actions", json!(scene.names().collect::<Vec<_>>())),
            ("steps", json!(game.steps())),
            ("success", json!(success)),
            ("mission", json!(game.mission())),
        ];
        Step {
            observation: answer + &scene.list(),
            reward: self.reward,
            done: self.done,
            score: self.score,
            truncated,
            info: info.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
        }
    }
}
