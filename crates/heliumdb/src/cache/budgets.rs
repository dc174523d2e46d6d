//! How much memory the caches may take: what was asked for, as far as the machine has it.
//!
//! Invariant: a setting that is too large is never refused, and never more than a share of what
//! can be had. Whoever shares the machine with us needs the rest, and so does the index.

use crate::options::VolumeOptions;

/// Of the memory to be had, the read cache may take a half, the write cache a quarter.
const READ_SHARE: u64 = 2;
const WRITE_SHARE: u64 = 4;

/// What the caches of a volume get, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Budgets {
    pub(crate) write_cache_bytes: usize,
    pub(crate) read_cache_bytes: usize,
}

impl Budgets {
    /// What `options` ask for, on a machine that has `available` bytes to spare.
    pub(crate) fn of(options: &VolumeOptions, available: Option<u64>) -> Self {
        let share = |wanted: u64, of: u64| {
            let most = available.map_or(u64::MAX, |bytes| bytes / of);
            if wanted > most {
                tracing::warn!(wanted, most, "a cache is smaller than was asked for");
            }
            usize::try_from(wanted.min(most)).unwrap_or(usize::MAX)
        };
        Self {
            write_cache_bytes: share(options.write_cache_bytes, WRITE_SHARE),
            read_cache_bytes: share(options.read_cache_bytes, READ_SHARE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(write: u64, read: u64, available: Option<u64>) -> (usize, usize) {
        let options = VolumeOptions {
            write_cache_bytes: write,
            read_cache_bytes: read,
            ..VolumeOptions::default()
        };
        let budgets = Budgets::of(&options, available);
        (budgets.write_cache_bytes, budgets.read_cache_bytes)
    }

    #[test]
    fn what_the_machine_has_is_given_and_no_more() {
        assert_eq!(budgets(250, 500, Some(1000)), (250, 500));
        assert_eq!(budgets(251, 501, Some(1000)), (250, 500));
        assert_eq!(budgets(u64::MAX, u64::MAX, Some(1000)), (250, 500));
        assert_eq!(budgets(7, 8, None), (7, 8));
        assert_eq!(budgets(0, 0, Some(0)), (0, 0));
    }
}
