//! Ctrl-C: the first asks the work to stop where the volume is sound, the second ends the process.
//! While a volume is being opened, which nobody can ask to stop, the first one ends it.
//!
//! A process that is ended leaves the volume sound as well: only the last buffered writes are
//! missing then, and an opening has none.
//!
//! Invariant: a signal that was ignored when the command was started (by `nohup`, or by a shell that runs it in
//! the background) stays ignored.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read, Write, stderr, stdin},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    iterator::Signals,
};

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
    let cannot = |why| failure::system("cannot listen for Ctrl-C", why);
    // That a file may not grow any more is an error of who writes to it, and not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(cannot)?;
    let ignored = ignored();
    let wanted: Vec<i32> = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| ignored & 1 << (signal - 1) == 0)
        .collect();
    let mut signals = Signals::new(&wanted).map_err(cannot)?;
    let listener = thread::Builder::new()
        .name("helium-signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| heard(json)));
    if listener.is_err() {
        // The user may have no more threads: then a signal ends the process, as if nobody listened.
        for signal in wanted {
            let always = Arc::new(AtomicBool::new(true));
            let code = Code::Interrupted as i32;
            signal_hook::flag::register_conditional_shutdown(signal, code, always)
                .map_err(cannot)?;
        }
    }
    Ok(())
}

/// The signals that whoever started this process has it ignore, as the kernel tells: one bit for each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

fn heard(json: bool) {
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

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Standard input is read by who calls it, and by nobody else from here on.
pub fn take_input() {
    TAKEN.store(true, Ordering::Relaxed);
}

/// Standard input, for a command to read; what is taken already would be missing.
pub fn input() -> Result<Interruptible<io::Stdin>> {
    match TAKEN.load(Ordering::Relaxed) {
        false => Ok(Interruptible(stdin())),
        true => Err(Failure::new(
            Code::Usage,
            "standard input has the commands, and nothing else",
        )
        .advise("Name a file, or say the value in the line.")),
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

/// What was asked to stop has stopped.
pub fn forget() {
    ASKED.store(false, Ordering::SeqCst);
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
