//! What files hold, as digests: whether a result's inputs are still what they were.
//!
//! A file is read once. As long as its size and its times stay, its digest is taken from what was kept; the time of
//! change (ctime) is among them, which no tool sets back.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Result, cancel, file, plan};

/// A file's content, and by what it is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    pub sha256: String,
    /// Size and times of the file when it was read; empty where it had changed so lately that another change might show
    /// the same.
    pub stamp: String,
}

pub type Digests = BTreeMap<String, Digest>;

/// What file systems tell times apart by, with room to spare.
const TICK: Duration = Duration::from_millis(50);

/// A plan reads no more of what it has not seen than files of this size.
const READ_IN_PLAN: u64 = 1 << 28;

/// The digests of the file at `path`, or of all files in the folder there, by their paths; nothing where there is
/// nothing. Hidden files and those called as `skip` says are left out. `known` holds earlier digests.
pub fn digests(path: &Path, known: &Digests, skip: &[String]) -> Result<Digests> {
    let mut walk = Walk { known, skip, above: Vec::new(), found: Digests::new() };
    if path.exists() {
        walk.enter(path)?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    known: &'a Digests,
    skip: &'a [String],
    /// The real folders that lead here, so that a circle of links ends.
    above: Vec<PathBuf>,
    found: Digests,
}

impl Walk<'_> {
    fn enter(&mut self, path: &Path) -> Result<()> {
        cancel::check()?;
        let unreadable = |error: io::Error| file::unreadable(path, &error);
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if about.is_file() {
            let name = path.display().to_string();
            let digest = digest(path, &about, self.known.get(&name))?;
            self.found.insert(name, digest);
        }
        if !about.is_dir() {
            return Ok(());
        }
        let real = path.canonicalize().map_err(unreadable)?;
        if self.above.contains(&real) {
            return Ok(());
        }
        self.above.push(real);
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link that leads nowhere holds nothing.
            if !name.starts_with('.') && !self.skip.contains(&name) && entry.path().exists() {
                self.enter(&entry.path())?;
            }
        }
        self.above.pop();
        Ok(())
    }
}

fn digest(path: &Path, about: &Metadata, known: Option<&Digest>) -> Result<Digest> {
    let stamp = stamp(about);
    if let Some(known) = known.filter(|known| known.stamp == stamp) {
        return Ok(known.clone());
    }
    if plan::active() && about.len() > READ_IN_PLAN {
        return Ok(Digest { sha256: format!("{} bytes", about.len()), stamp });
    }
    let sha256 = file::sha256_file(path)?;
    let changed = about.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    let settled = changed.is_some_and(|age| age > TICK);
    Ok(Digest { sha256, stamp: if settled { stamp } else { String::new() } })
}

fn stamp(about: &Metadata) -> String {
    let (modified, changed) = ((about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec()));
    format!("{} {}.{:09} {}.{:09}", about.len(), modified.0, modified.1, changed.0, changed.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_folder_is_all_its_files_and_a_circle_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(&root.join("a.txt"), "a");
        write(&root.join("b/c.txt"), "c");
        write(&root.join("b/.hidden"), "h");
        write(&root.join("stage.json"), "{}");
        std::os::unix::fs::symlink(root, root.join("b/up")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("lost")).unwrap();
        let found = digests(root, &Digests::new(), &["stage.json".to_string()]).unwrap();
        let names: Vec<&str> = found.keys().map(|name| &name[root.display().to_string().len() + 1..]).collect();
        assert_eq!(names, ["a.txt", "b/c.txt"]);
        assert_eq!(found.values().next().unwrap().sha256, file::sha256(b"a"));
        assert!(digests(&root.join("none"), &Digests::new(), &[]).unwrap().is_empty());
    }

    #[test]
    fn a_file_of_the_same_size_and_time_of_writing_is_read_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "before");
        std::thread::sleep(2 * TICK);
        let before = digests(&path, &Digests::new(), &[]).unwrap();
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        write(&path, "behind");
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        let after = digests(&path, &before, &[]).unwrap();
        assert_ne!(before.values().next().unwrap().sha256, after.values().next().unwrap().sha256);
    }

    #[test]
    fn what_is_known_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "a");
        std::thread::sleep(2 * TICK);
        let mut known = digests(&path, &Digests::new(), &[]).unwrap();
        known.values_mut().for_each(|digest| digest.sha256 = "kept".to_string());
        assert_eq!(digests(&path, &known, &[]).unwrap(), known);
    }
}
