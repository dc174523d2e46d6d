//! Commands that may have to wait, in threads that may: those that write in the group of their volume, the others each in
//! a thread of its own.
//!
//! Invariant: a connection comes back when all that its client is to be told is as durable as was promised, or is taken
//! back.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use heliumdb::Result;
use tokio::{io::AsyncWrite, sync::oneshot, task, time};

use crate::{
    group::{Group, PATIENCE, Turn},
    volumes::Served,
    work::Work,
};

/// Who has waited for so long looks no more often whether another thread would help.
const PATIENCE_MOST: Duration = Duration::from_millis(32);

/// A connection in the hands of a thread of the group of `served`.
struct Visit<S> {
    work: Work,
    stream: S,
    served: Arc<Served>,
    back: oneshot::Sender<(Work, S)>,
}

impl<S: AsyncWrite + Unpin + Send> Turn for Visit<S> {
    fn perform(&mut self) {
        self.work.perform();
    }

    fn owes_sync(&self) -> bool {
        self.work.owes_sync_of(&self.served)
    }

    fn synced(&mut self, result: &Result<()>) {
        self.work.synced(&self.served, result);
    }

    fn end(mut self: Box<Self>, is_alone: bool) {
        if is_alone {
            send_here(&mut self.stream, &mut self.work);
        }
        // Where nobody waits for it the server ends.
        let _ = self.back.send((self.work, self.stream));
    }
}

/// Does commands in a thread that may wait, until there are no more or enough replies wait.
pub async fn visit<S: AsyncWrite + Unpin + Send + 'static>(
    mut work: Work,
    mut stream: S,
) -> io::Result<(Work, S)> {
    (work, stream) = match work.is_next_a_write() {
        true => {
            let served = work.session.place.served.clone();
            hand(work, stream, served, Group::perform).await?
        }
        false => {
            let done = task::spawn_blocking(move || {
                work.perform();
                send_here(&mut stream, &mut work);
                (work, stream)
            });
            done.await.map_err(io::Error::other)?
        }
    };
    while let Some(served) = work.session.unsynced.first().cloned() {
        (work, stream) = hand(work, stream, served, Group::make_durable).await?;
    }
    let running = work.session.running.as_ref();
    let limit = work.shared.options.transaction_time;
    work.session.deadline = running.map(|running| running.since + limit);
    Ok((work, stream))
}

/// Gives them to the group of `served`, and waits until they come back.
async fn hand<S: AsyncWrite + Unpin + Send + 'static>(
    work: Work,
    stream: S,
    served: Arc<Served>,
    begin: fn(&Arc<Group>, Box<dyn Turn>),
) -> io::Result<(Work, S)> {
    let (back, mut comes) = oneshot::channel();
    let group = served.group.clone();
    let visit = Visit {
        work,
        stream,
        served,
        back,
    };
    begin(&group, Box::new(visit));
    let mut patience = PATIENCE;
    loop {
        match time::timeout(patience, &mut comes).await {
            Ok(come) => return come.map_err(io::Error::other),
            Err(_) => group.relieve(),
        }
        patience = (patience * 2).min(PATIENCE_MOST);
    }
}

/// Sends from this thread what the client takes at once of replies that wait for nothing any more: so it need not wait
/// until another thread has been woken.
fn send_here<S: AsyncWrite + Unpin>(stream: &mut S, work: &mut Work) {
    if !work.session.unsynced.is_empty() || work.replies.bytes.is_empty() {
        return;
    }
    // Whoever sends the rest is woken by itself, and meets the error if there is one.
    let mut nobody = Context::from_waker(Waker::noop());
    let sent = Pin::new(stream).poll_write(&mut nobody, &work.replies.bytes);
    if let Poll::Ready(Ok(count)) = sent {
        work.replies.sent(count);
    }
}
