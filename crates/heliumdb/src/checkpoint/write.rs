//! Taking a checkpoint: see the module above.
//!
//! Invariant: the newest checkpoint's directories and places are replaced only after the
//! superblock that names the new ones is durable. One that fails before leaves the marks of what has
//! changed, and takes back what it wrote.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crossbeam_epoch as epoch;

use super::{
    directory::{Directory, Page},
    manifest::{Decision, Manifest, PIECE_BYTES, Tentative, encode_root, root_key},
    newest::Newest,
    page::{PAGE_BYTES, PageBuilder},
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        Version,
        superblock::{Checkpoint, Start},
        trees::CHECKPOINT_TREE,
    },
    ground::Ground,
    index::{Bound, Direction},
    location::{Location, Slot, Word},
    log::{Batch, BatchKind},
    tree::Tree,
    version::{TxnId, chain},
    write::certainty::Certain,
};

/// Pages go to the log in batches of this size, each synced before the next, so that a commit's
/// sync never waits for more.
const BATCH_BYTES: usize = 1 << 20;
/// A stretch whose last page is smaller than this takes the next page in.
const SMALL_PAGE_BYTES: usize = PAGE_BYTES / 4;

struct Writer<'a> {
    on: &'a Ground,
    certain: Certain,
    start: Start,
    next_id: u64,
    batch: Batch,
    /// Where each item pushed to the batch and not yet appended is to be noted: tree and page.
    waiting: Vec<(u32, usize)>,
    trees: HashMap<u32, Directory>,
    tentative: Vec<Tentative>,
    /// What was written: dead if the checkpoint fails.
    fresh: Vec<Location>,
}

pub(super) fn checkpoint(
    on: &Ground,
    newest: &mut Newest,
    emptied: &HashSet<u64>,
    below: TxnId,
) -> Result<()> {
    let log = &on.log;
    on.writing.certainty.hold();
    let start = log.begin_checkpoint();
    if !on.writing.gate.drain(|| log.health().poisoned().is_some()) {
        return on.access.check_writable();
    }
    let mut writer = Writer {
        on,
        certain: on.writing.certainty.look(below),
        start,
        next_id: newest.next_id,
        batch: Batch::new(BatchKind::Checkpoint),
        waiting: Vec::new(),
        trees: HashMap::new(),
        tentative: Vec::new(),
        fresh: Vec::new(),
    };
    let trees = on.catalog.trees();
    for tree in &trees {
        let directory = newest.trees.entry(tree.id).or_default();
        let is_chain = |word| matches!(Word(word).slot(), Slot::Chain(_));
        tree.index
            .take_changes(is_chain, |low, high| directory.mark(low, high));
    }
    let marked = newest.mark_remains(log, emptied);
    let number = newest.number + 1;
    match writer.run(newest, &trees, number) {
        Ok(manifest) => {
            // Only now: until the superblock was durable, a crash led to these.
            let new = Newest {
                number,
                next_id: writer.next_id,
                trees: writer.trees,
                manifest,
            };
            let old = std::mem::replace(newest, new);
            let kept: HashSet<_> = newest.locations().collect();
            let dead = old.locations().filter(|at| !kept.contains(at));
            dead.for_each(|at| log.mark_left(at));
            Ok(())
        }
        Err(why) => {
            newest.next_id = writer.next_id;
            newest.unmark(&marked);
            writer.fresh.iter().for_each(|at| log.mark_left(*at));
            Err(why)
        }
    }
}

impl Writer<'_> {
    /// Writes everything; returns the places of root and manifest.
    fn run(&mut self, newest: &Newest, trees: &[Arc<Tree>], number: u64) -> Result<Vec<Location>> {
        let log = &self.on.log;
        for tree in trees {
            let old = newest.trees.get(&tree.id).cloned().unwrap_or_default();
            self.tree(tree, &old)?;
        }
        self.append()?;
        // If nothing but this checkpoint was appended since the start, replay may start here.
        let end = log.end_of_batch();
        if log.reach().written_end() <= self.start.at {
            self.start = end;
        }
        let manifest = self.manifest().encode();
        let mut places = Vec::new();
        let first = self.next_id;
        for piece in manifest.chunks(PIECE_BYTES) {
            let id = self.take_id();
            places.push(self.append_one(&id.to_le_bytes(), piece)?);
        }
        let root = encode_root(first, &places);
        let key = root_key(number);
        let root_at = self.append_one(&key, &root)?;
        // CRASH: the superblock names the checkpoint before, all of which is still alive.
        log.sync_to(log.end_of_batch().at)?;
        log.note_checkpoint(Checkpoint {
            version: Version::CURRENT,
            number,
            address: root_at.address(),
            bytes: (crate::format::item::HEADER_BYTES + key.len() + root.len()) as u32,
            start: self.start,
            durable: log.reach().durable(),
        })?;
        places.push(root_at);
        Ok(places)
    }

    fn manifest(&mut self) -> Manifest {
        let on = self.on;
        let mut trees: Vec<_> = self.trees.iter().map(|(id, d)| (*id, d.clone())).collect();
        trees.sort_by_key(|(id, _)| *id);
        Manifest {
            next_id: self.next_id + (1 << 20),
            next_sequence: on.writing.sequence(),
            trees,
            log: on.log.state(),
            tentative: std::mem::take(&mut self.tentative),
            overtakers: std::mem::take(&mut self.certain.overtakers),
            decisions: self.decisions(),
        }
    }

    /// The decisions, with the batches that hold them.
    fn decisions(&self) -> Vec<Decision> {
        let on = self.on;
        // Kept for as long as the index is looked at, so that none of its decisions is unknown.
        let known = on.writing.certainty.decisions();
        let guard = epoch::pin();
        let index = &on.decisions.tree().index;
        let mut all = index.iter(Bound::Unbounded, Direction::Forward, &guard);
        let mut decisions = Vec::new();
        while let Some((key, word)) = all.next() {
            if let Slot::At(at) = Word(word).slot() {
                let number = <[u8; 8]>::try_from(key).map_or(0, u64::from_be_bytes);
                decisions.push(Decision {
                    key: key.to_vec(),
                    at,
                    batch: known.get(&number).map_or(0, |(_, batch)| *batch),
                });
            }
        }
        decisions
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Writes the stale pages of one tree.
    fn tree(&mut self, tree: &Tree, old: &Directory) -> Result<()> {
        self.trees.insert(tree.id, Directory { pages: Vec::new() });
        let mut at = 0;
        while let Some((start, mut end)) = old.stale_from(at) {
            self.keep(tree.id, &old.pages[at..start]);
            self.stretch(tree, old, start, &mut end)?;
            at = end;
        }
        self.keep(tree.id, &old.pages[at..]);
        if let Some(directory) = self.trees.get_mut(&tree.id) {
            match directory.pages.first_mut() {
                Some(first) => first.low.clear(),
                None => directory.pages.push(Page::empty()),
            }
        }
        Ok(())
    }

    fn keep(&mut self, tree: u32, pages: &[Page]) {
        if let Some(directory) = self.trees.get_mut(&tree) {
            let kept = pages.iter().filter(|page| page.at.is_some());
            directory.pages.extend(kept.cloned());
        }
    }

    /// Writes pages for the stretch of the old pages from `start` up to `end`, which grows if
    /// there is too little for a page.
    fn stretch(
        &mut self,
        tree: &Tree,
        old: &Directory,
        start: usize,
        end: &mut usize,
    ) -> Result<()> {
        let pages = &old.pages;
        let mut builder = PageBuilder::default();
        let mut low = Some(pages[start].low.clone());
        let mut last: Option<Vec<u8>> = None;
        loop {
            let guard = epoch::pin();
            let from = match &last {
                Some(last) => Bound::Excluded(last),
                None => Bound::Included(&pages[start].low),
            };
            let mut entries = tree.index.iter(from, Direction::Forward, &guard);
            let mut is_over = true;
            while let Some((key, word)) = entries.next() {
                while pages.get(*end).is_some_and(|next| *key >= *next.low) {
                    if builder.count() == 0 || builder.bytes() >= SMALL_PAGE_BYTES {
                        break;
                    }
                    *end = old
                        .stale_from(*end + 1)
                        .filter(|s| s.0 == *end + 1)
                        .map_or(*end + 1, |s| s.1);
                }
                if pages.get(*end).is_some_and(|next| *key >= *next.low) {
                    break;
                }
                if let Some(at) = self.certain_state(tree.id, key, Word(word), &guard) {
                    builder.push(key, at);
                }
                if builder.is_full() {
                    last = Some(key.to_vec());
                    is_over = false;
                    break;
                }
            }
            drop(guard);
            if builder.count() > 0 {
                self.push_page(tree.id, &mut builder, &mut low)?;
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// What a page says of the key; what is newer and uncertain is noted.
    fn certain_state(
        &mut self,
        tree: u32,
        key: &[u8],
        word: Word,
        guard: &epoch::Guard,
    ) -> Option<Location> {
        if let Slot::At(at) = word.slot() {
            return Some(at);
        }
        let certainty = &self.on.writing.certainty;
        let (certain, tentative, start) = (&self.certain, &mut self.tentative, self.start.at);
        chain::census(word, guard, |version| {
            let Some(logged) = certainty.cancellable(certain, version.owner) else {
                return false;
            };
            // Whoever was logged behind the start is met by replay.
            if logged.batch < start {
                tentative.push(Tentative {
                    tree,
                    key: key.to_vec(),
                    sequence: version.sequence,
                    overtakes: version.overtakes,
                    location: version.location,
                    batch: logged.batch,
                    prepared: logged.prepared,
                });
            }
            true
        })
    }

    fn push_page(
        &mut self,
        tree: u32,
        builder: &mut PageBuilder,
        low: &mut Option<Vec<u8>>,
    ) -> Result<()> {
        let id = self.take_id();
        let low = low.take().unwrap_or_else(|| builder.first().to_vec());
        let count = builder.count();
        let value = builder.finish(tree);
        let sequence = self.on.writing.next_sequence();
        self.batch.push(
            CHECKPOINT_TREE,
            sequence,
            false,
            &id.to_le_bytes(),
            Some(&value),
        );
        if let Some(directory) = self.trees.get_mut(&tree) {
            self.waiting.push((tree, directory.pages.len()));
            directory.pages.push(Page {
                low,
                id,
                at: None,
                count,
                stale: false,
            });
        }
        if self.batch.bytes() >= BATCH_BYTES {
            self.append()?;
        }
        Ok(())
    }

    /// Appends the pages that wait for it, and notes where they went.
    fn append(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let log = &self.on.log;
        let appended = log.append_checkpoint(&mut self.batch)?;
        self.fresh.extend(&appended.locations);
        for ((tree, page), at) in self.waiting.drain(..).zip(appended.locations) {
            let directory = self.trees.get_mut(&tree);
            if let Some(page) = directory.and_then(|d| d.pages.get_mut(page)) {
                page.at = Some(at);
            }
        }
        self.batch.clear(BatchKind::Checkpoint);
        log.sync_to(appended.end)?;
        // Nothing is cleaned meanwhile: among moved items, each of which would have to be moved again
        // to get rid of them, pages that soon die again would cost more than they are worth.
        self.on.pace.set();
        Ok(())
    }

    fn append_one(&mut self, key: &[u8], value: &[u8]) -> Result<Location> {
        let sequence = self.on.writing.next_sequence();
        self.batch.clear(BatchKind::Checkpoint);
        self.batch
            .push(CHECKPOINT_TREE, sequence, false, key, Some(value));
        let appended = self.on.log.append_checkpoint(&mut self.batch)?;
        self.fresh.extend(&appended.locations);
        appended.locations.first().copied().ok_or_else(|| {
            Error::new(
                ErrorKind::VolumeFull,
                "a checkpoint found no room in the log",
            )
        })
    }
}
