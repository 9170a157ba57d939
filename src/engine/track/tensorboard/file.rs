//! An event file: TFRecords, `length u64 | masked CRC-32C of it | data | masked CRC-32C of it`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;

use super::event::{Event, Session, What};
use crate::engine::file::{create_folder, reason, unreadable};
use crate::engine::{Error, Result};

const PREFIX: &str = "events.out.tfevents.";

/// How many files this process has made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The file that this process writes in a folder of TensorBoard's, which reads all that are there in the order of their names.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl EventFile {
    /// Begins a file. Where the folder has others, the run goes on: what they hold from `step` on is void.
    pub fn create(folder: &Path, step: i64, time: f64) -> Result<EventFile> {
        create_folder(folder)?;
        let before = newest(folder)?;
        // A later name than all others, also on a machine whose clock is behind.
        let second = before.map_or(time as u64, |newest| newest.saturating_add(1).max(time as u64));
        let host = rustix::system::uname().nodename().to_string_lossy().replace('/', "_");
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{PREFIX}{second:010}.{host}.{}.{number}", std::process::id()));
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|e| Error::file(&path, format!("cannot be created: {}", reason(&e))))?;
        let mut file = EventFile { path, file, length: 0 };
        let version = What::FileVersion("brain.Event:2".to_string());
        file.append(&Event { wall_time: time, step: 0, what: Some(version) })?;
        if before.is_some() {
            file.append(&Event { wall_time: time, step, what: Some(What::Session(Session { status: 1 })) })?;
        }
        Ok(file)
    }

    /// Writes an event at once: who reads along sees it, and a kill does not take it.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        let bytes = frame(&event.encode_to_vec());
        if let Err(error) = self.file.write_all(&bytes) {
            // A part of an event would hide all that follows it.
            let _ = self.file.set_len(self.length);
            return Err(Error::file(&self.path, format!("cannot be written: {}", reason(&error))));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Flushes the file to the disk.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| Error::file(&self.path, format!("cannot be written: {}", reason(&e))))
    }
}

/// The latest second in the names of a folder's event files.
fn newest(folder: &Path) -> Result<Option<u64>> {
    let entries = std::fs::read_dir(folder).map_err(|e: io::Error| unreadable(folder, &e))?;
    let second = |name: &str| name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok();
    Ok(entries.filter_map(|entry| second(entry.ok()?.file_name().to_str()?)).max())
}

fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// The checksum as TFRecords store it: so that data which holds checksums does not become its own.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let (mut table, mut index) = ([0; 256], 0);
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !data.iter().fold(!0, |sum, byte| (sum >> 8) ^ TABLE[usize::from(sum as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32C.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_begins_as_tensorboard_begins_it() {
        // >>> from tensorboard.summary.writer.record_writer import RecordWriter
        // >>> from tensorboard.compat.proto.event_pb2 import Event; import io
        // >>> out = io.BytesIO()
        // >>> RecordWriter(out).write(Event(wall_time=1.5, file_version="brain.Event:2").SerializeToString())
        // >>> out.getvalue().hex()
        let folder = tempfile::tempdir().unwrap();
        let file = EventFile::create(folder.path(), 0, 1.5).unwrap();
        let hex: String = std::fs::read(&file.path).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
    }

    #[test]
    fn a_later_file_has_a_later_name_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventFile::create(folder.path(), 0, 2e9).unwrap();
        let second = EventFile::create(folder.path(), 7, 1e9).unwrap();
        assert!(second.path > first.path);
        assert!(second.length > first.length, "the second says that it starts again");
    }
}
