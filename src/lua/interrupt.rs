//! Ctrl-C: the first one asks all long work to stop at its next clean point, the second one exits at once.
//!
//! Engine loops poll `engine::cancel`; Lua loops meet a count hook. Neither can be swallowed by a script: the prelude's
//! `pcall` and friends raise an interruption again instead of returning it, so `while true do pcall(f) end` ends too.
//! (Rearming the hook for every line would do that as well, but would also stop the `<close>` handlers that tidy up.)

use mlua::{HookTriggers, Lua, VmState};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::report;
use crate::engine::{Error, cancel};

/// The exit code of an interrupted script, as shells give it for SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Lua instructions between two looks at the flag: some tens of microseconds.
const INSTRUCTIONS: u32 = 10_000;

/// Listens for SIGINT and SIGTERM on a thread of its own. Called once per process.
pub fn listen() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_string()).spawn(move || {
        for _ in signals.forever() {
            if cancel::requested() {
                std::process::exit(EXIT_CODE.into());
            }
            cancel::request();
            tracing::warn!("interrupted: stopping at the next clean point (once more stops at once)");
        }
    })?;
    Ok(())
}

/// Makes Lua code of this state stop once an interruption was asked for, in coroutines too.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS), |_, _| match cancel::requested() {
        true => Err(report::raise(Error::Interrupted)),
        false => Ok(VmState::Continue),
    })
}
