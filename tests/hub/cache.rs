//! The Hub's cache: what it is called, and what is loaded from it when the Hub cannot be asked.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::golden;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A cache that holds `acme/tiny`, as `huggingface_hub` would have left it.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        let cache = Cache(tempfile::tempdir().unwrap());
        fs::create_dir_all(cache.snapshot()).unwrap();
        fs::create_dir_all(cache.repository().join("refs")).unwrap();
        fs::write(cache.repository().join("refs/main"), COMMIT).unwrap();
        for entry in fs::read_dir(golden::path("parity/model-tiny")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), cache.snapshot().join(entry.file_name())).unwrap();
        }
        cache
    }

    fn repository(&self) -> PathBuf {
        self.0.path().join("hub/models--acme--tiny")
    }

    fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    fn run(&self, code: &str, environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
        command.current_dir(self.0.path()).args(["-e", code]).env("HF_HOME", self.0.path());
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            command.env_remove(name);
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.envs(environment.iter().copied()).output().unwrap()
    }

    /// The error of loading `acme/tiny`.
    fn problem(&self, environment: &[(&str, &str)]) -> String {
        let output = self.run(LOAD, environment);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        err(&output)
    }
}

const LOAD: &str = "print(require('affine.model').load('acme/tiny'):info().source)";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server that hangs up on everybody, its address, and how often it was asked.
fn busy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (address, asked)
}

#[test]
fn a_model_that_is_whole_in_the_cache_loads_when_the_hub_cannot_be_reached() {
    let cache = Cache::new();
    let output = cache.run(&format!("{LOAD} {LOAD}"), &[("HF_ENDPOINT", NOWHERE)]);
    assert_eq!(out(&output), "acme/tiny\nacme/tiny\n", "{output:?}");
    let said = "acme/tiny: 127.0.0.1:9 cannot be reached: ";
    assert_eq!(err(&output).matches(said).count(), 1, "{}", err(&output));
    assert!(err(&output).contains("; the copy in the cache is taken: "), "{}", err(&output));
}

#[test]
fn offline_is_spelled_as_huggingface_hub_takes_it() {
    let cache = Cache::new();
    let (address, asked) = busy();
    let endpoint = ("HF_ENDPOINT", address.as_str());
    for value in ["1", "on", "YES", "True"] {
        assert_eq!(out(&cache.run(LOAD, &[endpoint, ("HF_HUB_OFFLINE", value)])), "acme/tiny\n", "{value}");
    }
    assert_eq!(out(&cache.run(LOAD, &[endpoint, ("TRANSFORMERS_OFFLINE", "1")])), "acme/tiny\n");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // The first of the two decides where it says anything.
    cache.run(LOAD, &[endpoint, ("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]);
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[test]
fn an_unreachable_proxy_is_named_without_its_password() {
    let cache = Cache::new();
    fs::remove_dir_all(cache.repository()).unwrap();
    for (endpoint, variable) in [
        ("http://hub.example", "HTTP_PROXY"),
        ("https://hub.example", "HTTPS_PROXY"),
        ("https://hub.example", "all_proxy"),
    ] {
        let text = cache.problem(&[("HF_ENDPOINT", endpoint), (variable, "http://me:secret@127.0.0.1:9")]);
        let wanted =
            format!("hub.example cannot be reached through the proxy http://127.0.0.1:9 (set by {variable}): ");
        assert!(text.contains(&wanted) && !text.contains("secret"), "{text}");
    }
}

#[test]
fn what_a_cache_lacks_is_named() {
    let cache = Cache::new();
    let offline = [("HF_HUB_OFFLINE", "1")];
    fs::remove_file(cache.snapshot().join("model.safetensors")).unwrap();
    let text = cache.problem(&offline);
    let wanted = format!("{COMMIT} lacks model.safetensors (an unfinished download?)");
    assert!(text.contains("the Hub is not asked (HF_HUB_OFFLINE): ") && text.contains(&wanted), "{text}");
    assert!(cache.problem(&[("HF_ENDPOINT", NOWHERE)]).contains(&wanted));

    // A shard that the index names, and a link to content that never came.
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    fs::write(cache.snapshot().join("model.safetensors.index.json"), index).unwrap();
    fs::write(cache.snapshot().join("model-00001-of-00002.safetensors"), "").unwrap();
    fs::remove_file(cache.snapshot().join("tokenizer.json")).unwrap();
    std::os::unix::fs::symlink("../../blobs/none", cache.snapshot().join("tokenizer.json")).unwrap();
    let text = cache.problem(&offline);
    assert!(text.contains("lacks model-00002-of-00002.safetensors, tokenizer.json ("), "{text}");

    fs::remove_file(cache.repository().join("refs/main")).unwrap();
    let text = cache.problem(&offline);
    assert!(
        text.contains("does not know its revision main; its folder snapshots holds ") && text.contains(COMMIT),
        "{text}"
    );
    fs::remove_dir_all(cache.repository()).unwrap();
    let text = cache.problem(&offline);
    assert!(text.contains("holds nothing of it"), "{text}");
}

/// A path in a file of settings is expanded by no shell.
#[test]
fn the_cache_is_found_as_huggingface_hub_finds_it() {
    let cache = Cache::new();
    let home = cache.0.path().to_str().unwrap();
    let hub = cache.0.path().join("hub");
    for places in [
        [("HF_HUB_CACHE", hub.to_str().unwrap()), ("HF_HOME", "/nowhere")],
        [("HUGGINGFACE_HUB_CACHE", hub.to_str().unwrap()), ("HF_HOME", "/nowhere")],
        [("HF_HOME", "~"), ("HOME", home)],
        [("HF_HUB_CACHE", "~/hub"), ("HOME", home)],
    ] {
        let output = cache.run(LOAD, &[&places[..], &[("HF_HUB_OFFLINE", "1")]].concat());
        assert_eq!(out(&output), "acme/tiny\n", "{places:?} {output:?}");
    }
}

#[test]
fn a_model_of_the_hub_is_called_by_its_id_and_commit_everywhere() {
    let cache = Cache::new();
    let by_path = cache.snapshot().display().to_string();
    std::os::unix::fs::symlink(cache.snapshot(), cache.0.path().join("link")).unwrap();
    let code = |path: &str| {
        format!(
            "local m = require('affine.model').load('{path}')
             print(m:info().source, m:info().revision)
             m:add_lora {{ lora_r = 2 }}
             m:save_adapter('adapter')
             m:merge_lora()
             print(m:info().source, m:info().revision)"
        )
    };
    let offline = [("HF_HUB_OFFLINE", "1")];
    for path in ["acme/tiny", &by_path, "link"] {
        let output = cache.run(&code(path), &offline);
        let wanted = format!("acme/tiny\t{COMMIT}\nacme/tiny with an adapter merged into it\tnil\n");
        assert_eq!(out(&output), wanted, "{path} {output:?}");
        let config = document(&cache.0.path().join("adapter/adapter_config.json"));
        assert_eq!(config["base_model_name_or_path"], "acme/tiny");
        assert_eq!(config["revision"], COMMIT);
    }
    // The adapter's base is found by that name, at that commit.
    fs::write(cache.repository().join("refs/main"), "f".repeat(40)).unwrap();
    let output = cache.run("print(require('affine.model').load('adapter'):info().source)", &offline);
    assert_eq!(out(&output), "acme/tiny\n", "{output:?}");
}

fn document(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
