//! What a person sees while something takes longer than a second.
//!
//! Drawn on standard error, and only if that is a terminal; nothing is left behind.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// How often a display without news is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A display that counts to `length` rows.
pub fn rows(what: &'static str, length: u64) -> ProgressBar {
    bar(
        what,
        length,
        "  {msg} {wide_bar} {human_pos}/{human_len} rows, {per_sec}",
    )
}

/// A display that counts to `length` steps.
pub fn steps(what: &'static str, length: u64) -> ProgressBar {
    bar(what, length, "  {spinner} {msg} {pos}/{len}")
}

/// A display of transactions going on, without an end that is known.
pub fn transactions(what: String) -> ProgressBar {
    let bar = bar(
        what,
        0,
        "  {spinner} {msg}: {human_pos} transactions, {per_sec}",
    );
    bar.unset_length();
    bar
}

fn bar(
    what: impl Into<std::borrow::Cow<'static, str>>,
    length: u64,
    template: &str,
) -> ProgressBar {
    // A template that cannot be parsed leaves the default one.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length)
        .with_style(style)
        .with_message(what);
    bar.enable_steady_tick(TICK);
    bar
}
