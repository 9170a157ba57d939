//! Which system calls exist inside: two seccomp filters, each a list of what is allowed.
//!
//! What is not on the list fails with `ENOSYS`, as on a kernel without it, which makes the C library fall back where it
//! can (`clone3` to `clone`). Calls that name a process, or that could name a file outside without Landlock noticing,
//! are absent or pinned to the harmless arguments.

use std::collections::BTreeMap;

use libc::*;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::engine::{Error, Result};

/// The descriptor that the interpreter is started from. It is closed by that, and the limit on open files keeps every
/// later descriptor below it, so `execveat` works exactly once.
pub const EXECUTABLE_FD: i32 = 255;

/// Stands in [`program`]'s filter where the process number belongs, which only the process itself knows.
pub const OWN_PID: u32 = 0x7fff_a7f1;

/// Files, memory, time, threads and signals to oneself: what CPython and its standard library need.
#[rustfmt::skip]
const PLAIN: &[i64] = &[
    // Files that are open, and looking around.
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close, SYS_close_range,
    SYS_fstat, SYS_stat, SYS_lstat, SYS_newfstatat, SYS_statx, SYS_access, SYS_faccessat, SYS_faccessat2,
    SYS_readlink, SYS_readlinkat, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_getdents64, SYS_ftruncate, SYS_fallocate,
    SYS_fsync, SYS_fdatasync, SYS_sendfile, SYS_copy_file_range, SYS_fadvise64, SYS_umask, SYS_dup, SYS_dup2, SYS_dup3,
    SYS_pipe, SYS_pipe2,
    // Names, which Landlock guards.
    SYS_unlink, SYS_unlinkat, SYS_rename, SYS_renameat, SYS_renameat2,
    // Waiting.
    SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_eventfd2,
    // The ends of a socket pair, which is all that asyncio wants.
    SYS_recvfrom, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_getsockopt,
    // Memory.
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_msync, SYS_mincore, SYS_brk,
    // Threads and the end.
    SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address, SYS_arch_prctl, SYS_membarrier,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_wait4, SYS_waitid, SYS_exit, SYS_exit_group,
    // Signals.
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend, SYS_sigaltstack, SYS_pause, SYS_alarm, SYS_setitimer, SYS_getitimer, SYS_restart_syscall,
    // Time.
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_time, SYS_times,
    // Who and where am I.
    SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid,
    SYS_getresgid, SYS_getgroups, SYS_getpgrp, SYS_getpgid, SYS_getsid, SYS_uname, SYS_sysinfo, SYS_getrusage,
    SYS_getrlimit, SYS_setrlimit, SYS_getrandom,
];

/// Locks, flags and copies. `F_SETOWN` and `F_SETSIG` would have the kernel send any signal to any process.
const FCNTL: &[i32] = &[
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_GETPIPE_SZ,
];

/// Is it a terminal, how wide, how much is there to read; close-on-exec and non-blocking.
const IOCTL: &[u64] = &[TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX];

const PR_SET_VMA: i32 = 0x5356_4d41;

/// Every flag of `clone` that makes a namespace.
const NEW_NAMESPACE: i32 =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// For the server: programs, and beyond that forking them and starting the interpreter once.
pub fn server() -> Result<BpfProgram> {
    let mut rules = shared()?;
    allow(&mut rules, SYS_execveat, &[(0, Eq, EXECUTABLE_FD as u64), (4, Eq, AT_EMPTY_PATH as u64)])?;
    allow(&mut rules, SYS_clone, &[(0, MaskedEq(NEW_NAMESPACE as u64), 0)])?;
    for operation in [PR_SET_PDEATHSIG, PR_SET_SECCOMP] {
        allow(&mut rules, SYS_prctl, &[(0, Eq, operation as u64)])?;
    }
    // Signals are pinned to oneself by the filter of each program; the server sends none.
    for call in [SYS_kill, SYS_tgkill, SYS_recvmsg, SYS_pidfd_open] {
        rules.insert(call, Vec::new());
    }
    compile(rules)
}

/// For a program: threads, but no processes, and signals to itself alone ([`OWN_PID`]).
pub fn program() -> Result<BpfProgram> {
    let mut rules = shared()?;
    let flags = (CLONE_THREAD | NEW_NAMESPACE) as u64;
    allow(&mut rules, SYS_clone, &[(0, MaskedEq(flags), CLONE_THREAD as u64)])?;
    for call in [SYS_kill, SYS_tgkill] {
        allow(&mut rules, call, &[(0, Eq, OWN_PID.into())])?;
    }
    compile(rules)
}

fn shared() -> Result<Rules> {
    let mut rules: Rules = PLAIN.iter().map(|&call| (call, Vec::new())).collect();
    // Before version 3, Landlock lets a file that is opened for reading be truncated. O_TMPFILE makes files without a
    // name, which the watch could not see.
    let no_temporary = (2, MaskedEq((O_TMPFILE & !O_DIRECTORY) as u64), 0);
    for (mask, value) in [(O_TRUNC, 0), (O_ACCMODE, O_WRONLY), (O_ACCMODE, O_RDWR)] {
        allow(&mut rules, SYS_openat, &[(2, MaskedEq(mask as u64), value as u64), no_temporary.clone()])?;
    }
    for &operation in FCNTL {
        allow(&mut rules, SYS_fcntl, &[(1, Eq, operation as u64)])?;
    }
    for &operation in IOCTL {
        allow(&mut rules, SYS_ioctl, &[(1, Eq, operation)])?;
    }
    for operation in [PR_SET_NAME, PR_GET_NAME, PR_SET_VMA] {
        allow(&mut rules, SYS_prctl, &[(0, Eq, operation as u64)])?;
    }
    allow(&mut rules, SYS_prlimit64, &[(0, Eq, 0)])?;
    // A stream is connected from the start and to its pair; a datagram socket could send to any name.
    allow(&mut rules, SYS_socketpair, &[(0, Eq, AF_UNIX as u64), (1, MaskedEq(0xf), SOCK_STREAM as u64)])?;
    let no_address = SeccompCondition::new(4, Qword, Eq, 0).and_then(|condition| SeccompRule::new(vec![condition]));
    rules.insert(SYS_sendto, vec![no_address.map_err(failed)?]);
    Ok(rules)
}

/// Allows a call whose arguments fulfil all of the conditions, besides what was allowed before.
fn allow(rules: &mut Rules, call: i64, conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<()> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| SeccompCondition::new(*argument, Dword, operator.clone(), *value));
    let rule = conditions.collect::<Result<Vec<_>, _>>().and_then(SeccompRule::new).map_err(failed)?;
    rules.entry(call).or_default().push(rule);
    Ok(())
}

fn compile(rules: Rules) -> Result<BpfProgram> {
    let refuse = SeccompAction::Errno(ENOSYS as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, TargetArch::x86_64).map_err(failed)?;
    filter.try_into().map_err(failed)
}

fn failed(error: BackendError) -> Error {
    Error::message(error.to_string()).within("seccomp")
}
