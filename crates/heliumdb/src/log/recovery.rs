//! Finding the log again: from segment headers to delivered batches, and to where it ends.
//!
//! Invariant: what is delivered is a prefix of what was appended, without batches that
//! are incomplete or cancelled; and what is behind the end can never chain again, however
//! often recovery itself is cut short.

use super::{
    BatchKind, Lsn, Replay, ReplayBatch, ReplayItem,
    core::Core,
    table::SEALED,
    walk::{Step, Walk, newer, survivors},
    writer::epoch_chain,
};
use crate::{
    Error, ErrorKind, Result,
    device::aligned::AlignedBuffer,
    format::{
        Look, SEGMENT_HEADER_BYTES,
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        get_u64,
        item::{self, CHUNK, INDIRECT, ItemHeader, OVERTAKES, TOMBSTONE},
        segment::{SegmentHeader, State},
        superblock::MAY_HOLD_CANCELS,
    },
    limits::BLOCK_BYTES,
    location::Location,
};
use std::{collections::HashSet, sync::atomic::Ordering::*};

/// Replays the log into `sink`, and unless read-only makes its end durable.
pub(super) fn recover(core: &Core, sink: &mut dyn Replay) -> Result<()> {
    let headers = read_headers(core)?;
    let mut cancelled = HashSet::new();
    if core.superblock.lock().flags & MAY_HOLD_CANCELS != 0 {
        // Rare: the log is read twice, as a cancel may come long after its batch.
        let mut scan = Scan::new(core, &headers, &mut cancelled, None);
        scan.run()?;
    }
    let tail = Scan::new(core, &headers, &mut cancelled, Some(sink)).run()?;
    core.end.store(tail.end, Release);
    core.durable.store(tail.end, Release);
    core.discarded_bytes.store(tail.discarded_bytes, Relaxed);
    if !core.read_only {
        settle(core, &headers, &tail)?;
    }
    Ok(())
}

/// What segment headers say.
struct Headers {
    /// Segments that hold log, by sequence.
    in_use: Vec<SegmentHeader>,
    /// The highest position that any slot calls durable.
    horizon: Lsn,
    max_sequence: u64,
}

fn read_headers(core: &Core) -> Result<Headers> {
    let mut headers = Headers {
        in_use: Vec::new(),
        horizon: 0,
        max_sequence: 0,
    };
    let mut slots = AlignedBuffer::new(SEGMENT_HEADER_BYTES);
    for id in core.all_segments() {
        let (device, offset) = core.segment_place(id);
        core.devices[device]
            .read_at_uncached(&mut slots, offset)
            .map_err(|e| core.io_error("read segment header of", device, offset, e))?;
        let looks = [0, 1]
            .map(|slot| SegmentHeader::decode(&slots[slot * BLOCK_BYTES..], core.salt, id, slot));
        let mut newest: Option<SegmentHeader> = None;
        for look in &looks {
            match look {
                Look::Newer(version) => return Err(newer("a segment header", *version)),
                Look::Good(header) => {
                    headers.horizon = headers.horizon.max(header.horizon);
                    headers.max_sequence = headers.max_sequence.max(header.sequence);
                    if newest.is_none_or(|n| n.generation < header.generation) {
                        newest = Some(*header);
                    }
                }
                Look::Blank | Look::Bad => {}
            }
        }
        if looks.iter().all(|look| *look == Look::Bad) {
            let at = Location::new(id * core.segment_bytes, 0);
            return Err(core.damaged(at, "a segment header", "neither copy whole"));
        }
        enter_segment(core, id, newest, &mut headers);
    }
    headers
        .in_use
        .sort_unstable_by_key(|header| header.sequence);
    Ok(headers)
}

fn enter_segment(core: &Core, id: u64, newest: Option<SegmentHeader>, headers: &mut Headers) {
    let Some(segment) = core.table.get(id) else {
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
            core.space.lock().raw.push_back(id);
        }
    }
}

/// Where the log ends, and what is to be done about what is behind it.
struct Tail {
    end: Lsn,
    /// The segment in which it ends, if that is neither sealed nor marked.
    ended: Option<SegmentHeader>,
    /// Index of the first segment that is wholly behind the end.
    discard_from: usize,
    discarded_bytes: u64,
}

/// Makes the end of the log durable; each step may be cut short and done again.
fn settle(core: &Core, headers: &Headers, tail: &Tail) -> Result<()> {
    core.sync_all()?;
    for header in &headers.in_use[tail.discard_from..] {
        // CRASH: this one free, others not yet: the log still ends before them all, as
        // nothing that would reach them was durable.
        core.write_free(
            header.segment,
            header.sequence,
            header.epoch,
            header.generation + 1,
        )?;
        if let Some(segment) = core.table.get(header.segment) {
            segment.generation.store(header.generation + 2, Relaxed);
        }
        core.space.lock().raw.push_back(header.segment);
    }
    if let Some(header) = tail.ended {
        let ended = SegmentHeader {
            state: State::Ended,
            generation: header.generation + 1,
            end: tail.end,
            horizon: tail.end,
            ..header
        };
        // CRASH: the end is found again as it was found now, since the epoch is the same.
        core.write_header(&ended)?;
        core.sync_device(core.segment_place(header.segment).0)?;
        core.write_header(&SegmentHeader {
            generation: header.generation + 2,
            ..ended
        })?;
        if let Some(segment) = core.table.get(header.segment) {
            segment.generation.store(header.generation + 2, Relaxed);
        }
    }
    // CRASH: before, the next recovery does the same again; after, frames of the old epoch
    // never chain to new ones.
    core.update_superblock(|next| next.epoch += 1)?;
    let epoch = core.superblock.lock().epoch;
    core.epoch.store(epoch, Relaxed);
    let next_sequence = headers.max_sequence + 1;
    core.appender.lock().next_sequence = next_sequence;
    let start = next_sequence * core.segment_bytes;
    core.end.store(start, Release);
    core.durable.store(start, Release);
    Ok(())
}

/// A batch of which not all frames were seen yet.
struct Pending {
    batch: ReplayBatch,
    sequences: Vec<u64>,
    /// Address, position and bytes of the items of each frame.
    parts: Vec<(u64, Lsn, Vec<u8>)>,
}

/// The segment before.
#[derive(Clone, Copy)]
struct Before {
    sequence: u64,
    epoch: u64,
    chain: u64,
    end: Lsn,
    ended: bool,
}

/// One pass over the log.
struct Scan<'a> {
    core: &'a Core,
    headers: &'a Headers,
    /// Filled by a pass without a sink, obeyed by one with.
    cancelled: &'a mut HashSet<u64>,
    sink: Option<&'a mut dyn Replay>,
    horizon: Lsn,
    pending: Option<Pending>,
    items: u64,
}

impl<'a> Scan<'a> {
    fn new(
        core: &'a Core,
        headers: &'a Headers,
        cancelled: &'a mut HashSet<u64>,
        sink: Option<&'a mut dyn Replay>,
    ) -> Self {
        Self {
            core,
            headers,
            cancelled,
            sink,
            horizon: headers.horizon,
            pending: None,
            items: 0,
        }
    }

    fn run(&mut self) -> Result<Tail> {
        let mut image = AlignedBuffer::new(self.core.segment_bytes as usize);
        let mut before: Option<Before> = None;
        for (i, header) in self.headers.in_use.iter().enumerate() {
            if !self.joins(before, i, header, &mut image)? {
                let end = before.map_or(0, |b| b.end);
                return self.end_at(
                    end,
                    None,
                    i,
                    header,
                    "the segment that was written next",
                    &mut image,
                );
            }
            if before.is_some_and(|b| b.epoch != header.epoch) {
                self.pending = None;
            }
            self.read_image(header, &mut image)?;
            self.enter(header);
            let mut walk = Walk::new(&image, header, self.core.salt);
            let broken = self.walk(&mut walk, header)?;
            let (at, chain) = (walk.at, walk.chain);
            let lsn = header.sequence * self.core.segment_bytes + at as u64;
            before = Some(Before {
                sequence: header.sequence,
                epoch: header.epoch,
                chain,
                end: if header.state == State::Ended {
                    header.end
                } else {
                    (header.sequence + 1) * self.core.segment_bytes
                },
                ended: header.state == State::Ended,
            });
            match broken {
                None => {}
                Some(found) if header.state == State::Ended => {
                    return Err(self.damage(header, at, "a frame of the log", found));
                }
                Some(found) => {
                    let (_, bytes) = survivors(&image, header, self.core.salt, at);
                    let mut tail =
                        self.end_at(lsn, Some((header, at)), i + 1, header, found, &mut image)?;
                    tail.discarded_bytes += bytes;
                    return Ok(tail);
                }
            }
        }
        self.core.recovered_items.store(self.items, Relaxed);
        let end = before.map_or(0, |b| b.end);
        Ok(Tail {
            end,
            ended: None,
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
        loop {
            if segment.state == State::Ended && walk.base_lsn() + walk.at as u64 >= segment.end {
                return Ok(None);
            }
            match walk.next()? {
                Step::Sealed => return Ok(None),
                Step::Broken { at, found } => {
                    let ended =
                        segment.state == State::Ended && walk.base_lsn() + at as u64 >= segment.end;
                    return Ok((!ended).then_some(found));
                }
                Step::Frame {
                    header,
                    at: _,
                    payload,
                    prefix_len,
                } => {
                    self.horizon = self.horizon.max(header.horizon);
                    let address = segment.segment * self.core.segment_bytes + payload.start as u64;
                    let image = walk.image;
                    self.frame(segment, &header, &image[payload], prefix_len, address)?;
                }
            }
        }
    }

    /// Whether the log goes on in `header`'s segment. One that is missing in between must
    /// have been freed, which needs all of it to have been durable.
    fn joins(
        &mut self,
        before: Option<Before>,
        i: usize,
        header: &SegmentHeader,
        image: &mut AlignedBuffer,
    ) -> Result<bool> {
        let first_of_epoch = header.chain == epoch_chain(header.epoch);
        match before {
            None if first_of_epoch => return Ok(true),
            Some(b) if b.epoch != header.epoch && first_of_epoch => return Ok(true),
            Some(b) if b.epoch == header.epoch && b.ended => return Ok(false),
            Some(b) if b.epoch == header.epoch && b.sequence + 1 == header.sequence => {
                return Ok(b.chain == header.chain);
            }
            _ => {}
        }
        let start = header.sequence * self.core.segment_bytes;
        if self.horizon < start {
            self.look_ahead(i, image)?;
        }
        Ok(self.horizon >= start)
    }

    /// The horizons of all frames from segment `i` on; returns the bytes of those frames.
    fn look_ahead(&mut self, i: usize, image: &mut AlignedBuffer) -> Result<u64> {
        let mut bytes = 0;
        for header in &self.headers.in_use[i..] {
            self.read_image(header, image)?;
            let (horizon, found) = survivors(image, header, self.core.salt, SEGMENT_HEADER_BYTES);
            self.horizon = self.horizon.max(horizon);
            bytes += found;
        }
        Ok(bytes)
    }

    /// The log ends at `end`, unless something behind it says that more was durable.
    fn end_at(
        &mut self,
        end: Lsn,
        within: Option<(&SegmentHeader, usize)>,
        discard_from: usize,
        next: &SegmentHeader,
        found: &'static str,
        image: &mut AlignedBuffer,
    ) -> Result<Tail> {
        if let Some((header, at)) = within {
            let (horizon, _) = survivors(image, header, self.core.salt, at);
            self.horizon = self.horizon.max(horizon);
        }
        let discarded_bytes = self.look_ahead(discard_from, image)?;
        let later_epoch = self.headers.in_use[discard_from..]
            .iter()
            .any(|h| h.epoch > next.epoch);
        if self.horizon > end || later_epoch {
            return Err(match within {
                Some((header, at)) => self.damage(header, at, "a frame of the log", found),
                None => self.damage(
                    next,
                    0,
                    "the segment that follows in the log",
                    "another one",
                ),
            });
        }
        self.core.recovered_items.store(self.items, Relaxed);
        Ok(Tail {
            end,
            ended: within.map(|(header, _)| *header),
            discard_from,
            discarded_bytes,
        })
    }

    fn damage(&self, segment: &SegmentHeader, at: usize, expected: &str, found: &str) -> Error {
        self.core.damaged(
            Location::new(segment.segment * self.core.segment_bytes + at as u64, 0),
            expected,
            found,
        )
    }

    fn read_image(&self, header: &SegmentHeader, image: &mut AlignedBuffer) -> Result<()> {
        let (device, offset) = self.core.segment_place(header.segment);
        self.core.devices[device]
            .read_at_uncached(image, offset)
            .map_err(|e| self.core.io_error("read log from", device, offset, e))
    }

    fn delivers(&self) -> bool {
        self.sink.is_some()
    }

    fn enter(&self, header: &SegmentHeader) {
        if let Some(segment) = self
            .core
            .table
            .get(header.segment)
            .filter(|_| self.delivers())
        {
            segment.begin(header.sequence, header.epoch, SEALED);
            segment.written.store(header.state == State::InUse, Relaxed);
            self.core
                .ledger
                .lock()
                .in_use
                .insert(header.sequence, header.segment);
        }
    }

    fn frame(
        &mut self,
        segment: &SegmentHeader,
        header: &FrameHeader,
        payload: &[u8],
        prefix_len: usize,
        address: u64,
    ) -> Result<()> {
        let kind = match header.kind {
            Kind::Commit => BatchKind::Commit,
            Kind::Prepare => match frame::decode_prepare(payload) {
                Some((global, participants, _)) => BatchKind::Prepare {
                    global,
                    participants,
                },
                None => return Ok(()),
            },
            Kind::Cancel | Kind::Resolve | Kind::Seal => {
                self.pending = None;
                return self.record(segment, header, payload);
            }
        };
        let mut pending = match self.pending.take() {
            Some(pending) if pending.batch.id == header.batch_id && header.flags & FIRST == 0 => {
                pending
            }
            // Without a first frame: that was in a segment of which nothing is needed any more.
            _ => Pending {
                batch: ReplayBatch {
                    id: header.batch_id,
                    kind,
                },
                sequences: Vec::new(),
                parts: Vec::new(),
            },
        };
        pending.sequences.push(segment.sequence);
        let items = (
            address + prefix_len as u64,
            header.lsn,
            &payload[prefix_len..],
        );
        if header.flags & LAST == 0 {
            pending.parts.push((items.0, items.1, items.2.to_vec()));
            self.pending = Some(pending);
            return Ok(());
        }
        if self.delivers() {
            self.enter_batch(segment, &pending);
            if !self.cancelled.contains(&pending.batch.id) {
                self.deliver(&pending, items)?;
            }
        }
        Ok(())
    }

    /// Remembers where the batch's frames are, cancelled or not: what says that it is has to
    /// stay as long as any of them.
    fn enter_batch(&self, segment: &SegmentHeader, pending: &Pending) {
        let mut sequences = pending.sequences.clone();
        sequences.dedup();
        let mut ledger = self.core.ledger.lock();
        ledger.batch(pending.batch.id, &sequences, segment.segment);
        if let BatchKind::Prepare { global, .. } = &pending.batch.kind {
            ledger.prepared(*global, pending.batch.id);
        }
    }

    fn record(
        &mut self,
        segment: &SegmentHeader,
        header: &FrameHeader,
        payload: &[u8],
    ) -> Result<()> {
        let core = self.core;
        let Some(sink) = self.sink.as_mut() else {
            if header.kind == Kind::Cancel {
                self.cancelled.insert(get_u64(payload, 0));
            }
            return Ok(());
        };
        match (header.kind, frame::decode_resolve(payload)) {
            (Kind::Cancel, _) => {
                let batch = get_u64(payload, 0);
                core.ledger
                    .lock()
                    .outcome(batch, segment.segment, core.segment_bytes);
                sink.cancel(batch)
            }
            (Kind::Resolve, Some((global, committed))) => {
                let decides = global.decider == core.volume;
                core.ledger
                    .lock()
                    .resolved(global, segment.segment, decides, core.segment_bytes);
                sink.resolve(global, committed)
            }
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, pending: &Pending, last: (u64, Lsn, &[u8])) -> Result<()> {
        for (address, lsn, bytes) in &pending.parts {
            self.items(&pending.batch, *address, *lsn, bytes)?;
        }
        self.items(&pending.batch, last.0, last.1, last.2)?;
        match self.sink.as_mut() {
            Some(sink) => sink.batch_end(&pending.batch),
            None => Ok(()),
        }
    }

    fn items(&mut self, batch: &ReplayBatch, address: u64, lsn: Lsn, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while let Some(header) = bytes.get(at..).and_then(ItemHeader::decode) {
            let place = address + at as u64;
            let item = &bytes[at..at + header.len()];
            at += header.padded_len();
            if header.has(CHUNK) {
                continue;
            }
            let location = Location::new(place, header.len());
            self.count(&header, item, location)?;
            let item = ReplayItem {
                tree: header.tree,
                seq: header.seq,
                overtakes: header.has(OVERTAKES),
                tombstone: header.has(TOMBSTONE),
                indirect: header.has(INDIRECT),
                key: header.key(item),
                value: header.value(item),
                location,
                lsn,
            };
            self.items += 1;
            if let Some(sink) = self.sink.as_mut() {
                sink.item(batch, &item)?;
            }
        }
        Ok(())
    }

    /// Counts the item, and the pieces of a long value, as live.
    fn count(&self, header: &ItemHeader, bytes: &[u8], at: Location) -> Result<()> {
        let Some(segment) = self.core.table.get(at.address() / self.core.segment_bytes) else {
            return Ok(());
        };
        segment.add_item(
            header.seq,
            header.has(TOMBSTONE),
            header.has(OVERTAKES),
            at.class_bytes() as u64,
        );
        if header.has(TOMBSTONE) {
            return Ok(());
        }
        segment.live.fetch_add(at.class_bytes() as i64, Relaxed);
        if header.has(INDIRECT) {
            let list = item::decode_chunk_list(header.value(bytes));
            let list = list.ok_or_else(|| {
                self.core
                    .damaged(at, "a list of pieces", "impossible lengths")
            })?;
            segment.indirect.store(true, Relaxed);
            let places: Box<[Location]> = list.chunks.iter().map(|(place, _)| *place).collect();
            for place in &places {
                if let Some(segment) = self
                    .core
                    .table
                    .get(place.address() / self.core.segment_bytes)
                {
                    segment.live.fetch_add(place.class_bytes() as i64, Relaxed);
                }
            }
            self.core.ledger.lock().chunks.insert(at.address(), places);
        }
        Ok(())
    }
}
