//! Commands of one connection on their way through a thread that may wait for devices.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    commands,
    limits::{COMMANDS_TOGETHER, REPLIES_BYTES},
    resp::{Replies, Request},
    session::Session,
    shared::Shared,
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
    /// Does commands until there are no more, or enough replies wait.
    pub fn perform(&mut self) {
        let mut count = 0;
        let mut last = None;
        while self.replies.bytes.len() < REPLIES_BYTES
            && count < COMMANDS_TOGETHER
            && !self.session.is_leaving
        {
            let Some(request) = self.requests.pop_front() else {
                break;
            };
            count += 1;
            last = request.first().cloned();
            commands::run(&self.shared, &mut self.session, request, &mut self.replies);
        }
        let last = last.and_then(|name| commands::find(&name));
        let queued = self.session.queued.as_ref();
        let queued = queued.map_or(-1, |queued| queued.requests.len() as i64);
        self.session
            .client
            .note(last.map_or("NULL", |spec| spec.name), queued);
    }
}
