//! `affine data show`: what a file of records comes to, and one of them with what is trained in it.

use std::process::Command;

use super::golden;

/// The exit code, standard output and standard error; the file's folder is `DIR` in both.
fn show(rows: &str, args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.jsonl");
    std::fs::write(&file, rows).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder.path()).args(["data", "show", "train.jsonl"]).args(args);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const ROWS: &str = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}], "task_id": 7}
{"prompt": "The sky is", "completion": " blue."}
{"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Yo"}], "task_id": 8}
{"text": "plain \u001b[31m"}
"#;

fn model() -> String {
    golden::path("parity/model-tiny").display().to_string()
}

#[test]
fn without_a_model_records_stand_as_in_the_file() {
    let (code, out, err) = show(ROWS, &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "train.jsonl: 4 records
  1 messages
  1 prompt/completion as messages
  1 prompt/completion as text
  1 text
  other keys: task_id (2)

record 1 of 4: messages, task_id = 7

[user]
Hi
[assistant]
⟦Yo⟧
"
    );
    let (_, out, _) = show(ROWS, &["--index", "2"]);
    assert!(out.ends_with("record 2 of 4: prompt/completion as text\n\nThe sky is⟦ blue.⟧\n"), "{out}");
    // What would act on a terminal is shown.
    let (_, out, _) = show(ROWS, &["--index", "4"]);
    assert!(out.ends_with("⟦plain \\u{1b}[31m⟧\n"), "{out}");
}

#[test]
fn with_a_model_its_tokens_are_counted_and_the_trained_ones_marked() {
    let (code, out, err) = show(ROWS, &["--model", &model(), "--index", "3"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let record = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n⟦Yo<|im_end|>⟧\n\ntrained: ";
    assert!(out.contains(&format!("record 3 of 4: prompt/completion as messages, task_id = 8\n\n{record}")), "{out}");
    assert!(out.contains("\n  tokens per record: ") && out.contains("\n  trained: "), "{out}");
    assert!(!out.contains("longer than"), "{out}");

    let (_, all, _) = show(ROWS, &["--model", &model(), "--index", "3", "--train-on", "all"]);
    assert!(all.contains("\n\n<|im_start|>⟦user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>\n⟧"), "{all}");
}

#[test]
fn what_is_cut_and_what_is_left_without_a_trained_token_is_counted() {
    let long = r#"{"messages": [{"role": "user", "content": "one two three four five"}, {"role": "assistant", "content": "six"}]}"#;
    let rows = format!("{ROWS}{long}\n");
    let (code, out, _) = show(&rows, &["--model", &model(), "--max-length", "8", "--index", "5"]);
    assert_eq!(code, 0);
    assert!(out.contains("longer than 8 tokens, so cut there: "), "{out}");
    assert!(out.contains("without a token to train on, so left out: ") && out.contains("5)\n"), "{out}");
    assert!(out.contains("\ntrained: 0 of 8 tokens (0.0 %)\ncut off: "), "{out}");
}

#[test]
fn rows_that_are_no_records_are_named_and_the_others_shown() {
    let (code, out, err) = show(&format!("{{\"text\": 3}}\n{ROWS}oops\n"), &[]);
    assert_eq!((code, err.as_str()), (1, ""));
    let problems = "  no records: 2 rows\n    line 1: `text`: invalid type: integer `3`, expected a string\n    line 6: not JSON: ";
    assert!(out.contains(problems) && out.contains("record 1 of 4: messages"), "{out}");
    // A conversation without a reply can be trained on as a whole only.
    let question = r#"{"messages": [{"role": "user", "content": "Hi"}]}"#;
    let rows = format!("{ROWS}{question}\n");
    let (code, out, _) = show(&rows, &["--model", &model()]);
    let problem = "cannot be made into tokens: 1 record\n    record 5 (line 5): a record needs an assistant message to train on, got none\n";
    assert!(code == 1 && out.contains(problem), "{out}");
    assert_eq!(show(&rows, &["--model", &model(), "--train-on", "all"]).0, 0);
}

#[test]
fn what_is_not_there_is_one_sentence() {
    let (code, _, err) = show(ROWS, &["--index", "5"]);
    assert_eq!((code, err.as_str()), (1, "affine: --index: expected 1 to 4, got 5\n"));
    let (code, _, err) = show(ROWS, &["--model", "./nowhere"]);
    assert_eq!((code, err.as_str()), (1, "affine: ./nowhere/tokenizer.json: no such file; a model folder needs one\n"));
    let (code, out, _) = show("", &[]);
    assert_eq!((code, out.as_str()), (1, "train.jsonl: 0 records\n"));
}
