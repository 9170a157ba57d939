//! What `make gpu-check` carries to a GPU machine, run on the CPU: a check that cannot run there must not be found out there.

use super::cli::{affine, code, stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_checks_pass_on_the_cpu_and_fail_where_numbers_differ() {
    let folder = tempfile::tempdir().unwrap();
    let parity = format!("{ROOT}/tests/golden/parity");
    let check = |models: &str| {
        let script = format!("{ROOT}/scripts/dev/gpu/check.lua");
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
    let model = format!("{ROOT}/tests/golden/parity/model-tiny");
    let measured = |script: &str, options: &[&str]| {
        let script = format!("{ROOT}/scripts/dev/gpu/{script}");
        let done = affine().current_dir(folder.path()).args([&script, &model, "cpu"]).args(options).output().unwrap();
        assert_eq!(code(&done), 0, "{}", stderr(&done));
        let lines = stdout(&done);
        let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &lines {
            assert!(line["tokens_per_second"].as_f64().unwrap() > 0.0, "{line}");
        }
        lines
    };
    // Without a graph, which a CPU has none of.
    let decoding = measured("bench.lua", &[]);
    assert_eq!(decoding.len(), 3);
    assert!(decoding.iter().all(|line| line["cuda_graph"] == false && line["step_ms"].is_number()));
    for (options, checkpointing) in [(&["64"][..], false), (&["64", "checkpointing"][..], true)] {
        let lines = measured("train.lua", options);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["gradient_checkpointing"], checkpointing);
        // Of a row's first token there is no loss.
        assert_eq!(lines[0]["tokens_per_step"], 8 * 63);
    }
}

/// What table.py says of files, and whether it succeeded. The model is `model-tiny`.
fn table(files: &[&str]) -> (String, bool) {
    let script = format!("{ROOT}/scripts/dev/gpu/table.py");
    let model = format!("{ROOT}/tests/golden/parity/model-tiny");
    let done = std::process::Command::new("python3").args(["-I", &script, &model]).args(files).output().unwrap();
    (format!("{}{}", stdout(&done), stderr(&done)), done.status.success())
}

fn recorded(name: &str) -> String {
    format!("{ROOT}/tests/golden/gpu/{name}.jsonl")
}

#[test]
fn the_table_sets_affine_beside_the_faster_peer_and_the_ceiling() {
    let (said, fine) = table(&[&recorded("affine"), &recorded("peer")]);
    assert!(fine, "{said}");
    let head = "| tokens/s, most memory | affine | PEFT | PEFT, autocast | affine / best peer | of the ceiling: affine, best peer |";
    assert!(said.starts_with(head), "{said}");
    // By hand, of the two layers of 64 wide with 192 inside, 4 + 2 heads of 16, 512 tokens, rank 16: 98304 weights in maps, 32768
    // in the head, 38912 in the adapter. 256 tokens: 4 (98304 + 32768) + 6 * 38912 + 3 * 4 * 128 * 64 * 2 = 954368 FLOPs per
    // token, and 2 (98304 + 38912) + 65536 more with checkpointing. The matmul reached 147.65 GFLOP/s.
    assert!(said.contains("| training, 256 tokens | 11649 | 4534 | 3666 | 2.57 | 8%, 3% |"), "{said}");
    assert!(said.contains("| training, 256 tokens, checkpointing | 14202 | 2757 | 2069 | 5.15 | 12%, 2% |"), "{said}");
    // 2 bytes of each weight and of 144.5 tokens' 2 * 2 * 32 keys and values take 16 µs at 18.77 GB/s, a step took 428 µs.
    assert!(said.contains("| decoding, batch 1 | 2337 | 135 | 183 | 12.76 | 4%, 0% |"), "{said}");
    // Work that no H200 did is held against no goal for one.
    assert!(!said.contains("Goals"), "{said}");
}

#[test]
fn the_table_knows_rounds_cuda_graphs_problems_and_goals() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.jsonl");
    let lines = [
        r#"{"device": "NVIDIA H200", "matmul_flops_per_second": 2e10, "copy_bytes_per_second": 4e12}"#,
        r#"{"decode_batch": 128, "cuda_graph": false, "tokens_per_second": 9000, "peak_bytes": 12340000000}"#,
        r#"{"decode_batch": 128, "cuda_graph": true, "tokens_per_second": 12000}"#,
        r#"{"decode_batch": 128, "cuda_graph": true, "tokens_per_second": 14000}"#,
        r#"{"decode_batch": 128, "cuda_graph": true, "tokens_per_second": 13000}"#,
        r#"{"decode_batch": 128, "peer": "dynamic cache", "tokens_per_second": 6500}"#,
        r#"{"decode_batch": 128, "peer": "static cache, compiled", "problem": "a | b"}"#,
        r#"{"train_length": 2048, "gradient_checkpointing": false, "tokens_per_second": 5000, "tokens_per_step": 8188}"#,
        r#"{"train_length": 2048, "gradient_checkpointing": true, "problem": "out of memory", "peak_bytes": 1}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (said, fine) = table(&[file.to_str().unwrap()]);
    assert!(fine, "{said}");
    let row = "| decoding, batch 128 | 9000, 12.3 GB | 13000 (12000 to 14000) | 6500 | a / b | 2.00 | ";
    assert!(said.contains("| affine, no CUDA graph | affine, CUDA graph | dynamic cache |"), "{said}");
    assert!(said.contains(row), "{said}");
    assert!(said.contains("| training, 2048 tokens, checkpointing | out of memory |  |"), "{said}");
    // 2330624 FLOPs per token at 2048.
    assert!(said.contains("training, 2048 tokens: 58% of the ceiling, the goal is 55%: met"), "{said}");
    assert!(said.contains("training, 2048 tokens: 5000 tokens/s, the goal is 21000: MISSED"), "{said}");
    assert!(said.contains("training, 2048 tokens, checkpointing: not measured"), "{said}");
    assert!(said.contains("decoding, batch 128: 13000 tokens/s, the goal is 11000: met"), "{said}");

    // Sides that did not do the same are not compared.
    let unequal =
        lines[7].replace("8188", "4094").replace("\"tokens_per_second\"", "\"peer\": \"PEFT\", \"tokens_per_second\"");
    std::fs::write(&file, [lines[7], &unequal].join("\n")).unwrap();
    let (said, fine) = table(&[file.to_str().unwrap()]);
    assert!(!fine && said.contains("training, 2048 tokens: sides train [4094, 8188] tokens a step"), "{said}");
}
