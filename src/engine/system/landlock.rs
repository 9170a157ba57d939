//! Landlock, the kernel's way for a program to give up rights of its own: <https://docs.kernel.org/userspace-api/landlock.html>.
//! Here it keeps writes inside given folders. Reading, and files that are open already, are left alone.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

// The names and numbers of linux/landlock.h.
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const WRITE_FILE: u64 = 1 << 1;
/// `REMOVE_DIR`, `REMOVE_FILE`, and `MAKE_CHAR` to `MAKE_SYM`.
const CHANGE_FOLDER: u64 = (1 << 13) - (1 << 4);
/// Moving between folders, since version 2.
const REFER: u64 = 1 << 13;
/// Since version 3.
const TRUNCATE: u64 = 1 << 14;

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// The version of the kernel's interface; 0 where it has none or has it switched off.
pub fn version() -> i64 {
    // SAFETY: with this flag the kernel reads no memory of ours.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, CREATE_RULESET_VERSION)
    };
    answer.max(0)
}

/// From now on this thread, and every thread and program that it starts, can write beneath `folders` alone.
/// `Ok(false)`: the kernel cannot do that.
pub fn confine_writes(folders: &[&Path]) -> io::Result<bool> {
    let version = version();
    if version < 1 {
        return Ok(false);
    }
    let since = |first: i64, access: u64| if version >= first { access } else { 0 };
    let handled = WRITE_FILE | CHANGE_FOLDER | since(2, REFER) | since(3, TRUNCATE);
    let attributes = RulesetAttributes { handled_access_fs: handled };
    // SAFETY: the struct lives through each call and has the size that is given; the descriptors are ours.
    unsafe {
        let size = size_of::<RulesetAttributes>();
        let ruleset = checked(libc::syscall(libc::SYS_landlock_create_ruleset, &attributes, size, 0u32))?;
        let ruleset = OwnedFd::from_raw_fd(ruleset as i32);
        for folder in folders {
            let folder = std::fs::File::options().read(true).custom_flags(libc::O_PATH).open(folder)?;
            let rule = PathBeneath { allowed_access: handled, parent_fd: folder.as_raw_fd() };
            let fd = ruleset.as_raw_fd();
            checked(libc::syscall(libc::SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule, 0u32))?;
        }
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        checked(libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32))?;
    }
    Ok(true)
}

fn checked(answer: i64) -> io::Result<i64> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_stay_in_the_folder_and_reads_do_not() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("there"), "text").unwrap();
        let (here, there) = (inside.path().to_path_buf(), outside.path().to_path_buf());
        // A thread of its own: the others must stay free.
        let confined = std::thread::spawn(move || {
            if !confine_writes(&[&here]).unwrap() {
                return;
            }
            std::fs::write(here.join("new"), "x").unwrap();
            std::fs::create_dir(here.join("folder")).unwrap();
            std::fs::rename(here.join("new"), here.join("folder/moved")).unwrap();
            assert_eq!(std::fs::read_to_string(there.join("there")).unwrap(), "text");
            for refused in [
                std::fs::write(there.join("new"), "x"),
                std::fs::write(there.join("there"), "x"),
                std::fs::remove_file(there.join("there")),
                std::fs::create_dir(there.join("folder")),
            ] {
                assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            }
        });
        confined.join().unwrap();
        std::fs::write(outside.path().join("new"), "x").unwrap();
    }
}
