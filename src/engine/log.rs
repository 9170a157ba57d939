//! Where tracing's lines go: standard error always, a file once [`append_to`] names one, and the consoles of W&B runs.
//!
//! The level comes from `AFFINE_LOG`: `debug`, `info` (the default), `warn`, `error`, or a filter in tracing's own
//! syntax (`info,hf_hub=debug`).

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as layer};

use super::track::wandb;
use super::{Error, Result};

/// The target of lines that a script writes.
pub const SCRIPT: &str = "script";

static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Starts logging. Called once per process; a second call changes nothing. A line that cannot be written is lost without
/// a word: there is nowhere to say so, and tracing would panic.
pub fn start() {
    let terminal = layer::layer()
        .event_format(Line { time: !io::stderr().is_terminal(), ..Line::default() })
        .with_writer(io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(filter());
    let file = layer::layer()
        .event_format(Line { time: true, level_always: true })
        .with_writer(|| ToFile)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(filter());
    let console = layer::layer()
        .event_format(Line::default())
        .with_writer(|| ToConsoles)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(filter());
    let _ = tracing_subscriber::registry().with(terminal).with(file).with(console).try_init();
}

/// From now on every line is appended to `path` too, with its time and level. A file named before is left.
pub fn append_to(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
    }
    let file = File::options().create(true).append(true).open(path).map_err(|error| Error::file(path, error))?;
    *FILE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(file);
    Ok(())
}

fn filter() -> EnvFilter {
    let wanted = std::env::var("AFFINE_LOG").unwrap_or_default();
    // A bare level is for affine's own lines; the libraries below stay quiet.
    let wanted = match wanted.parse::<Level>() {
        Ok(level) => own(level),
        Err(_) if wanted.is_empty() => own(Level::INFO),
        Err(_) => wanted,
    };
    EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(own(Level::INFO)))
}

/// What fails at the Hub is told by what asked it.
fn own(level: Level) -> String {
    format!("warn,hf_hub=off,affine={level},{SCRIPT}={level},libtorch={level}")
}

/// `warn: message key=value`; an info line bears no level on a terminal.
#[derive(Default)]
struct Line {
    time: bool,
    level_always: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.time {
            write!(out, "{} ", chrono::Local::now().format("%Y-%m-%d %H:%M:%S"))?;
        }
        if self.level_always || level != Level::INFO {
            write!(out, "{}: ", level.as_str().to_lowercase())?;
        }
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Writes to the file that [`append_to`] named, if any.
struct ToFile;

impl Write for ToFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match FILE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_mut() {
            Some(file) => file.write(line),
            None => Ok(line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to the consoles of the runs of this process. A line comes in one piece.
struct ToConsoles;

impl Write for ToConsoles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        wandb::console(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
