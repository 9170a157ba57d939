//! The files and folders that a command line names.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// The given files, and those below the given folders that are Lua and `wanted`: sorted, hidden folders and cargo's left
/// out, and links to folders not followed.
pub fn lua_files(paths: &[PathBuf], wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => walk(path, wanted, &mut files)?,
            false if path.exists() => files.push(path.clone()),
            false => return Err(Failure::Usage(format!("no such file or folder: {}", path.display()))),
        }
    }
    Ok(files)
}

fn walk(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::Usage(format!("cannot read the folder {}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<_> = entries.map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let hidden = name.to_string_lossy().starts_with('.') || name == "target";
        if is_folder && !hidden {
            walk(&path, wanted, files)?;
        } else if !is_folder && path.extension().is_some_and(|extension| extension == "lua") && wanted(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// The bytes of a file that was named on the command line.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    std::fs::read(path).map_err(|error| {
        Failure::Usage(match error.kind() {
            ErrorKind::NotFound => format!("no such script: {shown}"),
            _ => format!("cannot read the script {shown}: {error}"),
        })
    })
}

/// The folder of a run: what was asked for, or what has that name in `runs/`.
pub fn run_folder(asked: &Path) -> PathBuf {
    let named = Path::new("runs").join(asked);
    if !asked.exists() && named.exists() { named } else { asked.to_path_buf() }
}
