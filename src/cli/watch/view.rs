//! What the person who watches has chosen to see.

use super::charts;
use crate::engine::track::follow::Followed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    Curves,
    Episodes,
    Alarms,
}

impl Panel {
    pub fn next(self) -> Self {
        match self {
            Panel::Curves => Panel::Episodes,
            Panel::Episodes => Panel::Alarms,
            Panel::Alarms => Panel::Curves,
        }
    }

    pub fn previous(self) -> Self {
        self.next().next()
    }
}

/// What is seen beside the numbers themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which panel the arrows move in.
    pub panel: Panel,
    /// Which chart; without a choice the first one of the stage at work.
    pub chart: Option<usize>,
    pub episode: usize,
    /// How far the open episode is scrolled; `None` while none is open.
    pub reading: Option<u16>,
    /// Of the alarms, from the newest up.
    pub alarms_scroll: usize,
    pub help: bool,
}

impl Default for View {
    fn default() -> Self {
        View { panel: Panel::Curves, chart: None, episode: 0, reading: None, alarms_scroll: 0, help: false }
    }
}

impl View {
    /// The chart that is shown, of so many.
    pub fn chart(&self, run: &Followed, count: usize) -> usize {
        let last = count.saturating_sub(1);
        self.chart.unwrap_or_else(|| charts::newest(&run.stages)).min(last)
    }

    /// Keeps what was chosen within what there is: a run may be followed by another one.
    pub fn fit(&mut self, run: &Followed) {
        self.episode = self.episode.min(run.episodes.len().saturating_sub(1));
        self.alarms_scroll = self.alarms_scroll.min(run.said.len().saturating_sub(1));
        if run.episodes.is_empty() {
            self.reading = None;
        }
    }
}
