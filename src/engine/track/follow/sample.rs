//! The last episodes of a run, of those that it keeps a sample of.

use std::cmp::Reverse;

use crate::engine::track::episodes::{EpisodeRow, Kind};

/// Episodes that are kept for people to read.
const MOST: usize = 200;

/// What was played, stage by stage in the order of their first rows, as far back as it may be shown.
#[derive(Debug, Default)]
pub struct Sample {
    stages: Vec<(String, Vec<EpisodeRow>)>,
}

impl Sample {
    /// Whether a row takes the place of others: a run that goes on takes iterations again.
    pub fn goes_back(&self, row: &EpisodeRow) -> bool {
        let rows = self.stages.iter().find(|(name, _)| *name == row.stage);
        rows.and_then(|(_, rows)| rows.last()).is_some_and(|last| last.place() >= row.place())
    }

    /// Adds a row without what is known of each token. A record was not played.
    pub fn add(&mut self, mut row: EpisodeRow) {
        if row.kind != Kind::Episode {
            return;
        }
        (row.ids, row.pieces, row.mask, row.columns) = Default::default();
        let place = self.stages.iter().position(|(name, _)| *name == row.stage).unwrap_or_else(|| {
            self.stages.push((row.stage.clone(), Vec::new()));
            self.stages.len() - 1
        });
        let rows = &mut self.stages[place].1;
        while rows.last().is_some_and(|last| last.place() >= row.place()) {
            rows.pop();
        }
        rows.push(row);
    }

    /// Forgets the first iterations of each stage, which are too far back to be shown.
    pub fn trim(&mut self) {
        for (_, rows) in &mut self.stages {
            if let Some(oldest) = rows.len().checked_sub(MOST).map(|place| rows[place].iteration) {
                rows.retain(|row| row.iteration >= oldest);
            }
        }
    }

    /// The last stage first, and within it the last iteration.
    pub fn last(&self) -> Vec<EpisodeRow> {
        let mut rows: Vec<(usize, &EpisodeRow)> = Vec::new();
        for (place, (_, of_stage)) in self.stages.iter().enumerate() {
            rows.extend(of_stage.iter().map(|row| (place, row)));
        }
        rows.sort_by_key(|(place, row)| (Reverse(*place), Reverse(row.iteration), row.index));
        rows.into_iter().take(MOST).map(|(_, row)| row.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stage: &str, iteration: u64, index: u64) -> EpisodeRow {
        EpisodeRow { stage: stage.to_string(), iteration, index, ..EpisodeRow::new(Kind::Episode) }
    }

    fn places(sample: &Sample) -> Vec<(String, u64, u64)> {
        sample.last().into_iter().map(|row| (row.stage, row.iteration, row.index)).collect()
    }

    #[test]
    fn the_last_stage_comes_first_however_many_iterations_one_before_it_had() {
        let mut sample = Sample::default();
        for row in [row("warm-up", 40, 0), row("rl", 1, 0), row("rl", 2, 0), row("rl", 2, 1)] {
            sample.add(row);
        }
        sample.add(EpisodeRow { stage: "sft".to_string(), ..EpisodeRow::new(Kind::Record) });
        let wanted = [("rl", 2, 0), ("rl", 2, 1), ("rl", 1, 0), ("warm-up", 40, 0)];
        assert_eq!(places(&sample), wanted.map(|(stage, iteration, index)| (stage.to_string(), iteration, index)));
    }

    #[test]
    fn what_is_too_far_back_to_be_shown_is_forgotten() {
        let (mut all, mut trimmed) = (Sample::default(), Sample::default());
        for iteration in 0..150 {
            for index in 0..3 {
                all.add(row("rl", iteration, index));
                trimmed.add(row("rl", iteration, index));
            }
            trimmed.trim();
        }
        assert_eq!(places(&trimmed), places(&all));
        assert_eq!((places(&all).len(), trimmed.stages[0].1.len()), (MOST, MOST + 1));
        assert!(trimmed.goes_back(&row("rl", 149, 2)) && !trimmed.goes_back(&row("rl", 150, 0)));
        assert!(!trimmed.goes_back(&row("other", 0, 0)));
    }
}
