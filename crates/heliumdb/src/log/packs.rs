//! Copies of neighbours' values, kept in the read cache beside single items: see [`crate::read`].
//!
//! Invariant: what is found under a name may be another copy than the one that got it, since names come again: what a
//! copy holds is told from the positions in it alone, which are never used twice.

use super::{Purpose, core::Log};
use crate::{
    cache::{By, named},
    location::Location,
};
use crossbeam_epoch::Guard;
use std::sync::atomic::Ordering::Acquire;

impl Log {
    /// Where in the log the item at `at` is, which is never said of another one: no place is used again for as long as
    /// the guard lives, which is there since before the caller learned of the place.
    #[inline]
    pub(crate) fn position_of(&self, at: Location, _guard: &Guard) -> Option<u64> {
        let (segment, within) = self.entry_of(at)?;
        Some(segment.sequence.load(Acquire) * self.medium.segment_bytes() + within as u64)
    }

    /// Whether the bytes of the item at `at` are in memory as part of the log, and not because they were read.
    pub(crate) fn is_resident(&self, at: Location, guard: &Guard) -> bool {
        let entry = self.entry_of(at);
        let buffer = entry.and_then(|(segment, within)| Some((segment.buffer(guard)?, within)));
        buffer.is_some_and(|(buffer, within)| buffer.holds(within))
    }

    /// What is kept under this name.
    #[inline]
    pub(crate) fn pack<'g>(&'g self, name: u32, guard: &'g Guard) -> Option<&'g [u8]> {
        self.residency.cache()?.find(named(name), By::Walk, guard)
    }

    /// A walk found so many items in a copy of neighbours.
    pub(crate) fn count_packed(&self, items: usize) {
        if let Some(cache) = self.residency.cache() {
            cache.count_packed(items);
        }
    }

    /// Asks the processor for what leads there.
    #[inline]
    pub(crate) fn prefetch_pack(&self, name: u32) {
        if let Some(cache) = self.residency.cache() {
            cache.prefetch(named(name));
        }
    }

    /// Keeps a copy of neighbours, if there is room for it now; under which name.
    pub(crate) fn keep_pack(&self, pack: &[u8], guard: &Guard) -> Option<u32> {
        let cache = self.residency.cache()?;
        let name = cache.new_name();
        self.keep(named(name), pack, By::Walk, guard);
        // It may have been refused.
        cache.has(named(name), guard).then_some(name)
    }

    /// Lets go of a copy that nobody will look for again.
    pub(crate) fn drop_pack(&self, name: u32, guard: &Guard) {
        if let Some(cache) = self.residency.cache() {
            cache.remove(named(name), guard);
        }
    }

    /// Whether items that are read for this are taken from copies of neighbours, and whether there may be any.
    #[inline]
    pub(crate) fn has_packs(&self, purpose: Purpose) -> bool {
        purpose == Purpose::Walk && self.residency.cache().is_some()
    }

    /// Keeps what was checked in the read cache, if there is one and it has room for that now.
    pub(super) fn keep(&self, position: u64, item: &[u8], by: By, guard: &Guard) {
        let Some(cache) = self.residency.cache() else {
            return;
        };
        let may_grow = || by == By::Point || cache.is_small() || self.residency.has_spare_memory();
        if cache.insert(position, item, by, &may_grow, guard) {
            self.residency.read_cache_grew(&self.table);
        }
    }
}
