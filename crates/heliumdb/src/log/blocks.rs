//! Blocks of the file system for free segments: of a regular file some may have none.
//!
//! Invariant: a free segment counts as room only if it has its header and blocks for all of it. So what is kept,
//! and what was promised, is there whoever else fills the file system.

use super::{core::Log, create::is_full};
use crate::{ErrorKind, Result};
use std::{io, sync::atomic::Ordering::*};

impl Log {
    /// Takes in a free segment as it was found: its blocks are there if its header says so.
    pub(super) fn admit(&self, id: u64) {
        let is_written = self.table.get(id).is_some_and(|s| s.written.load(Relaxed));
        let mut space = self.space.lock();
        if is_written {
            space.ready.insert(id);
        } else if self.may_be_hollow(id) {
            space.unknown.insert(id);
        } else {
            space.raw.insert(id);
        }
    }

    pub(super) fn may_be_hollow(&self, id: u64) -> bool {
        self.medium
            .device(self.medium.segment_place(id).0)
            .may_be_hollow()
    }

    /// Makes more room: gives blocks to a free segment that has none, or makes files longer, whose new segments may be
    /// given some then; false if neither can be.
    pub(super) fn make_room(&self) -> Result<bool> {
        if self.give_blocks()? {
            return Ok(true);
        }
        // Where there are no blocks for what there is, there are none for more.
        let are_left = self.space.lock().hollow_segments() > 0;
        Ok(!are_left && self.grow()?)
    }

    /// Sees to it that what is kept has its blocks, once something was written.
    pub(super) fn keep_blocks(&self) -> Result<bool> {
        Ok(self.written.frames() > 0 && self.lacks_kept_room() && self.give_blocks()?)
    }

    /// Whether there is less room than is to be kept.
    pub(super) fn lacks_kept_room(&self) -> bool {
        let space = self.space.lock();
        self.available(&space) < self.reserve_bytes() + space.promised
    }

    /// Gives a free segment blocks; false if there is none that can have them.
    pub(super) fn give_blocks(&self) -> Result<bool> {
        self.give_blocks_before(u64::MAX)
    }

    /// Gives one blocks whose number is below `end`.
    pub(super) fn give_blocks_before(&self, end: u64) -> Result<bool> {
        // What is known to have none is asked for once on each device: one is as good as another.
        let mut full_devices = 0u64;
        loop {
            let next = {
                let mut space = self.space.lock();
                let is_hope =
                    |id: &&u64| full_devices >> self.medium.segment_place(**id).0 & 1 == 0;
                let known = space.hollow.range(..end).find(is_hope).copied();
                let unknown = space.unknown.range(..end).next().copied();
                let unknown = unknown.filter(|id| space.unknown.remove(id));
                unknown.or_else(|| known.filter(|id| space.hollow.remove(id)))
            };
            let Some(id) = next else { break };
            match self.make_solid(id) {
                Ok(()) => {
                    self.space.lock().raw.insert(id);
                    self.space.out_of_blocks(false);
                    return Ok(true);
                }
                Err(why) => {
                    self.space.lock().hollow.insert(id);
                    if why.kind() != ErrorKind::VolumeFull {
                        return Err(why);
                    }
                    full_devices |= 1 << self.medium.segment_place(id).0;
                }
            }
        }
        if end == u64::MAX {
            self.space.out_of_blocks(full_devices != 0);
        }
        Ok(false)
    }

    /// Gives a free segment its header, and blocks for all of it.
    fn make_solid(&self, id: u64) -> Result<()> {
        self.head(id)?;
        let (device, offset) = self.medium.segment_place(id);
        match self
            .medium
            .device(device)
            .allocate(offset, self.medium.segment_bytes())
        {
            Ok(()) => {
                if let Some(segment) = self.table.get(id) {
                    segment.punched.store(false, Relaxed);
                }
                Ok(())
            }
            // Of what is there already some file systems ask for room again (XFS): a write shows whether it is.
            Err(why) if is_full(&why) || why.kind() == io::ErrorKind::Unsupported => {
                self.write_zeros(id)
            }
            Err(why) => Err(self
                .medium
                .io_error("allocate blocks on", device, offset, why)),
        }
    }
}
