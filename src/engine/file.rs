//! Files written whole or not at all, and their hashes. Every error names the file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Error, Result};

/// Writes through a temporary file in the same folder and renames it: whoever looks sees the old content or the new.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = temporary().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder(path))?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Error::file(path, error))
}

/// Makes `link` point at `target`, which is relative to the link's folder; a link that is there is replaced.
pub fn symlink_atomic(target: &Path, link: &Path) -> Result<()> {
    let replace = || -> io::Result<()> {
        let made = temporary().make_in(folder(link), |path| std::os::unix::fs::symlink(target, path))?;
        made.into_temp_path().persist(link)?;
        Ok(())
    };
    replace().map_err(|error| Error::file(link, error))
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// [`sha256`] of a file of any size.
pub fn sha256_file(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hash.finalize())),
                length => hash.update(&buffer[..length]),
            }
        }
    };
    read().map_err(|error| Error::file(path, error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Hidden, and recognisable should a crash leave one behind.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".affine-");
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_standards() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn writing_replaces_the_content_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(sha256_file(&path).unwrap(), sha256(b"two"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("latest");
        symlink_atomic(Path::new("one"), &link).unwrap();
        symlink_atomic(Path::new("two"), &link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("two"));
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write_atomic(Path::new("/nonexistent/folder/a.txt"), b"").unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/folder/a.txt: "), "{error}");
    }
}
