//! Requests as they come in: arrays of strings, or lines that a person types.
//!
//! Invariants: what a client only announces is not allocated, and all that it sends is counted against a limit before
//! it is kept. How the bytes were cut on their way makes no difference. After an error nothing more is read.

use bytes::{Buf, Bytes, BytesMut};

use super::inline;
use crate::limits;

/// A command and its arguments; never empty.
pub type Request = Vec<Bytes>;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument.
    pub bulk_bytes: usize,
    /// Most arguments.
    pub arguments: usize,
    /// It has not said who it is.
    pub is_unknown: bool,
}

impl Limits {
    /// Of who may give commands.
    pub const KNOWN: Self = Self {
        bulk_bytes: limits::BULK_BYTES_MAX,
        arguments: limits::ARGUMENTS_MAX,
        is_unknown: false,
    };
    /// Of who has to say first who it is.
    pub const UNKNOWN: Self = Self {
        bulk_bytes: limits::UNKNOWN_BULK_BYTES_MAX,
        arguments: limits::UNKNOWN_ARGUMENTS_MAX,
        is_unknown: true,
    };
}

/// What was sent is not the protocol, or too much: the client is told, and the connection closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

impl ProtocolError {
    fn new(what: impl std::fmt::Display) -> Self {
        Self(format!("Protocol error: {what}"))
    }
}

/// Takes requests out of what has come in.
#[derive(Debug, Default)]
pub struct Requests {
    /// What was read and not understood yet.
    pub buffer: BytesMut,
    /// Bytes of the buffer in which no end of a line is.
    searched: usize,
    /// Arguments that are still to come.
    left: usize,
    /// The length of the argument that comes.
    length: Option<usize>,
    /// Those that are there, and what they count for.
    arguments: Request,
    bytes: usize,
}

impl Requests {
    /// The next request, if all of it has come.
    pub fn next(&mut self, limits: Limits) -> Result<Option<Request>, ProtocolError> {
        loop {
            if self.left > 0 {
                match self.argument(limits)? {
                    true => continue,
                    false => return Ok(None),
                }
            }
            if !self.arguments.is_empty() {
                self.bytes = 0;
                return Ok(Some(std::mem::take(&mut self.arguments)));
            }
            let Some(&first) = self.buffer.first() else {
                return Ok(None);
            };
            let begun = match first {
                b'*' => self.array(limits)?,
                _ => self.inline(limits)?,
            };
            if !begun {
                return Ok(None);
            }
        }
    }

    /// Begins an array; false if its line is not there yet.
    fn array(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        let Some(line) = self.line("too big mbulk count string")? else {
            return Ok(false);
        };
        let count = number(line.get(1..).unwrap_or_default())
            .filter(|&count| count <= limits::ARGUMENTS_MAX as i64)
            .ok_or_else(|| ProtocolError::new("invalid multibulk length"))?;
        // None at all, or fewer: as if nothing had been sent.
        let count = usize::try_from(count).unwrap_or(0);
        if count > limits.arguments {
            let who = ["", "unauthenticated "][usize::from(limits.is_unknown)];
            return Err(ProtocolError::new(format_args!("{who}multibulk length")));
        }
        self.left = count;
        Ok(true)
    }

    /// Takes the next argument of an array; false if not all of it is there yet.
    fn argument(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        let length = match self.length {
            Some(length) => length,
            None => {
                let Some(line) = self.line("too big bulk count string")? else {
                    return Ok(false);
                };
                let Some((b'$', digits)) = line.split_first() else {
                    let got = line.first().copied().unwrap_or(b' ');
                    let got = if (b' '..=b'~').contains(&got) {
                        got as char
                    } else {
                        '?'
                    };
                    return Err(ProtocolError::new(format_args!(
                        "expected '$', got '{got}'"
                    )));
                };
                let length = number(digits).and_then(|length| usize::try_from(length).ok());
                let length = length
                    .filter(|&length| length <= limits::BULK_BYTES_MAX)
                    .ok_or_else(|| ProtocolError::new("invalid bulk length"))?;
                if length > limits.bulk_bytes {
                    return Err(ProtocolError::new("unauthenticated bulk length"));
                }
                self.count(length)?;
                self.length = Some(length);
                length
            }
        };
        if self.buffer.len() < length + 2 {
            return Ok(false);
        }
        let argument = self.buffer.split_to(length).freeze();
        if !self.buffer.starts_with(b"\r\n") {
            return Err(ProtocolError::new("no line end behind a string"));
        }
        self.buffer.advance(2);
        self.arguments.push(argument);
        self.length = None;
        self.left -= 1;
        Ok(true)
    }

    /// A line that a person typed; false if its end is not there yet.
    fn inline(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        let Some(line) = self.line("too big inline request")? else {
            return Ok(false);
        };
        let words = inline::split(&line)
            .ok_or_else(|| ProtocolError::new("unbalanced quotes in request"))?;
        if words.len() > limits.arguments {
            return Err(ProtocolError::new("unauthenticated multibulk length"));
        }
        self.arguments = words;
        Ok(true)
    }

    /// Takes a line out of the buffer, without its end.
    fn line(&mut self, too_long: &str) -> Result<Option<Bytes>, ProtocolError> {
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        let end = unseen.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(self.buffer.len(), |end| self.searched + end);
        if length > limits::LINE_BYTES_MAX {
            return Err(ProtocolError::new(too_long));
        }
        if end.is_none() {
            self.searched = length;
            return Ok(None);
        }
        self.searched = 0;
        let mut line = self.buffer.split_to(length + 1).freeze();
        line.truncate(length);
        if line.ends_with(b"\r") {
            line.truncate(length - 1);
        }
        Ok(Some(line))
    }

    fn count(&mut self, length: usize) -> Result<(), ProtocolError> {
        self.bytes += length + limits::ARGUMENT_BYTES;
        if self.bytes > limits::REQUEST_BYTES_MAX {
            return Err(ProtocolError::new("a request of more than 64 MiB"));
        }
        Ok(())
    }
}

/// A length, as few clients get wrong.
fn number(digits: &[u8]) -> Option<i64> {
    let is_number = match digits {
        [b'-', rest @ ..] | rest => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
    };
    let text = std::str::from_utf8(digits).ok()?;
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{Limits, ProtocolError, Request, Requests};

    /// Takes all requests out of `bytes`, which come in pieces of these lengths, over and over.
    fn take(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Request>, ProtocolError> {
        let mut requests = Requests::default();
        let mut taken = Vec::new();
        let mut rest = bytes;
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
            rest = behind;
            requests.buffer.extend_from_slice(piece);
            while let Some(request) = requests.next(Limits::KNOWN)? {
                assert!(!request.is_empty());
                taken.push(request);
            }
        }
        Ok(taken)
    }

    fn encode(request: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
        for argument in request {
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    fn error(bytes: &[u8], limits: Limits) -> String {
        let mut requests = Requests::default();
        requests.buffer.extend_from_slice(bytes);
        requests.next(limits).unwrap_err().0
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_however_it_is_cut(
            requests in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 0..8),
            pieces in prop::collection::vec(1usize..50, 1..10),
        ) {
            let bytes: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
            prop_assert_eq!(take(&bytes, &pieces).unwrap(), requests);
        }

        #[test]
        fn any_bytes_are_requests_or_an_error_however_they_are_cut(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(), Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'2'), Just(b'"')
            ], 0..400),
            pieces in prop::collection::vec(1usize..30, 1..10),
        ) {
            prop_assert_eq!(take(&bytes, &[usize::MAX]), take(&bytes, &pieces));
        }
    }

    #[test]
    fn lines_are_commands_too_and_empty_ones_are_none() {
        let taken = take(b"\r\nPING\r\n  \n*0\r\n*-1\r\nset k \"a b\\x41\"\n", &[3]).unwrap();
        assert_eq!(
            taken,
            [vec!["PING".as_bytes()], vec![b"set", b"k", b"a bA"]]
        );
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_comes() {
        for (bytes, why) in [
            ("*1048577\r\n", "invalid multibulk length"),
            ("*x\r\n", "invalid multibulk length"),
            ("*1\r\n$16777216\r\n", "invalid bulk length"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n:1\r\n", "expected '$', got ':'"),
            ("set 'a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(
                error(bytes.as_bytes(), Limits::KNOWN),
                format!("Protocol error: {why}")
            );
        }
        for (bytes, why) in [
            ("*11\r\n", "unauthenticated multibulk length"),
            ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
            (
                "a b c d e f g h i j k\r\n",
                "unauthenticated multibulk length",
            ),
        ] {
            assert_eq!(
                error(bytes.as_bytes(), Limits::UNKNOWN),
                format!("Protocol error: {why}")
            );
        }
        for (first, why) in [
            ("", "too big inline request"),
            ("*", "too big mbulk count string"),
            ("*1\r\n$", "too big bulk count string"),
        ] {
            let long = first.to_owned() + &"1".repeat(70_000);
            assert_eq!(
                error(long.as_bytes(), Limits::KNOWN),
                format!("Protocol error: {why}")
            );
        }
    }

    #[test]
    fn what_is_announced_is_not_allocated() {
        let mut requests = Requests::default();
        let announced = format!("*{}\r\n$16777215\r\n", 1 << 20);
        requests.buffer.extend_from_slice(announced.as_bytes());
        assert_eq!(requests.next(Limits::KNOWN), Ok(None));
        assert!(requests.arguments.capacity() < 16 && requests.buffer.capacity() < 1024);
    }

    #[test]
    fn all_of_a_request_counts() {
        let mut requests = Requests::default();
        let one = BytesMut::from(&b"$16777215\r\n"[..]);
        requests.buffer.extend_from_slice(b"*20\r\n");
        let refused = (0..20).find_map(|_| {
            requests.buffer.extend_from_slice(&one);
            requests
                .buffer
                .resize(requests.buffer.len() + 16_777_215, 0);
            requests.buffer.extend_from_slice(b"\r\n");
            requests.next(Limits::KNOWN).err()
        });
        assert!(refused.unwrap().0.contains("more than 64 MiB"));
    }
}
