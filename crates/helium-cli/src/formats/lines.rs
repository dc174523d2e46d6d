//! Input line by line, counted.
//!
//! Invariants: a line that could not hold an item is refused before it is in memory; and a line whose end was
//! cut off is known by that.

use std::io::{BufRead, Read};

use heliumdb::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

use super::bad_line;
use crate::{failure, failure::Result};

/// Longest line: a key and a value of which every byte is written with six.
pub(super) const LINE_BYTES_MAX: usize = 6 * (KEY_BYTES_MAX + VALUE_BYTES_MAX) + 1024;

/// See the module.
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// Of this input.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            ended: true,
        }
    }

    /// The number of the last line, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The last line, without its end.
    pub fn last(&self) -> &[u8] {
        &self.line
    }

    /// Whether the last line had an end.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The next line without its end; `None` if there is none.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        self.number += 1;
        let mut limited = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        limited.read_until(b'\n', &mut self.line).map_err(|why| {
            failure::system(format_args!("line {}: cannot read", self.number), why)
        })?;
        self.ended = self.line.last() == Some(&b'\n');
        if self.ended {
            self.line.pop();
        } else if self.line.len() > LINE_BYTES_MAX {
            return Err(bad_line(self.number, "is longer than any item can be"));
        } else if self.line.is_empty() {
            self.number -= 1;
            return Ok(None);
        }
        Ok(Some(&self.line))
    }
}
