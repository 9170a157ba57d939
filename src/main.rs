//! The `affine` command: start logging and listening for Ctrl-C, run the command line, end with its exit code.

use std::process::ExitCode;

use affine::{cli, engine, lua};

fn main() -> ExitCode {
    cli::panic::install();
    engine::log::start();
    if let Err(error) = lua::interrupt::listen() {
        tracing::warn!("Ctrl-C will end this process without a checkpoint: {error}");
    }
    cli::main()
}
