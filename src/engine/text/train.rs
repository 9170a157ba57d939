//! A new tokenizer: byte-level BPE trained on given texts and built as Qwen's is, with the ChatML template.

use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::channel;

use regex::Regex;
use serde_json::{Map, Value, json};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior, TokenizerBuilder, TokenizerImpl, Trainer,
};

use super::Tokenizer;
use super::tokenizer::Files;
use crate::engine::{Error, Result, cancel};

const END_OF_TEXT: &str = "<|endoftext|>";
const START_OF_TURN: &str = "<|im_start|>";
const END_OF_TURN: &str = "<|im_end|>";
const SPECIAL_TOKENS: [&str; 3] = [END_OF_TEXT, START_OF_TURN, END_OF_TURN];

/// Letters that are merged as one word. No word of a language is as long.
const LONGEST_WORD: usize = 1000;

/// One token per byte value, so that any text can be encoded.
const BYTES: usize = 256;

/// How Qwen2 and Qwen3 split text before merging (tokenizer.json of Qwen/Qwen3-4B).
const SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const CHATML: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + \
    '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

type Inner = TokenizerImpl<BPE, NFC, PreTokenizerWrapper, ByteLevel, ByteLevel>;

impl Tokenizer {
    /// Whether a tokenizer of this size can be.
    pub fn check_vocab_size(vocab_size: usize) -> Result<()> {
        let least = BYTES + SPECIAL_TOKENS.len();
        if vocab_size < least || u32::try_from(vocab_size).is_err() {
            let expected = format!("at least {least} (256 bytes and {} special tokens)", SPECIAL_TOKENS.len());
            return Err(Error::option("vocab_size", expected, vocab_size));
        }
        Ok(())
    }

    /// Trains a tokenizer with `vocab_size` tokens: the 256 bytes, then merges, the most frequent first, then
    /// `<|endoftext|>`, `<|im_start|>` and `<|im_end|>`. It has fewer where `texts` hold too few different words to
    /// merge. The same texts, in any order, give the same tokenizer.
    pub fn train<S: AsRef<str> + Sync>(texts: &[S], vocab_size: usize) -> Result<Self> {
        Self::check_vocab_size(vocab_size)?;
        if texts.iter().all(|text| text.as_ref().is_empty()) {
            return Err(Error::message("a tokenizer needs text to be trained on, got none"));
        }
        // Every merge joins two pieces of a text, so there are never more than bytes; the trainer makes room for all at once.
        let most = texts.iter().map(|text| text.as_ref().len()).sum::<usize>() + BYTES + SPECIAL_TOKENS.len();
        let texts = texts.iter().map(|text| text.as_ref().to_string()).collect();
        let inner = train_apart(texts, vocab_size.min(most) - SPECIAL_TOKENS.len())?;
        let ids = SPECIAL_TOKENS.map(|token| inner.token_to_id(token));
        let [Some(end_of_text), Some(start_of_turn), Some(end_of_turn)] = ids else {
            return Err(failed("a special token was not added".into()));
        };
        let tokenizer_json = inner.to_string(true).map_err(failed)?;
        let config = tokenizer_config(&[end_of_text, start_of_turn, end_of_turn]);
        let generation = json!({
            "bos_token_id": end_of_text,
            "eos_token_id": [end_of_turn, end_of_text],
            "pad_token_id": end_of_text,
        });
        let files = Files::from([
            ("tokenizer.json", tokenizer_json.into_bytes()),
            ("tokenizer_config.json", format!("{config:#}\n").into_bytes()),
            ("generation_config.json", format!("{generation:#}\n").into_bytes()),
        ]);
        Self::from_files(Path::new("the trained tokenizer"), files)
    }
}

/// On a thread of its own, so that Ctrl-C is heard: merging cannot be stopped, only left.
fn train_apart(texts: Vec<String>, vocab_size: usize) -> Result<Inner> {
    let (done, result) = channel();
    let work = move || {
        // Nobody waits for it any more after an interruption.
        let _ = done.send(train_bpe(&texts, vocab_size));
    };
    let thread = std::thread::Builder::new().name("tokenizer".to_string()).spawn(work);
    thread.map_err(|error| failed(error.into()))?;
    match cancel::receive(&result)? {
        Some(trained) => trained.map_err(failed),
        None => Err(failed("its thread ended without a result".into())),
    }
}

fn train_bpe(texts: &[String], vocab_size: usize) -> tokenizers::Result<Inner> {
    let byte_level = ByteLevel::new(false, false, false);
    let split = Split::new(SplitPattern::Regex(SPLIT.into()), SplitDelimiterBehavior::Isolated, false)?;
    let splitter: PreTokenizerWrapper = Sequence::new(vec![split.into(), byte_level.into()]).into();
    let mut inner: Inner = TokenizerBuilder::default()
        .with_model(BPE::default())
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(splitter.clone()))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect::<HashSet<char>>())
        .show_progress(false)
        .build();
    // Special tokens are cut out first: their pieces (`<|`, `im`, `_end`) would spend merges on text that is never
    // split when encoding.
    let special = Regex::new(&SPECIAL_TOKENS.map(regex::escape).join("|"))?;
    trainer.feed(texts.iter().flat_map(|text| special.split(text)), |text| {
        let mut text = NormalizedString::from(text);
        NFC.normalize(&mut text)?;
        let mut pieces = PreTokenizedString::from(text);
        splitter.pre_tokenize(&mut pieces)?;
        let words = pieces.get_splits(OffsetReferential::Original, OffsetType::None);
        Ok(words.into_iter().flat_map(|(word, ..)| parts(word)).collect())
    })?;
    let mut model = BPE::default();
    trainer.train(&mut model)?;
    inner.with_model(model);
    // Added after the merges, as in Qwen's vocabulary, so bytes and merges are numbered as they are there.
    inner.add_special_tokens(SPECIAL_TOKENS.map(|token| AddedToken::from(token, true)))?;
    Ok(inner)
}

/// A word as merges are learned from it. Each merge moves what lies behind it in its word, so a text without spaces, which
/// is one word, is cut.
fn parts(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(LONGEST_WORD).map(|part| part.iter().collect()).collect()
}

/// What transformers reads beside tokenizer.json.
fn tokenizer_config(ids: &[u32; 3]) -> Value {
    let added: Map<String, Value> = std::iter::zip(ids, SPECIAL_TOKENS)
        .map(|(id, token)| {
            let entry = json!({
                "content": token,
                "lstrip": false,
                "normalized": false,
                "rstrip": false,
                "single_word": false,
                "special": true,
            });
            (id.to_string(), entry)
        })
        .collect();
    json!({
        "add_bos_token": false,
        "add_prefix_space": false,
        "added_tokens_decoder": added,
        "additional_special_tokens": [START_OF_TURN, END_OF_TURN],
        "bos_token": null,
        "chat_template": CHATML,
        "clean_up_tokenization_spaces": false,
        "eos_token": END_OF_TURN,
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": END_OF_TEXT,
        "split_special_tokens": false,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null,
    })
}

fn failed(error: tokenizers::Error) -> Error {
    Error::message(format!("the tokenizer could not be trained: {error}"))
}
