//! Where a trainer writes that was told no folder: to a new one of its own, and never where a stage keeps its checkpoints.

use std::path::Path;
use std::process::Output;

use super::cli::{affine, code, stderr, stdout};
use super::toys::{model, records};
use affine::engine::data::write as write_records;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    write_records(folder.path().join("train.jsonl"), &records()).unwrap();
    // A stage's.
    for stage in ["sft", "rl"] {
        let checkpoint = folder.path().join("checkpoints").join(stage).join("checkpoint-1");
        std::fs::create_dir_all(&checkpoint).unwrap();
        std::fs::write(checkpoint.join("trainer_state.json"), "the demo's").unwrap();
    }
    folder
}

fn run(folder: &Path, body: &str) -> Output {
    let begin = "local affine = require 'affine'\nlocal m = affine.model.load 'base'\n\
                 local function sft(o)\n  o.data, o.max_steps = 'train.jsonl', 2\n  return affine.trainer.sft(m, o)\nend\n\
                 local function ppo(o)\n  o.max_new_tokens = 1\n  return affine.trainer.ppo(m, o)\nend\n";
    std::fs::write(folder.join("x.lua"), format!("{begin}{body}")).unwrap();
    affine().current_dir(folder).arg("x.lua").output().unwrap()
}

#[test]
fn without_output_dir_every_trainer_writes_to_a_new_folder_and_says_which() {
    let folder = folder();
    let script = "sft({}):run()\nprint(sft({}):save(), ppo({}):save())\n";
    let output = run(folder.path(), script);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = stderr(&output);
    let told: Vec<&str> = said.lines().filter_map(|line| line.split("what it saves goes to ").nth(1)).collect();
    assert_eq!(told.len(), 3, "{said}");
    assert!(told.iter().all(|path| path.starts_with("runs/")), "{told:?}");
    assert!(told[0] != told[1] && told[2].contains("-ppo"), "{told:?}");
    assert!(folder.path().join(told[0]).join("model.safetensors").exists());
    assert_eq!(stdout(&output), format!("{}/checkpoint-0\t{}/checkpoint-0\n", told[1], told[2]));
    for stage in ["sft", "rl"] {
        let kept = folder.path().join("checkpoints").join(stage);
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1, "{stage}");
        assert_eq!(std::fs::read_to_string(kept.join("checkpoint-1/trainer_state.json")).unwrap(), "the demo's");
    }
}

#[test]
fn what_is_to_be_resumed_must_be_named() {
    let folder = folder();
    let wanted = "output_dir: expected the folder whose newest checkpoint is to be resumed (without one a trainer writes to \
                  a new folder), got nothing";
    for options in ["resume = true", "resume = 'force'", "resume_from_checkpoint = true"] {
        for trainer in ["sft", "ppo"] {
            let output = run(folder.path(), &format!("{trainer} {{ {options} }}"));
            let said = stderr(&output);
            assert!(code(&output) == 1 && said.contains(&format!("trainer.{trainer}: {wanted}")), "{said}");
        }
    }
    assert!(!folder.path().join("runs").exists());

    let script = "local first = sft { output_dir = 'first' }\nlocal path = first:save()\n\
                  print(sft({ resume_from_checkpoint = path }):run().steps)";
    let output = run(folder.path(), script);
    assert_eq!((stdout(&output).as_str(), code(&output)), ("2\n", 0), "{}", stderr(&output));
}
