//! Words of a line that a person types: between spaces, or in quotes with escapes.

use bytes::Bytes;

/// The words of `line`; none if a quote is not closed, or something follows it at once.
pub fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, behind) = word(rest)?;
        words.push(Bytes::from(word));
        rest = behind.trim_ascii_start();
    }
    Some(words)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Some((word, rest)),
            [b'"', behind @ ..] => {
                rest = quoted(behind, b'"', &mut word)?;
                return at_end(rest).then_some((word, rest));
            }
            [b'\'', behind @ ..] => {
                rest = quoted(behind, b'\'', &mut word)?;
                return at_end(rest).then_some((word, rest));
            }
            [space, ..] if space.is_ascii_whitespace() || *space == 0 => {
                return Some((word, &rest[1..]));
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
        }
    }
}

fn at_end(rest: &[u8]) -> bool {
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// Reads up to the closing `quote`; what is behind it.
fn quoted<'a>(mut rest: &'a [u8], quote: u8, word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [byte, behind @ ..] if *byte == quote => return Some(behind),
            [b'\\', b'\'', behind @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest = behind;
            }
            [b'\\', b'x', high, low, behind @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = behind;
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
        }
    }
}

fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_and_escapes() {
        let words = |line: &str| split(line.as_bytes());
        assert_eq!(words(r#" a  "b c" 'd\'e' "#).unwrap(), ["a", "b c", "d'e"]);
        assert_eq!(words(r#""\x41\n\"\\" x"y""#).unwrap(), ["A\n\"\\", "xy"]);
        assert_eq!(words("").unwrap(), [] as [&str; 0]);
        assert!(words("\"a").is_none() && words("'a'b").is_none() && words("\"a\"b").is_none());
    }
}
