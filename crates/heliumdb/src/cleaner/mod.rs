//! The cleaner: moves what is live out of segments that are mostly dead, so that they can be freed.
//!
//! It works in small steps. A round chooses some segments ([`choose`]), reads what is in them
//! ([`gather`]), and appends what of that is live again, in key order, batch by batch ([`moves`]). The
//! log frees the segments once nothing needs them: those that replay does not read, below the start of
//! the newest checkpoint, as soon as the moves are durable; others behind the next checkpoint. Writers
//! are slowed to what that gives ([`crate::write`]), and wait if there is no room at all ([`room`]).
//!
//! Invariant: an item is moved only while the index says that it is where it was found, and only
//! if nobody can take it back any more; it keeps its number. So whatever a crash leaves, old
//! place or new, it is the same item.

mod choose;
mod compact;
mod end;
mod gather;
mod moves;
mod policy;
mod room;
mod stuck;
#[cfg(test)]
mod tests;
mod tombstones;

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    checkpoint::Checkpoints,
    clock::Clock,
    error::{ErrorKind, Result},
    ground::Ground,
    location::Lsn,
    log::{Candidate, Log},
    tree::Tree,
};
pub use compact::Compaction;
use gather::Gathered;
pub(crate) use policy::Need;
use policy::Sake;
use stuck::{Ended, Stuck};
use tombstones::Tombstones;

/// Bytes that a round moves, at most, unless a single segment has more.
const ROUND_BYTES: u64 = 24 << 20;
/// Bytes of items that a round reads, dead ones too: that is what it has in memory. A part of the
/// write cache's budget, out of which it comes.
const ROUND_READ: RangeInclusive<u64> = 8 << 20..=32 << 20;
const ROUND_READ_PART: u64 = 4;
/// Segments of a round, at most.
const ROUND_SEGMENTS: usize = 16;
/// Bytes that are moved in one step. Whoever wants to know whether there will be room waits for it.
const STEP_BYTES: u64 = 512 << 10;
/// How long the memory of a round is kept for the next one.
const SPARE_KEPT: Duration = Duration::from_secs(2);
/// So many checkpoints are asked for without any progress.
const LAST_RESORTS: u32 = 3;

/// The cleaner of one volume.
pub(crate) struct Cleaner {
    on: Ground,
    checkpoints: Arc<Checkpoints>,
    round: Mutex<Progress>,
    asked: Mutex<Asked>,
    tombstones: Tombstones,
    rounds: AtomicU64,
    /// Writers that wait for room.
    waiting: AtomicUsize,
    /// A step is being done, or about to be.
    is_at_work: AtomicBool,
}

/// Checkpoints that were asked for because nothing else made room.
#[derive(Default)]
struct Asked {
    /// How many since users have written little more, or replay would have been spared little more; and little has died.
    times: u32,
    /// Up to where it would have been then.
    spared: Lsn,
    /// What users had written by then, and what they had made die.
    written: u64,
    died: u64,
}

impl Asked {
    fn now(log: &Log, times: u32) -> Self {
        Self {
            times,
            spared: log.replay_spared(),
            written: log.written().user_log_bytes(),
            died: log.written().died_bytes(),
        }
    }
}

/// What a cleaner is about.
#[derive(Default)]
struct Progress {
    round: Option<Round>,
    /// Segments that could not be emptied.
    stuck: Stuck,
    /// When the last round ended.
    ended: Option<Instant>,
    /// The memory of the last round, for the next one if that comes soon.
    spare: Gathered,
}

impl Progress {
    /// Memory that items are gathered in.
    fn memory_bytes(&self) -> usize {
        let round = self.round.as_ref().map_or(0, |r| r.gathered.memory_bytes());
        round + self.spare.memory_bytes()
    }
}

/// Some segments being cleaned.
struct Round {
    need: Need,
    began: Instant,
    /// Before anything was looked at.
    ended: Ended,
    trees: HashMap<u32, Arc<Tree>>,
    victims: Vec<Candidate>,
    /// How many of them were read.
    read: usize,
    gathered: Gathered,
    /// How many of the items were seen to.
    next: usize,
}

impl Cleaner {
    pub(crate) fn new(on: Ground, checkpoints: Arc<Checkpoints>) -> Self {
        Self {
            on,
            checkpoints,
            round: Mutex::default(),
            asked: Mutex::default(),
            tombstones: Tombstones::default(),
            rounds: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            is_at_work: AtomicBool::new(false),
        }
    }

    /// Rounds that have ended since the volume was opened.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Relaxed)
    }

    /// Whether a writer waits for room. Then it is short, however much there is: it may want more.
    fn is_waited_for(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// What it is about, unless a step is being done: a device may hold that up for longer than anybody is to wait.
    fn progress(&self) -> Option<MutexGuard<'_, Progress>> {
        loop {
            match self.round.try_lock() {
                Some(progress) => return Some(progress),
                None if self.is_at_work.load(Acquire) => return None,
                // Another one who looks.
                None => std::thread::yield_now(),
            }
        }
    }

    /// How long ago the last round ended.
    fn rested(&self) -> Duration {
        let ended = self.round.lock().ended;
        ended.map_or(Duration::MAX, |ended| self.clock().since(ended))
    }

    /// Why the round was begun that is under way, if one is.
    fn resting_need(&self) -> Option<Need> {
        self.round.lock().round.as_ref().map(|round| round.need)
    }

    /// Whether to ask for a checkpoint once more as a last resort. Each leaves a little that is dead,
    /// its own manifest at least; without an end, a full volume would write nothing else for ever.
    fn may_ask(&self) -> bool {
        let is_left = self.is_resort_left();
        self.asked.lock().times += 1;
        is_left
    }

    /// Takes a checkpoint now that is not a last resort: what those before it did in vain says nothing any more.
    pub(crate) fn take_checkpoint(&self) -> Result<()> {
        self.checkpoints.take_now()?;
        self.asked.lock().times = 0;
        Ok(())
    }

    fn clock(&self) -> &Clock {
        &self.on.access.options().clock
    }

    /// Whether a checkpoint may yet be asked for as a last resort.
    fn is_resort_left(&self) -> bool {
        let log = &self.on.log;
        let mut asked = self.asked.lock();
        // Something was written, if only small deletes synced one by one; or what was spilled is over. What the
        // cleaner and checkpoints write is no progress: it would be the reason for more of it.
        let now = Asked::now(log, 0);
        let enough = log.room().segment_bytes / 2;
        let has_grown = now.spared.saturating_sub(asked.spared) >= enough
            && now.written - asked.written >= enough;
        // Few deletes, which write next to nothing, may make much die.
        if has_grown || now.died - asked.died >= enough {
            *asked = now;
        }
        asked.times < LAST_RESORTS
    }

    /// Whether a round is under way.
    pub(crate) fn is_cleaning(&self) -> bool {
        self.resting_need().is_some()
    }

    /// One step of cleaning, if `need` asks for any; true if something was done.
    pub(crate) fn clean_step(&self, need: Need) -> Result<bool> {
        let mut progress = self.round.lock();
        self.is_at_work.store(true, Release);
        let is_done = self.step(&mut progress, need);
        self.on.log.lend_to_cleaner(progress.memory_bytes());
        self.is_at_work.store(false, Release);
        is_done
    }

    fn step(&self, progress: &mut Progress, need: Need) -> Result<bool> {
        let under_way = progress.round.take();
        let Some(mut round) = under_way.or_else(|| self.begin(progress, need)) else {
            return Ok(false);
        };
        match self.step_round(&mut round) {
            Ok(true) => {
                progress.round = Some(round);
                Ok(true)
            }
            Ok(false) => {
                self.forget_tombstones(&round);
                let segments = round.victims.len() as u64 * self.on.log.room().segment_bytes;
                let moved: u64 = round.victims.iter().map(Candidate::moved_bytes).sum();
                let gained = segments.saturating_sub(moved);
                let dead = round.victims.iter().map(|victim| victim.dead_bytes).sum();
                let time = self.clock().since(round.began);
                self.on.pace.gained(gained, dead, time);
                self.end(progress, round);
                Ok(true)
            }
            // Others took the room meanwhile. Nothing is stuck: the next round fits again.
            Err(why) if why.kind() == ErrorKind::VolumeFull => {
                progress.ended = Some(self.clock().now());
                Ok(false)
            }
            Err(why) => {
                self.end(progress, round);
                Err(why)
            }
        }
    }

    fn begin(&self, progress: &mut Progress, need: Need) -> Option<Round> {
        let ended = Ended::of_now(&self.on.writing, false);
        let victims = match need {
            Need::End { end, room } => self.choose_at_end(&progress.stuck, end, room),
            _ => self.choose_victims(&progress.stuck, need),
        };
        if victims.is_empty() {
            if need == Need::Tombstones {
                let candidates = self.on.log.candidates();
                self.tombstones.note(None, &candidates);
            }
            if progress
                .ended
                .is_some_and(|at| self.clock().since(at) > SPARE_KEPT)
            {
                progress.spare = Gathered::default();
            }
            return None;
        }
        let mut gathered = std::mem::take(&mut progress.spare);
        gathered.room = self.room_to_move(&victims);
        gathered.reserve(victims.iter().map(Candidate::filled).sum());
        Some(Round {
            need,
            began: self.clock().now(),
            ended,
            trees: self.on.trees(),
            victims,
            read: 0,
            gathered,
            next: 0,
        })
    }

    /// Goes on with a round; false when it is over.
    fn step_round(&self, round: &mut Round) -> Result<bool> {
        if let Some(victim) = round.victims.get(round.read) {
            round.read += 1;
            self.gather(victim, &round.trees, &mut round.gathered)?;
            if round.read == round.victims.len() {
                self.gather_long(&round.victims, &round.trees, &mut round.gathered)?;
                // Pages of checkpoints are not moved: the next checkpoint writes them elsewhere.
                self.checkpoints
                    .rewrite_pages(round.victims.iter().map(|v| v.segment));
                round.gathered.sort();
            }
            return Ok(true);
        }
        let before = self.on.log.written().appended_bytes();
        while round.next < round.gathered.len() {
            round.next = self.move_some(&round.trees, &mut round.gathered, round.next)?;
            if self.on.log.written().appended_bytes() - before >= STEP_BYTES {
                break;
            }
        }
        Ok(round.next < round.gathered.len())
    }

    fn forget_tombstones(&self, round: &Round) {
        let sure = round.victims.iter();
        sure.filter(|victim| !round.gathered.unsure.contains(&victim.segment))
            .for_each(|victim| self.on.log.forget_tombstones(victim));
    }

    fn end(&self, progress: &mut Progress, round: Round) {
        let candidates = self.on.log.candidates();
        let in_use = |sequence: u64| candidates.iter().find(|c| c.sequence == sequence);
        let stuck = &mut progress.stuck;
        stuck.retain(|sequence| in_use(sequence).is_some());
        for victim in &round.victims {
            match in_use(victim.sequence) {
                Some(left) if left.weight() > 0 => {
                    stuck.note(victim.sequence, left.weight(), round.ended);
                }
                _ => stuck.forget(victim.sequence),
            }
        }
        if round.need == Need::Tombstones {
            let moved = round.victims.iter().map(|victim| victim.live_bytes).sum();
            self.tombstones.note(Some(moved), &candidates);
        }
        progress.ended = Some(self.clock().now());
        progress.spare = round.gathered.emptied();
        self.rounds.fetch_add(1, Relaxed);
    }
}
