//! What run it is, how it stands, and how far each stage is.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::plain::{progress, standing};
use super::{ACCENT, QUIET};
use crate::engine::track::follow::{Followed, Life, Stage};

/// The last ones.
pub const MOST_STAGES: usize = 4;

/// Columns of a stage's name and of its bar.
const NAME: u16 = 10;
const BAR: u16 = 24;

pub fn title(frame: &mut Frame, area: Rect, run: &Followed, now: f64) {
    let asked = run.asked().display().to_string();
    let colour = match run.life {
        Life::AtWork(_) => Color::Green,
        Life::LeftBehind => Color::Yellow,
        Life::Absent | Life::Over => Color::Reset,
    };
    let mut spans = vec![
        Span::styled(format!(" {}", run.name().unwrap_or(asked)), Modifier::BOLD),
        Span::raw("  "),
        Span::styled(standing(run, now), colour),
    ];
    match run.alarms.active().count() {
        0 => {}
        1 => spans.push(alarm("  1 alarm".to_string())),
        count => spans.push(alarm(format!("  {count} alarms"))),
    }
    frame.render_widget(Line::from(spans), area);
}

fn alarm(text: String) -> Span<'static> {
    Span::styled(text, Style::new().fg(Color::Red).add_modifier(Modifier::BOLD))
}

pub fn stages(frame: &mut Frame, area: Rect, run: &Followed, now: f64) {
    let shown = &run.stages[run.stages.len().saturating_sub(MOST_STAGES)..];
    let rows = Layout::vertical(shown.iter().map(|_| Constraint::Length(1))).split(area);
    for (stage, row) in shown.iter().zip(rows.iter()) {
        let [name, bar, text] =
            Layout::horizontal([Constraint::Length(NAME), Constraint::Length(BAR), Constraint::Min(0)]).areas(*row);
        frame.render_widget(Paragraph::new(format!(" {}", stage.name)), name);
        if let Some(share) = share(stage) {
            frame.render_widget(drawn(share), bar);
        }
        let text = Layout::horizontal([Constraint::Length(2), Constraint::Min(0)]).split(text)[1];
        let is_last = run.stages.last().is_some_and(|last| last.name == stage.name);
        let style = if is_last { Style::new() } else { QUIET };
        frame.render_widget(Paragraph::new(progress(run, stage, now)).style(style), text);
    }
}

/// How much of a stage is done, where the rows say how much there is.
fn share(stage: &Stage) -> Option<f64> {
    let total = stage.total.filter(|total| *total > 0)?;
    Some((stage.done() as f64 / total as f64).min(1.0))
}

/// Two lines as long as the bar together, the first one for what is done.
fn drawn(share: f64) -> Line<'static> {
    let done = (share * f64::from(BAR)).round() as usize;
    let rest = usize::from(BAR) - done;
    Line::from(vec![Span::styled("━".repeat(done), ACCENT), Span::styled("─".repeat(rest), QUIET)])
}
