//! Verdicts recorded from upstream's code (affinetes, `environments/affine` at 345b7bc, through its `Actor`, on Python
//! 3.12.1; the same on 3.11.7 and 3.13.0).

use std::path::Path;

use affine::engine::Result;
use affine::engine::env::Environment;
use affine::engine::env::abd::{Abd, Build};
use affine::engine::env::ded::Ded;
use affine::engine::env::programs::extract;
use affine::engine::env::programs::options::ProgramOptions;
use serde_json::Value;

use super::{file_of, options};
use crate::golden;

type Make = fn(&ProgramOptions) -> Box<dyn Environment>;

fn make_abd(options: &ProgramOptions) -> Box<dyn Environment> {
    Box::new(Abd::new(options, Build::V2).unwrap())
}

fn make_ded(options: &ProgramOptions) -> Box<dyn Environment> {
    Box::new(Ded::new(options).unwrap())
}

/// The score of a reply; `None` where there is none because the row or the reply cannot be judged.
fn score(env: &mut dyn Environment, task_id: usize, reply: &str) -> Option<f64> {
    let mut play = || -> Result<f64> {
        env.reset(task_id as u64)?;
        let action = match env.parse(reply)? {
            affine::engine::env::Parsed::Action(action) => action,
            affine::engine::env::Parsed::Complaint(complaint) => panic!("{complaint}"),
        };
        let step = env.step(&action)?;
        assert!(step.done && !step.truncated && !step.observation.is_empty());
        assert_eq!(step.score, step.reward);
        Ok(step.reward)
    };
    play().ok()
}

/// The ids of the rows whose verdict is another than the recorded one, with it.
fn differences(file: &str, make: Make, upstream_quirks: bool) -> Vec<(String, Option<f64>)> {
    let recorded = golden::rows(file);
    let folder = tempfile::tempdir().unwrap();
    let data = rows_of(folder.path(), &recorded);
    let mut env = make(&ProgramOptions { upstream_quirks, ..options(&data) });
    let mut differences = Vec::new();
    for (task_id, row) in recorded.iter().enumerate() {
        let got = score(env.as_mut(), task_id, row["reply"].as_str().unwrap());
        if got != row["score"].as_f64() {
            differences.push((row["id"].as_str().unwrap().to_string(), got));
        }
    }
    differences
}

fn rows_of(folder: &Path, recorded: &[Value]) -> std::path::PathBuf {
    let rows: Vec<Value> = recorded.iter().map(|row| row["row"].clone()).collect();
    file_of(folder, &rows)
}

#[test]
fn every_recorded_verdict_on_a_program_is_the_same() {
    let differences = differences("affine/ded_replies.jsonl", make_ded, true);
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn every_recorded_verdict_on_an_input_is_the_same() {
    let differences = differences("affine/abd_replies.jsonl", make_abd, true);
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn without_upstreams_quirks_these_verdicts_differ_and_no_others() {
    let named = |found: Vec<(String, Option<f64>)>| -> Vec<String> {
        found
            .iter()
            .map(|(id, score)| format!("{id} {}", score.map_or("none".to_string(), |s| s.to_string())))
            .collect()
    };
    let inputs = ["abd036 1", "abd082 1", "abd090 0", "abd096 0"];
    let programs = ["ded022 none", "ded052 0", "ded088 0", "ded112 none"];
    assert_eq!(named(differences("affine/ded_replies.jsonl", make_ded, false)), programs);
    assert_eq!(named(differences("affine/abd_replies.jsonl", make_abd, false)), inputs);
}

#[test]
fn the_code_and_the_input_are_found_where_upstream_finds_them() {
    for row in golden::rows("affine/ded_replies.jsonl") {
        if let Some(extracted) = row["extra"]["extracted"].as_str() {
            assert_eq!(extract::code(row["reply"].as_str().unwrap().trim()), extracted, "{}", row["id"]);
        }
    }
    for row in golden::rows("affine/abd_replies.jsonl") {
        if let Some(extracted) = row["extra"]["extracted_input"].as_str() {
            assert_eq!(extract::input(row["reply"].as_str().unwrap()), extracted, "{}", row["id"]);
        }
    }
}

#[test]
fn the_output_that_a_model_is_shown_is_the_recorded_one() {
    let recorded = golden::rows("affine/abd_replies.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let mut env = Abd::new(&options(&rows_of(folder.path(), &recorded)), Build::V2).unwrap();
    for (task_id, row) in recorded.iter().enumerate() {
        let prompt = env.reset(task_id as u64).unwrap();
        let shown = format!("\nExpected Output:\n```\n{}\n```\n", row["expected_output"].as_str().unwrap_or("None"));
        assert!(prompt.contains(&shown), "{}: {prompt}", row["id"]);
    }
}

#[test]
fn the_rows_own_input_is_the_expert_where_it_is_right() {
    let recorded = golden::rows("affine/abd_replies.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let mut env = make_abd(&options(&rows_of(folder.path(), &recorded)));
    let mut without = Vec::new();
    for (task_id, row) in recorded.iter().enumerate() {
        env.reset(task_id as u64).unwrap();
        let Some(action) = env.demonstrator().unwrap().expert().unwrap() else {
            without.push(row["id"].as_str().unwrap());
            continue;
        };
        let reply = env.reply(&action, Some("The program reads a number.")).unwrap();
        assert_eq!(score(env.as_mut(), task_id, &reply), Some(1.0), "{}", row["id"]);
    }
    // It is missing or spoilt by stripping, or the program writes to stderr, or the row's output is another.
    assert_eq!(without, ["abd008", "abd010", "abd012", "abd028", "abd062", "abd066", "abd082"]);
}
