//! The cleaner: moves what is live out of segments that are mostly dead, so that they can be freed.
//!
//! It works in small steps. A round chooses some segments ([`choose`]), reads what is live in
//! them ([`gather`]), and appends that again in key order, batch by batch ([`moves`]). The log
//! frees the segments once nothing needs them: behind a durable checkpoint.
//!
//! Invariant: an item is moved only while the index says that it is where it was found, and only
//! if nobody can take it back any more; it keeps its number. So whatever a crash leaves, old
//! place or new, it is the same item.

mod choose;
mod compact;
mod gather;
mod moves;
mod policy;
mod room;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    error::{ErrorKind, Result},
    log::{Candidate, Core},
    volume::{Shared, tree::Tree},
};
use gather::Gathered;
pub(crate) use policy::Need;

/// Memory for the items of a round, at most.
const ROUND_BYTES: u64 = 32 << 20;
/// Segments of a round, at most.
const ROUND_SEGMENTS: usize = 16;
/// So many checkpoints are asked for without any progress.
const LAST_RESORTS: u32 = 3;

/// The cleaner of one volume.
#[derive(Default)]
pub(crate) struct Cleaner {
    round: Mutex<Progress>,
    asked: Mutex<Asked>,
    rounds: AtomicU64,
}

/// Checkpoints that were asked for because nothing else made room.
#[derive(Default)]
struct Asked {
    /// How many since little but checkpoints was written.
    times: u32,
    appended_bytes: u64,
}

/// What a cleaner is about.
#[derive(Default)]
struct Progress {
    round: Option<Round>,
    /// Segments that could not be emptied, with what was live then and who was running.
    stuck: BTreeMap<u64, (u64, u64)>,
    /// When the last round ended.
    ended: Option<Instant>,
}

/// Some segments being cleaned.
struct Round {
    trees: HashMap<u32, Arc<Tree>>,
    victims: Vec<Candidate>,
    /// How many of them were read.
    read: usize,
    gathered: Gathered,
    /// How many of the items were seen to.
    next: usize,
}

impl Cleaner {
    /// Rounds that have ended since the volume was opened.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Relaxed)
    }

    /// How long ago the last round ended.
    fn rested(&self) -> Duration {
        let ended = self.round.lock().ended;
        ended.map_or(Duration::MAX, |ended| ended.elapsed())
    }

    /// Whether to ask for a checkpoint once more as a last resort. Each leaves a little that is dead,
    /// its own manifest at least; without an end, a full volume would write nothing else for ever.
    fn may_ask(&self, log: &Core) -> bool {
        let mut asked = self.asked.lock();
        let appended_bytes = log.appended_bytes();
        if appended_bytes - asked.appended_bytes >= log.room().segment_bytes / 2 {
            *asked = Asked {
                times: 0,
                appended_bytes,
            };
        }
        asked.times += 1;
        asked.times <= LAST_RESORTS
    }
}

impl Shared {
    /// One step of cleaning, if `need` asks for any; true if something was done.
    pub(crate) fn clean_step(&self, need: Need) -> Result<bool> {
        let mut progress = self.cleaner.round.lock();
        let Some(mut round) = progress
            .round
            .take()
            .or_else(|| self.begin(&progress, need))
        else {
            return Ok(false);
        };
        match self.step_round(&mut round) {
            Ok(true) => {
                progress.round = Some(round);
                Ok(true)
            }
            Ok(false) => {
                self.forget_tombstones(&round);
                self.end(&mut progress, &round);
                Ok(true)
            }
            // There was no room for what is live in them: others may have less.
            Err(why) if why.kind() == ErrorKind::VolumeFull => {
                self.end(&mut progress, &round);
                Ok(true)
            }
            Err(why) => {
                self.end(&mut progress, &round);
                Err(why)
            }
        }
    }

    fn begin(&self, progress: &Progress, need: Need) -> Option<Round> {
        let victims = self.choose_victims(&progress.stuck, need);
        if victims.is_empty() {
            return None;
        }
        Some(Round {
            trees: self.trees(),
            victims,
            read: 0,
            gathered: Gathered::default(),
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
                let is_in = |at| {
                    round
                        .victims
                        .iter()
                        .any(|v| v.segment == self.log.segment_of(at))
                };
                self.rewrite_checkpoint_pages(is_in);
                round.gathered.sort();
            }
            return Ok(true);
        }
        round.next = self.move_some(&round.trees, &mut round.gathered, round.next)?;
        Ok(round.next < round.gathered.len())
    }

    fn forget_tombstones(&self, round: &Round) {
        let sure = round.victims.iter();
        sure.filter(|victim| !round.gathered.unsure.contains(&victim.segment))
            .for_each(|victim| self.log.forget_tombstones(victim));
    }

    fn end(&self, progress: &mut Progress, round: &Round) {
        let oldest = self.unsettled.oldest();
        let candidates = self.log.candidates();
        let in_use = |sequence: u64| candidates.iter().find(|c| c.sequence == sequence);
        progress
            .stuck
            .retain(|sequence, _| in_use(*sequence).is_some());
        for victim in &round.victims {
            match in_use(victim.sequence) {
                Some(left) if left.weight() > 0 => {
                    progress
                        .stuck
                        .insert(victim.sequence, (left.weight(), oldest));
                }
                _ => {
                    progress.stuck.remove(&victim.sequence);
                }
            }
        }
        progress.ended = Some(Instant::now());
        self.cleaner.rounds.fetch_add(1, Relaxed);
    }
}
