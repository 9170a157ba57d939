//! What an evaluation says, in sentences.

use serde::Serialize;

use super::paired::{PairedRow, Pairing};
use super::summary::{Compared, HeldOut, Summary};
use super::{scores, titles, words};
use crate::engine::eval::{Dominance, FalseAlarms, Outcome};

/// The last model against the one before it, then against players that learned nothing.
pub fn sentence(summary: &Summary) -> String {
    let Some((last, earlier)) = summary.order.split_last() else { return "No model was judged.".to_string() };
    let Some(before) = earlier.last() else {
        return format!("Only {} was judged, so there is nothing to compare.", titles::of(last));
    };
    let about = |against: &str| {
        summary.verdicts.iter().find(|verdict| verdict.candidate == *last && verdict.against == against)
    };
    let Some(verdict) = about(before) else {
        return format!("{} was not compared with {}.", titles::of(last), titles::of(before));
    };
    let beaten: Vec<String> = titles::BASELINES
        .iter()
        .filter(|kind| about(kind).is_some_and(|verdict| verdict.result.verdict == Dominance::Dominates))
        .map(|kind| titles::in_sentence(kind))
        .collect();
    match beaten.is_empty() {
        true => format!("{}.", against_previous(verdict, &summary.environments)),
        false => {
            format!("{}; it dominates {}.", against_previous(verdict, &summary.environments), words::list(&beaten))
        }
    }
}

fn against_previous(verdict: &Compared, environments: &[String]) -> String {
    let (candidate, against) = (titles::of(&verdict.candidate), titles::of(&verdict.against));
    let of = |outcome: Outcome| -> Vec<&String> {
        environments.iter().filter(|env| verdict.result.envs.get(*env) == Some(&outcome)).collect()
    };
    let (better, worse, ties) = (of(Outcome::Better), of(Outcome::Worse), of(Outcome::Tie));
    let mut parts = Vec::new();
    if !better.is_empty() {
        parts.push(format!("is better than {against} on {}", words::list(&better)));
    }
    if !worse.is_empty() {
        parts.push(format!("is worse than {against} on {}", words::list(&worse)));
    }
    match (parts.is_empty(), ties.is_empty()) {
        (true, _) => parts
            .push(format!("is not shown to differ from {against}: their intervals overlap on {}", words::list(&ties))),
        (false, false) => parts.push(format!("the intervals overlap on {}", words::list(&ties))),
        (false, true) => {}
    }
    format!("{candidate} {}", words::list(&parts))
}

/// The same two models by the difference on the tasks that both played: a sharper look than at two intervals.
pub fn paired_sentence(pairing: &Pairing, level: f64) -> Option<String> {
    let part = |row: &PairedRow| {
        let interval = format!("[{}, {}]", words::signed(row.lower), words::signed(row.upper));
        let p = words::p_value(row.wilcoxon_holm);
        let p = if p.starts_with('<') { p } else { format!("= {p}") };
        format!("{} on {} {interval}, p {p}", words::signed(row.difference), row.env)
    };
    let parts: Vec<String> = pairing.rows.iter().map(part).collect();
    let level = words::percent(level);
    let (candidate, against) = (&pairing.candidate, &pairing.against);
    (!parts.is_empty()).then(|| {
        format!(
            "Task by task, {candidate} − {against} is {} (mean difference, {level} BCa interval; Wilcoxon’s p after Holm’s \
             correction).",
            parts.join("; ")
        )
    })
}

/// How often such verdicts are wrong of two equal models.
pub fn false_alarms(summary: &Summary) -> Option<String> {
    let rates = || summary.verdicts.iter().filter_map(|verdict| verdict.result.false_alarms);
    let most = |rate: fn(&FalseAlarms) -> f64| rates().map(|r| rate(&r)).reduce(f64::max);
    let (disjoint, dominates) = (most(|rates| rates.disjoint)?, most(|rates| rates.dominates)?);
    Some(format!(
        "By luck alone, two equal models over {} would show some difference in up to {} of such comparisons, and a given one \
         of them would dominate in up to {}.",
        words::count(summary.environments.len() as u64, "environment"),
        words::percent(disjoint),
        words::percent(dominates)
    ))
}

/// Whether what is judged was kept out of training; and whether all is well.
#[derive(Debug, Clone, Serialize)]
pub struct KeptApart {
    pub text: String,
    pub fine: bool,
}

pub fn kept_apart(summary: &Summary) -> KeptApart {
    let Some(apart) = &summary.held_out else {
        let text = "Whether these tasks were kept out of the training data was not recorded.".to_string();
        return KeptApart { text, fine: false };
    };
    if summary.not_held_out > 0 {
        return KeptApart { text: not_kept_apart(apart), fine: false };
    }
    // A journal holds the episodes from which the records were chosen.
    let records: u64 = apart.records.iter().filter(|(path, _)| !path.contains("/journals/")).map(|(_, n)| n).sum();
    if records == 0 {
        let text = "No records that were trained on were found, so these tasks were compared with none.".to_string();
        return KeptApart { text, fine: false };
    }
    let text = format!(
        "The prompts of these tasks were kept out of all training data: none of the {} is among the {} records trained on, by \
         task id or by prompt with or without instructions, and RL left them out.",
        words::thousands(apart.tasks),
        words::thousands(records)
    );
    KeptApart { text: text + &near_duplicates(summary), fine: true }
}

/// A sentence about judged prompts that stand in good part in a record; nothing where none does.
fn near_duplicates(summary: &Summary) -> String {
    let Some((near, most)) = summary.near.as_ref().and_then(|near| Some((near, near.found.first()?))) else {
        return String::new();
    };
    let tasks = near.tasks.map_or("tasks".to_string(), |tasks| words::count(tasks, "task"));
    format!(
        " Of {} of these {tasks} some record trained on holds at least half of the prompt, by its runs of 13 words that are not \
         common to many: task {} of {} the most, {:.0} % of it in {}.",
        words::thousands(near.count),
        most.task_id,
        most.env,
        100.0 * most.seen,
        most.record
    )
}

/// Of the last model, environment by environment, what it makes that a served model sees other prompts than training has; nothing
/// where it was not judged as it is served.
pub fn as_served(summary: &Summary) -> Vec<String> {
    let said = |env: &String| {
        let last = summary.order.last()?;
        let (served, trained) = (summary.models.get(last)?.get(env)?, summary.as_trained.get(env)?);
        let change = match served.served.as_ref()? {
            of if of.differing_turns == 0 => "no turn’s prompt had other ids".to_string(),
            of => format!(
                "{} of {} turns had prompts of other ids, which moved the log-probs of the replies by {} nats a token",
                words::thousands(of.differing_turns),
                words::thousands(of.turns),
                of.logprob_change.map_or("(not measured)".to_string(), words::brief)
            ),
        };
        Some(format!(
            "{}, {env}: as served {}, as trained {}; {change}",
            titles::of(last),
            scores::interval(served),
            scores::interval(trained)
        ))
    };
    summary.environments.iter().filter_map(said).collect()
}

/// What the episodes come to beside their mean scores, model by model and environment by environment. The bootstrap's interval is over
/// tasks, whatever the scores are and however often each task was played; the one beside a score is the validators' rule, of episodes that
/// are successes or failures.
pub fn metrics(summary: &Summary) -> Vec<String> {
    let both = summary.order.iter().flat_map(|model| summary.environments.iter().map(move |env| (model, env)));
    let said = |(model, env): (&String, &String)| {
        let own = summary.metrics.get(model)?.envs.get(env)?;
        let mean =
            |value: Option<f64>, digits: usize, unit: &str| value.map(|value| format!("{value:.digits$} {unit}"));
        let mut parts: Vec<String> = own
            .bootstrap
            .iter()
            .map(|ends| format!("bootstrap [{}, {}]", words::score(ends.lower), words::score(ends.upper)))
            .collect();
        parts.push(format!("median {}", words::score(own.median)));
        parts.push(format!("success {}", words::score(own.success_rate)));
        for (k, at) in own.at.iter().filter(|(k, _)| *k != "1") {
            parts.push(format!("pass@{k} {}, avg@{k} {}", words::score(at.pass), words::score(at.avg)));
        }
        parts.extend(own.invalid_action_rate.map(|rate| format!("{:.1} % of turns invalid", 100.0 * rate)));
        parts.extend(mean(own.turns, 1, "turns"));
        parts.extend(mean(own.tokens, 0, "tokens"));
        parts.extend(mean(own.seconds, 2, "s"));
        Some(format!("{}, {env}: {}", titles::of(model), parts.join(", ")))
    };
    both.filter_map(said).collect()
}

fn not_kept_apart(apart: &HeldOut) -> String {
    let mut parts = Vec::new();
    for (env, own) in &apart.envs {
        if own.trained_on > 0 {
            parts.push(format!("{} of {} of {env} were trained on", own.trained_on, own.n));
        }
        if own.not_excluded > 0 {
            parts.push(format!("{} of {} of {env} were not left out of RL's rollouts", own.not_excluded, own.n));
        }
    }
    let mut files: Vec<&String> = apart.found.iter().map(|found| &found.file).collect();
    files.sort();
    files.dedup();
    let files = if files.is_empty() { String::new() } else { format!(" (in {})", words::list(&files)) };
    format!("Warning: of these tasks {}{files}.", words::list(&parts))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(order: &[&str], verdicts: &[(&str, &str, &str, [&str; 2])]) -> String {
        let verdicts: Vec<Value> = verdicts
            .iter()
            .map(|(candidate, against, verdict, [sat, grid])| {
                json!({ "candidate": candidate, "against": against, "result": { "verdict": verdict, "envs": { "sat": sat, "grid": grid } } })
            })
            .collect();
        let summary = json!({ "order": order, "environments": ["sat", "grid"], "models": {}, "verdicts": verdicts });
        sentence(&serde_json::from_value(summary).unwrap())
    }

    #[test]
    fn the_last_model_is_told_against_the_one_before_it() {
        assert_eq!(
            said(&["base", "sft"], &[("sft", "base", "neither", ["better", "worse"])]),
            "SFT is better than base on sat and is worse than base on grid."
        );
        assert_eq!(
            said(
                &["base", "sft"],
                &[("sft", "base", "dominates", ["better", "tie"]), ("sft", "constant", "dominates", ["better"; 2])]
            ),
            "SFT is better than base on sat and the intervals overlap on grid; it dominates the best constant answer."
        );
        assert_eq!(
            said(&["base", "sft"], &[("sft", "base", "neither", ["tie", "tie"])]),
            "SFT is not shown to differ from base: their intervals overlap on sat and grid."
        );
    }

    #[test]
    fn what_was_not_compared_has_no_verdict() {
        assert_eq!(said(&["base", "sft"], &[]), "SFT was not compared with base.");
        assert_eq!(said(&["base"], &[]), "Only base was judged, so there is nothing to compare.");
        assert_eq!(said(&[], &[]), "No model was judged.");
    }

    fn apart(change: impl FnOnce(&mut Value)) -> KeptApart {
        let mut summary = json!({
            "order": [], "environments": ["sat"], "models": {},
            "held_out": { "envs": [], "records": { "data_cache/sft.jsonl": 1200 }, "tasks": 200 },
        });
        change(&mut summary);
        kept_apart(&serde_json::from_value(summary).unwrap())
    }

    #[test]
    fn what_was_compared_with_no_record_is_not_fine() {
        assert!(apart(|_| {}).fine);
        for records in [json!([]), json!({ "data_cache/journals/sat.jsonl": 7 })] {
            let found = apart(|summary| summary["held_out"]["records"] = records);
            let text = "No records that were trained on were found, so these tasks were compared with none.";
            assert_eq!((found.text.as_str(), found.fine), (text, false));
        }
    }

    #[test]
    fn near_duplicates_are_told_of_the_tasks_that_were_looked_at() {
        let found = json!([{ "env": "sat", "task_id": 7, "seen": 0.75, "record": "data_cache/sft.jsonl:3" }]);
        let near = apart(|summary| summary["near"] = json!({ "count": 2, "tasks": 120, "found": found }));
        assert!(
            near.text.contains("Of 2 of these 120 tasks some record trained on holds at least half"),
            "{}",
            near.text
        );
        let older = apart(|summary| summary["near"] = json!({ "count": 2, "found": found }));
        assert!(older.text.contains("Of 2 of these tasks some record"), "{}", older.text);
    }

    #[test]
    fn a_model_that_was_judged_as_it_is_served_has_both_scores() {
        let score = |mean: f64, served: Value| {
            json!({ "n": 40, "failed": 0, "mean": mean, "sd": 0.4, "success_rate": mean, "lower": mean - 0.1,
                    "upper": mean + 0.1, "served": served })
        };
        let summary = |served: Value, as_trained: Value| -> Summary {
            let summary = json!({ "order": ["base", "rl"], "environments": ["sat"], "as_trained": as_trained,
                                  "models": { "rl": { "sat": score(0.5, served) } } });
            serde_json::from_value(summary).unwrap()
        };
        let trained = json!({ "sat": score(0.6, Value::Null) });
        let differing = json!({ "turns": 90, "differing_turns": 12, "logprob_change": 0.0315 });
        assert_eq!(
            as_served(&summary(differing.clone(), trained.clone())),
            [
                "RL, sat: as served 0.500 [0.400, 0.600], as trained 0.600 [0.500, 0.700]; 12 of 90 turns had prompts of other \
              ids, which moved the log-probs of the replies by 0.0315 nats a token"
            ]
        );
        let same = as_served(&summary(json!({ "turns": 90, "differing_turns": 0 }), trained));
        assert!(same[0].ends_with("; no turn’s prompt had other ids"), "{same:?}");
        assert_eq!(as_served(&summary(differing, json!([]))), [""; 0]);
    }

    #[test]
    fn tasks_that_were_trained_on_are_a_warning() {
        let summary = json!({
            "order": [], "environments": ["sat"], "models": {}, "not_held_out": 3,
            "held_out": {
                "envs": { "sat": { "n": 200, "not_excluded": 2, "trained_on": 1 } }, "records": [], "tasks": 200,
                "found": [{ "file": "data_cache/sft.jsonl" }, { "file": "data_cache/sft.jsonl" }],
            },
        });
        let apart = kept_apart(&serde_json::from_value(summary).unwrap());
        assert_eq!(
            (apart.text.as_str(), apart.fine),
            (
                "Warning: of these tasks 1 of 200 of sat were trained on and 2 of 200 of sat were not left out of RL's rollouts \
              (in data_cache/sft.jsonl).",
                false
            )
        );
    }
}
