//! A run followed from another process, by its folder alone: nothing is written, nobody is asked.
//!
//! [`Followed::refresh`] takes up what came since the last time: lines that `metrics.jsonl` has more, or the whole of it where
//! it was written anew, episodes, and whether a process is at work. A link (`runs/latest`) is followed where it goes.

mod life;
mod sample;
mod series;
mod tail;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::alarms::{Alarm, Alarms};
use super::episodes::{EPISODES, EpisodeRow};
use super::row_step::RowStep;
pub use life::Life;
use sample::Sample;
pub use series::Stage;
use tail::{News, Tail};

const METRICS: &str = "metrics.jsonl";

/// A run as its folder tells it.
pub struct Followed {
    asked: PathBuf,
    /// Where that leads now; `None` while nothing is there.
    folder: Option<PathBuf>,
    pub stages: Vec<Stage>,
    pub alarms: Alarms,
    /// Each alarm's beginning and end, in order.
    pub said: Vec<Alarm>,
    /// The last ones, the newest iteration first; without what is known of each token.
    pub episodes: Vec<EpisodeRow>,
    pub life: Life,
    /// What a person should know of the files.
    pub notes: Vec<String>,
    metrics: Tail,
    sampled: Tail,
    sample: Sample,
}

impl Followed {
    /// A run's folder, or a link to one. It need not be there yet.
    pub fn new(asked: &Path) -> Self {
        let mut followed = Followed::at(asked.to_path_buf(), None);
        followed.refresh();
        followed
    }

    /// Before anything was read.
    fn at(asked: PathBuf, folder: Option<PathBuf>) -> Self {
        Followed {
            metrics: Tail::of(folder.clone().unwrap_or_default().join(METRICS)),
            sampled: Tail::of(folder.clone().unwrap_or_default().join(EPISODES)),
            sample: Sample::default(),
            asked,
            folder,
            stages: Vec::new(),
            alarms: Alarms::default(),
            said: Vec::new(),
            episodes: Vec::new(),
            life: Life::Absent,
            notes: Vec::new(),
        }
    }

    /// Takes up what is new; whether there was anything.
    pub fn refresh(&mut self) -> bool {
        let moved = self.follow_link();
        let Some(folder) = self.folder.clone() else { return moved };
        let life = Life::of(&folder);
        let changed = std::mem::replace(&mut self.life, life) != life;
        let read = self.read_metrics() | self.read_episodes(&folder);
        moved || changed || read
    }

    /// What it was asked to follow.
    pub fn asked(&self) -> &Path {
        &self.asked
    }

    /// The name of the run's folder; nothing while there is none.
    pub fn name(&self) -> Option<String> {
        Some(self.folder.as_ref()?.file_name()?.to_string_lossy().into_owned())
    }

    /// From the first line to the last one, or until `now`, in seconds since 1970, where the run goes on.
    pub fn elapsed(&self, now: f64) -> Option<f64> {
        let began = self.stages.iter().filter_map(Stage::began).reduce(f64::min)?;
        let ended = self.stages.iter().filter_map(Stage::ended).reduce(f64::max)?;
        let until = if matches!(self.life, Life::AtWork(_)) { now } else { ended };
        Some((until - began).max(0.0))
    }

    fn follow_link(&mut self) -> bool {
        let folder = self.asked.canonicalize().ok().filter(|folder| folder.is_dir());
        if folder == self.folder {
            return false;
        }
        let before = self.name();
        let mut followed = Followed::at(std::mem::take(&mut self.asked), folder);
        if let (Some(before), Some(now)) = (before, followed.name()) {
            followed.notes.push(format!("{} moved on from {before} to {now}", followed.asked.display()));
        }
        *self = followed;
        true
    }

    fn read_metrics(&mut self) -> bool {
        let text = match self.metrics.read() {
            News::Same => return false,
            News::Damaged(problem) => return self.note(format!("{METRICS}: {problem}")),
            News::More(text) => text,
            News::Anew(text) => {
                self.stages.clear();
                self.said.clear();
                self.alarms = Alarms::default();
                text
            }
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Map<String, Value>>(line) {
                Ok(row) => self.take(&row),
                Err(error) => _ = self.note(format!("{METRICS} has a line that cannot be read: {error}")),
            }
        }
        true
    }

    fn take(&mut self, row: &Map<String, Value>) {
        let Some(place) = RowStep::of(row) else { return };
        let said = self.alarms.see(row);
        self.said.extend(said);
        let stage = match self.stages.iter().position(|stage| stage.name == place.stage) {
            Some(found) => &mut self.stages[found],
            None => {
                self.stages.push(Stage::new(&place));
                self.stages.last_mut().expect("it was just added")
            }
        };
        stage.add(row, place.step);
    }

    /// The episodes that came, or all of them where they take the place of others.
    fn read_episodes(&mut self, folder: &Path) -> bool {
        let (text, is_all) = match self.sampled.read() {
            News::Same => return false,
            News::Damaged(problem) => return self.note(format!("{EPISODES}: {problem}")),
            News::More(text) => (text, false),
            News::Anew(text) => (text, true),
        };
        let rows = self.parsed(&text);
        if is_all {
            self.sample = Sample::default();
        } else if rows.iter().any(|row| self.sample.goes_back(row)) {
            // Those before them may have been forgotten.
            self.sampled = Tail::of(folder.join(EPISODES));
            return self.read_episodes(folder);
        }
        rows.into_iter().for_each(|row| self.sample.add(row));
        self.sample.trim();
        self.episodes = self.sample.last();
        true
    }

    fn parsed(&mut self, lines: &str) -> Vec<EpisodeRow> {
        let mut rows = Vec::new();
        for line in lines.lines() {
            match EpisodeRow::parse(line) {
                Ok(row) => rows.push(row),
                Err(problem) => _ = self.note(format!("{EPISODES} has a line that cannot be read: {problem}")),
            }
        }
        rows
    }

    /// Keeps what a person should know; whether it is new.
    fn note(&mut self, note: String) -> bool {
        let is_new = !self.notes.contains(&note);
        if is_new {
            self.notes.push(note);
        }
        is_new
    }
}
