//! What a file of records comes to: how many of which kind, how long, how much of it is trained; and one record for eyes.

use std::collections::BTreeMap;

use super::Record;
use crate::engine::Result;
use crate::engine::text::{Conversation, Tokenizer};

/// How records become tokens.
pub struct Encoding<'a> {
    pub tokenizer: &'a Tokenizer,
    /// Every token is trained, as with `train_on = "all"`.
    pub train_all: bool,
    /// Tokens after which a record is cut.
    pub limit: usize,
}

impl Encoding<'_> {
    /// A record's ids and mask, as they are before anything is cut.
    fn of(&self, record: &Record) -> Result<Conversation> {
        if self.train_all { record.encode_all(self.tokenizer) } else { record.encode(self.tokenizer) }
    }
}

/// Counts over records.
#[derive(Debug, Default, PartialEq)]
pub struct Survey {
    /// Records of each kind of body.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Records that have each other key, in the order in which keys came.
    pub keys: Vec<(String, usize)>,
    pub tokens: Option<Tokens>,
}

/// Counts of tokens.
#[derive(Debug, Default, PartialEq)]
pub struct Tokens {
    /// Of each record, sorted.
    lengths: Vec<usize>,
    /// Of what is left after the cut: all, and those that are trained.
    pub kept: usize,
    pub trained: usize,
    /// Records that are longer than the limit.
    pub cut: usize,
    /// Numbers (from 1) of the records without a token to train on, and why another cannot be encoded.
    pub untrained: Vec<usize>,
    pub refused: Vec<(usize, String)>,
}

impl Survey {
    /// Counts `records`; their tokens, too, where it is told how they become some.
    pub fn of(records: &[Record], encoding: Option<&Encoding>) -> Self {
        let mut survey = Survey::default();
        for record in records {
            *survey.kinds.entry(record.body.kind()).or_default() += 1;
            for key in record.extra.keys() {
                match survey.keys.iter_mut().find(|(known, _)| known == key) {
                    Some((_, count)) => *count += 1,
                    None => survey.keys.push((key.clone(), 1)),
                }
            }
        }
        survey.tokens = encoding.map(|encoding| Tokens::of(records, encoding));
        survey
    }
}

impl Tokens {
    fn of(records: &[Record], encoding: &Encoding) -> Self {
        let mut tokens = Tokens::default();
        for (i, record) in records.iter().enumerate() {
            let conversation = match encoding.of(record) {
                Ok(conversation) => conversation,
                Err(error) => {
                    tokens.refused.push((i + 1, error.to_string()));
                    continue;
                }
            };
            let kept = &conversation.mask()[..conversation.len().min(encoding.limit)];
            let trained = kept.iter().filter(|&&trained| trained).count();
            tokens.lengths.push(conversation.len());
            tokens.kept += kept.len();
            tokens.trained += trained;
            tokens.cut += usize::from(conversation.len() > encoding.limit);
            if trained == 0 {
                tokens.untrained.push(i + 1);
            }
        }
        tokens.lengths.sort_unstable();
        tokens
    }

    /// All tokens, before anything is cut.
    pub fn together(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The length that a share of the records does not exceed; 0 of none.
    pub fn quantile(&self, share: f64) -> usize {
        let rank = (share * self.lengths.len() as f64).ceil() as usize;
        self.lengths.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// One record for eyes.
pub struct View {
    /// The text in pieces that are trained or not.
    pub pieces: Vec<(String, bool)>,
    /// Tokens, trained ones, and those that were cut off before they were counted.
    pub tokens: Option<(usize, usize, usize)>,
}

impl View {
    /// A record as the model sees it, where it is told how it becomes tokens, else as the file has it.
    pub fn of(record: &Record, encoding: Option<&Encoding>) -> Result<Self> {
        let Some(encoding) = encoding else { return Ok(View { pieces: record.pieces(), tokens: None }) };
        let mut conversation = encoding.of(record)?;
        let whole = conversation.len();
        conversation.truncate(encoding.limit);
        let (length, trained) = (conversation.len(), conversation.trained());
        Ok(View { pieces: conversation.pieces(encoding.tokenizer)?, tokens: Some((length, trained, whole - length)) })
    }
}
