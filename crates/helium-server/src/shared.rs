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
    users::Current,
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
    /// Who may connect.
    pub users: Current,
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
            users: Current::new(options.users.clone()),
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

    /// Lets a change of the users have its effect on a connection.
    pub fn look_at_user(&self, session: &mut Session) {
        let changes = self.users.changes();
        if session.user_changes == changes {
            return;
        }
        session.user_changes = changes;
        let Some(user) = session.user.take() else {
            return;
        };
        session.user = self.users.still(&user);
        if session.user.is_none() {
            tracing::info!(
                id = session.client.id,
                name = user.name,
                "a user is none any more"
            );
            session.drop_work();
        }
    }

    /// Whether it matters who the connection is, and it has not said so.
    pub fn is_unknown(&self, session: &Session) -> bool {
        self.options.users.is_some() && session.user.is_none()
    }
}
