//! What environments of one turn share: a task, its prompt, one reply and a score from 0 to 1.

use serde_json::Value;

use super::begun::Begun;
use super::{Description, Step, TurnLimit};
use crate::engine::Result;
use crate::engine::text::Message;

/// The episode of an environment of one turn.
#[derive(Debug, Clone)]
pub struct OneTurn<T> {
    episode: Begun<Asked<T>>,
}

#[derive(Debug, Clone)]
struct Asked<T> {
    task: T,
    prompt: String,
    is_over: bool,
}

impl<T> OneTurn<T> {
    /// Before the first episode.
    pub fn new(name: &'static str) -> Self {
        OneTurn { episode: Begun::none(name) }
    }

    pub fn describe(&self, num_tasks: Option<u64>) -> Description {
        Description {
            name: self.episode.name().to_string(),
            num_tasks,
            score_range: (0.0, 1.0),
            success_threshold: 1.0,
            max_turns: 1,
            turn_limit: TurnLimit::Task,
            move_limit: TurnLimit::Task,
        }
    }

    /// Leaves the episode that there may be, so that a reset that fails leaves none behind.
    pub fn leave(&mut self) {
        self.episode.leave();
    }

    /// Begins the episode of a task; the prompt is the observation.
    pub fn begin(&mut self, task: T, prompt: String) -> String {
        self.episode.begin(Asked { task, prompt: prompt.clone(), is_over: false });
        prompt
    }

    pub fn task(&self) -> Result<&T> {
        Ok(&self.episode.get()?.task)
    }

    /// The prompt as the only message.
    pub fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(self.episode.get()?.prompt.clone())])
    }

    /// The task, which waits for its reply.
    pub fn waiting(&self) -> Result<&T> {
        Ok(&self.episode.going(|asked| asked.is_over)?.task)
    }

    /// The reply was judged: the step that ends the episode. `info` is a JSON object.
    pub fn end(&mut self, score: f64, observation: String, info: Value) -> Step {
        if let Ok(asked) = self.episode.get_mut() {
            asked.is_over = true;
        }
        Step {
            observation,
            reward: score,
            done: true,
            score,
            truncated: false,
            info: info.as_object().cloned().unwrap_or_default(),
        }
    }
}

/// A reply of which the last answer counts, so that a thought before it does no harm.
pub fn reply(action: &str, thought: Option<&str>) -> String {
    thought.map_or_else(|| action.to_string(), |thought| format!("{thought}\n\n{action}"))
}
