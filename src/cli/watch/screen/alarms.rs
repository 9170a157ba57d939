//! The alarms, the newest first; those that go on in colour.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Wrap};

use super::super::view::{Panel, View};
use super::{QUIET, framed};
use crate::engine::track::alarms::Alarm;
use crate::engine::track::follow::Followed;

pub fn draw(frame: &mut Frame, area: Rect, run: &Followed, view: &View) {
    let block = framed(" alarms ", view.panel == Panel::Alarms);
    if run.said.is_empty() {
        return frame.render_widget(Paragraph::new("none").style(QUIET).block(block), area);
    }
    let lines = run.said.iter().rev().skip(view.alarms_scroll).map(|alarm| {
        let style = if is_active(run, alarm) { Style::new().fg(Color::Red) } else { QUIET };
        Line::styled(alarm.to_string(), style)
    });
    frame.render_widget(Paragraph::new(Text::from_iter(lines)).wrap(Wrap { trim: true }).block(block), area);
}

fn is_active(run: &Followed, alarm: &Alarm) -> bool {
    run.alarms.active().any(|active| active == alarm)
}
