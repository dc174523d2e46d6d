//! Spilling: a transaction over its memory budget sends its values to the log before it commits.
//!
//! Invariant: what was spilled counts only through the commit that names its id, and without the
//! stretches of sequence numbers that the commit takes out. An id is never given twice: recovery
//! goes on above every id it has met.

use crossbeam_epoch as epoch;

use super::part::Part;
use crate::{
    error::{Error, ErrorKind, Result},
    format::frame::Spilled,
    limits::SPILL_SKIPS_MAX,
    log::{Batch, BatchKind, Log},
    version::{Payload, Said},
};

/// A spilled batch that has grown to so many bytes is appended.
const BATCH_BYTES: usize = 8 << 20;

/// What a part has spilled.
#[derive(Default)]
pub(super) struct Spill {
    /// The id, once anything was.
    pub(super) id: Option<u64>,
    /// How many batches, and ids of the first and of the last of them.
    batches: u64,
    first: u64,
    last: u64,
    /// Sequence numbers, from and below, whose items were taken back.
    skipped: Vec<(u64, u64)>,
    /// Writes before this one have no values in memory.
    done: usize,
}

impl Spill {
    /// A batch was appended.
    fn count_batch(&mut self, batch: u64) {
        if self.batches == 0 {
            self.first = batch;
        }
        self.last = batch;
        self.batches += 1;
    }

    /// Only so many writes are left.
    pub(super) fn keep(&mut self, writes: usize) {
        self.done = self.done.min(writes);
    }

    /// What the part commits as.
    pub(super) fn commit_kind(&self) -> BatchKind {
        match self.id {
            None => BatchKind::Commit,
            Some(id) => BatchKind::CommitSpilled(Spilled {
                id,
                batches: self.batches,
                first: self.first,
                last: self.last,
                skipped: self.skipped.clone(),
            }),
        }
    }

    /// How many batches were spilled.
    pub(super) fn batches(&self) -> u64 {
        self.batches
    }

    /// Fails if the commit could not say that items from `from` on do not count.
    pub(super) fn check_skip(&self, from: u64) -> Result<()> {
        let kept = self.skipped.iter().filter(|(start, _)| *start < from);
        if kept.count() < SPILL_SKIPS_MAX {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the transaction went back to a savepoint more than {SPILL_SKIPS_MAX} times after it had outgrown its \
                 memory budget; roll it back, and give it a larger one, or go back to an earlier savepoint"
            ),
        ))
    }

    /// Items with sequence numbers from `from` up to below `to` do not count, nor did those from
    /// `from` on before: see [`Spill::check_skip`].
    pub(super) fn skip(&mut self, from: u64, to: u64) {
        self.skipped.retain(|(start, _)| *start < from);
        self.skipped.push((from, to));
    }

    /// The transaction is over without a commit.
    pub(super) fn forget(&mut self, log: &Log) {
        if let Some(id) = self.id.take() {
            log.forget_spill(id);
        }
    }
}

impl Part {
    /// Sends values to the log if they take more than `budget_bytes` of memory.
    pub(super) fn spill_over(&mut self, budget_bytes: usize) -> Result<()> {
        if self.value_bytes <= budget_bytes {
            return Ok(());
        }
        let id = match self.spill.id {
            Some(id) => id,
            None => *self.spill.id.insert(self.volume.writing.next_sequence()),
        };
        let mut batch = Batch::new(BatchKind::Commit);
        let mut next = self.spill.done;
        while next < self.writes.len() {
            let first = next;
            let number = self.spill.batches;
            batch.clear(BatchKind::Spill { id, number });
            while next < self.writes.len() && batch.bytes() < BATCH_BYTES {
                self.push_spilled(next, &mut batch);
                next += 1;
            }
            if batch.len() > 0 {
                self.enter_gate();
                // CRASH: nothing in it counts without the commit that names `id`.
                let appended = self.append(&mut batch);
                let noted = appended.map(|appended| {
                    self.spill.count_batch(appended.batch_id);
                    self.note_spilled(first..next, &appended.locations);
                });
                self.leave_gate();
                // What is in the log is not changed any more, even if the next batch is refused.
                self.in_place_from = self.volume.writing.next_sequence();
                noted?;
            }
        }
        self.need_only(0);
        self.spill.done = self.writes.len();
        self.value_bytes = 0;
        Ok(())
    }

    fn push_spilled(&self, write: usize, batch: &mut Batch) {
        let write = &self.writes[write];
        let version = write.held.version();
        if let Said::Bytes(bytes) = version.payload.get(&epoch::pin()) {
            let key = &self.keys[write.key.clone()];
            let tree = &self.trees[write.tree];
            batch.set_compress(tree.compresses());
            batch.push(
                tree.id,
                version.sequence,
                version.overtakes,
                key,
                Some(bytes),
            );
        }
    }

    fn note_spilled(
        &self,
        writes: std::ops::Range<usize>,
        locations: &[crate::location::Location],
    ) {
        let guard = epoch::pin();
        let mut locations = locations.iter();
        let mut freed = 0;
        for write in &self.writes[writes] {
            let payload = &write.held.version().payload;
            if let Said::Bytes(_) = payload.get(&guard)
                && let Some(&location) = locations.next()
            {
                freed += payload.replace(Payload::at(location), &guard);
            }
        }
        self.volume.writing.unsettled.add_bytes(freed);
    }
}
