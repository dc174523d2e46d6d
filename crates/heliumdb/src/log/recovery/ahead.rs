//! Segment images in log order, each read from the medium while the one before is replayed.
//!
//! Invariant: at most three images are in memory, however long the log is.

use super::super::core::Log;
use crate::{
    Result,
    device::aligned::AlignedBuffer,
    format::segment::{SegmentHeader, State},
    limits::BLOCK_BYTES,
    location::Lsn,
    threads,
};
use std::{
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread::Scope,
};

/// The images of some segments, one after the other.
pub(super) struct Images<'a> {
    log: &'a Log,
    segments: &'a [SegmentHeader],
    from: Lsn,
    held: AlignedBuffer,
    ahead: Option<Ahead>,
}

/// The thread that reads ahead.
struct Ahead {
    full: Receiver<Result<AlignedBuffer>>,
    empty: Sender<AlignedBuffer>,
}

impl<'a> Images<'a> {
    /// What lies below `from` may be anything: it is not read. With `ahead` a thread of `scope`
    /// reads; without, each image is read when it is wanted.
    pub(super) fn new<'scope>(
        log: &'a Log,
        segments: &'a [SegmentHeader],
        from: Lsn,
        ahead: Option<&'scope Scope<'scope, '_>>,
    ) -> Self
    where
        'a: 'scope,
    {
        Self {
            log,
            segments,
            from,
            held: AlignedBuffer::new(log.medium.segment_bytes() as usize),
            ahead: ahead.and_then(|scope| Ahead::start(log, segments, from, scope)),
        }
    }

    /// The next segment's image. Behind the end of an ended segment it may hold anything.
    pub(super) fn next(&mut self) -> Result<&[u8]> {
        let Some((segment, rest)) = self.segments.split_first() else {
            return Ok(&self.held);
        };
        self.segments = rest;
        if let Some(ahead) = &self.ahead
            && let Ok(image) = ahead.full.recv()
        {
            let used = std::mem::replace(&mut self.held, image?);
            // After the last segment nobody is there to take it.
            let _ = ahead.empty.send(used);
        } else {
            read_image(self.log, segment, self.from, &mut self.held)?;
        }
        Ok(&self.held)
    }
}

impl Ahead {
    fn start<'scope>(
        log: &'scope Log,
        segments: &'scope [SegmentHeader],
        from: Lsn,
        scope: &'scope Scope<'scope, '_>,
    ) -> Option<Self> {
        if segments.len() < 2 {
            return None;
        }
        let (give, full) = sync_channel(0);
        let (empty, take) = channel();
        let bytes = log.medium.segment_bytes() as usize;
        let work = move || {
            let mut spare = Some(AlignedBuffer::new(bytes));
            for segment in segments {
                let Some(mut image) = spare.take().or_else(|| take.recv().ok()) else {
                    return;
                };
                let result = read_image(log, segment, from, &mut image).map(|()| image);
                // Whoever wanted the images may have met the log's end.
                if give.send(result).is_err() {
                    return;
                }
            }
        };
        // Without the thread recovery is slower, and as right.
        threads::help(scope, "helium-replay", work)?;
        Some(Self { full, empty })
    }
}

/// Reads what a segment holds of the log from a position on, from the medium.
pub(super) fn read_image(
    log: &Log,
    segment: &SegmentHeader,
    from: Lsn,
    image: &mut AlignedBuffer,
) -> Result<()> {
    let (device, offset) = log.medium.segment_place(segment.segment);
    let start = segment.sequence * log.medium.segment_bytes();
    let len = match segment.state {
        State::Ended => (segment.end.saturating_sub(start) as usize)
            .next_multiple_of(BLOCK_BYTES)
            .min(image.len()),
        State::InUse | State::Free => image.len(),
    };
    // The whole block: what stands in it before is not looked at.
    let skip = (from.saturating_sub(start) as usize).min(len) / BLOCK_BYTES * BLOCK_BYTES;
    let offset = offset + skip as u64;
    log.medium
        .device(device)
        .read_at_uncached(&mut image[skip..len], offset)
        .map_err(|e| log.medium.io_error("read log from", device, offset, e))
}
