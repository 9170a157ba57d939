//! Models in one file and in shards: memory while loading, what is written, what is refused, a kill at any moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use affine::engine::model::{Model, ModelConfig, SaveOptions};
use affine::engine::tensor::safetensors;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use super::cli::{affine, code, stderr, stdout};
use super::toys::{model, model_with, numbers};

const INDEX: &str = "model.safetensors.index.json";

/// The tiny model of `seed` in shards of at most `bytes`.
fn save(folder: &Path, seed: u64, bytes: i64) {
    model_with(seed, 128).save_with(folder, &SaveOptions { max_shard_size: bytes }).unwrap();
}

fn sharded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), 1, 20_000);
    folder
}

fn load(folder: &Path) -> Result<Model, String> {
    Model::load(folder, None, Device::Cpu).map_err(|error| error.to_string())
}

fn refusal(folder: &Path) -> String {
    load(folder).err().expect("such a folder must be refused")
}

fn document(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Changes a JSON file.
fn edit(path: PathBuf, change: impl FnOnce(&mut Value)) {
    let mut value = document(&path);
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// The names of the weight files, sorted.
fn weight_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| name.contains("safetensors") || name.starts_with('.')).collect();
    names.sort();
    names
}

/// Reads the tensors of one weight file, changes them, and writes them again.
fn rewrite(path: PathBuf, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let mut tensors: BTreeMap<String, Tensor> = safetensors::read(&path).unwrap().into_iter().collect();
    change(&mut tensors);
    safetensors::write(path, &tensors.into_iter().collect::<Vec<_>>()).unwrap();
}

/// 50 million parameters: 200 MB in float32, tensors of at most 4 MB, in shards of at most 32 MB. In a process of its
/// own, which has loaded a tiny model before, so that libtorch's own pages are there: the kernel's high-water mark of
/// resident memory is reset, the model loaded, the mark read. What is above the parameters, mapped pages included,
/// stays below the largest shard plus 10 %, also where every tensor is converted.
#[test]
fn loading_takes_little_more_memory_than_the_parameters() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("tiny")).unwrap();
    std::fs::write(
        folder.path().join("make.lua"),
        "local model = require 'affine.model'
        local m <close> = model.create { tokenizer = model.load('tiny'):tokenizer(), hidden_size = 512,
          intermediate_size = 2048, num_hidden_layers = 12, num_attention_heads = 8, num_key_value_heads = 4,
          head_dim = 64, device = 'cpu' }
        m:save('large', { max_shard_size = 32 * 1000 * 1000 })",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("load.lua"),
        "local model, json = require 'affine.model', require 'affine.json'
        local options = { dtype = arg[1], device = 'cpu', quantize = arg[2], double_quantize = arg[2] == 'nf4' }
        model.load('tiny', options):logprobs { 1, 2, 3 }
        local function bytes(name)
          for line in io.lines '/proc/self/status' do
            local kib = line:match('^' .. name .. ':%s+(%d+) kB')
            if kib then return 1024 * kib end
          end
        end
        local reset <close> = assert(io.open('/proc/self/clear_refs', 'w'))
        assert(reset:write '5' and reset:flush())
        local before = bytes 'VmHWM'
        local m <close> = model.load('large', options)
        local quantization = m:info().quantization or { bytes = 0, plain_bytes = 0 }
        print(json.encode { peak = bytes 'VmHWM' - before, parameters = m:info().parameters,
          saved = quantization.plain_bytes - quantization.bytes })",
    )
    .unwrap();
    let run = |args: &[&str]| {
        let output = affine().current_dir(folder.path()).args(args).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        output
    };
    run(&["make.lua"]);
    let shards = weight_files(&folder.path().join("large"));
    let sizes = shards.iter().map(|name| folder.path().join("large").join(name).metadata().unwrap().len());
    let largest = sizes.max().unwrap() as f64;
    assert!(shards.len() > 6 && largest < 33e6, "{shards:?}");
    // What quantising saves of 50 million numbers in 50.3 MB: nearly all of them are in projections.
    for (dtype, bytes, quantize, share) in [
        ("float32", 4.0, "", 1.0),
        ("bfloat16", 2.0, "", 1.0),
        ("bfloat16", 2.0, "int8", 0.54),
        ("bfloat16", 2.0, "nf4", 0.27),
    ] {
        // The mark holds mapped pages too, of which the kernel keeps more or fewer: the least of some runs tells.
        let runs = (0..4).map(|_| {
            let arguments = ["load.lua", dtype, quantize];
            let output = run(&arguments[..if quantize.is_empty() { 2 } else { 3 }]);
            (serde_json::from_str::<Value>(&stdout(&output)).unwrap(), output)
        });
        let (told, output) = runs.min_by_key(|(told, _)| told["peak"].as_u64()).unwrap();
        let plain = bytes * told["parameters"].as_f64().unwrap();
        let parameters = plain - told["saved"].as_f64().unwrap();
        assert!(parameters < share * plain + 1.0, "{quantize}: {parameters} of {plain}");
        let beyond = told["peak"].as_f64().unwrap() - parameters;
        assert!(plain > 90e6, "{told}");
        assert!(
            beyond < 1.1 * largest,
            "{dtype} {quantize}: {beyond} bytes beyond the parameters, the largest shard has {largest}"
        );
        // The mark is a mark: the parameters themselves are in it.
        assert!(beyond > -0.1 * parameters, "{dtype} {quantize}: {told}");
        // Where no person watches, the progress is a line.
        let line = "loading large (0.2 GB), tensors: 134/134 in ";
        assert!(stderr(&output).contains(line), "{}", stderr(&output));
    }
}

#[test]
fn shards_hold_the_model_to_the_last_bit_and_transformers_index_says_where() {
    let folder = sharded();
    assert_eq!(numbers(&load(folder.path()).unwrap()), numbers(&model()));

    let index = document(&folder.path().join(INDEX));
    let numbers = model().parameters();
    assert_eq!(index["metadata"], json!({ "total_parameters": numbers, "total_size": 4 * numbers }));
    let map = index["weight_map"].as_object().unwrap();
    let files = weight_files(folder.path());
    let count = files.len() - 1;
    assert!(count >= 3, "{files:?}");
    for (i, file) in files[..count].iter().enumerate() {
        assert_eq!(*file, format!("model-{:05}-of-{count:05}.safetensors", i + 1));
        let tensors = safetensors::read(folder.path().join(file)).unwrap();
        assert!(tensors.iter().all(|(name, _)| map[name] == json!(file)));
        let bytes: usize = tensors.iter().map(|(_, tensor)| 4 * tensor.numel()).sum();
        assert!(bytes <= 20_000 || tensors.len() == 1, "{file}: {bytes}");
    }
    assert_eq!(map.len(), model().net.weights().len());
}

#[test]
fn saving_again_leaves_nothing_of_the_other_form() {
    let folder = tempfile::tempdir().unwrap();
    for (seed, bytes, files) in
        [(1, 20_000, 7), (2, 1 << 40, 1), (3, 60_000, 3), (4, 20_000, 7), (5, 20_000, 7), (6, 1, 25)]
    {
        save(folder.path(), seed, bytes);
        assert_eq!(numbers(&load(folder.path()).unwrap()), numbers(&model_with(seed, 128)), "{seed}");
        assert_eq!(weight_files(folder.path()).len(), files, "{bytes}: {:?}", weight_files(folder.path()));
    }
    let error = model().save_with(folder.path(), &SaveOptions { max_shard_size: 0 }).unwrap_err().to_string();
    assert_eq!(error, "max_shard_size: expected a number of bytes of at least 1, got 0");
}

/// A process saves two models in turn into one folder and is killed with SIGKILL at some moment. What loads then is one
/// of the two, whole; or the folder says that it has no index.
#[test]
fn a_kill_while_saving_never_leaves_a_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    save(&path("one"), 1, 1 << 40);
    save(&path("two"), 2, 1 << 40);
    save(&path("out"), 1, 1 << 40);
    let known = [1, 2].map(|seed| numbers(&model_with(seed, 128)));
    std::fs::write(
        path("save.lua"),
        "local model = require 'affine.model'
        local one, two = model.load 'one', model.load 'two'
        print 'ready'
        while true do
          one:save('out', { max_shard_size = 20000 })
          two:save('out', { max_shard_size = 20000 })
          one:save('out')
          two:save('out', { max_shard_size = 60000 })
        end",
    )
    .unwrap();
    let mut whole = 0;
    for round in 0..10 {
        let mut saving = affine()
            .current_dir(folder.path())
            .arg("save.lua")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(saving.stdout.take().unwrap()), &mut line).unwrap();
        std::thread::sleep(Duration::from_millis(200 + 37 * round));
        saving.kill().unwrap();
        saving.wait().unwrap();
        match load(&path("out")) {
            Ok(model) => {
                assert!(known.contains(&numbers(&model)), "round {round}: a mixture");
                whole += 1;
            }
            Err(error) => assert!(error.contains("model.safetensors: cannot be read: no such file"), "{error}"),
        }
    }
    assert!(whole > 0, "no round left a model that loads");
}

#[test]
fn shards_that_are_not_what_the_index_says_are_refused() {
    let damaged = |change: &dyn Fn(&Path)| {
        let folder = sharded();
        change(folder.path());
        refusal(folder.path()).replace(&folder.path().display().to_string(), "base")
    };
    let first = "model-00001-of-00006.safetensors";
    let norm = "model.norm.weight";

    let gone = damaged(&|base| std::fs::remove_file(base.join(first)).unwrap());
    assert_eq!(
        gone,
        format!("base: 1 of the 6 files that {INDEX} names are not here: {first} (an unfinished download or copy?)")
    );
    let gone = damaged(&|base| std::fs::remove_file(base.join(INDEX)).unwrap());
    assert!(gone.ends_with(&format!("there are shards, but no {INDEX} that says what is in them")), "{gone}");
    let moved = damaged(&|base| edit(base.join(INDEX), |index| index["weight_map"][norm] = json!(first)));
    assert_eq!(
        moved,
        format!(
            "base/{first}: tensor {norm} is missing, though {INDEX} says that it is here; it is in \
             model-00006-of-00006.safetensors"
        )
    );
    let invented =
        damaged(&|base| edit(base.join(INDEX), |index| index["weight_map"]["no.such.weight"] = json!(first)));
    assert!(invented.ends_with(&format!("tensor no.such.weight is missing, though {INDEX} says that it is here")));
    let twice = damaged(&|base| {
        rewrite(base.join(first), |tensors| {
            tensors.insert(norm.to_string(), Tensor::ones([32], (Kind::Float, Device::Cpu)));
        });
    });
    assert_eq!(twice, format!("base/model-00006-of-00006.safetensors: tensor {norm} is here and in {first}"));
    let named_twice = damaged(&|base| {
        let text = std::fs::read_to_string(base.join(INDEX)).unwrap();
        let again = format!("\"weight_map\": {{\n    \"{norm}\": \"{first}\",");
        std::fs::write(base.join(INDEX), text.replace("\"weight_map\": {", &again)).unwrap();
    });
    assert_eq!(named_twice, format!("base/{INDEX}: weight_map names the tensor {norm} twice"));
    let outside = damaged(&|base| edit(base.join(INDEX), |index| index["weight_map"][norm] = json!("../secret")));
    assert_eq!(outside, format!("base/{INDEX}: tensor {norm}: expected a file of this folder, got \"../secret\""));
    let empty = damaged(&|base| edit(base.join(INDEX), |index| index["weight_map"] = json!({})));
    assert_eq!(empty, format!("base/{INDEX}: weight_map names no tensor"));
    let list = damaged(&|base| edit(base.join(INDEX), |index| index["weight_map"] = json!([])));
    assert!(list.starts_with(&format!("base/{INDEX}: expected an object `weight_map` from tensor to file")), "{list}");
    let short = damaged(&|base| {
        let bytes = std::fs::read(base.join(first)).unwrap();
        std::fs::write(base.join(first), &bytes[..bytes.len() - 1]).unwrap();
    });
    assert!(short.starts_with(&format!("base/{first}: not a whole safetensors file of ")), "{short}");
    let shape = damaged(&|base| {
        rewrite(base.join("model-00006-of-00006.safetensors"), |tensors| {
            tensors.insert(norm.to_string(), Tensor::ones([16], (Kind::Float, Device::Cpu)));
        });
    });
    assert!(shape.ends_with(&format!("tensor {norm} has the shape [16], config.json asks for [32]")), "{shape}");
}

#[test]
fn single_files_that_are_no_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        refusal(folder.path())
    };
    model().save(folder.path()).unwrap();

    let pointer = refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n");
    assert!(pointer.ends_with("a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`"), "{pointer}");
    let one = |dtype: &str, end: u8| format!(r#""a":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{end}]}}"#);
    let with_header =
        |header: String, data: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    let twice = refused(&with_header(format!("{{{},{}}}", one("F32", 4), one("F32", 4)), &[0; 4]));
    assert!(twice.ends_with("model.safetensors: tensor a is in the header twice"), "{twice}");

    model().save(folder.path()).unwrap();
    rewrite(file.clone(), |tensors| {
        tensors.insert("model.norm.weight".into(), Tensor::ones([32], (Kind::Int8, Device::Cpu)));
    });
    let integers = refusal(folder.path());
    assert!(
        integers.ends_with("tensor model.norm.weight is of Int8: expected float32, bfloat16, float16 or float64"),
        "{integers}"
    );
    let header = r#"{"model.embed_tokens.weight":{"dtype":"F8_E4M3","shape":[90000],"data_offsets":[0,90000]}}"#;
    let eight = folder.path().join("model.safetensors");
    std::fs::write(eight, with_header(header.to_string(), &[0; 90000])).unwrap();
    let eight = refusal(folder.path());
    assert!(eight.ends_with("has the dtype F8_E4M3, which is not supported"), "{eight}");

    std::fs::remove_file(&file).unwrap();
    std::fs::write(folder.path().join("pytorch_model.bin"), b"").unwrap();
    assert!(refusal(folder.path()).contains("save the model from transformers as safetensors"));
}

/// Of weights stored in float32: what is asked for counts, then what config.json names, then what is stored.
#[test]
fn the_dtype_is_the_callers_else_the_configurations_else_the_files() {
    let folder = sharded();
    let config = folder.path().join("config.json");
    let kind = |asked| Model::load(folder.path(), asked, Device::Cpu).map(|model| model.net.kind()).unwrap();
    assert_eq!(kind(None), Kind::Float);
    for (asked, tolerance) in [(Kind::BFloat16, 2f64.powi(-8)), (Kind::Half, 2f64.powi(-11)), (Kind::Double, 1e-30)] {
        let loaded = Model::load(folder.path(), Some(asked), Device::Cpu).unwrap();
        for ((name, got), (_, wanted)) in loaded.net.weights().iter().zip(model().net.weights()) {
            assert_eq!(got.kind(), asked, "{name}");
            let apart = (got.to_kind(Kind::Double) - wanted.to_kind(Kind::Double)).abs();
            let allowed = wanted.to_kind(Kind::Double).abs() * tolerance + 1e-7;
            assert!(bool::try_from(apart.le_tensor(&allowed).all()).unwrap(), "{asked:?}: {name}");
        }
    }
    // transformers 4 and 5 spell it differently; of both, `dtype` counts.
    edit(config.clone(), |config| config["torch_dtype"] = json!("float16"));
    assert_eq!((kind(None), kind(Some(Kind::Float))), (Kind::Half, Kind::Float));
    edit(config.clone(), |config| config["dtype"] = json!("bfloat16"));
    assert_eq!(kind(None), Kind::BFloat16);
    edit(config.clone(), |config| {
        config.as_object_mut().unwrap().retain(|key, _| !key.contains("dtype"));
    });
    assert_eq!(kind(None), Kind::Float);
    edit(config, |config| config["dtype"] = json!("float8_e4m3fn"));
    let error = refusal(folder.path());
    assert!(error.contains("config.json: dtype: expected \"float32\""), "{error}");
}

/// One stray float32 norm among bfloat16 weights, as some fine-tunes have it, becomes what the others are.
#[test]
fn files_of_several_dtypes_load_as_one() {
    let folder = sharded();
    let loaded = Model::load(folder.path(), Some(Kind::BFloat16), Device::Cpu).unwrap();
    loaded.save(folder.path()).unwrap();
    edit(folder.path().join("config.json"), |config| config["torch_dtype"] = Value::Null);
    rewrite(folder.path().join("model.safetensors"), |tensors| {
        let wide = tensors["model.norm.weight"].to_kind(Kind::Float);
        tensors.insert("model.norm.weight".into(), wide);
    });
    let again = load(folder.path()).unwrap();
    assert!(again.net.weights().iter().all(|(_, tensor)| tensor.kind() == Kind::BFloat16));
    assert_eq!(again.logprobs(&[1, 2, 3, 4], 1.0).unwrap(), loaded.logprobs(&[1, 2, 3, 4], 1.0).unwrap());
}

#[test]
fn a_tied_head_may_be_under_either_name_or_both_if_they_agree() {
    let (head, embedding) = ("lm_head.weight", "model.embed_tokens.weight");
    let with = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let folder = tempfile::tempdir().unwrap();
        model().save(folder.path()).unwrap();
        rewrite(folder.path().join("model.safetensors"), |tensors| {
            assert!(!tensors.contains_key(head));
            change(tensors);
        });
        folder
    };
    let both = with(&|tensors| {
        tensors.insert(head.into(), tensors[embedding].copy());
    });
    let under_the_head = with(&|tensors| {
        let tensor = tensors.remove(embedding).unwrap();
        tensors.insert(head.into(), tensor);
    });
    for folder in [&both, &under_the_head] {
        let loaded = load(folder.path()).unwrap();
        assert!(loaded.net.head.is_none());
        assert_eq!(numbers(&loaded), numbers(&model()));
    }
    let different = with(&|tensors| {
        tensors.insert(head.into(), &tensors[embedding] * 2.0);
    });
    let error = refusal(different.path());
    assert!(error.contains("lm_head.weight differs from model.embed_tokens.weight"), "{error}");

    // Said to be its own, the head must be there, and then counts.
    let own = |config: &mut Value| config["tie_word_embeddings"] = json!(false);
    edit(different.path().join("config.json"), own);
    let loaded = load(different.path()).unwrap();
    let doubled = &loaded.net.embedding.tensor * 2.0;
    assert!(loaded.net.head.as_ref().is_some_and(|head| head.tensor.equal(&doubled)));
    let without = with(&|_| {});
    edit(without.path().join("config.json"), own);
    let error = Model::load(without.path(), None, Device::Cpu).err().unwrap();
    assert!(error.to_string().contains("tensor lm_head.weight is missing"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("\"tie_word_embeddings\": true")));
}

/// The same model in the words of transformers 4 and 5; what each means is refused or honoured, never overlooked.
#[test]
fn both_spellings_of_the_configuration_are_read() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path()).unwrap();
    let written = document(&folder.path().join("config.json"));
    let read = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut document = written.as_object().unwrap().clone();
        for key in ["rope_theta", "rope_scaling", "torch_dtype"] {
            document.remove(key);
        }
        change(&mut document);
        ModelConfig::from_document(document).map_err(|error| error.to_string())
    };
    let theta = |key: &str, value: Value| {
        read(&|config| {
            config.insert(key.into(), value.clone());
        })
        .map(|config| config.rope_theta)
    };
    assert_eq!(theta("rope_theta", json!(5e5)), Ok(5e5));
    assert_eq!(theta("rope_parameters", json!({ "rope_theta": 5e5, "rope_type": "default" })), Ok(5e5));
    assert_eq!(theta("rope_scaling", json!({ "rope_theta": 5e5, "type": "default" })), Ok(5e5));
    assert_eq!(theta("rope_scaling", Value::Null), Ok(1e4));
    for key in ["rope_scaling", "rope_parameters"] {
        let error = theta(key, json!({ "rope_type": "yarn", "factor": 4.0 })).unwrap_err();
        assert_eq!(error, format!("{key}.rope_type: expected \"default\", got \"yarn\""));
    }
    let error = theta("layer_types", json!(["full_attention", "sliding_attention"])).unwrap_err();
    assert_eq!(error, "layer_types: expected \"full_attention\" in every layer, got \"sliding_attention\"");
    let error = theta("quantization_config", json!({ "quant_method": "gptq" })).unwrap_err();
    assert!(error.starts_with("quantization_config: expected none"), "{error}");
    assert_eq!(
        theta("tie_word_embeddings", json!("yes")).unwrap_err(),
        "tie_word_embeddings: expected true or false, got \"yes\""
    );
    for key in ["dtype", "torch_dtype"] {
        let config = read(&|config| {
            config.insert(key.into(), json!("bfloat16"));
        });
        assert_eq!(config.unwrap().dtype, Some(Kind::BFloat16));
    }
}
