//! Descriptors 0, 1 and 2 belong to the program: what it prints goes there, whatever is open under them.
//!
//! Invariant: no file or socket is kept under one of them. A program that has closed them would be given
//! them by the next open, and its next line of output would go into the volume.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::fcntl_dupfd_cloexec,
};

/// The first descriptor that is nobody's output.
const FIRST: i32 = 3;

/// Calls `open` while all of the three are taken, by nothing that matters, and moves what it opened if it
/// got one of them all the same (another thread may be doing this, too).
pub fn above_standard<F, E>(open: impl FnOnce() -> Result<F, E>) -> Result<F, E>
where
    F: AsFd + From<OwnedFd>,
    E: From<io::Error>,
{
    let taken = take_standard();
    let opened = open()?;
    drop(taken);
    if opened.as_fd().as_raw_fd() >= FIRST {
        return Ok(opened);
    }
    let moved = fcntl_dupfd_cloexec(&opened, FIRST).map_err(io::Error::from)?;
    Ok(F::from(moved))
}

/// Takes those that nobody has, so that for as long as they are held no other open gets one.
fn take_standard() -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // Without the null device what is opened is moved later.
    while let Ok(fd) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        if fd.as_raw_fd() >= FIRST {
            break;
        }
        taken.push(fd);
    }
    taken
}
