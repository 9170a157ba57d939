//! Tokenised records on the disk: what they are is what tokenising gives, whatever happened to the file.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use affine::engine::data::cache::encode_in;
use affine::engine::data::{Body, Record};
use affine::engine::text::{Conversation, Message, Tokenizer};

use super::golden;

fn records() -> Vec<Record> {
    let (hi, yo) = (Message::user("Hi"), Message::assistant("Yo é"));
    vec![
        Record::messages(vec![hi.clone(), yo.clone()]),
        Record::new(Body::PromptMessages { prompt: vec![hi], completion: vec![yo] }),
        Record::new(Body::PromptText { prompt: "The sky is".into(), completion: " blue.".into() }),
        Record::text("plain"),
    ]
}

fn tokenizer() -> Tokenizer {
    Tokenizer::load(golden::path("parity/model-tiny")).unwrap()
}

fn fresh(records: &[Record], all: bool) -> Vec<Conversation> {
    let tokenizer = tokenizer();
    let encode = |record: &Record| if all { record.encode_all(&tokenizer) } else { record.encode(&tokenizer) };
    records.iter().map(|record| encode(record).unwrap()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_second_time_tokens_come_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let encode = || encode_in(folder.path(), &tokenizer(), &records(), false).unwrap();
    assert_eq!(encode(), fresh(&records(), false));
    let [file] = &files(folder.path())[..] else { panic!("{:?}", files(folder.path())) };
    // A file that is written anew is another one.
    let before = std::fs::metadata(file).unwrap().ino();
    assert_eq!(encode(), fresh(&records(), false));
    assert_eq!(std::fs::metadata(file).unwrap().ino(), before);
}

#[test]
fn a_damaged_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let encode = || encode_in(folder.path(), &tokenizer(), &records(), false).unwrap();
    encode();
    let file = files(folder.path()).remove(0);
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&[][..], &whole[..whole.len() - 5], &whole[..20], &flipped, b"affine tokens 1\n"] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(encode(), fresh(&records(), false));
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn whatever_decides_the_tokens_decides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = BTreeSet::new();
    let mut expect_another = |tokenizer: &Tokenizer, records: &[Record], train_all: bool| {
        encode_in(folder.path(), tokenizer, records, train_all).unwrap();
        let now: BTreeSet<PathBuf> = files(folder.path()).into_iter().collect();
        assert_eq!(now.len(), all.len() + 1, "{now:?}");
        all = now;
    };
    expect_another(&tokenizer(), &records(), false);
    expect_another(&tokenizer(), &records(), true);
    let mut changed = records();
    changed.swap(0, 1);
    expect_another(&tokenizer(), &changed, false);
    changed[3] = Record::text("plain ");
    expect_another(&tokenizer(), &changed, false);
    // The same words, said by others.
    let said = |roles: [fn(&'static str) -> Message; 2]| [Record::messages(vec![roles[0]("a"), roles[1]("b")])];
    expect_another(&tokenizer(), &said([|text| Message::user(text), |text| Message::assistant(text)]), true);
    expect_another(&tokenizer(), &said([|text| Message::new("system", text), |text| Message::assistant(text)]), true);

    // The same words, one turn marked to carry no loss.
    let mut marked = records();
    let Body::Messages(messages) = &mut marked[0].body else { panic!("the first are messages") };
    messages[1].loss = false;
    expect_another(&tokenizer(), &marked, false);

    // Another chat template, all else as it is.
    let copy = tempfile::tempdir().unwrap();
    tokenizer().save(copy.path()).unwrap();
    let template =
        "{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>";
    std::fs::write(copy.path().join("chat_template.jinja"), template).unwrap();
    expect_another(&Tokenizer::load(copy.path()).unwrap(), &records(), false);

    // What a record carries beside its text makes no difference.
    let mut scored = records();
    scored[0].extra.insert("score".into(), 1.into());
    encode_in(folder.path(), &tokenizer(), &scored, false).unwrap();
    assert_eq!(files(folder.path()).len(), all.len());
}

#[test]
fn a_record_that_has_no_tokens_is_named_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let records = [Record::text("a"), Record::messages(vec![Message::user("Hi")])];
    let error = encode_in(folder.path(), &tokenizer(), &records, false).unwrap_err().to_string();
    assert_eq!(error, "record 2: a record needs an assistant message to train on, got none");
    assert!(files(folder.path()).is_empty());
    let question = || Record::messages(vec![Message::user("Hi")]);
    let error =
        encode_in(folder.path(), &tokenizer(), &[question(), Record::text("a"), question()], false).unwrap_err();
    let wanted = "2 of 3 records cannot be trained on: a record needs an assistant message to train on, got none (record 1, record 3)";
    assert_eq!(error.to_string(), wanted);

    // Where nothing can be written, tokenising is all there is.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(encode_in(&file, &tokenizer(), &records[..1], false).unwrap(), fresh(&records[..1], false));
}
