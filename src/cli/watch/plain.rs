//! How a run stands as a short text, for scripts and where there is no terminal; and the words that the live view shares.

use std::fmt::Write;
use std::time::Duration;

use super::charts::{Chart, Curve, charts};
use crate::engine::track::alarms::number;
use crate::engine::track::episodes::EpisodeRow;
use crate::engine::track::follow::{Followed, Life, Stage};
use crate::engine::track::progress::clock;

/// Numbers of the last row that are told, and episodes.
const MOST_NUMBERS: usize = 8;
const FEW: usize = 5;

pub fn summary(run: &Followed, now: f64) -> String {
    let mut text = format!("{}: {}\n", run.name().unwrap_or_default(), standing(run, now));
    for stage in &run.stages {
        let _ = writeln!(text, "  {:<8} {}", stage.name, progress(run, stage, now));
    }
    if let Some(stage) = run.stages.last() {
        let charts = charts(std::slice::from_ref(stage));
        let numbers: Vec<String> = charts.iter().take(MOST_NUMBERS).map(values_now).collect();
        let _ = writeln!(text, "  {} {}: {}", stage.unit, stage.done(), numbers.join(", "));
    } else {
        text += "  nothing is logged yet\n";
    }
    for alarm in run.alarms.active() {
        let _ = writeln!(text, "  alarm: {alarm}");
    }
    if run.alarms.active().next().is_none() {
        text += "  no alarms\n";
    }
    for episode in run.episodes.iter().take(FEW) {
        let _ = writeln!(text, "  episode: {}", headline(episode).trim());
    }
    for note in &run.notes {
        let _ = writeln!(text, "  note: {}", one_line(note, usize::MAX));
    }
    text
}

/// `at work (process 123), 8:34 so far`.
pub fn standing(run: &Followed, now: f64) -> String {
    let life = match run.life {
        Life::Absent => "waiting for it to begin".to_string(),
        Life::AtWork(process) => format!("at work (process {process})"),
        Life::LeftBehind => "left before its end, or at work on another machine".to_string(),
        Life::Over => "over".to_string(),
    };
    match run.elapsed(now) {
        Some(elapsed) if matches!(run.life, Life::AtWork(_)) => format!("{life}, {} so far", time(elapsed)),
        Some(elapsed) => format!("{life}, after {}", time(elapsed)),
        None => life,
    }
}

/// `12/20 iterations, 10.7 s each, 1:26 left`.
pub fn progress(run: &Followed, stage: &Stage, now: f64) -> String {
    let of = stage.total.map_or(String::new(), |total| format!("/{total}"));
    let mut text = format!("{}{of} {}s", stage.done(), stage.unit);
    if let Some(pace) = stage.pace().filter(|pace| *pace > 0.0) {
        text += &if pace >= 1.0 { format!(", {pace:.1} s each") } else { format!(", {:.1}/s", 1.0 / pace) };
    }
    let goes_on = matches!(run.life, Life::AtWork(_)) && !stage.is_over();
    match stage.left(now) {
        Some(left) if goes_on => text + &format!(", {} left", time(left)),
        _ => text,
    }
}

/// `score_mean grid 0.44 sat –`: at the stage's last step, of which not every row need tell everything.
fn values_now(chart: &Chart) -> String {
    let now = chart.stage.done() as f64;
    let value = |line: &Curve| match line.points.last() {
        Some((step, value)) if *step == now => number(*value),
        _ => "–".to_string(),
    };
    let values = chart.lines.iter().map(|line| format!(" {}", labelled(line, value(line))));
    chart.title.clone() + &values.collect::<String>()
}

/// `grid 0.44`, with the step where it is not the stage's last one: `grid 0.44 (step 5)`.
pub fn last_value(line: &Curve, stage: &Stage) -> String {
    let value = match line.points.last() {
        Some((step, value)) if *step == stage.done() as f64 => number(*value),
        Some((step, value)) => format!("{} ({} {})", number(*value), stage.unit, number(*step)),
        None => "–".to_string(),
    };
    labelled(line, value)
}

/// The value alone where the chart has one line.
fn labelled(line: &Curve, value: String) -> String {
    if line.label.is_empty() { value } else { format!("{} {value}", one_line(line.label, 20)) }
}

/// `3  sat 12  1  terminated  best  The answer is …`.
pub fn headline(episode: &EpisodeRow) -> String {
    let score = episode.score.map_or("–".to_string(), number);
    let task = episode.task_id.map_or(String::new(), |task| format!(" {task}"));
    let ending = episode.ending.as_deref().unwrap_or_default();
    let env = episode.env.as_deref().unwrap_or_default();
    let picked = episode.picked.as_deref().unwrap_or_default();
    let said = episode.messages.iter().find(|message| message.role == "assistant");
    let said = said.map_or(String::new(), |message| one_line(&message.content, 200));
    let name = one_line(&format!("{env}{task}"), 24);
    format!("{:>4}  {name:<14} {score:>5}  {ending:<10} {picked:<6} {said}", episode.iteration)
}

/// Text of others on one line, without what would act on a terminal.
pub fn one_line(text: &str, longest: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn time(seconds: f64) -> String {
    clock(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
