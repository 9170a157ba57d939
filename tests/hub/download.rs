//! Downloads as a user meets them: who may have what, and what is said where not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use affine::engine::hub::{self, Repository};

use super::{TOKEN, contents, hub, model_folder, settings};
use crate::hub_server::{Fault, Hub, Kind, Options, Role};

const REPO: &str = "acme/tiny";

/// A server with the small model.
fn hub_with_model(private: bool) -> Hub {
    let hub = hub(Options::default());
    hub.create(REPO, Kind::Model, private);
    let files = contents(model_folder().path());
    hub.commit(REPO, &files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>());
    hub
}

/// `affine` in a folder of its own, which is its home, too.
pub fn affine(hub: &Hub, home: &Path, words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(home).args(words).env("HOME", home);
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("HF_") || name.to_uppercase().ends_with("_PROXY"))
    {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", hub.endpoint()).envs(environment.iter().copied()).output().unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LOAD: &str =
    "local m = require('affine.model').load(table.unpack(arg)) print(m:info().source, m:info().revision)";

#[test]
fn a_model_is_loaded_by_its_id_and_then_from_the_cache() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let commit = hub.head(REPO);
    let wanted = format!("{REPO}\t{commit}\n");
    let output = affine(&hub, home.path(), &["-e", LOAD, REPO], &[]);
    assert_eq!(out(&output), wanted, "{output:?}");
    assert!(err(&output).contains("acme/tiny is no folder here; asking the Hub"), "{}", err(&output));
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(out(&affine(&hub, home.path(), &["-e", LOAD, REPO], &offline)), wanted);
    let cached = home.path().join(".cache/huggingface/hub/models--acme--tiny");
    assert_eq!(fs::read_to_string(cached.join("refs/main")).unwrap(), commit);
    assert!(cached.join("snapshots").join(&commit).join("model.safetensors").is_symlink());
}

#[test]
fn a_revision_is_a_branch_a_tag_or_a_commit() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let first = hub.head(REPO);
    hub.tag(REPO, "v1");
    hub.commit(REPO, &[("README.md", b"---\nlicense: mit\n---\n")]);
    let load = |revision: &str| {
        let code = format!(
            "local m = require('affine.model').load('{REPO}', {{ revision = '{revision}' }}) print(m:info().revision)"
        );
        affine(&hub, home.path(), &["-e", &code], &[])
    };
    assert_eq!(out(&load("v1")), format!("{first}\n"));
    assert_eq!(out(&load(&first)), format!("{first}\n"));
    assert_eq!(out(&load("main")), format!("{}\n", hub.head(REPO)));
    let text = err(&load("v2"));
    assert!(text.contains("acme/tiny: the model has no revision v2"), "{text}");
    assert!(text.contains("/acme/tiny/tree/main shows its branches and tags"), "{text}");
    let text = err(&affine(&hub, home.path(), &["-e", "require('affine.model').load('.', { revision = 'v1' })"], &[]));
    assert!(text.contains("revision: expected nothing beside a folder"), "{text}");
}

#[test]
fn who_may_not_have_a_model_is_told_what_to_do() {
    let (hub, home) = (hub_with_model(true), tempfile::tempdir().unwrap());
    let problem = |id: &str, environment: &[(&str, &str)]| {
        let output = affine(&hub, home.path(), &["-e", LOAD, id], environment);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        err(&output)
    };
    let text = problem(REPO, &[]);
    assert!(text.contains("acme/tiny: the Hub has no model of that name that everybody may see"), "{text}");
    assert!(text.contains("for a private one set HF_TOKEN"), "{text}");
    hub.user("stranger", "hf_StrangerStranger", Role::Write);
    let stranger = [("HF_TOKEN", "hf_StrangerStranger")];
    let text = problem(REPO, &stranger);
    assert!(text.contains("the Hub has no model of that name that your account may see"), "{text}");
    let text = problem(REPO, &[("HF_TOKEN", "hf_wrong")]);
    assert!(text.contains("HF_TOKEN") && !text.contains("hf_wrong"), "{text}");
    let text = problem("acme/none", &[("HF_TOKEN", TOKEN)]);
    assert!(text.contains("acme/none: the Hub has no model of that name that your account may see"), "{text}");

    hub.create("acme/gated", Kind::Model, false);
    hub.commit("acme/gated", &[("config.json", b"{}")]);
    hub.gate("acme/gated");
    let text = problem("acme/gated", &[]);
    assert!(
        text.contains("acme/gated: its owner gives it only to accounts that ask for it, and there is no token"),
        "{text}"
    );
    let text = problem("acme/gated", &stranger);
    assert!(
        text.contains("and this one has not been let in") && text.contains("/acme/gated with the account"),
        "{text}"
    );
    hub.grant("acme/gated", "stranger");
    let words = ["hub", "download", "acme/gated"];
    assert!(affine(&hub, home.path(), &words, &stranger).status.success());
    hub.expire("hf_StrangerStranger");
    let text = problem("acme/none", &stranger);
    assert!(text.contains("the Hub does not accept the token (HF_TOKEN)"), "{text}");
}

#[test]
fn the_token_is_found_where_the_hubs_tools_keep_it() {
    let (hub, home) = (hub_with_model(true), tempfile::tempdir().unwrap());
    let load = |environment: &[(&str, &str)]| {
        let _ = fs::remove_dir_all(home.path().join(".cache/huggingface/hub"));
        let output = affine(&hub, home.path(), &["-e", LOAD, REPO], environment);
        assert!(!err(&output).contains(TOKEN), "{}", err(&output));
        output.status.success()
    };
    assert!(!load(&[]));
    assert!(load(&[("HF_TOKEN", TOKEN)]) && load(&[("HUGGING_FACE_HUB_TOKEN", TOKEN)]));
    let file = home.path().join("elsewhere");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    assert!(load(&[("HF_TOKEN_PATH", file.to_str().unwrap())]));
    fs::create_dir_all(home.path().join(".cache/huggingface")).unwrap();
    fs::write(home.path().join(".cache/huggingface/token"), TOKEN).unwrap();
    assert!(load(&[]));
    fs::write(home.path().join(".cache/huggingface/token"), "hf_old").unwrap();
    assert!(!load(&[]));
    // As the original pipeline documents it.
    fs::write(home.path().join(".env"), format!("# mine\r\nexport HF_TOKEN=\"{TOKEN}\"\r\n")).unwrap();
    assert!(load(&[]));
    assert!(!load(&[("HF_TOKEN", "hf_goes_first")]));
}

#[test]
fn a_renamed_model_is_found_and_its_new_name_is_told() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    hub.rename(REPO, "acme/small");
    let output = affine(&hub, home.path(), &["-e", LOAD, REPO], &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(err(&output).contains("acme/tiny is called acme/small now: use that name"), "{}", err(&output));
}

#[test]
fn chosen_files_come_alone() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let download = |words: &[&str]| affine(&hub, home.path(), &[&["hub", "download", REPO], words].concat(), &[]);
    let output = download(&["--file", "tok*.json", "--file", "README.md"]);
    let folder = out(&output);
    let names: Vec<_> = contents(Path::new(folder.trim())).into_keys().collect();
    assert_eq!(names, ["README.md", "tokenizer.json", "tokenizer_config.json"], "{output:?}");
    let text = err(&download(&["--file", "weights.bin"]));
    assert!(text.contains("acme/tiny: none of its 9 files is called as asked (weights.bin)"), "{text}");
    // Offline the cache has what it has.
    let offline =
        |word: &str| affine(&hub, home.path(), &["hub", "download", REPO, "--file", word], &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(out(&offline("README.md")), folder);
    assert!(err(&offline("config.json")).contains("holds no config.json"), "{}", err(&offline("config.json")));
}

#[test]
fn rows_come_from_data_sets() {
    let (hub, home) = (hub(Options::default()), tempfile::tempdir().unwrap());
    hub.create("acme/rows", Kind::Dataset, false);
    hub.commit("acme/rows", &[("data/train.jsonl", b"{\"a\": 1}\n"), ("README.md", b"rows")]);
    let code = "local hub = require('affine.hub')
        local folder = hub.download { repo = 'acme/rows', repo_type = 'dataset' }
        print(require('affine.fs').read(folder .. '/data/train.jsonl'))";
    let output = affine(&hub, home.path(), &["-e", code], &[]);
    assert_eq!(out(&output), "{\"a\": 1}\n\n", "{output:?}");
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let (hub, cache) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let download = |attempts| {
        let patterns = ["model.safetensors".to_string()];
        hub::download(&settings(&hub, cache.path(), attempts), &Repository::model(REPO), "main", Some(&patterns))
    };
    hub.fail_always(Fault::CutBody { after: 200_000 }, |method, path| method == "GET" && path.starts_with("/cdn/"));
    // As long as something comes, it is taken up again, however often that is.
    let folder = download(2).unwrap();
    assert!(fs::metadata(folder.join("model.safetensors")).is_ok_and(|file| file.len() == 528_296));
    let asked = hub.requests().iter().filter(|request| request.path.starts_with("/cdn/")).count();
    assert_eq!(asked, 3, "{:?}", hub.requests());

    // What an earlier process has left is not fetched again.
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--acme--tiny/blobs");
    let whole = fs::read(folder.join("model.safetensors")).unwrap();
    let name = hub.files(REPO, "main")["model.safetensors"].sha256.clone();
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{name}.incomplete")), &whole[..400_000]).unwrap();
    let download = || {
        let patterns = ["model.safetensors".to_string()];
        hub::download(&settings(&hub, cache.path(), 1), &Repository::model(REPO), "main", Some(&patterns))
    };
    hub.clear_requests();
    assert!(fs::read(download().unwrap().join("model.safetensors")).unwrap() == whole);
    assert_eq!(hub.requests().iter().filter(|request| request.path.starts_with("/cdn/")).count(), 1);
    // What it has left wrong is.
    fs::remove_dir_all(cache.path().join("models--acme--tiny")).unwrap();
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{name}.incomplete")), vec![1; 400_000]).unwrap();
    hub.mend();
    assert!(fs::read(download().unwrap().join("model.safetensors")).unwrap() == whole);
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    let hub = hub(Options { ranges: false, ..Options::default() });
    hub.create(REPO, Kind::Model, false);
    let weights: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    hub.commit(REPO, &[("model.safetensors", &weights)]);
    let cache = tempfile::tempdir().unwrap();
    hub.fail(Fault::CutBody { after: 500_000 }, 4);
    let patterns = ["*.safetensors".to_string()];
    let folder = hub::download(&settings(&hub, cache.path(), 3), &Repository::model(REPO), "main", Some(&patterns));
    assert!(fs::read(folder.unwrap().join("model.safetensors")).unwrap() == weights);
}

#[test]
fn two_processes_fetch_each_file_once() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| affine(&hub, home.path(), &["hub", "download", REPO, "--file", "*"], &[])))
            .collect();
        for run in runs {
            let output = run.join().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    });
    let fetched = hub.requests().iter().filter(|request| request.path.contains("/cdn/")).count();
    assert_eq!(fetched, 1, "{:?}", hub.requests());
}

#[test]
fn ctrl_c_leaves_a_cache_that_the_next_call_completes() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    hub.fail_always(Fault::StallBody { after: 200_000 }, |_, path| path.starts_with("/cdn/"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    let words = ["hub", "download", REPO, "--file", "*"];
    command.current_dir(home.path()).args(words).env("HOME", home.path()).env("HF_ENDPOINT", hub.endpoint());
    let mut child = affine::engine::signals::as_started(|| command.spawn()).unwrap();
    let incomplete = || {
        let blobs = home.path().join(".cache/huggingface/hub/models--acme--tiny/blobs");
        let entries = fs::read_dir(blobs).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".incomplete"))
            .any(|entry| entry.metadata().is_ok_and(|about| about.len() >= 100_000))
    };
    let begun = std::time::Instant::now();
    while !incomplete() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: it only sends a signal.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    assert_eq!(child.wait().unwrap().code(), Some(130));
    hub.mend();
    let output = affine(&hub, home.path(), &words, &[]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_shard_that_holds_less_than_its_index_says_is_found() {
    let (hub, cache) = (hub(Options::default()), tempfile::tempdir().unwrap());
    hub.create(REPO, Kind::Model, false);
    let weights = contents(model_folder().path()).remove("model.safetensors").unwrap();
    let shard = "model-00001-of-00001.safetensors";
    let index = |total: u64| {
        serde_json::json!({ "metadata": { "total_size": total }, "weight_map": { "a": shard } }).to_string()
    };
    let header = u64::from_le_bytes(weights[..8].try_into().unwrap());
    let held = weights.len() as u64 - 8 - header;
    let download = || hub::download(&settings(&hub, cache.path(), 1), &Repository::model(REPO), "main", None);
    hub.commit(REPO, &[(shard, &weights), ("model.safetensors.index.json", index(held).as_bytes())]);
    download().unwrap();
    hub.commit(REPO, &[("model.safetensors.index.json", index(held + 1).as_bytes())]);
    let text = download().unwrap_err().to_string();
    assert!(
        text.ends_with(&format!("the shards hold {held} bytes of tensors, and their index says {}", held + 1)),
        "{text}"
    );
}

#[test]
fn a_server_that_asks_to_wait_is_left_alone_for_as_long() {
    let (hub, cache) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let download = || hub::download(&settings(&hub, cache.path(), 3), &Repository::model(REPO), "main", None);
    hub.fail(Fault::too_many_requests(1), 2);
    let begun = std::time::Instant::now();
    download().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // Longer than anybody waits without being asked.
    hub.fail_always(Fault::too_many_requests(1000), |_, _| true);
    fs::remove_dir_all(cache.path().join("models--acme--tiny")).unwrap();
    let error = download().unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
    assert!(error.to_string().starts_with("acme/tiny: the Hub wants fewer requests"), "{error}");
    assert_eq!(error.hint(), Some("wait 1000 s and run this again: it goes on"));
}

#[test]
fn a_model_whose_config_is_of_other_weights_is_refused_in_one_sentence() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    let config = String::from_utf8(contents(model_folder().path())["config.json"].clone()).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&config).unwrap();
    other["hidden_size"] = serde_json::json!(2 * other["hidden_size"].as_u64().unwrap());
    hub.commit(REPO, &[("config.json", other.to_string().as_bytes())]);
    let text = err(&affine(&hub, home.path(), &["-e", LOAD, REPO], &[]));
    let told: Vec<_> = text.lines().filter(|line| line.contains("affine: ")).collect();
    assert!(told.len() == 1 && told[0].contains("shape") && !text.contains("panicked"), "{text}");
    other["architectures"] = serde_json::json!(["LlamaForCausalLM"]);
    other["model_type"] = serde_json::json!("llama");
    hub.commit(REPO, &[("config.json", other.to_string().as_bytes())]);
    let text = err(&affine(&hub, home.path(), &["-e", LOAD, REPO], &[]));
    assert!(text.contains("architectures: expected Qwen3ForCausalLM, got LlamaForCausalLM"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (hub, home) = (hub_with_model(false), tempfile::tempdir().unwrap());
    // Read-only for everybody, root included.
    let output = affine(&hub, home.path(), &["-e", LOAD, REPO], &[("HF_HUB_CACHE", "/proc/hub")]);
    assert!(err(&output).contains("the download needs 564 kB, and /proc has 0 B left"), "{}", err(&output));
    fs::write(home.path().join("file"), "").unwrap();
    let cache = home.path().join("file/hub");
    let output = affine(&hub, home.path(), &["-e", LOAD, REPO], &[("HF_HUB_CACHE", cache.to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("a part of its path is a file, not a folder"), "{}", err(&output));
    // A disk that takes no more.
    let command = format!("trap '' XFSZ; ulimit -f 100; exec {} hub download {REPO}", env!("CARGO_BIN_EXE_affine"));
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).current_dir(home.path()).env("HOME", home.path()).env("HF_ENDPOINT", hub.endpoint());
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains(".incomplete: cannot be written: the file is larger"), "{}", err(&output));
    assert!(err(&output).contains("HF_HUB_CACHE names another folder"), "{}", err(&output));
    assert!(affine(&hub, home.path(), &["hub", "download", REPO], &[]).status.success());
}
