//! What must stay because something else needs it: which segments are in use, which of
//! them hold records that speak of bytes in others, and which places make up a long value.

use super::{BatchKind, LogState};
use crate::{
    format::{frame::Spilled, name::GlobalTxn},
    location::Location,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A prepared batch that nothing in the log resolves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Prepared {
    pub(crate) batch: u64,
    /// Its transaction was acknowledged as committed.
    pub(crate) committed: bool,
}

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
    prepared: HashMap<GlobalTxn, Prepared>,
    /// Sequences of the segments of what was spilled and is not committed.
    spilled: HashMap<u64, Vec<u64>>,
    /// Bytes of the newest checkpoint, by segment.
    pub(super) pages: HashMap<u64, u64>,
    /// Long values: where their pieces are.
    pub(super) chunks: HashMap<u64, Box<[Location]>>,
}

impl Ledger {
    /// The batch's last frame is in `home`; all frames that are left of it are in `sequences`.
    pub(super) fn enter(
        &mut self,
        kind: &BatchKind,
        batch: u64,
        sequences: &[u64],
        home: u64,
        segment_bytes: u64,
    ) {
        let mut sequences = sequences.to_vec();
        match kind {
            // Replay asks for none of its frames, and whoever reads an item knows its place: each
            // segment is needed for what is live in it, and not for what others have.
            BatchKind::Checkpoint => return,
            BatchKind::Commit | BatchKind::Move { .. } => {}
            BatchKind::Prepare { global, .. } => {
                self.note_prepared(*global, batch);
            }
            BatchKind::Spill { id, .. } => {
                let all = self.spilled.entry(*id).or_default();
                all.extend(
                    sequences
                        .iter()
                        .filter(|s| !all.contains(s))
                        .copied()
                        .collect::<Vec<_>>(),
                );
            }
            // What was spilled counts only as long as its commit is there.
            BatchKind::CommitSpilled(Spilled { id, .. }) => {
                sequences.extend(self.spilled.remove(id).unwrap_or_default());
                sequences.sort_unstable();
            }
        }
        sequences.dedup();
        // The first segment may have been freed in an earlier session.
        if sequences != [batch / segment_bytes] {
            self.spans.insert(batch, sequences);
            self.pin(home, batch, 0);
        }
    }

    /// The first of the segments that hold something that was spilled and is not committed.
    pub(super) fn oldest_spill(&self) -> Option<u64> {
        self.spilled.values().flatten().copied().min()
    }

    /// What was spilled under `id` will not be committed.
    pub(super) fn forget_spill(&mut self, id: u64) {
        self.spilled.remove(&id);
    }

    /// Nothing of what is spilled and not committed will be.
    pub(super) fn forget_spills(&mut self) {
        self.spilled.clear();
    }

    /// A record in `home` says what became of `batch`.
    pub(super) fn outcome(&mut self, batch: u64, home: u64, segment_bytes: u64) {
        self.pin(home, batch, segment_bytes);
    }

    pub(super) fn resolved(&mut self, global: GlobalTxn, home: u64, segment_bytes: u64) {
        if let Some(Prepared { batch, .. }) = self.prepared.remove(&global) {
            self.pin(home, batch, segment_bytes);
        }
    }

    fn note_prepared(&mut self, name: GlobalTxn, batch: u64) {
        let committed = false;
        self.prepared.insert(name, Prepared { batch, committed });
    }

    /// The transaction `name` was acknowledged as committed, and nothing in the log says so yet.
    pub(super) fn committed(&mut self, name: GlobalTxn) {
        if let Some(prepared) = self.prepared.get_mut(&name) {
            prepared.committed = true;
        }
    }

    /// The prepared batches that nothing in the log resolves.
    pub(super) fn prepared(&self) -> Vec<(GlobalTxn, Prepared)> {
        let all = self.prepared.iter();
        all.map(|(name, prepared)| (*name, *prepared)).collect()
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

    /// How many other segments need a record in this one.
    pub(super) fn needs_record_of(&self, segment: u64) -> u32 {
        self.pins.get(&segment).copied().unwrap_or(0)
    }

    /// Segments in which this one needs a record.
    pub(super) fn homes_of(&self, segment: u64) -> impl Iterator<Item = u64> + '_ {
        self.homes.get(&segment).into_iter().flatten().copied()
    }

    /// Whether a record in the segment is still needed. An undecided batch needs its own bytes.
    pub(super) fn is_pinned(&self, segment: u64, sequence: u64, segment_bytes: u64) -> bool {
        self.needs_record_of(segment) > 0
            || self
                .prepared
                .values()
                .any(|Prepared { batch, .. }| match self.spans.get(batch) {
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

/// What a checkpoint keeps: segments by sequence.
impl Ledger {
    pub(super) fn save(&self, state: &mut LogState) {
        let sequences: HashMap<u64, u64> = self.in_use.iter().map(|(s, id)| (*id, *s)).collect();
        for (segment, homes) in &self.homes {
            let pairs = homes
                .iter()
                .filter_map(|home| Some((*sequences.get(segment)?, *sequences.get(home)?)));
            state.homes.extend(pairs);
        }
        let spans = self.spans.iter();
        state
            .spans
            .extend(spans.map(|(batch, s)| (*batch, s.clone())));
        let prepared = self.prepared.iter();
        state
            .prepared
            .extend(prepared.map(|(name, prepared)| (*name, prepared.batch)));
        let chunks = self.chunks.iter();
        state
            .chunks
            .extend(chunks.map(|(item, c)| (*item, c.to_vec())));
        // The same log has the same checkpoint, whatever order the maps are in.
        state.homes.sort_unstable();
        state.spans.sort_unstable_by_key(|(batch, _)| *batch);
        state.prepared.sort_unstable_by_key(|(name, _)| *name);
        state.chunks.sort_unstable_by_key(|(item, _)| *item);
    }

    pub(super) fn load(&mut self, state: &LogState) {
        for (segment, home) in &state.homes {
            let ids = (self.in_use.get(segment), self.in_use.get(home));
            if let (Some(&segment), Some(&home)) = ids
                && self.homes.entry(segment).or_default().insert(home)
            {
                *self.pins.entry(home).or_default() += 1;
            }
        }
        let in_use = &self.in_use;
        let spans = state.spans.iter();
        let known = spans.filter(|(_, s)| s.iter().any(|s| in_use.contains_key(s)));
        self.spans.extend(known.cloned());
        for (name, batch) in &state.prepared {
            self.note_prepared(*name, *batch);
        }
        let chunks = state.chunks.iter();
        self.chunks
            .extend(chunks.map(|(item, places)| (*item, places.clone().into_boxed_slice())));
    }
}
