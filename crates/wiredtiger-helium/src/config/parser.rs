//! WiredTiger's configuration grammar: `key=value` pairs, quotes, nested brackets,
//! booleans and numbers with units.
//!
//! Invariant: parsing only borrows from the text and never recurses, so that no text,
//! however deep, costs memory or stack.

use crate::error::{Error, Result};

/// What a piece of configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes (left out of the item's text).
    String,
    /// `true` or `false`.
    Bool,
    /// A word.
    Word,
    /// A number, perhaps with a unit.
    Number,
    /// A nested configuration, its brackets included.
    Struct,
}

/// A key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its text.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind,
}

impl<'a> Item<'a> {
    fn word(text: &'a str) -> Self {
        let kind = match text {
            "true" | "false" => Kind::Bool,
            _ if number(text).is_some() => Kind::Number,
            _ => Kind::Word,
        };
        Self { text, kind }
    }

    /// The boolean that it stands for.
    pub fn as_bool(&self) -> Option<bool> {
        match (self.kind, self.text) {
            (Kind::Bool, "true" | "") | (Kind::Number, "1") => Some(true),
            (Kind::Bool, "false") | (Kind::Number, "0") => Some(false),
            _ => None,
        }
    }

    /// The number that it stands for, its unit applied.
    pub fn as_number(&self) -> Option<u64> {
        (self.kind == Kind::Number)
            .then(|| number(self.text))
            .flatten()
    }

    /// As it stands in a configuration: with its quotes.
    pub fn to_config(self) -> String {
        match self.kind {
            Kind::String => format!("\"{}\"", self.text),
            _ => self.text.to_owned(),
        }
    }
}

/// The value of a key without one. To WiredTiger it is true, and it is the empty string.
const NO_VALUE: Item<'static> = Item {
    text: "",
    kind: Kind::Bool,
};

/// A number with any of WiredTiger's units, `10`, `10K`, `10MB`; none if it is too big.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value: u64 = text[..digits].parse().ok()?;
    let mut shift = 0;
    for unit in text[digits..].bytes() {
        shift += match unit.to_ascii_lowercase() {
            b'b' => 0,
            b'k' => 10,
            b'm' => 20,
            b'g' => 30,
            b't' => 40,
            b'p' => 50,
            _ => return None,
        };
    }
    if shift >= 64 {
        return None;
    }
    value.checked_mul(1 << shift)
}

/// The pairs of a configuration, in order.
pub struct Pairs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs of `text`, which may be in one pair of brackets.
    pub fn new(text: &'a str) -> Self {
        let trimmed = text.trim();
        let inner = ['(', '[', '{']
            .iter()
            .zip([')', ']', '}'])
            .find_map(|(&open, close)| trimmed.strip_prefix(open)?.strip_suffix(close));
        Self {
            text: inner.unwrap_or(trimmed),
            at: 0,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    fn item(&mut self) -> Result<Item<'a>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'(' | b'[' | b'{') => self.nested(),
            _ => {
                let start = self.at;
                self.skip(|c| {
                    !c.is_ascii_whitespace()
                        && !matches!(
                            c,
                            b',' | b'=' | b':' | b'"' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
                        )
                });
                if self.at == start {
                    return Err(self.complaint(start, "a word was expected"));
                }
                Ok(Item::word(&self.text[start..self.at]))
            }
        }
    }

    fn quoted(&mut self) -> Result<Item<'a>> {
        let start = self.at + 1;
        let end = self
            .end_of_quotes(self.at)
            .ok_or_else(|| self.complaint(self.at, "quotes are not closed"))?;
        self.at = end + 1;
        Ok(Item {
            text: &self.text[start..end],
            kind: Kind::String,
        })
    }

    /// Where the quotes that open at `start` close. A backslash shields what follows it.
    fn end_of_quotes(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        loop {
            match bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    fn nested(&mut self) -> Result<Item<'a>> {
        let start = self.at;
        let mut depth = 0usize;
        while let Some(c) = self.peek() {
            match c {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                b'"' => {
                    self.at = self
                        .end_of_quotes(self.at)
                        .ok_or_else(|| self.complaint(self.at, "quotes are not closed"))?;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(Item {
                    text: &self.text[start..self.at],
                    kind: Kind::Struct,
                });
            }
        }
        Err(self.complaint(start, "brackets are not closed"))
    }

    fn complaint(&self, at: usize, what: &str) -> Error {
        let rest: String = self.text[at..].chars().take(40).collect();
        Error::invalid(format!("configuration: {what} at '{rest}'"))
    }

    fn pair(&mut self) -> Result<(Item<'a>, Item<'a>)> {
        let key = self.item()?;
        self.skip(|c| c.is_ascii_whitespace());
        if !matches!(self.peek(), Some(b'=' | b':')) {
            return Ok((key, NO_VALUE));
        }
        self.at += 1;
        self.skip(|c| c.is_ascii_whitespace());
        let value = match self.peek() {
            None | Some(b',') => NO_VALUE,
            _ => self.item()?,
        };
        Ok((key, value))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(Item<'a>, Item<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(|c| c == b',' || c.is_ascii_whitespace());
        self.peek()?;
        let pair = self.pair();
        if pair.is_err() {
            self.at = self.text.len();
        }
        Some(pair)
    }
}
