//! The formats in which datastores go out and come in.
//!
//! Invariant: what a [`Sink`] writes, the [`Source`] of the same format reads as the same entries,
//! whatever bytes keys and values are made of; a [`Source`] never keeps more than one entry in
//! memory, and knows the line it is at.

pub mod changes;
mod csv;
#[cfg(test)]
mod endless;
mod json_array;
mod jsonl;
pub mod lines;
mod mdb;
#[cfg(test)]
mod tests;
pub mod tsv;
mod wiredtiger;
mod wiredtiger_config;

use std::{
    io::{BufRead, Write},
    path::Path,
};

use heliumdb::{
    DatastoreInfo,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
};

use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

pub use changes::{Change, ChangeKind};

/// A format of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON Lines: {"key":"...","value":"..."}; bytes that are not UTF-8 as {"base64":"..."}
    Jsonl,
    /// An array of what JSON Lines has a line each of
    Json,
    /// CSV with a header: key,value,base64; the last column says which of the others are in base64
    Csv,
    /// What scan prints: key, tab, value, with \n, \t, \\ and \x00 for what is no plain text
    Tsv,
    /// What `mdb_dump` of LMDB and `db_dump` of Berkeley DB write
    Mdb,
    /// What `wt dump` writes
    Wiredtiger,
    /// What `wt dump -x` writes
    WiredtigerHex,
}

/// What a dump is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A datastore, which the items behind it are in unless they name another one.
    Datastore(Head),
    /// An item.
    Item {
        /// The datastore it names, if it names one.
        datastore: Option<Vec<u8>>,
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
}

/// What a datastore is, apart from its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: Vec<u8>,
    /// Its owner's attributes.
    pub attributes: Vec<u8>,
    /// Whether it was made to compress values.
    pub compress: bool,
    /// Whether it was made to keep no order.
    pub unordered: bool,
}

impl From<DatastoreInfo> for Head {
    fn from(info: DatastoreInfo) -> Self {
        Self {
            name: info.name,
            attributes: info.attributes,
            compress: info.compress,
            unordered: info.unordered,
        }
    }
}

impl Entry {
    /// Fails if it is an item that no datastore takes.
    pub fn check(&self) -> Result<(), String> {
        let Self::Item { key, value, .. } = self else {
            return Ok(());
        };
        let parts = [
            ("key", key.len(), KEY_BYTES_MAX),
            ("value", value.len(), VALUE_BYTES_MAX),
        ];
        for (what, bytes, most) in parts {
            if bytes > most {
                let (bytes, most) = (text::count(bytes as u64), text::count(most as u64));
                return Err(format!("the {what} has {bytes} bytes; {most} are the most"));
            }
        }
        Ok(())
    }
}

/// Where entries come from.
pub trait Source {
    /// The next one; `None` at the end.
    fn next(&mut self) -> Result<Option<Entry>>;
    /// The line where the last one started, from 1.
    fn line(&self) -> u64;
}

/// Where entries go.
pub trait Sink {
    /// From here on items are in this one. The first call is for the first datastore.
    fn datastore(&mut self, head: &Head) -> Result<()>;
    /// An item.
    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    /// Nothing comes any more.
    fn finish(&mut self) -> Result<()>;
}

impl Format {
    /// Reads entries of this format.
    pub fn source<'a>(
        self,
        mut input: Box<dyn BufRead + 'a>,
        columns: &Columns,
        shape: Shape,
    ) -> Result<Box<dyn Source + 'a>> {
        self.check_shape(shape)?;
        let head = input.fill_buf().map_err(failure::input)?;
        let mark = head.len() - without_mark(head).len();
        input.consume(mark);
        Ok(match self {
            Self::Jsonl => Box::new(jsonl::JsonLines::new(input)),
            Self::Json => Box::new(json_array::Reader::new(input)),
            Self::Csv => Box::new(csv::Reader::new(input, columns, shape.delimiter)?),
            Self::Tsv => Box::new(tsv::Reader::new(input, shape.delimiter.or_tab(), shape.hex)),
            Self::Mdb => Box::new(mdb::Reader::new(input)),
            Self::Wiredtiger | Self::WiredtigerHex => Box::new(wiredtiger::Reader::new(input)?),
        })
    }

    /// Writes entries in this format. With `several` datastores, items have to say which one they are in.
    pub fn sink<'a>(
        self,
        output: Box<dyn Write + 'a>,
        several: bool,
        delimiter: Delimiter,
    ) -> Result<Box<dyn Sink + 'a>> {
        self.check_shape(Shape {
            delimiter,
            hex: false,
        })?;
        if several && !self.takes_several() {
            return Err(Failure::new(
                Code::Usage,
                "this format holds the items of one datastore only",
            )
            .advise("Name one datastore, or use --format jsonl."));
        }
        Ok(match self {
            Self::Jsonl => Box::new(jsonl::Writer::new(output, several, false)),
            Self::Json => Box::new(jsonl::Writer::new(output, several, true)),
            Self::Csv => Box::new(csv::Writer::new(output, delimiter)),
            Self::Tsv => Box::new(tsv::Writer::new(output, delimiter.or_tab())),
            Self::Mdb => Box::new(mdb::Writer::new(output)),
            Self::Wiredtiger => Box::new(wiredtiger::Writer::new(output, false)),
            Self::WiredtigerHex => Box::new(wiredtiger::Writer::new(output, true)),
        })
    }

    /// Whether it says of several datastores which items are in which.
    pub fn takes_several(self) -> bool {
        matches!(self, Self::Jsonl | Self::Json | Self::Mdb)
    }

    /// Fails if something was said of it that means nothing to it.
    fn check_shape(self, shape: Shape) -> Result<()> {
        let means_nothing = |what: &str, formats: &str| {
            let what = format!("{what} means nothing to this format");
            Err(Failure::new(Code::Usage, what).advise(format!("It goes with --format {formats}.")))
        };
        if shape.delimiter.byte.is_some() && !matches!(self, Self::Csv | Self::Tsv) {
            return means_nothing("--delimiter", "csv and --format tsv");
        }
        if shape.hex && self != Self::Tsv {
            return means_nothing("--hex", "tsv");
        }
        Ok(())
    }

    /// The format of a file called `name` that starts with `head`.
    pub fn guess(name: Option<&Path>, head: &[u8]) -> Self {
        let head = without_mark(head);
        let text = head.trim_ascii_start();
        let ending = name.and_then(|name| name.extension()?.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson" | "json") if !text.starts_with(b"[") => return Self::Jsonl,
            Some("csv") => return Self::Csv,
            Some("tsv") => return Self::Tsv,
            _ => {}
        }
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // A header of CSV has commas between its names.
        let first = line.iter().find(|byte| matches!(byte, b'\t' | b',' | b'"'));
        if head.starts_with(wiredtiger::MAGIC) {
            Self::Wiredtiger
        } else if head.starts_with(mdb::MAGIC) {
            Self::Mdb
        } else if text.starts_with(b"[") {
            Self::Json
        } else if !text.starts_with(b"{") && first == Some(&b'\t') {
            Self::Tsv
        } else if text.starts_with(b"{") || text.is_empty() {
            Self::Jsonl
        } else {
            Self::Csv
        }
    }
}

/// What a file starts with, without the byte order mark that some programs put in front.
fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

/// What stands between the fields of CSV and of what scan prints.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Delimiter {
    /// What stands between fields: one character, or "tab"
    #[arg(long = "delimiter", value_name = "CHARACTER", value_parser = parse_delimiter)]
    byte: Option<u8>,
}

impl Delimiter {
    /// A tab if nothing was said.
    pub fn or_tab(self) -> u8 {
        self.byte.unwrap_or(b'\t')
    }

    /// A comma if nothing was said.
    fn or_comma(self) -> u8 {
        self.byte.unwrap_or(b',')
    }
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && !matches!(byte, b'"' | b'\\') => Ok(*byte),
        [byte @ (b' ' | b'\t')] => Ok(*byte),
        _ => Err("it is a blank, a tab, or a mark such as ; or |, but no quote, backslash, letter or digit".to_owned()),
    }
}

/// How fields are written, where a format leaves a choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// What stands between them.
    pub delimiter: Delimiter,
    /// They are in hexadecimal.
    pub hex: bool,
}

/// Which columns of a CSV file are meant.
#[derive(Clone, Debug, clap::Args)]
pub struct Columns {
    /// Which column of a CSV file has the keys
    #[arg(long, default_value = "key", value_name = "NAME")]
    pub key_column: String,
    /// Which column of a CSV file has the values
    #[arg(long, default_value = "value", value_name = "NAME")]
    pub value_column: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            key_column: "key".to_owned(),
            value_column: "value".to_owned(),
        }
    }
}

/// What is wrong with a line of the input.
pub fn bad_line(line: u64, why: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BadInput, format!("line {line}: {why}"))
}
