//! Paired differences: a point an environment, its interval, and the line of no difference.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::ink::{Ink, drawn};
use super::{WIDTH, Words, fitting, line, write};
use crate::engine::report::paired::{PairedRow, Pairing};
use crate::engine::report::words;

const ROW: i32 = 24;
const TOP: i32 = 4;
const AXIS: i32 = 20;
const LEFT: i32 = 90;
const RIGHT: i32 = 50;

/// `reach`: how far the scale goes to both sides of no difference, the same for all figures beside each other.
pub fn differences(id: &str, pairing: &Pairing, reach: f64) -> String {
    let (candidate, against) = (&pairing.candidate, &pairing.against);
    let title = format!("{candidate} − {against}, mean difference by task with its interval");
    let said: Vec<String> = pairing.rows.iter().map(said).collect();
    let words = Words { title: &title, description: format!("{}.", said.join("; ")) };
    let below = TOP + pairing.rows.len() as i32 * ROW;
    let x = |difference: f64| {
        let half = f64::from(WIDTH as i32 - LEFT - RIGHT) / 2.0;
        LEFT + (half + half * (difference / reach).clamp(-1.0, 1.0)).round() as i32
    };
    drawn(id, (below + AXIS) as u32, &words, |area| {
        for mark in [-reach, 0.0, reach] {
            let ink = if mark == 0.0 { Ink::Muted } else { Ink::Rule };
            line(area, (x(mark), 0), (x(mark), below), ink, 1)?;
            let plus = if mark > 0.0 { "+" } else { "" };
            let text = format!("{plus}{}", words::brief(mark));
            write(area, &text, (x(mark), below + AXIS / 2 + 1), HPos::Center, Ink::Muted)?;
        }
        for (place, row) in pairing.rows.iter().enumerate() {
            let y = TOP + ROW * place as i32 + ROW / 2;
            write(area, &fitting(&row.env, LEFT), (LEFT - 8, y), HPos::Right, Ink::Text)?;
            line(area, (x(row.lower), y), (x(row.upper), y), Ink::Series(0), 2)?;
            area.draw(&Circle::new((x(row.difference), y), 4, Ink::Series(0).colour().filled()))?;
            write(area, &words::signed(row.difference), (WIDTH as i32, y), HPos::Right, Ink::Text)?;
        }
        Ok(())
    })
}

fn said(row: &PairedRow) -> String {
    format!(
        "{} {} [{}, {}]",
        row.env,
        words::signed(row.difference),
        words::signed(row.lower),
        words::signed(row.upper)
    )
}

/// A scale that holds all intervals, in steps of a tenth.
pub fn reach(pairings: &[Pairing]) -> f64 {
    let ends = pairings.iter().flat_map(|pairing| &pairing.rows).flat_map(|row| [row.lower.abs(), row.upper.abs()]);
    ((ends.fold(0.05, f64::max) * 10.0).ceil() / 10.0).min(1.0)
}
