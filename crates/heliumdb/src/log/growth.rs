//! Making files longer, and what they may become.
//!
//! Invariant: no segment is used before a superblock that counts it is durable; and who changes how many there are, or
//! how many have headers, does so alone.

use super::{core::Log, create::is_full};
use crate::{
    ErrorKind, Result,
    format::{SEGMENTS_AT, check::Bounds, superblock::Member},
    limits,
    options::VolumeOptions,
};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// How far files may grow, and who makes them longer.
pub(super) struct Growth {
    /// Held while files are made longer or shorter, or segments get their first headers: so that no segment is
    /// counted twice.
    one: Mutex<()>,
    /// What each file that grows may become.
    limit_bytes: u64,
    /// Files could not be made longer when that was last tried.
    is_out: AtomicBool,
    /// Of a volume of an earlier version: a segment without a header may hold something.
    is_unheaded: AtomicBool,
}

impl Growth {
    pub(super) fn new(options: &VolumeOptions) -> Self {
        Self {
            one: Mutex::default(),
            limit_bytes: options.limit_bytes.unwrap_or(u64::MAX),
            is_out: AtomicBool::new(false),
            is_unheaded: AtomicBool::new(false),
        }
    }

    /// While the returned value lives, nobody else changes how many segments there are or have headers.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.one.lock()
    }

    /// Files were made shorter, so that they may grow again.
    pub(super) fn begin_again(&self) {
        self.is_out.store(false, Relaxed);
    }

    /// Whether nobody gives segments their first headers.
    pub(super) fn is_unheaded(&self) -> bool {
        self.is_unheaded.load(Relaxed)
    }

    /// A segment without a header may hold something: none gets one.
    pub(super) fn stay_unheaded(&self) {
        self.is_unheaded.store(true, Relaxed);
    }

    /// By how much these files may still grow, all together; `u64::MAX` if nobody knows.
    pub(super) fn left(&self, members: &[Member]) -> u64 {
        if self.is_out.load(Relaxed) {
            return 0;
        }
        let growing = members.iter().filter(|m| m.grows);
        growing
            .map(|m| self.limit_bytes.saturating_sub(m.bytes))
            .fold(0, u64::saturating_add)
    }

    /// Size of all of them: of a file that grows, what it may become, if that is limited.
    fn capacity(&self, members: &[Member]) -> u64 {
        let most = |m: &Member| match m.grows && self.limit_bytes != u64::MAX {
            true => self.limit_bytes.max(m.bytes),
            false => m.bytes,
        };
        members.iter().map(most).fold(0, u64::saturating_add)
    }
}

impl Log {
    /// Makes files longer, by at least one segment each; false if they cannot be.
    pub(super) fn grow(&self) -> Result<bool> {
        let _one = self.growth.alone();
        let members = self.superblocks.members();
        let Some(shortest) = members.iter().filter(|m| m.grows).map(|m| m.bytes).min() else {
            return Ok(false);
        };
        let old = shortest.saturating_sub(SEGMENTS_AT) / self.medium.segment_bytes();
        let mut step = (old / 8).clamp(4, 64);
        while step > 0 {
            let bytes = SEGMENTS_AT + (old + step) * self.medium.segment_bytes();
            let total: u64 = members
                .iter()
                .map(|m| if m.grows { bytes } else { m.bytes })
                .sum();
            // A place is counted over all devices alike, however long each of them is.
            let share = limits::VOLUME_BYTES_MAX / members.len() as u64;
            let most = self.growth.limit_bytes.min(share);
            if bytes <= most && total <= limits::VOLUME_BYTES_MAX && self.grow_to(bytes)? {
                self.growth.is_out.store(false, Relaxed);
                return Ok(true);
            }
            step /= 2;
        }
        self.growth.is_out.store(true, Relaxed);
        Ok(false)
    }

    /// False if there is no room for it.
    fn grow_to(&self, bytes: u64) -> Result<bool> {
        let members = self.superblocks.members();
        for (i, member) in members.iter().enumerate().filter(|(_, m)| m.grows) {
            // CRASH: a file longer than its superblocks say: the next growth finds it so.
            match self.medium.device(i).grow(bytes) {
                Ok(()) => {}
                Err(e) if is_full(&e) => return Ok(false),
                Err(e) => return Err(self.medium.io_error("lengthen", i, member.bytes, e)),
            }
        }
        let n = self.medium.devices().len() as u64;
        let growing = members.iter().enumerate().filter(|(_, m)| m.grows);
        let new = growing.flat_map(|(i, member)| {
            let indexes = self.medium.segments_in(member.bytes)..self.medium.segments_in(bytes);
            indexes.map(move |index| index * n + i as u64)
        });
        let mut new: Vec<u64> = new.collect();
        new.sort_unstable();
        match self.write_first_headers(&new) {
            Err(why) if why.kind() == ErrorKind::VolumeFull => return Ok(false),
            result => result?,
        }
        self.medium.sync_all()?;
        self.are_headed(&new);
        let headed = self.headed_with(&new);
        // Twice, for both copies: one that is destroyed later must not lead to one that does not count segments
        // in use.
        self.superblocks.update_twice(&self.medium, |next| {
            next.headed = headed;
            next.members
                .iter_mut()
                .filter(|m| m.grows)
                .for_each(|m| m.bytes = bytes);
        })?;
        new.into_iter().for_each(|id| self.admit(id));
        Ok(true)
    }

    /// Size of all devices: of a file that grows, what it may become, if that is limited.
    pub(super) fn capacity_bytes(&self) -> u64 {
        self.growth.capacity(&self.superblocks.members())
    }

    /// Where places can be, as long as no file becomes longer.
    pub(crate) fn bounds(&self) -> Bounds {
        self.superblocks.bounds(&self.medium)
    }
}
