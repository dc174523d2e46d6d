//! A JSON array of what JSON Lines has a line each of, however it is spread over lines.
//!
//! Invariant: one element is in memory at a time, and none that is longer than an item can be.

use std::io::BufRead;

use super::{Entry, Source, bad_line, jsonl, lines::LINE_BYTES_MAX};
use crate::failure::{self, Result};

pub(super) struct Reader<R> {
    input: R,
    /// The element, as it stands there.
    element: Vec<u8>,
    /// The line that is being read, and the one where the element started.
    at: u64,
    line: u64,
    place: Place,
}

/// Where in the input it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// Behind the bracket that opens the array.
    First,
    /// Behind an element.
    Element,
    /// Behind the bracket that closes it.
    Behind,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            element: Vec::new(),
            at: 1,
            line: 1,
            place: Place::Before,
        }
    }

    /// The next byte that is no blank, which stays where it is; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let bytes = self.input.fill_buf().map_err(failure::input)?;
            let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace());
            let blanks = blanks.count();
            let lines = bytes[..blanks].iter().filter(|byte| **byte == b'\n');
            self.at += lines.count() as u64;
            let (found, is_end) = (bytes.get(blanks).copied(), bytes.is_empty());
            self.input.consume(blanks);
            if found.is_some() || is_end {
                return Ok(found);
            }
        }
    }

    /// Goes to the next element; false behind the last.
    fn seek(&mut self) -> Result<bool> {
        loop {
            let found = self.peek()?;
            match (self.place, found) {
                (Place::Before, Some(b'[')) => self.place = Place::First,
                (Place::Before, _) => return Err(self.bad("an array starts with [")),
                (Place::First | Place::Element, Some(b']')) => self.place = Place::Behind,
                (Place::First, Some(b'{')) => return Ok(true),
                (Place::Element, Some(b',')) => {
                    self.input.consume(1);
                    return match self.peek()? {
                        Some(b'{') => Ok(true),
                        None => Err(self.cut()),
                        Some(_) => Err(self.bad("behind a comma stands an object")),
                    };
                }
                (Place::Behind, None) => return Ok(false),
                (Place::Behind, Some(_)) => return Err(self.bad("something is behind the array")),
                (_, None) => return Err(self.cut()),
                (Place::First, Some(_)) => return Err(self.bad("an array has objects in it")),
                (Place::Element, Some(_)) => {
                    return Err(self.bad("behind an object stands a comma or the end of the array"));
                }
            }
            self.input.consume(1);
        }
    }

    /// Takes all of the object that comes next.
    fn take(&mut self) -> Result<()> {
        self.element.clear();
        self.line = self.at;
        let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
        loop {
            let bytes = self.input.fill_buf().map_err(failure::input)?;
            if bytes.is_empty() {
                return Err(self.cut());
            }
            let mut taken = 0;
            let mut is_over = false;
            for byte in bytes {
                taken += 1;
                match byte {
                    b'\n' => self.at += 1,
                    _ if is_escaped => {}
                    b'\\' => {
                        is_escaped = is_string;
                        continue;
                    }
                    b'"' => is_string = !is_string,
                    b'{' | b'[' if !is_string => depth += 1,
                    b'}' | b']' if !is_string => depth = depth.saturating_sub(1),
                    _ => {}
                }
                is_escaped = false;
                if depth == 0 {
                    is_over = true;
                    break;
                }
            }
            self.element.extend_from_slice(&bytes[..taken]);
            self.input.consume(taken);
            if self.element.len() > LINE_BYTES_MAX {
                return Err(bad_line(self.line, "is longer than any item can be"));
            }
            if is_over {
                return Ok(());
            }
        }
    }

    fn cut(&self) -> failure::Failure {
        self.bad("the array is not closed: the file was cut off")
    }

    fn bad(&self, why: &str) -> failure::Failure {
        bad_line(self.at, why)
    }
}

impl<R: BufRead> Source for Reader<R> {
    fn next(&mut self) -> Result<Option<Entry>> {
        if self.place == Place::Behind || !self.seek()? {
            return Ok(None);
        }
        self.take()?;
        self.place = Place::Element;
        let entry = jsonl::entry(&self.element);
        entry.map(Some).map_err(|why| bad_line(self.line, why))
    }

    fn line(&self) -> u64 {
        self.line
    }
}
