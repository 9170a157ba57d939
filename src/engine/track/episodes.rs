//! `episodes.jsonl.zst` of a run folder: a sample of what was played and trained on, token by token.
//!
//! A series of Zstandard frames with a line of JSON per row. Within a stage rows come by iteration and index. A run that was resumed
//! takes iterations again: a row whose place is not above the last one read of its stage replaces that stage's rows from
//! that place on. Keys that are not known here are passed over, so that later versions may tell more.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::frames::{self, Lines};
use crate::engine::file::{reason, unreadable};
use crate::engine::{Error, Result};

/// Its name in a run folder.
pub const EPISODES: &str = "episodes.jsonl.zst";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a policy played.
    Episode,
    /// What supervised fine-tuning was shown.
    Record,
}

/// A number per trained token, in order; one that is none is `None`.
pub type Column = Vec<Option<f64>>;

/// An episode or a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRow {
    pub kind: Kind,
    pub stage: String,
    /// 0 for records.
    #[serde(default)]
    pub iteration: u64,
    /// From 0, within its stage and iteration.
    pub index: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<u64>,
    /// On 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// On the environment's own scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_score: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// `terminated`, `truncated` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// Why an episode failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of all turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// `best`, `worst` or `random`: why it is in the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picked: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<TurnSpan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<i64>,
    /// The text of each id; joined they are the episode. None where the tokens did not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<String>,
    /// What is trained on: ranges of tokens, the second end outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<(usize, usize)>,
    #[serde(flatten)]
    pub columns: Columns,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(default)]
    pub messages: Vec<Said>,
}

/// A reply: its tokens, its end token among them, and what it earned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TurnSpan {
    pub from: usize,
    pub to: usize,
    #[serde(default)]
    pub reward: Option<f64>,
}

/// What is known of every trained token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Column>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_logprobs: Option<Column>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Column>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantages: Option<Column>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Column>,
}

impl Columns {
    /// Those that are there, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        let all = [
            ("logprobs", &self.logprobs),
            ("reference_logprobs", &self.reference_logprobs),
            ("values", &self.values),
            ("advantages", &self.advantages),
            ("returns", &self.returns),
        ];
        all.into_iter().filter_map(|(name, column)| Some((name, column.as_ref()?)))
    }
}

/// A message as it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub role: String,
    pub content: String,
}

/// Where a mask is true, as ranges.
pub fn ranges(mask: &[bool]) -> Vec<(usize, usize)> {
    let mut place = 0;
    let stretch = |stretch: &[bool]| {
        place += stretch.len();
        stretch[0].then_some((place - stretch.len(), place))
    };
    mask.chunk_by(|a, b| a == b).filter_map(stretch).collect()
}

impl EpisodeRow {
    /// Of which nothing is known yet.
    pub fn new(kind: Kind) -> Self {
        EpisodeRow {
            kind,
            stage: String::new(),
            iteration: 0,
            index: 0,
            env: None,
            task_id: None,
            score: None,
            own_score: None,
            success: None,
            ending: None,
            reason: None,
            reward: None,
            picked: None,
            turns: Vec::new(),
            ids: Vec::new(),
            pieces: Vec::new(),
            mask: Vec::new(),
            columns: Columns::default(),
            seconds: None,
            messages: Vec::new(),
        }
    }

    /// A line of the file; else what is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let row: EpisodeRow = serde_json::from_str(line).map_err(|error| error.to_string())?;
        row.check()?;
        Ok(row)
    }

    /// Within its stage.
    pub fn place(&self) -> (u64, u64) {
        (self.iteration, self.index)
    }

    fn leave_out_tokens(&mut self) {
        (self.ids, self.pieces, self.mask, self.columns) = Default::default();
        self.turns.clear();
    }

    pub fn failed(&self) -> bool {
        self.ending.as_deref() == Some("failed")
    }

    pub fn trained_tokens(&self) -> usize {
        self.mask.iter().map(|(from, to)| to.saturating_sub(*from)).sum()
    }

    /// Stretches of tokens that are trained throughout or not at all, in order.
    pub fn stretches(&self) -> Vec<(Range<usize>, bool)> {
        let (mut found, mut place) = (Vec::new(), 0);
        for &(from, to) in &self.mask {
            found.push((place..from, false));
            found.push((from..to, true));
            place = to;
        }
        found.push((place..self.pieces.len(), false));
        found.retain(|(range, _)| !range.is_empty());
        found
    }

    /// Refuses what does not fit together: a number shown at the wrong token would mislead.
    fn check(&self) -> Result<(), String> {
        let length = self.ids.len();
        if self.pieces.len() != length && !self.pieces.is_empty() {
            return Err(format!("pieces: expected one per id, which are {length}, got {}", self.pieces.len()));
        }
        ascending("mask", self.mask.iter().copied(), length)?;
        // Of a row without tokens the turns tell what each earned.
        if length > 0 {
            ascending("turns", self.turns.iter().map(|turn| (turn.from, turn.to)), length)?;
        }
        let trained = self.trained_tokens();
        match self.columns.named().find(|(_, column)| column.len() != trained) {
            Some((name, column)) => {
                Err(format!("{name}: expected one number per trained token, which are {trained}, got {}", column.len()))
            }
            None => Ok(()),
        }
    }
}

fn ascending(name: &str, ranges: impl Iterator<Item = (usize, usize)>, length: usize) -> Result<(), String> {
    let mut place = 0;
    for (from, to) in ranges {
        if from < place || to < from || to > length {
            return Err(format!("{name}: expected ascending ranges within the {length} tokens, got [{from}, {to}]"));
        }
        place = to;
    }
    Ok(())
}

/// How large the file may become, about.
const LARGEST: usize = 64 << 20;

/// What an iteration may have of that at least.
const LEAST: usize = 64 << 10;

/// Of how many iterations at most there is a sample, evenly spread.
const MOST_ITERATIONS: u64 = 1000;

/// A file that gets a sample of what is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    pub file: PathBuf,
    /// As in `metrics.jsonl`.
    #[serde(default)]
    pub stage: String,
}

impl Samples {
    /// Whether an iteration, counted from 1, is among those of which there is a sample.
    pub fn wants(&self, iteration: u64, iterations: u64) -> bool {
        iteration.is_multiple_of(iterations.div_ceil(MOST_ITERATIONS).max(1)) || iteration == iterations
    }

    /// Adds the rows of one of `iterations`. Where they are more than its share of the file, the longest go without their
    /// tokens, and then the last do not go at all.
    pub fn add(&self, mut rows: Vec<EpisodeRow>, iterations: u64) -> Result<()> {
        let share = (LARGEST / iterations.clamp(1, MOST_ITERATIONS) as usize).max(LEAST);
        let unwritten = |e: io::Error| Error::file(&self.file, format!("cannot be written: {}", reason(&e)));
        let mut text = lines(&rows);
        while !rows.is_empty() && zstd::encode_all(text.as_slice(), 0).map_err(unwritten)?.len() > share {
            match rows.iter_mut().filter(|row| !row.pieces.is_empty()).max_by_key(|row| row.pieces.len()) {
                Some(longest) => longest.leave_out_tokens(),
                None => drop(rows.pop()),
            }
            text = lines(&rows);
        }
        frames::append(&self.file, &text).map_err(unwritten)
    }
}

fn lines(rows: &[EpisodeRow]) -> Vec<u8> {
    rows.iter().flat_map(|row| format!("{}\n", serde_json::json!(row)).into_bytes()).collect()
}

/// The rows of a run, stage by stage in the order of the stages' first rows.
#[derive(Debug, Default)]
pub struct Episodes {
    pub rows: Vec<EpisodeRow>,
    /// What was left out at the file's end.
    pub left_out: Option<&'static str>,
}

impl Episodes {
    /// Of a run folder; none where it has no such file.
    pub fn of_run(run: &Path) -> Result<Self> {
        let path = run.join(EPISODES);
        match Lines::of_frames(&path) {
            Ok(lines) => Episodes::parse(&lines, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Episodes::default()),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    fn parse(lines: &Lines, path: &Path) -> Result<Self> {
        let mut stages = Stages::default();
        for (number, line) in lines.text.lines().enumerate() {
            let place = |problem: String| Error::file(PathBuf::from(path), format!("line {}: {problem}", number + 1));
            stages.add(EpisodeRow::parse(line).map_err(place)?);
        }
        Ok(Episodes { rows: stages.into_rows(), left_out: lines.left_out })
    }
}

#[derive(Default)]
struct Stages {
    order: Vec<String>,
    rows: BTreeMap<String, Vec<EpisodeRow>>,
}

impl Stages {
    fn add(&mut self, row: EpisodeRow) {
        let rows = self.rows.entry(row.stage.clone()).or_insert_with(|| {
            self.order.push(row.stage.clone());
            Vec::new()
        });
        while rows.last().is_some_and(|last| last.place() >= row.place()) {
            rows.pop();
        }
        rows.push(row);
    }

    fn into_rows(mut self) -> Vec<EpisodeRow> {
        self.order.iter().flat_map(|stage| self.rows.remove(stage).unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(stage: &str, iteration: u64, index: u64) -> Value {
        json!({
            "kind": "episode", "stage": stage, "iteration": iteration, "index": index, "env": "sat",
            "ids": [5, 6, 7], "pieces": ["a", "b", "c"], "mask": [[1, 3]], "logprobs": [-0.5, null], "later": {},
        })
    }

    fn read(rows: &[Value]) -> Result<Episodes> {
        let folder = tempfile::tempdir().unwrap();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.path().join(EPISODES), zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
        Episodes::of_run(folder.path())
    }

    #[test]
    fn a_row_that_is_taken_again_replaces_what_came_from_there_on() {
        let found = read(&[
            row("rl", 1, 0),
            row("rl", 1, 1),
            row("sft", 0, 0),
            row("rl", 2, 0),
            row("rl", 3, 0),
            row("rl", 2, 0),
            row("rl", 2, 1),
        ]);
        let places: Vec<_> =
            found.unwrap().rows.iter().map(|row| (row.stage.clone(), row.iteration, row.index)).collect();
        let expected = [("rl", 1, 0), ("rl", 1, 1), ("rl", 2, 0), ("rl", 2, 1), ("sft", 0, 0)];
        assert_eq!(places, expected.map(|(stage, iteration, index)| (stage.to_string(), iteration, index)));
    }

    #[test]
    fn a_row_is_split_where_training_begins_and_ends() {
        let found = read(&[row("rl", 1, 0)]).unwrap();
        assert_eq!(found.rows[0].stretches(), [(0..1, false), (1..3, true)]);
        assert_eq!(found.rows[0].columns.logprobs, Some(vec![Some(-0.5), None]));
    }

    #[test]
    fn numbers_that_belong_to_no_token_are_refused() {
        let refused = |key: &str, value: Value| {
            let mut row = row("rl", 1, 0);
            row[key] = value;
            read(&[row]).unwrap_err().to_string().split(".zst: ").nth(1).unwrap().to_string()
        };
        assert_eq!(
            refused("logprobs", json!([1.0])),
            "line 1: logprobs: expected one number per trained token, which are 2, got 1"
        );
        assert_eq!(
            refused("mask", json!([[2, 4]])),
            "line 1: mask: expected ascending ranges within the 3 tokens, got [2, 4]"
        );
        assert_eq!(
            refused("turns", json!([{ "from": 0, "to": 2 }, { "from": 1, "to": 3 }])),
            "line 1: turns: expected ascending ranges within the 3 tokens, got [1, 3]"
        );
        assert_eq!(refused("pieces", json!(["a"])), "line 1: pieces: expected one per id, which are 3, got 1");
        assert!(refused("kind", json!("other")).contains("unknown variant"));
        assert_eq!(refused("ids", json!([])), "line 1: pieces: expected one per id, which are 0, got 3");
        let without_tokens = |key: &str, value: Value| {
            let row = json!({ "kind": "episode", "stage": "rl", "index": 0, key: value });
            read(&[row]).unwrap_err().to_string().split(".zst: ").nth(1).unwrap().to_string()
        };
        assert_eq!(
            without_tokens("mask", json!([[0, 2]])),
            "line 1: mask: expected ascending ranges within the 0 tokens, got [0, 2]"
        );
        assert_eq!(
            without_tokens("logprobs", json!([-0.5])),
            "line 1: logprobs: expected one number per trained token, which are 0, got 1"
        );
    }

    #[test]
    fn what_is_more_than_its_share_goes_without_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let samples = Samples { file: folder.path().join(EPISODES), stage: "rl".to_string() };
        let long = |index: u64, length: usize| {
            let mut row: EpisodeRow = serde_json::from_value(row("rl", 1, index)).unwrap();
            // Random words, which no compression makes small.
            let mut stream = crate::engine::random::stream(1, "words", index);
            row.pieces = (0..length).map(|_| crate::engine::random::unit(&mut stream).to_string()).collect();
            row.ids = vec![1; length];
            row
        };
        samples.add(vec![long(0, 3), long(1, 20_000), long(2, 3)], 1000).unwrap();
        let found = Episodes::of_run(folder.path()).unwrap().rows;
        let lengths: Vec<usize> = found.iter().map(|row| row.pieces.len()).collect();
        assert_eq!(lengths, [3, 0, 3]);
        assert!((1..=5).all(|iteration| samples.wants(iteration, 5)));
        let wanted: Vec<u64> = (1..=2999).filter(|&iteration| samples.wants(iteration, 2999)).collect();
        assert_eq!((wanted.len(), wanted[..2].to_vec(), wanted[999]), (1000, vec![3, 6], 2999));
    }

    #[test]
    fn a_run_without_the_file_has_none() {
        assert!(Episodes::of_run(Path::new("/nowhere")).unwrap().rows.is_empty());
    }
}
