//! The superblock as it is on all devices, and how it is changed.
//!
//! Invariant: nobody sees a change before it is durable on every device, and one reaches all of them before the next
//! one starts. What must not come back though a copy is destroyed later is written twice: each device has two copies.

use super::medium::Medium;
use crate::{
    Result,
    format::{
        Version,
        check::Bounds,
        superblock::{Checkpoint, Member, Superblock},
    },
    limits::BLOCK_BYTES,
};
use parking_lot::Mutex;

/// See the module.
pub(super) struct Superblocks {
    /// As it is durable, or about to be made so for the first time.
    newest: Mutex<Superblock>,
    /// Held while a change is made durable; the other lock is not, so that nobody who looks waits for a sync.
    changing: Mutex<()>,
}

impl Superblocks {
    pub(super) fn new(newest: Superblock) -> Self {
        Self {
            newest: Mutex::new(newest),
            changing: Mutex::default(),
        }
    }

    /// Makes a change durable on every device. A volume of an earlier version is of this program's from then on; no
    /// frame is written before.
    pub(super) fn update(
        &self,
        medium: &Medium,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<()> {
        let _one = self.changing.lock();
        medium.check_opener(true)?;
        let mut next = self.newest();
        change(&mut next);
        next.generation += 1;
        next.version = Version::CURRENT;
        for (i, device) in medium.devices().iter().enumerate() {
            next.device = i as u32;
            let offset = (next.block() * BLOCK_BYTES) as u64;
            // CRASH: some devices have the new generation, one perhaps a torn block; each
            // still has the one before in its other block, and the highest of all counts.
            let result = device.write_at(&next.encode(), offset);
            // One that others have been told must not stay undone.
            match i {
                0 => medium.or_full("write superblock of", i, offset, result)?,
                _ => medium.or_poison("write superblock of", i, offset, result)?,
            }
        }
        medium.sync_all()?;
        *self.newest.lock() = next;
        Ok(())
    }

    /// The same in both copies: one that is destroyed later must not leave the other to say what is not so any more.
    pub(super) fn update_twice(
        &self,
        medium: &Medium,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<()> {
        self.update(medium, change)?;
        self.update(medium, |_| {})
    }

    /// Makes it durable that the log may hold something that needs to be announced.
    pub(super) fn announce(&self, medium: &Medium, flag: u32) -> Result<()> {
        if !self.has(flag) {
            self.update(medium, |next| next.flags |= flag)?;
        }
        Ok(())
    }

    /// Files that grow are so long, in a volume that is being made: nothing is written.
    pub(super) fn begin_with(&self, bytes: u64) {
        let mut newest = self.newest.lock();
        let growing = newest.members.iter_mut().filter(|m| m.grows);
        growing.for_each(|member| member.bytes = bytes);
    }
}

/// What it says.
impl Superblocks {
    pub(super) fn newest(&self) -> Superblock {
        self.newest.lock().clone()
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.newest.lock().members.clone()
    }

    /// A volume of an earlier version stays one until its superblocks change.
    pub(super) fn version(&self) -> Version {
        self.newest.lock().version
    }

    pub(super) fn epoch(&self) -> u64 {
        self.newest.lock().epoch
    }

    /// Below this number all segments have headers.
    pub(super) fn headed(&self) -> u64 {
        self.newest.lock().headed
    }

    pub(super) fn has(&self, flag: u32) -> bool {
        self.newest.lock().flags & flag != 0
    }

    /// The checkpoint that it names.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        self.newest.lock().checkpoint
    }

    /// Whether this device is a file that grows.
    pub(super) fn grows(&self, device: usize) -> bool {
        self.newest.lock().members[device].grows
    }

    /// Where places can be, as long as no file becomes longer.
    pub(super) fn bounds(&self, medium: &Medium) -> Bounds {
        Bounds::of(&self.newest.lock().members, medium.segment_bytes())
    }

    /// Ids of all segments that it counts.
    pub(super) fn all_segments(&self, medium: &Medium) -> Vec<u64> {
        self.segments_from(medium, 0)
    }

    /// Those of them from one number on.
    pub(super) fn segments_from(&self, medium: &Medium, first: u64) -> Vec<u64> {
        let members = self.members();
        let n = members.len() as u64;
        let mut ids: Vec<u64> = Vec::new();
        for (i, member) in members.iter().enumerate() {
            let indexes =
                first.saturating_sub(i as u64).div_ceil(n)..medium.segments_in(member.bytes);
            ids.extend(indexes.map(|index| index * n + i as u64));
        }
        ids.sort_unstable();
        ids
    }
}
