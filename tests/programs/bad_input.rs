//! Programs, replies and machines that are not as they should be.

use affine::engine::env::Environment;
use affine::engine::env::abd::{Abd, Build};
use affine::engine::env::ded::Ded;
use affine::engine::env::programs::generator::GeneratorOptions;
use affine::engine::env::programs::options::ProgramOptions;
use serde_json::{Value, json};

use super::{abd, ded};
use crate::cli::{affine, code, stderr, stdout};

/// A row that wants the program to print `1`.
fn print_one() -> Value {
    let test = json!({ "type": "stdin_stdout", "input": "", "output": "1" });
    json!({ "prompt": "Print 1.", "verification_info": json!({ "test_cases": [test] }).to_string() })
}

/// What DED answers to a program, with its score.
fn judged(program: &str) -> (f64, String) {
    let mut env = ded(&[print_one()]);
    env.reset(0).unwrap();
    let step = env.step(&format!("```python\n{program}\n```")).unwrap();
    (step.reward, step.observation)
}

#[test]
fn a_program_that_prints_what_is_wanted_passes() {
    assert_eq!(judged("print(1)"), (1.0, "All 1 tests passed.".to_string()));
}

#[test]
fn a_program_that_never_ends_scores_nothing() {
    let (score, why) = judged("while True:\n    pass");
    assert_eq!(score, 0.0, "{why}");
    let (score, why) = judged("import time\nprint(1, flush=True)\ntime.sleep(60)");
    assert_eq!((score, why.as_str()), (0.0, "Test 1 of 1 failed: the program wrote to stderr: [TIMEOUT]"));
}

#[test]
fn a_program_that_prints_for_ever_scores_nothing() {
    let (score, why) = judged("while True:\n    print(1)");
    assert_eq!(score, 0.0);
    assert!(why.len() < 1000 && why.contains("expected \"1\", got \"1\\n1\\n"), "{why}");
}

#[test]
fn a_missing_module_is_named() {
    let (score, why) = judged("import numpy_of_nowhere\nprint(1)");
    assert_eq!(score, 0.0);
    assert!(why.ends_with("ModuleNotFoundError: No module named 'numpy_of_nowhere'"), "{why}");
}

#[test]
fn nul_bytes_in_a_program_are_a_syntax_error_there() {
    let (score, why) = judged("print(1)\0");
    assert_eq!(score, 0.0);
    assert!(why.contains("the program wrote to stderr: ") && why.contains("null bytes"), "{why}");
}

#[test]
fn output_that_is_no_utf_8_scores_nothing() {
    let (score, why) = judged("import sys\nsys.stdout.buffer.write(b'1\\xff')");
    assert_eq!((score, why.as_str()), (0.0, "Test 1 of 1 failed: the program wrote to stderr: [OUTPUT IS NOT UTF-8]"));
}

#[test]
fn a_program_that_wants_too_much_memory_scores_nothing() {
    let (score, why) = judged("x = 'x' * (1 << 34)\nprint(1)");
    assert_eq!(score, 0.0);
    assert!(why.contains("MemoryError"), "{why}");
}

#[test]
fn nul_bytes_in_an_input_reach_the_program() {
    let row = json!({ "program": "print(len(input()))", "inputs": "abc", "output": "3" });
    let mut env = abd(&[row]);
    env.reset(0).unwrap();
    assert_eq!(env.step("<INPUT>a\0b</INPUT>").unwrap().reward, 1.0);
}

#[test]
fn a_row_without_tests_is_named_when_it_is_judged() {
    let mut env = ded(&[json!({ "prompt": "Print 1." }), json!({ "prompt": 5, "test_cases": "[]" })]);
    env.reset(0).unwrap();
    let error = env.step("```python\nprint(1)\n```").unwrap_err().to_string();
    assert_eq!(error, "environment ded: the row cannot be judged: it has no tests (verification_info, test_cases)");
    let error = env.reset(1).unwrap_err().to_string();
    assert_eq!(error, "environment ded: task 1 cannot be played: its prompt is an int, not a text");
}

#[test]
fn a_task_outside_the_data_is_named() {
    let error = ded(&[print_one()]).reset(1).unwrap_err().to_string();
    assert!(error.starts_with("task_id: expected 0 to 0 (") && error.ends_with("), got 1"), "{error}");
}

#[test]
fn an_episode_has_one_turn() {
    let mut env = ded(&[print_one()]);
    assert_eq!(env.step("1").unwrap_err().to_string(), "environment ded: no episode has begun; call reset first");
    env.reset(0).unwrap();
    env.step("1").unwrap();
    assert_eq!(env.step("1").unwrap_err().to_string(), "environment ded: the episode is over; call reset first");
}

#[test]
fn without_data_the_generators_programs_are_played_and_what_they_ask_for_is_right() {
    let easy = ProgramOptions {
        generator: Some(GeneratorOptions { difficulty: Some(1), ..Default::default() }),
        ..Default::default()
    };
    let solve = |env: &mut dyn Environment, task_id| {
        let prompt = env.reset(task_id).unwrap();
        assert_eq!(env.fresh().unwrap().reset(task_id).unwrap(), prompt);
        let reply =
            env.demonstrator().unwrap().expert().unwrap().unwrap_or_else(|| panic!("task {task_id}: no expert"));
        assert_eq!(env.step(&reply).unwrap().score, 1.0, "task {task_id}: {prompt}\n{reply}");
        assert_eq!(env.describe().num_tasks, None);
    };
    let (mut ded, mut abd) = (Ded::new(&easy).unwrap(), Abd::new(&easy, Build::V2).unwrap());
    for task_id in 0..20 {
        solve(&mut ded, task_id);
        solve(&mut abd, task_id);
    }
    let both = ProgramOptions { data: Some("rows.jsonl".into()), ..easy };
    let error = Ded::new(&both).err().unwrap().to_string();
    assert_eq!(error, "generator: expected nothing beside data, whose rows are the tasks, got options");
}

#[test]
fn a_host_without_python_still_plays_sat_and_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let data = super::file_of(folder.path(), &[print_one()]);
    let script = format!(
        "local env = require 'affine.env'\nprint(#env.make('affine:sat'):reset(0))\nenv.make('affine:ded', {{ data = '{}' }})",
        data.display()
    );
    let output = affine().args(["-e", &script]).env("PATH", folder.path()).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stdout(&output).trim().parse::<usize>().unwrap() > 1000);
    assert!(stderr(&output).contains("apt-get install python3"), "{}", stderr(&output));
}
