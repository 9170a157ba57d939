//! What a plan makes small, each after it was checked as in a real run, and noted as it was. Each trainer makes its own
//! options small, by these measures.

use std::path::Path;

use super::{active, collects_less, note, was};
use crate::engine::Result;
use crate::engine::data::Record;
use crate::engine::eval::run::EvalOptions;
use crate::engine::generate::GenerateOptions;
use crate::engine::train::checkpoint::ResumeFrom;

const RECORDS: usize = 8;
pub const EPISODES: usize = 2;
pub const NEW_TOKENS: usize = 4;

/// A few of the records to train on.
pub fn training_records(records: &[Record]) -> &[Record] {
    if active() {
        note(match collects_less() {
            true => format!("sft: on what is collected; here {} records", records.len().min(RECORDS)),
            false => format!("sft: on {} records{}", records.len(), here(records.len(), RECORDS)),
        });
    }
    few(records)
}

/// A few records to measure a loss on.
pub fn evaluation_records(records: &[Record]) -> &[Record] {
    if active() && !records.is_empty() {
        note(format!("sft: the loss on {} records{}", records.len(), here(records.len(), RECORDS)));
    }
    few(records)
}

fn few(records: &[Record]) -> &[Record] {
    if active() { &records[..records.len().min(RECORDS)] } else { records }
}

/// Episodes that a script asks for by number.
pub fn episodes(count: Option<usize>) -> Option<usize> {
    match count {
        Some(count) if active() => {
            note(format!("ppo: a rollout of {count} episodes of each environment"));
            Some(count.min(EPISODES))
        }
        other => other,
    }
}

/// A few tasks by a model, or by another player, which `who` names.
pub fn eval(who: &str, options: &mut EvalOptions, environments: &[String]) {
    if !active() {
        return;
    }
    let few = EPISODES as u64;
    // The pipeline's own setting was cut before it came here.
    let real = match was("evaluation.num_eval_samples") {
        Some(count) if options.num_eval_samples == few.min(count) => count,
        _ => options.num_eval_samples,
    };
    let (names, first) = (environments.join(", "), options.first_task_id);
    note(format!("{who}: {real} tasks each of {names}, from {first} on{}", here(real as usize, EPISODES)));
    options.num_eval_samples = options.num_eval_samples.min(few);
    if let Some(ids) = &mut options.task_ids {
        ids.truncate(EPISODES);
    }
    options.batch_size = options.batch_size.min(EPISODES);
    options.max_new_tokens = options.max_new_tokens.min(NEW_TOKENS);
}

/// The end of a note on something of which there are only `few` here.
fn here(real: usize, few: usize) -> String {
    if real > few { format!("; here {few}") } else { String::new() }
}

/// Short replies.
pub fn generate(options: &GenerateOptions, prompts: usize) -> GenerateOptions {
    let mut options = options.clone();
    if active() {
        note(format!("generate: {prompts} replies of at most {} tokens", options.max_new_tokens));
        options.max_new_tokens = options.max_new_tokens.min(NEW_TOKENS);
    }
    options
}

/// A checkpoint that is named must be there; a plan cannot go on from it, because it holds a real model's state.
pub fn start_afresh(resume: &mut ResumeFrom, output_dir: &Path) -> Result<()> {
    if let ResumeFrom::Path(path) = &*resume {
        resume.find(output_dir)?;
        note(format!("goes on from {}", path.display()));
    }
    *resume = ResumeFrom::default();
    Ok(())
}
