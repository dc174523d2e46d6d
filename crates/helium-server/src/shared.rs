//! What all connections of a server share.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use bytes::Bytes;

use crate::{
    clients::Clients,
    counts::Counts,
    cursors::Cursors,
    options::Options,
    session::Session,
    volumes::{Place, Served},
};

/// A server, as its commands see it.
#[derive(Debug)]
pub struct Shared {
    /// How it was started, with the addresses that it listens on.
    pub options: Options,
    /// What it serves: at least one; the first is where connections begin.
    pub volumes: Vec<Arc<Served>>,
    first: Arc<Served>,
    /// The connections.
    pub clients: Arc<Clients>,
    /// Where scans are.
    pub cursors: Cursors,
    /// Since when.
    pub since: Instant,
    /// It is to end.
    pub stopping: AtomicBool,
    /// What was done.
    pub counts: Counts,
}

impl Shared {
    /// A server of `first` and `others`.
    pub fn new(options: Options, first: Arc<Served>, others: Vec<Arc<Served>>) -> Self {
        let mut volumes = vec![first.clone()];
        volumes.extend(others);
        Self {
            options,
            volumes,
            first,
            clients: Arc::default(),
            cursors: Cursors::default(),
            since: Instant::now(),
            stopping: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// Where a connection begins.
    pub fn start(&self) -> Place {
        Place::new(self.first.clone(), Bytes::from_static(b"0"))
    }

    /// Whether it matters who the connection is, and it has not said so.
    pub fn is_unknown(&self, session: &Session) -> bool {
        self.options.users.is_some() && session.user.is_none()
    }
}
