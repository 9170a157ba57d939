//! What a plan makes small, each after it was checked as in a real run, and noted as it was.

use std::collections::BTreeMap;
use std::path::Path;

use super::{active, collects_less, model, note, was};
use crate::engine::Result;
use crate::engine::data::Record;
use crate::engine::eval::run::EvalOptions;
use crate::engine::generate::GenerateOptions;
use crate::engine::rl::options::{NumRollouts, PpoOptions};
use crate::engine::train::checkpoint::ResumeFrom;
use crate::engine::train::output;
use crate::engine::train::sft::SftOptions;

const RECORDS: usize = 8;
const EPISODES: usize = 2;
const NEW_TOKENS: usize = 4;

/// One step on a few records.
pub fn sft(options: &mut SftOptions, records: &mut Vec<Record>) -> Result<()> {
    if !active() {
        return Ok(());
    }
    let length = match options.max_steps {
        Some(steps) => format!("{steps} steps"),
        None => format!("{} epochs", options.num_epochs),
    };
    let (size, accumulated) = (options.batch_size, options.gradient_accumulation_steps);
    let limit = options.max_length.map_or(String::new(), |tokens| format!(" of at most {tokens} tokens"));
    let rate = options.learning_rate;
    let folder = output::shown(&options.output_dir, "sft");
    note(format!(
        "sft: {length} of {size} × {accumulated} records{limit}, learning rate {rate:e}, into {folder}; here one"
    ));
    note(match collects_less() {
        true => format!("sft: on what is collected; here {} records", records.len().min(RECORDS)),
        false => format!("sft: on {} records{}", records.len(), here(records.len(), RECORDS)),
    });
    start_afresh(&mut options.resume_from_checkpoint, &options.output_dir)?;
    options.max_steps = Some(1);
    // The only step must be one that changes something.
    options.warmup_ratio = 0.0;
    options.gradient_accumulation_steps = 1;
    options.batch_size = size.min(EPISODES);
    if model::lengths_are_unknown() {
        options.max_length = None;
    }
    records.truncate(RECORDS);
    Ok(())
}

/// A few records to measure a loss on.
pub fn records(records: &mut Vec<Record>) {
    if active() {
        note(format!("sft: the loss on {} records{}", records.len(), here(records.len(), RECORDS)));
        records.truncate(RECORDS);
    }
}

/// One iteration of a few short episodes.
pub fn ppo(options: &mut PpoOptions) -> Result<()> {
    if !active() {
        return Ok(());
    }
    let rollouts = match &options.num_rollouts {
        NumRollouts::Each(count) => format!("{count} episodes of each environment"),
        NumRollouts::ByName(counts) => {
            let counts: Vec<String> =
                counts.iter().map(|(name, count)| format!("{count} episodes of {name}")).collect();
            counts.join(", ")
        }
    };
    note(format!(
        "ppo: {} iterations of {rollouts}, replies of at most {} tokens, {} epochs in minibatches of {}, into {}; here one \
         iteration of {EPISODES} episodes each",
        options.iterations,
        options.max_new_tokens,
        options.ppo_epochs,
        options.minibatch_size,
        output::shown(&options.output_dir, "ppo"),
    ));
    start_afresh(&mut options.resume_from_checkpoint, &options.output_dir)?;
    options.iterations = 1;
    options.warmup_ratio = 0.0;
    options.ppo_epochs = 1;
    options.minibatch_size = options.minibatch_size.min(EPISODES);
    options.batch_size = options.batch_size.min(EPISODES);
    options.rollout_batch_size = options.rollout_batch_size.min(2 * EPISODES);
    options.max_new_tokens = options.max_new_tokens.min(NEW_TOKENS);
    options.num_rollouts = match std::mem::replace(&mut options.num_rollouts, NumRollouts::Each(0)) {
        NumRollouts::Each(count) => NumRollouts::Each(count.min(EPISODES)),
        NumRollouts::ByName(counts) => {
            NumRollouts::ByName(counts.into_iter().map(|(name, n)| (name, n.min(EPISODES))).collect::<BTreeMap<_, _>>())
        }
    };
    Ok(())
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
pub fn generate(options: &mut GenerateOptions, prompts: usize) {
    if active() {
        note(format!("generate: {prompts} replies of at most {} tokens", options.max_new_tokens));
        options.max_new_tokens = options.max_new_tokens.min(NEW_TOKENS);
    }
}

/// A checkpoint that is named must be there; a plan cannot go on from it, because it holds a real model's state.
fn start_afresh(resume: &mut ResumeFrom, output_dir: &Path) -> Result<()> {
    if let ResumeFrom::Path(path) = &*resume {
        resume.find(output_dir)?;
        note(format!("goes on from {}", path.display()));
    }
    *resume = ResumeFrom::default();
    Ok(())
}
