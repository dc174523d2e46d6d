//! Where a batch goes: its frames, one after the other, copied into segments' buffers.
//!
//! Invariant: the frames of a batch follow each other, and each is published whole.

use super::{
    Appended, BatchKind,
    batch::Batch,
    core::Log,
    segments::{Appender, Current},
    table::Items,
};
use crate::{
    Result,
    format::{
        Version, fold,
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        get_u32, item,
    },
    location::Location,
};
use std::sync::atomic::Ordering::*;

impl Log {
    pub(super) fn place_batch(
        &self,
        appender: &mut Appender,
        batch: &mut Batch,
    ) -> Result<Appended> {
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
                        appended.locations.iter().for_each(|at| self.mark_left(*at));
                    })?;
                    continue;
                }
            };
            let Some(current) = current else { continue };
            let lsn = current.sequence * self.medium.segment_bytes() + current.offset as u64;
            if first {
                appended.batch_id = lsn;
            }
            let flags =
                if first { FIRST } else { 0 } | if until == batch.items.len() { LAST } else { 0 };
            let header = FrameHeader {
                version: Version::CURRENT,
                kind: match &batch.kind {
                    BatchKind::Commit => Kind::Commit,
                    BatchKind::Prepare { .. } => Kind::Prepare,
                    BatchKind::Spill { .. } => Kind::Spill,
                    BatchKind::CommitSpilled(_) => Kind::CommitSpilled,
                    BatchKind::Move { .. } => Kind::Move,
                    BatchKind::Checkpoint => Kind::Checkpoint,
                },
                flags,
                payload_len: (batch.prefix.len() + batch.start(until) - batch.start(next)) as u32,
                item_count: (until - next) as u32,
                epoch: self.reach.epoch(),
                lsn,
                horizon: self.reach.durable(),
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
        let room = (self.medium.segment_bytes() as usize - frame::HEADER_BYTES)
            .checked_sub(current.offset + overhead)?;
        let from = batch.start(next);
        if batch.bytes.len() - from <= room {
            return Some(batch.items.len());
        }
        // A small batch goes whole into the next segment, so that neither is pinned to the other.
        let small = batch.bytes.len() <= self.medium.segment_bytes() as usize / 128;
        if next == 0 && (small || batch.is_one_frame()) {
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
        let base = current.segment * self.medium.segment_bytes() + payload_at as u64;
        let from = batch.start(items.start);
        let whole = items.len() == batch.items.len() && !batch.has_indirect;
        let mut sum = frame::prefix_hash(&batch.prefix);
        let Some(segment) = self.table.get(current.segment) else {
            return 0;
        };
        let mut kept = Items::default();
        for i in items.clone() {
            let entry = batch.items[i];
            let address = base + (entry.start - from) as u64;
            let location = entry.place(address);
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
                if !matches!(batch.kind, BatchKind::Checkpoint) {
                    segment.add_item(
                        batch.placed(&entry),
                        tombstone,
                        entry.flags & item::OVERTAKES != 0,
                        class_bytes,
                    );
                }
            }
            if entry.flags & item::TOMBSTONE == 0 {
                kept.add(location, entry.len);
            }
            let hash = batch.items[i].hash;
            let checksum = item::checksum(hash, self.medium.salt(), address);
            batch.bytes[entry.start..entry.start + 4].copy_from_slice(&checksum.to_le_bytes());
            if !whole {
                sum = fold(sum, hash);
            }
        }
        segment.live.fetch_add(kept.class_bytes as i64, AcqRel);
        segment.add_frame(kept, matches!(batch.kind, BatchKind::Move { .. }));
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
        let total = get_u32(list, 0) as usize;
        item::encode_chunk_list(list, total, chunks);
        entry.hash = item::hash(&batch.bytes[entry.start..end]);
        let places = chunks.drain(..).map(|(location, _)| location).collect();
        self.ledger.lock().chunks.insert(location.address(), places);
    }

    pub(super) fn put_frame(
        &self,
        current: &mut Current,
        header: &FrameHeader,
        parts: &[&[u8]],
    ) -> u64 {
        let len = frame::HEADER_BYTES + header.payload_len as usize;
        let bytes = current.writer.at(current.offset, len);
        let mut encoded = [0; frame::HEADER_BYTES];
        let hash = header.encode(&mut encoded, self.medium.salt());
        bytes[..frame::HEADER_BYTES].copy_from_slice(&encoded);
        let mut at = frame::HEADER_BYTES;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        current.offset += len;
        current.writer.publish(current.offset);
        self.reach.leave(self.medium.room_from(current.offset));
        self.written.count_frame();
        hash
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
        if sequences.is_empty() && matches!(batch.kind, BatchKind::Commit | BatchKind::Move { .. })
        {
            return;
        }
        let first = [appended.batch_id / self.medium.segment_bytes()];
        let sequences = if sequences.is_empty() {
            &first
        } else {
            sequences
        };
        let mut ledger = self.ledger.lock();
        ledger.enter(
            &batch.kind,
            appended.batch_id,
            sequences,
            current.segment,
            self.medium.segment_bytes(),
        );
    }
}
