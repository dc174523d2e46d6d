//! How much memory the machine can still give us.
//!
//! The kernel's estimate of what is available, and the limit of each control group that the
//! process is in. Where neither can be read, nothing is known.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Bytes that can be had now.
pub(crate) fn memory_bytes() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let available = read(Path::new("/proc/meminfo")).and_then(|text| available(&text));
    let limit = read(Path::new("/proc/self/cgroup"))
        .and_then(|text| limit(&text, Path::new("/sys/fs/cgroup"), read));
    match (available, limit) {
        (Some(available), Some(limit)) => Some(available.min(limit)),
        (one, other) => one.or(other),
    }
}

/// `MemAvailable` of `/proc/meminfo`, which counts in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The lowest `memory.max` of the process's control group (version 2) and those above it.
fn limit(cgroups: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut folder = PathBuf::from(root);
    folder.push(group.trim_start_matches('/'));
    let mut lowest: Option<u64> = None;
    loop {
        let own = read(&folder.join("memory.max")).and_then(|text| text.trim().parse().ok());
        lowest = match (lowest, own) {
            (Some(lowest), Some(own)) => Some(lowest.min(own)),
            (one, other) => one.or(other),
        };
        if folder == root || !folder.pop() {
            return lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_found() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   23 kB\n";
        assert_eq!(available(text), Some(23 * 1024));
        for bad in ["", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 5"] {
            assert_eq!(available(bad), None, "{bad}");
        }
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_lowest_limit_of_all_groups_counts() {
        let root = Path::new("/sys/fs/cgroup");
        let files = |path: &Path| {
            let found = [("a/b/memory.max", "max\n"), ("a/memory.max", "4096\n")];
            let name = path.strip_prefix(root).ok()?.to_str()?.to_owned();
            let text = found.iter().find(|(file, _)| *file == name)?;
            Some(text.1.to_owned())
        };
        assert_eq!(limit("0::/a/b\n", root, files), Some(4096));
        assert_eq!(limit("0::/\n", root, files), None);
        assert_eq!(limit("4:memory:/a\n", root, files), None);
        assert_eq!(limit("0::/../../x\n", root, files), None);
    }
}
