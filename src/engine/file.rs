//! Writing files so that a crash, a full disk or Ctrl-C never leaves half of one.
//!
//! What a run needs again (configs, summaries, checkpoint states, adapters) goes through [`write_atomic`].

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::cancel::{self, Unfinished};
use super::{Error, Result};

/// Replaces the file at `path` by `bytes`: a temporary file in the same folder, flushed to the disk, then renamed.
/// A reader sees the old content or the new one; when the disk is full the old file stays.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// As [`write_atomic`], with the content written by `fill`.
pub fn replace(path: impl AsRef<Path>, fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> Result<()> {
    Staged::write(path, fill)?.commit()
}

/// A file that is whole and on the disk, but not under its name yet. Dropped, it is gone.
///
/// Files that belong together are all staged before the first is committed, so that what can fail (a full disk) fails
/// while the old ones still stand.
pub struct Staged {
    _unfinished: Unfinished,
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes what will be at `path` under a temporary name beside it and flushes it to the disk.
    pub fn write(path: impl AsRef<Path>, fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> Result<Self> {
        let (path, unfinished) = (path.as_ref().to_path_buf(), cancel::unfinished());
        let write = || {
            // tempfile's default of 0600 is for secrets; these files get what the umask leaves, like any other.
            let mut file = tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o666))
                .prefix(".writing-")
                .tempfile_in(folder(&path))?;
            fill(&mut file)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|error| unwritable(&path, &error))?;
        Ok(Staged { _unfinished: unfinished, file, path })
    }

    /// Gives the file its name, in place of what was there.
    pub fn commit(self) -> Result<()> {
        self.file.persist(&self.path).map_err(|e| unwritable(&self.path, &e.error))?;
        // The rename itself is durable once the folder is. Some file systems refuse to sync a folder: nothing is lost
        // then.
        if let Ok(folder) = std::fs::File::open(folder(&self.path)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::file(path, format!("cannot be removed: {}", reason(&e))))
        }
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::file(path, format!("cannot be written: {}", reason(error)))
}

/// Makes `link` point at `target`, in place of whatever link was there.
pub fn symlink_atomic(target: &Path, link: &Path) -> Result<()> {
    let replace = || -> io::Result<()> {
        let make = |path: &Path| std::os::unix::fs::symlink(target, path);
        tempfile::Builder::new().prefix(".writing-").make_in(folder(link), make)?.into_temp_path().persist(link)?;
        Ok(())
    };
    replace().map_err(|error| unwritable(link, &error))
}

/// Whether an open file is the one at a path, and not one that was removed or replaced since.
pub fn is_at(file: &std::fs::File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// SHA-256 in hex.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// SHA-256 of a file's content in hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let (mut file, mut hash) = (std::fs::File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hash.finalize())),
                length => hash.update(&buffer[..length]),
            }
        }
    };
    read().map_err(|e| unreadable(path, &e))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder of a path; the current one where it names none.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Creates a folder and those above it; an existing one is fine.
pub fn create_folder(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    std::fs::create_dir_all(path).map_err(|e| Error::file(path, format!("cannot be created: {}", reason(&e))))
}

/// `~/.cache/affine/<name>`, or below `XDG_CACHE_HOME`; nothing where there is no home folder.
pub fn cache_folder(name: &str) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("affine").join(name))
}

/// The error of a file that cannot be read.
pub fn unreadable(path: impl AsRef<Path>, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_string(),
        _ => reason(error),
    };
    Error::file(path, format!("cannot be read: {reason}"))
}

/// Why the system refused, in words a user knows, without error numbers or temporary names.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its folder does not exist".to_string(),
        io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_string(),
        io::ErrorKind::StorageFull => "the disk is full".to_string(),
        io::ErrorKind::FileTooLarge => "the file is larger than this system allows".to_string(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_string(),
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder".to_string(),
        io::ErrorKind::IsADirectory => "it is a folder".to_string(),
        io::ErrorKind::AlreadyExists => "a file of that name is there".to_string(),
        io::ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write_atomic(&path, b"a long first content").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["summary.json"]);
    }

    #[test]
    fn a_written_file_is_as_readable_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        std::fs::write(folder.path().join("plain"), b"").unwrap();
        write_atomic(folder.path().join("atomic"), b"").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        let error = write_atomic(&taken, b"x").unwrap_err().to_string();
        assert_eq!(error, format!("{}: cannot be written: it is a folder", taken.display()));
        assert_eq!(names(folder.path()), ["taken"]);

        let lost = folder.path().join("missing").join("file");
        let error = write_atomic(&lost, b"x").unwrap_err().to_string();
        assert_eq!(error, format!("{}: cannot be written: its folder does not exist", lost.display()));
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_created() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let below = folder.path().join("file").join("runs");
        let error = create_folder(&below).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{}: cannot be created: a part of its path is a file, not a folder", below.display())
        );
    }
}
