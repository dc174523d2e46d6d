//! What the kernel says of this process, and the page cache.

use std::{fs, fs::File, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use rustix::{
    fs::{Advice, fadvise},
    time::{ClockId, clock_gettime},
};

/// Memory that is resident now, in bytes.
pub fn resident_bytes() -> Result<u64> {
    of_status("VmRSS:")
}

/// The most that was resident since [`reset_peak`], in bytes.
pub fn peak_bytes() -> Result<u64> {
    of_status("VmHWM:")
}

/// Forgets the peak.
pub fn reset_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("reset the peak of resident memory")
}

fn of_status(what: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    let kib: u64 = kib.with_context(|| format!("no {what}"))?.parse()?;
    Ok(kib << 10)
}

/// Nanoseconds that this thread has run.
pub fn ran_ns() -> u64 {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    ran.tv_sec as u64 * 1_000_000_000 + ran.tv_nsec as u64
}

/// Bytes that the process had the kernel fetch from devices: what the page cache had is not in it.
pub fn device_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Takes a file, or all files in a folder, out of the page cache. Nobody needs to be root for
/// that; [`device_bytes`] shows whether it worked.
pub fn evict(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            evict(&entry?.path())?;
        }
        return Ok(());
    }
    let file = match File::open(path) {
        // The other side may tidy up while it is open.
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.with_context(|| format!("open {}", path.display()))?,
    };
    // Only what is clean goes.
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}
