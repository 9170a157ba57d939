use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::keys::{Then, press};
use super::view::{Panel, View};
use super::{plain, screen};
use crate::engine::track::episodes::EPISODES;
use crate::engine::track::follow::{Followed, Life};

/// When the rows below begin.
const BEGAN: f64 = 1_800_000_000.0;

fn append(path: &Path, rows: impl IntoIterator<Item = Value>) {
    let text: String = rows.into_iter().map(|row| format!("{row}\n")).collect();
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn sft(step: u64) -> Value {
    let loss = 2.0 / (1.0 + step as f64 / 20.0) + 0.02 * (step % 3) as f64;
    json!({ "stage": "sft", "step": step, "total": 100, "loss": loss, "grad_norm": 0.2, "seconds": 0.5,
            "time": BEGAN + step as f64 / 2.0 })
}

fn rl(iteration: u64, kl: f64) -> Value {
    let n = iteration as f64;
    json!({ "stage": "rl", "iteration": iteration, "total": 20, "kl": kl, "entropy": 0.4 - n / 100.0, "episodes": 8,
            "failed": 0, "score_mean": { "grid": 0.2 + n / 20.0, "sat": 0.5 - 0.1 * (iteration % 2) as f64 },
            "seconds": 10, "time": BEGAN + 50.0 + 10.0 * n })
}

fn episode(iteration: u64, index: u64, ending: &str, reply: &str) -> Value {
    json!({ "kind": "episode", "stage": "rl", "iteration": iteration, "index": index, "env": "grid", "task_id": 40 + index,
            "score": 1.0 / (1 + index) as f64, "success": index == 0, "ending": ending, "picked": "best",
            "turns": [{ "from": 3, "to": 5, "reward": 0.5 }], "ids": [1, 2, 3, 4, 5],
            "messages": [{ "role": "user", "content": "Go to the red ball.\nYou see nothing." },
                         { "role": "assistant", "content": reply }] })
}

fn add_episodes(run: &Path, rows: impl IntoIterator<Item = Value>) {
    let text: String = rows.into_iter().map(|row| format!("{row}\n")).collect();
    let frame = zstd::encode_all(text.as_bytes(), 3).unwrap();
    fs::OpenOptions::new().create(true).append(true).open(run.join(EPISODES)).unwrap().write_all(&frame).unwrap();
}

/// `runs/20270115-080000-demo`, and `runs/latest` as a link to it.
fn begun() -> (TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("20270115-080000-demo");
    fs::create_dir(&run).unwrap();
    let latest = root.path().join("latest");
    std::os::unix::fs::symlink(run.file_name().unwrap(), &latest).unwrap();
    (root, run, latest)
}

/// A run in its twelfth iteration, with one alarm that is over and one that goes on.
fn sick() -> (TempDir, PathBuf, PathBuf) {
    let (root, run, latest) = begun();
    append(&run.join("metrics.jsonl"), (1..=100).map(sft));
    let kl = |iteration| if iteration == 5 || iteration > 10 { 0.9 } else { 0.01 * iteration as f64 };
    append(&run.join("metrics.jsonl"), (1..=12).map(|iteration| rl(iteration, kl(iteration))));
    let replies = ["go forward\nand turn\u{1b}[31m left", "turn left", ""];
    let rows = replies.iter().zip(["terminated", "truncated", "failed"]).enumerate();
    add_episodes(&run, rows.map(|(index, (reply, ending))| episode(12, index as u64, ending, reply)));
    (root, run, latest)
}

fn drawn(run: &Followed, view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(frame, run, view, BEGAN + 175.0)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string();
    (0..height).map(|y| line(y) + "\n").collect()
}

/// Compares with a file in `golden/`, which is written where `AFFINE_WRITE_GOLDEN` is set.
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/watch/golden").join(name);
    if std::env::var_os("AFFINE_WRITE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{} differs; it is now:\n{text}", path.display());
}

fn at_work() -> (TempDir, Followed) {
    let (root, _, latest) = sick();
    let mut run = Followed::new(&latest);
    run.life = Life::AtWork(4711);
    (root, run)
}

#[test]
fn a_small_and_a_large_terminal_show_the_run() {
    let (_root, run) = at_work();
    assert_golden("80x24.txt", &drawn(&run, &View::default(), 80, 24));
    assert_golden("140x40.txt", &drawn(&run, &View::default(), 140, 40));
    let alarms = View { panel: Panel::Alarms, chart: Some(0), ..View::default() };
    assert_golden("80x24-alarms.txt", &drawn(&run, &alarms, 80, 24));
    assert_golden("80x24-episode.txt", &drawn(&run, &View { reading: Some(0), ..View::default() }, 80, 24));
    assert_golden("80x24-keys.txt", &drawn(&run, &View { help: true, ..View::default() }, 80, 24));
}

#[test]
fn no_size_of_a_terminal_is_too_small_and_no_run_too_empty() {
    let (_root, run) = at_work();
    let nothing = Followed::new(Path::new("nowhere/latest"));
    let views = [
        View::default(),
        View { reading: Some(900), help: true, ..View::default() },
        View { panel: Panel::Alarms, chart: Some(99), alarms_scroll: 50, ..View::default() },
    ];
    for (width, height) in [(1, 1), (2, 2), (10, 3), (40, 10), (110, 6), (250, 80)] {
        for view in &views {
            drawn(&run, view, width, height);
            drawn(&nothing, view, width, height);
        }
    }
    assert!(drawn(&nothing, &views[0], 80, 24).contains(" nowhere/latest  waiting for it to begin"));
}

#[test]
fn a_run_is_told_as_text() {
    let (_root, run) = at_work();
    assert_golden("plain.txt", &plain::summary(&run, BEGAN + 175.0));
}

#[test]
fn what_is_logged_while_it_is_watched_is_taken_up() {
    let (root, path, latest) = begun();
    let mut run = Followed::new(&latest);
    assert!(!run.refresh() && run.stages.is_empty() && run.life == Life::Over);
    append(&path.join("metrics.jsonl"), (1..=3).map(sft));
    assert!(run.refresh() && run.stages[0].done() == 3 && !run.refresh());
    // Half a line, a line that is none, and the rest.
    fs::OpenOptions::new()
        .append(true)
        .open(path.join("metrics.jsonl"))
        .unwrap()
        .write_all(b"{\"stage\": \"sft\", ")
        .unwrap();
    assert!(!run.refresh());
    append(&path.join("metrics.jsonl"), [json!(1)]);
    assert!(run.refresh() && run.notes[0].starts_with("metrics.jsonl has a line that cannot be read"));
    // The run was left and goes on from step 2, in a file of its own.
    let fresh = path.join("fresh");
    append(&fresh, (1..=2).map(sft));
    fs::rename(&fresh, path.join("metrics.jsonl")).unwrap();
    assert!(run.refresh() && run.stages[0].done() == 2 && run.stages[0].curves["loss"].len() == 2);
    add_episodes(&path, [episode(1, 0, "terminated", "a")]);
    assert!(run.refresh() && run.episodes.len() == 1);
    add_episodes(&path, [episode(2, 0, "terminated", "b"), episode(2, 1, "terminated", "c")]);
    assert!(run.refresh());
    assert_eq!(run.episodes.iter().map(|row| (row.iteration, row.index)).collect::<Vec<_>>(), [(2, 0), (2, 1), (1, 0)]);
    // Another run begins.
    let next = root.path().join("20270115-090000-demo");
    fs::create_dir(&next).unwrap();
    fs::remove_file(&latest).unwrap();
    assert!(run.refresh() && run.life == Life::Absent && run.name().is_none());
    std::os::unix::fs::symlink(next.file_name().unwrap(), &latest).unwrap();
    assert!(run.refresh() && run.name().unwrap() == "20270115-090000-demo" && run.stages.is_empty());
    fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink(path.file_name().unwrap(), &latest).unwrap();
    assert!(run.refresh() && run.stages[0].done() == 2);
    let moved = format!("{} moved on from 20270115-090000-demo to 20270115-080000-demo", latest.display());
    assert_eq!(run.notes, [moved]);
}

#[test]
fn a_number_of_an_earlier_step_is_not_told_as_the_last_ones() {
    let (_root, path, latest) = begun();
    let step = |step: u64, loss: Value| json!({ "stage": "sft", "step": step, "loss": loss, "grad_norm": 0.5 });
    append(&path.join("metrics.jsonl"), (1..=5).map(|n| step(n, json!(0.25))).chain([step(6, Value::Null)]));
    append(&path.join("metrics.jsonl"), [json!({ "stage": "sft", "step": 6, "eval_loss": 0.75 })]);
    let run = Followed::new(&latest);
    let text = plain::summary(&run, BEGAN);
    assert!(text.contains("  step 6: loss –, grad_norm 0.5, eval_loss 0.75\n"), "{text}");
    assert!(text.contains("  alarm: sft step 6: number of losses and norms that are not finite is 1"), "{text}");
    let screen = drawn(&run, &View { chart: Some(0), ..View::default() }, 80, 24);
    assert!(screen.contains(" sft loss 0.25 (step 5) (1 of 3) "), "{screen}");
}

#[test]
fn an_episode_without_a_task_has_none_and_its_reason_is_that_of_its_ending() {
    let (_root, path, latest) = begun();
    let mut row = episode(1, 0, "truncated", "a");
    (row["task_id"], row["reason"]) = (Value::Null, json!("no room"));
    add_episodes(&path, [row]);
    let screen = drawn(&Followed::new(&latest), &View { reading: Some(0), ..View::default() }, 80, 24);
    assert!(screen.contains(" rl iteration 1: grid, score 1, truncated "), "{screen}");
    assert!(screen.contains("truncated: no room"), "{screen}");
}

fn pressed(view: &mut View, run: &Followed, keys: &[KeyCode]) -> bool {
    keys.iter().all(|key| press(KeyEvent::new(*key, KeyModifiers::NONE), view, run) == Then::GoOn)
}

#[test]
fn keys_move_and_open_and_leave() {
    let (_root, run) = at_work();
    let mut view = View::default();
    // Of sft two charts, of rl five; the scores of rl are the ones at work.
    assert_eq!(view.chart(&run, 7), 3);
    assert!(pressed(&mut view, &run, &[KeyCode::Left, KeyCode::Left]));
    assert_eq!(view.chart, Some(1));
    assert!(pressed(
        &mut view,
        &run,
        &[KeyCode::Home, KeyCode::Tab, KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Up]
    ));
    assert_eq!((view.chart, view.panel, view.episode), (None, Panel::Episodes, 1));
    assert!(pressed(&mut view, &run, &[KeyCode::Enter, KeyCode::PageDown, KeyCode::Up]));
    assert_eq!(view.reading, Some(9));
    assert!(pressed(&mut view, &run, &[KeyCode::Right, KeyCode::Right]));
    assert_eq!((view.episode, view.reading), (2, Some(0)));
    assert!(pressed(&mut view, &run, &[KeyCode::Char('?'), KeyCode::Esc, KeyCode::Char('q')]));
    assert_eq!((view.help, view.reading), (false, None));
    assert!(!pressed(&mut view, &run, &[KeyCode::Char('q')]));
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(press(ctrl_c, &mut view, &run), Then::Leave);
}
