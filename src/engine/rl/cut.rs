//! What a plan leaves of PPO: one iteration of a few short episodes.

use std::collections::BTreeMap;

use super::NAMING;
use super::options::{NumRollouts, PpoOptions};
use crate::engine::Result;
use crate::engine::plan::{self, note};
use crate::engine::train::output;

impl PpoOptions {
    /// Makes checked options small where this process is a plan, and notes them as they were.
    pub(super) fn cut_in_plan(&mut self) -> Result<()> {
        if !plan::active() {
            return Ok(());
        }
        let few = plan::EPISODES;
        let rollouts = match &self.num_rollouts {
            NumRollouts::Each(count) => format!("{count} episodes of each environment"),
            NumRollouts::ByName(counts) => {
                let counts: Vec<String> =
                    counts.iter().map(|(name, count)| format!("{count} episodes of {name}")).collect();
                counts.join(", ")
            }
        };
        note(format!(
            "ppo: {} iterations of {rollouts}, replies of at most {} tokens, {} epochs in minibatches of {}, into {}; here one \
             iteration of {few} episodes each",
            self.iterations,
            self.max_new_tokens,
            self.ppo_epochs,
            self.minibatch_size,
            output::shown(&self.output_dir, NAMING.trainer),
        ));
        self.resume_from_checkpoint.start_afresh_in_plan(&self.output_dir)?;
        self.iterations = 1;
        self.warmup_ratio = 0.0;
        self.ppo_epochs = 1;
        self.minibatch_size = self.minibatch_size.min(few);
        self.batch_size = self.batch_size.min(few);
        self.rollout_batch_size = self.rollout_batch_size.min(2 * few);
        self.max_new_tokens = self.max_new_tokens.min(plan::NEW_TOKENS);
        self.num_rollouts = match std::mem::replace(&mut self.num_rollouts, NumRollouts::Each(0)) {
            NumRollouts::Each(count) => NumRollouts::Each(count.min(few)),
            NumRollouts::ByName(counts) => {
                NumRollouts::ByName(counts.into_iter().map(|(name, n)| (name, n.min(few))).collect::<BTreeMap<_, _>>())
            }
        };
        Ok(())
    }
}

/// The number of episodes of each environment that a rollout is asked for, or a few.
pub(super) fn episodes(asked: usize) -> usize {
    if !plan::active() {
        return asked;
    }
    note(format!("ppo: a rollout of {asked} episodes of each environment"));
    asked.min(plan::EPISODES)
}
