//! The formats in which datastores go out and come in.
//!
//! Invariant: what a [`Sink`] writes, the [`Source`] of the same format reads as the same entries,
//! whatever bytes keys and values are made of; a [`Source`] never keeps more than one entry in
//! memory, and knows the line it is at.

mod csv;
mod jsonl;
mod lines;
#[cfg(test)]
mod tests;
mod wiredtiger;
mod wiredtiger_config;

use std::io::{BufRead, Write};

use heliumdb::{
    DatastoreInfo,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
};

use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

/// A format of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON Lines: {"key":"...","value":"..."}; bytes that are not UTF-8 as {"base64":"..."}
    Jsonl,
    /// CSV with a header: key,value,base64; the last column says which of the others are in base64
    Csv,
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
    ) -> Result<Box<dyn Source + 'a>> {
        let head = input.fill_buf().map_err(failure::input)?;
        let mark = head.len() - without_mark(head).len();
        input.consume(mark);
        Ok(match self {
            Self::Jsonl => Box::new(jsonl::JsonLines::new(input)),
            Self::Csv => Box::new(csv::Reader::new(input, columns)?),
            Self::Wiredtiger | Self::WiredtigerHex => Box::new(wiredtiger::Reader::new(input)?),
        })
    }

    /// Writes entries in this format. With `several` datastores, items have to say which one they are in.
    pub fn sink<'a>(
        self,
        output: Box<dyn Write + 'a>,
        several: bool,
    ) -> Result<Box<dyn Sink + 'a>> {
        if several && self != Self::Jsonl {
            return Err(Failure::new(
                Code::Usage,
                "this format holds the items of one datastore only",
            )
            .advise("Name one datastore, or use --format jsonl."));
        }
        Ok(match self {
            Self::Jsonl => Box::new(jsonl::Writer::new(output, several)),
            Self::Csv => Box::new(csv::Writer::new(output)),
            Self::Wiredtiger => Box::new(wiredtiger::Writer::new(output, false)),
            Self::WiredtigerHex => Box::new(wiredtiger::Writer::new(output, true)),
        })
    }

    /// The format of a file called `name` that starts with `head`.
    pub fn guess(name: Option<&str>, head: &[u8]) -> Self {
        let ending = name
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, ending)| ending);
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson" | "json") => return Self::Jsonl,
            Some("csv") => return Self::Csv,
            _ => {}
        }
        let head = without_mark(head);
        let text = head.trim_ascii_start();
        if head.starts_with(wiredtiger::MAGIC) {
            Self::Wiredtiger
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
