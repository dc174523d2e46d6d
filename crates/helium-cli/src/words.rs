//! A line of words, as people type them: with blanks between, and quotes around those that have blanks in them.
//!
//! Outside of quotes and inside of double ones a backslash is what [`text::from_shown`] reads: `\n`, `\t`, `\\`, `\xff`
//! and so on; in front of a quote, a blank or a `#` it takes the meaning from that. Inside of single quotes nothing
//! has a meaning. `#` at the start of a word begins a remark.
//!
//! Invariants: what [`quoted`] makes of bytes is one word, and means these bytes; and words take not many times the
//! memory that their line takes, as there are not many.

use crate::text;

/// Most words of a line: more than anyone types, and than a change or a command needs.
pub const WORDS_MAX: usize = 10_000;

/// The words of a line.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        if words.len() > WORDS_MAX {
            let most = text::count(WORDS_MAX as u64);
            return Err(format!("has more words than {most}"));
        }
        rest = behind;
        match (byte, quote) {
            (b'\'', Some(b'\'')) | (b'"', Some(b'"')) => quote = None,
            (_, Some(b'\'')) => word.get_or_insert_default().push(byte),
            (b'\\', _) => {
                let word = word.get_or_insert_default();
                match rest.split_first() {
                    Some((&literal @ (b'"' | b'\'' | b' ' | b'#'), behind)) => {
                        word.push(literal);
                        rest = behind;
                    }
                    _ => rest = text::unescape_one(rest, word)?,
                }
            }
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b' ' | b'\t', None) => words.extend(word.take()),
            (b'#', None) if word.is_none() => break,
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if quote.is_some() {
        return Err("a quote is opened and not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Bytes as a word of a line.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = text::shown(bytes);
    let is_plain = |char: char| char.is_alphanumeric() || "_-./:=@+%,\\".contains(char);
    match !shown.is_empty() && shown.chars().all(is_plain) {
        true => shown,
        false => format!("\"{}\"", shown.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_quoted_is_one_word(words: Vec<Vec<u8>>) {
            let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            prop_assert_eq!(split(line.join(" ").as_bytes()), Ok(words));
        }
    }

    #[test]
    fn blanks_quotes_and_remarks() {
        let words = |line: &str| {
            let words = split(line.as_bytes());
            words.map(|words| {
                words
                    .into_iter()
                    .map(|w| String::from_utf8(w).unwrap_or_default())
                    .collect::<Vec<_>>()
            })
        };
        for (line, expected) in [
            ("", &[][..]),
            ("  put  d\tk v ", &["put", "d", "k", "v"]),
            ("put d 'a b' \"c \\\" d\"", &["put", "d", "a b", "c \" d"]),
            ("rm d k # gone", &["rm", "d", "k"]),
            ("rm d k#2 \\#3", &["rm", "d", "k#2", "#3"]),
            ("a\"\"b '' \"\"", &["ab", "", ""]),
            ("a\\ b \\x41\\n", &["a b", "A\n"]),
            ("'a\\n'", &["a\\n"]),
        ] {
            assert_eq!(
                words(line),
                Ok(expected.iter().map(|w| (*w).to_owned()).collect()),
                "{line}"
            );
        }
        for line in ["'a", "\"a\\\"", "\\", "\\q", "\\x4"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
