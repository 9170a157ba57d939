//! What `make gpu-check` carries to a GPU machine, run on the CPU: a check that cannot run there must not be found out there.

use super::cli::{affine, code, stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_checks_pass_on_the_cpu_and_fail_where_numbers_differ() {
    let folder = tempfile::tempdir().unwrap();
    let parity = format!("{ROOT}/tests/golden/parity");
    let check = |models: &str| {
        let script = format!("{ROOT}/scripts/gpu/check.lua");
        affine().current_dir(folder.path()).args([&script, models, "cpu"]).output().unwrap()
    };
    let passed = check(&parity);
    assert_eq!(code(&passed), 0, "{}{}", stdout(&passed), stderr(&passed));
    assert!(stdout(&passed).ends_with("every check passed on cpu\n"));

    // Another model's weights behind the same reference.
    let wrong = folder.path().join("parity");
    std::fs::create_dir(&wrong).unwrap();
    for (link, target) in [
        ("model-tiny", "model-odd"),
        ("reference-tiny", "reference-odd"),
        ("model-odd", "model-odd"),
        ("reference-odd", "reference-tiny"),
    ] {
        std::os::unix::fs::symlink(format!("{parity}/{target}"), wrong.join(link)).unwrap();
    }
    let failed = check(wrong.to_str().unwrap());
    assert_eq!(code(&failed), 1, "{}", stdout(&failed));
    assert!(stdout(&failed).contains("FAIL  odd: greedy continuation is PyTorch's"), "{}", stdout(&failed));
}

#[test]
fn the_benchmark_measures_decoding_and_training() {
    let folder = tempfile::tempdir().unwrap();
    let (script, model) = (format!("{ROOT}/scripts/gpu/bench.lua"), format!("{ROOT}/tests/golden/parity/model-tiny"));
    let done = affine().current_dir(folder.path()).args([&script, &model, "cpu", "64"]).output().unwrap();
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let lines: Vec<serde_json::Value> = stdout(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Three batches without a graph, which a CPU has none of, and training with and without checkpointing.
    assert_eq!(lines.len(), 5);
    assert!(lines[..3].iter().all(|line| line["cuda_graph"] == false && line["step_ms"].is_number()));
    for line in lines {
        assert!(line["tokens_per_second"].as_f64().unwrap() > 0.0, "{line}");
    }
}
