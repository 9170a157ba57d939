//! `affine report`: what a run came to, as one file to read or as Markdown.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::output::{put, say};
use crate::engine::Result;
use crate::engine::error::size_text;
use crate::engine::report;
use crate::lua::report::Report;

/// Write a report of one or several runs: scores, differences, learning curves, transcripts, settings
///
/// One HTML file that needs no network and nothing beside it. With several runs they are laid over each other, and compared with
/// the first.
#[derive(Args)]
pub struct Options {
    /// Folders of runs
    #[arg(value_name = "RUN", default_value = "runs/latest")]
    runs: Vec<PathBuf>,
    /// Where to write it; report.html in the first run's folder unless given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the numbers as Markdown, and write nothing unless --output names a file
    #[arg(long)]
    markdown: bool,
    /// The most bytes that the HTML may take, in millions; transcripts are left out until it does
    #[arg(long, value_name = "MB", default_value_t = 5.0)]
    max_size: f64,
}

pub fn run(options: Options) -> std::result::Result<(), Failure> {
    if !(options.max_size > 0.0 && options.max_size.is_finite()) {
        return Err(Failure::Usage(format!("--max-size: expected a number above 0, got {}", options.max_size)));
    }
    write(&options).map_err(|error| Failure::Script(Report::of(&error)))
}

fn write(options: &Options) -> Result<()> {
    let max_bytes = (options.max_size * 1e6) as usize;
    let report = report::Report::of(&options.runs, report::Options { max_bytes, ..report::Options::default() })?;
    let (text, output) = match options.markdown {
        true => (report.markdown()?, options.output.clone()),
        false => (report.html()?, Some(options.output.clone().unwrap_or_else(|| options.runs[0].join("report.html")))),
    };
    let Some(output) = output else {
        put(text);
        return Ok(());
    };
    crate::engine::file::write_atomic(&output, text.as_bytes())?;
    say(format_args!("{} ({})", output.display(), size_text(text.len() as u64)));
    Ok(())
}
