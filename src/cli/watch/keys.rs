//! What each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::charts::charts;
use super::view::{Panel, View};
use crate::engine::track::follow::Followed;

/// The keys as help lists them.
pub const HELP: [(&str, &str); 8] = [
    ("q, Ctrl-C", "leave; the run goes on"),
    ("Tab, Shift-Tab", "the next panel, the one before"),
    ("← →", "the next curve, the one before"),
    ("Home", "back to the stage at work, or to the top"),
    ("↑ ↓", "choose an episode; scroll"),
    ("PgUp PgDn", "scroll by ten"),
    ("Enter, Esc", "open the episode, close it"),
    ("?", "this list"),
];

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Leave,
}

pub fn press(key: KeyEvent, view: &mut View, run: &Followed) -> Then {
    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if is_ctrl_c => return Then::Leave,
        KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter | KeyCode::Char('?') if view.help => view.help = false,
        KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter if view.reading.is_some() => view.reading = None,
        KeyCode::Char('q') => return Then::Leave,
        KeyCode::Char('?') => view.help = true,
        KeyCode::Tab => view.panel = view.panel.next(),
        KeyCode::BackTab => view.panel = view.panel.previous(),
        KeyCode::Right => leaf(view, run, 1),
        KeyCode::Left => leaf(view, run, -1),
        KeyCode::Down => scroll(view, 1),
        KeyCode::Up => scroll(view, -1),
        KeyCode::PageDown => scroll(view, 10),
        KeyCode::PageUp => scroll(view, -10),
        KeyCode::Home => home(view),
        KeyCode::Enter if !run.episodes.is_empty() => {
            view.panel = Panel::Episodes;
            view.reading = Some(0);
        }
        _ => {}
    }
    view.fit(run);
    Then::GoOn
}

/// In an open episode to the next one, else to the next chart.
fn leaf(view: &mut View, run: &Followed, by: isize) {
    if view.reading.is_some() {
        view.episode = view.episode.saturating_add_signed(by);
        view.reading = Some(0);
        return;
    }
    let count = charts(&run.stages).len();
    if count > 0 {
        let shown = view.chart(run, count) as isize;
        view.chart = Some((shown + by).rem_euclid(count as isize) as usize);
    }
}

fn scroll(view: &mut View, by: i16) {
    match (&mut view.reading, view.panel) {
        (Some(place), _) => *place = place.saturating_add_signed(by),
        (None, Panel::Alarms) => view.alarms_scroll = view.alarms_scroll.saturating_add_signed(by.into()),
        (None, _) => view.episode = view.episode.saturating_add_signed(by.into()),
    }
}

fn home(view: &mut View) {
    match (&mut view.reading, view.panel) {
        (Some(place), _) => *place = 0,
        (None, Panel::Curves) => view.chart = None,
        (None, Panel::Episodes) => view.episode = 0,
        (None, Panel::Alarms) => view.alarms_scroll = 0,
    }
}
