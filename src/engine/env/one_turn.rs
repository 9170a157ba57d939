//! What environments of one turn share: a task, its prompt, one reply and a score from 0 to 1.

use serde_json::Value;

use super::{Description, Step, TurnLimit};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

/// The episode of an environment of one turn.
#[derive(Debug, Clone)]
pub struct OneTurn<T> {
    /// The environment's.
    name: &'static str,
    begun: Option<Begun<T>>,
}

#[derive(Debug, Clone)]
struct Begun<T> {
    task: T,
    prompt: String,
    is_over: bool,
}

impl<T> OneTurn<T> {
    /// Before the first episode.
    pub fn new(name: &'static str) -> Self {
        OneTurn { name, begun: None }
    }

    pub fn describe(&self, num_tasks: Option<u64>) -> Description {
        Description {
            name: self.name.to_string(),
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
        self.begun = None;
    }

    /// Begins the episode of a task; the prompt is the observation.
    pub fn begin(&mut self, task: T, prompt: String) -> String {
        self.begun = Some(Begun { task, prompt: prompt.clone(), is_over: false });
        prompt
    }

    fn begun(&self) -> Result<&Begun<T>> {
        self.begun.as_ref().ok_or_else(|| Error::environment(self.name, "no episode has begun; call reset first"))
    }

    pub fn task(&self) -> Result<&T> {
        Ok(&self.begun()?.task)
    }

    /// The prompt as the only message.
    pub fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(self.begun()?.prompt.clone())])
    }

    /// The task, which waits for its reply.
    pub fn waiting(&self) -> Result<&T> {
        match self.begun()? {
            Begun { is_over: true, .. } => Err(Error::environment(self.name, "the episode is over; call reset first")),
            Begun { task, .. } => Ok(task),
        }
    }

    /// The reply was judged: the step that ends the episode. `info` is a JSON object.
    pub fn end(&mut self, score: f64, observation: String, info: Value) -> Step {
        self.begun.iter_mut().for_each(|begun| begun.is_over = true);
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
