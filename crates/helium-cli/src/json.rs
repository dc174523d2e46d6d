//! JSON as it is printed: on one line, with escapes for whatever a terminal would obey.

use std::io::{self, Write};

use heliumdb::printable::is_printable;
use serde::Serialize;
use serde_json::{
    Serializer, Value,
    ser::{CompactFormatter, Formatter},
};

/// Writes `value`.
pub fn write(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Printable(CompactFormatter));
    Ok(value.serialize(&mut serializer)?)
}

/// `value` as a line without its end.
pub fn line(value: &Value) -> String {
    let mut line = Vec::new();
    // Neither can memory fail, nor is a value anything that JSON has no words for; and it is text.
    let _ = write(&mut line, value);
    String::from_utf8(line).unwrap_or_default()
}

struct Printable(CompactFormatter);

impl Formatter for Printable {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_string_fragment(out, fragment);
        }
        let mut rest = fragment;
        while let Some((start, char)) = rest.char_indices().find(|(_, char)| !is_printable(*char)) {
            self.0.write_string_fragment(out, &rest[..start])?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[start + char.len_utf8()..];
        }
        self.0.write_string_fragment(out, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let value = json!({"\x1b[2J": "é\u{9b}1A\x7f\u{202e}\"\n"});
        let text = line(&value);
        assert_eq!(
            text, r#"{"\u001b[2J":"é\u009b1A\u007f\u202e\"\n"}"#,
            "the rest is as it is"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
    }
}
