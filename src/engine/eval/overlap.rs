//! Near duplicates: which of the prompts that a model is judged on stand, in parts, in what it was trained on.
//!
//! By shared runs of 13 words, as GPT-3's authors looked for contamination (Brown et al. 2020, appendix C); equal prompts are found by
//! [`prompt_hash`](crate::engine::rollout::prompt_hash). A word is a longest run of characters that are letters or digits in
//! Unicode's sense (`char::is_alphanumeric`), in lower case (`char::to_lowercase`, character by character); everything else
//! parts words and is otherwise ignored. Nothing is normalised: a letter and its accent as two characters are two words. A script
//! written without blanks is one long word, and finds little.
//!
//! What more than 1 % of an environment's prompts share, and at least two of them, is its instructions and no contamination:
//! it is left out for that environment, and counted ([`PromptOverlap::common`]). Among fewer than 200 prompts that is what any two
//! share.
//!
//! The prompts are indexed and the records streamed past them, so memory depends on the prompts alone: some 80 bytes for each of
//! their n-grams while the index is made, and 65 after. An n-gram is known by 64 bits of hash: that one of 2·10⁹ words of records
//! agrees by chance with one of 10⁷ n-grams of prompts happens in about one run of a thousand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use serde::Serialize;

/// Words in an n-gram.
pub const WORDS: usize = 13;

/// What a larger share of an environment's prompts has in common is left out.
const COMMON_SHARE: f64 = 0.01;

/// The prompts to look for.
#[derive(Debug, Default)]
pub struct Prompts {
    prompts: Vec<Prompt>,
    /// The tasks that are there, by environment.
    tasks: BTreeMap<String, HashSet<u64>>,
}

#[derive(Debug)]
struct Prompt {
    environment: String,
    task_id: u64,
    /// Distinct, in ascending order.
    grams: Vec<u64>,
}

/// What of one prompt was found in the records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptOverlap {
    pub environment: String,
    pub task_id: u64,
    /// Its distinct n-grams that were looked for.
    pub ngrams: u64,
    /// Those left out because other prompts of the environment share them.
    pub common: u64,
    /// The share of `ngrams` that some record has, from 0 to 1; `None` where there is nothing to look for: a prompt of fewer
    /// than 13 words, or one without words of its own.
    pub seen: Option<f64>,
    /// The record that has the most of them, where one has any; among equals the first.
    pub record: Option<RecordOverlap>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordOverlap {
    /// As it was named to [`Overlap::record`].
    pub name: String,
    /// The share of the prompt's `ngrams` that this record alone has, above 0 and at most 1.
    pub seen: f64,
}

impl Prompts {
    pub fn new() -> Self {
        Prompts::default()
    }

    /// Adds the text that a model is shown at the start of a task: the whole of it, instructions included. A task that is there
    /// already is not added again: it would share all its words with itself.
    pub fn add(&mut self, environment: &str, task_id: u64, text: &str) {
        if !self.tasks.entry(environment.to_string()).or_default().insert(task_id) {
            return;
        }
        let mut grams: Vec<u64> = Grams::of(text).collect();
        grams.sort_unstable();
        grams.dedup();
        self.prompts.push(Prompt { environment: environment.to_string(), task_id, grams });
    }

    /// The index to stream records past.
    pub fn index(self) -> Overlap {
        let common = self.common();
        let (mut owned, mut found) = (Vec::new(), Vec::with_capacity(self.prompts.len()));
        for (number, prompt) in self.prompts.into_iter().enumerate() {
            let common = &common[&prompt.environment];
            let (left_out, looked_for): (Vec<u64>, Vec<u64>) =
                prompt.grams.into_iter().partition(|gram| common.binary_search(gram).is_ok());
            owned.extend(looked_for.iter().map(|gram| (*gram, number as u32)));
            found.push(Found {
                environment: prompt.environment,
                task_id: prompt.task_id,
                ngrams: looked_for.len() as u64,
                common: left_out.len() as u64,
                seen: 0,
                here: 0,
                most: 0,
                record: None,
            });
        }
        owned.sort_unstable();
        let same = |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0;
        let mut entries =
            HashMap::with_capacity_and_hasher(owned.chunk_by(same).count(), BuildHasherDefault::default());
        let mut first = 0;
        for owners in owned.chunk_by(same) {
            let last = first + owners.len() as u32;
            entries.insert(owners[0].0, Entry { first, last, record: NEVER });
            first = last;
        }
        Overlap { entries, owners: owned.into_iter().map(|(_, owner)| owner).collect(), found, records: 0 }
    }

    /// By environment, what too many of its prompts share, in ascending order.
    fn common(&self) -> BTreeMap<String, Vec<u64>> {
        let mut environments: BTreeMap<String, Vec<&Prompt>> = BTreeMap::new();
        for prompt in &self.prompts {
            environments.entry(prompt.environment.clone()).or_default().push(prompt);
        }
        let common = |prompts: Vec<&Prompt>| {
            let mut grams: Vec<u64> = prompts.iter().flat_map(|prompt| prompt.grams.iter().copied()).collect();
            grams.sort_unstable();
            let many = |same: &&[u64]| same.len() >= 2 && same.len() as f64 > COMMON_SHARE * prompts.len() as f64;
            grams.chunk_by(|a, b| a == b).filter(many).map(|same| same[0]).collect()
        };
        environments.into_iter().map(|(name, prompts)| (name, common(prompts))).collect()
    }
}

/// No record has had the n-gram yet.
const NEVER: u64 = 0;

/// The prompts' n-grams, and what of them the records so far have.
#[derive(Debug)]
pub struct Overlap {
    entries: HashMap<u64, Entry, BuildHasherDefault<Hashed>>,
    /// Prompts by number; every entry names a stretch of them.
    owners: Vec<u32>,
    found: Vec<Found>,
    /// Records so far; they count from 1.
    records: u64,
}

#[derive(Debug)]
struct Entry {
    first: u32,
    last: u32,
    /// The last record that had it.
    record: u64,
}

#[derive(Debug)]
struct Found {
    environment: String,
    task_id: u64,
    ngrams: u64,
    common: u64,
    /// N-grams that some record had.
    seen: u64,
    /// N-grams that the present record has.
    here: u64,
    /// The largest `here` of all records.
    most: u64,
    record: Option<String>,
}

impl Overlap {
    /// Looks at one training record: its whole text, and a name under which a person finds it (a file and a line).
    pub fn record(&mut self, name: &str, text: &str) {
        self.records += 1;
        let mut touched = Vec::new();
        for gram in Grams::of(text) {
            let Some(entry) = self.entries.get_mut(&gram) else { continue };
            let before = std::mem::replace(&mut entry.record, self.records);
            if before == self.records {
                continue;
            }
            for &owner in &self.owners[entry.first as usize..entry.last as usize] {
                let found = &mut self.found[owner as usize];
                found.seen += u64::from(before == NEVER);
                if found.here == 0 {
                    touched.push(owner);
                }
                found.here += 1;
            }
        }
        for owner in touched {
            let found = &mut self.found[owner as usize];
            let here = std::mem::take(&mut found.here);
            if here > found.most {
                found.most = here;
                found.record = Some(name.to_string());
            }
        }
    }

    /// Every prompt, in the order added.
    pub fn finish(self) -> Vec<PromptOverlap> {
        let overlap = |found: Found| {
            let share = |count: u64| count as f64 / found.ngrams as f64;
            PromptOverlap {
                ngrams: found.ngrams,
                common: found.common,
                seen: (found.ngrams > 0).then(|| share(found.seen)),
                record: found.record.map(|name| RecordOverlap { name, seen: share(found.most) }),
                environment: found.environment,
                task_id: found.task_id,
            }
        };
        self.found.into_iter().map(overlap).collect()
    }
}

/// The hashes of a text's n-grams, in its order: h = Σ wᵢ·Mⁿ⁻¹⁻ⁱ modulo 2⁶⁴ over the hashes wᵢ of its words, which goes from one n-gram to
/// the next in two steps, mixed at the end.
struct Grams<'a> {
    words: Words<'a>,
    /// The last n words' hashes, in a ring.
    last: [u64; WORDS],
    count: usize,
    sum: u64,
}

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
/// Mⁿ, what the oldest word counts once the next has come.
const OLDEST: u64 = MULTIPLIER.wrapping_pow(WORDS as u32);

impl<'a> Grams<'a> {
    fn of(text: &'a str) -> Self {
        Grams { words: Words { rest: text.chars() }, last: [0; WORDS], count: 0, sum: 0 }
    }
}

impl Iterator for Grams<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let word = self.words.next()?;
            let oldest = std::mem::replace(&mut self.last[self.count % WORDS], word);
            self.sum = self.sum.wrapping_mul(MULTIPLIER).wrapping_add(word).wrapping_sub(oldest.wrapping_mul(OLDEST));
            self.count += 1;
            if self.count >= WORDS {
                return Some(mixed(self.sum));
            }
        }
    }
}

/// The hashes of a text's words: FNV-1a over the characters in lower case, mixed.
struct Words<'a> {
    rest: std::str::Chars<'a>,
}

impl Iterator for Words<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let first = self.rest.by_ref().find(|c| c.is_alphanumeric())?;
        let mut hash = added(0xCBF2_9CE4_8422_2325, first);
        for c in self.rest.by_ref().take_while(|c| c.is_alphanumeric()) {
            hash = added(hash, c);
        }
        Some(mixed(hash))
    }
}

fn added(hash: u64, c: char) -> u64 {
    let add = |hash: u64, c: char| (hash ^ u64::from(c)).wrapping_mul(0x0000_0100_0000_01B3);
    match c.is_ascii() {
        true => add(hash, c.to_ascii_lowercase()),
        false => c.to_lowercase().fold(hash, add),
    }
}

/// MurmurHash3's finaliser: every bit of the result depends on all.
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

/// For keys that are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| mixed(hash ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::random;

    fn numbered(range: std::ops::Range<u32>) -> String {
        range.map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ")
    }

    fn one(prompt: &str, records: &[&str]) -> PromptOverlap {
        let mut prompts = Prompts::new();
        prompts.add("env", 0, prompt);
        let mut overlap = prompts.index();
        for (i, record) in records.iter().enumerate() {
            overlap.record(&format!("train.jsonl:{}", i + 1), record);
        }
        overlap.finish().remove(0)
    }

    #[test]
    fn the_share_of_runs_that_records_have_is_told_with_the_record_that_has_most() {
        // 20 words have 8 n-grams; words 0..15 have 3 of them, words 3..20 have 5.
        let found = one(&numbered(0..20), &[&numbered(0..15), &numbered(3..20), "nothing of it"]);
        assert_eq!((found.ngrams, found.seen), (8, Some(1.0)));
        assert_eq!(found.record, Some(RecordOverlap { name: "train.jsonl:2".to_string(), seen: 5.0 / 8.0 }));
        let found = one(&numbered(0..20), &[&numbered(4..18)]);
        assert_eq!(found.seen, Some(2.0 / 8.0));
        let found = one(&numbered(0..20), &[&numbered(0..12), &numbered(30..60)]);
        assert_eq!((found.seen, found.record), (Some(0.0), None));
    }

    #[test]
    fn a_run_said_twice_counts_once() {
        let twice = format!("{} {}", numbered(0..13), numbered(0..13));
        let found = one(&numbered(0..14), &[&twice]);
        assert_eq!((found.seen, found.record.unwrap().seen), (Some(0.5), 0.5));
    }

    #[test]
    fn case_and_punctuation_do_not_tell_texts_apart_and_order_does() {
        let prompt = "The quick, brown fox (number 7) jumps over the lazy dog: ÄRGER in Zürich!";
        let other = "the quick brown fox number 7 jumps over the lazy dog ärger in zürich";
        assert_eq!(one(prompt, &[other]).seen, Some(1.0));
        assert_eq!(one(prompt, &[&other.replacen("the", "a", 1)]).seen, Some(0.5));
        assert_eq!(one(prompt, &[&other.replace("7 jumps", "jumps 7")]).seen, Some(0.0));
    }

    #[test]
    fn a_short_prompt_has_nothing_to_look_for() {
        let found = one("only a few words", &["only a few words"]);
        assert_eq!((found.ngrams, found.seen, found.record), (0, None, None));
        assert_eq!(one("", &[""]).seen, None);
    }

    #[test]
    fn what_an_environments_prompts_share_is_left_out_there_alone() {
        let mut prompts = Prompts::new();
        let instructions = numbered(0..30);
        for task in 0..300 {
            prompts.add(
                "a",
                task,
                &format!("{instructions} {}", numbered(1000 * task as u32 + 1000..1000 * task as u32 + 1020)),
            );
        }
        // Three of 300 share a passage, which is not more than 1 %.
        for task in 300..303 {
            prompts.add("a", task, &format!("{} t{task}", numbered(500..520)));
        }
        prompts.add("b", 0, &instructions);
        let mut overlap = prompts.index();
        overlap.record("instructions", &instructions);
        overlap.record("passage", &numbered(500..520));
        let found = overlap.finish();
        assert_eq!((found[0].common, found[0].ngrams, found[0].seen), (18, 20, Some(0.0)));
        assert_eq!((found[300].common, found[300].ngrams, found[300].seen), (0, 9, Some(8.0 / 9.0)));
        assert_eq!((found[303].common, found[303].seen), (0, Some(1.0)));
    }

    #[test]
    fn two_prompts_of_few_share_and_one_does_not() {
        let mut prompts = Prompts::new();
        prompts.add("a", 0, &numbered(0..13));
        prompts.add("a", 1, &numbered(0..13));
        prompts.add("a", 2, &numbered(20..33));
        prompts.add("a", 2, &numbered(20..33));
        let mut overlap = prompts.index();
        overlap.record("r", &numbered(0..40));
        let seen: Vec<Option<f64>> = overlap.finish().into_iter().map(|found| found.seen).collect();
        assert_eq!(seen, [None, None, Some(1.0)]);
    }

    /// Against sets of the words themselves.
    #[test]
    fn random_texts_overlap_as_their_words_do() {
        let mut stream = random::stream(5, "overlap", 0);
        let mut text = |words: u64| -> Vec<String> {
            // Few words, in long runs, so that runs of 13 are often shared.
            let mut at = 0;
            let mut word = || {
                at = if random::below(&mut stream, 20) == 0 { random::below(&mut stream, 60) } else { at + 1 };
                format!("w{at}")
            };
            (0..words).map(|_| word()).collect()
        };
        let prompts: Vec<Vec<String>> = (0..40).map(|i| text(10 + 5 * i)).collect();
        let records: Vec<Vec<String>> = (0..60).map(|_| text(60)).collect();
        let grams =
            |text: &Vec<String>| -> BTreeSet<Vec<String>> { text.windows(WORDS).map(<[String]>::to_vec).collect() };
        let all: BTreeSet<Vec<String>> = records.iter().flat_map(grams).collect();
        let mut index = Prompts::new();
        for (task, prompt) in prompts.iter().enumerate() {
            // An environment each, so that nothing is left out.
            index.add(&format!("env{task}"), task as u64, &prompt.join(" "));
        }
        let mut overlap = index.index();
        for (number, record) in records.iter().enumerate() {
            overlap.record(&number.to_string(), &record.join("\n"));
        }
        let mut some = 0;
        for (prompt, found) in prompts.iter().zip(overlap.finish()) {
            let own = grams(prompt);
            let share = |other: &BTreeSet<Vec<String>>| own.intersection(other).count() as f64 / own.len() as f64;
            assert_eq!(found.ngrams, own.len() as u64);
            assert_eq!(found.seen, (!own.is_empty()).then(|| share(&all)));
            let best = records.iter().map(|record| share(&grams(record))).fold(0.0, f64::max);
            assert_eq!(
                found.record.as_ref().map_or(0.0, |record| record.seen),
                if own.is_empty() { 0.0 } else { best }
            );
            some += u32::from(found.record.is_some());
        }
        assert!(some > 10, "{some}");
    }
}
