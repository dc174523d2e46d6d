//! Patterns of keys, as KEYS and SCAN take them: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before any of them.
//!
//! Invariant: matching takes no more steps than the key has bytes times those of the pattern, whatever they are.

/// Whether all of `key` matches.
pub fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut at, mut in_key) = (0, 0);
    // Where the last star was, and what it has taken of the key.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, in_key));
            at += 1;
            continue;
        }
        let step = match (pattern.get(at..).unwrap_or_default(), key.get(in_key)) {
            ([], None) => return true,
            (rest, Some(&byte)) if !rest.is_empty() => one(rest, byte),
            _ => None,
        };
        match (step, star) {
            (Some(taken), _) => {
                at += taken;
                in_key += 1;
            }
            // The star takes one byte more; the ones before it need not be looked at again.
            (None, Some((behind, took))) if took < key.len() => {
                star = Some((behind, took + 1));
                (at, in_key) = (behind, took + 1);
            }
            _ => return false,
        }
    }
}

/// What every key that matches starts with.
pub fn prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => break,
            b'\\' => prefix.push(*bytes.next().unwrap_or(&b'\\')),
            byte => prefix.push(byte),
        }
    }
    prefix
}

/// How much of `pattern`, which is not empty, `byte` matches.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => {
            let (is_in, taken) = class(rest, byte);
            is_in.then_some(1 + taken)
        }
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// Whether `byte` is in the class that goes on with `rest`, and how long that is.
fn class(rest: &[u8], byte: u8) -> (bool, usize) {
    let is_not = rest.first() == Some(&b'^');
    let mut at = usize::from(is_not);
    let mut is_in = false;
    loop {
        match rest.get(at..).unwrap_or_default() {
            // One that is not closed ends with the pattern.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                is_in |= *escaped == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                let (low, high) = (low.min(high), low.max(high));
                is_in |= (low..=high).contains(&&byte);
                at += 3;
            }
            [plain, ..] => {
                is_in |= *plain == byte;
                at += 1;
            }
        }
    }
    (is_in != is_not, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{matches, prefix};

    #[test]
    fn patterns() {
        for (pattern, yes, no) in [
            ("*", "", ""),
            ("h?llo", "hello", "hllo"),
            ("h*llo", "heeeello", "hell"),
            ("h[ae]llo", "hallo", "hillo"),
            ("h[^e]llo", "hallo", "hello"),
            ("h[a-c]llo", "hbllo", "hdllo"),
            ("h[c-a]llo", "hbllo", "hdllo"),
            (r"h\*llo", "h*llo", "hello"),
            (r"[\]]", "]", "["),
            ("*a*b", "xaybxb", "xayb-"),
            ("a[bc", "ac", "ad"),
        ] {
            assert!(
                matches(pattern.as_bytes(), yes.as_bytes()),
                "{pattern} {yes}"
            );
            assert!(
                no.is_empty() || !matches(pattern.as_bytes(), no.as_bytes()),
                "{pattern} {no}"
            );
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let key = vec![b'a'; 100_000];
        let pattern = [b"a*".repeat(100), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &key));
    }

    proptest! {
        #[test]
        fn what_matches_starts_with_the_prefix(pattern in "[ab*?\\\\\\[\\]^-]{0,8}", key in "[ab*?\\\\\\[\\]]{0,8}") {
            if matches(pattern.as_bytes(), key.as_bytes()) {
                prop_assert!(key.as_bytes().starts_with(&prefix(pattern.as_bytes())));
            }
        }
    }
}
