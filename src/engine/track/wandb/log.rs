//! The `.wandb` file: seven bytes of its own, then LevelDB's log format.
//!
//! Blocks of 32 KiB hold chunks that do not cross a block's end: `crc32 u32 | length u16 | kind u8 | data`, with the plain
//! CRC-32 over kind and data. A record is one chunk (kind 1) or a first, some middle and a last one (2, 3, 4); what is too
//! short for a chunk's head at a block's end is zeros. The seven bytes belong to the first block.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::record::{Kind, Record};
use crate::engine::file::{reason, unreadable};
use crate::engine::{Error, Result};

const MAGIC: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];
const BLOCK: usize = 32 * 1024;
const HEAD: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// A `.wandb` file that records are added to. Locked, so that nobody takes its run for an abandoned one.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    records: i64,
}

impl Log {
    /// Makes a file that begins with some records. It has its name only with them in it: a file without them would fail
    /// the upload of all others.
    pub fn create(path: &Path, kinds: impl IntoIterator<Item = Kind>) -> Result<Log> {
        let fresh = path.with_extension("wandb.new");
        let refused = |e: io::Error| Error::file(path, format!("cannot be created: {}", reason(&e)));
        let file = OpenOptions::new().append(true).create_new(true).open(&fresh).map_err(refused)?;
        is_taken(&file);
        let mut log = Log { path: path.to_path_buf(), file, length: 0, records: 0 };
        log.write(&MAGIC)?;
        log.append(kinds)?;
        std::fs::rename(&fresh, path).map_err(refused)?;
        Ok(log)
    }

    /// Opens a file that another process left, behind its last whole record; nothing where a process is at work on it.
    pub fn reopen(path: &Path) -> Result<Option<Log>> {
        let file = OpenOptions::new().append(true).open(path).map_err(|e| unreadable(path, &e))?;
        if is_taken(&file) {
            return Ok(None);
        }
        let content = read(path)?;
        let (length, records) = (content.whole, content.records.len() as i64);
        let log = Log { path: path.to_path_buf(), file, length, records };
        log.cut()?;
        Ok(Some(log))
    }

    /// Adds records, all or none, in one piece: who reads along never waits for the rest of one that was begun.
    pub fn append(&mut self, kinds: impl IntoIterator<Item = Kind>) -> Result<()> {
        let (mut bytes, mut records) = (Vec::new(), self.records);
        for kind in kinds {
            records += 1;
            frame(&mut bytes, self.length, &Record::new(records, kind).encode_to_vec());
        }
        self.write(&bytes)?;
        self.records = records;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // A part of a record would hide all that follows it.
            self.cut()?;
            return Err(Error::file(&self.path, format!("cannot be written: {}", reason(&error))));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn cut(&self) -> Result<()> {
        let cut = self.file.set_len(self.length);
        cut.map_err(|e| Error::file(&self.path, format!("cannot be cut to its whole records: {}", reason(&e))))
    }
}

/// Locks a file as long as it is open; whether another process has. Some file systems know no locks: nobody has there.
pub fn is_taken(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

/// Adds a record's chunks to `bytes`, which will stand in the file from `start` on.
fn frame(bytes: &mut Vec<u8>, start: u64, mut record: &[u8]) {
    let mut is_first = true;
    loop {
        let room = BLOCK - (start as usize + bytes.len()) % BLOCK;
        if room < HEAD {
            bytes.resize(bytes.len() + room, 0);
            continue;
        }
        let (data, rest) = record.split_at(record.len().min(room - HEAD));
        let kind = match (is_first, rest.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        bytes.extend(checksum(kind, data).to_le_bytes());
        bytes.extend((data.len() as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend(data);
        if rest.is_empty() {
            return;
        }
        (record, is_first) = (rest, false);
    }
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&[kind]);
    hash.update(data);
    hash.finalize()
}

/// What stands in a `.wandb` file.
pub struct Content {
    pub records: Vec<Kind>,
    /// Where the last whole record ends.
    pub whole: u64,
}

/// Reads a file up to the first record that is not whole: what a killed process left of its last one.
pub fn read(path: &Path) -> Result<Content> {
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    if !bytes.starts_with(&MAGIC) {
        return Err(Error::file(path, "is no file of a W&B run: it does not begin as one"));
    }
    let mut content = Content { records: Vec::new(), whole: MAGIC.len() as u64 };
    let (mut position, mut record) = (MAGIC.len(), Vec::new());
    while let Some((kind, data, end)) = chunk(&bytes, position) {
        position = end;
        if kind == FULL || kind == FIRST {
            record.clear();
        }
        record.extend(data);
        if kind == FULL || kind == LAST {
            let Ok(decoded) = Record::decode(record.as_slice()) else { break };
            content.records.extend(decoded.kind);
            content.whole = position as u64;
        }
    }
    Ok(content)
}

/// The chunk that begins at or behind a position: its kind, its data and its end. Nothing where it is not whole.
fn chunk(bytes: &[u8], position: usize) -> Option<(u8, &[u8], usize)> {
    let room = BLOCK - position % BLOCK;
    let start = if room < HEAD { position + room } else { position };
    let head = bytes.get(start..start + HEAD)?;
    let sum = u32::from_le_bytes(head[..4].try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(head[4..6].try_into().ok()?));
    let (kind, end) = (head[6], start + HEAD + length);
    let data = bytes.get(start + HEAD..end)?;
    (checksum(kind, data) == sum).then_some((kind, data, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::track::wandb::record::{Files, FilesItem, Output};

    fn output(text: String) -> Kind {
        Kind::Output(Output { stream: 1, time: None, text })
    }

    #[test]
    fn a_file_is_what_wandb_writes() {
        // >>> from wandb.proto.wandb_internal_pb2 import Record; import struct, zlib
        // >>> r = Record(num=1); r.files.files.add().path = "a.txt"; data = r.SerializeToString()
        // >>> (b":W&B\xe1\xbe\x00" + struct.pack("<IHB", zlib.crc32(b"\x01" + data), len(data), 1) + data).hex()
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run-x.wandb");
        Log::create(&path, [Kind::Files(Files { files: vec![FilesItem { path: "a.txt".to_string() }] })]).unwrap();
        let hex: String = std::fs::read(&path).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3a572642e1be0079939e6d0d0001080132090a070a05612e747874");
    }

    #[test]
    fn records_of_any_length_come_back_over_the_ends_of_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run-x.wandb");
        // Each length leaves another rest of the block, from none to more than a head, for the record behind it.
        let lengths = (BLOCK - 60..BLOCK + 10).chain([0, 1, 3 * BLOCK]);
        let kinds: Vec<Kind> = lengths.flat_map(|n| [output("x".repeat(n)), output(n.to_string())]).collect();
        let mut log = Log::create(&path, []).unwrap();
        for kind in kinds.clone() {
            log.append([kind]).unwrap();
        }
        let content = read(&path).unwrap();
        assert!(content.records == kinds);
        assert_eq!(content.whole, std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn what_was_torn_anywhere_is_cut_and_gone_on_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run-x.wandb");
        let mut log = Log::create(&path, [output("first".to_string())]).unwrap();
        let whole = log.length;
        log.append([output("second".repeat(BLOCK / 6))]).unwrap();
        drop(log);
        let bytes = std::fs::read(&path).unwrap();
        for end in [whole as usize, whole as usize + 3, whole as usize + HEAD, BLOCK, BLOCK + 3, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let mut log = Log::reopen(&path).unwrap().unwrap();
            log.append([output("third".to_string())]).unwrap();
            assert!(
                read(&path).unwrap().records == [output("first".to_string()), output("third".to_string())],
                "{end}"
            );
        }
    }

    #[test]
    fn a_file_that_is_at_work_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run-x.wandb");
        let log = Log::create(&path, []).unwrap();
        assert!(Log::reopen(&path).unwrap().is_none());
        drop(log);
        assert!(Log::reopen(&path).unwrap().is_some());
    }
}
