//! Files of records: what is read, what is refused and with which sentence.

use affine::engine::data::{Body, Record, RecordFile, read as read_records, write as write_records};
use affine::engine::text::{Message, Tokenizer};

use super::golden;

fn read(content: &[u8]) -> Result<Vec<Record>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    std::fs::write(&path, content).unwrap();
    read_records(&path).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

/// The error of a file whose second line is `line`.
fn problem(line: &str) -> String {
    let error = read(format!("{{\"text\": \"x\"}}\n{line}\n").as_bytes()).unwrap_err();
    error.strip_prefix("FILE: line 2: ").unwrap_or_else(|| panic!("{error}")).to_string()
}

#[test]
fn conversations_and_texts_are_read_and_other_keys_travel_along() {
    let records = read(
        b"{\"task_id\": 7, \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"content\": \"Yo\", \"role\": \"assistant\"}], \"env\": {\"name\": \"sat\"}}\r\n\n{\"text\": \"plain\"}",
    )
    .unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].body, Body::Messages(vec![Message::user("Hi"), Message::assistant("Yo")]));
    assert_eq!(records[0].extra.keys().collect::<Vec<_>>(), ["task_id", "env"]);
    assert_eq!(records[1], Record::text("plain"));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.jsonl");
    write_records(&path, &records).unwrap();
    assert_eq!(read_records(&path).unwrap(), records);
    let first = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        first.lines().next().unwrap(),
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}],"task_id":7,"env":{"name":"sat"}}"#
    );
}

#[test]
fn a_broken_line_is_named_with_what_would_be_right() {
    assert_eq!(problem("[1]"), "expected an object with `messages`, `text`, or `prompt` and `completion`, got a list");
    assert_eq!(
        problem("\"hello\""),
        "expected an object with `messages`, `text`, or `prompt` and `completion`, got a string"
    );
    assert_eq!(
        problem("{\"message\": 1, \"id\": 2}"),
        "expected an object with `messages`, `text`, or `prompt` and `completion`, got one with keys message, id"
    );
    assert_eq!(
        problem("{}"),
        "expected an object with `messages`, `text`, or `prompt` and `completion`, got one with no keys"
    );
    assert_eq!(
        problem("{\"text\": \"a\", \"messages\": []}"),
        "expected `messages`, `text`, or `prompt` and `completion`, got `messages` and `text`"
    );
    assert_eq!(problem("{\"messages\": []}"), "`messages` is empty");
    assert_eq!(problem("{\"text\": \"\"}"), "`text` is empty");
    assert_eq!(problem("{\"text\": \"a\""), "not JSON: EOF while parsing an object at column 12");
    assert_eq!(problem("{\"text\": 5}"), "`text`: invalid type: integer `5`, expected a string");
    assert_eq!(
        problem(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}"#),
        "message 2: expected role `system`, `user` or `assistant`, got `robot`"
    );
    assert_eq!(
        problem(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "user"}]}"#),
        "message 2: missing field `content`"
    );
    assert_eq!(
        problem(r#"{"messages": [{"role": "user", "content": null}]}"#),
        "message 1 `content`: invalid type: null, expected a string"
    );
    assert_eq!(
        problem(r#"{"messages": [{"role": "assistant", "content": "", "tool_calls": []}]}"#),
        "message 1 `tool_calls`: unknown field `tool_calls`, expected `role` or `content`"
    );
    assert_eq!(read(b"{\"text\": \"a\xff\"}").unwrap_err(), "FILE: line 1: not UTF-8 from byte 12");
}

#[test]
fn what_a_model_would_have_to_be_shown_is_refused_and_nothing_in_its_place_is_not() {
    let row = |columns: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "b"}}]{columns}}}"#
        )
    };
    let tools = "tools and their calls are not supported yet";
    let tool = r#"[{"type": "function", "function": {"name": "f", "parameters": {}}}]"#;
    assert_eq!(problem(&row(&format!(r#", "tools": {tool}"#))), format!("`tools`: {tools}"));
    assert_eq!(problem(&row(r#", "tools": "[{\"name\": \"f\"}]""#)), format!("`tools`: {tools}"));
    assert_eq!(
        problem(&row(r#", "documents": [{"title": "t", "text": "x"}]"#)),
        "`documents`: documents beside a conversation are not supported"
    );
    assert_eq!(problem(&row(r#", "images": ["a.png"]"#)), "`images`: models here read text alone");
    let pair = r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}], "tools": TOOL}"#;
    assert_eq!(problem(&pair.replace("TOOL", tool)), format!("`tools`: {tools}"));

    let harmless = [
        r#", "tools": []"#,
        r#", "tools": null"#,
        r#", "tools": "[]""#,
        r#", "id": 7, "source": "x", "score": 0.5"#,
        r#", "chat_template_kwargs": {}"#,
        r#", "chat_template_kwargs": null"#,
    ];
    for columns in harmless {
        assert_eq!(read(row(columns).as_bytes()).unwrap().len(), 1, "{columns}");
    }
    // A text is whole as it is.
    assert!(read(format!("{{\"text\": \"x\", \"tools\": {tool}}}").as_bytes()).is_ok());
}

#[test]
fn a_records_template_variables_reach_the_template_and_the_token_cache() {
    let row = |kwargs: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "b"}}], "chat_template_kwargs": {kwargs}}}"#
        )
    };
    let problem = |kwargs: &str| problem(&row(kwargs));
    assert_eq!(problem("\"off\""), "`chat_template_kwargs`: expected an object such as {\"enable_thinking\": false}");
    assert_eq!(
        problem(r#"{"messages": []}"#),
        "`chat_template_kwargs`: `messages` cannot be given here: the conversation itself is what is rendered"
    );
    assert!(problem(r#"{"tools": [1]}"#).contains("`tools` cannot be given here"));

    let folder = tempfile::tempdir().unwrap();
    Tokenizer::load(golden::path("parity/model-tiny")).unwrap().save(folder.path()).unwrap();
    std::fs::copy(golden::path("chat/qwen3.jinja"), folder.path().join("chat_template.jinja")).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let kept = folder.path().join("tokens");
    let mut texts = Vec::new();
    for kwargs in ["{\"enable_thinking\": false}", "{\"enable_thinking\": null}"] {
        let records = read(row(kwargs).as_bytes()).unwrap();
        let encoded = affine::engine::data::cache::encode_in(&kept, &tokenizer, &records, false).unwrap();
        assert_eq!(encoded[0], records[0].encode(&tokenizer).unwrap());
        texts.push(tokenizer.decode(encoded[0].ids(), false).unwrap());
    }
    let head = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(texts, [format!("{head}<think>\n\n</think>\n\nb<|im_end|>"), format!("{head}b<|im_end|>")]);
}

#[test]
fn a_file_without_records_and_one_that_is_not_there_are_errors() {
    for content in ["", "\n  \n"] {
        let error = read(content.as_bytes()).unwrap_err();
        assert_eq!(error, "FILE: holds no records");
    }
    let error = read_records("/nowhere/train.jsonl").unwrap_err().to_string();
    assert_eq!(error, "/nowhere/train.jsonl: cannot be read: no such file");
}

/// `files` hold the same three records; tests/golden/records: pyarrow 26.0.1 (`pq.write_table` with a schema of lists of
/// structs, `compression="zstd"`, and nulls where a row has nothing) and zstandard wrote them.
#[test]
fn parquet_and_compressed_lines_hold_the_same_records() {
    let compressed = read_records(golden::path("records/mixed.jsonl.zst")).unwrap();
    let hi = vec![Message::user("Hi"), Message::assistant("Yo")];
    assert_eq!(compressed[0].body, Body::Messages(hi));
    let (prompt, completion) = (vec![Message::user("2 + 2 =")], vec![Message::assistant("4")]);
    assert_eq!(compressed[1].body, Body::PromptMessages { prompt, completion });
    assert_eq!(compressed[2].body, Body::Text("plain é".into()));
    assert_eq!(compressed[0].extra["task_id"], 7);

    let columns = read_records(golden::path("records/mixed.parquet")).unwrap();
    let bodies = |records: &[Record]| records.iter().map(|record| record.body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&columns), bodies(&compressed));
    assert_eq!(columns[0].extra["task_id"], 7);
    let pairs = read_records(golden::path("records/pairs.parquet")).unwrap();
    assert_eq!(pairs[1].body, Body::PromptText { prompt: "Grass is".into(), completion: " green.".into() });
}

#[test]
fn every_form_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let records = read_records(golden::path("records/mixed.jsonl.zst")).unwrap();
    for name in ["copy.jsonl", "copy.jsonl.zst"] {
        let path = folder.path().join(name);
        write_records(&path, &records).unwrap();
        assert_eq!(read_records(&path).unwrap(), records, "{name}");
    }
    let list = folder.path().join("list.json");
    std::fs::write(&list, serde_json::to_vec(&records).unwrap()).unwrap();
    assert_eq!(read_records(&list).unwrap(), records);
    let compressed = std::fs::read(folder.path().join("copy.jsonl.zst")).unwrap();
    assert_eq!(compressed[..4], [0x28, 0xb5, 0x2f, 0xfd]);

    // A folder holds its files' records in the order of their names, Parquet before lines.
    let shards = folder.path().join("shards");
    std::fs::create_dir(&shards).unwrap();
    for (from, to) in [("pairs", "train-1"), ("mixed", "train-0"), ("mixed", "test-0")] {
        std::fs::copy(golden::path(&format!("records/{from}.parquet")), shards.join(format!("{to}.parquet"))).unwrap();
    }
    let kinds: Vec<&str> = read_records(&shards).unwrap().iter().map(|record| record.body.kind()).collect();
    let pair = "prompt/completion as text";
    assert_eq!(kinds, ["messages", "prompt/completion as messages", "text", pair, pair]);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = read_records(&path).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", path.display())).unwrap_or_else(|| panic!("{error}")).to_string()
    };
    let compressed = std::fs::read(golden::path("records/mixed.jsonl.zst")).unwrap();
    let cut = problem("cut.jsonl.zst", &compressed[..compressed.len() - 9]);
    assert!(cut.starts_with("not a Zstandard file, or cut short: "), "{cut}");
    assert!(problem("plain.jsonl.zst", b"{}").starts_with("not a Zstandard file, or cut short: "));
    let columns = std::fs::read(golden::path("records/mixed.parquet")).unwrap();
    assert!(problem("cut.parquet", &columns[..900]).starts_with("no Parquet file, or cut short: "));
    assert!(problem("list.json", b"[{\"text\": \"a\"}").starts_with("no JSON list of rows: EOF while parsing a list"));
    assert_eq!(problem("list.json", b"[{\"text\": 3}]"), "row 1: `text`: invalid type: integer `3`, expected a string");
    assert!(
        problem("train.csv", b"a,b").starts_with("expected a file that ends in .jsonl (or .ndjson, .jsonlines), .json")
    );

    let rows = b"{\"text\": \"a\"}\n{\"text\": 3}\n\n{\"txt\": 3}\n";
    assert_eq!(
        problem("two.jsonl", rows),
        "2 of 3 rows are no records: line 2: `text`: invalid type: integer `3`, expected a string; line 4: expected an object \
         with `messages`, `text`, or `prompt` and `completion`, got one with keys txt"
    );
    let many = problem("many.jsonl", "3\n".repeat(9).as_bytes());
    assert!(many.starts_with("9 of 9 rows are no records: line 1: ") && many.ends_with("; and 4 more"), "{many}");
}

#[test]
fn prompts_and_completions_have_one_form_and_something_to_train_on() {
    let wanted = "expected `prompt` and `completion` as two texts or two lists of messages, got";
    assert_eq!(problem(r#"{"prompt": "a"}"#), "`prompt` without a `completion`");
    assert_eq!(problem(r#"{"completion": "a"}"#), "`completion` without a `prompt`");
    assert_eq!(problem(r#"{"prompt": "a", "completion": []}"#), format!("{wanted} a string and a list"));
    assert_eq!(problem(r#"{"prompt": 1, "completion": "b"}"#), format!("{wanted} a number and a string"));
    let nothing = "nothing to train on";
    assert_eq!(problem(r#"{"prompt": "a", "completion": ""}"#), format!("`completion` is empty: there is {nothing}"));
    assert!(problem(r#"{"prompt": "", "completion": "a"}"#).starts_with("`prompt` is empty: "));
    let user = r#"[{"role": "user", "content": "a"}]"#;
    let says = |role: &str, content: &str| format!(r#"[{{"role": "{role}", "content": "{content}"}}]"#);
    let pair =
        |prompt: &str, completion: &str| problem(&format!(r#"{{"prompt": {prompt}, "completion": {completion}}}"#));
    assert_eq!(pair(user, "[]"), "`completion` is empty");
    assert_eq!(pair(user, user), "`completion` message 1: expected role `assistant`, got `user`");
    assert_eq!(
        pair(user, &says("assistant", "")),
        format!("`completion`: the assistant says nothing, so there is {nothing}")
    );
    assert!(pair(&says("assistant", "a"), &says("assistant", "b")).starts_with("`prompt` ends with the assistant"));
    assert_eq!(
        pair(&says("robot", "a"), user),
        "`prompt` message 1: expected role `system`, `user` or `assistant`, got `robot`"
    );
    assert_eq!(pair(r#"[{"role": "user"}]"#, user), "`prompt` message 1: missing field `content`");
    let messages = says("assistant", "");
    assert_eq!(
        problem(&format!(r#"{{"messages": {messages}}}"#)),
        format!("`messages`: the assistant says nothing, so there is {nothing}")
    );

    // Beside a conversation, a prompt is a key like any other.
    let record = read(format!(r#"{{"prompt": "a", "messages": {user}, "completion": null}}"#).as_bytes()).unwrap();
    assert_eq!(record[0].body, Body::Messages(vec![Message::user("a")]));
    assert_eq!(record[0].extra["prompt"], "a");
}

#[test]
fn a_completion_is_trained_with_its_end_and_a_prompt_is_not() {
    let tokenizer = Tokenizer::load(golden::path("parity/model-tiny")).unwrap();
    let trained = |record: &Record| {
        let encoded = record.encode(&tokenizer).unwrap();
        let pairs = encoded.ids().iter().zip(encoded.mask());
        let of = |wanted: bool| pairs.clone().filter(|(_, m)| **m == wanted).map(|(id, _)| *id).collect::<Vec<_>>();
        (tokenizer.decode(&of(false), false).unwrap(), tokenizer.decode(&of(true), false).unwrap())
    };
    let text =
        |completion: &str| Record::new(Body::PromptText { prompt: "The sky is".into(), completion: completion.into() });
    let end = tokenizer.token(tokenizer.eos_ids()[0]).unwrap();
    let expected = ("The sky is".to_string(), format!(" blue.{end}"));
    assert_eq!(trained(&text(" blue.")), expected);
    // An end that is there already is not doubled.
    assert_eq!(trained(&text(&format!(" blue.{end}"))), expected);
    let all = text(" blue.").encode_all(&tokenizer).unwrap();
    assert_eq!(all.trained(), all.len() - 1);

    let [q, a, again, b] = ["Hi", "Yo", "Again?", "Yes"];
    let conversation = vec![Message::user(q), Message::assistant(a), Message::user(again), Message::assistant(b)];
    let split = |at: usize| {
        let (prompt, completion) = (conversation[..at].to_vec(), conversation[at..].to_vec());
        Record::new(Body::PromptMessages { prompt, completion })
    };
    // Cut before its first reply it is the conversation; cut later, earlier replies are part of the prompt.
    let whole = Record::messages(conversation.clone());
    assert_eq!(split(1).encode(&tokenizer).unwrap(), whole.encode(&tokenizer).unwrap());
    assert_eq!(split(3).encode_all(&tokenizer).unwrap(), whole.encode_all(&tokenizer).unwrap());
    let (prompt, completion) = trained(&split(3));
    assert!(prompt.contains("Yo") && completion == "Yes<|im_end|>", "{prompt:?} {completion:?}");
}

#[test]
fn a_conversation_trains_its_assistant_and_a_text_trains_all_of_itself() {
    let tokenizer = Tokenizer::load(golden::path("parity/model-tiny")).unwrap();
    let record = Record::messages(vec![Message::user("Hi"), Message::assistant("Yo")]);
    let (sft, base) = (record.encode(&tokenizer).unwrap(), record.encode_all(&tokenizer).unwrap());
    assert_eq!(tokenizer.decode(sft.ids(), false).unwrap() + "\n", tokenizer.decode(base.ids(), false).unwrap());
    assert!(sft.trained() < base.trained());
    let text = Record::text("Hello there");
    assert_eq!(text.encode(&tokenizer).unwrap(), text.encode_all(&tokenizer).unwrap());
}

#[test]
fn turns_that_are_marked_to_carry_no_loss_stay_and_are_not_trained() {
    let tokenizer = Tokenizer::load(golden::path("parity/model-tiny")).unwrap();
    let turn = |role: &str, rest: &str| format!(r#"{{"role": "{role}", {rest}}}"#);
    let line = |marks: [&str; 2]| {
        let said = [
            turn("user", r#""content": "a", "loss": null"#),
            turn("assistant", &format!(r#""content": "first"{}"#, marks[0])),
            turn("user", r#""content": "b", "weight": 0"#),
            turn("assistant", &format!(r#""content": "second"{}"#, marks[1])),
        ];
        format!("{{\"messages\": [{}]}}\n", said.join(", "))
    };
    let shown = |record: &Record| {
        let pieces = record.encode(&tokenizer).unwrap().pieces(&tokenizer).unwrap();
        let trained: Vec<String> = pieces.into_iter().filter(|(_, trained)| *trained).map(|(text, _)| text).collect();
        (trained, record.pieces().into_iter().filter(|(_, trained)| *trained).map(|(text, _)| text).collect::<Vec<_>>())
    };
    let (first, second) = ("first<|im_end|>".to_string(), "second<|im_end|>".to_string());
    for key in ["loss", "weight", "train", "training", "trainable", "loss_mask"] {
        for no in ["false", "0", "0.0"] {
            let record =
                &read(line([&format!(", \"{key}\": {no}"), &format!(", \"{key}\": true")]).as_bytes()).unwrap()[0];
            assert_eq!(shown(record), (vec![second.clone()], vec!["second".to_string()]), "{key}: {no}");
            // Written and read again it is the same; every token of it cannot be trained.
            let folder = tempfile::tempdir().unwrap();
            write_records(folder.path().join("x.jsonl"), std::slice::from_ref(record)).unwrap();
            assert_eq!(read_records(folder.path().join("x.jsonl")).unwrap(), std::slice::from_ref(record));
            assert!(
                record
                    .encode_all(&tokenizer)
                    .unwrap_err()
                    .to_string()
                    .starts_with("message 2 is marked to carry no loss")
            );
        }
        for yes in ["true", "1", "1.0", "null"] {
            let record = &read(line([&format!(", \"{key}\": {yes}"), ""]).as_bytes()).unwrap()[0];
            assert_eq!(shown(record).0, [first.clone(), second.clone()], "{key}: {yes}");
        }
    }
    let all = &read(line(["", ""]).as_bytes()).unwrap()[0];
    let marked = &read(line([", \"train\": false", ""]).as_bytes()).unwrap()[0];
    assert_eq!(all.encode(&tokenizer).unwrap().ids(), marked.encode(&tokenizer).unwrap().ids());

    for (mark, wanted) in [
        (r#", "weight": 0.5"#, "message 2 `weight`: invalid value: floating point `0.5`, expected true, false, 0 or 1"),
        (r#", "train": 2"#, "message 2 `train`: invalid value: integer `2`, expected true, false, 0 or 1"),
        (r#", "loss": "no""#, "message 2 `loss`: invalid type: string \"no\", expected true, false, 0 or 1"),
        (r#", "train": true, "weight": 0"#, "message 2: `train` and `weight` contradict each other"),
    ] {
        assert_eq!(problem(line([mark, ""]).trim()), wanted);
    }
    let user = format!("{{\"messages\": [{}]}}", turn("user", r#""content": "a", "train": true"#));
    assert!(problem(&user).starts_with("message 1: `train` asks to train what the user says"), "{}", problem(&user));
}

/// tests/golden/records/weights-*.parquet: pyarrow 26.0.1 (`pq.write_table(table, path, compression = …)`), one conversation
/// of four turns with a column `weight` that is null, 0, null and 1.
#[test]
fn parquet_is_read_with_every_codec_that_pyarrow_writes() {
    for codec in ["gzip", "brotli", "lz4"] {
        let records = read_records(golden::path(&format!("records/weights-{codec}.parquet"))).unwrap();
        let Body::Messages(messages) = &records[0].body else { panic!("{records:?}") };
        let said: Vec<(&str, bool)> = messages.iter().map(|m| (m.content.as_str(), m.loss)).collect();
        assert_eq!(said, [("Hi", true), ("Yo", false), ("So?", true), ("Well", true)], "{codec}");
    }
    // A codec that is not read is named once.
    let mut bytes = std::fs::read(golden::path("records/mixed.parquet")).unwrap();
    let footer =
        bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    // In the footer's compact thrift a column's codec is an i32 (0x15) before an i64 (0x16), its number doubled: Zstandard is 6,
    // LZO 3.
    for at in footer..bytes.len() - 2 {
        if bytes[at..at + 3] == [0x15, 12, 0x16] {
            bytes[at + 1] = 6;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lzo.parquet");
    std::fs::write(&path, bytes).unwrap();
    let error = read_records(&path).unwrap_err().to_string();
    assert!(error.contains("is compressed with LZO, which affine does not read") && !error.contains("row"), "{error}");
}

#[test]
fn a_byte_order_mark_is_skipped_and_another_encoding_is_named() {
    const MARK: &str = "\u{feff}";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_records(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    };
    let line = "{\"text\": \"a\"}\n";
    let list = format!("{MARK}[{line}]");
    for (name, content) in [("a.jsonl", format!("{MARK}{line}{line}")), ("a.json", list.clone()), ("b.jsonl", list)] {
        let records = file(name, content.as_bytes()).unwrap();
        assert_eq!(records[0], Record::text("a"), "{name}");
    }
    let wide: Vec<u8> = format!("{MARK}{line}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wanted = "FILE: text in UTF-16: expected UTF-8; save it in that encoding";
    for (name, content) in [("c.jsonl", &wide[..]), ("c.json", &wide[..]), ("d.jsonl", &wide[2..])] {
        assert_eq!(file(name, content).unwrap_err(), wanted, "{name}");
    }
}

/// The files of a folder that are read, by what they say, and what is told of the others.
fn folder_of(names: &[&str]) -> (Vec<String>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{{\"text\": \"{name}\"}}\n")).unwrap();
    }
    let found = RecordFile::read(folder.path()).unwrap();
    let text = |record: &Record| match &record.body {
        Body::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    (found.records.iter().map(text).collect(), found.left_out)
}

#[test]
fn which_files_of_a_folder_are_read_follows_rules() {
    let read = |names: &[&str]| folder_of(names).0;
    let told = |names: &[&str]| folder_of(names).1.unwrap_or_default();
    // A word within another is none.
    let names = ["code.jsonl", "constraints.jsonl", "latest.jsonl", "math.jsonl", "retraining.jsonl"];
    assert_eq!(folder_of(&names), (names.map(str::to_string).to_vec(), None));
    // Formats do not hide each other, and lines have many names.
    let names = ["a.jsonl", "b.ndjson", "c.json", "d.jsonlines", "E.JSONL"];
    assert_eq!(read(&names).len(), 5);

    let shown = "test-0.jsonl (the test split)";
    assert_eq!(read(&["test-0.jsonl", "train-0.jsonl", "train-1.json"]), ["train-0.jsonl", "train-1.json"]);
    assert_eq!(told(&["test-0.jsonl", "train-0.jsonl"]), shown);
    assert_eq!(
        folder_of(&["dev.jsonl", "eval2.jsonl", "math.jsonl", "my_valid.jsonl"]),
        (
            vec!["math.jsonl".into()],
            Some(
                "dev.jsonl (the validation split), eval2.jsonl (the test split), my_valid.jsonl (the validation split)"
                    .into()
            )
        )
    );
    assert_eq!(read(&["math.jsonl", "training_data.jsonl"]), ["training_data.jsonl"]);
    assert_eq!(told(&["math.jsonl", "training_data.jsonl"]), "math.jsonl (of no split, beside a training split)");
    // Folders tell splits as names do, and before them; alone, other splits are what was asked for.
    assert_eq!(read(&["test/a.jsonl", "train/deep/test-b.jsonl"]), ["train/deep/test-b.jsonl"]);
    assert_eq!(read(&["test/a.jsonl", "validation/b.jsonl"]), ["test/a.jsonl", "validation/b.jsonl"]);

    // What is hidden or describes the data is none; what cannot be read is told.
    let names =
        [".cache/a.jsonl", ".b.jsonl", "__MACOSX/c.jsonl", "README.md", "dataset_infos.json", "d.jsonl", "e.csv"];
    assert_eq!(folder_of(&names), (vec!["d.jsonl".into()], Some("e.csv (in no format that is read)".into())));
    let many: Vec<String> = (0..9).map(|n| format!("test-{n}.jsonl")).chain(["train.jsonl".to_string()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(told(&many).ends_with("test-4.jsonl (the test split), and 4 more"), "{}", told(&many));
}

#[test]
fn no_file_of_a_folder_is_read_twice_and_no_link_is_followed_in_a_circle() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("data/deep")).unwrap();
    std::fs::create_dir(at("elsewhere")).unwrap();
    std::fs::write(at("data/a.jsonl"), "{\"text\": \"a\"}\n").unwrap();
    std::fs::write(at("elsewhere/b.jsonl"), "{\"text\": \"b\"}\n").unwrap();
    symlink(at("data"), at("data/deep/back")).unwrap();
    symlink("a.jsonl", at("data/c.jsonl")).unwrap();
    std::fs::hard_link(at("data/a.jsonl"), at("data/deep/d.jsonl")).unwrap();
    symlink(at("elsewhere"), at("data/other")).unwrap();
    symlink(at("elsewhere"), at("data/other2")).unwrap();
    let found = RecordFile::read(at("data")).unwrap();
    assert_eq!(found.records, [Record::text("a"), Record::text("b")]);
    assert_eq!(found.left_out.unwrap(), "c.jsonl (the same file as a.jsonl), deep/d.jsonl (the same file as a.jsonl)");
    // A link that leads nowhere is no file that may be left out.
    symlink("nowhere", at("data/gone.jsonl")).unwrap();
    let error = read_records(at("data")).unwrap_err().to_string();
    assert!(error.ends_with("gone.jsonl: cannot be read: no such file"), "{error}");

    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("empty/rows.csv"), "a").unwrap();
    let error = read_records(at("empty")).unwrap_err().to_string();
    assert!(error.contains("no file of rows is in this folder") && error.contains("rows.csv (in no format"), "{error}");
}

#[test]
fn lines_are_read_under_any_common_name_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let lines = b"{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zst = zstd::encode_all(&lines[..], 3).unwrap();
    // Two gzip files one behind the other are one.
    let joined = [gzip(&lines[..14]), gzip(&lines[14..])].concat();
    for (name, content) in [
        ("a.ndjson", &lines[..]),
        ("a.jsonlines", &lines[..]),
        ("a.json", &lines[..]),
        ("a.JSONL", &lines[..]),
        ("a.jsonl.gz", &gzip(lines)[..]),
        ("b.jsonl.gz", &joined[..]),
        ("a.json.gz", &gzip(lines)[..]),
        ("a.ndjson.zst", &zst[..]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        assert_eq!(read_records(&path).unwrap(), [Record::text("a"), Record::text("b")], "{name}");
    }
    let path = folder.path().join("cut.jsonl.gz");
    let whole = gzip(lines);
    std::fs::write(&path, &whole[..whole.len() - 6]).unwrap();
    assert!(read_records(&path).unwrap_err().to_string().contains("not a gzip file, or cut short"));
}
