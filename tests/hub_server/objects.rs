//! Content on disk: large files by their SHA-256, regular ones by git's blob id, and uploads that are under way.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::body::{channel, next_piece};

const BUFFER: usize = 256 * 1024;

pub struct Objects {
    folder: PathBuf,
    uploads: AtomicU64,
}

/// What came was not what was announced, or did not come whole.
#[derive(Debug)]
pub enum Rejected {
    WrongContent { found: String },
    Broken(io::Error),
}

impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        Rejected::Broken(error)
    }
}

impl Objects {
    pub fn create(folder: PathBuf) -> io::Result<Objects> {
        for name in ["large", "regular", "uploads"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Objects { folder, uploads: AtomicU64::new(0) })
    }

    pub fn large(&self, sha256: &str) -> PathBuf {
        self.folder.join("large").join(sha256)
    }

    pub fn regular(&self, oid: &str) -> PathBuf {
        self.folder.join("regular").join(oid)
    }

    /// The size of a large object that is stored.
    pub fn size_of_large(&self, sha256: &str) -> Option<u64> {
        fs::metadata(self.large(sha256)).ok().map(|found| found.len())
    }

    pub fn put_regular(&self, content: &[u8]) -> io::Result<String> {
        let oid = blob_id(content);
        fs::write(self.regular(&oid), content)?;
        Ok(oid)
    }

    pub fn put_large(&self, content: &[u8]) -> io::Result<String> {
        let sha256 = hex(Sha256::digest(content));
        fs::write(self.large(&sha256), content)?;
        Ok(sha256)
    }

    /// Begins an upload; nobody sees it until it is finished and found to be what was announced.
    pub fn begin(&self) -> io::Result<Upload<'_>> {
        let path = self.folder.join("uploads").join(format!("new-{}", self.uploads.fetch_add(1, Ordering::Relaxed)));
        Ok(Upload { file: File::create(&path)?, path, hasher: Sha256::new(), objects: self })
    }

    pub async fn receive(&self, sha256: &str, mut body: Body) -> Result<(), Rejected> {
        let mut upload = self.begin()?;
        while let Some(piece) = next_piece(&mut body).await {
            upload.write(&piece.map_err(io::Error::other)?)?;
        }
        upload.finish(sha256)
    }

    /// Takes one part of a multipart upload and returns its ETag.
    pub async fn receive_part(&self, sha256: &str, part: u32, mut body: Body) -> io::Result<String> {
        let mut file = File::create(self.part(sha256, part))?;
        let mut hasher = Sha1::new();
        while let Some(piece) = next_piece(&mut body).await {
            let piece = piece.map_err(io::Error::other)?;
            hasher.update(&piece);
            file.write_all(&piece)?;
        }
        Ok(hex(hasher.finalize()))
    }

    /// Joins the parts of a multipart upload, given their ETags in order.
    pub fn assemble(&self, sha256: &str, etags: &[String]) -> Result<(), Rejected> {
        let mut upload = self.begin()?;
        for (part, etag) in (1..).zip(etags) {
            let content = fs::read(self.part(sha256, part))?;
            let found = hex(Sha1::digest(&content));
            if *etag != found {
                return Err(Rejected::WrongContent { found: format!("part {part} with ETag {found}") });
            }
            upload.write(&content)?;
        }
        upload.finish(sha256)?;
        for part in (1..).take(etags.len()) {
            fs::remove_file(self.part(sha256, part))?;
        }
        Ok(())
    }

    fn part(&self, sha256: &str, part: u32) -> PathBuf {
        self.folder.join("uploads").join(format!("{sha256}-{part}"))
    }
}

pub struct Upload<'a> {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    objects: &'a Objects,
}

impl Upload<'_> {
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.hasher.update(content);
        self.file.write_all(content)
    }

    pub fn finish(mut self, sha256: &str) -> Result<(), Rejected> {
        let found = hex(std::mem::take(&mut self.hasher).finalize());
        if found != sha256 {
            return Err(Rejected::WrongContent { found });
        }
        Ok(fs::rename(&self.path, self.objects.large(sha256))?)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// A body that reads a stretch of a file from disk as it is sent.
pub fn file_body(path: &Path, range: Range<u64>) -> io::Result<Body> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut rest = file.take(range.end - range.start);
    let (sender, body) = channel();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = Vec::with_capacity(BUFFER);
            let read = rest.by_ref().take(BUFFER as u64).read_to_end(&mut piece);
            match read {
                Ok(0) => return,
                // Whoever stops listening has hung up.
                Ok(_) if sender.blocking_send(Ok(piece.into())).is_err() => return,
                Ok(_) => {}
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    Ok(body)
}

/// Git's id of a file's content.
pub fn blob_id(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex(hasher.finalize())
}

pub fn sha256(content: &[u8]) -> String {
    hex(Sha256::digest(content))
}

pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
