//! The command line: one file per command, exit codes in one place.
//!
//! 0 success · 1 the script failed · 2 the command line is wrong (a missing script is part of it) · 130 interrupted.

mod attach;
mod check;
mod data;
mod doctor;
mod env;
mod eval;
mod failure;
mod files;
mod hub;
mod output;
pub mod panic;
mod repl;
mod report;
mod rollouts;
mod run;
mod test;
mod types;
mod verify;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::engine::track::wandb;
use crate::lua::interrupt;
use failure::Failure;

#[derive(Parser)]
#[command(
    name = "affine",
    version = VERSION,
    about = "An embedded scripting host for training language models",
    override_usage = "affine <SCRIPT> [ARGS]...\n       affine -e <CODE> [ARGS]...\n       affine - [ARGS]...\n       \
                      affine --plan <SCRIPT> [ARGS]...\n       affine <COMMAND>",
    after_help = "Everything behind the script or the code belongs to it, as Lua's `arg`; `-` reads the script from \
                  standard input. A script that is called like a command is reached as ./NAME.\n\nEnvironment:\n  AFFINE_LOG     debug, info (default), warn, error, or a filter \
                  such as info,hf_hub=debug\n  AFFINE_STDLIB  a folder whose affine/*.lua stand before those in the \
                  binary",
    disable_help_subcommand = true
)]
struct Cli {
    /// Run CODE; what follows it are its arguments
    #[arg(short = 'e', value_names = ["CODE", "ARGS"], num_args = 1.., allow_hyphen_values = true)]
    code: Option<Vec<OsString>>,

    /// Try the whole script on tiny random models, one step per stage, in a temporary folder
    #[arg(long)]
    plan: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Attach(attach::Options),
    Check(check::Options),
    Data(data::Options),
    Doctor(doctor::Options),
    Env(env::Options),
    Eval(eval::Options),
    Hub(hub::Options),
    Repl(repl::Options),
    Report(report::Options),
    Rollouts(rollouts::Options),
    Test(test::Options),
    Types(types::Options),
    Verify(verify::Options),
    Watch(watch::Options),
    /// A script and its arguments.
    #[command(external_subcommand)]
    Script(Vec<OsString>),
}

const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("AFFINE_GIT_REVISION"), ")\nlibtorch 2.11.0\nLua 5.4");

/// Parses the command line, runs it, prints what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let printed = error.print();
            if asked {
                output::written(printed);
            }
            return ExitCode::from(if asked { 0 } else { 2 });
        }
    };
    // The panic hook has told the user.
    let code = std::panic::catch_unwind(|| dispatch(cli)).map_or(1, told);
    let was_interrupted = code == interrupt::EXIT_CODE;
    wandb::end_all(if was_interrupted { wandb::INTERRUPTED } else { code.into() });
    ExitCode::from(code)
}

/// Tells the user how it went: the exit code.
fn told(outcome: Result<(), Failure>) -> u8 {
    match outcome {
        // Ctrl-C in a script's last moments: it ended by itself, and still was interrupted.
        Ok(()) if crate::engine::cancel::requested() => interrupt::EXIT_CODE,
        Ok(()) => 0,
        Err(Failure::Usage(sentence)) => {
            output::complain(format_args!("affine: {sentence}"));
            2
        }
        Err(Failure::Told) => 1,
        Err(Failure::Script(report)) => {
            output::complain(&report);
            if report.interrupted { interrupt::EXIT_CODE } else { 1 }
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let mode = if cli.plan { run::Mode::Plan } else { run::Mode::Real };
    match (cli.code, cli.command) {
        (Some(words), _) => run::code(words, mode),
        (None, Some(Command::Script(words))) => run::script(words, mode),
        (None, _) if cli.plan => Err(Failure::Usage("--plan is for a script: affine --plan SCRIPT".to_string())),
        (None, Some(Command::Attach(options))) => attach::run(&options),
        (None, Some(Command::Check(options))) => check::run(&options),
        (None, Some(Command::Data(options))) => data::run(options),
        (None, Some(Command::Doctor(options))) => doctor::run(&options),
        (None, Some(Command::Env(options))) => env::run(options),
        (None, Some(Command::Eval(options))) => eval::run(options),
        (None, Some(Command::Hub(options))) => hub::run(options),
        (None, Some(Command::Repl(_))) => repl::run(),
        (None, Some(Command::Report(options))) => report::run(options),
        (None, Some(Command::Rollouts(options))) => rollouts::run(options),
        (None, Some(Command::Test(options))) => test::run(&options),
        (None, Some(Command::Types(options))) => types::run(&options),
        (None, Some(Command::Verify(options))) => verify::run(options),
        (None, Some(Command::Watch(options))) => watch::run(&options),
        (None, None) => Err(Failure::Usage("no script given, try `affine --help`".to_string())),
    }
}
