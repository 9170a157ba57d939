//! Scores on one environment: a bar a player, its interval over it.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::ink::{Area, Ink, Result, drawn};
use super::{WIDTH, Words, fitting, line, write};
use crate::engine::report::scores::{Cell, Player, ScoreRow, Scores};
use crate::engine::report::words;

const ROW: i32 = 20;
/// Between models, their greedy decoding and the players that learned nothing.
const GAP: i32 = 8;
const TOP: i32 = 4;
const AXIS: i32 = 20;
const LEFT: i32 = 136;
const RIGHT: i32 = 44;

/// Of the environment at `place` in the scores' own order.
pub fn bars(id: &str, scores: &Scores, place: usize) -> String {
    let env = &scores.environments[place];
    let rows: Vec<(&ScoreRow, &Cell)> =
        scores.rows.iter().filter_map(|row| Some((row, row.cells[place].as_ref()?))).collect();
    let said: Vec<String> = rows.iter().map(|(row, cell)| format!("{} {}", scores.name(row), cell.text)).collect();
    let title = format!("Mean score on {env} with {} intervals", scores.level);
    let words = Words { title: &title, description: format!("{}.", said.join("; ")) };
    let groups = rows.chunk_by(|a, b| a.0.player == b.0.player).count().max(1) as i32;
    let below = TOP + rows.len() as i32 * ROW + (groups - 1) * GAP;
    drawn(id, (below + AXIS) as u32, &words, |area| {
        scale(area, below)?;
        let mut y = TOP;
        for group in rows.chunk_by(|a, b| a.0.player == b.0.player) {
            for (row, cell) in group {
                bar(area, row, &scores.name(row), cell, y + ROW / 2)?;
                y += ROW;
            }
            y += GAP;
        }
        Ok(())
    })
}

fn x(score: f64) -> i32 {
    LEFT + (score.clamp(0.0, 1.0) * f64::from(WIDTH as i32 - LEFT - RIGHT)).round() as i32
}

fn scale(area: &Area, below: i32) -> Result<()> {
    for (score, text) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
        line(area, (x(score), 0), (x(score), below), Ink::Rule, 1)?;
        write(area, text, (x(score), below + AXIS / 2 + 1), HPos::Center, Ink::Muted)?;
    }
    Ok(())
}

fn bar(area: &Area, row: &ScoreRow, name: &str, cell: &Cell, y: i32) -> Result<()> {
    let (ink, strength) = match row.player {
        Player::Model => (Ink::Series(row.run), 1.0),
        Player::Greedy => (Ink::Series(row.run), 0.45),
        Player::Baseline => (Ink::Muted, 0.45),
    };
    write(area, &fitting(name, LEFT), (LEFT - 8, y), HPos::Right, Ink::Text)?;
    let place = [(x(0.0), y - 5), (x(cell.mean), y + 5)];
    // A pale bar lies on the page, not on the lines of the scale.
    area.draw(&Rectangle::new(place, Ink::Page.colour().filled()))?;
    area.draw(&Rectangle::new(place, ink.colour().mix(strength).filled()))?;
    let (lower, upper) = (x(cell.lower), x(cell.upper));
    line(area, (lower, y), (upper, y), Ink::Text, 1)?;
    for end in [lower, upper] {
        line(area, (end, y - 3), (end, y + 3), Ink::Text, 1)?;
    }
    write(area, &words::score(cell.mean), (WIDTH as i32, y), HPos::Right, Ink::Text)
}
