//! `scripts/sweep.lua`: a sweep over the pipeline's settings, and several trials on one base.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

const SMALL: &[&str] = &[
    "data.num_samples=24",
    "data.base.num_samples=24",
    "training.base.max_steps=2",
    "training.max_steps=2",
    "training.batch_size=4",
    "training.base.batch_size=4",
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), folder.path().join("scripts")).unwrap();
    folder
}

fn sweep(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).arg("scripts/sweep.lua").args(words).args(["--until", "sft"]);
    for setting in SMALL {
        command.args(["--set", setting]);
    }
    affine::engine::signals::as_started(|| command.output()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn trials_share_what_does_not_depend_on_what_is_searched_and_go_on() {
    let folder = folder();
    std::fs::write(
        folder.path().join("space.lua"),
        r#"local sweep = require("affine.sweep")
           return { ["training.learning_rate"] = sweep.log(1e-4, 1e-2), ["training.lora_r"] = sweep.choice { 2, 4 } }"#,
    )
    .unwrap();
    let words = ["--space", "space.lua", "--trials", "2", "--study", "rates", "--keep", "all"];
    let output = sweep(folder.path(), &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("training.learning_rate") && said.contains("runs/rates-best.lua"), "{said}");
    // Collected once: the second trial has the first one's file.
    let file = |trial: &str, name: &str| folder.path().join(format!("experiments/rates-000{trial}/{name}"));
    let inode = |trial| std::fs::metadata(file(trial, "data_cache/sft.jsonl")).unwrap().ino();
    assert_eq!(inode("0"), inode("1"));
    assert!(text(&output.stderr).contains("collect: done already"), "{}", text(&output.stderr));
    assert_ne!(
        std::fs::read(file("0", "models/sft_final/model.safetensors")).unwrap(),
        std::fs::read(file("1", "models/sft_final/model.safetensors")).unwrap()
    );
    assert!(folder.path().join("runs/rates.svg").metadata().unwrap().len() > 1000);
    // The best settings are settings.
    let code =
        "local s = require('affine.config').load({ '--config', 'runs/rates-best.lua' }) print(s.training.lora_r)";
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    let shown = command.current_dir(folder.path()).args(["-e", code]).output().unwrap();
    assert!(["2\n", "4\n"].contains(&text(&shown.stdout).as_str()), "{shown:?}");
    // The same command finds two trials, a longer one takes one more.
    let again = sweep(folder.path(), &words);
    assert!(!text(&again.stderr).contains("trial 2:"), "{}", text(&again.stderr));
    let longer = sweep(folder.path(), &["--space", "space.lua", "--trials", "3", "--study", "rates"]);
    assert!(text(&longer.stderr).contains("trial 2:"), "{}", text(&longer.stderr));
}

#[test]
fn files_of_settings_are_experiments_and_what_is_wrong_is_said_at_once() {
    let folder = folder();
    std::fs::write(folder.path().join("slow.lua"), "return { training = { learning_rate = 1e-4 } }").unwrap();
    std::fs::write(folder.path().join("fast.lua"), "return { training = { learning_rate = 1e-2 } }").unwrap();
    let output = sweep(folder.path(), &["slow.lua", "fast.lua"]);
    let said = text(&output.stdout);
    assert!(said.contains("validation loss\nslow ") && said.contains("\nfast "), "{said}{}", text(&output.stderr));
    for (words, wanted) in [
        (&["a.yaml"][..], "a.yaml: settings are Lua here"),
        (&["--study", "x"], "give --space FILE"),
        (&["--space", "none.lua"], "cannot open none.lua"),
    ] {
        let output = sweep(folder.path(), words);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(wanted), "{words:?}: {}", text(&output.stderr));
    }
    std::fs::write(
        folder.path().join("wrong.lua"),
        "return { ['training.learning_rat'] = require('affine.sweep').log(1e-4, 1e-2) }",
    )
    .unwrap();
    let output = sweep(folder.path(), &["--space", "wrong.lua"]);
    assert!(text(&output.stderr).contains("did you mean `learning_rate`"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}
