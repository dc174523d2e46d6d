//! Whether bytes are of a format of WiredTiger's.
//!
//! Other programs write rows too: through the C library, the Rust interface, the command. WiredTiger unpacks
//! what it is given without asking where it ends. Invariant: bytes that pass here are unpacked without a
//! look beyond their end, and nothing of them is left over, but behind texts: WiredTiger itself leaves zeros
//! there where it packs them from JSON.

use crate::recno;
use std::ffi::CStr;

/// A format, ready to be looked for.
#[derive(Debug)]
pub struct Format {
    text: String,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    /// Any bytes.
    Bytes,
    /// One text.
    Text,
    /// Fields, one behind the other, and whether a text is among them.
    Fields {
        fields: Vec<(Field, usize)>,
        has_text: bool,
    },
}

/// One field, which may come several times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// So many bytes.
    Fixed(usize),
    /// Bytes up to a zero, and the zero.
    Text,
    /// A packed integer, which may be negative.
    Int,
    /// A packed integer that may not.
    Uint,
    /// A packed length, and so many bytes.
    Sized,
    /// All that is left.
    Rest,
}

/// What a packed integer's first byte says: how many more there are.
const NEGATIVE_MANY: u8 = 0x10;
const POSITIVE_MANY: u8 = 0xe0;
const MANY_MAX: u8 = 8;

impl Format {
    /// The format that is written so. One that is not known is not looked for: WiredTiger has checked it.
    pub fn parse(format: &str) -> Self {
        Self {
            text: format.to_owned(),
            shape: match format {
                // Record numbers are looked at where they are unpacked.
                "u" | "" | "r" => Shape::Bytes,
                "S" => Shape::Text,
                _ => fields(format).map_or(Shape::Bytes, |fields| Shape::Fields {
                    has_text: fields.iter().any(|(field, _)| *field == Field::Text),
                    fields,
                }),
            },
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `bytes` are of the format.
    #[inline]
    pub fn accepts(&self, bytes: &[u8]) -> bool {
        match &self.shape {
            Shape::Bytes => true,
            Shape::Text => CStr::from_bytes_until_nul(bytes).is_ok(),
            Shape::Fields { fields, has_text } => {
                let mut rest = bytes;
                let are_there = fields
                    .iter()
                    .all(|&(field, times)| (0..times).all(|_| take(field, &mut rest).is_some()));
                are_there && (rest.is_empty() || *has_text)
            }
        }
    }
}

/// The fields of `format`, as WiredTiger reads it.
fn fields(format: &str) -> Option<Vec<(Field, usize)>> {
    let mut rest = format.strip_prefix('.').unwrap_or(format).as_bytes();
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let (number, kind) = rest.split_at(digits);
        let size: Option<usize> = match number {
            [] => None,
            _ => Some(std::str::from_utf8(number).ok()?.parse().ok()?),
        };
        let (&kind, behind) = kind.split_first()?;
        rest = behind;
        let times = size.unwrap_or(1);
        fields.push(match (kind, size) {
            (b'S' | b'u', Some(size)) => (Field::Fixed(size), 1),
            (b's' | b'x', _) => (Field::Fixed(times), 1),
            (b'S', None) => (Field::Text, 1),
            (b'u', None) if rest.is_empty() => (Field::Rest, 1),
            (b'u' | b'U', None) => (Field::Sized, 1),
            (b't', _) => (Field::Fixed(1), 1),
            (b'b' | b'B', _) => (Field::Fixed(1), times),
            (b'h' | b'i' | b'l' | b'q', _) => (Field::Int, times),
            (b'H' | b'I' | b'L' | b'Q' | b'r', _) => (Field::Uint, times),
            (b'R', _) => (Field::Fixed(8), times),
            _ => return None,
        });
    }
    Some(fields)
}

/// Takes a field from the front of `rest`, if there is one.
fn take(field: Field, rest: &mut &[u8]) -> Option<()> {
    let length = match field {
        Field::Fixed(length) => length,
        Field::Text => rest.iter().position(|&byte| byte == 0)? + 1,
        Field::Int => 1 + more(*rest.first()?)?,
        Field::Uint => 1 + more(*rest.first().filter(|&&first| first >= 0x80)?)?,
        Field::Sized => {
            let first = *rest.first().filter(|&&first| first >= 0x80)?;
            let (packed, behind) = rest.split_at_checked(1 + more(first)?)?;
            *rest = behind;
            usize::try_from(recno::unpack(packed)?).ok()?
        }
        Field::Rest => rest.len(),
    };
    *rest = rest.split_at_checked(length)?.1;
    Some(())
}

/// How many bytes come behind the first one of a packed integer.
fn more(first: u8) -> Option<usize> {
    let many = first & 0x0f;
    match first & 0xf0 {
        // Of a negative one, how many it has not.
        NEGATIVE_MANY if many <= MANY_MAX => Some(usize::from(MANY_MAX - many)),
        POSITIVE_MANY if many <= MANY_MAX => Some(many.into()),
        0x20 | 0x30 | 0xc0 | 0xd0 => Some(1),
        0x40..=0xb0 => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(format: &str, bytes: &[u8]) -> bool {
        Format::parse(format).accepts(bytes)
    }

    /// What WiredTiger 3.2.1 packs of numbers at the ends of each length.
    const INTS: &[&[u8]] = &[
        &[0x80],
        &[0xbf],
        &[0xc0, 0],
        &[0xdf, 0xff],
        &[0xe1, 0],
        &[0xe8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xbf],
        &[0x7f],
        &[0x40],
        &[0x3f, 0xff],
        &[0x20, 0],
        &[0x17, 0xdf],
        &[0x10, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ];

    #[test]
    fn integers_are_known_by_their_first_byte() {
        for packed in INTS {
            assert!(accepts("q", packed), "{packed:?}");
            let is_negative = packed[0] < 0x80;
            assert_eq!(accepts("Q", packed), !is_negative, "{packed:?}");
            let (_, cut) = packed.split_last().unwrap();
            assert!(!accepts("q", cut), "cut: {packed:?}");
            assert!(
                !accepts("q", &[packed, &[0][..]].concat()),
                "more: {packed:?}"
            );
        }
        for first in [0, 0x0f, 0x19, 0x1f, 0xe9, 0xef, 0xf0, 0xff] {
            assert!(!accepts("q", &[first; 20]), "{first:#x}");
        }
    }

    #[test]
    fn a_text_ends_with_a_zero() {
        assert!(accepts("S", b"\0") && accepts("S", b"abc\0"));
        assert!(!accepts("S", b"") && !accepts("S", b"abc"));
        assert!(accepts("SS", b"a\0\0"));
        assert!(!accepts("SS", b"a\0") && !accepts("SS", b"a\0b"));
        // As `wt load -j` writes them.
        assert!(accepts("S", b"abc\0\0\0") && accepts("iS", b"\x80abc\0\0\0"));
    }

    #[test]
    fn fields_follow_each_other() {
        assert!(accepts("iSu", b"\x81a\0rest") && accepts("iSu", b"\x81a\0"));
        assert!(accepts("ui", b"\x83abc\x80") && !accepts("ui", b"\x84abc\x80"));
        assert!(!accepts("ui", b"\xe8\xff\xff\xff\xff\xff\xff\xff\xff\x80"));
        assert!(accepts("5s", b"ab\0\0\0") && !accepts("5s", b"ab"));
        assert!(accepts("3ix2B", b"\x80\x81\x82\0ab") && !accepts("3ix2B", b"\x80\x81\x82\0a"));
        assert!(accepts("R", &[7; 8]) && !accepts("R", &[7; 9]));
        assert!(accepts("8t", &[1]) && !accepts("8t", &[]) && !accepts("8t", &[1, 2]));
        assert!(accepts("0iS", b"a\0"));
        // However many there are said to be: bytes run out first.
        assert!(!accepts("4000000000i", &[0x80; 30]));
    }

    #[test]
    fn any_bytes_are_bytes() {
        for format in ["u", "", "?"] {
            assert!(accepts(format, b"") && accepts(format, b"any\xff"));
        }
        assert!(accepts("3u", b"abc") && !accepts("3u", b"ab"));
    }
}
