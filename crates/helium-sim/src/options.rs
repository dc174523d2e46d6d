//! What a driver does, and how the volumes under it are opened.
//!
//! Invariant: a volume opened with these does nothing by itself: the driver steps it.

use heliumdb::VolumeOptions;

use crate::machine::{DiskId, Machine};

/// What a driver does.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// The disks of each volume.
    pub volumes: Vec<Vec<DiskId>>,
    /// How many different keys there are.
    pub keys: usize,
    /// Transactions at a time.
    pub transactions: usize,
    /// Longest ordinary value, in bytes.
    pub value_bytes: usize,
    /// Chance of a value longer than a chunk.
    pub huge_values: f64,
    /// Chance of closing and opening everything.
    pub reopen: f64,
    /// Clean and do other background work all the time.
    pub busy: bool,
    /// Log between checkpoints, in bytes; `u64::MAX` for none.
    pub checkpoint_log_bytes: u64,
}

/// Options under which a volume does nothing by itself, and has little in memory.
pub fn sim_options() -> VolumeOptions {
    let mut options = VolumeOptions::default();
    options.background_thread = false;
    options.write_cache_bytes = 4 << 20;
    // Little, so that segments do not stay in memory: what is read comes from the disks.
    options.read_cache_bytes = 2 << 20;
    options
}

impl DriverOptions {
    pub(crate) fn volume_options(&self, machine: &Machine, volume: usize) -> VolumeOptions {
        let mut options = sim_options();
        options.clock = machine.clock().clone();
        options.chance = machine.chance(volume);
        if self.busy {
            options.auto_clean_period_ms = 0;
            options.clean_dirty_pct = 1;
            options.clean_util_pct = 100;
        }
        options.checkpoint_log_bytes = Some(self.checkpoint_log_bytes);
        options
    }
}
