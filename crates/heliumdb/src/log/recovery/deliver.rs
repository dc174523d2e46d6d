//! From checked frames to batches: what is whole and not cancelled is counted and delivered.
//!
//! Invariant: a batch is delivered when its last frame is there, and never a part of one.

use super::super::{BatchKind, Replay, ReplayBatch, ReplayItem, core::Log, table::Items};
use crate::{
    Result,
    format::{
        check::{self, Bounds},
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        get_u64,
        item::{self, CHUNK, INDIRECT, ItemHeader, OVERTAKES, TOMBSTONE},
        segment::SegmentHeader,
    },
    limits::ITEM_ALIGN,
    location::{Location, Lsn},
};
use std::{collections::HashSet, sync::atomic::Ordering::*};

/// A batch of which not all frames were seen yet.
struct Pending {
    batch: ReplayBatch,
    /// Where its last frame so far ends.
    end: Lsn,
    sequences: Vec<u64>,
    /// Address and bytes of the items of each frame.
    parts: Vec<(u64, Vec<u8>)>,
}

/// Takes the frames of one pass over the log.
pub(super) struct Delivery<'a> {
    log: &'a Log,
    /// Filled by a pass without a sink, obeyed by one with.
    cancelled: &'a mut HashSet<u64>,
    sink: Option<&'a mut dyn Replay>,
    pending: Option<Pending>,
    bounds: Bounds,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        log: &'a Log,
        cancelled: &'a mut HashSet<u64>,
        sink: Option<&'a mut dyn Replay>,
    ) -> Self {
        Self {
            log,
            cancelled,
            sink,
            pending: None,
            bounds: log.bounds(),
        }
    }

    pub(super) fn delivers(&self) -> bool {
        self.sink.is_some()
    }

    /// What comes next follows nothing before it.
    pub(super) fn forget_pending(&mut self) {
        self.pending = None;
    }

    pub(super) fn frame(
        &mut self,
        segment: &SegmentHeader,
        header: &FrameHeader,
        payload: &[u8],
        prefix_len: usize,
        address: u64,
    ) -> Result<()> {
        let is_whole = header.flags & (FIRST | LAST) == FIRST | LAST;
        let impossible = |found| {
            let at = Location::new(address - frame::HEADER_BYTES as u64, 0);
            Err(self.log.medium.damaged(at, "a frame of the log", found))
        };
        let kind = match header.kind {
            Kind::Commit if is_whole && !self.cancelled.contains(&header.batch_id) => {
                // Nearly all are: one frame, of which nobody has to remember anything.
                return self.commit(header.batch_id, payload, address);
            }
            Kind::Checkpoint => {
                self.pending = None;
                return Ok(());
            }
            Kind::Cancel | Kind::Resolve | Kind::Seal => {
                self.pending = None;
                return self.record(segment, header, payload);
            }
            _ => match self.kind_of(header, payload) {
                Some(kind) => kind,
                None => return impossible("one that says impossible things of its items"),
            },
        };
        if !is_whole || self.cancelled.contains(&header.batch_id) {
            self.note_numbers(&payload[prefix_len..]);
        }
        let mut pending = match self.pending.take() {
            Some(pending) if pending.batch.id == header.batch_id && header.flags & FIRST == 0 => {
                if pending.batch.kind != kind {
                    return impossible("one that says something else than the batch's first");
                }
                pending
            }
            // Without a first frame: that was in a segment of which nothing is needed any more.
            _ => Pending {
                batch: ReplayBatch {
                    id: header.batch_id,
                    kind,
                },
                end: 0,
                sequences: Vec::new(),
                parts: Vec::new(),
            },
        };
        pending.sequences.push(segment.sequence);
        pending.end = header.lsn + (frame::HEADER_BYTES + payload.len()) as u64;
        let items = (address + prefix_len as u64, &payload[prefix_len..]);
        if header.flags & LAST == 0 {
            pending.parts.push((items.0, items.1.to_vec()));
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

    /// What a frame of items says of them; `None` if it cannot be.
    fn kind_of(&self, header: &FrameHeader, payload: &[u8]) -> Option<BatchKind> {
        match header.kind {
            Kind::Prepare => {
                let (global, participants, _) = frame::decode_prepare(payload)?;
                Some(BatchKind::Prepare {
                    global,
                    participants,
                })
            }
            Kind::Spill => {
                let (id, number, _) = frame::decode_spill(payload)?;
                check::are_numbers([id, number]).then_some(BatchKind::Spill { id, number })
            }
            Kind::CommitSpilled => {
                let (spilled, _) = frame::decode_spilled(payload)?;
                let fits = check::is_spilled(&spilled, header.lsn);
                fits.then_some(BatchKind::CommitSpilled(spilled))
            }
            Kind::Move => {
                let (placed, units, _) = frame::decode_move(payload)?;
                let from = units.iter().map(|&unit| place_of(unit)).collect();
                let fits = self.are_places(&units, placed);
                fits.then_some(BatchKind::Move { placed, from })
            }
            _ => Some(BatchKind::Commit),
        }
    }

    /// Whether a move may say that its items were there.
    fn are_places(&self, units: &[u64], placed: u64) -> bool {
        let is_place = |&unit: &u64| {
            let at = Location::new(unit * ITEM_ALIGN as u64, item::HEADER_BYTES);
            self.bounds.had_place(at)
        };
        check::are_numbers([placed]) && units.iter().all(is_place)
    }

    fn commit(&mut self, id: u64, payload: &[u8], address: u64) -> Result<()> {
        self.pending = None;
        if !self.delivers() {
            return Ok(());
        }
        let kind = BatchKind::Commit;
        let batch = ReplayBatch { id, kind };
        self.items(&batch, address, payload)?;
        self.sink
            .as_mut()
            .map_or(Ok(()), |sink| sink.batch_end(&batch))
    }

    /// Tells of the numbers of items that may not be delivered.
    fn note_numbers(&mut self, bytes: &[u8]) {
        let Some(sink) = self.sink.as_mut() else {
            return;
        };
        let mut at = 0;
        while let Some(header) = bytes.get(at..).and_then(ItemHeader::decode) {
            sink.number_used(header.seq);
            at += header.padded_len();
        }
    }

    /// Remembers where the batch's frames are, cancelled or not: what says that it is has to
    /// stay as long as any of them.
    fn enter_batch(&self, segment: &SegmentHeader, pending: &Pending) {
        let mut sequences = pending.sequences.clone();
        sequences.dedup();
        let mut ledger = self.log.ledger.lock();
        let ReplayBatch { id, kind } = &pending.batch;
        let bytes = self.log.medium.segment_bytes();
        ledger.enter(kind, *id, &sequences, segment.segment, bytes);
    }

    fn record(
        &mut self,
        segment: &SegmentHeader,
        header: &FrameHeader,
        payload: &[u8],
    ) -> Result<()> {
        let log = self.log;
        let Some(sink) = self.sink.as_mut() else {
            if header.kind == Kind::Cancel {
                self.cancelled.insert(get_u64(payload, 0));
            }
            return Ok(());
        };
        if let Some(segment) = log.table.get(segment.segment) {
            segment.outcomes.store(true, Relaxed);
        }
        match (header.kind, frame::decode_resolve(payload)) {
            (Kind::Cancel, _) => {
                let batch = get_u64(payload, 0);
                log.ledger
                    .lock()
                    .outcome(batch, segment.segment, log.medium.segment_bytes());
                sink.cancel(batch)
            }
            (Kind::Resolve, Some((global, committed))) => {
                log.ledger
                    .lock()
                    .resolved(global, segment.segment, log.medium.segment_bytes());
                sink.resolve(global, committed)
            }
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, pending: &Pending, last: (u64, &[u8])) -> Result<()> {
        let mut number = 0;
        for (address, bytes) in &pending.parts {
            number += self.items(&pending.batch, *address, bytes)?;
        }
        number += self.items(&pending.batch, last.0, last.1)?;
        if let BatchKind::Move { from, .. } = &pending.batch.kind
            && from.len() != number
        {
            let at = Location::new(last.0, 0);
            let expected = format!("{} items that were moved", from.len());
            return Err(self.log.medium.damaged(at, &expected, &number.to_string()));
        }
        if let BatchKind::Move { from, .. } = &pending.batch.kind {
            let log = self.log;
            from.iter().for_each(|at| log.note_moved(*at, pending.end));
        }
        match self.sink.as_mut() {
            Some(sink) => sink.batch_end(&pending.batch),
            None => Ok(()),
        }
    }

    /// Delivers the items of one frame; returns how many, pieces not counted.
    fn items(&mut self, batch: &ReplayBatch, address: u64, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        let mut moved = match &batch.kind {
            BatchKind::Move { from, .. } => from.iter(),
            _ => [].iter(),
        };
        let mut kept = Items::default();
        let mut number = 0;
        while let Some(header) = bytes.get(at..).and_then(ItemHeader::decode) {
            let place = address + at as u64;
            let item = &bytes[at..at + header.len()];
            at += header.padded_len();
            let location = header.place(place);
            if !header.has(TOMBSTONE) {
                kept.add(location, header.len());
            }
            if header.has(CHUNK) {
                continue;
            }
            number += 1;
            let from = moved
                .next()
                .map(|from| Location::new(from.address(), header.len()));
            self.count(batch, &header, item, location)?;
            let item = ReplayItem {
                tree: header.tree,
                seq: header.seq,
                overtakes: header.has(OVERTAKES),
                tombstone: header.has(TOMBSTONE),
                indirect: header.has(INDIRECT),
                key: header.key(item),
                from,
                location,
            };
            if let Some(sink) = self.sink.as_mut() {
                sink.item(batch, &item)?;
            }
        }
        if let Some(segment) = self
            .log
            .table
            .get(address / self.log.medium.segment_bytes())
        {
            segment.add_frame(kept, matches!(batch.kind, BatchKind::Move { .. }));
        }
        Ok(number)
    }

    /// Enters the item in its segment's figures, and the pieces of a long value in the ledger.
    fn count(
        &self,
        batch: &ReplayBatch,
        header: &ItemHeader,
        bytes: &[u8],
        at: Location,
    ) -> Result<()> {
        let Some(segment) = self
            .log
            .table
            .get(at.address() / self.log.medium.segment_bytes())
        else {
            return Ok(());
        };
        let placed = match &batch.kind {
            BatchKind::Move { placed, .. } if !header.has(TOMBSTONE) => *placed,
            _ => header.seq,
        };
        segment.add_item(
            placed,
            header.has(TOMBSTONE),
            header.has(OVERTAKES),
            at.class_bytes() as u64,
        );
        if header.has(TOMBSTONE) {
            return Ok(());
        }
        if header.has(INDIRECT) {
            let list = item::decode_chunk_list(header.value(bytes));
            let is_sound = |list: &item::ChunkList| {
                let mut places = list.chunks.iter();
                places.all(|(place, _)| self.bounds.had_place(*place))
            };
            let list = list.filter(is_sound).ok_or_else(|| {
                let found = "impossible lengths or places";
                self.log.medium.damaged(at, "a list of pieces", found)
            })?;
            segment.indirect.store(true, Relaxed);
            let places: Box<[Location]> = list.chunks.iter().map(|(place, _)| *place).collect();
            self.log.ledger.lock().chunks.insert(at.address(), places);
        }
        Ok(())
    }
}

/// Where something was moved from; how long it is says the item.
fn place_of(unit: u64) -> Location {
    Location::new(unit * ITEM_ALIGN as u64, 0)
}
