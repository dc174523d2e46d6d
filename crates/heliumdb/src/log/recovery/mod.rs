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
    core::Core,
    segments::{Last, Resting},
    table::FILLING,
};
use crate::{
    Error, ErrorKind, Result,
    format::{
        check,
        segment::{SegmentHeader, State},
        superblock::{MAY_HOLD_CANCELS, MAY_HOLD_MOVES, Start},
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
pub(super) fn recover(core: &Core, sink: &mut dyn Replay) -> Result<()> {
    find(core, sink).map_err(|why| match why.kind() {
        ErrorKind::Damaged => why.advice(DAMAGED_ADVICE),
        _ => why,
    })
}

fn find(core: &Core, sink: &mut dyn Replay) -> Result<()> {
    sink.open(
        core.medium.secret(),
        check::trees_max(core.bounds().bytes()),
    );
    let mut headers = read_headers(core)?;
    let checkpoint = core.checkpoint();
    if let Some(checkpoint) = &checkpoint {
        // The superblock says so as well as any header.
        headers.horizon = headers.horizon.max(checkpoint.durable);
    }
    let loaded = match &checkpoint {
        Some(checkpoint) => sink
            .load(core, checkpoint, &headers.segments())?
            .map(|state| (checkpoint, state)),
        None => None,
    };
    let from = match &loaded {
        Some((checkpoint, state)) => {
            skip(core, &mut headers, checkpoint.start.at);
            core.restore(state);
            checkpoint.start
        }
        None => Start::default(),
    };
    let mut cancelled = HashSet::new();
    if core.superblocks.has(MAY_HOLD_CANCELS) {
        // Rare: the log is read twice, as a cancel may come long after its batch.
        Scan::new(
            core,
            &headers,
            from,
            Delivery::new(core, &mut cancelled, None),
        )
        .run()?;
    }
    if loaded.is_none() {
        sink.whole_log(core.superblocks.has(MAY_HOLD_MOVES));
    }
    sink.begin(core.helpers(), &cancelled);
    let delivery = Delivery::new(core, &mut cancelled, Some(&mut *sink));
    let tail = Scan::new(core, &headers, from, delivery).run()?;
    sink.end();
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.durable > tail.end) {
        // It would be in the way of what is appended from here on.
        return Err(Error::new(
            ErrorKind::Damaged,
            format!(
                "the log of {} ends at position {}, below {}, up to where its superblock says that it was durable",
                core.medium
                    .devices()
                    .first()
                    .map_or("the volume", |d| d.name()),
                tail.end,
                checkpoint.durable
            ),
        ));
    }
    core.ledger.lock().forget_spills();
    core.written_end.store(tail.end, Release);
    core.end.store(tail.end, Release);
    core.durable.store(tail.end, Release);
    core.discarded_bytes.store(tail.discarded_bytes, Relaxed);
    if !core.health.is_read_only() {
        settle(core, &headers, &tail)?;
    }
    let superblock = core.superblocks.newest();
    core.medium.check_numbers([
        superblock.generation,
        core.epoch.load(Relaxed),
        headers.highest,
        superblock.checkpoint.map_or(0, |c| c.number),
        headers.max_sequence * (NUMBERS_MAX / SEQUENCES_MAX),
    ]);
    Ok(())
}

/// Enters the segments that lie wholly below `start` without reading them.
fn skip(core: &Core, headers: &mut Headers, start: Lsn) {
    let first = start / core.medium.segment_bytes();
    let below = headers.in_use.partition_point(|h| h.sequence < first);
    for header in headers.in_use.drain(..below) {
        scan::enter(core, &header);
        scan::mark_written(core, &header);
    }
    // Of the one that holds `start` only what is behind it is read.
    if let Some(header) = headers.in_use.first()
        && header.sequence * core.medium.segment_bytes() < start
    {
        scan::enter(core, header);
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
fn settle(core: &Core, headers: &Headers, tail: &Tail) -> Result<()> {
    // What was read may not have been synced by whoever wrote it.
    core.medium.sync_all()?;
    core.medium.check_opener(true)?;
    for header in &headers.in_use[tail.discard_from..] {
        discard(core, header)?;
    }
    if let Ending::Torn(header) = tail.at {
        mark_ended(core, &header, tail.end)?;
    }
    let mut appender = core.appender.lock();
    appender.next_sequence = headers.max_sequence + 1;
    let last = match tail.at {
        Ending::Clean(last) => {
            // It has no seal yet, so it is not to be freed.
            if let Some(segment) = core.table.get(last.header.segment) {
                segment.state.store(FILLING, Release);
            }
            core.rest.store(core.rest(last.offset), Relaxed);
            Some(last)
        }
        Ending::Known | Ending::Torn(_) => {
            let start = appender.next_sequence * core.medium.segment_bytes();
            core.end.store(start, Release);
            core.durable.store(start, Release);
            None
        }
    };
    appender.resting = Some(Resting { last });
    Ok(())
}

/// Frees a segment that is wholly behind the end.
fn discard(core: &Core, header: &SegmentHeader) -> Result<()> {
    let (id, generation) = (header.segment, header.generation + 1);
    // CRASH: this one free, others not yet: the log still ends before them all, as
    // nothing that would reach them was durable.
    let free = core.free_header(id, header.sequence, header.epoch, generation);
    core.write_free(&[free])?;
    if let Some(segment) = core.table.get(id) {
        segment.generation.store(generation + 1, Relaxed);
        segment.sequence.store(header.sequence, Relaxed);
        segment.epoch.store(header.epoch, Relaxed);
    }
    core.space.lock().raw.insert(id);
    Ok(())
}

fn mark_ended(core: &Core, header: &SegmentHeader, end: Lsn) -> Result<()> {
    let ended = SegmentHeader {
        state: State::Ended,
        generation: header.generation + 1,
        end,
        horizon: end,
        ..*header
    };
    // CRASH: the end is found again as it was found now: nothing is appended before this is
    // durable, and then only under a new epoch.
    core.write_header(&ended)?;
    core.medium
        .sync_device(core.medium.segment_place(header.segment).0)?;
    core.write_header(&SegmentHeader {
        generation: header.generation + 2,
        ..ended
    })?;
    // Whoever writes a slot next writes the first one again.
    core.medium
        .sync_device(core.medium.segment_place(header.segment).0)?;
    if let Some(segment) = core.table.get(header.segment) {
        segment.generation.store(header.generation + 2, Relaxed);
    }
    Ok(())
}
