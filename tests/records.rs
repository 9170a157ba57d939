//! Files of records: what is read, what is refused and with which sentence.

use affine::engine::data::{Body, Record, read_jsonl, write_jsonl};
use affine::engine::text::{Message, Tokenizer};

use super::golden;

fn read(content: &[u8]) -> Result<Vec<Record>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    std::fs::write(&path, content).unwrap();
    read_jsonl(&path).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
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
    write_jsonl(&path, &records).unwrap();
    assert_eq!(read_jsonl(&path).unwrap(), records);
    let first = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        first.lines().next().unwrap(),
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}],"task_id":7,"env":{"name":"sat"}}"#
    );
}

#[test]
fn a_broken_line_is_named_with_what_would_be_right() {
    assert_eq!(problem("[1]"), "expected an object with `messages` or `text`, got a list");
    assert_eq!(problem("\"hello\""), "expected an object with `messages` or `text`, got a string");
    assert_eq!(
        problem("{\"message\": 1, \"id\": 2}"),
        "expected an object with `messages` or `text`, got one with keys message, id"
    );
    assert_eq!(problem("{}"), "expected an object with `messages` or `text`, got one with no keys");
    assert_eq!(problem("{\"text\": \"a\", \"messages\": []}"), "expected `messages` or `text`, got both");
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
fn a_file_without_records_and_one_that_is_not_there_are_errors() {
    for content in ["", "\n  \n"] {
        let error = read(content.as_bytes()).unwrap_err();
        assert_eq!(error, "FILE: holds no records: expected one JSON object per line, got an empty file");
    }
    let error = read_jsonl("/nowhere/train.jsonl").unwrap_err().to_string();
    assert_eq!(error, "/nowhere/train.jsonl: cannot be read: no such file");
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
