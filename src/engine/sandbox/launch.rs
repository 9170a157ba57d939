//! Starts a process behind the walls: a raw `clone`, then system calls only, then the interpreter.
//!
//! Between `clone` and `execveat` the child shares nothing with this process, but other threads may have held locks at
//! that moment: so it allocates nothing and calls nothing that might. All that it needs is prepared before.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{c_char, c_int, c_long};
use seccompiler::BpfProgram;

use super::syscalls::{self, EXECUTABLE_FD};
use crate::engine::system::landlock;
use crate::engine::{Error, Result};

const NAMESPACES: c_int =
    libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// From the most that a kernel may grant to nothing: namespaces as any user, as root, none.
const GRANTS: [c_int; 3] = [libc::CLONE_NEWUSER | NAMESPACES, NAMESPACES, 0];

/// What this kernel has to keep programs in.
pub struct Walls {
    landlock: bool,
    seccomp: Option<BpfProgram>,
    /// Which of [`GRANTS`] the kernel gave last.
    granted: AtomicUsize,
}

impl Walls {
    /// An error where Landlock or seccomp is missing, unless the risk is accepted.
    pub fn of_this_kernel(accept_risk: bool) -> Result<Self> {
        let (landlock, seccomp) = (landlock::version() > 0, has_seccomp());
        let is_confined = landlock && seccomp;
        if !accept_risk && !is_confined {
            let lacking = [("Landlock", landlock), ("seccomp", seccomp)];
            let lacking: Vec<&str> = lacking.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
            return Err(Error::hinted(
                format!("this kernel has no {}, so programs cannot be confined", lacking.join(" and no ")),
                "use Linux 5.13 or newer, outside gVisor and the like; `accept_risk = true` runs them all the same",
            ));
        }
        let filter = if seccomp { Some(syscalls::server()?) } else { None };
        Ok(Walls { landlock, seccomp: filter, granted: AtomicUsize::new(0) })
    }

    pub fn has_landlock(&self) -> bool {
        self.landlock
    }

    pub fn has_seccomp(&self) -> bool {
        self.seccomp.is_some()
    }

    fn namespaces(&self) -> c_int {
        GRANTS[self.granted.load(Ordering::Relaxed).min(GRANTS.len() - 1)]
    }

    /// What the kernel has just refused is not asked for again. `false`: there is nothing less to ask for.
    pub fn ask_for_less(&self) -> bool {
        let less = self.namespaces() != 0;
        self.granted.fetch_add(less.into(), Ordering::Relaxed);
        less
    }
}

impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let walls = [
            ("Landlock", self.landlock),
            ("seccomp", self.has_seccomp()),
            ("namespaces", self.namespaces() != 0),
            ("resource limits", true),
        ];
        let there: Vec<&str> = walls.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        f.write_str(&there.join(", "))
    }
}

fn has_seccomp() -> bool {
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one u32.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// What a process is started with.
pub struct Start {
    /// The interpreter's file, open.
    pub executable: OwnedFd,
    pub arguments: Vec<CString>,
    pub variables: Vec<CString>,
    pub folder: CString,
    /// Landlock's rules.
    pub ruleset: Option<OwnedFd>,
    pub stdin: OwnedFd,
    /// Standard output and standard error.
    pub stdout: OwnedFd,
    /// Becomes [`CONTROL_FD`].
    pub control: OwnedFd,
}

/// The server's end of the connection to us.
pub const CONTROL_FD: RawFd = 3;

/// What a child sends when a step failed: this byte, the step's number, the error's.
pub const FAILED: u8 = b'!';

/// A child's steps, as messages name them.
const STEPS: [&str; 7] = [
    "mapping its user",
    "placing its descriptors",
    "entering its folder",
    "setting its limits",
    "giving up privileges",
    "putting on Landlock and seccomp",
    "starting the interpreter",
];

/// Starts the process and gives its number. Whether the steps succeeded shows on the other end of `control`.
pub fn launch(start: &Start, walls: &Walls) -> Result<libc::pid_t> {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, variables) = (pointers(&start.arguments), pointers(&start.variables));
    loop {
        let namespaces = walls.namespaces();
        // SAFETY: getuid and getgid have no conditions.
        let identity = unsafe { (libc::geteuid(), libc::getegid()) };
        let maps = (namespaces & libc::CLONE_NEWUSER != 0).then(|| Maps::of(identity));
        let child = Child { start, walls, namespaces, maps, arguments: &arguments, variables: &variables };
        // SAFETY: without CLONE_VM this is a fork; the child keeps to what the module says.
        match unsafe { libc::syscall(libc::SYS_clone, c_long::from(namespaces | libc::SIGCHLD), 0, 0, 0, 0) } {
            0 => child.run(),
            -1 => {
                let error = io::Error::last_os_error();
                let refused = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOSPC, libc::EUSERS, libc::ENOSYS];
                let refused = error.raw_os_error().is_some_and(|errno| refused.contains(&errno));
                if !(refused && walls.ask_for_less()) {
                    return Err(Error::message(error.to_string()).within("start a process"));
                }
            }
            pid => return Ok(pid as libc::pid_t),
        }
    }
}

/// A step that failed, as the child told it.
pub fn failure(step: u8, errno: u8) -> Error {
    let step = STEPS.get(usize::from(step)).unwrap_or(&"starting");
    let error = io::Error::from_raw_os_error(errno.into());
    Error::message(format!("a process of the sandbox failed at {step}: {error}"))
}

/// One user of the new namespace, who is nobody special there and oneself outside.
struct Maps {
    users: CString,
    groups: CString,
}

impl Maps {
    fn of((user, group): (libc::uid_t, libc::gid_t)) -> Self {
        let line = |id: u32| CString::new(format!("65534 {id} 1")).expect("digits hold no NUL");
        Maps { users: line(user), groups: line(group) }
    }
}

struct Child<'a> {
    start: &'a Start,
    walls: &'a Walls,
    namespaces: c_int,
    maps: Option<Maps>,
    arguments: &'a [*const c_char],
    variables: &'a [*const c_char],
}

type Step = std::result::Result<(), ()>;

fn done(answer: c_long) -> Step {
    if answer < 0 { Err(()) } else { Ok(()) }
}

// SAFETY of every block below: these run in a process that is a copy of ours with one thread; the pointers lead to what
// was prepared before, and descriptors may be closed because the process ends with `exec` or `_exit`.
impl Child<'_> {
    fn run(&self) -> ! {
        let mut control = self.start.control.as_raw_fd();
        let steps: [&dyn Fn() -> Step; STEPS.len()] = [
            &|| self.map_user(),
            &|| self.place_descriptors(),
            &|| self.enter_folder(),
            &|| self.set_limits(),
            &|| self.give_up_privileges(),
            &|| self.put_on_filters(),
            &|| self.execute(),
        ];
        for (number, step) in steps.iter().enumerate() {
            if step().is_err() {
                let message = [FAILED, number as u8, io::Error::last_os_error().raw_os_error().unwrap_or(0) as u8];
                unsafe { libc::send(control, message.as_ptr().cast(), message.len(), libc::MSG_NOSIGNAL) };
                break;
            }
            if number == 1 {
                control = CONTROL_FD;
            }
        }
        unsafe { libc::_exit(1) }
    }

    fn map_user(&self) -> Step {
        let Some(maps) = &self.maps else { return Ok(()) };
        write_file(c"/proc/self/setgroups", c"deny".to_bytes())?;
        write_file(c"/proc/self/uid_map", maps.users.as_bytes())?;
        write_file(c"/proc/self/gid_map", maps.groups.as_bytes())
    }

    /// Standard streams, the control socket, and two that `exec` closes: the ruleset and the interpreter.
    fn place_descriptors(&self) -> Step {
        const RULESET_FD: RawFd = EXECUTABLE_FD - 1;
        let start = self.start;
        let ruleset = start.ruleset.as_ref().map(AsRawFd::as_raw_fd);
        let mut places = [
            (start.stdin.as_raw_fd(), 0, 0),
            (start.stdout.as_raw_fd(), 1, 0),
            (start.stdout.as_raw_fd(), 2, 0),
            (start.control.as_raw_fd(), CONTROL_FD, 0),
            (start.executable.as_raw_fd(), EXECUTABLE_FD, libc::O_CLOEXEC),
            (ruleset.unwrap_or(start.stdin.as_raw_fd()), RULESET_FD, libc::O_CLOEXEC),
        ];
        unsafe {
            // Out of the way first, so that no place is taken by what comes later.
            for (source, ..) in &mut places {
                *source = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, EXECUTABLE_FD + 1);
                done((*source).into())?;
            }
            for (source, place, flags) in places {
                done(libc::dup3(source, place, flags).into())?;
            }
            let close = |first: RawFd, last: u32| done(libc::syscall(libc::SYS_close_range, first, last, 0));
            close(CONTROL_FD + 1, RULESET_FD as u32 - 1)?;
            close(EXECUTABLE_FD + 1, u32::MAX)
        }
    }

    fn enter_folder(&self) -> Step {
        unsafe {
            done(libc::setsid().into())?;
            libc::umask(0o077);
            if self.namespaces & libc::CLONE_NEWUTS != 0 {
                done(libc::sethostname(c"sandbox".as_ptr(), 7).into())?;
            }
            done(libc::chdir(self.start.folder.as_ptr()).into())
        }
    }

    fn set_limits(&self) -> Step {
        // The interpreter's descriptor is the highest that there will ever be.
        for (resource, limit) in [(libc::RLIMIT_NOFILE, EXECUTABLE_FD as u64), (libc::RLIMIT_CORE, 0)] {
            let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
            done(unsafe { libc::setrlimit(resource, &limit) }.into())?;
        }
        unsafe {
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            done(libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut()).into())
        }
    }

    fn give_up_privileges(&self) -> Step {
        /// The third version of the interface, as linux/capability.h calls it.
        const VERSION: u32 = 0x2008_0522;
        const LAST_CAPABILITY: c_int = 63;
        unsafe {
            done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
            for capability in 0..=LAST_CAPABILITY {
                // Fails for those that the kernel does not know, and for a user who has none.
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            done(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0).into())?;
            let (header, none) = ([VERSION, 0], [0u32; 6]);
            done(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))
        }
    }

    fn put_on_filters(&self) -> Step {
        if self.start.ruleset.is_some() {
            done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, EXECUTABLE_FD - 1, 0) })?;
        }
        let Some(filter) = &self.walls.seccomp else { return Ok(()) };
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut().cast() };
        done(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }.into())
    }

    fn execute(&self) -> Step {
        let (arguments, variables) = (self.arguments.as_ptr(), self.variables.as_ptr());
        done(unsafe {
            let call = libc::SYS_execveat;
            libc::syscall(call, EXECUTABLE_FD, c"".as_ptr(), arguments, variables, libc::AT_EMPTY_PATH)
        })
    }
}

fn write_file(path: &std::ffi::CStr, bytes: &[u8]) -> Step {
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        done(file.into())?;
        let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
        libc::close(file);
        done(written as c_long)
    }
}
