//! The store's threads: the only module that starts any.
//!
//! Invariant: each has a name that says what it is for, and none that cannot be started ends the program: its caller does
//! without, or says so.

use std::{
    io,
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
