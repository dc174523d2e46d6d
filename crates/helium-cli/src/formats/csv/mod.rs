//! CSV with a header line, as spreadsheets write it.
//!
//! Columns are found by their names. In a column called `base64` each line may say which of its
//! other fields are in base64: nothing, `key`, `value` or `key value`.

mod records;

use std::io::{self, BufRead, Write};

use ::csv::ErrorKind;

use super::{Columns, Delimiter, Entry, Head, Sink, Source, bad_line};
use crate::{
    failure::{self, Result},
    text,
};
use records::Records;

const ENCODED: &str = "base64";

pub(super) struct Reader<R> {
    records: Records<R>,
    fields: usize,
    key: usize,
    value: usize,
    encoded: Option<usize>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R, columns: &Columns, delimiter: Delimiter) -> Result<Self> {
        let mut records = Records::new(input, delimiter.or_comma());
        if !records.header()? {
            return Err(bad_line(1, "the input is empty, and has no header")
                .advise("The first line of CSV names the columns: key,value"));
        }
        let header: Vec<&[u8]> = records.fields().collect();
        let find = |name: &str| header.iter().position(|field| *field == name.as_bytes());
        let needed = |name: &str, option: &str| {
            find(name).ok_or_else(|| {
                let fields: Vec<_> = header.iter().map(|field| text::shown(field)).collect();
                bad_line(
                    records.line(),
                    format_args!(
                        "the header has no column {name:?}: it reads {}",
                        text::excerpt(&fields.join(","))
                    ),
                )
                .advise(format!(
                    "Say which column it is with {option}, and what stands between columns with --delimiter."
                ))
            })
        };
        Ok(Self {
            key: needed(&columns.key_column, "--key-column")?,
            value: needed(&columns.value_column, "--value-column")?,
            encoded: find(ENCODED),
            fields: header.len(),
            records,
        })
    }

    fn check_fields(&self) -> Result<()> {
        let (fields, expected) = (self.records.len(), self.fields);
        if fields == expected {
            return Ok(());
        }
        Err(bad_line(
            self.records.line(),
            format_args!(
                "has {}, and the header has {expected}",
                text::things(fields as u64, "field")
            ),
        )
        .advise("A field with a comma, a quote or a line break in it stands in double quotes."))
    }

    fn entry(&self) -> Result<Entry, String> {
        let field = |number: usize| self.records.field(number);
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
                        text::excerpt(&text::shown(encoded))
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
        if !self.records.next()? {
            return Ok(None);
        }
        self.check_fields()?;
        self.entry()
            .map(Some)
            .map_err(|why| bad_line(self.records.line(), why))
    }

    fn line(&self) -> u64 {
        self.records.line()
    }
}

pub(super) struct Writer<W: Write> {
    output: ::csv::Writer<W>,
    started: bool,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W, delimiter: Delimiter) -> Self {
        let mut builder = ::csv::WriterBuilder::new();
        builder.delimiter(delimiter.or_comma());
        Self {
            output: builder.from_writer(output),
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
        let is_text = text::is_plain;
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
