//! The search engine: an inverted index ranked by BM25, number for number as Lucene 8 computes it.
//!
//! score = Σ over the query's terms of w − w / (1 + tf · c(length)), w = times in the query · idf,
//! idf = ln(1 + (N − df + ½) / (df + ½)), c(length) = 1 / (k1 · (1 − b + b · length / average length)),
//! with k1 = 0.9 and b = 0.4 (Pyserini's), in single precision, summed in double precision. A document's length is kept
//! in one byte: exact up to 40 terms, then to four significant bits (Lucene's `SmallFloat`). Equal scores are ordered
//! by the document's id.
//!
//! Where Lucene refuses a query of more than 1024 different words, this takes them all.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::analysis::{for_each_term, for_each_word, term};
use super::product::{Reader, put_number};

const K1: f32 = 0.9;
const B: f32 = 0.4;

/// Bytes of a term's entry in the table: where its text ends, where its postings end, in how many documents it is.
const ENTRY: usize = 8 + 8 + 4;

/// Collects documents one by one.
#[derive(Default)]
pub struct IndexBuilder {
    /// Every word seen, with its term; `None` for stop words. Texts repeat their words, so few are analysed.
    words: HashMap<Box<str>, Option<u32>>,
    ids: HashMap<Box<str>, u32>,
    /// By term.
    postings: Vec<Postings>,
    /// A byte for every document, empty ones included.
    norms: Vec<u8>,
    num_documents: u64,
    num_terms: u64,
    /// The terms of the document being added.
    document: Vec<u32>,
}

#[derive(Default)]
struct Postings {
    documents: u32,
    last: u32,
    bytes: Vec<u8>,
}

/// What a search needs besides the index's bytes.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct IndexStatistics {
    /// Documents with at least one term.
    pub num_documents: u64,
    /// Terms in all documents, repetitions included.
    pub num_terms: u64,
}

/// The parts of a finished index.
pub struct IndexParts {
    pub statistics: IndexStatistics,
    pub norms: Vec<u8>,
    /// The terms' texts, sorted, end to end.
    pub texts: Vec<u8>,
    pub table: Vec<u8>,
    pub postings: Vec<u8>,
}

impl IndexBuilder {
    /// Adds the next document.
    pub fn add(&mut self, contents: &str) {
        let mut terms = std::mem::take(&mut self.document);
        terms.clear();
        for_each_word(contents, &mut |word| terms.extend(self.term(word)));
        let length = terms.len() as u32;
        self.num_terms += u64::from(length);
        self.num_documents += u64::from(length > 0);
        terms.sort_unstable();
        let number = self.norms.len() as u32;
        self.norms.push(length_to_byte(length));
        for same in terms.chunk_by(|a, b| a == b) {
            self.postings[same[0] as usize].add(number, same.len() as u64);
        }
        self.document = terms;
    }

    /// The term of a word, a new one if need be.
    fn term(&mut self, word: &str) -> Option<u32> {
        if let Some(&known) = self.words.get(word) {
            return known;
        }
        let id = term(word).map(|term| {
            *self.ids.entry(term.into()).or_insert_with(|| {
                self.postings.push(Postings::default());
                self.postings.len() as u32 - 1
            })
        });
        self.words.insert(word.into(), id);
        id
    }

    pub fn finish(mut self) -> IndexParts {
        drop(std::mem::take(&mut self.words));
        let mut terms: Vec<(Box<str>, u32)> = self.ids.into_iter().collect();
        terms.sort_unstable();
        let (mut texts, mut table, mut bytes) = (Vec::new(), Vec::with_capacity(terms.len() * ENTRY), Vec::new());
        for (term, id) in terms {
            let postings = std::mem::take(&mut self.postings[id as usize]);
            texts.extend(term.as_bytes());
            bytes.extend(postings.bytes);
            table.extend((texts.len() as u64).to_le_bytes());
            table.extend((bytes.len() as u64).to_le_bytes());
            table.extend(postings.documents.to_le_bytes());
        }
        let statistics = IndexStatistics { num_documents: self.num_documents, num_terms: self.num_terms };
        IndexParts { statistics, norms: self.norms, texts, table, postings: bytes }
    }
}

impl Postings {
    fn add(&mut self, document: u32, count: u64) {
        // The gap since the last document; its lowest bit says that the term occurs once.
        let gap = u64::from(document - self.last);
        put_number(&mut self.bytes, gap << 1 | u64::from(count == 1));
        if count > 1 {
            put_number(&mut self.bytes, count);
        }
        self.last = document;
        self.documents += 1;
    }
}

/// A finished index in bytes that lie elsewhere. Damaged bytes give wrong results, never a panic.
pub struct Index<'a> {
    pub statistics: &'a IndexStatistics,
    pub norms: &'a [u8],
    pub texts: &'a [u8],
    pub table: &'a [u8],
    pub postings: &'a [u8],
}

/// A document that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub document: u32,
    pub score: f32,
}

impl Index<'_> {
    /// The best `limit` documents for a query, the best first. `by_id` orders two documents of equal score.
    pub fn search(&self, query: &str, limit: usize, by_id: impl Fn(u32, u32) -> Ordering) -> Vec<Hit> {
        let mut counts: HashMap<Box<str>, u32> = HashMap::new();
        for_each_term(query, |term| *counts.entry(term.into()).or_default() += 1);
        let lists: Vec<(f32, u32, &[u8])> = counts
            .into_iter()
            .filter_map(|(term, count)| {
                let (documents, postings) = self.lookup(term.as_bytes())?;
                Some((count as f32 * self.idf(documents), documents, postings))
            })
            .collect();
        let mut hits = self.sum(lists);
        let better = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then_with(|| by_id(a.document, b.document));
        if hits.len() > limit {
            hits.select_nth_unstable_by(limit, better);
            hits.truncate(limit);
        }
        hits.sort_unstable_by(better);
        hits
    }

    /// The documents of the lists with the sums of their scores.
    fn sum(&self, mut lists: Vec<(f32, u32, &[u8])>) -> Vec<Hit> {
        // A sum in double precision depends a little on its order; this one depends on the query alone.
        lists.sort_unstable_by(|a, b| a.1.cmp(&b.1).then(a.0.total_cmp(&b.0)).then(a.2.cmp(b.2)));
        let lengths = self.length_factors();
        let mut sums = vec![0f64; self.norms.len()];
        for (weight, documents, postings) in lists {
            each_posting(documents, postings, |document, frequency| {
                if let (Some(sum), Some(&norm)) = (sums.get_mut(document as usize), self.norms.get(document as usize)) {
                    *sum += f64::from(weight - weight / (1.0 + frequency as f32 * lengths[usize::from(norm)]));
                }
            });
        }
        let found = sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0);
        found.map(|(document, &sum)| Hit { document: document as u32, score: sum as f32 }).collect()
    }

    fn idf(&self, documents: u32) -> f32 {
        let (all, with) = (self.statistics.num_documents as f64, f64::from(documents));
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln() as f32
    }

    /// c(length) for every byte that a length can be.
    fn length_factors(&self) -> [f32; 256] {
        let average = (self.statistics.num_terms as f64 / self.statistics.num_documents as f64) as f32;
        std::array::from_fn(|byte| 1.0 / (K1 * ((1.0 - B) + B * byte_to_length(byte as u8) as f32 / average)))
    }

    /// In how many documents a term is, and its postings.
    fn lookup(&self, term: &[u8]) -> Option<(u32, &[u8])> {
        let (mut low, mut high) = (0, self.table.len() / ENTRY);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.texts.get(self.range(middle, 0)?)?.cmp(term) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    let documents = self.table.get(middle * ENTRY + 16..middle * ENTRY + 20)?;
                    let postings = self.postings.get(self.range(middle, 8)?)?;
                    return Some((u32::from_le_bytes(documents.try_into().ok()?), postings));
                }
            }
        }
        None
    }

    /// From the end of the entry before to the end of this one; `offset` picks texts (0) or postings (8).
    fn range(&self, entry: usize, offset: usize) -> Option<Range<usize>> {
        let end = |entry: usize| -> Option<usize> {
            let start = entry * ENTRY + offset;
            usize::try_from(u64::from_le_bytes(self.table.get(start..start + 8)?.try_into().ok()?)).ok()
        };
        Some(if entry == 0 { 0 } else { end(entry - 1)? }..end(entry)?)
    }
}

fn each_posting(documents: u32, postings: &[u8], mut each: impl FnMut(u32, u32)) {
    let mut reader = Reader { bytes: postings };
    let mut document = 0u32;
    for _ in 0..documents {
        let Some(gap) = reader.number() else {
            return;
        };
        document = document.wrapping_add((gap >> 1) as u32);
        let frequency = if gap & 1 == 1 { Some(1) } else { reader.number() };
        each(document, frequency.unwrap_or(1) as u32);
    }
}

/// Lucene's `SmallFloat.intToByte4`: lengths below 24 as they are, longer ones as a float of four bits' precision.
fn length_to_byte(length: u32) -> u8 {
    const EXACT: u32 = 24;
    if length < EXACT {
        return length as u8;
    }
    let rest = length - EXACT;
    let bits = u32::BITS - rest.leading_zeros();
    if bits < 4 {
        return (EXACT + rest) as u8;
    }
    let shift = bits - 4;
    // The leading bit is implied by the shift.
    let float = (rest >> shift & 0x07) | (shift + 1) << 3;
    (EXACT + float) as u8
}

/// `SmallFloat.byte4ToInt`.
fn byte_to_length(byte: u8) -> u32 {
    const EXACT: u32 = 24;
    let byte = u32::from(byte);
    if byte < EXACT {
        return byte;
    }
    let float = byte - EXACT;
    let (bits, shift) = (float & 0x07, float >> 3);
    EXACT + if shift == 0 { bits } else { (bits | 0x08).checked_shl(shift - 1).unwrap_or(u32::MAX - EXACT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_down_as_lucene_rounds_them() {
        // org.apache.lucene.util.SmallFloat.byte4ToInt(intToByte4(length)) of Lucene 8.
        for (length, kept) in
            [(0, 0), (23, 23), (24, 24), (39, 39), (40, 40), (41, 40), (42, 42), (57, 56), (100, 96), (900, 856)]
        {
            assert_eq!(byte_to_length(length_to_byte(length)), kept, "{length}");
        }
        assert!((0..255u8).all(|byte| byte_to_length(byte) <= byte_to_length(byte + 1)));
    }

    #[test]
    fn every_posting_is_found_again() {
        let mut builder = IndexBuilder::default();
        for document in 0..300 {
            builder.add(&format!("alpha {} beta{document}", "gamma ".repeat(document % 3)));
        }
        builder.add("...");
        let parts = builder.finish();
        assert_eq!(parts.statistics, IndexStatistics { num_documents: 300, num_terms: 900 });
        let index = Index {
            statistics: &parts.statistics,
            norms: &parts.norms,
            texts: &parts.texts,
            table: &parts.table,
            postings: &parts.postings,
        };
        let find = |query: &str| index.search(query, 1000, |a, b| a.cmp(&b));
        assert_eq!((find("alpha").len(), find("gamma").len(), find("beta299").len()), (300, 200, 1));
        assert_eq!(find("beta7")[0].document, 7);
        assert!(find("").is_empty() && find("delta the").is_empty());
        assert_eq!(
            index.search("gamma", 3, |a, b| b.cmp(&a)).iter().map(|h| h.document).collect::<Vec<_>>(),
            [299, 296, 293]
        );
    }
}
