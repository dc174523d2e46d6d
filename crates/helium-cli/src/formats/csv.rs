//! CSV with a header line, as spreadsheets write it.
//!
//! Columns are found by their names. In a column called `base64` each line may say which of its
//! other fields are in base64: nothing, `key`, `value` or `key value`.
//!
//! Invariant: a file that was cut off inside of quotes is not taken for a whole one.

use std::io::{self, BufRead, Read, Write};

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::{Columns, Entry, Head, Sink, Source, bad_line};
use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

const ENCODED: &str = "base64";

/// What is read behind the end of the input: a record, unless a quote is still open there.
const BEHIND: &[u8] = b"\nend\n";

/// Input with [`BEHIND`] behind it.
struct Ended<R> {
    input: R,
    /// Bytes of the input that were read.
    read: u64,
    behind: &'static [u8],
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.behind.len() == BEHIND.len() {
            let count = self.input.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.read += count as u64;
                return Ok(count);
            }
        }
        self.behind.read(buffer)
    }
}

pub(super) struct Reader<R> {
    input: ::csv::Reader<Ended<R>>,
    record: ByteRecord,
    fields: usize,
    key: usize,
    value: usize,
    encoded: Option<usize>,
    line: u64,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R, columns: &Columns) -> Result<Self> {
        let input = Ended {
            input,
            read: 0,
            behind: BEHIND,
        };
        let mut input = ReaderBuilder::new().flexible(true).from_reader(input);
        let header = input.byte_headers().map_err(explain)?.clone();
        let find = |name: &str| header.iter().position(|field| field == name.as_bytes());
        let needed = |name: &str, option: &str| {
            find(name).ok_or_else(|| {
                let fields: Vec<_> = header.iter().map(text::shown).collect();
                bad_line(
                    1,
                    format_args!(
                        "the header has no column {name:?}: it reads {}",
                        fields.join(",")
                    ),
                )
                .advise(format!("Say which column it is with {option}."))
            })
        };
        Ok(Self {
            key: needed(&columns.key_column, "--key-column")?,
            value: needed(&columns.value_column, "--value-column")?,
            encoded: find(ENCODED),
            fields: header.len(),
            input,
            record: ByteRecord::new(),
            line: 1,
        })
    }

    /// Reads a record; false at the end.
    fn record(&mut self) -> Result<bool> {
        let found = self.input.read_byte_record(&mut self.record);
        let start = self.record.position().cloned();
        let (true, Some(start)) = (found.map_err(explain)?, start) else {
            return Ok(false);
        };
        self.line = start.line();
        let end = self.input.get_ref().read + BEHIND.len() as u64;
        if self.input.position().byte() >= end {
            // All that is left is what was put behind the end; or it is inside of quotes.
            if self.record.len() == 1 && self.record.get(0) == Some(BEHIND.trim_ascii()) {
                return Ok(false);
            }
            return Err(bad_line(
                self.line,
                "a double quote is opened, and the input ends before it is closed",
            )
            .advise(
                "The file was cut off, or the quote is too much: inside of quotes it is doubled.",
            ));
        }
        let (fields, expected) = (self.record.len(), self.fields);
        if fields != expected {
            return Err(bad_line(
                self.line,
                format_args!(
                    "has {}, and the header has {expected}",
                    text::things(fields as u64, "field")
                ),
            )
            .advise(
                "A field with a comma, a quote or a line break in it stands in double quotes.",
            ));
        }
        Ok(true)
    }

    fn entry(&self) -> Result<Entry, String> {
        let field = |number: usize| self.record.get(number).unwrap_or_default();
        let mut key = field(self.key).to_vec();
        let mut value = field(self.value).to_vec();
        let encoded = self.encoded.map(field).unwrap_or_default();
        for name in encoded
            .split(|byte| *byte == b' ')
            .filter(|name| !name.is_empty())
        {
            let field = match name {
                b"key" => &mut key,
                b"value" => &mut value,
                _ => {
                    return Err(format!(
                        "the column base64 reads {:?}; it names key, value or both",
                        text::shown(encoded)
                    ));
                }
            };
            *field = text::from_base64(field)
                .map_err(|why| format!("the {} is {why}", text::shown(name)))?;
        }
        Ok(Entry::Item {
            datastore: None,
            key,
            value,
        })
    }
}

impl<R: BufRead> Source for Reader<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        if !self.record()? {
            return Ok(None);
        }
        self.entry()
            .map(Some)
            .map_err(|why| bad_line(self.line, why))
    }

    fn line(&self) -> u64 {
        self.line
    }
}

fn explain(why: ::csv::Error) -> Failure {
    match why.into_kind() {
        ErrorKind::Io(why) => failure::system("cannot read", why),
        other => Failure::new(Code::BadInput, format!("not CSV: {other:?}")),
    }
}

pub(super) struct Writer<W: Write> {
    output: ::csv::Writer<W>,
    started: bool,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output: ::csv::Writer::from_writer(output),
            started: false,
        }
    }

    fn record(&mut self, fields: [&[u8]; 3]) -> Result<()> {
        self.output.write_record(fields).map_err(|why| {
            let why = match why.into_kind() {
                ErrorKind::Io(why) => why,
                other => io::Error::other(format!("{other:?}")),
            };
            failure::output(why)
        })
    }
}

impl<W: Write> Sink for Writer<W> {
    fn datastore(&mut self, _: &Head) -> Result<()> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        self.record([b"key", b"value", ENCODED.as_bytes()])
    }

    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        let encoded = |bytes: &[u8]| text::to_base64(bytes).into_bytes();
        match (is_text(key), is_text(value)) {
            (true, true) => self.record([key, value, b""]),
            (false, true) => self.record([&encoded(key), value, b"key"]),
            (true, false) => self.record([key, &encoded(value), b"value"]),
            (false, false) => self.record([&encoded(key), &encoded(value), b"key value"]),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush().map_err(failure::output)
    }
}
