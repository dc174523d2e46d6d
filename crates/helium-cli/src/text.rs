//! Keys and values, which are any bytes, as text; sizes with their units.
//!
//! Invariant: what [`to_json`] makes of bytes [`JsonBytes`] turns back into the same bytes.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use heliumdb::printable::{self, is_printable};
use indicatif::{BinaryBytes, HumanCount};
use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, Unexpected, Visitor};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    fmt::{self, Write},
    os::unix::ffi::OsStrExt,
};

use crate::failure::{Code, Failure, Result};

/// Bytes as JSON: a string if they are UTF-8, else `{"base64": "..."}`.
pub fn to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": BASE64.encode(bytes)}),
    }
}

/// The bytes that [`to_json`] made JSON of. Nothing else is read into memory.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonBytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for JsonBytes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(JsonBytesVisitor)
    }
}

struct JsonBytesVisitor;

impl<'de> Visitor<'de> for JsonBytesVisitor {
    type Value = JsonBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or {\"base64\": \"...\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<JsonBytes, E> {
        Ok(JsonBytes(text.as_bytes().to_vec()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<JsonBytes, M::Error> {
        let unexpected = || M::Error::invalid_type(Unexpected::Map, &self);
        if map.next_key::<String>()?.as_deref() != Some("base64") {
            return Err(unexpected());
        }
        let bytes = from_base64(map.next_value::<String>()?.as_bytes());
        if map.next_key::<String>()?.is_some() {
            return Err(unexpected());
        }
        bytes.map(JsonBytes).map_err(M::Error::custom)
    }
}

/// Bytes out of base64.
pub fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    BASE64
        .decode(text)
        .map_err(|why| format!("not base64: {why}"))
}

/// Bytes in base64.
pub fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes in hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Bytes out of hexadecimal.
pub fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    HEXLOWER_PERMISSIVE
        .decode(text)
        .map_err(|why| format!("not hexadecimal: {why}"))
}

/// `text` with escapes for what a terminal would obey, the ends of lines too.
pub fn plain(text: impl fmt::Display) -> String {
    let mut plain = String::new();
    // Writing into a string cannot fail.
    let _ = printable::write(&mut plain, &text.to_string());
    plain
}

/// The same of several lines.
pub fn plain_lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => plain(line) + "\n",
            None => plain(line),
        })
        .collect()
}

/// Whether bytes are text that any terminal may show and any program may read: nothing of it is obeyed but tabs
/// and the ends of lines.
pub fn is_plain(bytes: &[u8]) -> bool {
    let is_plain = |char| is_printable(char) || matches!(char, '\t' | '\n' | '\r');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_plain))
}

/// Bytes on one line: text as it is, the rest (and backslashes) as `\n`, `\t`, `\\`, `\x..`.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text.push_str("\\\\"),
                '\n' | '\r' | '\t' => text.extend(char.escape_default()),
                char if !is_printable(char) => {
                    escape(char.encode_utf8(&mut [0; 4]).as_bytes(), &mut text)
                }
                char => text.push(char),
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

/// The bytes that [`shown`] shows so.
pub fn from_shown(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b'\\' => unescape_one(behind, &mut bytes)?,
            _ => {
                bytes.push(byte);
                behind
            }
        };
    }
    Ok(bytes)
}

/// Reads what is behind a backslash: appends what it means, and returns the rest.
pub fn unescape_one<'a>(rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let (byte, rest) = match rest {
        [b'n', rest @ ..] => (b'\n', rest),
        [b'r', rest @ ..] => (b'\r', rest),
        [b't', rest @ ..] => (b'\t', rest),
        [b'\\', rest @ ..] => (b'\\', rest),
        [b'x', digits @ ..]
            if let Some((digits, rest)) = digits.split_at_checked(2)
                && let Ok(byte) = from_hex(digits) =>
        {
            (byte[0], rest)
        }
        _ => {
            return Err(
                "behind a backslash stands n, r, t, another one, or x and two hexadecimal digits"
                    .to_owned(),
            );
        }
    };
    bytes.push(byte);
    Ok(rest)
}

/// Characters of something that an excerpt shows.
const EXCERPT_CHARS: usize = 120;

/// As much of `text` as a message has room for.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// How keys and values are written on the command line and shown.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Encoding {
    /// Keys and values are given and shown in hexadecimal
    #[arg(short = 'x', long)]
    pub hex: bool,
}

impl Encoding {
    /// The bytes that an argument means.
    pub fn read(self, what: &str, argument: &std::ffi::OsStr) -> Result<Vec<u8>> {
        let bytes = argument.as_bytes();
        if !self.hex {
            return Ok(bytes.to_vec());
        }
        from_hex(bytes).map_err(|why| {
            Failure::new(
                Code::Usage,
                format!("the {what} {:?} is {why}", argument.to_string_lossy()),
            )
            .advise("Two digits 0-9 or a-f for each byte, as in 00ff; or leave --hex out.")
        })
    }

    /// Bytes as they are shown.
    pub fn show(self, bytes: &[u8]) -> String {
        if self.hex {
            to_hex(bytes)
        } else {
            shown(bytes)
        }
    }
}

/// A number of bytes, with its unit.
pub fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// A number, with commas.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// So many of what is called `one`.
pub fn things(number: u64, one: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {one}{end}", count(number))
}

/// A number of bytes out of `64M`, `1GiB` or `4096`: units are powers of 1,024.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let unit = unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("the units are K, M, G and T (powers of 1,024)".to_owned()),
    };
    let number: u64 = digits
        .trim()
        .replace(['_', ','], "")
        .parse()
        .map_err(|_| "a size is a whole number and a unit, as in 512M or 2GiB".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "that is more than any volume can be".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn json_gives_back_the_same_bytes(bytes: Vec<u8>) {
            let line = to_json(&bytes).to_string();
            prop_assert_eq!(serde_json::from_str::<JsonBytes>(&line)?, JsonBytes(bytes));
        }

        #[test]
        fn what_is_shown_can_be_read(bytes: Vec<u8>) {
            let shown = shown(&bytes);
            prop_assert!(!shown.contains(['\t', '\n', '\r']));
            prop_assert_eq!(from_shown(shown.as_bytes()), Ok(bytes));
        }

        #[test]
        fn json_gives_back_the_same_text(text: String) {
            let line = to_json(text.as_bytes()).to_string();
            let bytes = JsonBytes(text.into_bytes());
            prop_assert_eq!(serde_json::from_str::<JsonBytes>(&line)?, bytes);
        }
    }

    #[test]
    fn what_is_shown_has_no_control_characters() {
        assert_eq!(shown(b"a\\b\n\x00\xff\xc3\xa9"), "a\\\\b\\n\\x00\\xffé");
        assert_eq!(
            shown("\u{9b}\u{202e}".as_bytes()),
            "\\xc2\\x9b\\xe2\\x80\\xae"
        );
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("1k", 1024),
            ("64MiB", 64 << 20),
            ("2 G", 2 << 30),
            ("1TB", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "1X", "99999999T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
