//! The side that has the volume open: answers whoever asks.
//!
//! Invariant: a thread of its own does it, one asker at a time, each for a second at most; the
//! volume's own threads never wait for it, and it ends with its [`Publisher`].

use std::{
    fs,
    io::{self, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use heliumdb::{Volume, device::above_standard, process::Owner};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use crate::{deadline::Until, folder, report::Report};

/// How long one asker may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells of a volume as long as it lives.
pub struct Publisher {
    socket: PathBuf,
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    owner: Owner,
}

impl Publisher {
    /// Tells of `volume`, on behalf of what is called `command`.
    pub fn start(volume: &Volume, command: &str) -> io::Result<Self> {
        // A copy of a volume may be open beside it, under the same id.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (id, process) = (volume.id(), std::process::id());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{id}-{process}-{number}.{}", folder::ENDING);
        let socket = folder::make()?.join(name);
        // Left by a process that had the same number.
        match fs::remove_file(&socket) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let owner = Owner::here().map_err(io::Error::other)?;
        let (stop, stopped) = UnixStream::pair()?;
        // None of them where the program prints.
        let stop = above_standard(|| io::Result::Ok(stop))?;
        let stopped = above_standard(|| io::Result::Ok(stopped))?;
        let listener = above_standard(|| UnixListener::bind(&socket))?;
        let (volume, command) = (volume.clone(), command.to_owned());
        let thread = thread::Builder::new()
            .name("helium-activity".to_owned())
            .spawn(move || answer(&listener, &stopped, &volume, &command));
        let thread = thread.inspect_err(|_| drop(fs::remove_file(&socket)))?;
        Ok(Self {
            socket,
            stop: Some(stop),
            thread: Some(thread),
            owner,
        })
    }

    /// As [`Publisher::start`], on behalf of the program that this process runs, for a library
    /// that cannot know it: `user` is what it calls itself.
    pub fn start_for_library(volume: &Volume, user: &str) -> io::Result<Self> {
        let program = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let command = format!("{} ({user})", program.trim_end());
        Self::start(volume, &command)
    }
}

fn answer(listener: &UnixListener, stopped: &UnixStream, volume: &Volume, command: &str) {
    let start = Instant::now();
    loop {
        let mut waiting = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        match poll(&mut waiting, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(why) => {
                tracing::debug!(%why, "nobody can ask for figures any more");
                return;
            }
        }
        if !waiting[1].revents().is_empty() {
            return;
        }
        let uptime_ms = start.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let asker = above_standard(|| listener.accept().map(|(asker, _)| asker));
        let told = asker.and_then(|asker| tell(asker, &Report::of(volume, command, uptime_ms)));
        if let Err(why) = told {
            tracing::debug!(%why, "somebody who asked for figures did not get them");
            // What made accepting fail may last.
            thread::sleep(Duration::from_millis(10));
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
        // Whoever cannot remove it leaves a socket that nobody answers on.
        let _ = fs::remove_file(&self.socket);
        if let Some(thread) = self.thread.take() {
            // If it failed there is nothing left to end.
            let _ = thread.join();
        }
    }
}
