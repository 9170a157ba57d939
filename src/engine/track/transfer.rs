//! How far files are that move between machines: a bar per file and one for all where a person watches, plain lines
//! elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::progress::{BARS, PLAIN_INTERVAL, clock, is_watched, print};
use crate::engine::bytes;

/// More bars than this nobody reads.
const MOST_BARS: usize = 8;

/// A shorter transfer needs no word.
const NOTICED: Duration = Duration::from_secs(1);

/// How much time the shown rate looks back on, so that it follows the network.
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Transfer {
    label: String,
    files: usize,
    total: u64,
    done: u64,
    ended: usize,
    started: Instant,
    /// When the window of the rate began, and what was done then.
    window: (Instant, u64),
    /// As the last window had it, in bytes per second.
    rate: Option<f64>,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bars { all: ProgressBar, each: HashMap<String, ProgressBar> },
    Plain { last: Instant },
}

impl Transfer {
    /// So many files of so many bytes in all are to be moved.
    pub fn new(label: impl Into<String>, files: usize, total: u64) -> Self {
        let now = Instant::now();
        let display = match is_watched() {
            true => Display::Bars { all: bar(total), each: HashMap::new() },
            false => Display::Plain { last: now },
        };
        let label = label.into();
        Transfer { label, files, total, done: 0, ended: 0, started: now, window: (now, 0), rate: None, display }
    }

    pub fn begin(&mut self, file: &str, size: u64) {
        if let Display::Bars { each, .. } = &mut self.display
            && each.len() < MOST_BARS
        {
            let bar = bar(size);
            bar.set_message(format!("{file} ({})", bytes::of_file(size)));
            each.insert(file.to_string(), bar);
        }
        self.show();
    }

    /// So many more bytes of a file are done; a negative number where some have to be moved again.
    pub fn advance(&mut self, file: &str, bytes: i64) {
        self.done = self.done.saturating_add_signed(bytes);
        if let Display::Bars { each, .. } = &self.display
            && let Some(bar) = each.get(file)
        {
            bar.set_position(bar.position().saturating_add_signed(bytes));
        }
        self.show();
    }

    pub fn end(&mut self, file: &str) {
        self.ended += 1;
        if let Display::Bars { each, .. } = &mut self.display
            && let Some(bar) = each.remove(file)
        {
            bar.finish_and_clear();
        }
        self.show();
    }

    /// Ends with one plain line, on a terminal too, where it took long enough to be looked at.
    pub fn finish(self) {
        self.clear();
        let seconds = self.started.elapsed();
        if seconds >= NOTICED {
            let rate = bytes::of_file((self.done as f64 / seconds.as_secs_f64()) as u64);
            print(&format!("{}: {} in {}, {rate}/s", self.label, self.amount(), clock(seconds)));
        }
    }

    fn clear(&self) {
        if let Display::Bars { all, each } = &self.display {
            each.values().for_each(ProgressBar::finish_and_clear);
            all.finish_and_clear();
        }
    }

    fn show(&mut self) {
        self.measure();
        let line = self.line();
        match &mut self.display {
            Display::Bars { all, .. } => {
                all.set_position(self.done);
                all.set_message(line);
            }
            Display::Plain { last } if last.elapsed() >= PLAIN_INTERVAL => {
                *last = Instant::now();
                print(&line);
            }
            Display::Plain { .. } => {}
        }
    }

    fn measure(&mut self) {
        let (began, done) = self.window;
        if began.elapsed() >= WINDOW {
            self.rate = Some(self.done.saturating_sub(done) as f64 / began.elapsed().as_secs_f64());
            self.window = (Instant::now(), self.done);
        }
    }

    /// `download acme/tiny: 1.2 of 8.0 GB, 2 of 5 files, 54 MB/s, 2:05 left`.
    fn line(&self) -> String {
        let average = self.done as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = self.rate.unwrap_or(average);
        let mut parts = vec![self.amount()];
        if rate >= 1.0 && self.done > 0 {
            parts.push(format!("{}/s", bytes::of_file(rate as u64)));
            let left = self.total.saturating_sub(self.done) as f64 / rate;
            if left > 0.0 {
                parts.push(format!("{} left", clock(Duration::from_secs_f64(left.min(1e9)))));
            }
        }
        format!("{}: {}", self.label, parts.join(", "))
    }

    fn amount(&self) -> String {
        let (done, total) = (bytes::of_file(self.done), bytes::of_file(self.total));
        let bytes = if done == total { total } else { format!("{done} of {total}") };
        format!("{bytes}, {} of {} files", self.ended, self.files)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {msg}").expect("the template is valid");
    BARS.add(ProgressBar::new(total).with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_amount_files_rate_and_time_left() {
        let mut transfer = Transfer::new("download acme/tiny", 3, 8_000_000_000);
        transfer.begin("a", 2_000_000_000);
        assert_eq!(transfer.line(), "download acme/tiny: 0 B of 8.0 GB, 0 of 3 files");
        transfer.advance("a", 2_000_000_000);
        transfer.end("a");
        transfer.rate = Some(50e6);
        let wanted = "download acme/tiny: 2.0 GB of 8.0 GB, 1 of 3 files, 50 MB/s, 2:00 left";
        assert_eq!(transfer.line(), wanted);
        transfer.advance("b", 500_000_000);
        transfer.advance("b", -500_000_000);
        assert_eq!(transfer.line(), wanted);
    }
}
