//! Commands of one connection: those that are answered from memory in the thread that reads from all connections, the
//! others on their way through a thread that may wait for devices.
//!
//! Invariant: commands are done in the order in which they came, and none is begun twice: one that would have to wait
//! says so before it has done anything.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    Durability,
    commands::{self, Kind},
    limits::{COMMANDS_TOGETHER, REPLIES_BYTES},
    resp::{Replies, Request},
    session::Session,
    shared::Shared,
    volumes::Served,
};

/// A connection's state and what it has asked for: in one thread at a time, so that its commands stay in order.
#[derive(Debug)]
pub struct Work {
    /// The server.
    pub shared: Arc<Shared>,
    /// The connection.
    pub session: Session,
    /// What was asked for and is not done.
    pub requests: VecDeque<Request>,
    /// What was done and is not told.
    pub replies: Replies,
}

impl Work {
    /// Does commands until one has to wait, there are no more, or enough replies wait; whether one has to wait.
    pub fn perform_short(&mut self) -> bool {
        self.session.may_wait = false;
        let must_wait = self.perform_some();
        self.session.may_wait = true;
        must_wait
    }

    /// Does commands until there are no more, or enough replies wait, in a thread that may wait.
    pub fn perform(&mut self) {
        self.session.may_wait = true;
        self.perform_some();
        let must = std::mem::take(&mut self.session.must_sync);
        if !must && self.shared.options.durability == Durability::Buffered {
            self.session.unsynced.clear();
        }
        self.end_if_durable();
    }

    /// Whether what comes next writes.
    pub fn is_next_a_write(&self) -> bool {
        let name = self.requests.front().and_then(|request| request.first());
        let spec = name.and_then(|name| commands::find(name));
        spec.is_some_and(|spec| !matches!(spec.kind, Kind::Read | Kind::Admin))
    }

    /// Whether it is told nothing before a sync of `served`.
    pub fn owes_sync_of(&self, served: &Arc<Served>) -> bool {
        let mut unsynced = self.session.unsynced.iter();
        unsynced.any(|one| Arc::ptr_eq(one, served))
    }

    /// A sync of `served` has ended.
    pub fn synced(&mut self, served: &Arc<Served>, result: &heliumdb::Result<()>) {
        self.session
            .unsynced
            .retain(|one| !Arc::ptr_eq(one, served));
        if let Err(why) = result {
            tracing::error!(volume = served.name, %why, "a sync failed");
            let why = format!("IOERR it is not known whether this was done: {why}");
            self.replies.take_back_writes(&why);
        }
        self.end_if_durable();
    }

    fn end_if_durable(&mut self) {
        if self.session.unsynced.is_empty() {
            self.replies.writes.clear();
        }
    }

    fn perform_some(&mut self) -> bool {
        let mut count = 0;
        let mut must_wait = false;
        while self.replies.bytes.len() < REPLIES_BYTES
            && count < COMMANDS_TOGETHER
            && !self.session.is_leaving
            && !must_wait
        {
            let Some(request) = self.requests.pop_front() else {
                break;
            };
            let (session, replies) = (&mut self.session, &mut self.replies);
            match commands::run(&self.shared, session, request, replies) {
                Ok(()) => count += 1,
                Err(request) => {
                    self.requests.push_front(request);
                    must_wait = true;
                }
            }
        }
        if count > 0 {
            let queued = self.session.queued.as_ref();
            let queued = queued.map_or(-1, |queued| queued.requests.len() as i64);
            let client = &self.session.client;
            client.note(self.session.command, queued);
        }
        must_wait
    }
}
