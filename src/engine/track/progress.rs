//! Progress of long work on standard error: a bar where a person watches, plain lines elsewhere.
//!
//! Other output must go round the bar: log lines through a [`Stderr`], anything else inside [`suspend`].

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where standard error is no terminal, at most one line in this time, and one at the end.
pub(super) const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// All bars draw through one place, so that a line printed through [`suspend`] never tears any of them.
pub(super) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Clears the bars, runs `print`, draws them again.
pub fn suspend<T>(print: impl FnOnce() -> T) -> T {
    BARS.suspend(print)
}

/// Standard error for log lines, printed beside the bars. It waits for whole lines: a bar drawn after half of one
/// would tear it.
#[derive(Debug, Default)]
pub struct Stderr {
    pending: Vec<u8>,
}

impl Stderr {
    fn print(&mut self, length: usize) -> io::Result<()> {
        let line: Vec<u8> = self.pending.drain(..length).collect();
        if line.is_empty() { Ok(()) } else { suspend(|| io::stderr().lock().write_all(&line)) }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        let lines = self.pending.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        self.print(lines).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.print(self.pending.len())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// One piece of work with a known number of steps, or an unknown one (0).
#[derive(Debug)]
pub struct Progress {
    count: Count,
    started: Instant,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Plain { last: Instant },
}

impl Progress {
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        let count = Count { label: label.into(), message: String::new(), done: 0, total };
        let started = Instant::now();
        let display = if is_watched() { Display::Bar(bar(total)) } else { Display::Plain { last: started } };
        Progress { count, started, display }
    }

    /// `steps` more are done.
    pub fn tick(&mut self, steps: u64) {
        self.count.done += steps;
        self.show();
    }

    /// A short text beside the count ("loss 1.23"), until the next one.
    pub fn message(&mut self, text: impl Into<String>) {
        self.count.message = text.into();
        self.show();
    }

    fn show(&mut self) {
        let line = self.count.line(self.started.elapsed());
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(self.count.done);
                bar.set_message(line);
            }
            Display::Plain { last } if last.elapsed() >= PLAIN_INTERVAL => {
                *last = Instant::now();
                print(&line);
            }
            Display::Plain { .. } => {}
        }
    }

    /// Ends with one plain line, on a terminal too. Dropped without it (the work failed), a bar vanishes.
    pub fn finish(self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        print(&self.count.last_line(self.started.elapsed()));
    }
}

/// Whether standard error is a terminal that can draw a line anew.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// The text carries the numbers, so a terminal and a log read the same.
fn bar(total: u64) -> ProgressBar {
    let template = if total > 0 { "{bar:24} {msg}" } else { "{spinner} {msg}" };
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    BARS.add(ProgressBar::new(total).with_style(style))
}

/// A closed standard error is no reason to stop the work.
pub(super) fn print(line: &str) {
    let _ = suspend(|| writeln!(io::stderr().lock(), "{line}"));
}

/// How far the work is, as text.
#[derive(Debug)]
struct Count {
    label: String,
    message: String,
    done: u64,
    total: u64,
}

impl Count {
    /// `sft: 120/400, 3.2/s, 1:28 left, loss 1.23`.
    fn line(&self, elapsed: Duration) -> String {
        let mut parts = vec![self.steps()];
        if self.done > 0 {
            parts.push(self.rate(elapsed));
            if self.total > self.done {
                parts.push(format!(
                    "{} left",
                    clock(elapsed.mul_f64((self.total - self.done) as f64 / self.done as f64))
                ));
            }
        }
        self.join(parts)
    }

    /// `sft: 400/400 in 2:05, 3.2/s, loss 0.51`.
    fn last_line(&self, elapsed: Duration) -> String {
        let mut parts = vec![format!("{} in {}", self.steps(), clock(elapsed))];
        if self.done > 0 {
            parts.push(self.rate(elapsed));
        }
        self.join(parts)
    }

    fn join(&self, mut parts: Vec<String>) -> String {
        if !self.message.is_empty() {
            parts.push(self.message.clone());
        }
        format!("{}: {}", self.label, parts.join(", "))
    }

    fn steps(&self) -> String {
        if self.total > 0 { format!("{}/{}", self.done, self.total) } else { self.done.to_string() }
    }

    /// Steps per second, or seconds per step when that is more telling.
    fn rate(&self, elapsed: Duration) -> String {
        let each = elapsed.as_secs_f64() / self.done as f64;
        if each > 1.0 { format!("{each:.1} s each") } else { format!("{:.1}/s", 1.0 / each.max(1e-9)) }
    }
}

/// `2:05`, or `1:02:05` from an hour on.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(done: u64, total: u64, message: &str) -> Count {
        Count { label: "sft".into(), message: message.into(), done, total }
    }

    #[test]
    fn a_line_tells_count_rate_and_time_left() {
        let seconds = Duration::from_secs;
        assert_eq!(count(120, 400, "loss 1.23").line(seconds(40)), "sft: 120/400, 3.0/s, 1:33 left, loss 1.23");
        assert_eq!(count(2, 20, "").line(seconds(600)), "sft: 2/20, 300.0 s each, 1:30:00 left");
        assert_eq!(count(0, 400, "").line(seconds(40)), "sft: 0/400");
        assert_eq!(count(7, 0, "").line(seconds(7)), "sft: 7, 1.0/s");
    }

    #[test]
    fn the_last_line_tells_what_it_took() {
        assert_eq!(
            count(400, 400, "loss 0.51").last_line(Duration::from_secs(125)),
            "sft: 400/400 in 2:05, 3.2/s, loss 0.51"
        );
        assert_eq!(count(0, 400, "").last_line(Duration::ZERO), "sft: 0/400 in 0:00");
    }

    #[test]
    fn no_time_and_more_steps_than_planned_are_no_trouble() {
        assert!(count(5, 3, "").line(Duration::ZERO).starts_with("sft: 5/3, "));
    }
}
