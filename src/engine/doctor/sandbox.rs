//! What the kernel offers to confine a program that a model wrote.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::finding::Finding;
use crate::engine::signals::as_started;
use crate::engine::system::landlock;

pub fn sandbox() -> Finding {
    let landlock = landlock::version();
    let seccomp = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    let namespaces = if user_namespaces() { ", user namespaces" } else { "" };
    match (landlock, seccomp) {
        (1.., true) => Finding::ok("sandbox", format!("Landlock (ABI {landlock}), seccomp{namespaces}")),
        _ => {
            let lacking = if seccomp { "no Landlock" } else { "no seccomp" };
            let message =
                format!("{lacking} in this kernel{namespaces}: programs that a model writes cannot be confined");
            let advice = "abd and ded run such programs: use Linux 5.13 or newer, outside gVisor and the like";
            Finding::warn("sandbox", message, advice)
        }
    }
}

/// Whether a child process may enter a user namespace of its own.
fn user_namespaces() -> bool {
    let mut command = Command::new("true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec the child makes one system call and nothing else.
    unsafe {
        command.pre_exec(|| match libc::unshare(libc::CLONE_NEWUSER) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    as_started(|| command.status()).is_ok_and(|status| status.success())
}
