//! The `affine` command: start logging and listening for Ctrl-C, run the command line, end with its exit code.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use affine::{cli, engine, lua};

fn main() -> ExitCode {
    begin_with_passive_threads();
    cli::panic::install();
    engine::native::silence_warnings();
    engine::log::start();
    if let Err(error) = lua::interrupt::listen() {
        tracing::warn!("Ctrl-C will end this process without a checkpoint: {error}");
    }
    engine::device::open_cuda();
    cli::main()
}

/// Starts this program again with `OMP_WAIT_POLICY=passive`, unless the user chose a policy. OpenMP reads it before
/// `main`. Its default is to spin at every barrier: beside any other load, a step on two cores then takes ten times
/// as long, and alone it gains nothing that could be measured.
fn begin_with_passive_threads() {
    const POLICY: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(POLICY).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Returns only when it failed; then the work goes on, slower.
        let _ = Command::new(program).args(std::env::args_os().skip(1)).env(POLICY, "passive").exec();
    }
}
