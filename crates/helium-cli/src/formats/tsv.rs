//! What `helium scan` prints: a line per item, key and value with a tab between, and escapes for what would end either.
//!
//! Invariant: what [`field`] made of what [`text::shown`] showed has neither the delimiter nor the end of a line in it.

use std::io::{BufRead, Write};

use super::{Entry, Head, Sink, Source, bad_line, lines::Lines};
use crate::{
    failure::{self, Result},
    text,
};

/// Shown bytes as a field between delimiters.
pub fn field(shown: &str, delimiter: u8) -> String {
    let char = char::from(delimiter);
    match char {
        // Is shown with an escape.
        '\t' => shown.to_owned(),
        _ => shown.replace(char, &format!("\\x{delimiter:02x}")),
    }
}

pub(super) struct Reader<R> {
    lines: Lines<R>,
    delimiter: u8,
    hex: bool,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R, delimiter: u8, hex: bool) -> Self {
        Self {
            lines: Lines::new(input),
            delimiter,
            hex,
        }
    }

    fn entry(&self) -> Result<Entry, String> {
        let line = self.lines.last();
        // Ours has escapes for those of an item: this one came with the line's end.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut fields = line.split(|byte| *byte == self.delimiter);
        let (Some(key), Some(value), None) = (fields.next(), fields.next(), fields.next()) else {
            let fields = line.split(|byte| *byte == self.delimiter).count() as u64;
            let delimiter = text::shown(&[self.delimiter]);
            return Err(format!(
                "has {}: a line is a key and a value with one {delimiter:?} between",
                text::things(fields, "field")
            ));
        };
        let read = |what: &str, field: &[u8]| {
            let bytes = match self.hex {
                true => text::from_hex(field),
                false => text::from_shown(field),
            };
            bytes.map_err(|why| format!("the {what}: {why}"))
        };
        Ok(Entry::Item {
            datastore: None,
            key: read("key", key)?,
            value: read("value", value)?,
        })
    }
}

impl<R: BufRead> Source for Reader<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        if self.lines.next()?.is_none() {
            return Ok(None);
        }
        let number = self.lines.number();
        if !self.lines.ended() {
            let why = "the line has no end: the file was cut off";
            return Err(bad_line(number, why).advise("If it is whole, end its last line."));
        }
        let entry = self.entry().map_err(|why| {
            bad_line(number, why).advise(
                "A table with a header, from another program, is --format csv --delimiter tab.",
            )
        })?;
        Ok(Some(entry))
    }

    fn line(&self) -> u64 {
        self.lines.number()
    }
}

pub(super) struct Writer<W> {
    output: W,
    delimiter: u8,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W, delimiter: u8) -> Self {
        Self { output, delimiter }
    }
}

impl<W: Write> Sink for Writer<W> {
    fn datastore(&mut self, _: &Head) -> Result<()> {
        Ok(())
    }

    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let field = |bytes| field(&text::shown(bytes), self.delimiter);
        let line = format!(
            "{}{}{}\n",
            field(key),
            char::from(self.delimiter),
            field(value)
        );
        self.output
            .write_all(line.as_bytes())
            .map_err(failure::output)
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush().map_err(failure::output)
    }
}
