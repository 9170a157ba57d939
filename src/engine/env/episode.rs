//! An episode under way: what a turn is, how the episode stands after it, and how it ends.
//!
//! Whoever plays, a model, an expert, a script, a person or a client of the server: the turns go through [`EpisodeState`].

use super::{Description, Environment, Parsed, Step, TurnLimit};
use crate::engine::{Error, Result};

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The task came to its own end, which may be a deadline.
    Terminated,
    /// It was cut from outside, by the context or by a limit that is no part of the task.
    Truncated,
    /// The environment broke, for this reason: the episode is neither trained on nor judged.
    Failed(String),
}

impl Ending {
    fn by_limit(limit: TurnLimit) -> Self {
        match limit {
            TurnLimit::Task => Ending::Terminated,
            TurnLimit::Outside => Ending::Truncated,
        }
    }

    /// Why an episode failed; nothing where it did not.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Ending::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Ending::Terminated => "terminated",
            Ending::Truncated => "truncated",
            Ending::Failed(_) => "failed",
        }
    }
}

/// How an episode stands. The environment that plays it is beside it: a script may hold that one too.
#[derive(Debug, Clone)]
pub struct EpisodeState {
    description: Description,
    turns: usize,
    complaints: usize,
    /// The action of the last turn, where there was one.
    last: Option<String>,
    repeated: usize,
    score: f64,
    is_done: bool,
    ending: Option<Ending>,
}

impl EpisodeState {
    /// Of an episode that has just begun. Until a step says otherwise nothing is achieved, whatever number the environment
    /// has for that.
    pub fn new(description: Description) -> Self {
        let score = description.score_range.0;
        EpisodeState {
            description,
            turns: 0,
            complaints: 0,
            last: None,
            repeated: 0,
            score,
            is_done: false,
            ending: None,
        }
    }

    /// A turn by a whole reply, in which the environment finds its action or something to complain of.
    pub fn hear(&mut self, environment: &mut dyn Environment, reply: &str) -> Result<Step> {
        match environment.parse(reply)? {
            Parsed::Action(action) => self.act(environment, &action),
            Parsed::Complaint(observation) => {
                self.complaints += 1;
                Ok(self.after(Step::complaint(observation, self.score)))
            }
        }
    }

    /// A turn by an action as the environment takes it.
    pub fn act(&mut self, environment: &mut dyn Environment, action: &str) -> Result<Step> {
        let step = environment.step(action)?;
        self.repeated += usize::from(self.last.replace(action.to_string()).as_deref() == Some(action));
        Ok(self.after(step))
    }

    /// Notes what a turn led to. The first end is the end, where an environment can be played on.
    fn after(&mut self, step: Step) -> Step {
        self.turns += 1;
        self.score = step.score;
        self.is_done = step.done;
        if self.ending.is_none() {
            self.ending = match step {
                Step { done: true, truncated: true, .. } => Some(Ending::by_limit(self.description.move_limit)),
                Step { done: true, .. } => Some(Ending::Terminated),
                _ if self.turns >= self.description.max_turns => Some(Ending::by_limit(self.description.turn_limit)),
                _ => None,
            };
        }
        step
    }

    /// Ends it from outside: the player gives up, or the model's context is full.
    pub fn cut(&mut self) {
        self.ending = Some(Ending::Truncated);
    }

    /// Ends it because the environment, of this label, broke in this task; Ctrl-C stays an error.
    pub fn fail(&mut self, label: &str, task_id: u64, error: &Error) -> Result<()> {
        if error.is_interrupted() {
            return Err(Error::Interrupted);
        }
        tracing::warn!("environment {label}, task {task_id}: the episode failed: {error}");
        self.ending = Some(Ending::Failed(error.to_string()));
        Ok(())
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Turns taken, those with a complaint included.
    pub fn turns(&self) -> usize {
        self.turns
    }

    /// Turns in whose reply there was no action.
    pub fn complaints(&self) -> usize {
        self.complaints
    }

    /// Turns whose action is the one before it once more.
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// On the environment's own scale.
    pub fn score(&self) -> f64 {
        self.score
    }

    /// On 0..1.
    pub fn normalised_score(&self) -> f64 {
        self.description.normalise(self.score)
    }

    pub fn is_success(&self) -> bool {
        self.score >= self.description.success_threshold
    }

    /// Whether the environment itself said that it is over.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// `None` while it goes on.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}
