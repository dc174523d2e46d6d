//! Recovery: what the log's replay makes of the index, the catalog and open questions.
//!
//! Rules: per key the highest sequence number wins. In the log numbers rise per key, except
//! below an item that *overtakes*: for those keys the number is remembered while replay lasts.
//! A prepared batch counts when its resolve record says so, or when its decider, asked after
//! the replay, has a decision.

use std::{collections::HashMap, sync::Arc};

use crossbeam_epoch as epoch;

use super::{
    VolumeId,
    catalog::Catalog,
    newest::Newest,
    shared::{CATALOG_TREE, DECISIONS_TREE, Recovered},
    tree::Tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction, Tree as Index},
    location::{Location, Slot, Word},
    log::{BatchKind, GlobalTxn, Live, Log, Replay, ReplayBatch, ReplayItem},
};

/// Takes the replay of one volume's log.
#[derive(Default)]
pub(super) struct Recovery {
    trees: HashMap<u32, Index>,
    /// Tree and key of items that overtook others, with their sequence numbers.
    overtakers: HashMap<(u32, Vec<u8>), u64>,
    prepared: HashMap<GlobalTxn, Prepared>,
    /// The highest number of each key, where items may be in the log in any order.
    newest: Option<Newest>,
    /// What the trees refer to.
    live: Live,
    highest_sequence: u64,
    items: u64,
}

/// A prepared batch that nothing in its own log resolves.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) participants: Vec<VolumeId>,
    items: Vec<PreparedItem>,
}

struct PreparedItem {
    tree: u32,
    sequence: u64,
    key: Vec<u8>,
    location: Location,
    tombstone: bool,
    indirect: bool,
}

/// A volume whose log was replayed, with the questions it has to other volumes.
pub(super) struct Replayed {
    pub(super) log: Arc<Log>,
    pub(super) recovery: Recovery,
}

impl Replay for Recovery {
    fn whole_log(&mut self, moved: bool) {
        self.newest = moved.then(Newest::default);
    }

    fn number_used(&mut self, seq: u64) {
        // It may be a removal that was taken back, which the cleaner keeps all the same: what
        // comes later needs a higher number.
        self.highest_sequence = self.highest_sequence.max(seq);
    }

    fn item(&mut self, batch: &ReplayBatch, item: &ReplayItem<'_>) -> Result<()> {
        self.items += 1;
        self.highest_sequence = self.highest_sequence.max(item.seq);
        match &batch.kind {
            BatchKind::Commit => {
                self.apply(item);
                if item.overtakes {
                    self.overtake(item.tree, item.key, item.seq);
                }
            }
            BatchKind::Move { placed, .. } => {
                // No later number may be below it, though none that it was given may be left.
                self.highest_sequence = self.highest_sequence.max(placed.saturating_sub(1));
                self.apply_move(item);
            }
            BatchKind::Prepare {
                global,
                participants,
            } => {
                // Until it is resolved, whoever writes the key overtakes it.
                self.watch(item.tree, item.key);
                let prepared = self.prepared.entry(*global).or_default();
                prepared.participants.clone_from(participants);
                prepared.items.push(PreparedItem {
                    tree: item.tree,
                    sequence: item.seq,
                    key: item.key.to_vec(),
                    location: item.location,
                    tombstone: item.tombstone,
                    indirect: item.indirect,
                });
            }
        }
        Ok(())
    }

    fn batch_end(&mut self, _batch: &ReplayBatch) -> Result<()> {
        Ok(())
    }

    fn cancel(&mut self, _batch_id: u64) -> Result<()> {
        Ok(())
    }

    fn resolve(&mut self, global: GlobalTxn, committed: bool) -> Result<()> {
        self.settle(global, committed);
        Ok(())
    }
}

impl Recovery {
    fn apply(&mut self, item: &ReplayItem<'_>) {
        let newest = self.newest.as_mut();
        let superseded = newest.is_some_and(|n| !n.admits(item.tree, item.key, item.seq));
        if superseded || self.is_overtaken(item.tree, item.key, item.seq) {
            return;
        }
        let new = if item.tombstone {
            Word::EMPTY
        } else {
            Word::at(item.location)
        };
        let index = self.trees.entry(item.tree).or_insert_with(Index::new);
        let old = index.update(item.key, &epoch::pin(), |old| (new.0, old));
        if let Slot::At(old) = Word(old).slot() {
            self.live.remove(old);
        }
        // Afterwards: it may be the same place again.
        if !item.tombstone {
            self.live.add(item.location, item.indirect);
        }
    }

    /// A moved item counts if its key's item is where it was moved from. Where that is not known,
    /// because the whole log is read, it counts by its number like any other.
    fn apply_move(&mut self, item: &ReplayItem<'_>) {
        if self.newest.is_some() {
            return self.apply(item);
        }
        if item.tombstone {
            // What it removed is gone already.
            return;
        }
        let from = item.from.map_or(Word::EMPTY, Word::at);
        let moved = self.trees.get(&item.tree).is_some_and(|index| {
            index.update(item.key, &epoch::pin(), |old| {
                if old != 0 && Word(old).slot() == from.slot() {
                    (Word::at(item.location).0, true)
                } else {
                    (old, false)
                }
            })
        });
        if let Some(from) = item.from.filter(|_| moved) {
            self.live.remove(from);
            self.live.add(item.location, item.indirect);
        }
    }

    fn is_overtaken(&mut self, tree: u32, key: &[u8], sequence: u64) -> bool {
        if self.overtakers.is_empty() {
            return false;
        }
        match self.overtakers.get_mut(&(tree, key.to_vec())) {
            Some(highest) if *highest > sequence => true,
            Some(highest) => {
                *highest = sequence;
                false
            }
            None => false,
        }
    }

    fn overtake(&mut self, tree: u32, key: &[u8], sequence: u64) {
        let highest = self.overtakers.entry((tree, key.to_vec())).or_default();
        *highest = sequence.max(*highest);
    }

    /// Watches a key from now on, though nothing with a number has been applied to it yet.
    fn watch(&mut self, tree: u32, key: &[u8]) {
        self.overtakers.entry((tree, key.to_vec())).or_default();
    }

    /// Applies a prepared batch, or drops it.
    pub(super) fn settle(&mut self, global: GlobalTxn, committed: bool) {
        let Some(prepared) = self.prepared.remove(&global) else {
            return;
        };
        for item in prepared.items.iter().filter(|_| committed) {
            self.apply(&ReplayItem {
                tree: item.tree,
                seq: item.sequence,
                overtakes: false,
                tombstone: item.tombstone,
                indirect: item.indirect,
                key: &item.key,
                from: None,
                location: item.location,
            });
        }
    }

    /// Batches whose decider has to be asked.
    pub(super) fn in_doubt(&self) -> Vec<(GlobalTxn, Vec<VolumeId>)> {
        let batches = self.prepared.iter();
        batches
            .map(|(global, p)| (*global, p.participants.clone()))
            .collect()
    }

    /// Whether this volume decided `number` for a commit that `participant` took part in. A number
    /// that nothing durable bears is given again after a crash, so it alone says too little.
    pub(super) fn has_decided(
        &self,
        log: &Log,
        number: u64,
        participant: VolumeId,
    ) -> Result<bool> {
        let key = number.to_be_bytes();
        let guard = epoch::pin();
        let Some(decisions) = self.trees.get(&DECISIONS_TREE) else {
            return Ok(false);
        };
        let Slot::At(location) = Word(decisions.get(&key, &guard)).slot() else {
            return Ok(false);
        };
        let mut participants = Vec::new();
        if !log.read(location, DECISIONS_TREE, &key, &mut participants)? {
            return Err(misplaced());
        }
        Ok(participants.chunks(16).any(|id| id == participant.0))
    }

    /// Whether other volumes may still ask this one about a commit.
    pub(super) fn owes_decisions(&self) -> bool {
        self.trees
            .get(&DECISIONS_TREE)
            .is_some_and(|tree| tree.len() > 0)
    }

    /// Turns the replay into the volume's state. Nothing is in doubt any more.
    pub(super) fn finish(mut self, log: &Arc<Log>) -> Result<Recovered> {
        let catalog_tree = self.take(CATALOG_TREE, log);
        let decisions = self.take(DECISIONS_TREE, log);
        let records = read_all(&catalog_tree, log)?;
        let catalog = Catalog::load(catalog_tree, records.into_iter().map(Ok), |id| {
            self.take(id, log)
        })?;
        self.drop_orphans();
        log.set_live(&self.live);
        Ok(Recovered {
            catalog,
            decisions,
            next_sequence: self.highest_sequence + 1,
            items: self.items,
        })
    }

    fn take(&mut self, id: u32, log: &Arc<Log>) -> Arc<Tree> {
        Tree::with_index(
            id,
            self.trees.remove(&id).unwrap_or_else(Index::new),
            log.clone(),
        )
    }

    /// What is left belongs to datastores that were removed or truncated.
    fn drop_orphans(&mut self) {
        let guard = epoch::pin();
        for index in self.trees.values() {
            let mut all = index.iter(Bound::Unbounded, Direction::Forward, &guard);
            while let Some((_, word)) = all.next() {
                if let Slot::At(location) = Word(word).slot() {
                    self.live.remove(location);
                }
            }
        }
    }
}

/// All items of one of the store's own trees.
pub(super) fn read_all(tree: &Tree, log: &Log) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let guard = epoch::pin();
    let mut records = Vec::new();
    let mut all = tree
        .index
        .iter(Bound::Unbounded, Direction::Forward, &guard);
    while let Some((key, word)) = all.next() {
        if let Slot::At(location) = Word(word).slot() {
            let mut value = Vec::new();
            if !log.read(location, tree.id, key, &mut value)? {
                return Err(misplaced());
            }
            records.push((key.to_vec(), value));
        }
    }
    Ok(records)
}

fn misplaced() -> Error {
    Error::new(
        ErrorKind::Damaged,
        "a record of the volume's catalog is not where the log had it a moment ago",
    )
}
