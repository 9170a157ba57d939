//! Ctrl-C: the first one asks all long work to stop at its next clean point, the second one exits at once.
//!
//! Engine loops poll `engine::cancel`. Lua code polls nothing, so that a tight loop costs what it costs in plain Lua: a
//! count hook, however rare, makes Lua's interpreter take its slow path for every instruction (1.5 to 3 times the time).
//! Instead the hook is set only when the first Ctrl-C arrives, as `lua.c` does: from a signal handler on the thread that
//! runs Lua, on the coroutine that runs there at that moment. [`RUNNING`] knows it; the prelude keeps it up to date.
//!
//! That thread may be in the middle of a computation whose stack pointer must not be touched (see `engine::signals`). So
//! the handler has a stack of its own ([`OwnStack`]), and it is there only while the thread that waits for signals uses
//! it: at any other time SIGURG does nothing, wherever it arrives.
//!
//! A call that polls nothing is cut off after [`GRACE`], unless work would be lost.
//!
//! A script cannot swallow an interruption: the prelude's `pcall` and friends raise it again instead of returning it,
//! so `while true do pcall(f) end` ends too, and `<close>` handlers still tidy up.

use std::cell::Cell;
use std::ffi::c_int;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libc::{SIGINT, SIGTERM, SIGURG};
use mlua::{Lua, Table, ffi, lua_State};

use super::{report, unsaved};
use crate::engine::signals::{self, Stopping};
use crate::engine::track::wandb;
use crate::engine::{Error, cancel, shell};

/// The exit code of an interrupted script, as shells give it for SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Lua instructions after an interruption until the hook interrupts once more what goes on: enough to tidy up.
const PATIENCE: c_int = 10_000_000;

/// How long a call that polls nothing may go on.
const GRACE: Duration = Duration::from_secs(3);

/// How often that is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// The registry's name for the function that raises the interruption.
const RAISE: &std::ffi::CStr = c"affine.interrupt";

thread_local! {
    /// The coroutine that runs on this thread, or the main state where none does; null without a state.
    static RUNNING: Cell<*mut lua_State> = const { Cell::new(std::ptr::null_mut()) };
    /// How many loops over a trainer's steps go on on this thread.
    static LOOPS: Cell<usize> = const { Cell::new(0) };
    static LISTENING: Listening = Listening::start();
}

/// The threads that run Lua.
static THREADS: Mutex<Vec<libc::pthread_t>> = Mutex::new(Vec::new());

/// How many of them have had their signal.
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// This thread's place among [`THREADS`], until the thread ends.
struct Listening {
    thread: libc::pthread_t,
    _stack: Option<OwnStack>,
}

impl Listening {
    fn start() -> Self {
        // SAFETY: pthread_self has no conditions.
        let thread = unsafe { libc::pthread_self() };
        let stack = OwnStack::new();
        if stack.is_some() {
            signals::unblock(SIGURG);
            threads().push(thread);
        }
        Listening { thread, _stack: stack }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        threads().retain(|&thread| thread != self.thread);
    }
}

fn threads() -> std::sync::MutexGuard<'static, Vec<libc::pthread_t>> {
    THREADS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A stack for this thread's signal handlers. Rust makes one too, where it handles overflows, and none otherwise.
struct OwnStack(Box<[u8]>);

impl OwnStack {
    /// A frame holds every register: 11 KiB where there is AMX.
    const SIZE: usize = 64 << 10;

    fn new() -> Option<Self> {
        let mut memory = vec![0; Self::SIZE].into_boxed_slice();
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: Self::SIZE };
        // SAFETY: the memory stays where it is until `drop` takes it away from the thread.
        (unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) } == 0).then_some(OwnStack(memory))
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: self.0.len() };
        // SAFETY: no handler runs on it: this is no handler.
        unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
    }
}

/// Listens for the signals that ask this process to stop, on a thread of its own. Called once per process, before any
/// other thread is made.
pub fn listen() -> std::io::Result<()> {
    signals::listen(watch)
}

/// The life of the thread that waits for signals.
fn watch(stopping: Stopping) {
    let mut seen = Vec::new();
    // Since when nothing has heard of the interruption although nothing would be lost.
    let mut deaf = Instant::now();
    loop {
        let unheard = cancel::requested() && !cancel::heard();
        let signal = stopping.next(unheard.then_some(SLICE));
        if !cancel::requested() {
            seen.clear();
        }
        match signal {
            // A person's second Ctrl-C, a second `kill`. Systems repeat the others by themselves.
            Some(signal @ (SIGINT | SIGTERM)) if seen.contains(&signal) => end_at_once(),
            Some(signal) => {
                if seen.is_empty() {
                    ask_to_stop();
                    deaf = Instant::now();
                }
                seen.push(signal);
            }
            None if cancel::is_unfinished() => deaf = Instant::now(),
            None if deaf.elapsed() > GRACE && cancel::requested() && !cancel::heard() => {
                let _ = writeln!(std::io::stderr(), "affine: interrupted");
                end_at_once();
            }
            None => {}
        }
    }
}

fn ask_to_stop() {
    // On a thread of its own: whoever holds standard error may wait for a terminal that waits for nobody.
    apart(|| tracing::warn!("interrupted: stopping at the next clean point (once more stops at once)"));
    cancel::request();
    interrupt_lua();
    shell::end_all();
}

/// Does what may have to wait for another thread, and waits for it no longer than a moment.
fn apart(work: impl FnOnce() + Send + 'static) {
    const LONGEST: Duration = Duration::from_millis(200);
    let (done, is_done) = std::sync::mpsc::channel();
    let work = move || {
        work();
        let _ = done.send(());
    };
    if std::thread::Builder::new().spawn(work).is_ok() {
        let _ = is_done.recv_timeout(LONGEST);
    }
}

/// Sets the hook on every thread that runs Lua.
fn interrupt_lua() {
    /// How long a thread may take that the system has put to sleep.
    const LONGEST: Duration = Duration::from_secs(1);
    let threads = threads();
    TOLD.store(0, Ordering::SeqCst);
    if signals::handle(SIGURG, told).is_err() {
        return;
    }
    for &thread in threads.iter() {
        // SAFETY: a thread leaves the list before it ends, and the list is locked.
        unsafe { libc::pthread_kill(thread, SIGURG) };
    }
    let begun = Instant::now();
    while TOLD.load(Ordering::SeqCst) < threads.len() && begun.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(1));
    }
    if TOLD.load(Ordering::SeqCst) >= threads.len() {
        signals::by_default(SIGURG);
    }
}

/// In the signal handler.
extern "C" fn told(_: c_int) {
    set_hook();
    TOLD.fetch_add(1, Ordering::SeqCst);
}

/// What runs on this thread is interrupted at its next instruction. The body of a loop over a trainer's steps is given
/// time to end, so that it hears of each step whole.
pub(super) fn set_hook() {
    let state = RUNNING.get();
    if !state.is_null() && cancel::requested() {
        let count = if LOOPS.get() > 0 { PATIENCE } else { 1 };
        // SAFETY: `RUNNING` is a state that is alive, on the thread that runs it. Lua's manual allows this in handlers.
        unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, count) };
    }
}

/// Ends the process with [`EXIT_CODE`], whatever it does: without destructors, beside which other threads would go on.
fn end_at_once() -> ! {
    // Whoever waits for input holds on to its stream.
    // SAFETY: null stands for all streams.
    apart(|| {
        let _ = unsafe { libc::fflush(std::ptr::null_mut()) };
    });
    apart(|| wandb::end_at_once(wandb::INTERRUPTED));
    signals::put_terminal_right();
    // SAFETY: ends the process.
    unsafe { libc::_exit(EXIT_CODE.into()) }
}

/// While it lives, a loop over a trainer's steps goes on on this thread: its body is not interrupted before it has heard
/// of a step, nor cut off.
pub struct Loop(cancel::Unfinished);

impl Loop {
    pub fn begin() -> Self {
        LOOPS.set(LOOPS.get() + 1);
        Loop(cancel::unfinished())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        LOOPS.set(LOOPS.get() - 1);
    }
}

unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut ffi::lua_Debug) {
    if !cancel::requested() {
        // It was set before the last interruption was over.
        // SAFETY: takes the hook away from the state that called it.
        unsafe { ffi::lua_sethook(state, None, 0, 0) };
        return;
    }
    cancel::hear();
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
    let interrupt = lua.create_function(|lua, ()| -> mlua::Result<()> {
        unsaved::save_all(lua);
        Err(report::raise(Error::Interrupted))
    })?;
    lua.set_named_registry_value(&RAISE.to_string_lossy(), interrupt)?;
    // SAFETY: the closure changes nothing on the stack.
    unsafe { lua.exec_raw::<()>((), |state| RUNNING.set(state))? };
    lua.set_app_data(State(RUNNING.get()));
    LISTENING.with(|_| ());
    // A state may be made after the signals were sent.
    set_hook();
    // SAFETY: `running` is a C function that keeps to its arguments.
    host.set("running", unsafe { lua.create_c_function(running)? })
}
