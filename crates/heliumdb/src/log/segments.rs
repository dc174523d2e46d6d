//! From one segment to the next, and from the last session to this one.
//!
//! Invariant: nothing is appended before an epoch that no frame on the medium has is durable.

use super::{
    buffer::BufferWriter,
    core::Log,
    flusher::Active,
    table::{FILLING, SEALED},
};
use crate::{
    Result,
    format::{
        SEGMENT_HEADER_BYTES, Version,
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        segment::{SegmentHeader, State},
    },
    limits::BLOCK_BYTES,
};
use std::sync::atomic::Ordering::*;

/// The end of the log.
pub(super) struct Appender {
    pub(super) current: Option<Current>,
    /// Hash of the last frame's header.
    pub(super) chain: u64,
    pub(super) next_sequence: u64,
    /// Segments that the flusher has not heard of yet.
    pub(super) opened: Vec<Active>,
    /// Until the first append after a recovery.
    pub(super) resting: Option<Resting>,
}

/// The segment being filled.
pub(super) struct Current {
    pub(super) segment: u64,
    pub(super) sequence: u64,
    pub(super) offset: usize,
    pub(super) writer: BufferWriter,
}

impl Appender {
    pub(super) fn new(next_sequence: u64) -> Self {
        Self {
            current: None,
            chain: 0,
            next_sequence,
            opened: Vec::new(),
            resting: None,
        }
    }
}

/// A log that was recovered and not yet written to.
#[derive(Clone, Copy)]
pub(super) struct Resting {
    /// The segment to go on in.
    pub(super) last: Option<Last>,
}

/// A segment whose log ends at a block, with nothing of the log behind it.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) header: SegmentHeader,
    pub(super) offset: usize,
    /// Hash of the last frame's header.
    pub(super) chain: u64,
}

impl Log {
    /// Ends the current segment's log at its end.
    fn seal(&self, appender: &mut Appender) {
        let Some(mut current) = appender.current.take() else {
            return;
        };
        let size = self.medium.segment_bytes() as usize;
        // A segment padded to its very end needs no seal: nothing could follow.
        if size - current.offset >= frame::HEADER_BYTES {
            let header = FrameHeader {
                version: Version::CURRENT,
                kind: Kind::Seal,
                flags: FIRST | LAST,
                payload_len: 0,
                item_count: 0,
                epoch: self.reach.epoch(),
                lsn: current.sequence * self.medium.segment_bytes() + current.offset as u64,
                horizon: self.reach.durable(),
                batch_id: 0,
                payload_hash: frame::prefix_hash(&[]),
                chain: appender.chain,
            };
            appender.chain = self.put_frame(&mut current, &header, &[]);
        }
        current
            .writer
            .publish(current.offset.next_multiple_of(BLOCK_BYTES).min(size));
        current.writer.seal();
        self.reach.leave(0);
        self.reach
            .end_at((current.sequence + 1) * self.medium.segment_bytes());
        if let Some(segment) = self.table.get(current.segment) {
            segment.written.store(true, Relaxed);
            segment.state.store(SEALED, Release);
        }
    }

    /// Seals the current segment and starts the next; or takes up where the last session ended.
    pub(super) fn next_segment(&self, appender: &mut Appender) -> Result<()> {
        if let Some(resting) = appender.resting {
            self.wake(appender, resting)?;
            if appender.current.is_some() {
                return Ok(());
            }
        }
        let id = self.take_segment()?;
        self.seal(appender);
        let Some(segment) = self.table.get(id) else {
            return Err(self.medium.full());
        };
        let sequence = appender.next_sequence;
        let epoch = self.reach.epoch();
        if appender.chain == 0 {
            appender.chain = epoch_chain(epoch);
        }
        appender.next_sequence += 1;
        segment.begin(sequence, epoch, FILLING);
        let generation = segment.generation.fetch_add(2, Relaxed) + 1;
        let writer = BufferWriter::new(
            self.residency.pool(),
            self.medium.segment_bytes() as usize,
            SEGMENT_HEADER_BYTES,
        );
        segment.set_buffer(Some(writer.share()));
        self.residency.one_more(&self.table);
        let header = SegmentHeader {
            state: State::InUse,
            generation,
            volume: self.medium.volume_id(),
            segment: id,
            sequence,
            epoch,
            chain: appender.chain,
            end: 0,
            horizon: self.reach.durable(),
            written: segment.written.load(Relaxed),
        };
        appender.opened.push(Active::new(header, writer.share()));
        self.ledger.lock().in_use.insert(sequence, id);
        self.reserve.gets_old();
        let current = Current {
            segment: id,
            sequence,
            offset: SEGMENT_HEADER_BYTES,
            writer,
        };
        self.reach.leave(self.medium.room_from(current.offset));
        appender.current = Some(current);
        Ok(())
    }

    /// The epoch of this session, once it is durable.
    pub(crate) fn begin_epoch(&self) -> Result<u64> {
        let mut appender = self.appender.lock();
        self.health.check_writable()?;
        if let Some(resting) = appender.resting {
            self.wake(&mut appender, resting)?;
        }
        Ok(self.reach.epoch())
    }

    /// Begins this session's epoch, in the segment that the last one left unfinished if its
    /// tail is clean.
    fn wake(&self, appender: &mut Appender, resting: Resting) -> Result<()> {
        let end = self.reach.durable();
        if let Some(last) = &resting.last {
            let id = last.header.segment;
            if !last.header.written {
                self.write_zeros_from(id, last.offset)?;
            }
            let Some(segment) = self.table.get(id) else {
                return Err(self.medium.full());
            };
            segment.written.store(true, Relaxed);
            // CRASH: old, new or torn slot: all of them say that the segment is in use, and
            // the new one that its log was durable up to here.
            self.write_header(&SegmentHeader {
                generation: segment.generation.fetch_add(1, Relaxed) + 1,
                horizon: end,
                written: true,
                ..last.header
            })?;
        }
        // CRASH: whatever is behind the end has an epoch that was durable before; what is
        // appended from now on has a higher one. So frames that a crash leaves behind a hole
        // never chain to those of another session, though they lie in the same segment:
        // position and chain of a survivor may fit, its epoch is lower than that of the
        // frame before it.
        // Whatever the superblocks say: an older copy of them may be all that is left.
        let highest = self.reach.epoch();
        self.superblocks.update(&self.medium, |next| {
            next.epoch = next.epoch.max(highest) + 1
        })?;
        let epoch = self.superblocks.epoch();
        self.reach.begin_epoch(epoch);
        appender.resting = None;
        if let Some(last) = resting.last {
            self.take_up(appender, &last);
        }
        Ok(())
    }

    fn take_up(&self, appender: &mut Appender, last: &Last) {
        let id = last.header.segment;
        let writer = BufferWriter::new(
            self.residency.pool(),
            self.medium.segment_bytes() as usize,
            last.offset,
        );
        if let Some(segment) = self.table.get(id) {
            segment.set_buffer(Some(writer.share()));
        }
        self.residency.one_more(&self.table);
        let header = SegmentHeader {
            written: true,
            ..last.header
        };
        appender
            .opened
            .push(Active::resumed(header, writer.share(), last.offset));
        appender.chain = last.chain;
        appender.current = Some(Current {
            segment: id,
            sequence: last.header.sequence,
            offset: last.offset,
            writer,
        });
    }

    /// Begins another segment if the one that is being filled, or would be next, lies at or behind the number `end`.
    pub(super) fn leave_end(&self, end: u64) -> Result<()> {
        let mut appender = self.appender.lock();
        self.health.check_writable()?;
        let resting = appender.resting.and_then(|resting| resting.last);
        let resting = resting.map(|last| last.header.segment);
        let current = appender.current.as_ref().map(|current| current.segment);
        let Some(at) = resting.or(current).filter(|at| *at >= end) else {
            return Ok(());
        };
        while appender.current.as_ref().is_none_or(|c| c.segment == at) {
            self.next_segment(&mut appender)?;
        }
        Ok(())
    }

    fn take_segment(&self) -> Result<u64> {
        loop {
            let taken = self.space.lock().take();
            self.nudge();
            match taken {
                Some((id, is_ready)) => {
                    self.head(id).inspect_err(|_| {
                        self.space.lock().raw.insert(id);
                    })?;
                    if !is_ready {
                        self.fill_holes(id)?;
                    }
                    return Ok(id);
                }
                None if self.make_room()? => {}
                None => return Err(self.medium.full()),
            }
        }
    }

    /// A block device may be thin: that it is full is to show now, and not in a write that a commit waits for.
    fn fill_holes(&self, id: u64) -> Result<()> {
        let (device, _) = self.medium.segment_place(id);
        let punched = self.table.get(id).is_some_and(|s| s.punched.load(Relaxed));
        let grows = self.superblocks.grows(device);
        if self.medium.device(device).may_be_hollow() || (!punched && grows) {
            return Ok(());
        }
        self.write_zeros(id).inspect_err(|_| {
            self.space.lock().raw.insert(id);
        })
    }
}

/// The chain value before the first frame of an epoch.
pub(crate) fn epoch_chain(epoch: u64) -> u64 {
    frame::prefix_hash(&epoch.to_le_bytes()) | 1
}
