//! One process per volume: the lock on a device, and who holds it if it is taken.
//!
//! `flock` belongs to the open file, so that a second open in this process is refused
//! like one in another, and a killed process leaves nothing behind.
//!
//! Invariant: a lock is ended when its [`Locked`] goes, on whatever road. To close the file is not enough: a process that this one
//! is just starting has a copy of every descriptor until it runs its program, and would hold the lock for as long.

use crate::{Error, ErrorKind, Result, process::Owner};
use rustix::{
    fs::{FlockOperation, flock, fstat, major, minor},
    io::Errno,
};
use std::{
    fs::{self, File},
    ops::Deref,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

/// A file that can be locked.
pub(super) struct Locked {
    file: File,
    owner: Owner,
}

impl Locked {
    /// Not locked yet.
    pub(super) fn new(file: File, owner: Owner) -> Self {
        Self { file, owner }
    }

    /// Locks it, shared for readers.
    pub(super) fn lock(&self, name: &str, shared: bool) -> Result<()> {
        let operation = if shared {
            FlockOperation::NonBlockingLockShared
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        loop {
            match flock(&self.file, operation) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Err(in_use(&self.file, name)),
                Err(e) => return Err(Error::io(format_args!("lock {name}"), e.into())),
            }
        }
    }

    /// Ends the lock. If that fails, closing does it.
    pub(super) fn unlock(&self) {
        // A fork shares the lock: it is the parent's to give up.
        if !self.owner.is_elsewhere() {
            let _ = flock(&self.file, FlockOperation::Unlock);
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl AsFd for Locked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn in_use(file: &File, name: &str) -> Error {
    let holder = match holder(file) {
        Some(pid) if pid == std::process::id() => "by this process".to_owned(),
        Some(pid) => match command(pid) {
            Some(command) => format!("by process {pid} ({command})"),
            None => format!("by process {pid}"),
        },
        None => "elsewhere".to_owned(),
    };
    Error::new(
        ErrorKind::VolumeInUse,
        format!("{name} is in use {holder}: close it there first"),
    )
}

/// The kernel's list of locks names the process that took each. If that is over, one that it started has the file
/// still open, and with it the lock.
fn holder(file: &File) -> Option<u32> {
    let stat = fstat(file).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let device = (major(stat.st_dev), minor(stat.st_dev));
    let taker = find_holder(&locks, device, stat.st_ino)?;
    match command(taker) {
        Some(_) => Some(taker),
        None => heir((stat.st_dev, stat.st_ino)),
    }
}

/// Another process that has the file open, as far as this one may look.
fn heir(identity: (u64, u64)) -> Option<u32> {
    let is_it = |path: &Path| {
        let found = fs::metadata(path).map(|found| (found.dev(), found.ino()));
        found.is_ok_and(|found| found == identity)
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let others = processes
        .filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id());
    others.into_iter().find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        files.flatten().any(|file| is_it(&file.path()))
    })
}

/// Lines read like `1: FLOCK  ADVISORY  WRITE 4242 fe:00:131 0 EOF`.
fn find_holder(locks: &str, device: (u32, u32), inode: u64) -> Option<u32> {
    let mut by_inode = None;
    for line in locks.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Waiters are listed with an arrow and hold nothing.
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else {
            continue;
        };
        let mut parts = place.split(':');
        let number = |part: Option<&str>| u32::from_str_radix(part?, 16).ok();
        let place = (number(parts.next()), number(parts.next()));
        if parts.next().and_then(|p| p.parse().ok()) != Some(inode) {
            continue;
        }
        let Some(pid) = pid.parse().ok().filter(|&pid| pid != 0) else {
            continue;
        };
        if place == (Some(device.0), Some(device.1)) {
            return Some(pid);
        }
        // Some file systems (btrfs, overlayfs) show another device number here.
        by_inode = Some(pid);
    }
    by_inode
}

fn command(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process that is being started has for a moment: copies of all descriptors.
    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let owner = Owner::here().unwrap();
        let open = || Locked::new(File::open(&path).unwrap(), owner);
        let first = open();
        first.lock("file", false).unwrap();
        let _copy = first.try_clone().unwrap();
        assert!(open().lock("file", false).is_err());
        drop(first);
        open().lock("file", false).unwrap();
    }

    #[test]
    fn the_holder_is_found_by_device_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 41 fe:01:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 43 fe:00:131 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 42 fe:00:131 0 EOF\n";
        assert_eq!(find_holder(locks, (0xfe, 0), 131), Some(42));
        assert_eq!(find_holder(locks, (0x09, 0), 131), Some(42));
        assert_eq!(find_holder(locks, (0xfe, 0), 132), None);
    }
}
