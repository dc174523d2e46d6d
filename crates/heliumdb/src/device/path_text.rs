//! Paths as they stand in a volume's URL, which is text with commas between several of them.
//!
//! Invariants: what [`text_of`] makes of a path [`path_of`] turns back into the same path, whatever bytes it is made
//! of; and neither a comma of a path nor a byte that is no text ever stands in a URL as it is.
//!
//! A backslash in front of a comma or of another backslash means that character; `\x` and two hexadecimal digits mean
//! a byte, which need not be text. In front of anything else a backslash is one.

use std::{
    borrow::Cow,
    ffi::OsString,
    fmt::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// A path as text for a URL, and for messages.
pub fn text_of(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            if matches!(char, ',' | '\\') {
                text.push('\\');
            }
            text.push(char);
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

/// A URL, or a list of paths, that may have bytes in it that are no text, as text that means the same.
pub fn url_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        escape(chunk.invalid(), &mut text);
    }
    text.into()
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// The parts of a list, each still with its escapes.
pub fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b',' if !escaped => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    parts.push(&list[start..]);
    parts
}

/// The path that a part of a list means.
pub(super) fn path_of(part: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'\\', [meant @ (b',' | b'\\'), behind @ ..]) => {
                bytes.push(*meant);
                rest = behind;
            }
            (b'\\', [b'x', high, low, behind @ ..])
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) =>
            {
                bytes.push(high << 4 | low);
                rest = behind;
            }
            _ => bytes.push(byte),
        }
    }
    OsString::from_vec(bytes).into()
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    proptest! {
        #[test]
        fn every_list_of_paths_comes_back(
            paths in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b','), Just(b'\\'), Just(b'x'), Just(b'0'), any::<u8>()], 1..12), 1..4),
        ) {
            let paths: Vec<&Path> = paths.iter().map(|path| Path::new(OsStr::from_bytes(path))).collect();
            let list: Vec<String> = paths.iter().map(|path| text_of(path)).collect();
            let list = list.join(",");
            let parts = split_list(&list);
            let back: Vec<PathBuf> = parts.into_iter().map(path_of).collect();
            prop_assert_eq!(back, paths);
        }
    }

    #[test]
    fn a_backslash_that_escapes_nothing_is_one() {
        for (part, path) in [
            ("a\\b", "a\\b"),
            ("a\\", "a\\"),
            ("a\\xg0", "a\\xg0"),
            ("a\\x4", "a\\x4"),
            ("\\x41\\,\\\\", "A,\\"),
        ] {
            assert_eq!(path_of(part), Path::new(path), "{part}");
        }
        assert_eq!(split_list("a\\\\,b"), ["a\\\\", "b"]);
        assert_eq!(split_list("a\\,b,"), ["a\\,b", ""]);
        assert_eq!(url_text(b"he://./a,\xff"), "he://./a,\\xff");
    }
}
