//! `affine verify resume`: a run that is killed half-way and resumed, beside one that is not.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::say;
use crate::engine::signals::as_started;
use crate::engine::train::compare::Comparison;
use crate::engine::{Error, Result, cancel};
use crate::lua::report::Report;

/// Check a promise of affine on your own settings, model and data
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Resume(Resume),
}

/// Train some steps, and once more with a kill -9 half-way and a resume: both must end in the same bits
///
/// The run is SFT as scripts/sft.lua does it, by the section `training` of your settings, or PPO as scripts/rl.lua does it, by
/// `rl` and `data.environments`. Weights, optimizer, schedule and log are compared. On a CPU they are equal to the bit; on a
/// GPU kernels that add in no fixed order may show. The exit code is 1 where anything differs.
#[derive(Args)]
struct Resume {
    /// Which stage's training
    #[arg(long, value_enum, default_value_t = Stage::Sft)]
    stage: Stage,
    /// For sft, a file of records; without it sums
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A model's folder or Hub id; without it model.base_model_path, and without that a new small model
    #[arg(long, value_name = "FOLDER")]
    model: Option<String>,
    /// Optimizer steps, or iterations of PPO, in all; the kill comes after half of them
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(3..))]
    steps: u64,
    /// Keep the checkpoints in this folder, which must be new or empty
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A file of settings, in place of ./config.lua
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which preset of the settings
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// One setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Stage {
    Sft,
    Rl,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Sft => "sft",
            Stage::Rl => "rl",
        }
    }
}

pub fn run(options: Options) -> std::result::Result<(), Failure> {
    let Action::Resume(options) = options.action;
    match resume(&options) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Told),
        Err(Trouble::Of(error)) => Err(Failure::Script(Report::of(&error))),
        Err(Trouble::Told) => Err(Failure::Told),
    }
}

/// Why there is nothing to compare.
enum Trouble {
    Of(Error),
    /// A run of ours failed and has said why.
    Told,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Of(error)
    }
}

/// Whether the resumed run ended where the straight one did.
fn resume(options: &Resume) -> std::result::Result<bool, Trouble> {
    if options.stage == Stage::Rl && options.data.is_some() {
        return Err(Error::option("--data", "only with --stage sft: PPO plays data.environments", "--stage rl").into());
    }
    let (folder, _temporary) = work_folder(options)?;
    let half = options.steps / 2;

    let (told, seconds) = timed(|| finish(process(options, &folder, "straight", false)?))?;
    let setting: Value = serde_json::from_str(told.lines().last().unwrap_or_default()).unwrap_or_default();
    let text = |key: &str| setting[key].as_str().unwrap_or_default().to_string();
    say(format_args!("{}: {} steps in {} on {}", text("work"), options.steps, text("dtype"), text("device")));
    say(format_args!("straight: {} steps, {seconds:.1} s", options.steps));

    kill_while_it_waits(process(options, &folder, "resumed", true)?)?;
    say(format_args!("killed with SIGKILL after step {}, of which checkpoint-{half} knows nothing", half + 1));
    let (_, seconds) = timed(|| finish(process(options, &folder, "resumed", false)?))?;
    say(format_args!("resumed: steps {} to {}, {seconds:.1} s", half + 1, options.steps));

    let last = |run: &str| folder.join(run).join(format!("checkpoint-{}", options.steps));
    let found = Comparison::of(&last("straight"), &last("resumed"))?;
    tell(&found);
    Ok(found.differences.is_empty())
}

fn tell(found: &Comparison) {
    if found.differences.is_empty() {
        let Comparison { tensors, logged, .. } = found;
        say(format_args!(
            "pass: {tensors} tensors of weights and optimizer, {logged} log entries and all else are the same bits"
        ));
        return;
    }
    say(format_args!("FAIL: the resumed run is another one, in {} places (straight first):", found.differences.len()));
    found.differences.iter().take(FEW).for_each(|difference| say(format_args!("  {difference}")));
    if found.differences.len() > FEW {
        say(format_args!("  and {} more", found.differences.len() - FEW));
    }
}

const FEW: usize = 10;

/// Where the runs go; a temporary folder is gone when its guard is.
fn work_folder(options: &Resume) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(folder) = &options.folder else {
        let temporary = tempfile::tempdir().map_err(|error| Error::message(format!("no temporary folder: {error}")))?;
        return Ok((temporary.path().to_path_buf(), Some(temporary)));
    };
    crate::engine::file::create_folder(folder)?;
    let mut entries = std::fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    if entries.next().is_some() {
        return Err(Error::option("--folder", "a folder that is new or empty", folder.display()));
    }
    Ok((folder.clone(), None))
}

/// This program again, on one training run.
fn process(options: &Resume, folder: &Path, output: &str, wait: bool) -> Result<Child> {
    let mut job = json!({
        "stage": options.stage.name(),
        "folder": folder,
        "output": output,
        "steps": options.steps,
        "half": options.steps / 2,
        "wait": wait,
    });
    if let Some(data) = &options.data {
        job["data"] = json!(data);
    }
    if let Some(model) = &options.model {
        job["model"] = json!(model);
    }
    let program = std::env::current_exe().map_err(|error| Error::message(format!("this program: {error}")))?;
    let mut command = Command::new(program);
    command.args(["-e", "require('affine.internal.verify_resume').run(...)", &job.to_string()]);
    for (flag, value) in [("--config", &options.config), ("--preset", &options.preset.clone().map(PathBuf::from))] {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    command.args(options.set.iter().flat_map(|set| ["--set", set]));
    // The log of the steps is in the checkpoints.
    if std::env::var_os("AFFINE_LOG").is_none() {
        command.env("AFFINE_LOG", "warn");
    }
    let child = as_started(|| command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn());
    child.map_err(|error| Error::message(format!("this program cannot be started: {error}")))
}

fn timed<T>(work: impl FnOnce() -> std::result::Result<T, Trouble>) -> std::result::Result<(T, f64), Trouble> {
    let started = Instant::now();
    Ok((work()?, started.elapsed().as_secs_f64()))
}

/// What a run that goes to its end prints.
fn finish(mut child: Child) -> std::result::Result<String, Trouble> {
    let mut told = String::new();
    let read = child.stdout.take().map(|mut out| out.read_to_string(&mut told));
    let status = child.wait();
    cancel::check()?;
    match (read, status) {
        (Some(Ok(_)), Ok(status)) if status.success() => Ok(told),
        _ => Err(Trouble::Told),
    }
}

/// Kills a run with SIGKILL once it says that it waits.
fn kill_while_it_waits(mut child: Child) -> std::result::Result<(), Trouble> {
    let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines()).into_iter().flatten();
    let waits = lines.any(|line| line.is_ok_and(|line| line == "waiting"));
    // One that has ended has said why.
    let _ = child.kill();
    let _ = child.wait();
    cancel::check()?;
    if waits { Ok(()) } else { Err(Trouble::Told) }
}
