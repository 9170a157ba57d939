//! The README does what it says: every Lua block and every command line in it runs with the built binary, in an empty
//! folder. A command that takes minutes runs with settings appended that make it take seconds.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use std::sync::LazyLock;

use tempfile::TempDir;

use super::golden;
use super::hub_server::{self, Hub, Kind, Role};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AFFINE: &str = env!("CARGO_BIN_EXE_affine");

/// The pipeline in seconds.
const SMALL: &str = "--set data.num_samples=24 --set data.base.num_samples=24 --set training.base.max_steps=2 \
    --set training.max_steps=2 --set training.batch_size=4 --set training.base.batch_size=4 \
    --set rl.iterations=1 --set rl.num_rollouts=4 --set rl.minibatch_size=4 --set rl.max_new_tokens=6 \
    --set evaluation.num_eval_samples=4 --set evaluation.max_new_tokens=6";

/// Instead of a model of gigabytes, and of prompts that its tokenizer makes too long for it.
const STAND_IN: &str = "--set model.base_model_path=models/stand-in --set 'data.environments={\"grid\"}'";

/// Commands that would take minutes, and what is appended to them.
const LONG: &[(&str, &[&str])] = &[
    ("affine scripts/collect.lua", &[SMALL]),
    ("affine scripts/collect.lua --set data.num_samples=20000", &[SMALL]),
    ("affine scripts/sft.lua", &[SMALL]),
    ("affine scripts/rl.lua", &[SMALL]),
    ("affine scripts/evaluate.lua", &[SMALL]),
    ("affine scripts/deploy.lua", &[SMALL]),
    ("affine scripts/full.lua", &[SMALL]),
    ("affine scripts/full.lua --set seed=1 --set rl.iterations=40", &[SMALL]),
    ("affine scripts/full.lua --set 'data.environments={{name = \"sat\", n = 3, k = 2, m = 5}, \"grid\"}'", &[SMALL]),
    ("affine scripts/full.lua --config mine.lua", &[SMALL]),
    ("affine scripts/full.lua --experiment small --set training.lora_r=4", &[SMALL]),
    ("affine scripts/full.lua --set model.quantize=nf4", &[SMALL]),
    ("affine scripts/full.lua --preset affine-0004", &[SMALL, STAND_IN]),
    ("affine scripts/full.lua --preset affine-0004 --set model.base_model_path=/models/Qwen3-4B", &[SMALL, STAND_IN]),
    ("affine scripts/deploy.lua --model models/rl_final", &[SMALL]),
    ("affine scripts/deploy.lua --adapter", &[SMALL]),
    ("affine scripts/deploy.lua --dry-run --set huggingface.repo_name=you/your-model", &[SMALL]),
    ("affine scripts/deploy.lua --upload --verify --set huggingface.repo_name=you/your-model", &[SMALL]),
    ("affine scripts/sweep.lua --space space.lua --trials 2 --until sft", &[SMALL]),
    ("affine scripts/examples/easy_levels.lua", &["--seeds 0 --samples 12 --steps 2 --tasks 2"]),
];

/// Commands that are not run here: this test is itself built and run by them.
const BUILDS: [&str; 3] = ["cargo build --release", "cargo test --release", "cargo run --release -- scripts/full.lua"];

/// Commands whose preset names ScienceWorld, which wants Java and its jar.
const NEEDS_SCIENCEWORLD: [&str; 1] = ["affine --plan scripts/full.lua --preset affine-0004"];

/// Commands that run until Ctrl-C, and what is appended to them so that no port is taken.
const SERVERS: &[(&str, &str)] = &[("affine env serve textcraft --port 36008", "--port 0")];

const MAKE_STAND_IN: &str = r#"
    local model, tokenizer = require "affine.model", require "affine.tokenizer"
    model.create({ tokenizer = tokenizer.train { "a text" } }):save "models/stand-in"
"#;

/// A fenced block: its language, the README's line of its first line, its text.
struct Block {
    language: String,
    line: usize,
    text: String,
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in read("README.md").lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language: language.to_string(), line: index + 2, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "README.md: the last block has no end");
    blocks
}

/// The file name that a Lua block gives itself in a first line such as `-- guess.lua`.
fn own_name(block: &Block) -> Option<&str> {
    block.text.lines().next()?.strip_prefix("-- ").filter(|name| name.ends_with(".lua") && !name.contains(' '))
}

/// A folder as a user has it who works in the clone: the scripts, and the files that the README has her write.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    symlink(Path::new(ROOT).join("scripts"), folder.path().join("scripts")).unwrap();
    std::fs::create_dir(folder.path().join(".bin")).unwrap();
    symlink(AFFINE, folder.path().join(".bin/affine")).unwrap();
    for block in blocks().iter().filter(|block| block.language == "lua") {
        if let Some(name) = own_name(block) {
            std::fs::write(folder.path().join(name), &block.text).unwrap();
        }
    }
    folder
}

fn in_folder(program: &str, folder: &TempDir) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.current_dir(folder).env("PATH", format!("{}:{path}", folder.path().join(".bin").display()));
    command.env_remove("AFFINE_STDLIB").env_remove("AFFINE_LOG").env_remove("HF_HUB_OFFLINE");
    command.env("HF_ENDPOINT", HUB.endpoint()).env("HF_TOKEN", TOKEN).env("HF_HOME", folder.path().join(".hub"));
    command
}

const TOKEN: &str = "hf_YouYouYouYouYouYou";

/// The Hub of the README, where `you` may write and the small model goes by the name of a large one.
static HUB: LazyLock<Hub> = LazyLock::new(|| {
    let hub = Hub::start(hub_server::Options::default());
    hub.user("you", TOKEN, Role::Write);
    hub.create("Qwen/Qwen3-0.6B", Kind::Model, false);
    let files = std::fs::read_dir(golden::path("parity/model-tiny")).unwrap().map(|entry| entry.unwrap());
    let files: Vec<_> = files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.to_str().unwrap(), bytes.as_slice())).collect();
    hub.commit("Qwen/Qwen3-0.6B", &files);
    hub
});

fn succeeded(what: &str, output: &Output) {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
}

/// What a line of a shell block asks for, without its comment.
fn commands(block: &Block) -> impl Iterator<Item = &str> {
    block.text.lines().map(|line| line.split("  #").next().unwrap_or(line).trim()).filter(|line| !line.is_empty())
}

/// The make targets in a command such as `LIBTORCH=/x make build`; nothing for another command.
fn make_targets(command: &str) -> Option<Vec<&str>> {
    let mut words = command.split_whitespace().skip_while(|word| word.contains('='));
    (words.next() == Some("make")).then(|| words.filter(|word| !word.contains('=')).collect())
}

fn assert_make_target(target: &str) {
    let makefile = read("Makefile");
    let rule = format!("{target}:");
    assert!(makefile.lines().any(|line| line.starts_with(&rule)), "README.md: `make {target}` is no target");
}

#[test]
fn every_block_of_the_readme_is_lua_or_shell() {
    for block in blocks() {
        assert!(
            ["lua", "sh", "text"].contains(&block.language.as_str()),
            "README.md:{}: no test knows blocks of `{}`",
            block.line,
            block.language
        );
    }
}

#[test]
fn every_lua_block_of_the_readme_runs() {
    let folder = folder();
    let blocks = blocks();
    let lua: Vec<&Block> = blocks.iter().filter(|block| block.language == "lua").collect();
    assert!(lua.len() > 10, "README.md has only {} Lua blocks", lua.len());
    for block in lua {
        let name = own_name(block).map_or_else(|| format!("README-{}.lua", block.line), str::to_string);
        std::fs::write(folder.path().join(&name), &block.text).unwrap();
        succeeded(&format!("README.md:{}", block.line), &in_folder(AFFINE, &folder).arg(&name).output().unwrap());
    }
}

#[test]
fn every_command_of_the_readme_runs() {
    let folder = folder();
    succeeded("the stand-in", &in_folder(AFFINE, &folder).args(["-e", MAKE_STAND_IN]).output().unwrap());
    let mut long_ones = 0;
    for block in blocks().iter().filter(|block| block.language == "sh") {
        for command in commands(block) {
            if let Some(targets) = make_targets(command) {
                targets.into_iter().for_each(assert_make_target);
                continue;
            }
            if BUILDS.contains(&command) {
                continue;
            }
            assert!(command.contains("affine "), "README.md:{}: no test knows `{command}`", block.line);
            if NEEDS_SCIENCEWORLD.contains(&command) && !crate::sciworld::is_playable() {
                continue;
            }
            if let Some((_, more)) = SERVERS.iter().find(|(server, _)| *server == command) {
                serves_until_it_is_interrupted(
                    &format!("{} {more}", command.split(" --port").next().unwrap()),
                    &folder,
                );
                continue;
            }
            let more = LONG.iter().find(|(long, _)| *long == command).map(|(_, more)| more.join(" "));
            long_ones += usize::from(more.is_some());
            let line = format!("{command} {}", more.unwrap_or_default());
            succeeded(&line, &in_folder("sh", &folder).args(["-c", &line]).output().unwrap());
        }
    }
    assert_eq!(long_ones, LONG.len(), "a command in LONG is no longer in README.md");
}

fn serves_until_it_is_interrupted(line: &str, folder: &TempDir) {
    let mut command = in_folder("sh", folder);
    let mut server = command.args(["-c", &format!("exec {line}")]).stderr(Stdio::piped()).spawn().unwrap();
    let mut says = BufReader::new(server.stderr.take().unwrap());
    let mut first = String::new();
    says.read_line(&mut first).unwrap();
    assert!(first.contains("http://127.0.0.1:"), "{line}: {first}");
    assert!(Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(130), "{line}");
}

#[test]
fn every_link_of_the_readme_leads_to_a_file_or_a_heading() {
    let text = read("README.md");
    for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
        let file = if file.is_empty() { "README.md" } else { file };
        let found =
            Path::new(ROOT).join(file).is_file() && anchor.is_none_or(|anchor| has_heading(&read(file), anchor));
        assert!(found, "README.md: the link {link} leads nowhere");
    }
}

fn has_heading(text: &str, anchor: &str) -> bool {
    let mut headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    headings.any(|title| title.to_lowercase().replace(',', "").replace(' ', "-") == anchor)
}

#[test]
fn every_make_target_that_the_readme_names_exists() {
    for mention in read("README.md").split("`make ").skip(1) {
        assert_make_target(mention.split([' ', '`']).next().unwrap());
    }
}
