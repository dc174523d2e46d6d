//! Replies of a server, cut out of what comes; and requests.
//!
//! Invariant: memory is taken as bytes come, and not as they are announced; no reply is longer, deeper or of more parts than
//! a server sends.

use std::io::{self, BufRead, Read};

use heliumdb::{Error, ErrorKind, Result};

/// The longest line: a sentence.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The longest reply: a server's, and its last item.
const REPLY_BYTES_MAX: usize = 96 << 20;
/// What each part counts for beside its bytes.
const PART_BYTES: usize = 32;
const DEPTH_MAX: usize = 4;
/// The longest request that a server takes, what each word counts for beside its bytes, and the most words.
const REQUEST_BYTES_MAX: usize = 64 << 20;
const WORD_BYTES: usize = 32;
const WORDS_MAX: usize = 1 << 20;

/// A reply, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Null,
}

impl Reply {
    /// Reads the next one.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut left = REPLY_BYTES_MAX;
        read(from, &mut left, 0)
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn read(from: &mut impl BufRead, left: &mut usize, depth: usize) -> io::Result<Reply> {
    let line = line(from)?;
    take(left, line.len() + PART_BYTES)?;
    let (kind, text) = line
        .split_at_checked(1)
        .ok_or_else(|| bad("it has sent an empty line"))?;
    let count = || match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(count) => usize::try_from(count)
            .map(Some)
            .map_err(|_| bad("it has sent a length below none")),
        Err(_) => Err(bad("it has sent a length that is no number")),
    };
    Ok(match kind {
        "+" => Reply::Simple(text.to_owned()),
        "-" => Reply::Error(text.to_owned()),
        ":" => Reply::Integer(
            text.parse()
                .map_err(|_| bad("it has sent a number that is none"))?,
        ),
        "$" => match count()? {
            None => Reply::Null,
            Some(len) => {
                take(left, len)?;
                Reply::Bulk(bulk(from, len)?)
            }
        },
        "*" => match count()? {
            None => Reply::Null,
            Some(_) if depth == DEPTH_MAX => {
                return Err(bad("it has sent lists in lists in lists"));
            }
            Some(count) => {
                if count > *left / PART_BYTES {
                    return Err(bad("it has sent a list that is too long"));
                }
                let mut parts = Vec::new();
                for _ in 0..count {
                    parts.push(read(from, left, depth + 1)?);
                }
                Reply::Array(parts)
            }
        },
        _ => return Err(bad("it does not speak the protocol")),
    })
}

fn take(left: &mut usize, bytes: usize) -> io::Result<()> {
    *left = left
        .checked_sub(bytes)
        .ok_or_else(|| bad("it has sent a reply that is too long"))?;
    Ok(())
}

/// A line without its end.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        None if line.len() as u64 == LINE_BYTES_MAX => {
            Err(bad("it has sent a line that is too long"))
        }
        None if line.ends_with(b"\n") => Err(bad("it does not speak the protocol")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn bulk(from: &mut impl BufRead, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut end = [0; 2];
    from.read_exact(&mut end)?;
    match &end {
        b"\r\n" => Ok(bytes),
        _ => Err(bad("it has sent more than it said")),
    }
}

/// Fails for what a server refuses with the connection, and then nobody knows what became of it.
pub(crate) fn check_size(words: &[&[u8]]) -> Result<()> {
    let bytes = words.iter().map(|word| word.len() + WORD_BYTES);
    if words.len() <= WORDS_MAX && bytes.sum::<usize>() <= REQUEST_BYTES_MAX {
        return Ok(());
    }
    let why = format!(
        "one request to a server has {WORDS_MAX} keys and values at most, and {REQUEST_BYTES_MAX} bytes, where each counts for {WORD_BYTES} more: this has to go in several"
    );
    Err(Error::new(ErrorKind::InvalidArgument, why))
}

/// Adds a request to what is sent.
pub(crate) fn request(bytes: &mut Vec<u8>, words: &[&[u8]]) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> io::Result<Reply> {
        Reply::read(&mut &*bytes)
    }

    #[test]
    fn replies_of_all_kinds() {
        let all = b"*6\r\n+OK\r\n-ERR no\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n";
        let parts = vec![
            Reply::Simple("OK".into()),
            Reply::Error("ERR no".into()),
            Reply::Integer(-5),
            Reply::Bulk(b"a\r\n".to_vec()),
            Reply::Null,
            Reply::Null,
        ];
        assert_eq!(of(all).unwrap(), Reply::Array(parts));
        // Wherever it ends, it is an end and nothing else.
        for end in 0..all.len() {
            let why = of(&all[..end]).unwrap_err();
            assert_eq!(why.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        let long = [&b"+"[..], &vec![b'x'; LINE_BYTES_MAX as usize]].concat();
        let all: [&[u8]; 11] = [
            b"\r\n",
            b"+OK\n",
            b"?\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"$x\r\n",
            b"*-7\r\n",
            b"$99999999999\r\n",
            b"*9999999999\r\n",
            &deep,
            &long,
        ];
        for bytes in all
            .into_iter()
            .chain([&b"$1\r\nabc\r\n"[..], b"HTTP/1.1 400 Bad Request\r\n"])
        {
            let why = of(bytes).unwrap_err();
            assert_eq!(
                why.kind(),
                io::ErrorKind::InvalidData,
                "{:?}",
                &bytes[..bytes.len().min(30)]
            );
        }
    }
}
