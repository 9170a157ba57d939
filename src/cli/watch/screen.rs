//! The live view, drawn. Nothing here reads a file.

mod alarms;
mod curves;
mod episodes;
mod head;
mod help;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::view::{Panel, View};
use crate::engine::track::follow::Followed;

/// From here on curves and lists stand side by side.
const WIDE: u16 = 110;

/// The terminal's own colours, which its theme makes readable.
const ACCENT: Color = Color::Cyan;
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);

pub fn draw(frame: &mut Frame, run: &Followed, view: &View, now: f64) {
    let stages = run.stages.len().min(head::MOST_STAGES) as u16;
    let notes = run.notes.len().min(1) as u16;
    let rows = [1, stages, notes].map(Constraint::Length);
    let [head, bars, note, body, foot] =
        Layout::vertical([rows[0], rows[1], rows[2], Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    head::title(frame, head, run, now);
    head::stages(frame, bars, run, now);
    if let Some(text) = run.notes.last() {
        frame.render_widget(Paragraph::new(text.as_str()).style(QUIET), note);
    }
    if view.reading.is_some() {
        episodes::open(frame, body, run, view);
    } else {
        panels(frame, body, run, view);
    }
    frame.render_widget(Line::styled(keys(view), QUIET), foot);
    if view.help {
        help::draw(frame, frame.area());
    }
}

fn panels(frame: &mut Frame, area: Rect, run: &Followed, view: &View) {
    if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(area);
        let [upper, lower] = Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(right);
        curves::draw(frame, left, run, view);
        episodes::list(frame, upper, run, view);
        alarms::draw(frame, lower, run, view);
        return;
    }
    let [upper, lower] = Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(area);
    curves::draw(frame, upper, run, view);
    match view.panel {
        Panel::Alarms => alarms::draw(frame, lower, run, view),
        _ => episodes::list(frame, lower, run, view),
    }
}

fn keys(view: &View) -> &'static str {
    match (view.reading, view.panel) {
        (Some(_), _) => " ↑↓ scroll  ←→ other episodes  Esc back  q back  ? keys",
        (None, Panel::Curves) => " ←→ curve  Tab episodes, alarms  Enter open an episode  q leave  ? keys",
        (None, Panel::Episodes) => " ↑↓ choose  Enter open  ←→ curve  Tab alarms  q leave  ? keys",
        (None, Panel::Alarms) => " ↑↓ scroll  ←→ curve  Tab curves  q leave  ? keys",
    }
}

/// A frame around a panel, in colour where the arrows move in it.
fn framed<'a>(title: impl Into<Line<'a>>, is_chosen: bool) -> Block<'a> {
    let style = if is_chosen { Style::new().fg(ACCENT) } else { QUIET };
    Block::new().borders(Borders::ALL).border_style(style).title(title)
}
