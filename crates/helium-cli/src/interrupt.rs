//! Ctrl-C: the first asks the work to stop where the volume is sound, the second ends the process.
//!
//! A process that is ended leaves the volume sound as well: only the last buffered writes are
//! missing then.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{Code, Failure, Result};

static ASKED: AtomicBool = AtomicBool::new(false);

/// How long a wait for input takes to notice Ctrl-C.
const NOTICE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Takes SIGINT, SIGTERM and SIGHUP.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(Code::Interrupted as i32);
        }
    })
    .map_err(|why| Failure::new(Code::Failed, format!("cannot listen for Ctrl-C: {why}")))
}

/// Whether someone wants the work to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Fails once someone wants the work to stop.
pub fn check() -> Result<()> {
    if asked() { Err(stopped()) } else { Ok(()) }
}

/// What stopping comes to.
pub fn stopped() -> Failure {
    Failure::new(Code::Interrupted, "stopped as asked")
}

/// Input that gives up waiting once someone wants the work to stop.
pub struct Interruptible<R>(pub R);

impl<R: Read + AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if asked() {
                return Err(io::Error::other("stopped as asked"));
            }
            let mut waiting = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut waiting, Some(&NOTICE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.0.read(buffer),
                Err(why) => return Err(why.into()),
            }
        }
    }
}
