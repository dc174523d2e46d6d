//! What `mdb_dump` writes of LMDB and `db_dump` of Berkeley DB, and `mdb_load` and `db_load` read.
//!
//! A head of lines `name=value` that ends with `HEADER=END`, a line each for key and value with a blank in front, in
//! hexadecimal or as text with escapes, and `DATA=END`. Several databases follow each other.
//!
//! Invariant: of a database that has several values for a key nothing is loaded, as one of them would win in silence.

use std::io::{BufRead, Write};

use super::{Entry, Head, Sink, Source, bad_line, lines::Lines, wiredtiger::unescape};
use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

/// How every dump starts.
pub(super) const MAGIC: &[u8] = b"VERSION=";
/// Lines that a head may have: many more than there are.
const HEAD_LINES_MAX: usize = 1000;

pub(super) struct Reader<R> {
    lines: Lines<R>,
    /// Keys and values are text with escapes.
    print: bool,
    is_in_data: bool,
    /// A database had a name.
    is_named: bool,
    line: u64,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            print: false,
            is_in_data: false,
            is_named: false,
            line: 1,
        }
    }

    /// The next line without its end, with carriage return or without.
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let found = self.lines.next()?.is_some();
        let line = self.lines.last();
        Ok(found.then(|| line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// Reads a head to its end; `None` if there is no other database. The head has a name if it says one.
    fn head(&mut self) -> Result<Option<Head>> {
        let mut head = Head::default();
        self.print = false;
        for number in 0..HEAD_LINES_MAX {
            let Some(line) = self.next_line()?.map(<[u8]>::to_vec) else {
                return match number {
                    0 => Ok(None),
                    _ => Err(self.bad("the input ends within the head, before HEADER=END")),
                };
            };
            if number == 0 && !line.starts_with(MAGIC) {
                return Err(self.bad("a database starts with VERSION="));
            }
            if line == b"HEADER=END" {
                self.is_in_data = true;
                return Ok(Some(head));
            }
            self.head_line(&line, &mut head)?;
        }
        Err(self.bad("the head does not end"))
    }

    fn head_line(&mut self, line: &[u8], head: &mut Head) -> Result<()> {
        let at = line.iter().position(|byte| *byte == b'=');
        let Some((name, value)) = at.map(|at| (&line[..at], &line[at + 1..])) else {
            return Err(self.bad("should read name=value, or HEADER=END"));
        };
        match (name, value) {
            (b"VERSION", b"2" | b"3") => {}
            (b"VERSION", _) => return Err(self.bad("the versions are 2 and 3")),
            (b"format", b"bytevalue") => self.print = false,
            (b"format", b"print") => self.print = true,
            (b"format", _) => return Err(self.bad("the formats are bytevalue and print")),
            (b"database" | b"subdatabase", name) => {
                head.name = unescape(name).unwrap_or_else(|_| name.to_vec());
            }
            (b"type", b"btree" | b"hash") => {}
            (b"type", _) => {
                return Err(self.bad("of types btree and hash are read: others have no keys"));
            }
            (b"duplicates" | b"dupsort", b"1") => {
                return Err(
                    self.bad("the database has several values for a key, and a datastore has one")
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn field(&mut self) -> Result<Option<Vec<u8>>> {
        let print = self.print;
        let field = match self.next_line()? {
            None => return Err(self.bad("the input ends before DATA=END: the dump was cut off")),
            Some(b"DATA=END") => return Ok(None),
            Some(line) => match (line.strip_prefix(b" "), print) {
                (None, _) => Err("should start with a blank, or read DATA=END".to_owned()),
                (Some(text), true) => unescape(text),
                (Some(text), false) => text::from_hex(text),
            },
        };
        field.map(Some).map_err(|why| self.bad(&why))
    }

    fn bad(&self, why: &str) -> Failure {
        bad_line(self.lines.number().max(1), why)
    }
}

impl<R: BufRead> Source for Reader<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            while !self.is_in_data {
                let Some(head) = self.head()? else {
                    return Ok(None);
                };
                self.line = self.lines.number();
                if head.name.is_empty() && self.is_named {
                    return Err(self.bad("the database has no name, and one before it has"));
                }
                if !head.name.is_empty() {
                    self.is_named = true;
                    return Ok(Some(Entry::Datastore(head)));
                }
            }
            let Some(key) = self.field()? else {
                self.is_in_data = false;
                continue;
            };
            self.line = self.lines.number();
            let Some(value) = self.field()? else {
                return Err(self.bad("a key has no value"));
            };
            return Ok(Some(Entry::Item {
                datastore: None,
                key,
                value,
            }));
        }
    }

    fn line(&self) -> u64 {
        self.line
    }
}

pub(super) struct Writer<W> {
    output: W,
    is_open: bool,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            is_open: false,
        }
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.output
            .write_all(text.as_bytes())
            .map_err(failure::output)
    }

    fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.is_open, false) {
            true => self.write("DATA=END\n"),
            false => Ok(()),
        }
    }
}

impl<W: Write> Sink for Writer<W> {
    fn datastore(&mut self, head: &Head) -> Result<()> {
        self.close()?;
        let name = std::str::from_utf8(&head.name).ok();
        let name = name.filter(|name| {
            name.chars()
                .all(|char| heliumdb::printable::is_printable(char) && char != '\\')
        });
        let Some(name) = name else {
            let what = format!(
                "this format cannot write the name {}",
                text::shown(&head.name)
            );
            return Err(Failure::new(Code::Failed, what).advise("Another one can: --format jsonl."));
        };
        self.is_open = true;
        self.write(&format!(
            "VERSION=3\nformat=bytevalue\ndatabase={name}\ntype=btree\nHEADER=END\n"
        ))
    }

    fn item(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(&format!(
            " {}\n {}\n",
            text::to_hex(key),
            text::to_hex(value)
        ))
    }

    fn finish(&mut self) -> Result<()> {
        self.close()?;
        self.output.flush().map_err(failure::output)
    }
}
