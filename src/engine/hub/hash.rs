//! By what the Hub knows content: SHA-256 for large files, git's SHA-1 for those of the commit itself.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::client::{Content, RemoteFile};
use crate::engine::file::hex;

/// The hash of a file whose kind and size are known.
pub enum Hasher {
    Sha256(Sha256),
    Git { hash: Sha1, size: u64 },
}

impl Hasher {
    pub fn of(file: &RemoteFile) -> Self {
        match file.content {
            Content::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Content::Git(_) => Hasher::git(file.size),
        }
    }

    /// Of a blob of git, whose hash begins with its size.
    pub fn git(size: u64) -> Self {
        let mut hash = Sha1::new();
        hash.update(format!("blob {size}\0"));
        Hasher::Git { hash, size }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::Git { hash, .. } => hash.update(bytes),
        }
    }

    pub fn restart(&mut self) {
        *self = match self {
            Hasher::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Hasher::Git { size, .. } => Hasher::git(*size),
        };
    }

    /// In hex.
    pub fn finish(self) -> String {
        match self {
            Hasher::Sha256(hash) => hex(&hash.finalize()),
            Hasher::Git { hash, .. } => hex(&hash.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | git hash-object --stdin`, and `sha256sum`.
    #[test]
    fn hashes_are_git_s_and_sha256sum_s() {
        let mut hash = Hasher::git(6);
        hash.update(b"hel");
        hash.restart();
        hash.update(b"hello\n");
        assert_eq!(hash.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let mut hash = Hasher::Sha256(Sha256::new());
        hash.update(b"hello\n");
        assert_eq!(hash.finish(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }
}
