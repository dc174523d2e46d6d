//! From frames to items that count.
//!
//! Invariant: unless partial batches are asked for, an item counts only if all frames of its
//! batch that were not freed are there, one after the other, with the last; never if the batch
//! was cancelled; a prepared one's only if something says that it committed, and a spilled one's
//! only if a commit names it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Rules, Unresolved,
    newest::Newest,
    spills::Spills,
    trouble::Trouble,
    walk::{Found, Piece},
};
use crate::{
    catalog::Descriptor,
    format::{
        frame::{self, FIRST, FrameHeader, Kind, LAST, Spilled},
        get_u64,
        item::{CHUNK, TOMBSTONE},
        name::GlobalTxn,
        trees::CATALOG_TREE,
    },
    id::VolumeId,
    location::{Location, Lsn},
    volume::outcomes::Told,
};

/// What the records say that speak of other batches.
#[derive(Default)]
pub(super) struct Records {
    pub(super) cancelled: HashSet<u64>,
    /// By the position of the record: version 1 gave a name twice at times,
    /// so a record speaks of the batch of that name before it.
    resolved: HashMap<GlobalTxn, BTreeMap<Lsn, bool>>,
}

impl Records {
    pub(super) fn of(told: &Told) -> Self {
        Self {
            cancelled: told.cancelled.clone(),
            ..Self::default()
        }
    }

    /// What the first record behind a prepared batch says of it.
    fn outcome(&self, name: GlobalTxn, batch: Lsn) -> Option<bool> {
        let all = self.resolved.get(&name)?;
        all.range(batch..).next().map(|(_, committed)| *committed)
    }

    pub(super) fn piece(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Frame { header, prefix, .. } => match header.kind {
                Kind::Cancel => drop(self.cancelled.insert(get_u64(prefix, 0))),
                Kind::Resolve => {
                    if let Some((global, committed)) = frame::decode_resolve(prefix) {
                        let all = self.resolved.entry(global).or_default();
                        all.insert(header.lsn, committed);
                    }
                }
                Kind::Commit
                | Kind::Prepare
                | Kind::Move
                | Kind::Seal
                | Kind::Spill
                | Kind::CommitSpilled
                | Kind::Checkpoint => {}
            },
            // The header names the batch as well.
            Piece::Damaged { header, .. } if header.kind == Kind::Cancel => {
                self.cancelled.insert(header.batch_id);
            }
            Piece::Damaged { .. } | Piece::Gap { .. } => {}
        }
    }
}

/// What was met.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) frames: u64,
    pub(super) damaged_frames: u64,
    pub(super) gaps: u64,
    pub(super) gap_bytes: u64,
    pub(super) broken_batches: u64,
    pub(super) dropped_items: u64,
    pub(super) cancelled_batches: u64,
    pub(super) unresolved_batches: u64,
}

/// Where the segments are of which the order is known.
pub(super) struct Order {
    /// Sequences of the segments in use.
    pub(super) in_use: BTreeSet<u64>,
    /// Nothing says what some segment was used for: what is missing may be there.
    pub(super) incomplete: bool,
    pub(super) segment_bytes: u64,
}

impl Order {
    /// Whether every segment with a sequence from `from` to below `to` was freed.
    fn freed(&self, from: u64, to: u64) -> bool {
        from >= to || (!self.incomplete && self.in_use.range(from..to).next().is_none())
    }
}

/// What says whether a batch counts.
enum Standing {
    Committed,
    Prepared(GlobalTxn),
    /// Counts if a commit names the id. With its number.
    Spilled(u64, u64),
    /// Committed, with what was spilled.
    Naming(Spilled),
}

impl Standing {
    /// Of the batch that a frame is of; `None` if it is of none, or its prefix is not known.
    fn of(kind: Kind, prefix: Option<&[u8]>) -> Option<Self> {
        match kind {
            Kind::Commit => Some(Self::Committed),
            Kind::Prepare => Some(Self::Prepared(frame::decode_prepare(prefix?)?.0)),
            Kind::Spill => {
                let (id, number, _) = frame::decode_spill(prefix?)?;
                Some(Self::Spilled(id, number))
            }
            Kind::CommitSpilled => Some(Self::Naming(frame::decode_spilled(prefix?)?.0)),
            Kind::Move | Kind::Cancel | Kind::Resolve | Kind::Seal | Kind::Checkpoint => None,
        }
    }
}

/// A batch of which the last frame was not met yet.
struct Pending {
    id: u64,
    standing: Standing,
    items: Vec<Item>,
}

/// An item of it.
pub(super) struct Item {
    tree: u32,
    sequence: u64,
    key: Vec<u8>,
    at: Option<Location>,
}

pub(super) struct Batches<'a> {
    volume: VolumeId,
    rules: &'a Rules,
    records: &'a Records,
    told: &'a Told,
    order: &'a Order,
    pub(super) newest: Newest,
    /// Trees that some record of the catalog names, overwritten or not.
    pub(super) named: HashSet<u32>,
    pub(super) counts: Counts,
    unresolved: HashSet<GlobalTxn>,
    cancelled: HashSet<u64>,
    pending: Option<Pending>,
    /// What was spilled and is not committed yet.
    spills: Spills,
    trouble: Trouble,
    /// Sequence of the segment that is walked through.
    sequence: u64,
    /// Hash of the frame header before, if nothing is missing since.
    chain: Option<u64>,
    /// Nothing was met yet in this segment.
    at_start: bool,
    /// Nothing is missing at the end of the segment before.
    complete: bool,
    broken: HashSet<u64>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        volume: VolumeId,
        rules: &'a Rules,
        records: &'a Records,
        told: &'a Told,
        order: &'a Order,
    ) -> Self {
        Self {
            volume,
            rules,
            records,
            told,
            order,
            newest: Newest::default(),
            named: HashSet::new(),
            counts: Counts::default(),
            unresolved: HashSet::new(),
            cancelled: HashSet::new(),
            pending: None,
            spills: Spills::default(),
            trouble: Trouble::default(),
            sequence: 0,
            chain: None,
            at_start: true,
            complete: false,
            broken: HashSet::new(),
        }
    }

    /// A segment begins; they come in the order of their sequences. `chain` is what its header
    /// says of the frame before it, if it has one.
    pub(super) fn segment(&mut self, sequence: u64, chain: Option<u64>, starts_epoch: bool) {
        let next = self.sequence + 1;
        let joins = if next == sequence {
            let lost = self.chain.is_some() && self.chain != chain && !starts_epoch;
            self.counts.gaps += u64::from(lost);
            if lost {
                self.trouble.add(sequence);
            }
            self.chain == chain
        } else {
            self.complete && self.order.freed(next, sequence)
        };
        if !joins {
            self.interrupt();
        }
        if !self.complete {
            // Its end is missing, or this one's start.
            self.trouble.add(self.sequence);
        }
        self.chain = chain;
        self.sequence = sequence;
        self.at_start = true;
    }

    pub(super) fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Frame {
                header,
                hash,
                prefix,
                items,
            } => {
                self.counts.frames += 1;
                if self.chain != Some(header.chain) {
                    self.counts.gaps += u64::from(self.chain.is_some());
                    self.trouble.add(self.sequence);
                    self.interrupt();
                    self.at_start = false;
                }
                self.chain = Some(hash);
                self.frame(&header, prefix, &items);
            }
            Piece::Damaged {
                header,
                hash,
                prefix,
                items,
            } => {
                // Of a checkpoint's frames nothing is needed.
                let needed = header.kind != Kind::Checkpoint;
                self.counts.damaged_frames += u64::from(needed);
                if needed || self.chain != Some(header.chain) {
                    self.trouble.add(self.sequence);
                    self.interrupt();
                }
                self.damaged(&header, prefix, &items);
                // The next frame is the right one, but its batch has lost one.
                self.chain = Some(hash);
            }
            Piece::Gap { bytes, items } => {
                self.counts.gaps += 1;
                self.counts.gap_bytes += bytes;
                self.trouble.add(self.sequence);
                self.interrupt();
                self.chain = None;
                if self.rules.doubtful {
                    items.iter().for_each(|item| self.enter(item));
                }
            }
        }
        self.at_start = false;
    }

    /// The segment's log was found to its end, or it was not.
    pub(super) fn end_segment(&mut self, complete: bool) {
        self.complete = complete;
    }

    /// There is nothing more, though with `is_cut` there should be.
    pub(super) fn finish(&mut self, is_cut: bool) {
        self.interrupt();
        self.counts.gaps += u64::from(is_cut);
        self.counts.broken_batches = self.broken.len() as u64;
        self.counts.unresolved_batches = self.unresolved.len() as u64;
        self.counts.cancelled_batches = self.cancelled.len() as u64;
    }

    fn frame(&mut self, header: &FrameHeader, prefix: &[u8], items: &[Found<'_>]) {
        match header.kind {
            Kind::Move => {
                self.interrupt();
                return items.iter().for_each(|item| self.enter(item));
            }
            // A seal stands between a batch's frames.
            Kind::Seal => return,
            _ => {}
        }
        // A checkpoint's items only repeat where others are.
        let Some(standing) = Standing::of(header.kind, Some(prefix)) else {
            return self.interrupt();
        };
        let continues = header.flags & FIRST == 0;
        let follows = self
            .pending
            .as_ref()
            .is_some_and(|p| continues && p.id == header.batch_id);
        if !follows {
            self.interrupt();
            if continues && !self.is_rest(header) {
                return self.partial(header.batch_id, standing, items);
            }
            self.pending = Some(Pending {
                id: header.batch_id,
                standing,
                items: Vec::new(),
            });
        }
        let Some(pending) = &mut self.pending else {
            return;
        };
        pending.items.extend(items.iter().filter_map(to_item));
        for item in items {
            note_names(&mut self.named, item);
        }
        if header.flags & LAST != 0
            && let Some(whole) = self.pending.take()
        {
            self.accept(whole);
        }
    }

    /// Whether a frame that is not its batch's first is the first that is left of it, the
    /// segments with those before having been freed.
    fn is_rest(&self, header: &FrameHeader) -> bool {
        let began = header.batch_id / self.order.segment_bytes;
        self.at_start && began < self.sequence && self.order.freed(began, self.sequence)
    }

    fn damaged(&mut self, header: &FrameHeader, prefix: Option<&[u8]>, items: &[Found<'_>]) {
        self.interrupt();
        if header.kind == Kind::Move {
            // Each moved item stands for itself: it was committed long before.
            return items.iter().for_each(|item| self.enter(item));
        }
        if let Some(standing) = Standing::of(header.kind, prefix) {
            self.partial(header.batch_id, standing, items);
        }
    }

    /// Something is missing: what is pending is not whole.
    fn interrupt(&mut self) {
        let Some(broken) = self.pending.take() else {
            return;
        };
        self.accept_broken(broken);
    }

    /// Takes or drops a batch that is not whole.
    fn accept_broken(&mut self, batch: Pending) {
        self.broken.insert(batch.id);
        if self.rules.partial {
            return self.accept(batch);
        }
        self.counts.dropped_items += batch.items.len() as u64;
        match batch.standing {
            Standing::Spilled(id, _) => self.spills.break_up(id),
            Standing::Naming(commit) => {
                let spilled = self.spills.take(commit.id);
                self.counts.dropped_items += spilled.items.len() as u64;
            }
            Standing::Committed | Standing::Prepared(_) => {}
        }
    }

    /// Items of a frame that does not belong to what is pending, because something is missing.
    fn partial(&mut self, id: u64, standing: Standing, found: &[Found<'_>]) {
        if self.rules.partial {
            for item in found {
                note_names(&mut self.named, item);
            }
        }
        self.accept_broken(Pending {
            id,
            standing,
            items: found.iter().filter_map(to_item).collect(),
        });
    }

    fn accept(&mut self, batch: Pending) {
        let is_cancelled = self.records.cancelled.contains(&batch.id);
        if is_cancelled {
            self.cancelled.insert(batch.id);
        }
        match batch.standing {
            Standing::Naming(commit) => {
                let spilled = self.spills.take(commit.id);
                if is_cancelled {
                    return;
                }
                let is_whole = spilled.is_whole(&commit, self.order, &self.trouble);
                if !is_whole && !self.rules.partial {
                    // A part of the transaction is missing.
                    self.broken.insert(batch.id);
                    let dropped = spilled.items.len() + batch.items.len();
                    self.counts.dropped_items += dropped as u64;
                    return;
                }
                let counts = |item: &Item| {
                    let mut skipped = commit.skipped.iter();
                    !skipped.any(|(from, below)| (*from..*below).contains(&item.sequence))
                };
                let spilled = spilled.items.into_iter().filter(counts);
                spilled.for_each(|item| self.enter_item(item));
            }
            _ if is_cancelled => return,
            Standing::Prepared(name) if !self.committed(name, batch.id) => return,
            Standing::Spilled(id, number) => {
                return self.spills.add(id, number, batch.id, batch.items);
            }
            Standing::Committed | Standing::Prepared(_) => {}
        }
        batch
            .items
            .into_iter()
            .for_each(|item| self.enter_item(item));
    }

    fn enter_item(&mut self, item: Item) {
        self.newest
            .enter(item.tree, &item.key, item.sequence, item.at);
    }

    fn committed(&mut self, name: GlobalTxn, batch: Lsn) -> bool {
        if let Some(committed) = self.records.outcome(name, batch) {
            return committed;
        }
        if self.told.decided.contains(&(name, self.volume)) {
            return true;
        }
        self.unresolved.insert(name);
        self.rules.unresolved == Unresolved::Keep
    }

    fn enter(&mut self, found: &Found<'_>) {
        note_names(&mut self.named, found);
        if let Some(item) = to_item(found) {
            self.enter_item(item);
        }
    }
}

/// `None` for a piece of a long value.
fn to_item(found: &Found<'_>) -> Option<Item> {
    let header = &found.header;
    let place = header.place(found.address);
    (!header.has(CHUNK)).then(|| Item {
        tree: header.tree,
        sequence: header.seq,
        key: header.key(found.bytes).to_vec(),
        at: (!header.has(TOMBSTONE)).then_some(place),
    })
}

/// Remembers which tree a record of the catalog names.
fn note_names(named: &mut HashSet<u32>, found: &Found<'_>) {
    let header = &found.header;
    if header.tree == CATALOG_TREE
        && !header.has(TOMBSTONE | CHUNK)
        && header.key_len == 4
        && let Ok(record) = Descriptor::decode(header.value(found.bytes))
    {
        named.insert(record.tree);
    }
}
