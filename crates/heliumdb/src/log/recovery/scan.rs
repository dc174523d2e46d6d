//! One pass over the log, segment by segment, to its end.
//!
//! Invariant: the log ends at the first place without a valid frame, unless anything valid
//! says that more was durable: that is damage.

use super::{
    super::{
        core::Log,
        segments::{Last, epoch_chain},
        table::SEALED,
        walk::{Step, Walk, survivors},
    },
    Ending, Tail,
    ahead::{Images, read_image},
    deliver::Delivery,
    headers::Headers,
};
use crate::{
    Error, Result,
    device::aligned::AlignedBuffer,
    format::{
        SEGMENT_HEADER_BYTES,
        segment::{SegmentHeader, State},
        superblock::Start,
    },
    limits::BLOCK_BYTES,
    location::{Location, Lsn},
};
use std::sync::atomic::Ordering::*;

/// The segment before.
#[derive(Clone, Copy)]
struct Before {
    sequence: u64,
    epoch: u64,
    chain: u64,
    end: Lsn,
    ended: bool,
}

impl Before {
    fn new(walk: &Walk<'_>, header: &SegmentHeader) -> Self {
        let ended = header.state == State::Ended;
        Self {
            sequence: header.sequence,
            epoch: walk.epoch,
            chain: walk.chain,
            end: if ended {
                header.end
            } else {
                (header.sequence + 1) * walk.image.len() as u64
            },
            ended,
        }
    }
}

/// One pass over the log.
pub(super) struct Scan<'a> {
    log: &'a Log,
    headers: &'a Headers,
    /// What is below it is known already.
    from: Start,
    delivery: Delivery<'a>,
    horizon: Lsn,
}

/// A place in the log without a valid frame.
struct Break<'a> {
    segment: &'a SegmentHeader,
    at: usize,
    found: &'static str,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        log: &'a Log,
        headers: &'a Headers,
        from: Start,
        delivery: Delivery<'a>,
    ) -> Self {
        Self {
            log,
            headers,
            from,
            delivery,
            horizon: headers.horizon,
        }
    }

    pub(super) fn run(mut self) -> Result<Tail> {
        let (log, headers) = (self.log, self.headers);
        std::thread::scope(|scope| {
            // A simulation steps everything itself, and has no threads.
            let ahead = log.helpers.may_have_more().then_some(scope);
            let from = self.from.unneeded_below();
            self.segments(Images::new(log, &headers.in_use, from, ahead))
        })
    }

    fn segments(&mut self, mut images: Images<'_>) -> Result<Tail> {
        let segment_bytes = self.log.medium.segment_bytes();
        let mut before: Option<Before> = None;
        for (i, header) in self.headers.in_use.iter().enumerate() {
            if !self.joins(before, i, header)? {
                return self.end_before(before, i, header);
            }
            if before.is_some_and(|b| b.epoch != header.epoch) {
                self.delivery.forget_pending();
            }
            let image = images.next()?;
            if self.delivery.delivers() && header.sequence * segment_bytes >= self.from.at {
                enter(self.log, header);
            }
            let mut walk = Walk::new(image, header, self.log.medium.salt(), self.horizon);
            let at = self.from.unneeded_below();
            if at / segment_bytes == header.sequence {
                let Start { chain, epoch, .. } = self.from;
                walk.resume((at % segment_bytes) as usize, chain, epoch);
            }
            let found = self.walk(&mut walk, header)?;
            let now = Before::new(&walk, header);
            match found {
                None => {
                    // Nothing is left of it that a use could be the first to write.
                    mark_written(self.log, header);
                    before = Some(now);
                }
                Some(found) if header.state == State::Ended => {
                    let at = walk.at;
                    return Err(self.damage(&Break {
                        segment: header,
                        at,
                        found,
                    }));
                }
                Some(found) => return self.end_within(i, &walk, header, found),
            }
        }
        Ok(Tail {
            end: before.map_or(0, |b| b.end),
            at: Ending::Known,
            discard_from: self.headers.in_use.len(),
            discarded_bytes: 0,
        })
    }

    /// Walks to the end of a segment; says what was found if there is no proper one.
    fn walk(
        &mut self,
        walk: &mut Walk<'_>,
        segment: &SegmentHeader,
    ) -> Result<Option<&'static str>> {
        let is_past = |lsn| segment.state == State::Ended && lsn >= segment.end;
        loop {
            if is_past(walk.lsn()) {
                return Ok(None);
            }
            match walk.next()? {
                Step::Sealed => return Ok(None),
                Step::Broken { found } => return Ok((!is_past(walk.lsn())).then_some(found)),
                Step::Impossible { found } => {
                    let at = walk.at;
                    return Err(self.damage(&Break { segment, at, found }));
                }
                Step::Frame {
                    header,
                    payload,
                    prefix_len,
                } => {
                    self.horizon = self.horizon.max(header.horizon);
                    self.log.reach.meet_epoch(header.epoch);
                    if header.lsn < self.from.at {
                        continue;
                    }
                    let address =
                        segment.segment * self.log.medium.segment_bytes() + payload.start as u64;
                    let payload = &walk.image[payload];
                    self.delivery
                        .frame(segment, &header, payload, prefix_len, address)?;
                }
            }
        }
    }

    /// Whether the log goes on in `header`'s segment. One that is missing in between must
    /// have been freed, which needs all of it to have been durable.
    fn joins(&mut self, before: Option<Before>, i: usize, header: &SegmentHeader) -> Result<bool> {
        match before {
            None if starts_epoch(header) => return Ok(true),
            Some(b) if b.epoch != header.epoch && starts_epoch(header) => return Ok(true),
            Some(b) if b.epoch == header.epoch && b.ended => return Ok(false),
            Some(b) if b.epoch == header.epoch && b.sequence + 1 == header.sequence => {
                return Ok(b.chain == header.chain);
            }
            _ => {}
        }
        let start = header.sequence * self.log.medium.segment_bytes();
        if self.horizon < start {
            self.look_ahead(i)?;
        }
        Ok(self.horizon >= start)
    }

    /// The horizons of all frames from segment `i` on; returns the bytes of those frames.
    fn look_ahead(&mut self, i: usize) -> Result<u64> {
        let later = &self.headers.in_use[i..];
        if later.is_empty() {
            return Ok(0);
        }
        let mut image = AlignedBuffer::new(self.log.medium.segment_bytes() as usize);
        let mut bytes = 0;
        for header in later {
            // Behind an ended segment's end there is nothing that counts.
            image.fill(0);
            read_image(self.log, header, 0, &mut image)?;
            let (horizon, found) =
                survivors(&image, header, self.log.medium.salt(), SEGMENT_HEADER_BYTES);
            self.horizon = self.horizon.max(horizon);
            bytes += found;
        }
        Ok(bytes)
    }

    /// The log ends in `segment`, where `walk` came to, unless something says that more was durable.
    fn end_within(
        &mut self,
        i: usize,
        walk: &Walk<'_>,
        segment: &SegmentHeader,
        found: &'static str,
    ) -> Result<Tail> {
        let (end, at) = (walk.lsn(), walk.at);
        let (horizon, own_bytes) = survivors(walk.image, segment, self.log.medium.salt(), at);
        self.horizon = self.horizon.max(horizon);
        let later_bytes = self.look_ahead(i + 1)?;
        if self.horizon > end || self.starts_epoch_above(walk.epoch, i + 1) {
            return Err(self.damage(&Break { segment, at, found }));
        }
        // The next segment will take the sequence after the highest that any slot names: a
        // segment that goes on has to be the one before.
        let is_last =
            i + 1 == self.headers.in_use.len() && self.headers.max_sequence == segment.sequence;
        // Behind a marked end nothing was acknowledged, so that there only what could chain matters.
        let nothing_behind = segment.horizon == end || walk.image[at..].iter().all(|&b| b == 0);
        let is_clean =
            is_last && nothing_behind && own_bytes == 0 && at.is_multiple_of(BLOCK_BYTES);
        Ok(Tail {
            end,
            at: if is_clean {
                Ending::Clean(Last {
                    header: *segment,
                    offset: at,
                    chain: walk.chain,
                })
            } else {
                Ending::Torn(*segment)
            },
            discard_from: i + 1,
            discarded_bytes: own_bytes + later_bytes,
        })
    }

    /// The log ends before segment `i`, unless something says that more was durable.
    fn end_before(
        &mut self,
        before: Option<Before>,
        i: usize,
        next: &SegmentHeader,
    ) -> Result<Tail> {
        let end = before.map_or(0, |b| b.end);
        let discarded_bytes = self.look_ahead(i)?;
        let more = self.horizon > end && !self.is_epochs_start(before, next);
        if more || self.starts_epoch_above(next.epoch, i) {
            let place = Location::new(next.segment * self.log.medium.segment_bytes(), 0);
            let expected = "the segment that follows in the log";
            return Err(self.log.medium.damaged(place, expected, "another one"));
        }
        Ok(Tail {
            end,
            at: Ending::Known,
            discard_from: i,
            discarded_bytes,
        })
    }

    /// Whether all that is known durable is where `next`'s epoch began: its first segment and what
    /// came before `next` in it are lost, and nobody was told that they are there. An epoch that does
    /// not go on in the last segment begins at a segment's start, wherever the log ended before; within
    /// one, no sync ends there.
    fn is_epochs_start(&self, before: Option<Before>, next: &SegmentHeader) -> bool {
        self.horizon.is_multiple_of(self.log.medium.segment_bytes())
            && before.is_none_or(|b| b.epoch < next.epoch)
    }

    /// Whether a recovery that had settled all before it began an epoch above `epoch` later.
    fn starts_epoch_above(&self, epoch: u64, from: usize) -> bool {
        let mut later = self.headers.in_use[from..].iter();
        later.any(|header| header.epoch > epoch && starts_epoch(header))
    }

    fn damage(&self, broken: &Break<'_>) -> Error {
        let address = broken.segment.segment * self.log.medium.segment_bytes() + broken.at as u64;
        let place = Location::new(address, 0);
        self.log
            .medium
            .damaged(place, "a frame of the log", broken.found)
    }
}

/// Enters a segment in use. Its items, if they are delivered, follow.
pub(super) fn enter(log: &Log, header: &SegmentHeader) {
    if let Some(segment) = log.table.get(header.segment) {
        segment.begin(header.sequence, header.epoch, SEALED);
        segment.written.store(header.written, Relaxed);
        let mut ledger = log.ledger.lock();
        ledger.in_use.insert(header.sequence, header.segment);
    }
}

/// All of a segment that was filled has been written.
pub(super) fn mark_written(log: &Log, header: &SegmentHeader) {
    if header.state == State::InUse
        && let Some(segment) = log.table.get(header.segment)
    {
        segment.written.store(true, Relaxed);
    }
}

/// Whether the segment was the first to be written after a recovery that settled all before it.
fn starts_epoch(header: &SegmentHeader) -> bool {
    header.chain == epoch_chain(header.epoch)
}
