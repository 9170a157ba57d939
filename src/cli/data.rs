//! `affine data`: files of records, looked at before they are trained on.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::failure::Failure;
use crate::engine::data::RecordFile;
use crate::engine::data::survey::{Encoding, Survey, Tokens, View};
use crate::engine::model::config::ModelConfig;
use crate::engine::text::Tokenizer;
use crate::engine::{Error, Result, hub};
use crate::lua::report::Report;

/// Look at files of records before training on them
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Show(Show),
}

/// Show a record with what is trained in it, and what the whole file comes to
///
/// With --model: as the tokens that the model sees, the trained ones in green, or in ⟦…⟧ where the output is no terminal or
/// NO_COLOR is set. The exit code is 1 when a row is no record, or a record cannot be made into tokens.
#[derive(Args)]
struct Show {
    /// A .jsonl, .json or .parquet file, the first two perhaps with .zst or .gz behind it; or a folder of such files
    file: PathBuf,
    /// Whose tokenizer and chat template are used: a folder, or a model's id on the Hub
    #[arg(long, value_name = "FOLDER")]
    model: Option<String>,
    /// Which record
    #[arg(long, value_name = "N", default_value_t = 1)]
    index: usize,
    /// Which tokens carry loss, as trainer.sft's option of that name
    #[arg(long, value_enum, default_value_t = TrainOn::Assistant)]
    train_on: TrainOn,
    /// Tokens after which a record is cut; the model's context unless given
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum TrainOn {
    Assistant,
    All,
}

pub fn run(options: Options) -> std::result::Result<(), Failure> {
    let Action::Show(options) = options.action;
    let (text, fine) = show(&options).map_err(|error| Failure::Script(Report::of(&error)))?;
    // A reader that has gone is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if fine { Ok(()) } else { Err(Failure::Told) }
}

/// The text, and whether all rows are records that can be trained on.
fn show(options: &Show) -> Result<(String, bool)> {
    let found = RecordFile::read(&options.file)?;
    let (tokenizer, context) = match &options.model {
        Some(model) => {
            let folder = hub::folder(model, None)?;
            (Some(Tokenizer::load(&folder)?), context(&folder)?)
        }
        None => (None, None),
    };
    let limit = options.max_length.or(context).unwrap_or(usize::MAX);
    let train_all = options.train_on == TrainOn::All;
    let encoding = tokenizer.as_ref().map(|tokenizer| Encoding { tokenizer, train_all, limit });
    let survey = Survey::of(&found.records, encoding.as_ref());
    let mut text = summary(&options.file, &found, &survey, limit);
    text += &record(options, &found, encoding.as_ref())?;
    let refused = survey.tokens.is_some_and(|tokens| !tokens.refused.is_empty());
    Ok((text, found.broken.is_empty() && !found.records.is_empty() && !refused))
}

/// How many tokens the model of a folder sees at once; nothing where the folder holds a tokenizer alone.
fn context(folder: &Path) -> Result<Option<usize>> {
    let file = folder.join("config.json");
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(ModelConfig::read(file)?.max_position_embeddings as usize))
}

fn summary(file: &Path, found: &RecordFile, survey: &Survey, limit: usize) -> String {
    let mut lines: Vec<String> = survey.kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    if !survey.keys.is_empty() {
        let keys: Vec<String> = survey.keys.iter().map(|(key, n)| format!("{key} ({n})")).collect();
        lines.push(format!("other keys: {}", keys.join(", ")));
    }
    if let Some(tokens) = &survey.tokens {
        lengths(&mut lines, tokens, limit);
        refused(&mut lines, tokens, found, file);
    }
    if let Some(left_out) = &found.left_out {
        lines.push(format!("not read: {left_out}"));
    }
    if !found.broken.is_empty() {
        lines.push(format!("no records: {}", count(found.broken.len(), "row")));
        named(&mut lines, found.broken.iter().map(|row| row.within(file)));
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{}: {}\n{lines}", file.display(), count(found.records.len(), "record"))
}

fn lengths(lines: &mut Vec<String>, tokens: &Tokens, limit: usize) {
    let [least, median, most_of, nearly_all, most] = [0.0, 0.5, 0.9, 0.99, 1.0].map(|share| tokens.quantile(share));
    lines.push(format!(
        "tokens per record: {least} at least, {median} in the middle, 90 % have at most {most_of}, 99 % {nearly_all}, all {most}; \
         {} together",
        tokens.together()
    ));
    lines.push(format!("trained: {}", share(tokens.trained, tokens.kept)));
    if tokens.cut > 0 {
        lines.push(format!("longer than {limit} tokens, so cut there: {}", count(tokens.cut, "record")));
    }
    if !tokens.untrained.is_empty() {
        let few: Vec<String> = tokens.untrained.iter().take(FEW).map(usize::to_string).collect();
        let more = if tokens.untrained.len() > FEW { ", …" } else { "" };
        let records = count(tokens.untrained.len(), "record");
        lines.push(format!("without a token to train on, so left out: {records} ({}{more})", few.join(", ")));
    }
}

fn refused(lines: &mut Vec<String>, tokens: &Tokens, found: &RecordFile, file: &Path) {
    if tokens.refused.is_empty() {
        return;
    }
    lines.push(format!("cannot be made into tokens: {}", count(tokens.refused.len(), "record")));
    let place = |n: usize| found.records[n - 1].origin.as_ref().map(|origin| origin.within(file)).unwrap_or_default();
    named(lines, tokens.refused.iter().map(|(n, problem)| format!("record {n} ({}): {problem}", place(*n))));
}

/// How many of a list of problems are printed.
const FEW: usize = 5;

fn named(lines: &mut Vec<String>, mut problems: impl ExactSizeIterator<Item = String>) {
    lines.extend(problems.by_ref().take(FEW).map(|problem| format!("  {problem}")));
    if problems.len() > 0 {
        lines.push(format!("  and {} more", problems.len()));
    }
}

fn record(options: &Show, found: &RecordFile, encoding: Option<&Encoding>) -> Result<String> {
    let (n, all) = (options.index, found.records.len());
    if all == 0 {
        return Ok(String::new());
    }
    let Some(record) = n.checked_sub(1).and_then(|place| found.records.get(place)) else {
        return Err(Error::option("--index", format!("1 to {all}"), n));
    };
    let view = View::of(record, encoding).map_err(|error| error.within(format!("record {n}")))?;
    let mut text = format!("\nrecord {n} of {all}: {}", record.body.kind());
    for (key, value) in &record.extra {
        let _ = write!(text, ", {key} = {value}");
    }
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    text += "\n\n";
    text.extend(view.pieces.iter().map(|(piece, trained)| marked(piece, *trained, coloured)));
    if !text.ends_with('\n') {
        text += "\n";
    }
    if let Some((tokens, trained, cut)) = view.tokens {
        let _ = writeln!(text, "\ntrained: {}", share(trained, tokens));
        if cut > 0 {
            let _ = writeln!(text, "cut off: {} behind these", count(cut, "token"));
        }
    }
    Ok(text)
}

fn marked(piece: &str, trained: bool, coloured: bool) -> String {
    let piece = visible(piece);
    match (trained, coloured) {
        (true, true) => format!("\x1b[32m{piece}\x1b[0m"),
        (true, false) => format!("⟦{piece}⟧"),
        (false, true) => format!("\x1b[2m{piece}\x1b[0m"),
        (false, false) => piece,
    }
}

/// Control characters would act on the terminal; what is in a file is to be seen.
fn visible(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

fn share(trained: usize, tokens: usize) -> String {
    format!("{trained} of {} ({:.1} %)", count(tokens, "token"), 100.0 * trained as f64 / tokens.max(1) as f64)
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
