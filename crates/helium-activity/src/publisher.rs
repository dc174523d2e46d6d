//! The side that has the volume open: answers whoever asks.
//!
//! Invariant: a thread of its own does it, one asker at a time, each for a second at most; the
//! volume's own threads never wait for it, and it ends with its [`Publisher`].

use std::{
    fs,
    io::{self, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use heliumdb::Volume;

use crate::{folder, report::Report};

/// How long one asker may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells of a volume as long as it lives.
pub struct Publisher {
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Tells of `volume`, on behalf of what is called `command`.
    pub fn start(volume: &Volume, command: &str) -> io::Result<Self> {
        let name = format!("{}-{}.{}", volume.id(), std::process::id(), folder::ENDING);
        let socket = folder::make()?.join(name);
        // Left by a process that had the same number.
        match fs::remove_file(&socket) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (volume, command, stopped) = (volume.clone(), command.to_owned(), stop.clone());
        let thread = thread::Builder::new()
            .name("helium-activity".to_owned())
            .spawn(move || answer(&listener, &volume, &command, &stopped));
        let thread = thread.inspect_err(|_| drop(fs::remove_file(&socket)))?;
        Ok(Self {
            socket,
            stop,
            thread: Some(thread),
        })
    }
}

fn answer(listener: &UnixListener, volume: &Volume, command: &str, stop: &AtomicBool) {
    let start = Instant::now();
    for asker in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let uptime_ms = start.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let told = asker.and_then(|asker| tell(asker, &Report::of(volume, command, uptime_ms)));
        if let Err(why) = told {
            tracing::debug!(%why, "somebody who asked for figures did not get them");
            // What made accepting fail may last.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn tell(mut asker: UnixStream, report: &Report) -> io::Result<()> {
    asker.set_write_timeout(Some(PATIENCE))?;
    writeln!(asker, "{}", report.to_json())
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread, which waits for an asker.
        let woken = UnixStream::connect(&self.socket).is_ok();
        // Whoever cannot remove it leaves a socket that nobody answers on.
        let _ = fs::remove_file(&self.socket);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // If it failed there is nothing left to end.
            let _ = thread.join();
        }
    }
}
