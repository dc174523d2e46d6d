//! Ctrl-C: the first asks the work to stop where the volume is sound, the second ends the process.
//! While a volume is being opened, which nobody can ask to stop, the first one ends it.
//!
//! A process that is ended leaves the volume sound as well: only the last buffered writes are
//! missing then, and an opening has none.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read, Write, stderr, stdin},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{self, Code, Failure, Result};

static ASKED: AtomicBool = AtomicBool::new(false);
static OPENING: AtomicBool = AtomicBool::new(false);

/// How long a wait for input takes to notice Ctrl-C.
const NOTICE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Takes SIGINT, SIGTERM and SIGHUP; what there is to say is said as JSON if `json`.
pub fn listen(json: bool) -> Result<()> {
    ctrlc::set_handler(move || {
        let again = ASKED.swap(true, Ordering::SeqCst);
        if !again && OPENING.load(Ordering::SeqCst) {
            if stderr().is_terminal() {
                // The progress of the opening is on the line.
                let _ = write!(stderr(), "\r\x1b[2K");
            }
            stopped()
                .advise("The volume was not open yet, and is as it was.")
                .tell(json);
        } else if !again {
            return;
        }
        std::process::exit(Code::Interrupted as i32);
    })
    .map_err(|why| Failure::new(Code::Failed, format!("cannot listen for Ctrl-C: {why}")))
}

/// For as long as it lives, Ctrl-C ends the process.
pub struct Opening(());

/// A volume that is there is being opened: a kill leaves it as it was.
pub fn opening() -> Opening {
    OPENING.store(true, Ordering::SeqCst);
    Opening(())
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPENING.store(false, Ordering::SeqCst);
    }
}

/// A line that a person types.
pub fn line() -> Result<String> {
    let mut line = String::new();
    let read = BufReader::new(Interruptible(stdin())).read_line(&mut line);
    check()?;
    read.map_err(|why| failure::system("cannot read the answer", why))?;
    Ok(line)
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
