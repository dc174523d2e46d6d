//! Replies on their way out, as bytes of the protocol that the client has asked for.
//!
//! Invariants: where an error goes into a reply no end of a line is in it; and what was cut off a reply with
//! [`Replies::cut`] was never there.

use std::{fmt::Write, ops::Range};

/// The version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What a connection begins with.
    #[default]
    Two,
    /// Has maps, and a null of its own.
    Three,
}

/// Replies of one client, one after the other.
#[derive(Debug, Default)]
pub struct Replies {
    /// As they are sent.
    pub bytes: Vec<u8>,
    /// The protocol from here on.
    pub protocol: Protocol,
    /// Where the replies to writes are, as long as these may still be lost.
    pub writes: Vec<Range<usize>>,
}

impl Replies {
    /// A short word, like OK.
    pub fn simple(&mut self, word: &str) {
        self.line('+', word);
    }

    /// An error; its first word is a code.
    pub fn error(&mut self, why: &str) {
        let plain = why.replace(['\r', '\n'], " ");
        self.line('-', &plain);
    }

    /// A number.
    pub fn integer(&mut self, number: i64) {
        self.bytes.push(b':');
        self.number(number);
    }

    /// A string of any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.bytes.push(b'$');
        self.number(bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A string, or that there is none.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Nothing, in the place of a string.
    pub fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Two => b"$-1\r\n",
            Protocol::Three => b"_\r\n",
        });
    }

    /// Nothing, in the place of an array.
    pub fn null_array(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Two => b"*-1\r\n",
            Protocol::Three => b"_\r\n",
        });
    }

    /// So many replies follow that are one.
    pub fn array(&mut self, length: usize) {
        self.bytes.push(b'*');
        self.number(length as i64);
    }

    /// So many pairs follow.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Two => self.array(2 * pairs),
            Protocol::Three => {
                self.bytes.push(b'%');
                self.number(pairs as i64);
            }
        }
    }

    /// So many different ones follow.
    pub fn set(&mut self, length: usize) {
        match self.protocol {
            Protocol::Two => self.array(length),
            Protocol::Three => {
                self.bytes.push(b'~');
                self.number(length as i64);
            }
        }
    }

    /// Text for a person.
    pub fn text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Two => self.bulk(text.as_bytes()),
            Protocol::Three => {
                self.bytes.push(b'=');
                self.number(text.len() as i64 + 4);
                self.bytes.extend_from_slice(b"txt:");
                self.bytes.extend_from_slice(text.as_bytes());
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Takes back what is behind `length`.
    pub fn cut(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.writes.retain(|write| write.start < length);
    }

    /// The first `count` bytes are on their way: nothing of them can be taken back.
    pub fn sent(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        self.writes.clear();
    }

    /// The writes that were replied to are not certain: in the place of these replies goes `why`.
    pub fn take_back_writes(&mut self, why: &str) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut kept = 0;
        for write in std::mem::take(&mut self.writes) {
            self.bytes.extend_from_slice(&bytes[kept..write.start]);
            self.error(why);
            kept = write.end;
        }
        self.bytes.extend_from_slice(&bytes[kept..]);
    }

    fn line(&mut self, kind: char, text: &str) {
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, number: i64) {
        match u8::try_from(number) {
            Ok(digit @ 0..=9) => self.bytes.push(b'0' + digit),
            _ => {
                let mut text = String::new();
                // Writing to a string does not fail.
                let _ = write!(text, "{number}");
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, Replies};

    #[test]
    fn each_protocol_has_its_own_forms() {
        for (protocol, expected) in [
            (
                Protocol::Two,
                "+OK\r\n:-7\r\n$1\r\na\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n$1\r\nt\r\n",
            ),
            (
                Protocol::Three,
                "+OK\r\n:-7\r\n$1\r\na\r\n_\r\n_\r\n%1\r\n~1\r\n=5\r\ntxt:t\r\n",
            ),
        ] {
            let mut replies = Replies {
                protocol,
                ..Replies::default()
            };
            replies.simple("OK");
            replies.integer(-7);
            replies.bulk(b"a");
            replies.null();
            replies.null_array();
            replies.map(1);
            replies.set(1);
            replies.text("t");
            assert_eq!(String::from_utf8(replies.bytes).unwrap(), expected);
        }
    }

    #[test]
    fn an_error_is_one_line() {
        let mut replies = Replies::default();
        replies.error("ERR a\r\n+OK");
        assert_eq!(replies.bytes, b"-ERR a  +OK\r\n");
    }

    #[test]
    fn writes_are_taken_back_where_they_are() {
        let mut replies = Replies::default();
        for word in ["A", "B", "C", "D"] {
            let start = replies.bytes.len();
            replies.simple(word);
            if matches!(word, "B" | "D") {
                replies.writes.push(start..replies.bytes.len());
            }
        }
        replies.take_back_writes("IOERR no");
        assert_eq!(replies.bytes, b"+A\r\n-IOERR no\r\n+C\r\n-IOERR no\r\n");
    }
}
