//! Figures of volumes, for people and for programs.
//!
//! Invariant: one line for a volume, in WiredTiger's own configuration syntax behind its beginning, so
//! that a program's message handler can parse it. Names stay; new ones may come.

use super::{Mounted, Source};
use crate::host::Host;
use heliumdb::upkeep::Stats;
use std::fmt::Write;

impl<H: Host> Source<H> {
    /// Tells the figures of a volume, if anything is told.
    pub(super) fn tell_figures(&self, session: Option<H::Session>, mounted: &Mounted) {
        self.tell(session, || line(&mounted.name, &mounted.volume.stats()));
    }
}

/// The figures of the volume `name`.
fn line(name: &str, stats: &Stats) -> String {
    let numbers = [
        ("capacity_bytes", stats.capacity_bytes),
        ("used_bytes", stats.used_bytes),
        ("live_bytes", stats.live_bytes),
        ("index_bytes", stats.index_bytes),
        ("version_bytes", stats.version_bytes),
        ("read_cache_bytes", stats.read_cache_bytes),
        ("read_cache_hits", stats.read_cache_hits),
        ("read_cache_misses", stats.read_cache_misses),
        ("write_cache_bytes", stats.write_cache_bytes),
        ("device_reads", stats.device_reads),
        ("passed_slots", stats.passed_slots),
        ("user_bytes", stats.user_bytes),
        ("cleaner_bytes", stats.cleaner_bytes),
        ("checkpoint_written_bytes", stats.checkpoint_written_bytes),
        ("checkpoint_bytes", stats.checkpoint_bytes),
        ("written_bytes", stats.written_bytes),
        ("trimmed_bytes", stats.trimmed_bytes),
        ("compress_given_bytes", stats.compress_given_bytes),
        ("compress_stored_bytes", stats.compress_stored_bytes),
        ("syncs", stats.syncs),
        ("auto_commits", stats.auto_commits),
        ("scrubbed_bytes", stats.scrubbed_bytes),
        ("damaged_items", stats.damaged_items),
    ];
    let reads = stats.read_cache_hits + stats.read_cache_misses;
    let hit_pct = stats.read_cache_hits * 100 / reads.max(1);
    let mut line = format!("statistics of volume {name}: read_cache_hit_pct={hit_pct}");
    for (name, number) in numbers {
        // Writing to a string cannot fail.
        let _ = write!(line, ",{name}={number}");
    }
    let _ = write!(
        line,
        ",write_amplification=\"{:.2}\",space_amplification=\"{:.2}\"",
        stats.write_amplification(),
        stats.space_amplification()
    );
    line
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::config::Pairs;

    #[test]
    fn a_program_can_read_the_line() {
        let line = line("dev1", &heliumdb::upkeep::Stats::default());
        let text = line
            .strip_prefix("statistics of volume dev1: ")
            .expect("as documented");
        let pairs: Result<Vec<_>, _> = Pairs::new(text).collect();
        let pairs = pairs.expect("well-formed");
        assert!(pairs.iter().any(|(key, _)| key.text == "live_bytes"));
        assert!(pairs.iter().all(|(_, value)| !value.text.is_empty()));
    }
}
