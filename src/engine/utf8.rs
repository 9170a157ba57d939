//! Text in files: UTF-8, with or without the byte order mark that some editors put before it. What is in another encoding
//! is named, for its bytes read as UTF-8 would be a riddle.

use std::path::Path;

use super::{Error, Result, file};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes without a byte order mark in UTF-8.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// What is wrong with bytes that are text in UTF-16 or UTF-32, told by their byte order mark, or by the zeros that stand
/// beside ASCII there.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let encoding = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        [0, 0, 0, 1..=255, ..] | [1..=255, 0, 0, 0, ..] => "UTF-32",
        [0, 1..=255, ..] | [1..=255, 0, ..] => "UTF-16",
        _ => return Ok(()),
    };
    Err(format!("text in {encoding}: expected UTF-8; save it in that encoding"))
}

/// The text that bytes are, without a byte order mark; else what is wrong with them.
pub fn text(bytes: &[u8]) -> Result<&str, String> {
    check(bytes)?;
    let before = bytes.len() - without_mark(bytes).len();
    std::str::from_utf8(without_mark(bytes))
        .map_err(|error| format!("not UTF-8 from byte {}", before + error.valid_up_to() + 1))
}

/// A file's text, without a byte order mark.
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|error| file::unreadable(path, &error))?;
    Ok(text(&bytes).map_err(|problem| Error::file(path, problem))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        assert_eq!(text(b"\xef\xbb\xbf{}"), Ok("{}"));
        assert_eq!(text(b"{}"), Ok("{}"));
        assert_eq!(text(b""), Ok(""));
        // Only the first is a mark.
        assert_eq!(text(b"\xef\xbb\xbf\xef\xbb\xbfa"), Ok("\u{feff}a"));
        assert_eq!(text(b"\xef\xbb\xbfab\xff"), Err("not UTF-8 from byte 6".into()));
    }

    #[test]
    fn another_encoding_is_named() {
        let wide = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for text in ["\u{feff}{\"a\": 1}", "{}"] {
            for bytes in [wide(text, u16::to_le_bytes), wide(text, u16::to_be_bytes)] {
                assert_eq!(check(&bytes), Err("text in UTF-16: expected UTF-8; save it in that encoding".into()));
            }
        }
        for bytes in [&b"\xff\xfe\0\0{\0\0\0"[..], b"\0\0\xfe\xff\0\0\0{", b"{\0\0\0", b"\0\0\0{"] {
            assert!(check(bytes).unwrap_err().starts_with("text in UTF-32"), "{bytes:?}");
        }
        assert_eq!(check("é".as_bytes()), Ok(()));
    }
}
