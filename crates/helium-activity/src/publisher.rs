//! The side that has the volume open: answers whoever asks.
//!
//! Invariant: a thread of its own does it, one asker at a time, each for a second at most, and has one more for each
//! reader; the volume's own threads never wait for it, and all of it ends with its [`Publisher`].

use std::{
    fs,
    io::{self, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use heliumdb::{Volume, device::above_standard, process::Owner};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use crate::{
    deadline::Until,
    folder,
    report::Report,
    through::{self, Limits, Readers, Reading},
};

/// How long one asker may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells of a volume as long as it lives, and lets others read it.
pub struct Publisher {
    /// For who asks for figures, and for who reads.
    sockets: [PathBuf; 2],
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    owner: Owner,
}

impl Publisher {
    /// Tells of `volume`, on behalf of what is called `command`. Others read through the volume's own snapshots, so this is
    /// not for programs that keep its transactions themselves: see [`Publisher::start_with`].
    pub fn start(volume: &Volume, command: &str) -> io::Result<Self> {
        Self::start_with(volume, command, Reading::Snapshots, Limits::default())
    }

    /// As [`Publisher::start`], and says how others read, and what they may take.
    pub fn start_with(
        volume: &Volume,
        command: &str,
        reading: Reading,
        limits: Limits,
    ) -> io::Result<Self> {
        // A copy of a volume may be open beside it, under the same id.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (id, process) = (volume.id(), std::process::id());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{id}-{process}-{number}");
        let path = folder::make()?.join(name);
        let sockets = [folder::ENDING, through::ENDING].map(|ending| path.with_extension(ending));
        // Left by a process that had the same number.
        sockets.iter().try_for_each(|socket| remove(socket))?;
        let owner = Owner::here().map_err(io::Error::other)?;
        let (stop, stopped) = UnixStream::pair()?;
        // None of them where the program prints.
        let stop = above_standard(|| io::Result::Ok(stop))?;
        let stopped = above_standard(|| io::Result::Ok(stopped))?;
        let stopped = Arc::new(stopped);
        let readers = Readers::new(reading, limits, Arc::clone(&stopped));
        // Whoever finds the one for figures may ask on the other one.
        let to_read = above_standard(|| UnixListener::bind(&sockets[1]))?;
        let listener = above_standard(|| UnixListener::bind(&sockets[0]))
            .inspect_err(|_| drop(remove(&sockets[1])))?;
        let mut answers = Answers {
            listeners: [listener, to_read],
            stopped,
            volume: volume.clone(),
            command: command.to_owned(),
            readers,
        };
        let thread = thread::Builder::new()
            .name("helium-activity".to_owned())
            .spawn(move || answers.run());
        let thread = thread.inspect_err(|_| {
            sockets.iter().for_each(|socket| drop(remove(socket)));
        })?;
        Ok(Self {
            sockets,
            stop: Some(stop),
            thread: Some(thread),
            owner,
        })
    }

    /// As [`Publisher::start_with`], on behalf of the program that this process runs, for a library
    /// that cannot know it: `user` is what it calls itself.
    pub fn start_for_library(volume: &Volume, user: &str, reading: Reading) -> io::Result<Self> {
        let program = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let command = format!("{} ({user})", program.trim_end());
        Self::start_with(volume, &command, reading, Limits::default())
    }
}

fn remove(socket: &Path) -> io::Result<()> {
    match fs::remove_file(socket) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// What the thread works with.
struct Answers {
    /// For figures, and for readers.
    listeners: [UnixListener; 2],
    stopped: Arc<UnixStream>,
    volume: Volume,
    command: String,
    readers: Readers,
}

impl Answers {
    fn run(&mut self) {
        let start = Instant::now();
        while let Some(waiting) = self.wait() {
            for (listener, is_waiting) in self.listeners.iter().zip(waiting) {
                if !is_waiting {
                    continue;
                }
                let is_reader = std::ptr::eq(listener, &self.listeners[1]);
                let asker = above_standard(|| listener.accept().map(|(asker, _)| asker));
                let told = asker.and_then(|asker| match is_reader {
                    true => self.readers.add(asker, &self.volume),
                    false => {
                        let uptime = start.elapsed().as_millis();
                        let uptime = uptime.try_into().unwrap_or(u64::MAX);
                        tell(asker, &Report::of(&self.volume, &self.command, uptime))
                    }
                });
                if let Err(why) = told {
                    tracing::debug!(%why, "somebody who asked did not get an answer");
                    // What made accepting fail may last.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        self.readers.end();
    }

    /// Which of the listeners somebody waits on; `None` at the end.
    fn wait(&self) -> Option<[bool; 2]> {
        loop {
            let mut waiting = [
                PollFd::new(&self.listeners[0], PollFlags::IN),
                PollFd::new(&self.listeners[1], PollFlags::IN),
                PollFd::new(&*self.stopped, PollFlags::IN),
            ];
            match poll(&mut waiting, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(why) => {
                    tracing::debug!(%why, "nobody can ask any more");
                    return None;
                }
            }
            let [figures, readers, stopped] = waiting.map(|one| !one.revents().is_empty());
            return (!stopped).then_some([figures, readers]);
        }
    }
}

fn tell(asker: UnixStream, report: &Report) -> io::Result<()> {
    let answer = format!("{}\n", report.to_json());
    Until::new(asker, PATIENCE).write_all(answer.as_bytes())
}

impl Drop for Publisher {
    /// Returns when the thread has ended: its code may be unloaded next.
    fn drop(&mut self) {
        if self.owner.is_elsewhere() {
            // A copy, in a fork of the process: socket and thread are the parent's.
            std::mem::forget(self.thread.take());
            return;
        }
        self.stop.take();
        // Whoever cannot remove one leaves a socket that nobody answers on.
        self.sockets.iter().for_each(|socket| drop(remove(socket)));
        if let Some(thread) = self.thread.take() {
            // If it failed there is nothing left to end.
            let _ = thread.join();
        }
    }
}
