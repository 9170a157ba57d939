//! SAT against upstream: prompts by hash, planted solutions, and the verdict on every recorded reply.

use affine::engine::env::sat::{Sat, SatOptions};
use affine::engine::env::{Baselines, Demonstrator, Environment};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::golden;

fn sat(n: usize, k: usize, m: Option<usize>) -> Sat {
    Sat::new(&SatOptions { n, k, m }).unwrap()
}

fn number(row: &Value, key: &str) -> usize {
    row[key].as_u64().unwrap() as usize
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `x1=True, x2=False` as `TF`.
fn letters(answer: &str) -> String {
    answer.split(", ").map(|part| if part.ends_with("=True") { 'T' } else { 'F' }).collect()
}

fn score(env: &mut Sat, task_id: u64, reply: &str) -> f64 {
    env.reset(task_id).unwrap();
    let step = env.step(reply).unwrap();
    assert!(step.done && !step.truncated);
    assert_eq!(step.score, step.reward);
    step.reward
}

#[test]
fn the_three_published_tasks_have_the_published_prompts() {
    let mut env = Sat::new(&SatOptions::default()).unwrap();
    for (task_id, hash) in [
        (0, "4de3517cd5a28f30b954e7c54a3b666d26d368a090ed7f0978008a14942310b0"),
        (1, "0043ece1ebf3c4dc4fb69b51aaa723fdc48341125f409463ebafc8fb6899db92"),
        (42, "0f7f07b11360e930aa0fdfaf00acb2b1e80f4f4c280a990df8a42ca5e608d7f7"),
    ] {
        let prompt = env.reset(task_id).unwrap();
        assert_eq!(sha256(&prompt), hash, "task {task_id}: {prompt}");
        let messages = env.messages().unwrap();
        assert_eq!((messages.len(), messages[0].role.as_str()), (1, "user"));
        assert_eq!(messages[0].content, prompt);
    }
}

#[test]
fn recorded_prompts_and_plants_come_out_at_every_size_and_seed() {
    let rows = [golden::rows("affine/sat_prompts.jsonl"), golden::rows("affine/sat_prompts_other.jsonl")].concat();
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        // Every row has the default number of clauses, so the default is tested with it.
        let mut env = sat(number(&row, "n"), number(&row, "k"), None);
        let prompt = env.reset(row["task_id"].as_u64().unwrap()).unwrap();
        assert_eq!(sha256(&prompt), row["sha256"], "{row}");
        assert_eq!(prompt.len(), number(&row, "bytes"));
        assert_eq!(letters(&env.expert().unwrap().unwrap()), row["plant"], "{row}");
    }
}

#[test]
fn every_recorded_reply_gets_upstreams_verdict() {
    let rows = golden::rows("affine/sat_replies.jsonl");
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let mut env = sat(number(&row, "n"), number(&row, "k"), Some(number(&row, "m")));
        let got = score(&mut env, row["task_id"].as_u64().unwrap(), row["reply"].as_str().unwrap());
        assert_eq!(got, row["score"].as_f64().unwrap(), "{row}");
    }
}

#[test]
fn the_expert_always_passes_and_the_majority_rule_mostly() {
    let mut env = sat(4, 2, Some(7));
    let (mut expert, mut rule) = (0.0, 0.0);
    for task_id in 0..200 {
        env.reset(task_id).unwrap();
        let answer = env.expert().unwrap().unwrap();
        expert += env.step(&answer).unwrap().reward;
        env.reset(task_id).unwrap();
        let answer = env.rule().unwrap().unwrap();
        rule += env.step(&answer).unwrap().reward;
    }
    assert_eq!(expert, 200.0);
    // The prototype of the demo measured 0.845 on other tasks.
    assert!((150.0..190.0).contains(&rule), "{rule}");
}

#[test]
fn random_play_assigns_every_variable_from_the_given_draws() {
    let env = sat(4, 2, None);
    let mut draws = [1, 0, 0, 1].into_iter();
    let action = env.random_action(&mut |n| draws.next().filter(|&draw| draw < n).unwrap()).unwrap();
    assert_eq!(action.as_deref(), Some("x1=True, x2=False, x3=False, x4=True"));
}

#[test]
fn an_episode_has_one_turn_and_begins_with_reset() {
    let mut env = sat(4, 2, None);
    assert_eq!(env.step("x1=True").unwrap_err().to_string(), "environment sat: no episode has begun; call reset first");
    assert!(env.messages().is_err() && env.expert().is_err() && env.rule().is_err());
    env.reset(3).unwrap();
    assert_eq!(env.step("I do not know.").unwrap().observation, "No assignment like x1=True was found in the answer.");
    assert_eq!(env.step("x1=True").unwrap_err().to_string(), "environment sat: the episode is over; call reset first");
    assert!(env.fresh().unwrap().messages().is_err(), "a fresh instance has no episode");
}
