//! Processes, and on which machine they are: whether one that opened a volume once is still there.
//!
//! Invariant: a process counts as gone only if the kernel that it ran on says so, or that kernel is gone.
//! Whatever cannot be found out is unknown.
#![expect(
    clippy::disallowed_methods,
    reason = "what the kernel says of processes is on no device"
)]

use std::{fs, os::unix::fs::MetadataExt};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
    system::uname,
};
use xxhash_rust::xxh3::xxh3_128;

const NAME_BYTES: usize = 64;
/// Set in a process's flags by the kernel while it ends: its files are closed, or will be before anybody
/// hears of its end.
const EXITING: u64 = 4;

/// A process, in a way that means the same on every machine and for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    /// Of the machine's id; zeros if it has none.
    pub(crate) host: [u8; 16],
    /// Which start of the kernel; zeros if that is not known.
    pub(crate) boot: [u8; 16],
    /// In which numbering of processes.
    pub(crate) namespace: u64,
    pub(crate) pid: u64,
    /// When it was started, since numbers are given again; 0 if that is not known.
    pub(crate) started: u64,
    /// The machine's name, for people.
    pub(crate) name: [u8; NAME_BYTES],
}

/// What is known of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Alive,
    Gone,
    Unknown,
}

impl Process {
    /// This one.
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let id = |text: String| match text.trim() {
            "" => [0; 16],
            text => xxh3_128(text.as_bytes()).to_le_bytes(),
        };
        let mut name = [0; NAME_BYTES];
        let uname = uname();
        let from = uname.nodename().to_bytes();
        let len = from.len().min(NAME_BYTES);
        name[..len].copy_from_slice(&from[..len]);
        let pid = u64::from(std::process::id());
        Self {
            host: id(read("/etc/machine-id")),
            boot: id(read("/proc/sys/kernel/random/boot_id")),
            namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino()),
            pid,
            started: Seen::of(pid).map_or(0, |seen| seen.started),
            name,
        }
    }

    /// What is known here of that process.
    pub(crate) fn standing(&self, here: &Self) -> Standing {
        if self.boot != here.boot || self.boot == [0; 16] {
            let is_same_host = self.host == here.host && self.host != [0; 16];
            // It ran before the machine was started again.
            return match is_same_host && self.boot != [0; 16] && here.boot != [0; 16] {
                true => Standing::Gone,
                false => Standing::Unknown,
            };
        }
        if self.namespace != here.namespace || self.namespace == 0 {
            return Standing::Unknown;
        }
        match Seen::of(self.pid) {
            Some(seen) if self.started == 0 || seen.started == self.started => match seen.is_ending
            {
                true => Standing::Gone,
                false => Standing::Alive,
            },
            Some(_) => Standing::Gone,
            None => self.without_proc(),
        }
    }

    /// Where other users' processes are hidden, the kernel still says whether there is one.
    fn without_proc(&self) -> Standing {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid.map(test_kill_process) {
            None | Some(Err(Errno::SRCH)) => Standing::Gone,
            Some(_) => Standing::Unknown,
        }
    }

    /// Whether both are one and the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.boot, self.namespace, self.pid, self.started)
            == (other.boot, other.namespace, other.pid, other.started)
    }

    /// For messages.
    pub(crate) fn described(&self, here: &Self) -> String {
        let end = self.name.iter().position(|&b| b == 0).unwrap_or(NAME_BYTES);
        let name = self.name[..end].escape_ascii();
        let is_here = self.boot == here.boot && self.namespace == here.namespace;
        match (is_here, self.pid == here.pid) {
            (true, true) => "this process".to_owned(),
            (true, false) => format!("process {}", self.pid),
            (false, _) => format!("process {} on {name}", self.pid),
        }
    }
}

/// What the kernel shows of a process.
struct Seen {
    started: u64,
    is_ending: bool,
}

impl Seen {
    fn of(pid: u64) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&stat)
    }

    /// A line reads like `42 (na me) S 1 42 42 0 -1 4194560 …`, and the name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields.get(at)?.trim().parse::<u64>().ok();
        let is_dead = matches!(*fields.first()?, "Z" | "X" | "x");
        Some(Self {
            started: number(19)?,
            is_ending: is_dead || number(6)? & EXITING != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Above all numbers that the kernel gives.
    const NO_PROCESS: u64 = (1 << 22) + 1;

    #[test]
    fn this_process_is_alive_and_others_are_what_the_kernel_says() {
        let here = Process::here();
        assert_eq!(here.standing(&here), Standing::Alive);
        assert_eq!(here.described(&here), "this process");
        let other = |change: fn(&mut Process)| {
            let mut other = here;
            change(&mut other);
            other.standing(&here)
        };
        assert_eq!(other(|p| p.started += 1), Standing::Gone);
        for no_process in [NO_PROCESS, 1 << 40, 0] {
            let gone = Process {
                pid: no_process,
                ..here
            };
            assert_eq!(gone.standing(&here), Standing::Gone);
        }
        assert_eq!(other(|p| p.namespace += 1), Standing::Unknown);
        assert_eq!(other(|p| p.boot = [0; 16]), Standing::Unknown);
        let elsewhere = |host: [u8; 16]| {
            let mut now = here;
            now.host = [1; 16];
            let other = Process {
                host,
                boot: [7; 16],
                ..here
            };
            other.standing(&now)
        };
        assert_eq!(elsewhere([1; 16]), Standing::Gone);
        assert_eq!(elsewhere([2; 16]), Standing::Unknown);
        assert_eq!(elsewhere([0; 16]), Standing::Unknown);
    }

    #[test]
    fn lines_of_the_kernel_are_read_whatever_the_name() {
        let line = |state: &str, flags: u64| {
            format!("42 (a) b) (c) {state} 1 42 42 0 -1 {flags} 9 0 0 0 0 0 0 0 20 0 1 0 7654 8 9")
        };
        let seen = |state, flags| {
            let seen = Seen::parse(&line(state, flags)).unwrap();
            (seen.started, seen.is_ending)
        };
        assert_eq!(seen("S", 0x40_0000), (7654, false));
        assert_eq!(seen("Z", 0x40_0000), (7654, true));
        assert_eq!(seen("R", 0x40_0004), (7654, true));
        for bad in ["", "42", "42 (a", "42 (a) S", "42 (a) S 1 2 3 4 5 x"] {
            assert!(Seen::parse(bad).is_none(), "{bad}");
        }
    }
}
