//! When a checkpoint is taken: when there is enough to replay, or someone has asked.
//!
//! Invariant: what checkpoints write is in proportion to what users have written since, or less than half of what cleaning
//! has gained. Pages that die lie among items, and to get rid of them these are moved, which makes log: by itself that is no
//! reason for another checkpoint, whose pages would be the next to die.

use std::sync::atomic::Ordering;

use super::Checkpoints;
use crate::{
    error::{ErrorKind, Result},
    location::Lsn,
};

/// Log between checkpoints unless configured otherwise, in bytes; more where the index is large.
const LOG_BYTES_DEFAULT: u64 = 256 << 20;
/// And less where the volume is small: no more than this part of it.
const VOLUME_PART: u64 = 4;
/// So much of the log between two checkpoints is users', at least, if cleaning has gained little.
const USERS_PART: u64 = 2;

impl Checkpoints {
    /// Takes a checkpoint if there is enough to replay, or someone has asked; true if it did. None while somebody
    /// `is_cleaning`.
    pub(crate) fn take_if_due(&self, is_cleaning: impl FnOnce() -> bool) -> Result<bool> {
        let asked = self.asked.load(Ordering::Acquire);
        if !asked && !self.is_due() {
            return Ok(false);
        }
        // A round of cleaning first gives the room that it has taken, once what it has emptied is free: nothing is
        // cleaned meanwhile.
        if is_cleaning() || self.is_refused() || self.is_room_coming() {
            return Ok(false);
        }
        let room = self.on.log.checkpoint_room();
        self.on.access.check_writable()?;
        match self.take_below(0) {
            Err(why) if why.kind() == ErrorKind::VolumeFull => {
                tracing::warn!(url = self.on.access.url(), %why, "there is no room for a checkpoint");
                self.refused_at.store(room.max(1), Ordering::Release);
                Ok(false)
            }
            taken => taken.map(|()| true),
        }
    }

    fn is_due(&self) -> bool {
        let enough = self.log_bytes();
        self.replay_to_spare() >= enough
            && (self.written_since() >= enough / USERS_PART || self.is_worth_it())
    }

    /// Whether since the last one more has come of what users wrote, and of what cleaning gained, than another one may
    /// take.
    pub(crate) fn is_worth_it(&self) -> bool {
        let gained_at = self.gained_at.load(Ordering::Acquire);
        let gained = self.on.pace.gained_bytes().saturating_sub(gained_at);
        self.written_since() + gained >= 2 * self.bytes()
    }

    /// What users have taken of the log since, at most.
    fn written_since(&self) -> u64 {
        let users_at = self.users_at.load(Ordering::Acquire);
        self.on
            .log
            .written()
            .user_log_bytes()
            .saturating_sub(users_at)
    }

    /// Bytes of log that recovery would replay on top of the newest checkpoint.
    pub(super) fn log_to_replay(&self) -> u64 {
        self.on
            .log
            .reach()
            .written_end()
            .saturating_sub(self.replayed_from())
    }

    /// Bytes of those that a checkpoint of now would spare it: beside something that was spilled and is not
    /// committed, one after the other would spare nothing.
    fn replay_to_spare(&self) -> u64 {
        self.on
            .log
            .replay_spared()
            .saturating_sub(self.replayed_from())
    }

    fn replayed_from(&self) -> Lsn {
        match self.on.log.checkpointed() {
            u64::MAX => 0,
            from => from,
        }
    }

    fn log_bytes(&self) -> u64 {
        let twice = 2 * self.bytes.load(Ordering::Acquire);
        let room = self.on.log.room();
        let size = room
            .growth_bytes
            .saturating_add(room.segments * room.segment_bytes);
        // What replay would read is not cleaned as long as there is anything else.
        let default = LOG_BYTES_DEFAULT.min(size / VOLUME_PART).max(twice);
        self.on
            .access
            .options()
            .checkpoint_log_bytes
            .unwrap_or(default)
            .max(1)
    }
}
