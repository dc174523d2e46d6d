//! Changes, one a line, as `helium batch` reads them: words, or JSON objects.

use std::io::BufRead;

use super::{bad_line, jsonl, lines::Lines};
use crate::{failure::Result, text, words};

/// A change of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it does.
    pub kind: ChangeKind,
    /// The datastore.
    pub datastore: Vec<u8>,
    /// The item's key.
    pub key: Vec<u8>,
    /// Its new value, if it gets one.
    pub value: Vec<u8>,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Sets the value.
    Put,
    /// Sets the value of a key that is not there.
    Insert,
    /// Sets the value of a key that is there.
    Replace,
    /// Removes the item.
    Remove {
        /// Whether or not it is there.
        force: bool,
    },
}

/// Where changes come from.
pub struct Changes<'a> {
    lines: Lines<Box<dyn BufRead + 'a>>,
}

impl<'a> Changes<'a> {
    /// Reads them from `input`.
    pub fn new(input: impl BufRead + 'a) -> Self {
        Self {
            lines: Lines::new(Box::new(input)),
        }
    }

    /// The line of the last one.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next one; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Change>> {
        loop {
            let Some(line) = self.lines.next()? else {
                return Ok(None);
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            let change = match line.trim_ascii_start().first() {
                None => continue,
                Some(b'{') => jsonl::change(line).map(Some),
                Some(_) => of_words(line),
            };
            let change = change.map_err(|why| bad_line(self.lines.number(), why))?;
            if !self.lines.ended() {
                return Err(bad_line(
                    self.lines.number(),
                    "the line has no end: the input was cut off",
                )
                .advise("If it is whole, end its last line."));
            }
            if let Some(change) = change {
                return Ok(Some(change));
            }
        }
    }
}

const FORMS: &str = "put, insert or replace DATASTORE KEY VALUE, or rm DATASTORE KEY";

fn of_words(line: &[u8]) -> Result<Option<Change>, String> {
    let words = words::split(line)?;
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let change = |kind, datastore: &[u8], key: &[u8], value: &[u8]| {
        Ok(Some(Change {
            kind,
            datastore: datastore.to_vec(),
            key: key.to_vec(),
            value: value.to_vec(),
        }))
    };
    match words.as_slice() {
        [] => Ok(None),
        [b"put", datastore, key, value] => change(ChangeKind::Put, datastore, key, value),
        [b"insert", datastore, key, value] => change(ChangeKind::Insert, datastore, key, value),
        [b"replace", datastore, key, value] => change(ChangeKind::Replace, datastore, key, value),
        [b"rm", b"-f", datastore, key] => {
            change(ChangeKind::Remove { force: true }, datastore, key, b"")
        }
        [b"rm", datastore, key] => change(ChangeKind::Remove { force: false }, datastore, key, b""),
        [b"put" | b"insert" | b"replace" | b"rm", rest @ ..] => Err(format!(
            "has {} behind {:?}: a change is {FORMS}; quotes go around what has blanks in it",
            text::things(rest.len() as u64, "word"),
            text::shown(words[0])
        )),
        [other, ..] => Err(format!(
            "{:?} is no change: that is {FORMS}",
            text::excerpt(&text::shown(other))
        )),
    }
}
