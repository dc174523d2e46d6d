//! What all connections of a server share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;

use crate::{
    clients::Clients,
    cursors::Cursors,
    options::Options,
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
    commands: AtomicU64,
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
            commands: AtomicU64::new(0),
        }
    }

    /// Where a connection begins.
    pub fn start(&self) -> Place {
        Place::new(self.first.clone(), Bytes::from_static(b"0"))
    }

    /// So many commands more were done.
    pub fn note_commands(&self, count: u64) {
        self.commands.fetch_add(count, Ordering::Relaxed);
    }

    /// How many commands were done.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }
}
