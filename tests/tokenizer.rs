//! The tokenizer against transformers, its files, and the training of a new one.

use affine::engine::text::{Message, Tokenizer};
use serde_json::{Map, Value, json};

use super::golden;

fn ids(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A folder with these files, and the error of loading it.
fn load_error(files: &[(&str, &[u8])]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let error = Tokenizer::load(folder.path()).err().unwrap().to_string();
    error.replace(&folder.path().display().to_string(), "DIR")
}

fn tiny_json() -> Vec<u8> {
    std::fs::read(golden::path("parity/model-tiny/tokenizer.json")).unwrap()
}

#[test]
fn ids_and_texts_equal_those_of_transformers() {
    for name in ["tiny", "odd"] {
        let tokenizer = Tokenizer::load(golden::path(&format!("parity/model-{name}"))).unwrap();
        let reference = golden::json(&format!("parity/reference-{name}/reference.json"));
        let cases = reference["tokenizer"].as_array().unwrap();
        assert!(cases.len() >= 7);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let encoded = tokenizer.encode(text).unwrap();
            assert_eq!(encoded, ids(&case["ids"]), "{text:?}");
            assert_eq!(tokenizer.decode(&encoded, false).unwrap(), case["decoded"].as_str().unwrap());
        }
        assert_eq!(tokenizer.vocab_size(), 512);
        assert_eq!(tokenizer.eos_ids(), [488, 486]);
        assert_eq!(tokenizer.pad_id(), 486);
        assert_eq!(tokenizer.end_of_turn_id().unwrap(), 488);
        assert_eq!((tokenizer.id("<|im_end|>"), tokenizer.id("nothing")), (Some(488), None));
        assert_eq!(
            (tokenizer.token(488).as_deref(), tokenizer.token(512), tokenizer.token(-1)),
            (Some("<|im_end|>"), None, None)
        );
    }
}

#[test]
fn decoding_can_leave_special_tokens_out_and_refuses_negative_ids() {
    let tokenizer = Tokenizer::load(golden::path("parity/model-tiny")).unwrap();
    let encoded = tokenizer.encode("a<|im_end|>b").unwrap();
    assert_eq!(tokenizer.decode(&encoded, true).unwrap(), "ab");
    assert_eq!(tokenizer.decode(&encoded, false).unwrap(), "a<|im_end|>b");
    // A padded embedding can produce ids that have no token.
    assert_eq!(tokenizer.decode(&[64, 600], false).unwrap(), "a");
    let error = tokenizer.decode(&[64, -3], false).unwrap_err().to_string();
    assert_eq!(error, "cannot decode token id -3: expected one from 0 to 511");
}

#[test]
fn saving_writes_back_every_byte_that_was_read() {
    let from = golden::path("parity/model-tiny");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("a/b");
    Tokenizer::load(&from).unwrap().save(&to).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["generation_config.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
    );
    for name in names {
        assert_eq!(std::fs::read(from.join(&name)).unwrap(), std::fs::read(to.join(&name)).unwrap(), "{name:?}");
    }
}

/// The recorded model's tokenizer files with these JSON keys changed; no file where the change is null.
fn changed(changes: &[(&str, Value)]) -> (tempfile::TempDir, Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden::path("parity/model-tiny")).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().ends_with(".safetensors") {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    for (name, change) in changes {
        let path = folder.path().join(name);
        if change.is_null() {
            std::fs::remove_file(&path).unwrap();
            continue;
        }
        let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for (key, value) in change.as_object().unwrap() {
            document[key] = value.clone();
        }
        std::fs::write(&path, document.to_string()).unwrap();
    }
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    (folder, tokenizer)
}

/// generation_config.json as it is saved.
fn saved_generation(tokenizer: &Tokenizer) -> Value {
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path()).unwrap();
    serde_json::from_slice(&std::fs::read(folder.path().join("generation_config.json")).unwrap()).unwrap()
}

#[test]
fn the_saved_generation_config_names_the_token_that_ends_a_turn() {
    let base = json!({ "eos_token_id": 486 });
    let with_both = [("generation_config.json", base.clone()), ("config.json", base.clone())];
    let saved = saved_generation(&changed(&with_both).1);
    assert_eq!(saved["eos_token_id"], json!([486, 488]));
    assert_eq!((&saved["pad_token_id"], &saved["temperature"]), (&json!(486), &json!(0.6)));
    // transformers takes config.json's where there is no such file, and none where the file names none.
    let saved = saved_generation(&changed(&[("generation_config.json", json!(null)), ("config.json", base.clone())]).1);
    assert_eq!(saved, json!({ "bos_token_id": 486, "eos_token_id": [486, 488], "pad_token_id": 486 }));
    let saved = saved_generation(
        &changed(&[("generation_config.json", json!({ "eos_token_id": null })), ("config.json", base.clone())]).1,
    );
    assert_eq!(saved["eos_token_id"], json!([486, 488]));
    // What is read back stops at both.
    let folder = tempfile::tempdir().unwrap();
    changed(&with_both).1.save(folder.path()).unwrap();
    assert_eq!(Tokenizer::load(folder.path()).unwrap().eos_ids(), [486, 488]);
}

#[test]
fn a_generation_config_stays_as_it_is_where_no_token_ends_a_turn() {
    let base = json!({ "eos_token_id": 486, "note": "mine" });
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    for template in [json!(plain), json!(null)] {
        let (_folder, tokenizer) = changed(&[
            ("generation_config.json", base.clone()),
            ("tokenizer_config.json", json!({ "chat_template": template })),
        ]);
        assert_eq!(saved_generation(&tokenizer)["eos_token_id"], json!(486));
    }
}

#[test]
fn end_tokens_are_found_where_transformers_looks() {
    let load = |files: &[(&str, Value)]| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), tiny_json()).unwrap();
        for (name, value) in files {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        }
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        (tokenizer.eos_ids().to_vec(), tokenizer.pad_id())
    };
    let generation = ("generation_config.json", json!({ "eos_token_id": 486, "pad_token_id": 487 }));
    let model = ("config.json", json!({ "eos_token_id": 488 }));
    let named =
        ("tokenizer_config.json", json!({ "eos_token": { "content": "<|im_end|>" }, "pad_token": "<|endoftext|>" }));
    assert_eq!(load(&[generation, model.clone(), named.clone()]), (vec![486], 487));
    assert_eq!(load(&[model.clone(), named.clone()]), (vec![488], 486));
    assert_eq!(load(&[named]), (vec![488], 486));
    assert_eq!(load(&[model]), (vec![488], 488));
}

#[test]
fn a_template_comes_from_its_own_file_or_from_the_default_of_a_list() {
    let render = |files: &[(&str, String)]| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), tiny_json()).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let template = tokenizer.template().map_err(|e| e.to_string())?;
        template.render(&[Message::user("x")], false, &Map::new()).map_err(|e| e.to_string())
    };
    let list = json!([{ "name": "tool_use", "template": "no" }, { "name": "default", "template": "d{{ eos_token }}" }]);
    let config = |template: Value| {
        let config = json!({ "eos_token": "<|im_end|>", "chat_template": template });
        ("tokenizer_config.json", config.to_string())
    };
    assert_eq!(render(&[config(list.clone())]).unwrap(), "d<|im_end|>");
    assert_eq!(render(&[config(list), ("chat_template.jinja", "own".into())]).unwrap(), "own");
    let error = render(&[config(Value::Null)]).unwrap_err();
    assert!(error.ends_with("has no chat template"), "{error}");
    let error = render(&[config("{% if %}".into())]).unwrap_err();
    assert!(error.starts_with("chat template, line 1: "), "{error}");
}

#[test]
fn broken_folders_give_one_sentence_that_names_the_file() {
    let good = tiny_json();
    assert_eq!(load_error(&[]), "DIR/tokenizer.json: no such file; a model folder needs one");
    let error = load_error(&[("tokenizer.json", &good[..1000])]);
    assert!(error.starts_with("DIR/tokenizer.json: not a tokenizer: "), "{error}");
    let error = load_error(&[("tokenizer.json", &good), ("generation_config.json", b"[1]")]);
    assert!(error.starts_with("DIR/generation_config.json: not a JSON object: "), "{error}");
    assert_eq!(
        load_error(&[("tokenizer.json", &good), ("generation_config.json", br#"{"eos_token_id": [488, 999]}"#)]),
        "DIR/generation_config.json: eos_token_id: expected the id of a token in tokenizer.json, got 999"
    );
    let error = load_error(&[("tokenizer.json", &good)]);
    assert!(error.starts_with("DIR/generation_config.json: no eos_token_id here"), "{error}");
    let error = load_error(&[("tokenizer.json", &good), ("tokenizer_config.json", br#"{"eos_token": "<eos>"}"#)]);
    assert_eq!(error, "DIR/tokenizer_config.json: eos_token: `<eos>` is no token of tokenizer.json");
    let list = br#"{"eos_token": "<|im_end|>", "chat_template": [{"name": "rag", "template": ""}]}"#;
    let error = load_error(&[("tokenizer.json", &good), ("tokenizer_config.json", list)]);
    assert_eq!(error, "DIR/tokenizer_config.json: chat_template: none in the list is named `default`");
}

/// Words of unequal and of equal frequency, runs that tokenise to themselves, and special tokens.
fn corpus() -> Vec<String> {
    let words = ["north", "south", "east", "west", "take", "open the door", "日本語", "------", "0101", "    x\n\n"];
    let line = |i: usize| {
        let pick = |k: usize| words[(i * 7 + k * k + i / 3) % words.len()];
        format!("<|im_start|>user\n{} {}{}\n{}<|im_end|>\n", pick(1), pick(2), pick(3), "-".repeat(i % 13))
    };
    (0..200).map(line).collect()
}

fn bytes(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path()).unwrap();
    let names = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"];
    names.iter().map(|name| std::fs::read(folder.path().join(name)).unwrap()).collect()
}

#[test]
fn the_same_texts_give_the_same_tokenizer_in_any_order_and_on_any_number_of_threads() {
    let texts = corpus();
    let first = bytes(&Tokenizer::train(&texts, 320).unwrap());
    let reversed: Vec<&String> = texts.iter().rev().collect();
    for threads in [true, false] {
        tokenizers::utils::parallelism::set_parallelism(threads);
        for _ in 0..5 {
            assert!(first == bytes(&Tokenizer::train(&texts, 320).unwrap()), "parallel: {threads}");
            assert!(first == bytes(&Tokenizer::train(&reversed, 320).unwrap()), "reversed, parallel: {threads}");
        }
    }
    tokenizers::utils::parallelism::set_parallelism(true);
}

#[test]
fn a_trained_tokenizer_is_built_as_qwens() {
    let tokenizer = Tokenizer::train(&corpus(), 300).unwrap();
    assert_eq!(tokenizer.vocab_size(), 300);
    let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(|token| tokenizer.id(token).unwrap());
    assert_eq!(special, [297, 298, 299]);
    assert_eq!((tokenizer.eos_ids(), tokenizer.pad_id()), (&[299, 297][..], 297));
    assert_eq!(tokenizer.end_of_turn_id().unwrap(), 299);

    // Any text survives, normalised to NFC, and numbers are split into digits.
    for text in ["", " two  spaces\t\n\n x", "größe 🙂🏽 \u{0}", "it's 12345<|im_end|>\n"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap(), false).unwrap(), text);
    }
    assert_eq!(tokenizer.encode("e\u{301}").unwrap(), tokenizer.encode("é").unwrap());
    assert_eq!(tokenizer.encode("2024").unwrap().len(), 4);

    // Bytes have the ids that they have in every Qwen vocabulary, and no merge was spent on a special token's text.
    let qwen = Tokenizer::load(golden::path("parity/model-tiny")).unwrap();
    for id in 0..256 {
        assert_eq!(tokenizer.token(id), qwen.token(id));
    }
    assert!((256..297).all(|id| !tokenizer.token(id).unwrap().contains('|')));

    // The settings around the merges are those of the recorded model, and so is what its template prints.
    let part = |file: &[u8], key: &str| serde_json::from_slice::<Value>(file).unwrap()[key].clone();
    let own = &bytes(&tokenizer)[0];
    assert_eq!(part(own, "normalizer"), part(&tiny_json(), "normalizer"));
    let split = |file: &[u8]| part(file, "pre_tokenizer")["pretokenizers"][0].clone();
    assert_eq!(split(own), split(&tiny_json()));
    let reference = golden::json("parity/reference-tiny/reference.json");
    for case in reference["chat"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let prompt = case["add_generation_prompt"].as_bool().unwrap();
        let text = tokenizer.template().unwrap().render(&messages, prompt, &Map::new()).unwrap();
        assert_eq!(text, case["text"].as_str().unwrap());
    }
}

#[test]
fn a_trained_tokenizer_is_smaller_where_the_text_is_and_refuses_what_it_cannot_do() {
    let tokenizer = Tokenizer::train(&["ab ab"], 1000).unwrap();
    assert_eq!(tokenizer.vocab_size(), 256 + 2 + 3);
    assert_eq!(Tokenizer::train(&["ab ab"], 259).unwrap().vocab_size(), 259);
    let error = Tokenizer::train(&["ab ab"], 258).err().unwrap().to_string();
    assert_eq!(error, "vocab_size: expected at least 259 (256 bytes and 3 special tokens), got 258");
    let error = Tokenizer::train(&[""], 300).err().unwrap().to_string();
    assert_eq!(error, "a tokenizer needs text to be trained on, got none");
}

#[test]
fn what_is_learned_of_ordinary_text_stays_as_it_was() {
    let license = include_str!("../LICENSE");
    let texts: Vec<&str> = license.lines().collect();
    let trained = bytes(&Tokenizer::train(&texts, 700).unwrap());
    let digest = affine::engine::file::sha256(&trained[0]);
    assert_eq!(digest, "a1241b2a2d020ccad5642123c8e1423a6411d052bb5b602571100e6890289492");
}

/// Minutes of work while every merge moved what was left of the text.
#[test]
fn many_letters_without_a_space_can_be_learned_from() {
    let mut state = 1u64;
    let mut letter = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(b'a' + (state >> 60) as u8)
    };
    let text: String = (0..400_000).map(|_| letter()).collect();
    let tokenizer = Tokenizer::train(&[&text], 600).unwrap();
    assert_eq!(tokenizer.vocab_size(), 600);
    assert_eq!(tokenizer.decode(&tokenizer.encode(&text[..3000]).unwrap(), false).unwrap(), text[..3000]);
}
