//! The keys, over everything else.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Clear, Paragraph};

use super::super::keys::HELP;
use super::framed;

pub fn draw(frame: &mut Frame, area: Rect) {
    let lines = HELP.iter().map(|(keys, what)| Line::raw(format!(" {keys:<15} {what}")));
    let (width, height) = (60, HELP.len() as u16 + 2);
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(Text::from_iter(lines)).block(framed(" keys ", true)), area);
}
