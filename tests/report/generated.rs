//! A run folder with everything in it: an evaluation with its results task by task, two stages of training, episodes with texts that
//! would break a page that took them for more than text.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Texts that environments and models could say.
pub fn hostile() -> Vec<String> {
    vec![
        "<img src=x onerror=\"document.title='broken'\">".to_string(),
        "</script><script>document.title='broken'</script><!--".to_string(),
        "two lines?\u{2028}one\u{2029}line".to_string(),
        "bell \u{7} null \u{0} escape \u{1b}[31m delete \u{7f}".to_string(),
        "left \u{202e}thgir\u{202c} and עברית and العربية".to_string(),
        "long ".to_string() + &"x".repeat(100_000),
        "{{ style }} {% raw %} &amp; ]]> 😀".to_string(),
    ]
}

/// `root/runs/<name>` and `root/models/results.jsonl.zst`; the run's folder. `iterations` of reinforcement learning.
pub fn run(root: &Path, name: &str, iterations: u64) -> PathBuf {
    let folder = root.join("runs").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(root.join("models")).unwrap();
    let write = |file: &str, text: String| std::fs::write(folder.join(file), text).unwrap();
    write("config.json", json!({ "rl": { "learning_rate": 0.001, "note": "</td>|<b>" }, "seed": 3 }).to_string());
    write("versions.json", json!({ "affine": "0.1.0", "seed": { "seed": 3 } }).to_string());
    write("metrics.jsonl", metrics(iterations) + "{\"stage\":\"rl\",\"iterat");
    std::fs::write(folder.join("episodes.jsonl.zst"), packed(&episodes(iterations))).unwrap();
    let results = results();
    std::fs::write(root.join("models/results.jsonl.zst"), packed(&results)).unwrap();
    write("summary.json", summary(&results).to_string());
    folder
}

fn packed(rows: &[Value]) -> Vec<u8> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

fn metrics(iterations: u64) -> String {
    let sft = (1..=300).map(|step| {
        let loss = if step == 150 { Value::Null } else { json!(1.0 / f64::from(step)) };
        json!({ "stage": "sft", "step": step, "loss": loss, "grad_norm": 0.1, "tokens": 100, "seconds": 0.5 })
    });
    let rl = (1..=iterations).map(|iteration| {
        json!({
            "stage": "rl", "iteration": iteration, "score_mean": { "sat": 0.25 + 0.01 * iteration as f64, "<i>": 0.5 },
            "episodes_by_env": { "sat": 64, "<i>": 8 }, "kl": 0.01 * iteration as f64, "seconds": 3.0, "rollout_seconds": 1.0,
            "tokens": 500 + iteration, "my_own": iteration, "failed": 0,
        })
    });
    sft.chain(rl).map(|row| format!("{row}\n")).collect()
}

fn episodes(iterations: u64) -> Vec<Value> {
    let texts = hostile();
    let mut rows: Vec<Value> = (0..2).map(|index| with_tokens("record", "sft", 0, index, &texts[0])).collect();
    for iteration in 1..=iterations {
        for index in 0..8u64 {
            let text = &texts[((iteration + index) % texts.len() as u64) as usize];
            let mut row = with_tokens("episode", "rl", iteration, index, text);
            let is_truncated = index % 4 == 3;
            let also = json!({
                "env": if index < 4 { "sat" } else { "<i>" }, "task_id": 100 * iteration + index,
                "score": (index % 4) as f64 / 4.0, "own_score": 2.0, "success": false, "reward": 0.5,
                "ending": if is_truncated { "truncated" } else { "terminated" },
                "picked": (["worst", "random", "random", "best"][index as usize % 4]),
            });
            row.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
            rows.push(row);
        }
    }
    let alone = json!({
        "kind": "episode", "stage": "rl", "iteration": iterations, "index": 8, "env": "sat", "ending": "failed",
        "reason": "<b>the server is gone</b>", "messages": [{ "role": "user", "content": texts[0] }],
    });
    rows.push(alone);
    rows
}

/// A prompt of some tokens, the text, and a reply of five tokens with their numbers.
fn with_tokens(kind: &str, stage: &str, iteration: u64, index: u64, text: &str) -> Value {
    let pieces = ["<|im_start|>", "user\n", text, "<|im_end|>\n", "a", "b", "\u{1}", "😀", "<|im_end|>"];
    let numbers = json!([-0.01, -0.2, -0.7, -1.5, null]);
    json!({
        "kind": kind, "stage": stage, "iteration": iteration, "index": index,
        "ids": [1, 2, 3, 4, 5, 6, 7, 8, 9], "pieces": pieces, "mask": [[4, 9]],
        "turns": [{ "from": 4, "to": 9, "reward": 0.5 }],
        "logprobs": numbers, "advantages": [1.0, -1.0, 0.5, 0.0, 2.0], "values": [0.1, 0.2, 0.3, 0.4, 0.5],
        "messages": [{ "role": "user", "content": text }, { "role": "assistant", "content": "ab" }],
    })
}

const TASKS: u64 = 40;

/// Whether a model solves a task: each a few more than the one before it.
fn solves(model: usize, task: u64) -> bool {
    task % 4 < model as u64 + u64::from(task % 8 == 3 && model > 0)
}

fn results() -> Vec<Value> {
    let mut rows = Vec::new();
    for (model, folder) in ["models/base", "models/sft_final", "models/rl_final"].iter().enumerate() {
        for task in 0..TASKS {
            let score = f64::from(u8::from(solves(model, task)));
            let protocol = json!({ "environment": "sat", "temperature": 0.7, "seed": 0 });
            let hash =
                serde_json::from_value::<affine::engine::eval::protocol::Protocol>(protocol.clone()).unwrap().hash();
            rows.push(json!({
                "model": { "source": folder, "fingerprint": format!("f{model}"), "dtype": "float32", "device": "cpu", "kernels": "k" },
                "env": "sat", "task_id": task, "score": score, "own_score": score, "success": score == 1.0,
                "ending": "terminated", "turns": 1, "tokens": 2, "total_tokens": 9, "seconds": 0.1, "time": 1.0,
                "messages": [
                    { "role": "user", "content": hostile()[task as usize % 5] },
                    { "role": "assistant", "content": format!("</script> {score}") },
                ],
                "protocol_hash": hash, "protocol": protocol,
            }));
        }
    }
    rows
}

fn summary(results: &[Value]) -> Value {
    let score = |solved: u64| {
        let mean = solved as f64 / TASKS as f64;
        let hash = &results[0]["protocol_hash"];
        json!({ "n": TASKS, "failed": 0, "mean": mean, "sd": 0.4, "success_rate": mean, "lower": mean - 0.05, "upper": mean + 0.05, "protocol": hash })
    };
    let of = |model: usize| json!({ "sat": score((0..TASKS).filter(|&task| solves(model, task)).count() as u64) });
    let verdict = |candidate: &str, against: &str, found: &str, outcome: &str| {
        let result = json!({ "verdict": found, "envs": { "sat": outcome }, "strict": found, "false_alarms": { "disjoint": 0.07, "dominates": 0.03 } });
        json!({ "candidate": candidate, "against": against, "result": result })
    };
    json!({
        "order": ["base", "sft", "rl"], "environments": ["sat"], "results": "models/results.jsonl.zst",
        "models": { "base": of(0), "sft": of(1), "rl": of(2) }, "greedy": { "models": [] },
        "baselines": { "random": { "sat": score(4) }, "expert": { "sat": score(40) } },
        "verdicts": [verdict("sft", "base", "dominates", "better"), verdict("rl", "sft", "dominates", "better"), verdict("rl", "random", "dominates", "better")],
        "sampling": { "num_eval_samples": TASKS, "first_task_id": 0, "temperature": 0.7, "seed": 0, "confidence": 0.8 },
        "not_held_out": 0,
        "held_out": { "envs": { "sat": { "n": TASKS, "not_excluded": 0, "trained_on": 0 } }, "found": [], "tasks": TASKS, "records": { "data_cache/sft.jsonl": 1200 } },
    })
}
