//! Appending: one short lock in which places are given out and bytes copied.
//!
//! Invariant: the frames of a batch follow each other, and each is published whole.

use super::{
    Appended, BatchKind, GlobalTxn, Lsn,
    batch::Batch,
    buffer::BufferWriter,
    commit::Active,
    core::Core,
    ledger::Ledger,
    space::Reservation,
    table::{FILLING, SEALED},
};
use crate::{
    Error, ErrorKind, Result,
    format::{
        SEGMENT_HEADER_BYTES, fold,
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        item,
        segment::{SegmentHeader, State},
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN},
    location::Location,
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
        }
    }
}

/// Whose room an append may use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// What is neither reserved nor promised.
    Open,
    /// The reserve too.
    Reserve,
    /// What was promised to this append earlier.
    Promised,
}

impl Core {
    /// Appends, buffered. Ordinary appends leave the reserve and what is promised to others
    /// alone; `uses_reserve` (deletes) may use the reserve. For commits that hold a
    /// [`Reservation`] use `append_promised`.
    pub(crate) fn append(&self, batch: &mut Batch, uses_reserve: bool) -> Result<Appended> {
        let room = if uses_reserve {
            Room::Reserve
        } else {
            Room::Open
        };
        self.append_in(batch, room)
    }

    /// Appends in space promised earlier: does not fail for space while the batch fits the promise.
    pub(crate) fn append_promised(
        &self,
        batch: &mut Batch,
        promise: &mut Reservation,
    ) -> Result<Appended> {
        let cost = self.cost(batch.bytes() as u64, batch.largest as u64);
        let room = if promise.bytes() >= cost {
            Room::Promised
        } else {
            Room::Open
        };
        let appended = self.append_in(batch, room)?;
        promise.draw(cost);
        Ok(appended)
    }

    /// Takes back a batch: recovery will not see it.
    pub(crate) fn append_cancel(&self, batch_id: u64) -> Result<Lsn> {
        self.check_writable()?;
        self.announce_cancels()?;
        let mut payload = [0; ITEM_ALIGN];
        payload[..8].copy_from_slice(&batch_id.to_le_bytes());
        self.append_record(Kind::Cancel, batch_id, &payload, |ledger, home| {
            ledger.outcome(batch_id, home, self.segment_bytes);
        })
    }

    /// Says what became of a prepared batch. On the decider's volume the record stays until
    /// [`Core::forget_decision`].
    pub(crate) fn append_resolve(&self, global: GlobalTxn, committed: bool) -> Result<Lsn> {
        self.check_writable()?;
        let decides = global.decider == self.volume;
        self.append_record(
            Kind::Resolve,
            0,
            &frame::encode_resolve(global, committed),
            |ledger, home| {
                ledger.resolved(global, home, decides, self.segment_bytes);
            },
        )
    }

    /// Every participant has a durable resolve record: the decision need not be kept.
    pub(crate) fn forget_decision(&self, global: GlobalTxn) {
        self.ledger.lock().forget(global);
    }

    /// Promises space to a transaction.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reservation> {
        self.check_writable()?;
        let cost = self.cost(bytes, bytes.min(item::ITEM_BYTES_MAX as u64));
        loop {
            {
                let mut space = self.space.lock();
                if space.available(self.usable()) >= self.reserve_bytes() + space.promised + cost {
                    space.promised += cost;
                    return Ok(Reservation::new(self.space.clone(), cost));
                }
            }
            if !self.grow()? {
                return Err(self.full());
            }
        }
    }

    /// Room that a batch takes at worst: what is lost at the ends of segments, and to the
    /// end of a block when it is synced.
    fn cost(&self, bytes: u64, largest: u64) -> u64 {
        let lost = largest.max(self.segment_bytes / 128) + 2 * frame::HEADER_BYTES as u64;
        let segments = bytes / (self.usable() - lost) + 1;
        bytes + segments * lost + BLOCK_BYTES as u64
    }

    fn append_in(&self, batch: &mut Batch, room: Room) -> Result<Appended> {
        self.check_writable()?;
        let mut appender = self.appender.lock();
        // Again, under the lock: what a failed flush left open must not be added to.
        self.check_writable()?;
        self.take_room(self.cost(batch.bytes() as u64, batch.largest as u64), room)?;
        let appended = self.place_batch(&mut appender, batch);
        self.end.store(self.position(&appender), Release);
        let waiting = appender.opened.len();
        drop(appender);
        let appended = appended?;
        self.relieve(waiting)?;
        Ok(appended)
    }

    fn take_room(&self, cost: u64, room: Room) -> Result<()> {
        loop {
            {
                let space = self.space.lock();
                let free = space.available(self.usable());
                let kept = match room {
                    Room::Open => self.reserve_bytes() + space.promised,
                    Room::Reserve => space.promised,
                    Room::Promised => 0,
                };
                if free >= kept + cost {
                    return Ok(());
                }
            }
            if !self.grow()? {
                return Err(self.full());
            }
        }
    }

    fn full(&self) -> Error {
        Error::new(
            ErrorKind::VolumeFull,
            format!(
                "the volume on {} is full: delete something or give it more room",
                self.devices[0].name()
            ),
        )
    }

    fn place_batch(&self, appender: &mut Appender, batch: &mut Batch) -> Result<Appended> {
        let mut appended = Appended {
            batch_id: 0,
            end: 0,
            locations: Vec::with_capacity(batch.len()),
        };
        let mut sequences: Vec<u64> = Vec::new();
        let mut chunks: Vec<(Location, usize)> = Vec::new();
        let mut next = 0;
        let mut first = true;
        while first || next < batch.items.len() {
            let (until, current) = match self.fit(appender, batch, next) {
                Some(until) => (until, appender.current.as_mut()),
                None => {
                    self.next_segment(appender).inspect_err(|_| {
                        // Without its last frame the batch does not count.
                        appended.locations.iter().for_each(|at| self.mark_dead(*at));
                    })?;
                    continue;
                }
            };
            let Some(current) = current else { continue };
            let lsn = current.sequence * self.segment_bytes + current.offset as u64;
            if first {
                appended.batch_id = lsn;
            }
            let flags =
                if first { FIRST } else { 0 } | if until == batch.items.len() { LAST } else { 0 };
            let header = FrameHeader {
                kind: if batch.kind == BatchKind::Commit {
                    Kind::Commit
                } else {
                    Kind::Prepare
                },
                flags,
                payload_len: (batch.prefix.len() + batch.start(until) - batch.start(next)) as u32,
                item_count: (until - next) as u32,
                epoch: self.epoch.load(Relaxed),
                lsn,
                horizon: self.durable(),
                batch_id: appended.batch_id,
                payload_hash: 0,
                chain: appender.chain,
            };
            appender.chain = self.write_frame(
                current,
                header,
                batch,
                next..until,
                &mut chunks,
                &mut appended.locations,
            );
            if sequences.last() != Some(&current.sequence)
                && (!sequences.is_empty() || flags & LAST == 0)
            {
                sequences.push(current.sequence);
            }
            first = false;
            next = until;
        }
        appended.end = self.position(appender);
        self.enter_batch(appender, batch, &appended, &sequences);
        Ok(appended)
    }

    /// Up to which item of the batch, from `next`, one frame in the current segment can go.
    fn fit(&self, appender: &Appender, batch: &Batch, next: usize) -> Option<usize> {
        let current = appender.current.as_ref()?;
        let overhead = frame::HEADER_BYTES + batch.prefix.len();
        let room = (self.segment_bytes as usize - frame::HEADER_BYTES)
            .checked_sub(current.offset + overhead)?;
        let from = batch.start(next);
        if batch.bytes.len() - from <= room {
            return Some(batch.items.len());
        }
        // A small batch goes whole into the next segment, so that neither is pinned to the other.
        if next == 0 && batch.bytes.len() <= self.segment_bytes as usize / 128 {
            return None;
        }
        // The last item that starts within the room does not end there.
        let until = batch
            .items
            .partition_point(|item| item.start <= from + room)
            - 1;
        (until > next).then_some(until)
    }

    fn write_frame(
        &self,
        current: &mut Current,
        mut header: FrameHeader,
        batch: &mut Batch,
        items: std::ops::Range<usize>,
        chunks: &mut Vec<(Location, usize)>,
        locations: &mut Vec<Location>,
    ) -> u64 {
        let payload_at = current.offset + frame::HEADER_BYTES + batch.prefix.len();
        let base = current.segment * self.segment_bytes + payload_at as u64;
        let from = batch.start(items.start);
        let whole = items.len() == batch.items.len() && !batch.has_indirect;
        let mut sum = frame::prefix_hash(&batch.prefix);
        let Some(segment) = self.table.get(current.segment) else {
            return 0;
        };
        let mut live = 0;
        for i in items.clone() {
            let entry = batch.items[i];
            let address = base + (entry.start - from) as u64;
            let location = Location::new(address, entry.len);
            let class_bytes = location.class_bytes() as u64;
            if entry.flags & item::CHUNK != 0 {
                chunks.push((location, entry.len - item::HEADER_BYTES));
            } else {
                if entry.flags & item::INDIRECT != 0 {
                    self.place_chunks(batch, i, location, chunks);
                    segment.indirect.store(true, Relaxed);
                }
                locations.push(location);
                let tombstone = entry.flags & item::TOMBSTONE != 0;
                segment.add_item(
                    entry.seq,
                    tombstone,
                    entry.flags & item::OVERTAKES != 0,
                    class_bytes,
                );
            }
            if entry.flags & item::TOMBSTONE == 0 {
                live += class_bytes as i64;
            }
            let hash = batch.items[i].hash;
            let checksum = item::checksum(hash, self.salt, address);
            batch.bytes[entry.start..entry.start + 4].copy_from_slice(&checksum.to_le_bytes());
            if !whole {
                sum = fold(sum, hash);
            }
        }
        segment.live.fetch_add(live, AcqRel);
        header.payload_hash = if whole { batch.sum } else { sum };
        let bytes = &batch.bytes[from..batch.start(items.end)];
        self.put_frame(current, &header, &[&batch.prefix, bytes])
    }

    /// Fills in where the pieces of item `i`'s value went.
    fn place_chunks(
        &self,
        batch: &mut Batch,
        i: usize,
        location: Location,
        chunks: &mut Vec<(Location, usize)>,
    ) {
        let entry = &mut batch.items[i];
        let end = entry.start + entry.len;
        let list = &mut batch.bytes[end - item::chunk_list_bytes(chunks.len())..end];
        item::encode_chunk_list(list, chunks.iter().map(|(_, len)| len).sum(), chunks);
        entry.hash = item::hash(&batch.bytes[entry.start..end]);
        let places = chunks.drain(..).map(|(location, _)| location).collect();
        self.ledger.lock().chunks.insert(location.address(), places);
    }

    fn put_frame(&self, current: &mut Current, header: &FrameHeader, parts: &[&[u8]]) -> u64 {
        let len = frame::HEADER_BYTES + header.payload_len as usize;
        let bytes = current.writer.at(current.offset, len);
        let mut encoded = [0; frame::HEADER_BYTES];
        let hash = header.encode(&mut encoded, self.salt);
        bytes[..frame::HEADER_BYTES].copy_from_slice(&encoded);
        let mut at = frame::HEADER_BYTES;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        current.offset += len;
        current.writer.publish(current.offset);
        self.space.lock().rest = self.rest(current);
        self.frames.fetch_add(1, Relaxed);
        hash
    }

    fn rest(&self, current: &Current) -> u64 {
        (self.segment_bytes as usize - frame::HEADER_BYTES).saturating_sub(current.offset) as u64
    }

    fn enter_batch(
        &self,
        appender: &Appender,
        batch: &Batch,
        appended: &Appended,
        sequences: &[u64],
    ) {
        let Some(current) = &appender.current else {
            return;
        };
        if sequences.len() > 1 {
            self.ledger
                .lock()
                .batch(appended.batch_id, sequences, current.segment);
        }
        if let BatchKind::Prepare { global, .. } = &batch.kind {
            self.ledger.lock().prepared(*global, appended.batch_id);
        }
    }

    /// Appends a frame that is not a batch, and enters what it pins in the ledger.
    fn append_record(
        &self,
        kind: Kind,
        batch_id: u64,
        payload: &[u8],
        enter: impl FnOnce(&mut Ledger, u64),
    ) -> Result<Lsn> {
        let mut appender = self.appender.lock();
        self.check_writable()?;
        self.take_room(
            self.cost((frame::HEADER_BYTES + payload.len()) as u64, 0),
            Room::Reserve,
        )
        .or_else(|e| {
            self.take_room(frame::HEADER_BYTES as u64, Room::Promised)
                .map_err(|_| e)
        })?;
        let needed = frame::HEADER_BYTES + payload.len();
        let fits = appender
            .current
            .as_ref()
            .is_some_and(|c| self.rest(c) as usize >= needed);
        if !fits {
            self.next_segment(&mut appender)?;
        }
        let appender = &mut *appender;
        let Some(current) = appender.current.as_mut() else {
            return Err(self.full());
        };
        let header = FrameHeader {
            kind,
            flags: FIRST | LAST,
            payload_len: payload.len() as u32,
            item_count: 0,
            epoch: self.epoch.load(Relaxed),
            lsn: current.sequence * self.segment_bytes + current.offset as u64,
            horizon: self.durable(),
            batch_id,
            payload_hash: frame::prefix_hash(payload),
            chain: appender.chain,
        };
        appender.chain = self.put_frame(current, &header, &[payload]);
        enter(&mut self.ledger.lock(), current.segment);
        let end = self.position(appender);
        self.end.store(end, Release);
        Ok(end)
    }

    pub(super) fn position(&self, appender: &Appender) -> Lsn {
        match &appender.current {
            Some(current) => current.sequence * self.segment_bytes + current.offset as u64,
            None => self.end(),
        }
    }

    /// Ends the current segment's log at its end.
    fn seal(&self, appender: &mut Appender) {
        let Some(mut current) = appender.current.take() else {
            return;
        };
        let size = self.segment_bytes as usize;
        // A segment padded to its very end needs no seal: nothing could follow.
        if size - current.offset >= frame::HEADER_BYTES {
            let header = FrameHeader {
                kind: Kind::Seal,
                flags: FIRST | LAST,
                payload_len: 0,
                item_count: 0,
                epoch: self.epoch.load(Relaxed),
                lsn: current.sequence * self.segment_bytes + current.offset as u64,
                horizon: self.durable(),
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
        self.space.lock().rest = 0;
        self.end
            .store((current.sequence + 1) * self.segment_bytes, Release);
        if let Some(segment) = self.table.get(current.segment) {
            segment.written.store(true, Relaxed);
            segment.state.store(SEALED, Release);
        }
    }

    /// Seals the current segment and starts the next.
    fn next_segment(&self, appender: &mut Appender) -> Result<()> {
        let id = self.take_segment()?;
        self.seal(appender);
        let Some(segment) = self.table.get(id) else {
            return Err(self.full());
        };
        let sequence = appender.next_sequence;
        let epoch = self.epoch.load(Relaxed);
        if appender.chain == 0 {
            appender.chain = epoch_chain(epoch);
        }
        appender.next_sequence += 1;
        segment.begin(sequence, epoch, FILLING);
        let generation = segment.generation.fetch_add(2, Relaxed) + 1;
        let mut writer = BufferWriter::new(self.segment_bytes as usize);
        writer.publish(SEGMENT_HEADER_BYTES);
        segment.set_buffer(Some(writer.share()));
        let header = SegmentHeader {
            state: State::InUse,
            generation,
            volume: self.volume,
            segment: id,
            sequence,
            epoch,
            chain: appender.chain,
            end: 0,
            horizon: self.durable(),
        };
        appender.opened.push(Active::new(header, writer.share()));
        self.ledger.lock().in_use.insert(sequence, id);
        let current = Current {
            segment: id,
            sequence,
            offset: SEGMENT_HEADER_BYTES,
            writer,
        };
        self.space.lock().rest = self.rest(&current);
        appender.current = Some(current);
        Ok(())
    }

    fn take_segment(&self) -> Result<u64> {
        loop {
            let taken = {
                let mut space = self.space.lock();
                space
                    .ready
                    .pop_front()
                    .map(|id| (id, true))
                    .or_else(|| space.raw.pop_front().map(|id| (id, false)))
            };
            self.nudge();
            match taken {
                Some((id, true)) => return Ok(id),
                Some((id, false)) => {
                    self.fill_holes(id)?;
                    return Ok(id);
                }
                None if self.grow()? => {}
                None => return Err(self.full()),
            }
        }
    }

    /// A file of a given size may be sparse: a full file system is to show now, and not
    /// in a write that a commit waits for.
    fn fill_holes(&self, id: u64) -> Result<()> {
        let (device, _) = self.segment_place(id);
        if self.superblock.lock().members[device].grows {
            return Ok(());
        }
        self.write_zeros(id)
            .inspect_err(|_| self.space.lock().raw.push_back(id))
    }

    /// Pads the current segment to a block and says what is there to write.
    pub(super) fn cut(&self, pad: bool) -> (Lsn, Vec<Active>) {
        let mut appender = self.appender.lock();
        if let Some(current) = appender.current.as_mut().filter(|_| pad) {
            current.offset = current.offset.next_multiple_of(BLOCK_BYTES);
            current.writer.publish(current.offset);
            self.space.lock().rest = self.rest(current);
        }
        let end = self.position(&appender);
        self.end.store(end, Release);
        (end, std::mem::take(&mut appender.opened))
    }
}

/// The chain value before the first frame of an epoch.
pub(super) fn epoch_chain(epoch: u64) -> u64 {
    frame::prefix_hash(&epoch.to_le_bytes()) | 1
}
