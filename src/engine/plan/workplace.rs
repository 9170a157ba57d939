//! Where a plan works: a temporary folder that looks like the user's.
//!
//! Small files are copied, large ones linked, so that a script finds everything at its place and changes nothing. The
//! folders above are there too, as links, for paths that begin with `..`. Of earlier runs, data, models and checkpoints
//! are there without their `stage.json`, so that every stage runs; logs and run folders are not.
//!
//! Where the kernel has Landlock, nothing outside the temporary folder can be written. The folder is removed when the
//! process ends.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::engine::file::create_folder;
use crate::engine::system::landlock;
use crate::engine::{Error, Result};

/// Files up to this size are copied.
const SMALL: u64 = 1 << 20;
/// All copies together.
const MOST_BYTES: u64 = 64 << 20;
/// Files and folders made before the rest is linked.
const MOST_ENTRIES: usize = 5_000;
/// Entries linked in each folder above.
const MOST_NEIGHBOURS: usize = 1_000;

/// What runs leave behind that no later run reads.
const LEFT_OUT: [&str; 2] = ["logs", "runs"];
/// What a stage leaves in its folder when it is done.
const RECORD: &str = "stage.json";

/// The user's folder and the one that stands for it.
static PLACES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
/// Asks for the removal of the folder.
static DOOR: OnceLock<UnixStream> = OnceLock::new();

/// Makes the folder and enters it.
pub fn enter() -> Result<()> {
    let problem = |error: std::io::Error| Error::file("the plan's temporary folder", error);
    let here = std::env::current_dir().map_err(|error| Error::file(".", error))?;
    let root = tempfile::Builder::new().prefix("affine-plan-").tempdir().map_err(problem)?.keep();
    remove_at_exit(root.clone()).map_err(problem)?;

    let work = surroundings(&root.join("work"), &here).map_err(problem)?;
    Mirror { entries: MOST_ENTRIES, bytes: MOST_BYTES }.fill(&here, &work, true).map_err(problem)?;
    let temporary = root.join("tmp");
    create_folder(&temporary)?;
    std::env::set_current_dir(&work).map_err(problem)?;
    // SAFETY: the process has begun just now; no other thread reads or writes the environment.
    unsafe {
        std::env::set_var("TMPDIR", &temporary);
        std::env::set_var("PWD", &work);
    }
    match landlock::confine_writes(&[&root, Path::new("/dev")]) {
        Ok(true) => {}
        _ => tracing::warn!(
            "plan: this kernel has no Landlock, so a script could write to files outside the folder it works in"
        ),
    }
    let _ = PLACES.set((here, work));
    Ok(())
}

/// Brings a file that was left out, such as a stage's record, when the user has it.
pub fn fetch(path: &Path) -> Result<()> {
    let Some((here, work)) = PLACES.get() else { return Ok(()) };
    let (from, to) = (here.join(path), work.join(path));
    if path.is_absolute() || to.exists() || !from.is_file() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        create_folder(folder)?;
    }
    fs::copy(&from, &to).map(|_| ()).map_err(|error| Error::file(path, error))
}

/// The folders from the root of the file system down to `here`, below `work`, with links to all that lies beside them.
fn surroundings(work: &Path, here: &Path) -> std::io::Result<PathBuf> {
    let (mut real, mut place) = (PathBuf::from("/"), work.to_path_buf());
    fs::create_dir_all(&place)?;
    for part in here.components() {
        let Component::Normal(next) = part else { continue };
        // A folder above that cannot be listed is no reason to give up.
        for entry in fs::read_dir(&real).into_iter().flatten().flatten().take(MOST_NEIGHBOURS) {
            if entry.file_name() != next {
                let _ = symlink(entry.path(), place.join(entry.file_name()));
            }
        }
        real.push(next);
        place.push(next);
        fs::create_dir(&place)?;
    }
    Ok(place)
}

/// How much may still be made.
struct Mirror {
    entries: usize,
    bytes: u64,
}

impl Mirror {
    fn fill(&mut self, from: &Path, to: &Path, top: bool) -> std::io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(from)?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            if top && LEFT_OUT.contains(&&*shown) || !top && shown == RECORD {
                continue;
            }
            let (source, target) = (entry.path(), to.join(&name));
            // What a link leads to; one that leads nowhere stays as it is.
            let about = fs::metadata(&source).or_else(|_| entry.metadata())?;
            let aside = shown.starts_with('.') || top && shown == "target";
            self.entries = self.entries.saturating_sub(1);
            if about.is_dir() && !aside && self.entries > 0 {
                fs::create_dir(&target)?;
                self.fill(&source, &target, false)?;
            } else if about.is_file() && about.len() <= SMALL.min(self.bytes) && self.entries > 0 {
                self.bytes -= about.len();
                // A file that cannot be read may be none of the script's.
                fs::copy(&source, &target).map(|_| ()).or_else(|_| symlink(&source, &target))?;
            } else {
                symlink(source.canonicalize().unwrap_or(source), &target)?;
            }
        }
        Ok(())
    }
}

/// Lets the folder be removed as the process ends, however it ends by itself: `os.exit` and a second Ctrl-C too. A thread
/// from before the confinement does it, because the folder that holds the plan's may then not be written to.
fn remove_at_exit(root: PathBuf) -> std::io::Result<()> {
    let (mut inside, outside) = UnixStream::pair()?;
    std::thread::Builder::new().name("plan".to_string()).spawn(move || {
        // A byte, or the end of the stream: either asks for it. Dropping `inside` tells that it is done.
        let _ = inside.read(&mut [0]);
        let _ = fs::remove_dir_all(&root);
    })?;
    let _ = DOOR.set(outside);
    extern "C" fn ask_and_wait() {
        if let Some(mut door) = DOOR.get() {
            let _ = door.write_all(&[0]);
            let _ = door.read(&mut [0]);
        }
    }
    // SAFETY: the handler uses nothing that ends before it.
    match unsafe { libc::atexit(ask_and_wait) } {
        0 => Ok(()),
        _ => Err(std::io::Error::other("no room for an exit handler")),
    }
}
