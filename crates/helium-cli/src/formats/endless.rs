//! Input that does not end is refused in every format, and at every place in it, before it is in memory.

use std::io::{self, BufReader};

use super::{Columns, Format, Shape, Source, lines::LINE_BYTES_MAX};
use crate::failure::Code;

/// Input that goes on for ever: text, and then one byte again and again.
struct Endless<'a> {
    text: &'a [u8],
    then: u8,
    /// How many more bytes may be asked for.
    left: usize,
}

impl io::Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.text.is_empty() {
            return self.text.read(buffer);
        }
        let count = buffer.len().min(self.left);
        assert!(count > 0, "it reads on and on");
        self.left -= count;
        buffer[..count].fill(self.then);
        Ok(count)
    }
}

/// A line, a record or an element is refused with its line when it is longer than an item can be: no more of it is read.
#[test]
fn what_does_not_end_is_refused_while_it_is_read() {
    let wt = "WiredTiger Dump\nFormat=print\nHeader\ntable:t\nkey_format=u\nData\n";
    let mdb = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n";
    for (format, text, then, line) in [
        (Format::Jsonl, "", b'{', 1),
        (
            Format::Jsonl,
            "{\"key\":\"k\",\"value\":\"v\"}\n{\"key\":\"",
            b'k',
            2,
        ),
        (Format::Json, "[\n{\"key\":\"", b'k', 2),
        (
            Format::Json,
            "[{\"key\":\"k\",\"value\":\"v\"},\n\n{",
            b' ',
            3,
        ),
        (Format::Json, "[\n{\"key\":", b'[', 2),
        (Format::Csv, "key,value\nk,v\nk", b'k', 3),
        (Format::Csv, "key,value\n\"", b'\n', 2),
        (Format::Tsv, "k\tv\nk", b'k', 2),
        (Format::Tsv, "k\t", b'\\', 1),
        (Format::Mdb, "VERSION=", b'3', 1),
        (Format::Mdb, "VERSION=3\ndatabase=", b'd', 2),
        (Format::Mdb, &format!("{mdb} "), b'0', 5),
        (Format::Mdb, &format!("{mdb} 00\n "), b'0', 6),
        (Format::Wiredtiger, "WiredTiger Dump", b' ', 1),
        (
            Format::Wiredtiger,
            "WiredTiger Dump\nFormat=hex\nHeader\n",
            b't',
            4,
        ),
        (Format::Wiredtiger, wt, b'k', 7),
        (Format::Wiredtiger, &format!("{wt}k\n"), b'v', 8),
    ] {
        let most = LINE_BYTES_MAX + (1 << 20);
        let endless = Endless {
            text: text.as_bytes(),
            then,
            left: most,
        };
        let input = BufReader::with_capacity(64 << 10, endless);
        let source = format.source(Box::new(input), &Columns::default(), Shape::default());
        let read_all = |mut source: Box<dyn Source + '_>| loop {
            match source.next() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(why) => return Some(why),
            }
        };
        let why = source.map_or_else(Some, read_all).expect("it has no end");
        assert_eq!(why.code(), Code::BadInput);
        let sentence = format!("line {line}: is longer than any item can be");
        assert!(why.to_string().starts_with(&sentence), "{text:?}: {why}");
    }
}
