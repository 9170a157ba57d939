//! A study for a terminal: how many trials came to what, the best of them, and what matters.

use std::fmt::Write;

use super::history::{History, Placed};
use super::importance::{METHOD, importance};
use super::python_json::as_number;
use super::record::{State, TrialRecord};
use super::trial::external;
use crate::engine::report::words;

/// The `rows` best trials, those of several objectives by the first.
pub fn table(history: &History, rows: usize) -> String {
    let mut text = heading(history);
    let mut complete: Vec<&Placed> = history.of_state(State::Complete).collect();
    let loss = |trial: &Placed| history.direction().loss(trial.record.value().unwrap_or(f64::NAN));
    complete.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    complete.truncate(rows);
    if complete.is_empty() {
        return text;
    }
    let shares = importance(history);
    let values =
        (1..=history.directions.len()).map(|n| if n == 1 { "value".to_string() } else { format!("value {n}") });
    let names = shares.iter().map(|(name, _)| name.clone());
    let mut lines = vec![std::iter::once("trial".to_string()).chain(values).chain(names).collect::<Vec<_>>()];
    lines.extend(complete.iter().map(|trial| row(&trial.record, &shares)));
    text += "\n";
    text += &aligned(&lines);
    let shares: Vec<String> = shares.iter().map(|(name, share)| format!("{name} {}", words::percent(*share))).collect();
    let _ = writeln!(text, "\nImportance ({METHOD}): {}", shares.join(", "));
    text
}

fn heading(history: &History) -> String {
    let counts = history.counts();
    format!("Study {}: {}\n", history.study, counts.as_deref().unwrap_or("no trials"))
}

fn row(record: &TrialRecord, shares: &[(String, f64)]) -> Vec<String> {
    let parameter = |(name, _): &(String, f64)| match record.parameter(name) {
        None => "–".to_string(),
        Some(parameter) => {
            let value = external(parameter);
            let text = || value.as_str().map_or_else(|| value.to_string(), str::to_string);
            as_number(&value).map_or_else(text, short)
        }
    };
    let values = record.values.iter().map(|value| short(*value));
    std::iter::once(record.number.to_string()).chain(values).chain(shares.iter().map(parameter)).collect()
}

/// A number in four digits, whatever its size.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    match rounded.abs() {
        0.0 | 1e-4..1e7 => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

/// Columns as wide as they must be, numbers and words to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join("  ") + "\n"
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sweep::distribution::Distribution;
    use crate::engine::sweep::history::tests::{history, record};
    use crate::engine::sweep::record::{Direction, Parameter};

    #[test]
    fn the_best_come_first_and_columns_line_up() {
        let rate = Distribution::float("lr", 1e-6, 1.0, true, None).unwrap();
        let trial = |number: u64, value: f64, lr: f64| {
            let mut trial = record(number, State::Complete);
            trial.values = vec![value];
            trial.set_parameter(Parameter { name: "lr".into(), value: lr, distribution: rate.clone() });
            trial
        };
        let trials = vec![trial(0, 2.5, 0.5), trial(1, 10.123456, 1.23456e-5), record(2, State::Pruned)];
        let text = table(&history(Direction::Maximize, trials), 5);
        let wanted = "Study s: 2 complete, 1 pruned\n\ntrial  value        lr\n    1  10.12  1.235e-5\n    0    2.5       0.5\n\nImportance (PED-ANOVA): lr 100 %\n";
        assert_eq!(text, wanted);
        assert_eq!(table(&history(Direction::Maximize, vec![]), 5), "Study s: no trials\n");
    }
}
