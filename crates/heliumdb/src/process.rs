//! Which process this is: a child of fork has a copy of all memory, and none of the threads.
//!
//! Invariant: what a process has open is used by that process alone. In a child the copy of a volume
//! could be in the middle of anything, its threads are not there, and what it wrote would meet what
//! the parent writes; so there every call is refused, and closing does nothing at all.
#![expect(unsafe_code, reason = "asks the C library to tell of forks")]

use std::{
    ffi::c_int,
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering::*},
    },
};

use crate::error::{Error, ErrorKind, Result};

/// How many forks this process is away from the first that asked: only ever changed where there is one
/// thread, and read by every call, so that nobody has to ask the kernel.
static FORKS: AtomicU32 = AtomicU32::new(0);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

type Handler = Option<unsafe extern "C" fn()>;

unsafe extern "C" {
    fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
}

unsafe extern "C" fn is_child() {
    FORKS.fetch_add(1, Relaxed);
}

/// The process that opened something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    forks: u32,
    pid: u32,
}

impl Owner {
    /// This process. Fails only if the C library has no memory to remember that forks are watched.
    pub fn here() -> Result<Self> {
        watch().map_err(|why| Error::io("watch for forks of this process", why))?;
        Ok(Self {
            forks: FORKS.load(Relaxed),
            pid: std::process::id(),
        })
    }

    /// Whether this is another process than that: a child of its, or of a child. Costs next to nothing.
    #[inline]
    pub fn is_elsewhere(self) -> bool {
        FORKS.load(Relaxed) != self.forks
    }

    /// Refuses to go on in another process than that, with [`ErrorKind::Forked`].
    #[inline]
    pub fn check(self) -> Result<()> {
        if self.is_elsewhere() {
            return Err(self.refusal());
        }
        Ok(())
    }

    #[cold]
    fn refusal(self) -> Error {
        Error::new(
            ErrorKind::Forked,
            format!(
                "the volume was opened by process {}, of which this one ({}) is a fork: only that process can use it; \
                 a child opens it itself, once it is closed there",
                self.pid,
                std::process::id()
            ),
        )
    }
}

fn watch() -> io::Result<()> {
    if IS_WATCHED.load(Acquire) || IS_WATCHED.swap(true, AcqRel) {
        return Ok(());
    }
    // SAFETY: the handler only adds to an atomic number, which may be done at any time; the C library
    // forgets it if this library is unloaded.
    let failed = unsafe { pthread_atfork(None, None, Some(is_child)) };
    if failed != 0 {
        IS_WATCHED.store(false, Release);
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(())
}

/// Something that each process has of its own: a child of fork begins with a new one, since threads that
/// it has not may have been changing its parent's.
pub struct PerProcess<T: 'static> {
    own: OnceLock<(u32, T)>,
    childs: OnceLock<&'static PerProcess<T>>,
}

impl<T: Default> PerProcess<T> {
    /// Nobody's yet.
    pub const fn new() -> Self {
        Self {
            own: OnceLock::new(),
            childs: OnceLock::new(),
        }
    }

    /// This process's.
    pub fn get(&'static self) -> &'static T {
        // Without it a child goes on with its parent's: as good as can be where there is no memory.
        let _ = watch();
        let now = FORKS.load(Relaxed);
        let mut at = self;
        loop {
            let (forks, own) = at.own.get_or_init(|| (now, T::default()));
            if *forks == now {
                return own;
            }
            // One for each fork on the way from the first process to this one, at most.
            at = at.childs.get_or_init(|| Box::leak(Box::new(Self::new())));
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_is_noticed_and_has_things_of_its_own() {
        static OWN: PerProcess<AtomicU32> = PerProcess::new();
        let owner = Owner::here().unwrap();
        OWN.get().store(7, Relaxed);
        assert!(!owner.is_elsewhere() && owner.check().is_ok());
        // As a child sees what its parent opened.
        let elsewhere = Owner {
            forks: owner.forks.wrapping_sub(1),
            ..owner
        };
        let why = elsewhere.check().unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Forked);
        assert!(why.to_string().contains("fork"), "{why}");
        assert_eq!(OWN.get().load(Relaxed), 7);
    }
}
