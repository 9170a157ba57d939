//! ALFWorld against recordings of the original's engine. A game file embeds upstream's domain and grammar, so the
//! recordings are not in this repository: the variable AFFINE_GOLDEN names the folder that holds
//! `alfworld/<task>/<trial>/{game.tw-pddl,transcript.json}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affine::engine::env::Environment;
use affine::engine::env::alfworld::{AlfWorld, AlfWorldOptions, Split, Wording, Wrapper};
use serde_json::{Value, json};

/// The recordings' folders, each with a game and a transcript; none when AFFINE_GOLDEN is not set.
fn recordings() -> Vec<PathBuf> {
    let Some(golden) = std::env::var_os("AFFINE_GOLDEN") else {
        eprintln!("skipped: AFFINE_GOLDEN does not name a folder of recordings");
        return Vec::new();
    };
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let tasks = folders(&Path::new(&golden).join("alfworld"));
    let mut trials: Vec<PathBuf> = tasks.iter().flat_map(|task| folders(task)).collect();
    trials.retain(|trial| trial.join("game.tw-pddl").is_file() && trial.join("transcript.json").is_file());
    trials.sort();
    assert!(!trials.is_empty(), "no recordings in {}", Path::new(&golden).display());
    trials
}

fn transcript(recording: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(recording.join("transcript.json")).unwrap()).unwrap()
}

fn options(recording: &Path, wrapper: Wrapper) -> AlfWorldOptions {
    AlfWorldOptions { game: Some(recording.join("game.tw-pddl")), wrapper, ..Default::default() }
}

#[test]
fn every_recorded_game_comes_out_byte_for_byte() {
    let mut steps = 0;
    for recording in recordings() {
        let (script, place) = (transcript(&recording), recording.display());
        let mut env = AlfWorld::new(&options(&recording, Wrapper::Textworld)).unwrap();
        assert_eq!(env.reset(0).unwrap(), script["reset"], "{place}");
        for (number, step) in script["steps"].as_array().unwrap().iter().enumerate() {
            let action = step["action"].as_str().unwrap();
            let got = env.step(action).unwrap();
            let place = format!("{place}, step {number}: {action}");
            assert_eq!(got.observation, step["observation"], "{place}");
            assert_eq!(got.info["admissible"], step["admissible"], "{place}");
            assert_eq!(json!([got.score, got.done, got.info["won"]]), json!([step["score"].as_f64(), step["done"], step["won"]]), "{place}");
            assert_eq!(got.info["task_type"], script["task_type"], "{place}");
            steps += 1;
        }
    }
    eprintln!("{steps} steps replayed");
}

/// An environment with games of our own.
fn generated(wrapper: Wrapper, dialect: Option<Wording>) -> AlfWorld {
    let options = AlfWorldOptions { wrapper, dialect, split: Some(Split::Generated), ..Default::default() };
    AlfWorld::new(&options).unwrap()
}

#[test]
fn the_expert_wins_every_generated_game() {
    let mut lengths: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for task_id in 0..3000 {
        let mut env = generated(Wrapper::Textworld, None);
        env.reset(task_id).unwrap();
        for turn in 1.. {
            let action = env.expert().unwrap().unwrap_or_else(|| panic!("task {task_id}: stuck in turn {turn}"));
            let step = env.step(&action).unwrap();
            assert!(step.observation != "Nothing happens." && turn < 150, "task {task_id}, turn {turn}: {action}");
            if step.done {
                let task_type = step.info["task_type"].as_str().unwrap().to_string();
                lengths.entry(task_type).or_default().push(turn);
                break;
            }
        }
    }
    assert_eq!(lengths.len(), 6, "every task type comes up");
    for (task_type, lengths) in lengths {
        let within = lengths.iter().filter(|length| **length <= 30).count();
        eprintln!("{task_type}: {} games, {within} won in 30 turns", lengths.len());
        assert!(lengths.len() > 400 && within * 10 > lengths.len() * 7, "{task_type}");
    }
}
