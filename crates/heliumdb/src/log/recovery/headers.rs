//! What segment headers say: which segments hold log, in which order, and what was durable.
//!
//! Invariant: a segment counts as free only if a whole slot says so, or none was ever whole: in a volume whose
//! segments are headed, one that was never counted on.

use super::super::{core::Log, headed, walk::newer};
use crate::{
    Error, ErrorKind, Result,
    device::aligned::AlignedBuffer,
    format::{
        Look, SEGMENT_HEADER_BYTES, check,
        segment::{SegmentHeader, State},
    },
    limits::BLOCK_BYTES,
    location::{Location, Lsn},
};
use std::{collections::HashSet, sync::atomic::Ordering::*};

/// What segment headers say.
pub(super) struct Headers {
    /// Segments that hold log, by sequence.
    pub(super) in_use: Vec<SegmentHeader>,
    /// The highest position that any slot calls durable.
    pub(super) horizon: Lsn,
    pub(super) max_sequence: u64,
    /// The highest generation of a slot.
    pub(super) highest: u64,
}

impl Headers {
    /// The segments that hold log.
    pub(super) fn segments(&self) -> HashSet<u64> {
        self.in_use.iter().map(|header| header.segment).collect()
    }
}

pub(super) fn read_headers(log: &Log) -> Result<Headers> {
    let mut headers = Headers {
        in_use: Vec::new(),
        horizon: 0,
        max_sequence: 0,
        highest: 0,
    };
    let headed = log.superblocks.headed();
    let mut slots = AlignedBuffer::new(SEGMENT_HEADER_BYTES);
    for id in log.superblocks.all_segments(&log.medium) {
        let (device, offset) = log.medium.segment_place(id);
        log.medium
            .device(device)
            .read_at_uncached(&mut slots, offset)
            .map_err(|e| {
                log.medium
                    .io_error("read segment header of", device, offset, e)
            })?;
        let looks = [0, 1].map(|slot| {
            SegmentHeader::decode(&slots[slot * BLOCK_BYTES..], log.medium.salt(), id, slot)
        });
        let mut newest: Option<SegmentHeader> = None;
        for look in &looks {
            match look {
                Look::Newer(version) => return Err(newer("a segment header", *version)),
                Look::Good(header) if !check::is_segment(header, log.medium.segment_bytes()) => {
                    let at = Location::new(id * log.medium.segment_bytes(), 0);
                    let found = "one with numbers that cannot be";
                    return Err(log.medium.damaged(at, "a segment header", found));
                }
                Look::Good(header) => {
                    log.reach.meet_epoch(header.epoch);
                    headers.horizon = headers.horizon.max(header.horizon);
                    headers.highest = headers.highest.max(header.generation);
                    headers.max_sequence = headers.max_sequence.max(header.sequence);
                    if newest.is_none_or(|n| n.generation < header.generation) {
                        newest = Some(*header);
                    }
                }
                Look::Blank | Look::Bad | Look::Early => {}
            }
        }
        refuse_strangers(log, id, &slots)?;
        if newest.is_none() && id < headed {
            return Err(headed::lost(log, id));
        }
        if looks.iter().all(|look| *look == Look::Bad) {
            let at = Location::new(id * log.medium.segment_bytes(), 0);
            return Err(log
                .medium
                .damaged(at, "a segment header", "neither copy whole"));
        }
        enter_segment(log, id, newest, &mut headers);
    }
    headers
        .in_use
        .sort_unstable_by_key(|header| header.sequence);
    check_sequences(log, &headers.in_use)?;
    Ok(headers)
}

/// Refuses a segment of another volume. Formatting leaves no header where one will be looked for, so the
/// superblocks that lead here are a copy of another volume's.
fn refuse_strangers(log: &Log, id: u64, slots: &[u8]) -> Result<()> {
    for (slot, bytes) in slots.chunks(BLOCK_BYTES).enumerate() {
        if let Look::Good(header) = SegmentHeader::of_any_volume(bytes, slot)
            && header.volume != log.medium.volume_id()
        {
            let (device, offset) = log.medium.segment_place(id);
            return Err(Error::new(
                ErrorKind::DeviceMismatch,
                format!(
                    "{} has the superblocks of volume {}, but a segment of volume {} at offset {offset}: superblocks of \
                     another volume were copied to it; bring back its own, or salvage copies what is left to another \
                     volume",
                    log.medium.device(device).name(),
                    log.medium.volume_id(),
                    header.volume
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses segments that say that they are the same part of the log.
fn check_sequences(log: &Log, in_use: &[SegmentHeader]) -> Result<()> {
    for pair in in_use.windows(2) {
        if let [one, other] = pair
            && one.sequence == other.sequence
        {
            let at = Location::new(other.segment * log.medium.segment_bytes(), 0);
            let (device, offset) = log.medium.segment_place(one.segment);
            let found = format!(
                "the sequence {} of the segment at offset {offset} of {}",
                one.sequence,
                log.medium.device(device).name()
            );
            return Err(log.medium.damaged(at, "a segment of its own", &found));
        }
    }
    Ok(())
}

fn enter_segment(log: &Log, id: u64, newest: Option<SegmentHeader>, headers: &mut Headers) {
    let Some(segment) = log.table.get(id) else {
        return;
    };
    match newest {
        Some(header) if header.state != State::Free => {
            segment.generation.store(header.generation, Relaxed);
            headers.in_use.push(header);
        }
        newest => {
            segment
                .generation
                .store(newest.map_or(0, |h| h.generation), Relaxed);
            // A later slot of it must not name a lower sequence: positions are not given twice.
            segment
                .sequence
                .store(newest.map_or(0, |h| h.sequence), Relaxed);
            segment.epoch.store(newest.map_or(0, |h| h.epoch), Relaxed);
            let written = newest.is_some_and(|h| h.written);
            segment.written.store(written, Relaxed);
            // It was used before: whether its blocks are still there, nobody knows.
            let was_used = newest.is_some_and(|h| !h.is_never_used());
            segment.punched.store(was_used && !written, Relaxed);
            log.admit(id);
        }
    }
}
