//! Signals: every thread blocks them, and one waits for them.
//!
//! oneDNN's generated products point the stack register into the heap (uxlfoundation/oneDNN#4845): a handler that runs on
//! a thread which computes has its frame written over whatever lies there. So [`listen`] blocks all signals before the
//! first thread is made, every later thread inherits that, and only the thread that `listen` starts takes them. Whatever
//! handlers libraries install run there too.
//!
//! A process that this one starts would inherit that as well, and Ctrl-C would not reach it: [`as_started`].

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use libc::{c_int, sigset_t};

/// What asks this process to stop: Ctrl-C, `kill`, a terminal that went away, and what batch systems warn with.
const STOPPING: [c_int; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// Not blocked. A fault's signal ends a thread that blocks it; those of job control have no handlers, and a terminal
/// refuses to be read by who blocks them; SIGPIPE is ignored; SIGURG does nothing, but for the
/// moment in which it wakes the threads that run scripts.
const LEFT: [c_int; 12] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGPIPE,
    libc::SIGURG,
];

/// What was blocked when this process was started.
static AS_STARTED: OnceLock<sigset_t> = OnceLock::new();

/// The thread that waits, as [`forward`] names it; 0 without one.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Blocks all signals on this thread, and so on those that it will make, and starts the thread that waits: it runs `wait`.
/// Called once, before any other thread is made.
pub fn listen(wait: impl FnOnce(Stopping) + Send + 'static) -> io::Result<()> {
    // What a hang-up or a user's signal does may be ignored from the start (`nohup`), and stays so. A shell has what it
    // starts in the background ignore SIGINT, which is no wish of anybody's.
    let ignorable = |signal: c_int| signal != libc::SIGINT && signal != libc::SIGTERM;
    let heard: Vec<c_int> = STOPPING.into_iter().filter(|&s| !(ignorable(s) && is_ignored(s))).collect();
    remember_terminal();
    let before = set_mask(&all_but(&LEFT));
    let _ = AS_STARTED.set(before);
    for &signal in &heard {
        handle(signal, forward)?;
    }
    let stopping = Stopping(set_of(&heard));
    let thread = std::thread::Builder::new().name("signals".to_string()).spawn(move || {
        // SAFETY: pthread_self has no conditions.
        WAITING.store(unsafe { libc::pthread_self() } as usize, Ordering::SeqCst);
        // All others are handled here, where nothing is computed. SIGTTOU: this thread may put a terminal right.
        let mut blocked = stopping.0;
        // SAFETY: a set of signals, and a signal.
        unsafe { libc::sigaddset(&mut blocked, libc::SIGTTOU) };
        set_mask(&blocked);
        wait(stopping);
    });
    if let Err(error) = thread {
        set_mask(&before);
        heard.into_iter().for_each(by_default);
        return Err(error);
    }
    Ok(())
}

/// What the waiting thread waits for.
pub struct Stopping(sigset_t);

impl Stopping {
    /// The next signal; `None` when `patience` has passed without one.
    pub fn next(&self, patience: Option<Duration>) -> Option<c_int> {
        let span = patience
            .map(|span| libc::timespec { tv_sec: span.as_secs() as libc::time_t, tv_nsec: span.subsec_nanos().into() });
        loop {
            let limit = span.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: a set, no wish for details, and a span or none.
            match unsafe { libc::sigtimedwait(&self.0, ptr::null_mut(), limit) } {
                signal if signal > 0 => return Some(signal),
                // Another signal's handler ran on this thread.
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => return None,
            }
        }
    }
}

/// Runs `start`, which starts a process, with the signals blocked that were blocked when this process was started: a
/// child inherits that. What arrives meanwhile is handed on to the thread that waits.
pub fn as_started<T>(start: impl FnOnce() -> T) -> T {
    struct Back(sigset_t);
    impl Drop for Back {
        fn drop(&mut self) {
            set_mask(&self.0);
        }
    }
    let _back = AS_STARTED.get().map(|mask| Back(set_mask(mask)));
    start()
}

/// The handler of [`STOPPING`]: for the moments in which they are not blocked.
extern "C" fn forward(signal: c_int) {
    let thread = WAITING.load(Ordering::SeqCst);
    if thread != 0 {
        // SAFETY: the thread that waits never ends.
        unsafe { libc::pthread_kill(thread as libc::pthread_t, signal) };
    }
}

/// How the terminal was when this process was started, where there is one.
static TERMINAL: OnceLock<libc::termios> = OnceLock::new();

fn remember_terminal() {
    let mut terminal = MaybeUninit::zeroed();
    // SAFETY: asks only; read where it was filled in.
    unsafe {
        if libc::tcgetattr(libc::STDIN_FILENO, terminal.as_mut_ptr()) == 0 {
            let _ = TERMINAL.set(terminal.assume_init());
        }
    }
}

/// Whether the terminal shows a screen of this process's in place of its own.
static OTHER_SCREEN: AtomicBool = AtomicBool::new(false);

/// From here on the terminal shows another screen, or its own again: for [`put_terminal_right`].
pub fn shows_other_screen(shown: bool) {
    OTHER_SCREEN.store(shown, Ordering::SeqCst);
}

/// Gives the terminal back as it was: a line editor, or a live view, may be at work on it.
pub fn put_terminal_right() {
    /// Its own screen, and the cursor.
    const BACK: &[u8] = b"\x1b[?1049l\x1b[?25h";
    if OTHER_SCREEN.load(Ordering::SeqCst) {
        // SAFETY: bytes, and how many.
        unsafe { libc::write(libc::STDOUT_FILENO, BACK.as_ptr().cast(), BACK.len()) };
    }
    if let Some(terminal) = TERMINAL.get() {
        // SAFETY: what the terminal said itself.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, terminal) };
    }
}

/// Installs a handler that runs on the alternate stack of its thread, where there is one, and that ends a call which
/// waits (`SA_RESTART` would have it go on).
pub fn handle(signal: c_int, handler: extern "C" fn(c_int)) -> io::Result<()> {
    let handler = handler as *const () as libc::sighandler_t;
    let action =
        libc::sigaction { sa_sigaction: handler, sa_mask: all_but(&[]), sa_flags: libc::SA_ONSTACK, sa_restorer: None };
    // SAFETY: an action that is filled in; what handlers may do is theirs to keep to.
    match unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a handler away again.
pub fn by_default(signal: c_int) {
    // SAFETY: SIG_DFL is what every signal may do.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Lets this thread receive `signal`.
pub fn unblock(signal: c_int) {
    // SAFETY: a set of one signal; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set_of(&[signal]), ptr::null_mut()) };
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; zeroes are a valid answer.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: sigemptyset fills it in; the signals are numbers that exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

fn all_but(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: as in `set_of`.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks exactly these on this thread; what was blocked before.
fn set_mask(mask: &sigset_t) -> sigset_t {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: both are sets of signals.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, before.as_mut_ptr());
        before.assume_init()
    }
}
