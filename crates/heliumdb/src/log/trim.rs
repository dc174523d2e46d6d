//! Giving freed segments back to the device (TRIM).
//!
//! Invariants: a segment is given back only while it is free and no reader can hold a place in
//! it, and only after it is durable that its blocks may be gone; its header stays. As many segments
//! as the reserve has, and some more, are never given back: they are written already, so that
//! commits on them change no metadata and need no room of the file system.

use super::core::Log;
use crate::{
    ErrorKind, Result,
    format::{SEGMENT_HEADER_BYTES, superblock::Member},
    options::VolumeOptions,
};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::*},
};

/// Part of the volume's segments that is kept written; after everything was cleaned, of those in use.
const KEPT_PART: u64 = 16;

/// Which devices are told of what is free: a bit for each.
pub(super) struct Trims(AtomicU64);

impl Trims {
    pub(super) fn new(options: &VolumeOptions) -> Self {
        Self(AtomicU64::new(if options.no_trim { 0 } else { u64::MAX }))
    }
}

impl Log {
    /// Gives one free segment back, if there are more than enough.
    pub(super) fn trim(&self) -> Result<bool> {
        let members = self.superblocks.members();
        let total: u64 = members.iter().map(|m| m.bytes).sum();
        self.trim_beyond(total / self.medium.segment_bytes() / KEPT_PART + 1, 0)
    }

    /// Gives back all that is more than enough for what is in use now, however large the volume has been; of files
    /// that grow also what they have grown by and nobody has used.
    pub(crate) fn give_back_all(&self) -> Result<()> {
        let in_use = self.ledger.lock().in_use.len() as u64;
        let bit = |(i, m): (usize, &Member)| u64::from(m.grows) << i;
        let members = self.superblocks.members();
        let growing = members.iter().enumerate().map(bit).sum();
        loop {
            match self.trim_beyond(in_use / KEPT_PART, growing) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // A header that cannot be written, of a segment that stays as it is.
                Err(why) if why.kind() == ErrorKind::VolumeFull => return Ok(()),
                Err(why) => return Err(why),
            }
        }
    }

    /// Gives one free segment back if there are more that are written than the reserve has, and so many; or one that
    /// was not, of `unused` devices, if there are as many with the others.
    fn trim_beyond(&self, spare: u64, unused: u64) -> Result<bool> {
        let trims = self.trims.0.load(Relaxed);
        let spare = {
            let mut space = self.space.lock();
            let kept =
                (self.reserve_bytes() + space.promised).div_ceil(self.medium.usable()) + spare;
            let is_on =
                |devices: u64, id: &u64| devices >> self.medium.segment_place(*id).0 & 1 == 1;
            let is_unused = |id: &&u64| {
                let segment = self.table.get(**id);
                let is_given = segment.is_some_and(|s| s.punched.load(Relaxed));
                is_on(trims & unused, id) && (self.may_be_hollow(**id) || !is_given)
            };
            let (ready, solid) = (space.ready.len() as u64, space.free_segments());
            let at = space.raw.iter().rev().find(is_unused).copied();
            let raw = at.filter(|_| solid > kept);
            let at = space.unknown.iter().rev().find(is_unused).copied();
            let unknown = at.filter(|_| solid >= kept);
            // Nobody else can have it meanwhile.
            if let Some(id) = raw {
                space.raw.remove(&id).then_some((id, false))
            } else if let Some(id) = unknown {
                space.unknown.remove(&id).then_some((id, false))
            } else if ready > kept && space.ready.last().is_some_and(|id| is_on(trims, id)) {
                space.ready.pop_last().map(|id| (id, true))
            } else {
                None
            }
        };
        let Some((id, is_written)) = spare else {
            return Ok(false);
        };
        let result = self.give_back(id, is_written);
        let mut space = self.space.lock();
        match self.may_be_hollow(id) {
            true => space.hollow.insert(id),
            false => space.raw.insert(id),
        };
        result.map(|()| true)
    }

    fn give_back(&self, id: u64, is_written: bool) -> Result<()> {
        let Some(segment) = self.table.get(id) else {
            return Ok(());
        };
        segment.punched.store(true, Relaxed);
        segment.written.store(false, Relaxed);
        let (device, offset) = self.medium.segment_place(id);
        // Of others no header says that their blocks are there.
        if is_written {
            let generation = segment.generation.fetch_add(1, Relaxed) + 1;
            let sequence = segment.sequence.load(Relaxed);
            let epoch = segment.epoch.load(Relaxed);
            // CRASH: the slot before, which says that the segment is free too; it has all its blocks
            // until the sync.
            self.write_header(&self.free_header(id, sequence, epoch, generation))?;
            self.medium.sync_device(device)?;
        }
        let (start, len) = (SEGMENT_HEADER_BYTES as u64, self.medium.segment_bytes());
        match self
            .medium
            .device(device)
            .discard(offset + start, len - start)
        {
            Ok(()) => {
                self.written.count_trimmed(len - start);
            }
            Err(why) => {
                // It is a hint, and nothing depends on it.
                self.trims.0.fetch_and(!(1 << device), Relaxed);
                if why.kind() != io::ErrorKind::Unsupported {
                    let name = self.medium.device(device).name();
                    tracing::warn!(device = name, %why, "freed space is not given back any more");
                }
            }
        }
        Ok(())
    }
}
