//! What a person sees while something takes longer than a second.
//!
//! Drawn on standard error, and only if that is a terminal; nothing is left behind.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{borrow::Cow, fmt::Write, time::Duration};

/// How often a display without news is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A display that counts to `length` rows.
pub fn rows(what: &'static str, length: u64) -> ProgressBar {
    let template = "  {msg} {wide_bar} {human_pos}/{human_len} rows, {rate}/s";
    bar(what, Some(length), template)
}

/// A display that counts to `length` tables.
pub fn tables(what: &'static str, length: u64) -> ProgressBar {
    bar(what, Some(length), "  {spinner} {msg}: {pos} of {len}")
}

/// A display of transactions going on, without an end that is known.
pub fn transactions(what: String) -> ProgressBar {
    let template = "  {spinner} {msg}: {human_pos} transactions, {rate}/s";
    bar(what, None, template)
}

/// A display of something that says nothing before it is done.
pub fn waiting(what: &'static str) -> ProgressBar {
    bar(what, None, "  {spinner} {msg}: {elapsed}")
}

fn bar(what: impl Into<Cow<'static, str>>, length: Option<u64>, template: &str) -> ProgressBar {
    let rate = |state: &ProgressState, text: &mut dyn Write| {
        // A display that cannot be written is not worth an error.
        let _ = write!(text, "{}", HumanCount(state.per_sec() as u64));
    };
    // A template that cannot be parsed leaves the default one.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate);
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_message(what);
    bar.enable_steady_tick(TICK);
    bar
}
