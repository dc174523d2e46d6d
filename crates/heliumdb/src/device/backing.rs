//! What a block device keeps its bytes in, as far as the kernel tells: the files of loop devices.
//!
//! A file and a loop device over it, or two loop devices over it, are different files to the lock. So
//! whoever has one of them locks the file that is under it as well. Two names of one block device, a
//! disk and a partition of it, and devices that others are made of are told apart by the kernel: it
//! refuses the second that opens one of them exclusively.

use std::{
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, major, minor, open};

use super::{descriptor::above_standard, lock::Locked};
use crate::{Result, process::Owner};

/// Devices that are under devices: more than anybody stacks.
const DEPTH_MAX: usize = 8;

/// Locks the files under the block device `device`, which goes by `name`. They stay locked as long as
/// the answer is there.
pub(super) fn lock_all(
    device: u64,
    name: &str,
    owner: Owner,
    read_only: bool,
) -> Result<Vec<Locked>> {
    let mut locked = Vec::new();
    let mut next = under(device);
    while let Some(Under { path, is_whole }) = next.take() {
        // One that is not to be found from here (it was removed, or this is a container) cannot be
        // locked; the opener's mark on the volume is what is left.
        let Some(file) = open_to_lock(&path) else {
            break;
        };
        let Ok(found) = file.metadata() else { break };
        // Several parts of one file may be parts of a volume; all of it is something else.
        let shares = read_only || !is_whole;
        let file = Locked::new(file, owner);
        file.lock(&path.display().to_string(), shares)
            .map_err(|why| why.context(format_args!("{name} is kept in {}", path.display())))?;
        locked.push(file);
        if locked.len() < DEPTH_MAX {
            next = under(found.rdev());
        }
    }
    Ok(locked)
}

fn open_to_lock(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = above_standard(|| Ok::<_, std::io::Error>(open(path, flags, Mode::empty())?));
    opened.ok().map(File::from)
}

/// The file under a loop device, and whether the device shows all of it.
struct Under {
    path: PathBuf,
    is_whole: bool,
}

fn under(device: u64) -> Option<Under> {
    if device == 0 {
        return None;
    }
    let node = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    let node = fs::canonicalize(node).ok()?;
    let is_part = node.join("partition").exists();
    let disk = if is_part { node.parent()? } else { &node };
    let text = |name: &str| fs::read(disk.join("loop").join(name)).ok();
    let path = text("backing_file")?;
    let path = path.strip_suffix(b"\n").unwrap_or(&path);
    let is_zero = |name| text(name).is_none_or(|text| text.trim_ascii() == b"0");
    Some(Under {
        path: PathBuf::from(std::ffi::OsStr::from_bytes(path)),
        is_whole: !is_part && is_zero("offset") && is_zero("sizelimit"),
    })
}
