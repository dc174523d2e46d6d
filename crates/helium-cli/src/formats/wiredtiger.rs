//! What WiredTiger's own `wt dump` writes and `wt load` reads, printable or hexadecimal.
//!
//! A head (version, format, then pairs of a URI and its configuration), the line `Data`, and one
//! line each for key and value: as raw bytes, but record numbers as decimal digits.
//!
//! Invariants: a table's formats come back. The datastore keeps them in the attributes that the
//! data source gives its own, and record numbers in WiredTiger's packing, as it does. A line counts only
//! with its end: a value that was cut off looks like a shorter one.

use std::io::{BufRead, Write};

use wiredtiger_abi::recno;

use super::{Entry, Head, Sink, Source, bad_line, lines::Lines, wiredtiger_config::Formats};
use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

/// How every dump starts.
pub(super) const MAGIC: &[u8] = b"WiredTiger Dump";
/// The release whose format this is.
const VERSION: &str = "WiredTiger Dump (WiredTiger Version 3.2.1)";
/// Names that WiredTiger keeps to itself start like this, and are no tables to `wt load`; so they get this in front.
const RESERVED: &[u8] = b"WiredTiger";
const UNRESERVED: &[u8] = b"helium_";
/// Lines that a head may have: many more than `wt` writes.
const HEAD_LINES_MAX: usize = 10_000;

pub(super) struct Reader<R> {
    lines: Lines<R>,
    /// Lines end in a carriage return, too: it went through a program that writes them so.
    returns: bool,
    hex: bool,
    table: Table,
    /// What is said of the table, until it was handed out.
    head: Option<Head>,
    line: u64,
}

/// What a head has said of its table so far.
#[derive(Default)]
struct Table {
    name: Option<Vec<u8>>,
    formats: Option<Formats>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Result<Self> {
        let mut reader = Self {
            lines: Lines::new(input),
            returns: false,
            hex: false,
            table: Table::default(),
            head: None,
            line: 1,
        };
        reader.read_head()?;
        reader.head = reader.table.head();
        Ok(reader)
    }

    fn read_head(&mut self) -> Result<()> {
        let magic = self.head_line()?;
        if !magic.starts_with(MAGIC) {
            return Err(bad_line(1, "does not start with WiredTiger Dump"));
        }
        self.returns = magic.ends_with(b"\r");
        self.hex = match self.head_line()?.as_slice() {
            b"Format=print" => false,
            b"Format=hex" => true,
            other => {
                return Err(self.bad(format_args!(
                    "{:?} is no format; Format=print and Format=hex are",
                    text::excerpt(&text::shown(other))
                )));
            }
        };
        if self.head_line()? != b"Header" {
            return Err(self.bad("should read Header"));
        }
        for _ in 0..HEAD_LINES_MAX {
            let line = self.head_line()?;
            if line == b"Data" {
                return Ok(());
            }
            self.head_entry(&line)?;
        }
        Err(self.bad("the head does not end"))
    }

    /// Takes a URI and its configuration: those of the table are the first, and those of its parts,
    /// which have formats of their own, follow.
    fn head_entry(&mut self, line: &[u8]) -> Result<()> {
        let config = self.head_line()?;
        let uri = |kind: &[u8]| line.strip_prefix(kind).map(<[u8]>::to_vec);
        if let Some(name) = uri(b"table:").or(uri(b"file:")).or(uri(b"lsm:"))
            && self.table.name.is_none()
        {
            // `wt` writes names as they are; ours may have to be escaped.
            self.table.name = Some(unescape(&name).unwrap_or(name));
            let config = std::str::from_utf8(&config).map_err(|why| self.bad(why))?;
            self.table.formats = Some(Formats::of_config(config));
        }
        Ok(())
    }

    /// The next line, without its end.
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let returns = self.returns;
        let found = self.lines.next()?.is_some();
        if found && !self.lines.ended() {
            return Err(self
                .bad("the line has no end: the dump was cut off")
                .advise("If it is whole, end its last line."));
        }
        let line = self.lines.last();
        let shorter = line.strip_suffix(b"\r").filter(|_| returns);
        Ok(found.then_some(shorter.unwrap_or(line)))
    }

    fn head_line(&mut self) -> Result<Vec<u8>> {
        match self.next_line()? {
            Some(line) => Ok(line.to_vec()),
            None => Err(bad_line(
                self.lines.number() + 1,
                "the input ends within the head, before Data",
            )),
        }
    }

    fn bad(&self, why: impl std::fmt::Display) -> failure::Failure {
        bad_line(self.lines.number(), why)
    }

    fn key(&mut self) -> Result<Option<Vec<u8>>> {
        let formats = self.table.formats.as_ref();
        if !formats.is_some_and(Formats::has_record_numbers) {
            return self.field();
        }
        let Some(line) = self.next_line()? else {
            return Ok(None);
        };
        let digits = std::str::from_utf8(line).unwrap_or_default();
        let Ok(number) = digits.parse() else {
            let line = text::shown(line);
            let line = text::excerpt(&line);
            return Err(self.bad(format_args!("{line:?} is no record number")));
        };
        let mut key = Vec::new();
        recno::pack(number, &mut key);
        Ok(Some(key))
    }

    fn field(&mut self) -> Result<Option<Vec<u8>>> {
        let hex = self.hex;
        let Some(line) = self.next_line()? else {
            return Ok(None);
        };
        let field = if hex {
            text::from_hex(line)
        } else {
            unescape(line)
        };
        field.map(Some).map_err(|why| self.bad(why))
    }
}

impl<R: BufRead> Source for Reader<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(head) = self.head.take() {
            return Ok(Some(Entry::Datastore(head)));
        }
        let Some(key) = self.key()? else {
            return Ok(None);
        };
        self.line = self.lines.number();
        let Some(value) = self.field()? else {
            return Err(self.bad("the input ends with a key that has no value"));
        };
        Ok(Some(Entry::Item {
            datastore: None,
            key,
            value,
        }))
    }

    fn line(&self) -> u64 {
        self.line
    }
}

impl Table {
    fn head(&mut self) -> Option<Head> {
        let formats = self.formats.as_ref();
        Some(Head {
            name: self.name.take()?,
            attributes: formats.map(Formats::to_attributes).unwrap_or_default(),
            ..Head::default()
        })
    }
}

pub(super) struct Writer<W> {
    output: W,
    hex: bool,
    formats: Formats,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W, hex: bool) -> Self {
        Self {
            output,
            hex,
            formats: Formats::default(),
            line: Vec::new(),
        }
    }

    fn field(&mut self, bytes: &[u8]) -> Result<()> {
        self.line.clear();
        if self.hex {
            self.line.extend_from_slice(text::to_hex(bytes).as_bytes());
        } else {
            escape(bytes, &mut self.line);
        }
        self.line.push(b'\n');
        self.output.write_all(&self.line).map_err(failure::output)
    }
}

impl<W: Write> Sink for Writer<W> {
    fn datastore(&mut self, head: &Head) -> Result<()> {
        let mut table = Vec::new();
        if head.name.starts_with(RESERVED) {
            table.extend_from_slice(UNRESERVED);
        }
        // A URI is one line of text.
        escape(&head.name, &mut table);
        self.formats = Formats::of_attributes(&head.attributes);
        let format = if self.hex { "hex" } else { "print" };
        let head = format!(
            "{VERSION}\nFormat={format}\nHeader\ntable:{}\n{}\nData\n",
            String::from_utf8_lossy(&table),
            self.formats.to_config()
        );
        self.output
            .write_all(head.as_bytes())
            .map_err(failure::output)
    }

    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if !self.formats.has_record_numbers() {
            self.field(key)?;
        } else if let Some(number) = recno::unpack(key) {
            writeln!(self.output, "{number}").map_err(failure::output)?;
        } else {
            let key = text::shown(key);
            return Err(Failure::new(
                Code::Failed,
                format!("the keys should be record numbers, and {key} is none"),
            )
            .advise("Another format takes any keys: --format jsonl."));
        }
        self.field(value)
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush().map_err(failure::output)
    }
}

/// Printable ASCII as it is, a backslash twice, the rest as a backslash and two digits.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' '..=b'~' => out.push(byte),
            _ => {
                out.push(b'\\');
                out.extend_from_slice(text::to_hex(&[byte]).as_bytes());
            }
        }
    }
}

pub(super) fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        if let Some(behind) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = behind;
            continue;
        }
        let escaped = rest.split_at_checked(2).and_then(|(digits, behind)| {
            let byte = text::from_hex(digits).ok()?;
            Some((byte, behind))
        });
        let Some((byte, behind)) = escaped else {
            return Err(
                "a backslash is followed by neither another one nor two hexadecimal digits"
                    .to_owned(),
            );
        };
        bytes.extend_from_slice(&byte);
        rest = behind;
    }
    Ok(bytes)
}
