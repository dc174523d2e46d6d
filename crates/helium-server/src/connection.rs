//! A connection: reads what comes, has it done ([`crate::visit`]), and sends the replies.
//!
//! Invariants: no reply to a write is sent before the write is as durable as the server promises; while replies wait
//! for a client that does not read, nothing more is read from it and nothing more is done for it.

use std::{io, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time,
};

use crate::{
    clients::Entry,
    limits::COMMANDS_TOGETHER,
    resp::{Limits, ProtocolError, Requests},
    session::Session,
    shared::Shared,
    visit::visit,
    work::Work,
};

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;
/// How much more of a connection that has ended is taken, and for how long.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);
/// Memory for replies that is kept from one to the next.
const KEPT_BYTES: usize = 64 << 10;

/// Serves `stream` until it ends, or `stop` says so.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: S,
    shared: Arc<Shared>,
    entry: Entry,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let stops = told(&mut stop);
    tokio::pin!(stops);
    let session = Session::new(entry.client.clone(), shared.start());
    let mut work = Work {
        shared,
        session,
        requests: Default::default(),
        replies: Default::default(),
    };
    let mut requests = Requests::default();
    loop {
        let taken = take(&mut requests, &mut work);
        if work.requests.is_empty() && taken.is_ok() {
            let stops = stops.as_mut();
            if !read(&mut stream, &mut requests, &mut work, stops).await? {
                return Ok(());
            }
            continue;
        }
        while !work.requests.is_empty() && !work.session.is_leaving {
            if work.perform_short() {
                (work, stream) = visit(work, stream).await?;
            }
            send(&mut stream, &mut work).await?;
        }
        if let Err(ProtocolError(why)) = taken {
            work.replies.error(&format!("ERR {why}"));
            send(&mut stream, &mut work).await?;
            return end(stream).await;
        }
        if work.session.is_leaving {
            return end(stream).await;
        }
    }
}

/// Ends a connection from this side, and lets what is still on its way come: closing with something unread would
/// take back from the client what it was sent last.
pub async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut most = LINGER_BYTES;
    let mut bytes = [0; 4096];
    let rest = async {
        while most > 0 {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => break,
                Ok(count) => most = most.saturating_sub(count),
            }
        }
    };
    // Whoever goes on for longer than that does not listen.
    let _ = time::timeout(LINGER, rest).await;
    Ok(())
}

/// Returns when the server is told to stop, or is gone.
pub async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stops| stops).await;
}

/// Takes the requests that have come in.
fn take(requests: &mut Requests, work: &mut Work) -> Result<(), ProtocolError> {
    let is_unknown = work.shared.is_unknown(&work.session);
    // What follows may be more than it may send, before it has said who it is.
    let (limits, most) = match is_unknown {
        true => (Limits::UNKNOWN, 1),
        false => (Limits::KNOWN, COMMANDS_TOGETHER),
    };
    while work.requests.len() < most {
        match requests.next(limits)? {
            Some(request) => work.requests.push_back(request),
            None => break,
        }
    }
    Ok(())
}

/// Waits for more to come; false at the end.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    requests: &mut Requests,
    work: &mut Work,
    stops: Pin<&mut impl Future<Output = ()>>,
) -> io::Result<bool> {
    requests.buffer.reserve(READ_BYTES);
    tokio::select! {
        biased;
        () = stops => Ok(false),
        read = stream.read_buf(&mut requests.buffer) => Ok(read? > 0),
        () = expiry(&work.session) => {
            expire(&mut work.session);
            Ok(true)
        }
    }
}

/// Sends the replies, however long the client takes to read them.
async fn send<S: AsyncWrite + Unpin>(stream: &mut S, work: &mut Work) -> io::Result<()> {
    let mut bytes = std::mem::take(&mut work.replies.bytes);
    {
        // What TLS has taken it has not sent, perhaps: also of what another thread has given it.
        let sending = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    sent?;
                    break;
                }
                () = expiry(&work.session) => expire(&mut work.session),
            }
        }
    }
    if bytes.capacity() <= KEPT_BYTES {
        bytes.clear();
        work.replies.bytes = bytes;
    }
    Ok(())
}

/// Returns when the connection's transaction has been open for too long; never if it has none.
async fn expiry(session: &Session) {
    match &session.deadline {
        Some(deadline) => time::sleep_until((*deadline).into()).await,
        None => std::future::pending().await,
    }
}

fn expire(session: &mut Session) {
    session.deadline = None;
    if session.running.take().is_some() {
        session.expired = true;
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc, time::Duration};

    use heliumdb::{Volume, VolumeOptions};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex},
        sync::watch,
        time,
    };

    use super::serve;
    use crate::{options::Options, shared::Shared, volumes::Served};

    /// A stream that keeps what it takes until it is flushed, as TLS does where its socket is full.
    #[tokio::test]
    async fn replies_do_not_stay_in_a_stream_that_keeps_them() {
        let volume = Volume::open("he://./_67108864", &VolumeOptions::default()).unwrap();
        let served = Arc::new(Served::new("v".to_owned(), volume, 2));
        let shared = Arc::new(Shared::new(Options::default(), served, Vec::new()));
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let entry = shared.clients.enter(here, here, 1).unwrap();
        let (mut client, end) = duplex(4096);
        let (_stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(BufWriter::new(end), shared, entry, stopped));
        // One that is answered at once, and ones that are answered by threads that send by themselves.
        for (asked, answer) in [
            ("PING", "+PONG\r\n"),
            ("SET k v", "+OK\r\n"),
            ("KEYS *", "*1\r\n$1\r\nk\r\n"),
        ] {
            let line = format!("{asked}\r\n");
            client.write_all(line.as_bytes()).await.unwrap();
            let mut said = vec![0; answer.len()];
            let reading = client.read_exact(&mut said);
            let read = time::timeout(Duration::from_secs(20), reading).await;
            assert!(read.is_ok(), "{asked} was not answered");
            assert_eq!(said, answer.as_bytes());
        }
        drop(client);
        serving.await.unwrap().unwrap();
    }
}
