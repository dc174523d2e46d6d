//! Text that may be shown.
//!
//! Invariant: what is written by [`write()`] moves no cursor, sets no colour, starts no line and reorders nothing on
//! a terminal, whatever names and paths it was made of.

use std::fmt;

/// Whether a terminal shows `char` in its place, and does nothing else on its account. Not control characters, nor
/// those that change the direction of text, nor the ends of lines and paragraphs that Unicode has besides.
pub fn is_printable(char: char) -> bool {
    !char.is_control()
        && !matches!(
            char,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Writes `text`, with escapes such as `\n` and `\u{1b}` for what is not printable.
pub fn write(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for run in text.split_inclusive(|char| !is_printable(char)) {
        let last = run.chars().next_back().filter(|char| !is_printable(*char));
        out.write_str(&run[..run.len() - last.map_or(0, char::len_utf8)])?;
        if let Some(char) = last {
            write!(out, "{}", char.escape_default())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, shown) in [
            ("", ""),
            ("a 'b' é \u{1F600}\\", "a 'b' é \u{1F600}\\"),
            ("\x1b[2J", "\\u{1b}[2J"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("\u{9b}1A\x7f", "\\u{9b}1A\\u{7f}"),
            ("x\u{202e}fdp.exe", "x\\u{202e}fdp.exe"),
            ("\u{2067}\u{2028}", "\\u{2067}\\u{2028}"),
        ] {
            let mut out = String::new();
            assert_eq!(write(&mut out, text), Ok(()));
            assert_eq!(out, shown);
        }
    }
}
