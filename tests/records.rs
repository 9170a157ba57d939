//! Files of records: what is read, what is refused and with which sentence.

use affine::engine::data::{Body, Record, read as read_records, write as write_records};
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
    assert!(problem("train.csv", b"a,b").starts_with("expected a file that ends in .jsonl, .json or .parquet"));

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
    let text = |completion: &str| Record {
        body: Body::PromptText { prompt: "The sky is".into(), completion: completion.into() },
        extra: serde_json::Map::new(),
    };
    let end = tokenizer.token(tokenizer.eos_ids()[0]).unwrap();
    let expected = ("The sky is".to_string(), format!(" blue.{end}"));
    assert_eq!(trained(&text(" blue.")), expected);
    // An end that is there already is not doubled.
    assert_eq!(trained(&text(&format!(" blue.{end}"))), expected);
    let all = text(" blue.").encode_all(&tokenizer).unwrap();
    assert_eq!(all.trained(), all.len() - 1);

    let [q, a, again, b] = ["Hi", "Yo", "Again?", "Yes"];
    let conversation = vec![Message::user(q), Message::assistant(a), Message::user(again), Message::assistant(b)];
    let split = |at: usize| Record {
        body: Body::PromptMessages { prompt: conversation[..at].to_vec(), completion: conversation[at..].to_vec() },
        extra: serde_json::Map::new(),
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
