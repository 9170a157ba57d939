//! The run folder on a real disk.

use std::path::{Path, PathBuf};

use affine::engine::track::{Metric, Metrics, Run};
use serde_json::{Value, json};

fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn record(value: Value) -> Metrics {
    match Metric::from(&value) {
        Metric::Nested(record) => record,
        other => panic!("{other:?} is no record"),
    }
}

#[test]
fn a_run_folder_keeps_config_versions_metrics_and_summary() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("deep").join("runs");
    let config = json!({"training": {"seed": 7, "learning_rate": 2e-5}, "rl": {"seed": 8}, "seed": 0});
    let run = Run::create(&runs, "demo", &config, "mkl").unwrap();

    let name = run.path().file_name().unwrap().to_string_lossy().into_owned();
    let (time, label) = name.split_at(16);
    assert_eq!(label, "demo", "{name}");
    assert!(time.bytes().enumerate().all(|(i, c)| if i == 8 || i == 15 { c == b'-' } else { c.is_ascii_digit() }));
    assert_eq!(read_json(run.path().join("config.json")), config);

    let versions = read_json(run.path().join("versions.json"));
    assert_eq!(versions["affine"], env!("CARGO_PKG_VERSION"));
    assert_eq!(versions["seed"], json!({"training.seed": 7, "rl.seed": 8, "seed": 0}));
    assert!(versions["libtorch"].as_str().unwrap().starts_with("2."), "{versions}");
    assert_eq!(versions["kernels"], "mkl");
    assert!(versions["cpu_count"].as_u64().unwrap() > 0);
    for key in ["git_revision", "lua", "target", "cpu_model"] {
        assert!(versions.get(key).is_some(), "{key} in {versions}");
    }

    run.log(record(json!({"step": 1, "loss": 1.5}))).unwrap();
    let mut not_a_number = record(json!({"step": 2, "text": "two\nlines"}));
    not_a_number.insert(1, ("loss".to_string(), Metric::Float(f64::NAN)));
    run.log(not_a_number).unwrap();
    run.log(record(json!({"time": "mine"}))).unwrap();
    let metrics = std::fs::read_to_string(run.path().join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    for line in &mut lines[..2] {
        let time = line.as_object_mut().unwrap().remove("time").unwrap().as_f64().unwrap();
        assert!((now - 60.0..=now + 0.001).contains(&time), "{time} is not just before {now}");
    }
    let expected = [
        json!({"step": 1, "loss": 1.5}),
        json!({"step": 2, "loss": null, "text": "two\nlines"}),
        json!({"time": "mine"}),
    ];
    assert_eq!(lines, expected);

    run.summary(&json!({"models": {}})).unwrap();
    run.summary(&json!({"models": {"base": 1}})).unwrap();
    assert_eq!(read_json(run.path().join("summary.json")), json!({"models": {"base": 1}}));
}

#[test]
fn runs_of_one_second_are_apart_and_latest_is_a_relative_link_to_the_last() {
    let root = tempfile::tempdir().unwrap();
    let runs: Vec<Run> = (0..3).map(|_| Run::create(root.path(), "demo", &json!({}), "mkl").unwrap()).collect();
    assert!(runs[0].path() != runs[1].path() && runs[1].path() != runs[2].path());
    let target = std::fs::read_link(root.path().join("latest")).unwrap();
    assert_eq!(target, PathBuf::from(runs[2].path().file_name().unwrap()));
    assert!(root.path().join("latest").join("config.json").is_file());
    // Three folders and the link: nothing temporary is left.
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 4);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_in_one_sentence() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Run::create(file.join("runs"), "demo", &json!({}), "mkl").unwrap_err().to_string();
    let expected =
        format!("{}: cannot be created: a part of its path is a file, not a folder", file.join("runs").display());
    assert_eq!(error, expected);

    std::fs::create_dir(root.path().join("latest")).unwrap();
    let error = Run::create(root.path(), "demo", &json!({}), "mkl").unwrap_err().to_string();
    let latest = root.path().join("latest");
    assert_eq!(error, format!("{}: cannot be made a link to the new run: it is a folder", latest.display()));
}

#[test]
fn a_run_name_is_one_path_component() {
    let root = tempfile::tempdir().unwrap();
    for name in ["", "a/b", "..", ".hidden"] {
        let error = Run::create(root.path(), name, &json!({}), "mkl").unwrap_err().to_string();
        assert!(error.starts_with("name: expected a folder name without /"), "{error}");
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

/// Lines of `metrics.jsonl` less the time at which each was written.
pub fn without_times(metrics: &str) -> String {
    let end = |line: &str| format!("{}}}\n", line.split(",\"time\":").next().unwrap());
    metrics.lines().map(|line| if line.contains(",\"time\":") { end(line) } else { format!("{line}\n") }).collect()
}

fn metrics(run: &Run) -> String {
    without_times(&std::fs::read_to_string(run.path().join("metrics.jsonl")).unwrap())
}

#[test]
fn a_run_that_was_left_goes_on_and_each_step_of_a_stage_is_there_once() {
    let root = tempfile::tempdir().unwrap();
    let config = json!({"seed": 1});
    let log = |run: &Run, stage: &str, key: &str, step: u64, loss: f64| {
        run.log(record(json!({"stage": stage, key: step, "loss": loss}))).unwrap();
    };
    let first = Run::resume(root.path(), "demo", &config, "mkl").unwrap();
    (1..=3).for_each(|step| log(&first, "base", "step", step, 0.5));
    (1..=4).for_each(|step| log(&first, "sft", "step", step, 0.25));
    first.log(record(json!({"stage": "sft", "note": "kept"}))).unwrap();
    let path = first.path().to_path_buf();

    // As long as somebody is at work on it, another one begins.
    let other = Run::resume(root.path(), "demo", &config, "mkl").unwrap();
    assert_ne!(other.path(), path);
    other.finish().unwrap();
    drop((first, other));
    std::fs::remove_dir_all(std::fs::canonicalize(root.path().join("latest")).unwrap()).unwrap();

    // The end of a process may leave a part of a line.
    let file = path.join("metrics.jsonl");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "{\"stage\":\"sf").unwrap();
    let second = Run::resume(root.path(), "demo", &config, "mkl").unwrap();
    assert_eq!(second.path(), path);
    (3..=5).for_each(|step| log(&second, "sft", "step", step, 0.25));
    log(&second, "rl", "iteration", 1, 2.0);
    let mut expected: Vec<String> =
        (1..=3).map(|step| format!("{{\"stage\":\"base\",\"step\":{step},\"loss\":0.5}}")).collect();
    let of_sft = |step: u64| format!("{{\"stage\":\"sft\",\"step\":{step},\"loss\":0.25}}");
    expected.extend([of_sft(1), of_sft(2), "{\"stage\":\"sft\",\"note\":\"kept\"}".to_string()]);
    expected.extend([of_sft(3), of_sft(4), of_sft(5), "{\"stage\":\"rl\",\"iteration\":1,\"loss\":2.0}".to_string()]);
    assert_eq!(metrics(&second).lines().collect::<Vec<_>>(), expected);

    // What came to its end, or has other settings, does not go on.
    second.finish().unwrap();
    drop(second);
    let third = Run::resume(root.path(), "demo", &config, "mkl").unwrap();
    assert_ne!(third.path(), path);
    assert_eq!(metrics(&third), "");
    let last = third.path().to_path_buf();
    drop(third);
    assert_ne!(Run::resume(root.path(), "demo", &json!({"seed": 2}), "mkl").unwrap().path(), last);
    assert_ne!(Run::create(root.path(), "demo", &config, "mkl").unwrap().path(), last);
}
