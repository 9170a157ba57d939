//! The panels, one below the other.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::ink::{Area, Ink, Result, dot, finished, fitting, line, write};
use super::scale::Span;
use super::{Axis, Shown};
use crate::engine::report::words;
use crate::engine::sweep::importance::METHOD;
use crate::engine::sweep::record::State;

const WIDTH: i32 = 960;
const LEFT: i32 = 70;
const RIGHT: i32 = 20;
/// Of a panel's title, and between panels.
const TITLE: i32 = 26;
const GAP: i32 = 30;
const HISTORY: i32 = 180;
const BAR: i32 = 20;
const PARALLEL: i32 = 220;
const SLICE: i32 = 130;
const SLICES_A_ROW: usize = 3;

/// A part of the picture in which something is drawn.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl Frame {
    /// A place, given by shares from the left and from the bottom.
    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        let along = |start: i32, length: i32, share: f64| start + (share * f64::from(length)).round() as i32;
        (along(self.left, self.width, x), along(self.top, self.height, 1.0 - y))
    }
}

pub fn drawn(shown: &Shown) -> String {
    let objectives = shown.history.directions.len();
    let rows = shown.parameters.len().div_ceil(SLICES_A_ROW) as i32;
    let heights = objectives as i32 * (HISTORY + TITLE + GAP)
        + shown.parameters.len() as i32 * BAR
        + PARALLEL
        + 2 * (TITLE + GAP)
        + rows * (SLICE + TITLE + GAP);
    let size = (WIDTH as u32, heights as u32 + 10);
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    all(&area, shown).and_then(|()| area.present()).expect("a drawing into memory does not fail");
    drop(area);
    let title = format!("The study {}", shown.history.study);
    finished(&svg, size, &title, &description(shown))
}

fn description(shown: &Shown) -> String {
    let shares: Vec<String> =
        shown.parameters.iter().map(|axis| format!("{} {}", axis.name, words::percent(axis.share))).collect();
    let direction = shown.history.direction();
    let values = shown.trials.iter().map(|trial| trial.record.values[0]);
    let best = values.min_by(|a, b| direction.loss(*a).total_cmp(&direction.loss(*b))).unwrap_or(f64::NAN);
    let complete = words::count(shown.trials.len() as u64, "complete trial");
    format!("{complete}, best value {}. Importance ({METHOD}): {}.", words::brief(best), shares.join(", "))
}

fn all(area: &Area, shown: &Shown) -> Result<()> {
    let mut top = 10;
    for objective in 0..shown.history.directions.len() {
        history(
            area,
            shown,
            objective,
            Frame { left: LEFT, top: top + TITLE, width: WIDTH - LEFT - RIGHT, height: HISTORY },
        )?;
        top += HISTORY + TITLE + GAP;
    }
    importances(area, shown, top)?;
    top += shown.parameters.len() as i32 * BAR + TITLE + GAP;
    parallel(
        area,
        shown,
        Frame { left: LEFT, top: top + TITLE, width: WIDTH - LEFT - RIGHT - 60, height: PARALLEL - 30 },
    )?;
    top += PARALLEL + TITLE + GAP;
    let width = WIDTH / SLICES_A_ROW as i32;
    for (place, axis) in shown.parameters.iter().enumerate() {
        let (row, column) = ((place / SLICES_A_ROW) as i32, (place % SLICES_A_ROW) as i32);
        let frame = Frame {
            left: column * width + LEFT,
            top: top + row * (SLICE + TITLE + GAP) + TITLE,
            width: width - LEFT - RIGHT,
            height: SLICE,
        };
        slice(area, shown, axis, frame)?;
    }
    Ok(())
}

fn heading(area: &Area, text: &str, frame: Frame) -> Result<()> {
    write(area, text, (frame.left, frame.top - TITLE / 2), HPos::Left, Ink::Text)
}

fn value_axis(area: &Area, span: Span, frame: Frame) -> Result<()> {
    for (share, text) in span.marks() {
        line(area, vec![frame.at(0.0, share), frame.at(1.0, share)], Ink::Rule, 1.0, 1)?;
        let (x, y) = frame.at(0.0, share);
        write(area, &text, (x - 8, y), HPos::Right, Ink::Muted)?;
    }
    Ok(())
}

/// The values by place, the best one so far as a line, and a mark below for each trial that was pruned or failed.
fn history(area: &Area, shown: &Shown, objective: usize, frame: Frame) -> Result<()> {
    let direction = shown.history.directions[objective];
    let several = shown.history.directions.len() > 1;
    let which = if several { format!("Objective {}", objective + 1) } else { "Value".to_string() };
    heading(area, &format!("{which} by trial ({})", direction.name()), frame)?;
    let span = Span::of(shown, objective);
    value_axis(area, span, frame)?;
    let last = shown.history.places.saturating_sub(1).max(1) as f64;
    let x = |place: u64| place as f64 / last;
    for trial in shown.history.trials.iter().filter(|t| matches!(t.record.state, State::Pruned | State::Failed)) {
        let (x, y) = frame.at(x(trial.place), 0.0);
        line(area, vec![(x, y + 3), (x, y + 8)], Ink::Muted, 0.7, 1)?;
    }
    let (mut best, mut steps) = (f64::INFINITY, Vec::new());
    for (trial, is_best) in shown.trials.iter().zip(&shown.is_best) {
        let value = trial.record.values[objective];
        let place = frame.at(x(trial.place), span.share(value));
        let ink = if *is_best { Ink::Best } else { Ink::Trial };
        dot(area, place, ink, 0.7)?;
        if direction.loss(value) < best {
            best = direction.loss(value);
            steps.extend(steps.last().map(|(_, y): &(i32, i32)| (place.0, *y)));
            steps.push(place);
        }
    }
    steps.extend(steps.last().map(|(_, y)| (frame.at(1.0, 0.0).0, *y)));
    line(area, steps, Ink::Best, 1.0, 2)?;
    write(area, "0", (frame.left, frame.top + frame.height + 16), HPos::Center, Ink::Muted)?;
    let end = (frame.left + frame.width, frame.top + frame.height + 16);
    write(area, &shown.history.places.saturating_sub(1).to_string(), end, HPos::Center, Ink::Muted)
}

fn importances(area: &Area, shown: &Shown, top: i32) -> Result<()> {
    let frame =
        Frame { left: 160, top: top + TITLE, width: WIDTH - 160 - 60, height: shown.parameters.len() as i32 * BAR };
    write(area, &format!("Importance ({METHOD})"), (LEFT, top + TITLE / 2), HPos::Left, Ink::Text)?;
    for (row, axis) in shown.parameters.iter().enumerate() {
        let y = frame.top + row as i32 * BAR + BAR / 2;
        write(area, &fitting(&axis.name, frame.left - 10), (frame.left - 8, y), HPos::Right, Ink::Text)?;
        let end = frame.at(axis.share, 0.0).0.max(frame.left + 1);
        area.draw(&Rectangle::new([(frame.left, y - 5), (end, y + 5)], Ink::Trial.colour().filled()))?;
        write(area, &words::percent(axis.share), (end + 6, y), HPos::Left, Ink::Muted)?;
    }
    Ok(())
}

/// A line a trial through the value and all parameters; the best tenth in front.
fn parallel(area: &Area, shown: &Shown, frame: Frame) -> Result<()> {
    heading(area, "All parameters of each trial, the best tenth in front", frame)?;
    let span = Span::of(shown, 0);
    let x = |column: usize| column as f64 / shown.parameters.len().max(1) as f64;
    let width = frame.width / shown.parameters.len().max(1) as i32;
    let titles = std::iter::once("value").chain(shown.parameters.iter().map(|axis| axis.name.as_str()));
    for (column, title) in titles.enumerate() {
        line(area, vec![frame.at(x(column), 0.0), frame.at(x(column), 1.0)], Ink::Rule, 1.0, 1)?;
        let below = (frame.at(x(column), 0.0).0, frame.top + frame.height + 16);
        write(area, &fitting(title, width), below, HPos::Center, Ink::Text)?;
    }
    for wanted in [false, true] {
        for (trial, is_best) in shown.trials.iter().zip(&shown.is_best).filter(|(_, is_best)| **is_best == wanted) {
            let value = Some((0, span.share(trial.record.values[0])));
            let of = |(column, axis): (usize, &Axis)| Some((column + 1, axis.share(&trial.record)?));
            let places = value.into_iter().chain(shown.parameters.iter().enumerate().filter_map(of));
            let points = places.map(|(column, share)| frame.at(x(column), share)).collect();
            match is_best {
                true => line(area, points, Ink::Best, 0.9, 2)?,
                false => line(area, points, Ink::Trial, 0.25, 1)?,
            }
        }
    }
    let marks = std::iter::once(span.marks().to_vec()).chain(shown.parameters.iter().map(Axis::marks));
    for (column, marks) in marks.enumerate() {
        for (share, text) in marks {
            let (x, y) = frame.at(x(column), share);
            write(area, &fitting(&text, width - 10), (x + 4, y), HPos::Left, Ink::Muted)?;
        }
    }
    Ok(())
}

/// The value along one parameter.
fn slice(area: &Area, shown: &Shown, axis: &Axis, frame: Frame) -> Result<()> {
    let log = if axis.distribution.is_log() { " (logarithmic)" } else { "" };
    heading(area, &fitting(&format!("{}{log}", axis.name), frame.width), frame)?;
    let span = Span::of(shown, 0);
    value_axis(area, span, frame)?;
    for (trial, is_best) in shown.trials.iter().zip(&shown.is_best) {
        let Some(share) = axis.share(&trial.record) else { continue };
        let ink = if *is_best { Ink::Best } else { Ink::Trial };
        dot(area, frame.at(share, span.share(trial.record.values[0])), ink, 0.7)?;
    }
    let marks = axis.marks();
    let room = frame.width / marks.len().max(2) as i32;
    for (share, text) in marks {
        let (x, y) = frame.at(share, 0.0);
        write(area, &fitting(&text, room), (x, y + 14), HPos::Center, Ink::Muted)?;
    }
    Ok(())
}
