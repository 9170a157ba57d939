//! What a plan leaves of supervised fine-tuning: one step.

use super::{NAMING, SftOptions};
use crate::engine::Result;
use crate::engine::plan::{self, cut, note};
use crate::engine::train::output;

impl SftOptions {
    /// Makes checked options small where this process is a plan, and notes them as they were.
    pub(super) fn cut_in_plan(&mut self) -> Result<()> {
        if !plan::active() {
            return Ok(());
        }
        let length = match self.max_steps {
            Some(steps) => format!("{steps} steps"),
            None => format!("{} epochs", self.num_epochs),
        };
        let (size, accumulated) = (self.batch_size, self.gradient_accumulation_steps);
        let limit = self.max_length.map_or(String::new(), |tokens| format!(" of at most {tokens} tokens"));
        let rate = self.learning_rate;
        let folder = output::shown(&self.output_dir, NAMING.trainer);
        note(format!(
            "sft: {length} of {size} × {accumulated} records{limit}, learning rate {rate:e}, into {folder}; here one"
        ));
        cut::start_afresh(&mut self.resume_from_checkpoint, &self.output_dir)?;
        self.max_steps = Some(1);
        // The only step must be one that changes something.
        self.warmup_ratio = 0.0;
        self.gradient_accumulation_steps = 1;
        self.batch_size = size.min(cut::EPISODES);
        if plan::model::lengths_are_unknown() {
            self.max_length = None;
        }
        Ok(())
    }
}
