//! The store's threads: the only module that starts any.
//!
//! Invariant: each has a name that says what it is for, and none that cannot be started ends the program: its caller does
//! without, or says so.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread::{Builder, JoinHandle, Scope, ScopedJoinHandle},
};

/// A thread that lives as long as its volume.
#[expect(clippy::disallowed_methods, reason = "this is what others are to use")]
pub(crate) fn start(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// A thread that helps its caller; `None` if none can be started, and the caller does it all.
#[expect(clippy::disallowed_methods, reason = "this is what others are to use")]
pub(crate) fn help<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .ok()
}

/// A small number that is ever the same for a thread, and of few others: what is counted apart for threads is counted in
/// this one's part.
pub(crate) fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // A thread on its way out has no thread-locals any more: any number will do.
    let mine = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Relaxed));
        }
        mine.get()
    });
    mine.unwrap_or(0)
}
