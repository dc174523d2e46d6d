//! What must stay because something else needs it: which segments are in use, which of
//! them hold records that speak of bytes in others, and which places make up a long value.

use super::GlobalTxn;
use crate::location::Location;
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Default)]
pub(super) struct Ledger {
    /// Segments in use: sequence to id.
    pub(super) in_use: BTreeMap<u64, u64>,
    /// How many segments need a record in this one.
    pins: HashMap<u64, u32>,
    /// Which segments hold records that speak of this one.
    homes: HashMap<u64, HashSet<u64>>,
    /// Sequences of the segments of batches that lie in others than their number says.
    spans: HashMap<u64, Vec<u64>>,
    /// Prepared batches without a resolve record.
    prepared: HashMap<GlobalTxn, u64>,
    /// Long values: where their pieces are.
    pub(super) chunks: HashMap<u64, Box<[Location]>>,
}

impl Ledger {
    /// The batch's last frame is in `home`; all frames that are left of it are in `sequences`.
    pub(super) fn batch(&mut self, batch: u64, sequences: &[u64], home: u64, segment_bytes: u64) {
        // The first segment may have been freed in an earlier session.
        if sequences != [batch / segment_bytes] {
            self.spans.insert(batch, sequences.to_vec());
            self.pin(home, batch, 0);
        }
    }

    pub(super) fn prepared(&mut self, global: GlobalTxn, batch: u64) {
        self.prepared.insert(global, batch);
    }

    /// A record in `home` says what became of `batch`.
    pub(super) fn outcome(&mut self, batch: u64, home: u64, segment_bytes: u64) {
        self.pin(home, batch, segment_bytes);
    }

    pub(super) fn resolved(&mut self, global: GlobalTxn, home: u64, segment_bytes: u64) {
        if let Some(batch) = self.prepared.remove(&global) {
            self.pin(home, batch, segment_bytes);
        }
    }

    fn pin(&mut self, home: u64, batch: u64, segment_bytes: u64) {
        let sequences = match self.spans.get(&batch) {
            Some(sequences) => sequences.clone(),
            None => vec![batch.checked_div(segment_bytes).unwrap_or(0)],
        };
        for sequence in sequences {
            let Some(&segment) = self.in_use.get(&sequence) else {
                continue;
            };
            if segment != home && self.homes.entry(segment).or_default().insert(home) {
                *self.pins.entry(home).or_default() += 1;
            }
        }
    }

    fn unpin(&mut self, home: u64) {
        if let Some(count) = self.pins.get_mut(&home) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&home);
            }
        }
    }

    /// Whether a record in the segment is still needed. An undecided batch needs its own bytes.
    pub(super) fn is_pinned(&self, segment: u64, sequence: u64, segment_bytes: u64) -> bool {
        self.pins.contains_key(&segment)
            || self
                .prepared
                .values()
                .any(|batch| match self.spans.get(batch) {
                    Some(sequences) => sequences.contains(&sequence),
                    None => batch / segment_bytes == sequence,
                })
    }

    /// The segment holds nothing any more.
    pub(super) fn freed(&mut self, segment: u64, sequence: u64) {
        self.in_use.remove(&sequence);
        for home in self.homes.remove(&segment).unwrap_or_default() {
            self.unpin(home);
        }
        let in_use = &self.in_use;
        self.spans
            .retain(|_, sequences| sequences.iter().any(|s| in_use.contains_key(s)));
    }
}
