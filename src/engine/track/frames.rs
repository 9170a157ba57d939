//! Lines that are appended, plain or in a series of Zstandard frames, one an append, which every reader of such files takes for
//! one: what a crash cut short at the end is left out, and said. What is damaged otherwise is an error with its place, and nothing
//! that was written is taken away but such an end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use zstd::zstd_safe::{find_frame_compressed_size, zstd_sys};

use crate::engine::file;

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
        let whole = Form::Frames.whole(&bytes)?;
        let lines = Lines::of(Form::Frames.text(&bytes[..whole])?)?;
        let is_cut = whole < bytes.len();
        Ok(Lines { left_out: if is_cut { Some("its end is cut short and left out") } else { lines.left_out }, ..lines })
    }

    /// Of a plain file.
    pub fn of_plain(path: &Path) -> io::Result<Self> {
        Lines::of(std::fs::read(path)?)
    }

    /// By the file's name, of frames or plain.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        match Form::of(path) {
            Form::Frames => Lines::of_frames(path),
            Form::Plain => Lines::of_plain(path),
        }
    }

    /// The cut comes before the text is decoded: it may go through a character.
    fn of(mut bytes: Vec<u8>) -> io::Result<Self> {
        let whole = whole_lines(&bytes);
        let left_out = (whole < bytes.len()).then_some("its last line is cut short and left out");
        bytes.truncate(whole);
        let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
        Ok(Lines { text, left_out })
    }
}

/// How a file holds its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Frames,
}

impl Form {
    /// Frames where the name ends in `.zst`.
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|ending| ending == "zst") { Form::Frames } else { Form::Plain }
    }

    /// How many bytes are whole lines or frames. An error where what follows them is not the beginning of one more.
    pub fn whole(self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Form::Plain => Ok(whole_lines(bytes)),
            Form::Frames => whole_frames(bytes).ok_or_else(|| damaged(bytes)),
        }
    }

    /// The text of whole lines or frames.
    pub fn text(self, whole: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Form::Plain => Ok(whole.to_vec()),
            Form::Frames => unpacked(whole),
        }
    }

    /// A text as it is appended.
    fn packed(self, text: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Form::Plain => Ok(text.to_vec()),
            Form::Frames => frame(text),
        }
    }

    /// Whether a line or a frame ends where the file does, by as much of its end as is there.
    fn ends_whole(self, end: &[u8]) -> bool {
        let ends_with = |begin: usize| find_frame_compressed_size(&end[begin..]) == Ok(end.len() - begin);
        match self {
            _ if end.is_empty() => true,
            Form::Plain => end.ends_with(b"\n"),
            Form::Frames => begins(end).rev().any(ends_with),
        }
    }
}

/// So much of a file's end is looked at before all of it is.
const END: u64 = 1 << 20;

/// Adds whole lines to a file, as a frame of their own where its name ends in `.zst`, and has them on the disk before it returns.
/// What a crash left of a line or a frame is taken away before. Processes that append to one file do so one after the other.
pub fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let form = Form::of(path);
    let mut file = locked(path)?;
    let (whole, length) = whole_end(&mut file, form)?;
    if whole < length {
        file.set_len(whole)?;
    }
    file.write_all(&form.packed(text)?)?;
    file.sync_data()
}

/// The file, which nobody else appends to until it is closed.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        // Another one may have come to its place while this one was waited for.
        if file::is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Where the whole lines or frames of a file end, and where it does.
fn whole_end(file: &mut File, form: Form) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    file.read_to_end(&mut bytes)?;
    if form.ends_whole(&bytes) {
        return Ok((length, length));
    }
    bytes.clear();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok((form.whole(&bytes)? as u64, length))
}

/// How many bytes are whole lines.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

/// What a frame begins with.
const MAGIC: [u8; 4] = zstd_sys::ZSTD_MAGICNUMBER.to_le_bytes();

/// Where a frame may begin.
fn begins(bytes: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    bytes.windows(MAGIC.len()).enumerate().filter(|(_, four)| **four == MAGIC).map(|(place, _)| place)
}

/// How many bytes are whole frames; `None` where they are followed by something else than the beginning of one more.
fn whole_frames(bytes: &[u8]) -> Option<usize> {
    let mut whole = 0;
    while whole < bytes.len() {
        match find_frame_compressed_size(&bytes[whole..]) {
            Ok(frame) => whole += frame,
            Err(code) if is_cut_short(code) && !holds_a_frame(&bytes[whole + 1..]) => return Some(whole),
            Err(_) => return None,
        }
    }
    Some(whole)
}

fn is_cut_short(code: usize) -> bool {
    code.wrapping_neg() == zstd_sys::ZSTD_ErrorCode::ZSTD_error_srcSize_wrong as usize
}

/// Whether a frame follows in what seems to be the beginning of another: that one is not cut short, its lengths are damaged.
fn holds_a_frame(bytes: &[u8]) -> bool {
    begins(bytes).any(|begin| find_frame_compressed_size(&bytes[begin..]).is_ok())
}

/// With a checksum, so that no damage goes unseen.
fn frame(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(text)?;
    encoder.finish()
}

fn unpacked(frames: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // One frame after the other. Of no frame at all the decoder says that it is cut short.
    if !frames.is_empty() {
        zstd::Decoder::new(frames)?.read_to_end(&mut text).map_err(|_| damaged(frames))?;
    }
    Ok(text)
}

/// Names the first frame that is none, or is damaged: a length that is may lead far behind it.
fn damaged(bytes: &[u8]) -> io::Error {
    let mut place = 0;
    while let Ok(length) = find_frame_compressed_size(&bytes[place..])
        && zstd::decode_all(&bytes[place..place + length]).is_ok()
    {
        place += length;
    }
    io::Error::other(format!("at byte {place} there is no Zstandard frame, or a damaged one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three appends, and where each begins.
    fn appended(path: &Path) -> (Vec<u8>, [usize; 3]) {
        let mut places = [0; 3];
        for (place, text) in places.iter_mut().zip(["a\nb\n", "middle\n", "c\n"]) {
            *place = std::fs::read(path).map_or(0, |bytes| bytes.len());
            append(path, text.as_bytes()).unwrap();
        }
        (std::fs::read(path).unwrap(), places)
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_read_and_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        for (name, texts) in [("x.zst", ["", "a\nb\n", "a\nb\nmiddle\n"]), ("x.jsonl", ["", "a\n", "a\nb\n"])] {
            let path = folder.path().join(name);
            let (whole, places) = appended(&path);
            assert_eq!(Lines::of_file(&path).unwrap(), Lines { text: "a\nb\nmiddle\nc\n".into(), left_out: None });
            let ends = if name == "x.zst" { places } else { [0, 2, 4] };
            for cut in 0..whole.len().min(if name == "x.zst" { usize::MAX } else { 5 }) {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let last = ends.iter().rposition(|end| *end <= cut).unwrap();
                let lines = Lines::of_file(&path).unwrap();
                assert_eq!((lines.text.as_str(), lines.left_out.is_some()), (texts[last], ends[last] < cut), "{cut}");
                append(&path, b"more\n").unwrap();
                let wanted = Lines { text: format!("{}more\n", texts[last]), left_out: None };
                assert_eq!(Lines::of_file(&path).unwrap(), wanted, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_damaged_is_an_error_and_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zst");
        let (whole, [_, from, to]) = appended(&path);
        for place in from..to {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                match Lines::of_frames(&path) {
                    // A bit that Zstandard has no use for.
                    Ok(lines) => assert_eq!(lines, Lines { text: "a\nb\nmiddle\nc\n".into(), left_out: None }),
                    // A frame whose checksum is not announced ends before it.
                    Err(error) => {
                        let text = error.to_string();
                        let told = text.split(' ').nth(2).and_then(|place| place.parse::<usize>().ok());
                        assert!(told.is_some_and(|told| (from..to).contains(&told)), "byte {place}, bit {bit}: {text}");
                    }
                }
                let _ = append(&path, b"more\n");
                assert!(std::fs::read(&path).unwrap().starts_with(&bytes), "byte {place}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zst");
        let (frames, _) = appended(&path);
        for (text, place) in [(b"{\"a\": 1}\n".to_vec(), 0), ([&frames[..], b"\0\0\0\0"].concat(), frames.len())] {
            std::fs::write(&path, &text).unwrap();
            let wanted = format!("at byte {place} there is no Zstandard frame, or a damaged one");
            assert_eq!(append(&path, b"more\n").unwrap_err().to_string(), wanted);
            assert_eq!(Lines::of_frames(&path).unwrap_err().to_string(), wanted);
            assert_eq!(std::fs::read(&path).unwrap(), text);
        }
    }

    #[test]
    fn frames_that_are_longer_than_what_is_looked_at_first_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zst");
        let mut stream = crate::engine::random::stream(1, "words", 0);
        let words = |_| crate::engine::random::unit(&mut stream).to_string();
        let long = (0..200_000).map(words).collect::<String>() + "\n";
        append(&path, long.as_bytes()).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > END);
        append(&path, b"a\n").unwrap();
        append(&path, b"b\n").unwrap();
        assert_eq!(Lines::of_frames(&path).unwrap(), Lines { text: long + "a\nb\n", left_out: None });
    }

    #[test]
    fn who_appends_at_the_same_time_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.zst", "x.jsonl"] {
            let path = folder.path().join(name);
            std::thread::scope(|scope| {
                for writer in 0..4 {
                    let path = &path;
                    scope.spawn(move || {
                        (0..25).for_each(|row| append(path, format!("{writer} {row}\n").as_bytes()).unwrap());
                    });
                }
            });
            let lines = Lines::of_file(&path).unwrap();
            assert_eq!((lines.text.lines().count(), lines.left_out), (100, None), "{name}");
        }
    }

    #[test]
    fn half_a_line_is_left_out_also_where_it_ends_within_a_character() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, &"a\nbé".as_bytes()[..4]).unwrap();
        let lines = Lines::of_plain(&path).unwrap();
        assert_eq!((lines.text.as_str(), lines.left_out.is_some()), ("a\n", true));
    }
}
