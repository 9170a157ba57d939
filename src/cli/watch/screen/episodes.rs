//! The last episodes, and one of them turn by turn.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{List, ListState, Paragraph, Wrap};

use super::super::plain::headline;
use super::super::view::{Panel, View};
use super::{ACCENT, QUIET, framed};
use crate::engine::track::alarms::number;
use crate::engine::track::episodes::EpisodeRow;
use crate::engine::track::follow::Followed;

pub fn list(frame: &mut Frame, area: Rect, run: &Followed, view: &View) {
    let is_chosen = view.panel == Panel::Episodes;
    let block = framed(" episodes ", is_chosen);
    if run.episodes.is_empty() {
        return frame.render_widget(Paragraph::new("none are kept yet").style(QUIET).block(block), area);
    }
    let lines = run.episodes.iter().map(|episode| Line::styled(headline(episode), colour(episode)));
    let chosen = if is_chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let mut state = ListState::default().with_selected(Some(view.episode));
    frame.render_stateful_widget(List::new(lines).block(block).highlight_style(chosen), area, &mut state);
}

fn colour(episode: &EpisodeRow) -> Style {
    match (episode.failed(), episode.success) {
        (true, _) => Style::new().fg(Color::Red),
        (false, Some(true)) => Style::new().fg(Color::Green),
        _ => Style::new(),
    }
}

/// The chosen episode alone.
pub fn open(frame: &mut Frame, area: Rect, run: &Followed, view: &View) {
    let Some(episode) = run.episodes.get(view.episode) else { return };
    let score = episode.score.map_or(String::new(), |score| format!(", score {}", number(score)));
    let title = format!(
        " {} iteration {}: {}{}{score}, {} ",
        episode.stage,
        episode.iteration,
        episode.env.as_deref().unwrap_or_default(),
        episode.task_id.map_or(String::new(), |task| format!(" task {task}")),
        episode.ending.as_deref().unwrap_or_default(),
    );
    let text = Paragraph::new(transcript(episode)).wrap(Wrap { trim: false });
    frame.render_widget(text.scroll((view.reading.unwrap_or(0), 0)).block(framed(title, true)), area);
}

/// Role by role, with what each reply earned.
fn transcript(episode: &EpisodeRow) -> Text<'_> {
    let mut text = Text::default();
    let mut rewards = episode.turns.iter().map(|turn| turn.reward);
    for message in &episode.messages {
        let is_reply = message.role == "assistant";
        let reward = if is_reply { rewards.next().flatten() } else { None };
        let earned = reward.map_or(String::new(), |reward| format!("  reward {}", number(reward)));
        let style = if is_reply { Style::new().fg(ACCENT) } else { QUIET };
        text.push_line(Line::styled(format!("{}{earned}", message.role), style.add_modifier(Modifier::BOLD)));
        message.content.lines().for_each(|line| text.push_line(Line::raw(line)));
        text.push_line(Line::default());
    }
    if let Some(reason) = &episode.reason {
        let style = if episode.failed() { Style::new().fg(Color::Red) } else { QUIET };
        text.push_line(Line::styled(format!("{}: {reason}", episode.ending.as_deref().unwrap_or("ended")), style));
    }
    text
}
