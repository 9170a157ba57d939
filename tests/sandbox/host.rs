//! A test runs as root and as an ordinary user, with and without namespaces: the thread that runs it gives up what the
//! host in question does not have. (On Linux, user and seccomp filters belong to a thread.)

use std::collections::BTreeMap;

use affine::engine::sandbox::{Limits, Outcome, Program, Sandbox, SandboxOptions};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Host {
    pub root: bool,
    pub namespaces: bool,
}

const NOBODY: u32 = 65534;

/// Runs `test` on every kind of host that this process can pretend to be on; a process that is not root is an
/// ordinary user's already.
pub fn on_every_host(test: fn(&Sandbox, Host)) {
    // SAFETY: no conditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    for root in [true, false].into_iter().filter(|&root| is_root || !root) {
        for namespaces in [true, false] {
            let host = Host { root, namespaces };
            on(host, move || {
                let sandbox =
                    Sandbox::new(&SandboxOptions::default()).unwrap_or_else(|error| panic!("{host:?}: {error}"));
                let seen = sandbox.describe().contains("namespaces");
                assert!(namespaces || !seen, "{host:?} was to have no namespaces");
                test(&sandbox, host);
            });
        }
    }
}

/// Runs `work` on a thread that has become `host`.
pub fn on(host: Host, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        become_host(host);
        work();
    });
    if let Err(panic) = thread.join() {
        eprintln!("on {host:?}:");
        std::panic::resume_unwind(panic);
    }
}

fn become_host(host: Host) {
    if !host.root {
        // SAFETY: plain system calls, which change this thread alone (the C library's functions would change all).
        unsafe {
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>());
            libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY);
            libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY);
            assert_ne!(libc::geteuid(), 0);
            // Which a process that was started by that user would be.
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
        }
    }
    if !host.namespaces {
        let wanted = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
        let flags: Vec<(u8, SeccompCmpOp, u64)> = [libc::CLONE_NEWUSER, libc::CLONE_NEWPID]
            .map(|flag| (0, SeccompCmpOp::MaskedEq((wanted & flag) as u64), flag as u64))
            .into();
        refuse(libc::SYS_clone, &flags, libc::EPERM);
    }
}

/// From now on `call` fails with `errno` in this thread, if one of the conditions on its arguments holds or there is none.
pub fn refuse(call: i64, conditions: &[(u8, SeccompCmpOp, u64)], errno: i32) {
    let rules = conditions.iter().map(|(argument, operator, value)| {
        let condition = SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    });
    let rules = BTreeMap::from([(call, rules.collect())]);
    let refuse = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// Runs code with nothing on standard input.
pub fn run(sandbox: &Sandbox, code: &str) -> Outcome {
    run_within(sandbox, code, Limits { wall: 20.0, ..Limits::default() })
}

pub fn run_within(sandbox: &Sandbox, code: &str, limits: Limits) -> Outcome {
    sandbox.run(&Program { code: code.into(), stdin: Vec::new(), limits }).unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
