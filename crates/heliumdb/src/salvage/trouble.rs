//! Where something may be missing without a trace.
//!
//! Invariant: a segment that is not here was read from its first frame to its last, each
//! following the one before; or it was not read at all, because it was freed or its header is lost.

use crate::location::Lsn;
use std::collections::BTreeSet;

/// Sequences of segments in which the chain of frames is broken.
#[derive(Default)]
pub(super) struct Trouble(BTreeSet<u64>);

impl Trouble {
    pub(super) fn add(&mut self, sequence: u64) {
        self.0.insert(sequence);
    }

    /// Whether there is any in the segments of two positions, or between them.
    pub(super) fn is_within(&self, from: Lsn, to: Lsn, segment_bytes: u64) -> bool {
        let (first, last) = (from / segment_bytes, to / segment_bytes);
        first <= last && self.0.range(first..=last).next().is_some()
    }
}
