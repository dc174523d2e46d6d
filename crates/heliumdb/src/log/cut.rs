//! Cutting off what is free at the ends of files that have grown.
//!
//! Invariants: no copy of a superblock ever counts more than the device has, so both copies say that it is shorter,
//! durably, before it becomes so (a file that stays longer does no harm: the next growth takes it as it is). And
//! what recovery follows leads nowhere behind the new end: what is cut off was free, and nobody could use it any
//! more, before the checkpoint was begun that the superblock names by then. What older records say of it, only
//! reading the whole log comes to, and that looks for nothing there.

use super::core::Log;
use crate::{Result, format::SEGMENTS_AT};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::*},
};

/// A file keeps so many segments more than are in use and set aside: the one that is begun next, and a partly
/// filled one beside it.
const SPARE_SEGMENTS: u64 = 2;

/// Segments at the ends of files that nobody can use any more. They can be again if it is dropped.
pub(crate) struct Cut {
    log: Arc<Log>,
    /// Each file that grows is to have so many segments.
    index: u64,
    solid: BTreeSet<u64>,
    hollow: BTreeSet<u64>,
}

impl Drop for Cut {
    fn drop(&mut self) {
        let mut space = self.log.space.lock();
        space.end = u64::MAX;
        space.unknown.append(&mut self.hollow);
        space.raw.append(&mut self.solid);
    }
}

impl Log {
    /// Free segments before this one: they are used first.
    #[cfg(test)]
    pub(crate) fn free_segments_before(&self, segment: u64) -> u64 {
        self.space.lock().free_before(segment)
    }

    /// From which number on segments are to come free if so many are in use; `None` if there are no more of them. Where
    /// only some devices grow, those of others with such a number may stay.
    fn end_for(&self, in_use: u64) -> Option<u64> {
        Some(self.index_for(in_use)? * self.medium.devices().len() as u64)
    }

    /// Makes room for so many bytes in front of the end that files could have with so many segments in use, as far as
    /// there is any, and begins a segment there if the one that is being filled lies behind it. The end, and how many
    /// bytes of room there are.
    pub(crate) fn prepare_front(&self, in_use: u64, bytes: u64) -> Result<Option<(u64, u64)>> {
        let Some(end) = self.end_for(in_use) else {
            return Ok(None);
        };
        let room = |log: &Self| log.space.lock().free_before(end) * log.medium.usable();
        // One is begun, and what is moved comes to its end.
        let wanted = bytes + 2 * self.medium.usable();
        while room(self) < wanted && self.give_blocks_before(end)? {}
        self.space.lock().end = end;
        if room(self) >= 2 * self.medium.usable() {
            self.leave_end(end)?;
        }
        Ok(Some((end, room(self).saturating_sub(self.medium.usable()))))
    }

    /// Whether the segment is one of a file that grows.
    pub(crate) fn is_of_growing(&self, id: u64) -> bool {
        let device = self.medium.segment_place(id).0;
        self.superblocks.grows(device)
    }

    /// How many segments each file that grows needs if so many of the volume's are in use; `None` if it has no more.
    fn index_for(&self, in_use: u64) -> Option<u64> {
        let promised = self.space.lock().promised;
        let kept = (self.reserve_bytes() + promised).div_ceil(self.medium.usable());
        let wanted = (in_use + kept + SPARE_SEGMENTS).max(self.least_segments());
        let members = self.superblocks.members();
        let segments = |grows: bool| {
            let some = members.iter().filter(move |m| m.grows == grows);
            some.map(|m| self.medium.segments_in(m.bytes))
        };
        let growing = segments(true).count() as u64;
        let fixed: u64 = segments(false).sum();
        let index = wanted.saturating_sub(fixed).div_ceil(growing.max(1)).max(1);
        (index < segments(true).max()?).then_some(index)
    }

    /// Takes what is free at the ends of files away from everybody, as far as it is not needed; `None` if there is
    /// nothing, or no room for what is kept without it.
    pub(crate) fn begin_cut(self: &Arc<Self>) -> Result<Option<Cut>> {
        self.health.check_writable()?;
        let in_use = self.ledger.lock().in_use.len() as u64 + self.leaving();
        let Some(least) = self.index_for(in_use) else {
            return Ok(None);
        };
        let Some(cut) = self.withhold(least) else {
            return Ok(None);
        };
        // What is kept has its blocks in front of the end.
        while self.lacks_kept_room() {
            if !self.give_blocks()? {
                return Ok(None);
            }
        }
        Ok(Some(cut))
    }

    fn withhold(self: &Arc<Self>, least: u64) -> Option<Cut> {
        let members = self.superblocks.members();
        let n = members.len() as u64;
        let grows = |id: u64| members[(id % n) as usize].grows;
        let mut space = self.space.lock();
        let lists = [&space.ready, &space.raw, &space.unknown, &space.hollow];
        let is_free = |id: u64| lists.iter().any(|list| list.contains(&id));
        let mut index = self.longest(&members);
        // All of a stretch over the files has to be free.
        let is_over = |index: u64| (index * n..(index + 1) * n).all(|id| !grows(id) || is_free(id));
        while index > least && is_over(index - 1) {
            index -= 1;
        }
        if index == self.longest(&members) {
            return None;
        }
        let mut take = |list: fn(&mut super::space::Space) -> &mut BTreeSet<u64>| {
            let list = list(&mut space);
            let taken: BTreeSet<u64> = list.range(index * n..).copied().collect();
            let taken: BTreeSet<u64> = taken.into_iter().filter(|id| grows(*id)).collect();
            list.retain(|id| !taken.contains(id));
            taken
        };
        let mut solid = take(|space| &mut space.ready);
        solid.append(&mut take(|space| &mut space.raw));
        let mut hollow = take(|space| &mut space.unknown);
        hollow.append(&mut take(|space| &mut space.hollow));
        drop(space);
        Some(Cut {
            log: Arc::clone(self),
            index,
            solid,
            hollow,
        })
    }

    /// Segments of the longest file that grows.
    fn longest(&self, members: &[crate::format::superblock::Member]) -> u64 {
        let growing = members.iter().filter(|m| m.grows);
        growing
            .map(|m| self.medium.segments_in(m.bytes))
            .max()
            .unwrap_or(0)
    }

    /// Cuts off what was taken away, now that a checkpoint is durable that was begun since. False if somebody reads
    /// the files from end to end, or has made them longer.
    pub(crate) fn end_cut(&self, mut cut: Cut) -> Result<bool> {
        // In this order: who frees segments asks for blocks, and for headers.
        let Some(_held) = self.freeing.alone() else {
            return Ok(false);
        };
        let _one = self.growth.alone();
        let members = self.superblocks.members();
        let behind: u64 = (members.iter().filter(|m| m.grows))
            .map(|m| self.medium.segments_in(m.bytes).saturating_sub(cut.index))
            .sum();
        let taken = (cut.solid.len() + cut.hollow.len()) as u64;
        if behind != taken {
            return Ok(false);
        }
        let bytes = SEGMENTS_AT + cut.index * self.medium.segment_bytes();
        self.superblocks.update(&self.medium, |next| {
            let growing = next.members.iter_mut().filter(|m| m.grows);
            growing.for_each(|m| m.bytes = m.bytes.min(bytes));
        })?;
        // They are not there any more, whatever becomes of the rest.
        for id in cut.solid.iter().chain(&cut.hollow) {
            if let Some(segment) = self.table.get(*id) {
                segment.written.store(false, Relaxed);
                segment.punched.store(false, Relaxed);
            }
        }
        cut.solid.clear();
        cut.hollow.clear();
        // CRASH: the file is longer than the newest superblock says. The other copy, which would lead behind its end
        // if this one were destroyed later, is written before it becomes shorter.
        self.superblocks.update(&self.medium, |_| {})?;
        for (i, member) in members.iter().enumerate().filter(|(_, m)| m.grows) {
            // CRASH: as before, or as it is to be.
            if let Err(why) = self.medium.device(i).shrink(member.bytes.min(bytes)) {
                let name = self.medium.device(i).name();
                tracing::warn!(device = name, %why, "the file stays as long as it is");
            }
        }
        self.growth.begin_again();
        Ok(true)
    }
}
