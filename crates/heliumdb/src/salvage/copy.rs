//! Writing what was found to another volume, datastore by datastore and in key order.

use std::collections::HashSet;

use super::{
    SalvageReport, SalvagedDatastore,
    datastores::{self, Plan},
    scan::Scanned,
    source::Source,
};
use crate::{
    Volume, codec,
    error::Result,
    format::item::{self, CHUNK, INDIRECT, ItemHeader, TOMBSTONE},
    id::DatastoreId,
    location::Location,
    progress::{Phase, Reporter},
    volume::{filling::Filling, load::Loader},
    write::lost_decisions,
};

/// Items between two reports of progress.
const STEP_ITEMS: u64 = 1024;

/// Whoever likes the report finishes the copy.
pub(crate) fn copy<'a>(
    source: &Source,
    scanned: Scanned,
    target: &'a Volume,
    reporter: &mut Reporter<'_>,
) -> Result<(SalvageReport, Filling<'a>)> {
    let datastores::Planned {
        plans,
        next_id,
        left_out,
    } = datastores::plan(source, &scanned);
    let counts = scanned.counts;
    // CRASH: what is there of the copy from here on is none until it is finished.
    let filling = Filling::begin(target, source.volume, scanned.epoch)?;
    let mut report = SalvageReport {
        volume: Some(source.volume),
        devices: source.devices.len() as u64,
        missing_devices: source.missing_devices(),
        lost_superblocks: source.lost_superblocks,
        unfinished_copy: source.is_unfinished_copy,
        copied_while_open: source.was_open_elsewhere || scanned.is_ahead,
        segments: scanned.segments,
        lost_segments: scanned.lost_segments,
        gaps: counts.gaps,
        gap_bytes: counts.gap_bytes,
        damaged_frames: counts.damaged_frames,
        frames: counts.frames,
        broken_batches: counts.broken_batches,
        dropped_items: counts.dropped_items,
        cancelled_batches: counts.cancelled_batches,
        unresolved_batches: counts.unresolved_batches,
        lost_datastores: left_out + scanned.newest.left_out,
        ..SalvageReport::default()
    };
    let keys = plans.iter().map(|plan| scanned.newest.len(plan.tree)).sum();
    let mut copying = Copying {
        source,
        scanned: &scanned,
        reporter,
        keys,
        done: 0,
        pieces: HashSet::new(),
    };
    for plan in &plans {
        let store = copying.datastore(plan, next_id, target, &mut report)?;
        report.items += store.items;
        report.datastores.push(store);
    }
    let decisions = match target.id() == source.volume {
        true => copying.decisions(&mut report),
        false => Vec::new(),
    };
    report.unreadable_bytes = source.unreadable_bytes();
    filling.keep_decisions(&decisions)?;
    Ok((report, filling))
}

struct Copying<'a, 'b> {
    source: &'a Source,
    scanned: &'a Scanned,
    reporter: &'a mut Reporter<'b>,
    keys: u64,
    done: u64,
    /// Addresses of the pieces of long values that were copied: each is of one.
    pieces: HashSet<u64>,
}

impl Copying<'_, '_> {
    /// What a copy with the volume's id has to know of decisions that others may ask for.
    fn decisions(&self, report: &mut SalvageReport) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (mut decisions, lost) = self.scanned.decision_records(self.source);
        report.lost_decisions = lost;
        report.unreadable_bytes = self.source.unreadable_bytes();
        if !report.is_lossless() {
            decisions.retain(|(key, _)| *key != lost_decisions::KEY);
            decisions.push(lost_decisions::record(self.scanned.epoch));
        }
        decisions
    }

    fn datastore(
        &mut self,
        plan: &Plan,
        next_id: u32,
        target: &Volume,
        report: &mut SalvageReport,
    ) -> Result<SalvagedDatastore> {
        let id = DatastoreId(plan.id);
        let restored = target.restore_datastore(id, &plan.descriptor, next_id)?;
        let mut store = SalvagedDatastore {
            id,
            name: plan.descriptor.name.clone(),
            renamed: plan.renamed,
            items: 0,
            lost_items: 0,
        };
        let mut loader = Loader::new(&restored)?;
        let mut value = Vec::new();
        let mut walk = self.scanned.newest.walk(plan.tree);
        let mut key = Vec::new();
        while let Some((found, at)) = walk.as_mut().and_then(|walk| walk.next()) {
            key.clear();
            key.extend_from_slice(found);
            if self.done.is_multiple_of(STEP_ITEMS) {
                self.reporter.at(Phase::Copying, self.done, self.keys)?;
            }
            self.done += 1;
            let Some(at) = at else { continue };
            let copies = walk.as_ref().map_or(&[][..], |walk| walk.copies());
            let mut places = std::iter::once(&at).chain(copies);
            let pieces = &mut self.pieces;
            if places.any(|at| read(self.source, *at, plan.tree, &key, &mut value, pieces)) {
                report.bytes += (key.len() + value.len()) as u64;
                store.items += 1;
                loader.put(&key, &value)?;
            } else {
                store.lost_items += 1;
            }
        }
        loader.finish()?;
        Ok(store)
    }
}

/// Reads the value of an item, whole or not at all.
fn read(
    source: &Source,
    at: Location,
    tree: u32,
    key: &[u8],
    value: &mut Vec<u8>,
    pieces: &mut HashSet<u64>,
) -> bool {
    let mut bytes = Vec::new();
    value.clear();
    let Some(header) = source.item(at, &mut bytes) else {
        return false;
    };
    if header.tree != tree || header.has(CHUNK | TOMBSTONE) || header.key(&bytes) != key {
        return false;
    }
    if !header.has(INDIRECT) {
        return append(&header, &bytes, value);
    }
    let Some(list) = item::decode_chunk_list(header.value(&bytes)) else {
        return false;
    };
    let expected = (tree, header.seq);
    let all = list.chunks.iter().all(|&(place, len)| {
        if !pieces.insert(place.address()) {
            return false;
        }
        let chunk = source.item(place, &mut bytes).filter(|chunk| {
            chunk.has(CHUNK) && (chunk.tree, chunk.seq) == expected && chunk.value_len == len
        });
        chunk.is_some_and(|chunk| append(&chunk, &bytes, value))
    });
    all && value.len() == list.total
}

/// Appends what an item's bytes stand for; false if they stand for nothing.
pub(super) fn append(header: &ItemHeader, bytes: &[u8], value: &mut Vec<u8>) -> bool {
    let kept = header.value(bytes);
    match header.codec {
        codec::PLAIN => {
            value.extend_from_slice(kept);
            true
        }
        _ => codec::decompress(kept, value).is_some(),
    }
}
