//! Lines that are appended, plain or in a series of Zstandard frames, one an append, which every reader of such files takes for
//! one: what a crash cut short at the end is left out, and said.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;

use zstd::zstd_safe::find_frame_compressed_size;

/// The whole lines of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub text: String,
    /// What was left out at the end, in a few words.
    pub left_out: Option<&'static str>,
}

impl Lines {
    /// Of a file of frames; the error of one that is absent has [`io::ErrorKind::NotFound`].
    pub fn of_frames(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let whole = whole_frames(&bytes);
        let mut text = Vec::new();
        // One frame after the other.
        zstd::Decoder::new(&bytes[..whole])?.read_to_end(&mut text)?;
        let lines = Lines::of(text)?;
        let is_cut = whole < bytes.len();
        Ok(Lines { left_out: if is_cut { Some("its end is cut short and left out") } else { lines.left_out }, ..lines })
    }

    /// Of a plain file.
    pub fn of_plain(path: &Path) -> io::Result<Self> {
        Lines::of(std::fs::read(path)?)
    }

    /// By the file's name, of frames or plain.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        if is_compressed(path) { Lines::of_frames(path) } else { Lines::of_plain(path) }
    }

    fn of(mut bytes: Vec<u8>) -> io::Result<Self> {
        let whole = whole_lines(&bytes);
        let left_out = (whole < bytes.len()).then_some("its last line is cut short and left out");
        bytes.truncate(whole);
        let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
        Ok(Lines { text, left_out })
    }
}

/// Adds whole lines to a file, as a frame of their own where its name ends in `.zst`, and has them on the disk before it returns.
/// What a crash left of a line or a frame is taken away before.
pub fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let is_compressed = is_compressed(path);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = if is_compressed { whole_frames(&bytes) } else { whole_lines(&bytes) };
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    match is_compressed {
        true => file.write_all(&zstd::encode_all(text, zstd::DEFAULT_COMPRESSION_LEVEL)?)?,
        false => file.write_all(text)?,
    }
    file.sync_data()
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "zst")
}

/// How many bytes are whole lines.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

/// How many bytes are whole frames.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while whole < bytes.len()
        && let Ok(frame) = find_frame_compressed_size(&bytes[whole..])
        && frame <= bytes.len() - whole
    {
        whole += frame;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_one_text_and_half_a_frame_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zst");
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        let (first, second) = (frame("a\nb\n"), frame("c\n"));
        let whole = [first.clone(), second].concat();
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(Lines::of_frames(&path).unwrap(), Lines { text: "a\nb\nc\n".into(), left_out: None });
        for cut in first.len() + 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = Lines::of_frames(&path).unwrap();
            assert_eq!((lines.text.as_str(), lines.left_out.is_some()), ("a\nb\n", true), "cut at {cut}");
        }
    }

    #[test]
    fn half_a_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "a\nb").unwrap();
        let lines = Lines::of_plain(&path).unwrap();
        assert_eq!((lines.text.as_str(), lines.left_out.is_some()), ("a\n", true));
    }
}
