//! Which files a program can open: a Landlock ruleset, made here and put on by [`launch`](super::launch).
//!
//! Landlock knows nothing of `stat`, `chmod`, `chown`, `utime` and extended attributes, and before version 3 nothing of
//! `truncate`: seccomp denies all of these but `stat`.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    make_bitflags,
};

use super::interpreter::Interpreter;
use crate::engine::{Error, Result};

/// What a rule can be about; the crate leaves out what this kernel does not know.
const NEWEST: ABI = ABI::V7;

/// Plain files can be made, moved and removed in the folder, and no folders made: so the [watch](super::watch) sees what
/// a program holds on disk by looking at one flat folder.
const WRITE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile});
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// The rules: the interpreter can be read and started, the folder read and written, and that is all.
pub fn ruleset(interpreter: &Interpreter, folder: &Path) -> Result<OwnedFd> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    let own = interpreter.reads.iter().map(|path| match path.is_dir() {
        // The dynamic loader is among the libraries, and the kernel starts it with the interpreter.
        true => (path.as_path(), READ | AccessFs::Execute),
        false => (path.as_path(), AccessFs::ReadFile.into()),
    });
    let more = [
        (interpreter.executable.as_path(), AccessFs::ReadFile | AccessFs::Execute),
        (Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile),
        (folder, WRITE),
    ];
    for (path, access) in own.filter(|(path, _)| path.exists()).chain(more) {
        let beneath = PathBeneath::new(PathFd::new(path).map_err(failed)?, access);
        rules = rules.add_rule(beneath).map_err(failed)?;
    }
    Option::<OwnedFd>::from(rules).ok_or_else(|| Error::message("this kernel has no Landlock"))
}

fn failed(error: impl fmt::Display) -> Error {
    Error::message(error.to_string()).within("Landlock")
}
