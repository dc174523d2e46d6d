//! File systems of a test's own, where the machine lets it mount them.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{FallocateFlags, fallocate};

use crate::common::MIB;

/// A file system, for as long as this lives.
pub(crate) struct Mounted {
    folder: PathBuf,
    /// The folder is in it, and so is what the file system is kept in, if anything.
    _around: tempfile::TempDir,
}

impl Mounted {
    /// One in memory; `None` where it may not be mounted.
    pub(crate) fn tmpfs(bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        Self::mount(
            tempfile::tempdir().ok()?,
            &["-t", "tmpfs", "-o", &size, "none"],
        )
    }

    /// One of a kind that `mkfs` can make, in a file of so many bytes; `None` where there is no such `mkfs`, or it may
    /// not be mounted.
    pub(crate) fn of_kind(kind: &str, bytes: u64) -> Option<Self> {
        let around = tempfile::tempdir().ok()?;
        let image = around.path().join("image");
        File::create(&image).ok()?.set_len(bytes).ok()?;
        let mut mkfs = Command::new(format!("mkfs.{kind}"));
        mkfs.args(match kind {
            // No blocks that only root may have.
            "ext4" => &["-q", "-m", "0"][..],
            _ => &["-q"],
        });
        let made = mkfs.arg(&image).output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: there is no mkfs.{kind}");
            return None;
        }
        let image = image.display().to_string();
        Self::mount(around, &["-t", kind, "-o", "loop", &image])
    }

    fn mount(around: tempfile::TempDir, how: &[&str]) -> Option<Self> {
        let folder = around.path().join("mounted");
        fs::create_dir(&folder).ok()?;
        let mounted = Command::new("mount").args(how).arg(&folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: nothing may be mounted here");
            return None;
        }
        Some(Self {
            folder,
            _around: around,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Something else takes all room that there is, to the last byte.
    pub(crate) fn fill(&self) {
        fs::create_dir(self.others()).unwrap();
        let file = File::create(self.others().join("large")).unwrap();
        let mut len = 0;
        for step in [16 * MIB, MIB, 64 << 10, 4096] {
            while fallocate(&file, FallocateFlags::empty(), len, step).is_ok() {
                len += step;
            }
        }
        // What the file system keeps back from reservations, too.
        for number in 0.. {
            let path = self.others().join(number.to_string());
            let written = File::create(path).and_then(|mut file| {
                file.write_all(&[1; 4096])?;
                file.sync_all()
            });
            match written {
                Ok(()) => {}
                Err(why) if why.kind() == ErrorKind::StorageFull => return,
                Err(why) => panic!("fill {}: {why}", self.folder.display()),
            }
        }
    }

    /// Takes away what [`Mounted::fill`] has put there.
    pub(crate) fn empty(&self) {
        fs::remove_dir_all(self.others()).unwrap();
    }

    fn others(&self) -> PathBuf {
        self.folder.join("others")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
