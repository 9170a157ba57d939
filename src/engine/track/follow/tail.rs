//! The lines of a file that others append to, plain or in frames.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::engine::file;
use crate::engine::track::frames::Form;

/// A file, and how far it was read.
pub struct Tail {
    path: PathBuf,
    /// Held open, so that no other file gets its number while it is compared with the one at the path.
    file: Option<File>,
    /// Behind the last whole line or frame.
    place: u64,
    /// How long the file was.
    seen: u64,
}

/// Whole lines.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    Same,
    More(String),
    /// The file is another one, or was written anew: these are all its lines.
    Anew(String),
    /// What came is damaged, and how.
    Damaged(String),
}

impl Tail {
    pub fn of(path: PathBuf) -> Self {
        Tail { path, file: None, place: 0, seen: 0 }
    }

    /// What came since the last time. A file that cannot be read has nothing new.
    pub fn read(&mut self) -> News {
        let is_the_same = self.is_the_same();
        if !is_the_same {
            match File::open(&self.path) {
                Ok(file) => (self.file, self.place, self.seen) = (Some(file), 0, 0),
                Err(_) if self.file.take().is_some() => return News::Anew(String::new()),
                Err(_) => return News::Same,
            }
        }
        match self.more() {
            Ok(text) if !is_the_same => News::Anew(text),
            Ok(text) if text.is_empty() => News::Same,
            Ok(text) => News::More(text),
            Err(error) => News::Damaged(error.to_string()),
        }
    }

    /// Whether the open file is still the one at the path, and has all that was read of it.
    fn is_the_same(&self) -> bool {
        self.file.as_ref().is_some_and(|open| {
            file::is_at(open, &self.path) && open.metadata().is_ok_and(|about| about.len() >= self.place)
        })
    }

    /// The whole lines from here to the end.
    fn more(&mut self) -> io::Result<String> {
        let Some(file) = &mut self.file else { return Ok(String::new()) };
        if file.metadata()?.len() == self.seen {
            return Ok(String::new());
        }
        let (mut bytes, form) = (Vec::new(), Form::of(&self.path));
        file.seek(SeekFrom::Start(self.place))?;
        file.read_to_end(&mut bytes)?;
        self.seen = self.place + bytes.len() as u64;
        let whole = form.whole(&bytes)?;
        let text = form.text(&bytes[..whole])?;
        self.place += whole as u64;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn append(path: &PathBuf, text: &str) {
        fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn whole_lines_come_once_and_halves_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut tail = Tail::of(path.clone());
        assert_eq!(tail.read(), News::Same);
        append(&path, "a\nb");
        assert_eq!(tail.read(), News::Anew("a\n".into()));
        assert_eq!(tail.read(), News::Same);
        append(&path, "c\nd\n");
        assert_eq!(tail.read(), News::More("bc\nd\n".into()));
        assert_eq!(tail.read(), News::Same);
    }

    #[test]
    fn frames_come_once_and_what_is_damaged_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("episodes.jsonl.zst");
        let mut tail = Tail::of(path.clone());
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        let add = |bytes: &[u8]| {
            let file = fs::OpenOptions::new().create(true).append(true).open(&path);
            file.unwrap().write_all(bytes).unwrap();
        };
        add(&frame("a\n"));
        assert_eq!(tail.read(), News::Anew("a\n".into()));
        let next = frame("b\nc\n");
        add(&next[..7]);
        assert_eq!(tail.read(), News::Same);
        add(&next[7..]);
        assert_eq!(tail.read(), News::More("b\nc\n".into()));
        assert_eq!(tail.read(), News::Same);
        add(b"no frame\n");
        assert!(matches!(tail.read(), News::Damaged(_)));
        assert_eq!(tail.read(), News::Same);
    }

    #[test]
    fn a_file_that_is_replaced_or_shortened_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        append(&path, "a\nb\nc\n");
        let mut tail = Tail::of(path.clone());
        tail.read();
        for (content, number) in [("a\nB\nC\n", 0), ("a\nB\nC\nd\n", 1), ("a\n", 2)] {
            let fresh = folder.path().join(number.to_string());
            fs::write(&fresh, content).unwrap();
            fs::rename(&fresh, &path).unwrap();
            assert_eq!(tail.read(), News::Anew(content.into()));
        }
        append(&path, "e\n");
        assert_eq!(tail.read(), News::More("e\n".into()));
        fs::write(&path, "f\n").unwrap();
        assert_eq!(tail.read(), News::Anew("f\n".into()));
        fs::remove_file(&path).unwrap();
        assert_eq!(tail.read(), News::Anew(String::new()));
        assert_eq!(tail.read(), News::Same);
        append(&path, "g\n");
        assert_eq!(tail.read(), News::Anew("g\n".into()));
    }
}
