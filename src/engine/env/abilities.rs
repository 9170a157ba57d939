//! What some environments can do besides being played.

use serde_json::{Map, Value};

use crate::engine::Result;

/// Shows how a task is done.
pub trait Demonstrator {
    /// The next action, or `None` where the demonstrator is stuck.
    fn expert(&mut self) -> Result<Option<String>>;

    /// The next action with the reason for it, where there is one to give. The action may be another than
    /// [`expert`](Self::expert)'s, if another is easier to explain; it is as good.
    fn explain(&mut self) -> Result<Option<Explained>> {
        Ok(self.expert()?.map(|action| Explained { action, thought: None }))
    }
}

/// What an expert does and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub action: String,
    /// In plain sentences, true of the moment at which the action is taken.
    pub thought: Option<String>,
}

/// Players that know nothing of the task: what they score is where a model's score begins to mean something.
pub trait Baselines {
    /// A uniformly random action. `random` gives integers in `0..n`, as [`random::below`] does.
    ///
    /// [`random::below`]: crate::engine::random::below
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>>;

    /// Replies that ignore the observation, each repeated at every turn: candidates for the constant baseline.
    fn constant_actions(&self) -> Vec<String>;

    /// The action of a one-line rule, where a simple one is known: shown beside a model's score.
    fn rule(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Tells more of an episode than its observations do, for a server's clients. `agentgym::server` says what each of
/// AgentGym's environments must tell.
pub trait Facts {
    /// The episode as it stands, by the names of a step's `info`.
    fn state(&self) -> Map<String, Value>;

    /// What [`state`](Self::state) says under this name, or what is only told when it is asked for, because finding out
    /// costs something. `None` where there is no such thing.
    fn fact(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.state().remove(name))
    }
}
