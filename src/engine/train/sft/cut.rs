//! What a plan leaves of supervised fine-tuning: one step on a few records.

use super::{NAMING, SftOptions};
use crate::engine::Result;
use crate::engine::data::Record;
use crate::engine::plan::{self, RECORDS, note};
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
        self.resume_from_checkpoint.start_afresh_in_plan(&self.output_dir)?;
        self.max_steps = Some(1);
        // The only step must be one that changes something.
        self.warmup_ratio = 0.0;
        self.gradient_accumulation_steps = 1;
        self.batch_size = size.min(plan::EPISODES);
        if plan::model::lengths_are_unknown() {
            self.max_length = None;
        }
        Ok(())
    }
}

/// The records to train on, or a few of them.
pub(super) fn training_records(records: &[Record]) -> &[Record] {
    if plan::active() {
        note(match plan::collects_less() {
            true => format!("sft: on what is collected; here {} records", records.len().min(RECORDS)),
            false => format!("sft: on {} records{}", records.len(), plan::here(records.len(), RECORDS)),
        });
    }
    few(records)
}

/// The records to measure a loss on, or a few of them.
pub(super) fn evaluation_records(records: &[Record]) -> &[Record] {
    if plan::active() && !records.is_empty() {
        note(format!("sft: the loss on {} records{}", records.len(), plan::here(records.len(), RECORDS)));
    }
    few(records)
}

fn few(records: &[Record]) -> &[Record] {
    if plan::active() { &records[..records.len().min(RECORDS)] } else { records }
}
