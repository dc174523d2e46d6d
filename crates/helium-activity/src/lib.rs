//! How a process that has a volume open shows others of the same user what goes on in it.
//!
//! A volume is locked by the process that writes it, so its figures have to come from there. A
//! [`Publisher`] answers on a Unix socket in the user's runtime directory; `watch` finds
//! the sockets and asks. The store itself knows nothing of this: it only offers its figures. On a second socket others
//! can read the volume itself, as it was at one moment (`through`): [`Remote`].
//!
//! Invariant: only the user whose process it is (and root) can ask, nothing that is asked can hold
//! up the volume, and what is read from a socket is bounded.

mod deadline;
mod folder;
mod publisher;
mod report;
mod through;
mod watch;

pub use publisher::Publisher;
pub use report::{DatastoreFigures, Latency, Report};
pub use through::{
    Limits, Reading, Remote, RemoteDatastore, RemoteItems, Views, Walk, Wanted, figures,
    of_what_is_in_it,
};
pub use watch::{ask, find};
