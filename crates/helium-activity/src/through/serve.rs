//! The end of the process that has the volume open: a thread for each reader.
//!
//! Invariants: there are no more readers than the limit; each sees through a view of its own, which is let go when its
//! lease ends, when it has asked for nothing for too long, when it does not take what it asked for, or when versions
//! that are kept take half of their budget; and all threads have ended when [`Readers::end`] returns.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use heliumdb::Volume;
use rustix::net::sockopt::socket_peercred;

use super::{
    Line, Reading,
    answer::Shown,
    wire::{Answer, REQUEST_BYTES_MAX, Request, VERSION},
};

/// How often is looked whether a reader has to go while it asks for nothing.
const TICK: Duration = Duration::from_millis(500);
/// How long a reader may take to take a last word.
const LAST_WORD: Duration = Duration::from_millis(500);

/// What readers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many at the same time.
    pub readers: usize,
    /// So long one sees its moment.
    pub lease: Duration,
    /// So long one may ask for nothing.
    pub idle: Duration,
    /// So long one may take to send a request, or to take an answer.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 8,
            lease: Duration::from_secs(3600),
            idle: Duration::from_secs(300),
            patience: Duration::from_secs(30),
        }
    }
}

/// The readers of a volume.
pub(crate) struct Readers {
    reading: Reading,
    limits: Limits,
    stopped: Arc<UnixStream>,
    count: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn new(reading: Reading, limits: Limits, stopped: Arc<UnixStream>) -> Self {
        Self {
            reading,
            limits,
            stopped,
            count: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Serves who has connected.
    pub(crate) fn add(&mut self, stream: UnixStream, volume: &Volume) -> io::Result<()> {
        check_user(&stream)?;
        self.threads.retain(|thread| !thread.is_finished());
        let mut line = Line::new(stream, Arc::clone(&self.stopped))?;
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.limits.readers {
            self.count.fetch_sub(1, Ordering::Relaxed);
            let most = self.limits.readers;
            let why = format!("{most} others read the volume already, and no more may at a time");
            return line.send(&failed("Busy", &why), LAST_WORD);
        }
        let (reading, limits, volume) = (self.reading.clone(), self.limits, volume.clone());
        let place = Place(Arc::clone(&self.count));
        let thread = thread::Builder::new()
            .name("helium-reader".to_owned())
            .spawn(move || {
                let _place = place;
                if let Err(why) = serve(&mut line, &volume, &reading, &limits) {
                    tracing::debug!(%why, "a reader is gone");
                }
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits for all threads. The stream that stops them is closed.
    pub(crate) fn end(&mut self) {
        for thread in self.threads.drain(..) {
            // If it failed there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// One reader's place among those there may be.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever can reach the socket may have been handed it.
fn check_user(stream: &UnixStream) -> io::Result<()> {
    let peer = socket_peercred(stream)?.uid;
    if peer == rustix::process::geteuid() || peer.is_root() {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

fn failed(kind: &str, message: &str) -> Vec<u8> {
    let (kind, message) = (kind.as_bytes().to_vec(), message.as_bytes().to_vec());
    Answer::Failed { kind, message }.encode()
}

fn told(why: &heliumdb::Error) -> Vec<u8> {
    failed(&format!("{:?}", why.kind()), &why.to_string())
}

/// Why a reader has to go, said to it.
const LET_GO: &str = "LetGo";

fn serve(line: &mut Line, volume: &Volume, reading: &Reading, limits: &Limits) -> io::Result<()> {
    let patience = limits.patience;
    line.await_request(Instant::now() + patience)?;
    let Some(hello) = line.receive(REQUEST_BYTES_MAX, patience)? else {
        return Ok(());
    };
    match Request::decode(&hello) {
        Some(Request::Hello { version: VERSION }) => {}
        Some(Request::Hello { version }) => {
            let why = format!(
                "it asks in version {version} of what readers and writers say to each other, and this process \
                 speaks version {VERSION}: use the same release of both"
            );
            return line.send(&failed("Unsupported", &why), patience);
        }
        _ => {
            return line.send(
                &failed("InvalidArgument", "no reader begins like that"),
                patience,
            );
        }
    }
    let view = match reading.begin(volume) {
        None => {
            let why = "the program that has it open does not let others read it";
            return line.send(&failed("Unsupported", why), patience);
        }
        Some(Err(why)) => return line.send(&told(&why), patience),
        Some(Ok(view)) => view,
    };
    let lease_ends = Instant::now() + limits.lease;
    let mut shown = Shown::new(volume, &*view);
    line.send(&shown.hello(), patience)?;
    loop {
        if let Some(why) = await_request(line, volume, limits, lease_ends)? {
            // First: what it saw may be what the others wait for.
            drop(shown);
            drop(view);
            return line.send(&failed(LET_GO, &why), LAST_WORD);
        }
        let Some(request) = line.receive(REQUEST_BYTES_MAX, patience)? else {
            return Ok(());
        };
        let Some(request) = Request::decode(&request) else {
            return line.send(&failed("InvalidArgument", "that is no request"), patience);
        };
        let answer = match shown.to(request) {
            Ok(answer) => answer,
            Err(why) => return line.send(&told(&why), patience),
        };
        line.send(&answer, patience)?;
    }
}

/// Waits for a request; says why the reader has to go instead, if it has to.
fn await_request(
    line: &Line,
    volume: &Volume,
    limits: &Limits,
    lease_ends: Instant,
) -> io::Result<Option<String>> {
    let idle_ends = Instant::now() + limits.idle;
    loop {
        let budget = volume.options().version_budget_bytes;
        if volume.version_bytes() > budget / 2 {
            return Ok(Some(
                "what is written meanwhile needs the memory that keeps its moment".to_owned(),
            ));
        }
        let now = Instant::now();
        if now >= lease_ends {
            let lease = limits.lease.as_secs();
            return Ok(Some(format!(
                "a reader sees its moment for {lease} seconds"
            )));
        }
        if now >= idle_ends {
            let idle = limits.idle.as_secs();
            return Ok(Some(format!("it asked for nothing for {idle} seconds")));
        }
        let until = (now + TICK).min(lease_ends).min(idle_ends);
        match line.await_request(until) {
            Ok(()) => return Ok(None),
            Err(why) if why.kind() == io::ErrorKind::TimedOut => {}
            Err(why) if why.kind() == io::ErrorKind::ConnectionAborted => {
                return Ok(Some("the process closes the volume".to_owned()));
            }
            Err(why) => return Err(why),
        }
    }
}
