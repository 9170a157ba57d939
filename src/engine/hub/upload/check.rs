//! Whether a folder is fit to be published: what has to be there, what must not be, and what others will refuse.

use std::path::Path;

use serde_json::Value;

use crate::engine::{Error, Result, file};

/// What a repository of a model holds, as patterns.
const BELONGS: &[&str] = &[
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "*.md",
    "*.txt",
    "*.model",
    "*.png",
    "*.jpg",
    "*.svg",
    "*.yaml",
    "LICENSE*",
    "NOTICE*",
    ".gitattributes",
];

/// What a run keeps beside its model, as patterns, and what it is.
const STAYS: &[(&str, &str)] = &[
    ("checkpoint-*/*", "a checkpoint"),
    ("*/checkpoint-*/*", "a checkpoint"),
    ("optimizer*", "the state of an optimizer"),
    ("*/optimizer*", "the state of an optimizer"),
    ("trainer_state*.json", "the state of a trainer"),
    ("*/trainer_state*.json", "the state of a trainer"),
    ("value_head*", "the value head of PPO"),
    ("*.jsonl*", "data"),
    ("*.parquet", "data"),
    ("*.csv", "data"),
    ("stage.json", "a note of the pipeline"),
    (".env*", "settings with secrets"),
    ("*.log", "a log"),
    ("*.pem", "a key"),
    ("*.incomplete", "an unfinished download"),
    (".writing-*", "an unfinished file"),
];

/// What vLLM takes as the rank of an adapter, by its documentation.
const RANKS: &[u64] = &[1, 8, 16, 32, 64, 128, 256, 320, 512];

/// The smallest `--max-lora-rank` of vLLM that an adapter fits in; nothing where it takes no such adapter.
pub fn vllm_rank(rank: u64) -> Option<u64> {
    RANKS.iter().copied().find(|most| rank <= *most)
}

/// Refuses a folder that should not be published as it is; tells what to know of one that may be.
///
/// `names` are its files; `chosen` whether they were named by the user, who may send what usually stays out.
pub fn check(folder: &Path, names: &[String], chosen: bool) -> Result<Vec<String>> {
    check_strangers(folder, names, chosen)?;
    let has = |name: &str| names.iter().any(|there| there == name);
    let mut warnings = Vec::new();
    if has("config.json") {
        check_model(folder, names)?;
        if has("adapter_config.json") {
            let hint = "publish the merged model and the adapter in repositories of their own";
            let sentence = "it holds a whole model and an adapter, and others would load both, one on the other";
            return Err(Error::hinted(format!("{}: {sentence}", folder.display()), hint));
        }
    } else if has("adapter_config.json") {
        warnings = check_adapter(folder, names)?;
    } else {
        let sentence = "it holds no model: there is no config.json and no adapter_config.json";
        return Err(Error::hinted(format!("{}: {sentence}", folder.display()), "name the folder that deploy wrote"));
    }
    check_licence(folder, names)?;
    Ok(warnings)
}

/// Files that do not belong.
fn check_strangers(folder: &Path, names: &[String], chosen: bool) -> Result<()> {
    for name in names {
        let stays = STAYS.iter().find(|(pattern, _)| is_like(name, pattern));
        if let Some((_, what)) = stays {
            let sentence = format!("{}: it is {what}, which does not belong to a model", folder.join(name).display());
            return Err(Error::hinted(sentence, "take it out of the folder, or say which files to send (files)"));
        }
        if !chosen && !BELONGS.iter().any(|pattern| is_like(name, pattern)) {
            let sentence = format!("{}: models have no such file", folder.join(name).display());
            return Err(Error::hinted(sentence, "take it out of the folder, or say which files to send (files)"));
        }
    }
    Ok(())
}

/// Whether a file holds weights, by its name.
pub fn is_weights(name: &str) -> bool {
    [".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx"].iter().any(|ending| name.ends_with(ending))
}

/// What decides how a repository's model is loaded. A file of these that stays from an earlier model would be loaded in
/// place of this one's, or beside it.
const OF_MODEL: &[&str] = &[
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "model*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model*.bin.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
];

pub fn is_of_model(name: &str) -> bool {
    !name.contains('/') && OF_MODEL.iter().any(|pattern| is_like(name, pattern))
}

fn is_like(name: &str, pattern: &str) -> bool {
    globset::Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// What transformers needs to load a model and to talk to it.
fn check_model(folder: &Path, names: &[String]) -> Result<()> {
    let has = |name: &str| names.iter().any(|there| there == name);
    let lacks =
        |name: &str, hint: &str| Err(Error::hinted(format!("{}: it lacks {name}", folder.display()), hint.to_string()));
    if !has("model.safetensors") && !has("model.safetensors.index.json") {
        return lacks("model.safetensors", "save the model there (model:save), or name the folder that deploy wrote");
    }
    if !has("tokenizer.json") || !has("tokenizer_config.json") {
        let lacking = if has("tokenizer.json") { "tokenizer_config.json" } else { "tokenizer.json" };
        return lacks(lacking, "save the tokenizer there (model:tokenizer():save)");
    }
    if !has("generation_config.json") {
        return lacks(
            "generation_config.json",
            "without its end tokens others would not stop: copy the base's, or save the model again",
        );
    }
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        document(&folder.join(name))?;
    }
    let index = folder.join("model.safetensors.index.json");
    if index.exists() {
        let index = document(&index)?;
        let shards = index["weight_map"].as_object().into_iter().flat_map(|map| map.values()).filter_map(Value::as_str);
        if let Some(shard) = shards.into_iter().find(|shard| !has(shard)) {
            return lacks(shard, "its index names it: save the model again");
        }
    }
    Ok(())
}

/// What PEFT needs, and what vLLM will refuse.
fn check_adapter(folder: &Path, names: &[String]) -> Result<Vec<String>> {
    if !names.iter().any(|name| name == "adapter_model.safetensors") {
        let sentence = format!("{}: it lacks adapter_model.safetensors", folder.display());
        return Err(Error::hinted(sentence, "save the adapter there (model:save_adapter)"));
    }
    let path = folder.join("adapter_config.json");
    let config = document(&path)?;
    let base = config["base_model_name_or_path"].as_str().unwrap_or_default();
    if !super::super::is_id(base) || Path::new(base).exists() {
        let sentence = format!("{}: the adapter's base is {base:?}, which nobody else has", path.display());
        let hint = "publish the model below it first, then name that: huggingface.adapter_base = \"OWNER/NAME\"";
        return Err(Error::hinted(sentence, hint));
    }
    Ok(vllm_refuses(&config))
}

/// As vLLM's documentation has it; nobody tried it here.
fn vllm_refuses(config: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let rank = config["r"].as_u64().unwrap_or_default();
    if !RANKS.contains(&rank) {
        let ranks = RANKS.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        warnings.push(format!("vLLM takes adapters of these ranks, and this one has {rank}: {ranks}"));
    }
    if config["modules_to_save"].as_array().is_some_and(|modules| !modules.is_empty()) {
        warnings.push("vLLM takes no adapter with modules_to_save: whole layers beside the low-rank ones".to_string());
    }
    let targets = config["target_modules"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for module in targets.filter(|module| ["embed_tokens", "lm_head"].contains(module)) {
        warnings.push(format!("vLLM takes no adapter of {module} in a Qwen3 model"));
    }
    if config["use_dora"].as_bool() == Some(true) {
        warnings.push("vLLM takes no DoRA adapter".to_string());
    }
    warnings
}

/// A card that names a licence, or a file with one.
fn check_licence(folder: &Path, names: &[String]) -> Result<()> {
    if names.iter().any(|name| name.starts_with("LICENSE")) {
        return Ok(());
    }
    let card = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let front_matter = card.strip_prefix("---").and_then(|rest| rest.split_once("\n---")).map_or("", |(yaml, _)| yaml);
    let licence = front_matter.lines().find_map(|line| line.strip_prefix("license:"));
    if licence.is_some_and(|licence| !licence.trim().is_empty()) {
        return Ok(());
    }
    let sentence = "it says nothing of a licence: neither the card (license: in README.md) nor a file LICENSE";
    let hint = "set huggingface.license and let deploy write the card, or put a file LICENSE there";
    Err(Error::hinted(format!("{}: {sentence}", folder.display()), hint))
}

fn document(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(|error| file::unreadable(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::file(path, format!("it is no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A folder with these files, each `{}`, but for those with a text of their own.
    fn folder(names: &[&str]) -> (tempfile::TempDir, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let (name, text) = name.split_once('=').unwrap_or((name, "{}"));
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        (folder, names.iter().map(|name| name.split('=').next().unwrap().to_string()).collect())
    }

    const MODEL: [&str; 6] = [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "README.md=---\nlicense: mit\n---\n",
    ];

    fn problem(names: &[&str]) -> String {
        let (folder, names) = folder(names);
        let text = check(folder.path(), &names, false).unwrap_err().to_string();
        text.replace(&folder.path().display().to_string(), "F")
    }

    #[test]
    fn a_model_needs_what_others_load() {
        let (whole, names) = folder(&MODEL);
        assert_eq!(check(whole.path(), &names, false).unwrap(), Vec::<String>::new());
        for (lacking, wanted) in [
            ("config.json", "F: it holds no model: there is no config.json and no adapter_config.json"),
            ("model.safetensors", "F: it lacks model.safetensors"),
            ("tokenizer.json", "F: it lacks tokenizer.json"),
            ("tokenizer_config.json", "F: it lacks tokenizer_config.json"),
            ("generation_config.json", "F: it lacks generation_config.json"),
        ] {
            let names: Vec<_> = MODEL.into_iter().filter(|name| *name != lacking).collect();
            assert_eq!(problem(&names), wanted);
        }
        let mut without = MODEL.to_vec();
        without[5] = "README.md=---\nlanguage: en\n---\nlicense: mit\n";
        assert!(problem(&without).starts_with("F: it says nothing of a licence"));
        without[5] = "LICENSE=MIT";
        let (whole, names) = folder(&without);
        check(whole.path(), &names, false).unwrap();
        without[0] = "config.json=";
        assert!(problem(&without).starts_with("F/config.json: it is no JSON: EOF"));
    }

    #[test]
    fn all_shards_of_an_index_are_there() {
        let mut names = MODEL.to_vec();
        names[1] = r#"model.safetensors.index.json={"weight_map": {"a": "model-00001-of-00002.safetensors"}}"#;
        assert_eq!(problem(&names), "F: it lacks model-00001-of-00002.safetensors");
    }

    #[test]
    fn what_a_run_keeps_stays_out() {
        for (name, wanted) in [
            ("checkpoint-10/model.safetensors", "a checkpoint"),
            ("optimizer.safetensors", "the state of an optimizer"),
            ("train.jsonl", "data"),
            (".env", "settings with secrets"),
            ("stage.json", "a note of the pipeline"),
        ] {
            let names = [&MODEL[..], &[name]].concat();
            assert_eq!(problem(&names), format!("F/{name}: it is {wanted}, which does not belong to a model"));
        }
        let names = [&MODEL[..], &["weights.bin"]].concat();
        assert_eq!(problem(&names), "F/weights.bin: models have no such file");
        let (named, names) = folder(&names);
        check(named.path(), &names, true).unwrap();
    }

    #[test]
    fn an_adapter_names_a_base_that_others_have() {
        let adapter = |config: Value| {
            let config = format!("adapter_config.json={config}");
            let (folder, names) = folder(&[&config, "adapter_model.safetensors", "LICENSE"]);
            check(folder.path(), &names, false).map_err(|error| error.to_string())
        };
        let base = "Qwen/Qwen3-4B";
        assert_eq!(adapter(json!({"base_model_name_or_path": base, "r": 16})).unwrap(), Vec::<String>::new());
        let unknown = adapter(json!({"base_model_name_or_path": "nobody/makes-such-a-folder", "r": 16, "x": "/"}));
        assert!(unknown.is_ok(), "it looks like an id, and no such folder is here: {unknown:?}");
        let told = adapter(json!({"base_model_name_or_path": "src/engine", "r": 16})).unwrap_err();
        assert!(told.ends_with("the adapter's base is \"src/engine\", which nobody else has"), "{told}");
        let told = adapter(json!({"base_model_name_or_path": "/home/me/base", "r": 16})).unwrap_err();
        assert!(told.ends_with("the adapter's base is \"/home/me/base\", which nobody else has"), "{told}");
        let warnings = adapter(json!({
            "base_model_name_or_path": base, "r": 24, "modules_to_save": ["lm_head"], "target_modules": ["q_proj", "lm_head"],
        }));
        let warnings = warnings.unwrap();
        assert!(warnings[0].ends_with("this one has 24: 1, 8, 16, 32, 64, 128, 256, 320, 512"), "{warnings:?}");
        assert_eq!(warnings.len(), 3);
    }
}
