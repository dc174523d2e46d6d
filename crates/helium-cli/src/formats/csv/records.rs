//! Records of CSV, one at a time.
//!
//! Invariants: a record counts only when its end was read, so that one that was cut off is never taken for a
//! whole one; and no record, nor the header, takes more memory than an item can need.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::super::{bad_line, lines::LINE_BYTES_MAX};
use crate::{
    failure::{self, Result},
    text,
};

/// Longest header, and most columns that it names.
const HEADER_BYTES_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 4096;
/// Memory that a record starts with.
const RECORD_BYTES: usize = 1024;

pub(super) struct Records<R> {
    input: R,
    parser: Reader,
    /// The fields of the record, one behind the other, and then what is free.
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Where each field ends.
    ends: Vec<usize>,
    len: usize,
    line: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            bytes: vec![0; RECORD_BYTES],
            bytes_max: LINE_BYTES_MAX,
            ends: vec![0; FIELDS_MAX],
            len: 0,
            line: 1,
        }
    }

    /// Reads the header; false if the input is empty.
    pub(super) fn header(&mut self) -> Result<bool> {
        self.bytes_max = HEADER_BYTES_MAX;
        let found = self.next();
        self.bytes_max = LINE_BYTES_MAX;
        found
    }

    /// The line where the record starts, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many fields the record has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A field of the record; empty if it has not so many.
    pub(super) fn field(&self, number: usize) -> &[u8] {
        let ends = &self.ends[..self.len];
        let Some(&end) = ends.get(number) else {
            return &[];
        };
        let start = number.checked_sub(1).map_or(0, |before| ends[before]);
        &self.bytes[start..end]
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len).map(|number| self.field(number))
    }

    /// Reads a record; false at the end.
    pub(super) fn next(&mut self) -> Result<bool> {
        self.skip_line_ends()?;
        self.line = self.parser.line();
        let (mut used, mut len) = (0, 0);
        loop {
            let input = self.input.fill_buf().map_err(failure::input)?;
            let at_end = input.is_empty();
            // Behind the end of the input comes the end of a line: it ends the record that was cut off, if one
            // was, and inside of quotes it belongs to it.
            let given: &[u8] = if at_end { b"\n" } else { input };
            let (result, read, written, ended) =
                self.parser
                    .read_record(given, &mut self.bytes[used..], &mut self.ends[len..]);
            if !at_end {
                self.input.consume(read);
            }
            (used, len) = (used + written, len + ended);
            match result {
                ReadRecordResult::Record if at_end => {
                    return Err(self.cut("the last line has no end"));
                }
                ReadRecordResult::Record => {
                    self.len = len;
                    return Ok(true);
                }
                ReadRecordResult::InputEmpty if at_end && used > 0 => {
                    return Err(self
                        .cut("a double quote is opened, and the input ends before it is closed"));
                }
                ReadRecordResult::InputEmpty if at_end => return Ok(false),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.grow()?,
                ReadRecordResult::OutputEndsFull => {
                    let most = text::count(FIELDS_MAX as u64);
                    return Err(self.bad(format_args!("has more than {most} fields")));
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// So that the record that follows starts at the line that is said of it.
    fn skip_line_ends(&mut self) -> Result<()> {
        loop {
            let input = self.input.fill_buf().map_err(failure::input)?;
            let ends = input
                .iter()
                .take_while(|byte| matches!(byte, b'\n' | b'\r'));
            let (count, all) = (ends.count(), input.len());
            let lines = input[..count].iter().filter(|byte| **byte == b'\n').count();
            self.parser.set_line(self.parser.line() + lines as u64);
            self.input.consume(count);
            if count < all || all == 0 {
                return Ok(());
            }
        }
    }

    fn grow(&mut self) -> Result<()> {
        let have = self.bytes.len();
        if have >= self.bytes_max {
            return Err(match self.bytes_max {
                HEADER_BYTES_MAX => self.bad("is longer than any header can be"),
                _ => self.bad("is longer than any item can be"),
            });
        }
        self.bytes.resize((2 * have).min(self.bytes_max), 0);
        Ok(())
    }

    fn cut(&self, why: &str) -> failure::Failure {
        self.bad(format_args!("{why}: the file was cut off"))
            .advise("If it is whole, end its last line; and inside of quotes a quote is doubled.")
    }

    fn bad(&self, why: impl std::fmt::Display) -> failure::Failure {
        bad_line(self.line, why)
    }
}
