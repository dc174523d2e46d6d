//! How much memory the machine can give us: now, and ever.
//!
//! The kernel's figures, the limits of the control groups that the process is in, of both versions, and of the
//! process itself (`ulimit -v`, `ulimit -d`). Where none can be read, nothing is known.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, getrlimit};

use crate::enough;

/// A limit of version 1 that is none: the largest number of pages.
const UNLIMITED_BYTES: u64 = i64::MAX as u64 / 4096 * 4096;

/// Bytes that can be had now.
pub(crate) fn memory_bytes() -> Option<u64> {
    let available = meminfo(&["MemAvailable:"]);
    lowest([available, group_limit(), process_left()])
}

/// Bytes that the process can have when nobody else has any.
pub(crate) fn total_memory_bytes() -> Option<u64> {
    let total = meminfo(&["MemTotal:", "SwapTotal:"]);
    lowest([total, group_limit(), process_limit()])
}

fn lowest<const N: usize>(limits: [Option<u64>; N]) -> Option<u64> {
    limits.into_iter().flatten().min()
}

fn meminfo(names: &[&str]) -> Option<u64> {
    let text = read(Path::new("/proc/meminfo"))?;
    names.iter().map(|name| figure(&text, name)).sum()
}

/// A line of `/proc/meminfo`, which counts in KiB.
fn figure(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn process_limit() -> Option<u64> {
    let limits = [Resource::As, Resource::Data].map(|resource| getrlimit(resource).current);
    lowest(limits)
}

/// What the process may yet have by its own limits, without what is looked for before anything is kept.
fn process_left() -> Option<u64> {
    let status = read(Path::new("/proc/self/status"));
    let left = |resource, name| {
        let taken = status.as_deref().and_then(|status| figure(status, name));
        let kept = taken
            .unwrap_or(0)
            .saturating_add(enough::NEEDED_BYTES as u64);
        Some(getrlimit(resource).current?.saturating_sub(kept))
    };
    lowest([
        left(Resource::As, "VmSize:"),
        left(Resource::Data, "VmData:"),
    ])
}

fn group_limit() -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let root = Path::new("/sys/fs/cgroup");
    lowest([limit(&groups, root, read), limit_1(&groups, root, read)])
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The lowest `memory.max` of the process's control group (version 2) and those above it.
fn limit(groups: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    lowest_above(root, group, "memory.max", read)
}

/// The same of version 1, whose groups are in a hierarchy of their own for memory. What the process sees of it may
/// start at its own group: then the path is one that is not there.
fn limit_1(groups: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let mut controllers = fields.next()?.split(',');
        controllers
            .any(|one| one == "memory")
            .then(|| fields.next())?
    })?;
    let found = lowest_above(&root.join("memory"), group, "memory.limit_in_bytes", read);
    found.filter(|bytes| *bytes < UNLIMITED_BYTES)
}

fn lowest_above(
    root: &Path,
    group: &str,
    file: &str,
    read: impl Fn(&Path) -> Option<String>,
) -> Option<u64> {
    let mut folder = PathBuf::from(root);
    folder.push(group.trim_start_matches('/'));
    let mut found = None;
    loop {
        let own = read(&folder.join(file)).and_then(|text| text.trim().parse().ok());
        found = lowest([found, own]);
        if folder == root || !folder.pop() {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/sys/fs/cgroup";

    /// A file system that has these files under [`ROOT`].
    fn files<'a>(found: &'a [(&'a str, &'a str)]) -> impl Fn(&Path) -> Option<String> + 'a {
        |path| {
            let name = path.strip_prefix(ROOT).ok()?.to_str()?.to_owned();
            let text = found.iter().find(|(file, _)| *file == name)?;
            Some(text.1.to_owned())
        }
    }

    #[test]
    fn available_memory_is_found() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   23 kB\n";
        assert_eq!(figure(text, "MemAvailable:"), Some(23 * 1024));
        for bad in ["", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 5"] {
            assert_eq!(figure(bad, "MemAvailable:"), None, "{bad}");
        }
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(total_memory_bytes() >= memory_bytes());
    }

    #[test]
    fn the_lowest_limit_of_all_groups_counts() {
        let root = Path::new(ROOT);
        let files = files(&[("a/b/memory.max", "max\n"), ("a/memory.max", "4096\n")]);
        assert_eq!(limit("0::/a/b\n", root, &files), Some(4096));
        assert_eq!(limit("0::/\n", root, &files), None);
        assert_eq!(limit("4:memory:/a\n", root, &files), None);
        assert_eq!(limit("0::/../../x\n", root, &files), None);
    }

    #[test]
    fn groups_of_version_1_have_limits_too() {
        let root = Path::new(ROOT);
        let files = files(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.limit_in_bytes", "314572800\n"),
            ("memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let limit = |groups: &str| limit_1(groups, root, &files);
        let others = "12:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/z\n";
        assert_eq!(limit(&format!("{others}4:memory:/a/b\n")), Some(300 << 20));
        assert_eq!(limit("4:hugetlb,memory:/a\n"), Some(300 << 20));
        assert_eq!(limit("4:memory:/\n"), None);
        assert_eq!(limit(others), None);
    }

    /// In a container the process's own group is at the root of what it sees, under another name than it has.
    #[test]
    fn a_group_that_is_named_from_outside_is_at_the_root() {
        let files = files(&[("memory/memory.limit_in_bytes", "314572800\n")]);
        let limit = limit_1("4:memory:/docker/1f\n", Path::new(ROOT), files);
        assert_eq!(limit, Some(300 << 20));
    }
}
