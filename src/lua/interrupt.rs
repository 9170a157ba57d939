//! Ctrl-C: the first one asks all long work to stop at its next clean point, the second one exits at once.
//!
//! Engine loops poll `engine::cancel`. Lua code polls nothing, so that a tight loop costs what it costs in plain Lua: a
//! count hook, however rare, makes Lua's interpreter take its slow path for every instruction (1.5 to 3 times the time).
//! Instead the hook is set only when the first Ctrl-C arrives, as `lua.c` does: from a signal handler on the thread that
//! runs Lua, on the coroutine that runs there at that moment. [`RUNNING`] knows it; the prelude keeps it up to date.
//!
//! A script cannot swallow an interruption: the prelude's `pcall` and friends raise it again instead of returning it,
//! so `while true do pcall(f) end` ends too, and `<close>` handlers still tidy up.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Mutex;

use mlua::{Lua, Table, ffi, lua_State};
use signal_hook::consts::{SIGINT, SIGTERM, SIGURG};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use super::report;
use crate::engine::{Error, cancel};

/// The exit code of an interrupted script, as shells give it for SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Lua instructions after an interruption until the hook interrupts once more what goes on: enough to tidy up.
const PATIENCE: c_int = 10_000_000;

/// The registry's name for the function that raises the interruption.
const RAISE: &std::ffi::CStr = c"affine.interrupt";

thread_local! {
    /// The coroutine that runs on this thread, or the main state where none does; null without a state.
    static RUNNING: Cell<*mut lua_State> = const { Cell::new(std::ptr::null_mut()) };
    static LISTENING: Listening = Listening::start();
}

/// The threads that run Lua.
static THREADS: Mutex<Vec<libc::pthread_t>> = Mutex::new(Vec::new());

/// This thread's place among [`THREADS`], until the thread ends.
struct Listening(libc::pthread_t);

impl Listening {
    fn start() -> Self {
        // SAFETY: pthread_self has no conditions.
        let thread = unsafe { libc::pthread_self() };
        threads().push(thread);
        Listening(thread)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        threads().retain(|&thread| thread != self.0);
    }
}

fn threads() -> std::sync::MutexGuard<'static, Vec<libc::pthread_t>> {
    THREADS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Listens for SIGINT and SIGTERM on a thread of its own. Called once per process.
pub fn listen() -> std::io::Result<()> {
    // SIGURG does nothing by default and is sent by nobody else, which is why Go's runtime uses it likewise.
    // SAFETY: the handler only reads and writes a thread-local cell, reads an atomic, and calls lua_sethook, which Lua's
    // manual allows in signal handlers.
    unsafe { low_level::register(SIGURG, set_hook)? };
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_string()).spawn(move || {
        for _ in signals.forever() {
            if cancel::requested() {
                std::process::exit(EXIT_CODE.into());
            }
            tracing::warn!("interrupted: stopping at the next clean point (once more stops at once)");
            cancel::request();
            for &thread in threads().iter() {
                // SAFETY: a thread leaves the list before it ends, and the list is locked.
                unsafe { libc::pthread_kill(thread, SIGURG) };
            }
        }
    })?;
    Ok(())
}

/// In the signal handler: what runs on this thread is interrupted at its next instruction.
fn set_hook() {
    let state = RUNNING.get();
    if !state.is_null() && cancel::requested() {
        // SAFETY: `RUNNING` is a state that is alive, on the thread that runs it.
        unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, 1) };
    }
}

unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: Lua calls a hook with room for these calls on the stack, and a hook may raise an error. No Rust value
    // with a destructor lives here when it does.
    unsafe {
        ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, PATIENCE);
        ffi::lua_getfield(state, ffi::LUA_REGISTRYINDEX, RAISE.as_ptr());
        ffi::lua_call(state, 0, 0);
    }
}

/// `host.running(thread)`: this coroutine runs now.
unsafe extern "C-unwind" fn running(state: *mut lua_State) -> c_int {
    // SAFETY: lua_tothread gives null for what is no thread.
    let thread = unsafe { ffi::lua_tothread(state, 1) };
    if !thread.is_null() {
        RUNNING.set(thread);
    }
    0
}

/// Forgets the state as it is closed.
struct State(*mut lua_State);

impl Drop for State {
    fn drop(&mut self) {
        if RUNNING.get() == self.0 {
            RUNNING.set(std::ptr::null_mut());
        }
    }
}

/// Makes Lua code of this state stop once an interruption was asked for, in coroutines too.
pub fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    let interrupt = lua.create_function(|_, ()| -> mlua::Result<()> { Err(report::raise(Error::Interrupted)) })?;
    lua.set_named_registry_value(&RAISE.to_string_lossy(), interrupt)?;
    // SAFETY: the closure changes nothing on the stack.
    unsafe { lua.exec_raw::<()>((), |state| RUNNING.set(state))? };
    lua.set_app_data(State(RUNNING.get()));
    LISTENING.with(|_| ());
    // SAFETY: `running` is a C function that keeps to its arguments.
    host.set("running", unsafe { lua.create_c_function(running)? })
}
