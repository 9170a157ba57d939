//! Judged tasks, chosen so that every model's best and worst are among them, and shown of every model.

use std::collections::BTreeMap;

use super::Shown;
use crate::engine::eval::results::Row;
use crate::engine::random;
use crate::engine::report::paired::{Contest, Contestant};

/// Tasks of a model and an environment that are chosen for one reason.
const EACH: usize = 2;

pub fn episodes(contest: &Contest) -> Vec<Shown> {
    let mut chosen: BTreeMap<(String, u64), Vec<String>> = BTreeMap::new();
    for contestant in &contest.contestants {
        for (env, rows) in by_environment(contestant) {
            for (reason, tasks) in choose(&rows) {
                for task in tasks {
                    let reasons = chosen.entry((env.clone(), task)).or_default();
                    reasons.push(format!("{reason} of {}", contestant.title));
                }
            }
        }
    }
    let mut episodes = Vec::new();
    for ((env, task), reasons) in &chosen {
        for contestant in &contest.contestants {
            let row = contestant.sampled.iter().find(|row| row.env == *env && row.task_id == *task);
            episodes.extend(row.map(|row| shown(contestant, row, reasons)));
        }
    }
    episodes
}

fn by_environment(contestant: &Contestant) -> BTreeMap<String, Vec<&Row>> {
    let mut rows: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in contestant.sampled.iter().filter(|row| !row.failed()) {
        rows.entry(row.env.clone()).or_default().push(row);
    }
    rows
}

/// Tasks by the reason for which they are shown. Among equal scores, and at random, the draw is that of a seed: the same results
/// give the same page.
fn choose(rows: &[&Row]) -> [(&'static str, Vec<u64>); 3] {
    let mut drawn = rows.to_vec();
    random::shuffle(&mut random::stream(0, "report", 0), &mut drawn);
    let at_random = drawn.iter().take(EACH).map(|row| row.task_id).collect();
    drawn.sort_by(|a, b| b.score.total_cmp(&a.score));
    let best = drawn.iter().take(EACH).map(|row| row.task_id).collect();
    drawn.reverse();
    let worst = drawn.iter().take(EACH).map(|row| row.task_id).collect();
    [("best", best), ("worst", worst), ("random", at_random)]
}

fn shown(contestant: &Contestant, row: &Row, reasons: &[String]) -> Shown {
    Shown {
        run: contestant.run,
        source: "evaluation".to_string(),
        model: Some(contestant.title.clone()),
        env: row.env.clone(),
        task: Some(row.task_id),
        score: Some(row.score),
        own: Some(row.own_score),
        success: Some(row.success),
        ending: Some(row.ending.clone()),
        reason: row.reason.clone(),
        picked: Some(reasons.join(", ")),
        messages: row.messages.iter().map(|said| (said.role.clone(), said.content.clone())).collect(),
        ..Shown::default()
    }
}
