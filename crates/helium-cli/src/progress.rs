//! What a person sees of anything that takes longer than a second.
//!
//! Invariant: nothing is ever drawn unless standard error is a terminal, nor in the first second,
//! and nothing is left behind.

use std::{
    fmt::Write,
    io::{IsTerminal, stderr},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{
    HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

/// What takes less is not worth a display.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a display without news is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A display of something going on.
pub struct Progress {
    bar: ProgressBar,
    /// Dropping it tells the thread that shows the display not to.
    done: Option<mpsc::Sender<()>>,
    shower: Option<JoinHandle<()>>,
}

impl Progress {
    /// Of items, `total` of them.
    pub fn items(what: &str, total: u64) -> Self {
        let template = "{msg} {wide_bar} {human_pos} of {human_len}, {rate}/s, {left} left";
        Self::new(what, Some(total), template)
    }

    /// Of bytes, `total` of them; the message says what else there is to say.
    pub fn bytes(what: &str, total: u64) -> Self {
        let template = "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {left} left";
        Self::new(what, Some(total), template)
    }

    /// Of items, nobody knows how many.
    pub fn endless(what: &str) -> Self {
        Self::new(
            what,
            None,
            "{spinner} {msg}: {human_pos}, {rate}/s, {elapsed}",
        )
    }

    /// Of something that says nothing before it is done.
    pub fn waiting(what: &str) -> Self {
        Self::new(what, None, "{spinner} {msg}, {elapsed}")
    }

    fn new(what: &str, total: Option<u64>, template: &str) -> Self {
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            // A display that cannot be written is not worth an error.
            let _ = write!(text, "{}", HumanCount(state.per_sec() as u64));
        };
        let left = |state: &ProgressState, text: &mut dyn Write| {
            let _ = write!(text, "{}", HumanDuration(state.eta()));
        };
        // A template that cannot be parsed leaves the default one.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", rate)
            .with_key("left", left);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
            .with_style(style)
            .with_message(what.to_owned());
        let mut progress = Self {
            bar,
            done: None,
            shower: None,
        };
        if stderr().is_terminal() {
            progress.show_later();
        }
        progress
    }

    fn show_later(&mut self) {
        let (done, waiting) = mpsc::channel::<()>();
        let bar = self.bar.clone();
        self.done = Some(done);
        self.shower = thread::Builder::new()
            .spawn(move || {
                if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.enable_steady_tick(TICK);
                }
            })
            .ok();
    }

    /// It has come so far.
    pub fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// It has come further by so much.
    pub fn add(&self, more: u64) {
        self.bar.inc(more);
    }

    /// What it does now.
    pub fn say(&self, what: String) {
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.take();
        if let Some(shower) = self.shower.take() {
            // It only draws: if it failed there is nothing to draw.
            let _ = shower.join();
        }
        self.bar.finish_and_clear();
    }
}
