//! Finding the log again: from segment headers to delivered batches, and to where it ends.
//!
//! Invariant: what is delivered is a prefix of what was appended, without batches that
//! are incomplete or cancelled; and what is behind the end can never chain again, however
//! often recovery itself is cut short.

mod ahead;
mod deliver;
mod headers;
mod scan;

use super::{
    Replay,
    core::Log,
    segments::{Last, Resting},
    table::FILLING,
};
use crate::{
    Error, ErrorKind, Result,
    format::{
        check,
        segment::{SegmentHeader, State},
        superblock::{Checkpoint, MAY_HOLD_CANCELS, MAY_HOLD_MOVES, Start},
    },
    limits::{NUMBERS_MAX, SEQUENCES_MAX},
    location::Lsn,
};
use deliver::Delivery;
use headers::{Headers, read_headers};
use scan::Scan;
use std::{collections::HashSet, sync::atomic::Ordering::*};

/// What can be done about a log that is damaged.
const DAMAGED_ADVICE: &str = "bring back the volume's devices as they were, all from the same time, or salvage copies \
     what is left to another volume";

/// Replays the log into `sink`, and unless read-only makes its end durable.
pub(super) fn recover(log: &Log, sink: &mut dyn Replay) -> Result<()> {
    find(log, sink).map_err(|why| match why.kind() {
        ErrorKind::Damaged => why.advice(DAMAGED_ADVICE),
        _ => why,
    })
}

fn find(log: &Log, sink: &mut dyn Replay) -> Result<()> {
    sink.open(log.medium.secret(), check::trees_max(log.bounds().bytes()));
    let mut headers = read_headers(log)?;
    let checkpoint = log.checkpoint();
    if let Some(checkpoint) = &checkpoint {
        // The superblock says so as well as any header.
        headers.horizon = headers.horizon.max(checkpoint.durable);
    }
    let loaded = match &checkpoint {
        Some(checkpoint) => sink
            .load(log, checkpoint, &headers.segments())?
            .map(|state| (checkpoint, state)),
        None => None,
    };
    let from = match &loaded {
        Some((checkpoint, state)) => {
            skip(log, &mut headers, checkpoint.start.at);
            log.restore(state);
            checkpoint.start
        }
        None => Start::default(),
    };
    let mut cancelled = HashSet::new();
    if log.superblocks.has(MAY_HOLD_CANCELS) {
        // Rare: the log is read twice, as a cancel may come long after its batch.
        Scan::new(
            log,
            &headers,
            from,
            Delivery::new(log, &mut cancelled, None),
        )
        .run()?;
    }
    if loaded.is_none() {
        sink.whole_log(log.superblocks.has(MAY_HOLD_MOVES));
    }
    sink.begin(log.helpers(), &cancelled);
    let delivery = Delivery::new(log, &mut cancelled, Some(&mut *sink));
    let tail = Scan::new(log, &headers, from, delivery).run()?;
    sink.end();
    if let Some(checkpoint) = checkpoint {
        check_reach(log, &checkpoint, &tail)?;
    }
    log.ledger.lock().forget_spills();
    log.reach.written_to(tail.end);
    log.reach.begin_at(tail.end);
    log.written.found_behind_end(tail.discarded_bytes);
    if !log.health.is_read_only() {
        settle(log, &headers, &tail)?;
    }
    let superblock = log.superblocks.newest();
    log.medium.check_numbers([
        superblock.generation,
        log.reach.epoch(),
        headers.highest,
        superblock.checkpoint.map_or(0, |c| c.number),
        headers.max_sequence * (NUMBERS_MAX / SEQUENCES_MAX),
    ]);
    Ok(())
}

/// Refuses a log that ends before what its superblock says was durable: the checkpoint would be in the way of what is
/// appended from here on.
fn check_reach(log: &Log, checkpoint: &Checkpoint, tail: &Tail) -> Result<()> {
    if checkpoint.durable <= tail.end {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Damaged,
        format!(
            "the log of {} ends at position {}, below {}, up to where its superblock says that it was durable",
            log.medium.name(),
            tail.end,
            checkpoint.durable
        ),
    ))
}

/// Enters the segments that lie wholly below `start` without reading them.
fn skip(log: &Log, headers: &mut Headers, start: Lsn) {
    let first = start / log.medium.segment_bytes();
    let below = headers.in_use.partition_point(|h| h.sequence < first);
    for header in headers.in_use.drain(..below) {
        scan::enter(log, &header);
        scan::mark_written(log, &header);
    }
    // Of the one that holds `start` only what is behind it is read.
    if let Some(header) = headers.in_use.first()
        && header.sequence * log.medium.segment_bytes() < start
    {
        scan::enter(log, header);
    }
}

/// Where the log ends, and what is to be done about what is behind it.
struct Tail {
    end: Lsn,
    at: Ending,
    /// Index of the first segment that is wholly behind the end.
    discard_from: usize,
    discarded_bytes: u64,
}

/// What the log's last segment says of its end.
#[derive(Clone, Copy)]
enum Ending {
    /// It is sealed or marked as ended, or there is none.
    Known,
    /// There may be something behind the end: it has to be marked.
    Torn(SegmentHeader),
    /// Nothing of the log is behind the end: it can go on there.
    Clean(Last),
}

/// Makes the end of the log durable; each step may be cut short and done again. Where
/// nothing has to be discarded, nothing is written.
fn settle(log: &Log, headers: &Headers, tail: &Tail) -> Result<()> {
    // What was read may not have been synced by whoever wrote it.
    log.medium.sync_all()?;
    log.medium.check_opener(true)?;
    for header in &headers.in_use[tail.discard_from..] {
        discard(log, header)?;
    }
    if let Ending::Torn(header) = tail.at {
        mark_ended(log, &header, tail.end)?;
    }
    let mut appender = log.appender.lock();
    appender.next_sequence = headers.max_sequence + 1;
    let last = match tail.at {
        Ending::Clean(last) => {
            // It has no seal yet, so it is not to be freed.
            if let Some(segment) = log.table.get(last.header.segment) {
                segment.state.store(FILLING, Release);
            }
            log.reach.leave(log.medium.room_from(last.offset));
            Some(last)
        }
        Ending::Known | Ending::Torn(_) => {
            let start = appender.next_sequence * log.medium.segment_bytes();
            log.reach.begin_at(start);
            None
        }
    };
    appender.resting = Some(Resting { last });
    Ok(())
}

/// Frees a segment that is wholly behind the end.
fn discard(log: &Log, header: &SegmentHeader) -> Result<()> {
    let (id, generation) = (header.segment, header.generation + 1);
    // CRASH: this one free, others not yet: the log still ends before them all, as
    // nothing that would reach them was durable.
    let free = log.free_header(id, header.sequence, header.epoch, generation);
    log.write_free(&[free])?;
    if let Some(segment) = log.table.get(id) {
        segment.generation.store(generation + 1, Relaxed);
        segment.sequence.store(header.sequence, Relaxed);
        segment.epoch.store(header.epoch, Relaxed);
    }
    log.space.lock().raw.insert(id);
    Ok(())
}

fn mark_ended(log: &Log, header: &SegmentHeader, end: Lsn) -> Result<()> {
    let ended = SegmentHeader {
        state: State::Ended,
        generation: header.generation + 1,
        end,
        horizon: end,
        ..*header
    };
    // CRASH: the end is found again as it was found now: nothing is appended before this is
    // durable, and then only under a new epoch.
    log.write_header(&ended)?;
    log.medium
        .sync_device(log.medium.segment_place(header.segment).0)?;
    log.write_header(&SegmentHeader {
        generation: header.generation + 2,
        ..ended
    })?;
    // Whoever writes a slot next writes the first one again.
    log.medium
        .sync_device(log.medium.segment_place(header.segment).0)?;
    if let Some(segment) = log.table.get(header.segment) {
        segment.generation.store(header.generation + 2, Relaxed);
    }
    Ok(())
}
