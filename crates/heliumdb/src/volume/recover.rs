//! Recovery: what the log's replay makes of the index, the catalog and open questions.
//!
//! Rules: per key the highest sequence number wins. In the log numbers rise per key, except
//! below an item that *overtakes*: for those keys the number is remembered while replay lasts.
//! A prepared batch counts when its resolve record says so, or when its decider, asked after
//! the replay, has a decision. Replay starts from a checkpoint if there is one that can be used:
//! what is replayed may be in it already, and then changes nothing.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use crossbeam_epoch as epoch;

use super::{
    numbers::Numbers,
    replay::{Judges, Place, Queue},
};
use crate::{
    catalog::Recalled,
    checkpoint::{self, Fault, Loaded, Newest, Tentative},
    enough,
    error::{Error, ErrorKind, Result},
    format::{
        frame::Spilled,
        name::GlobalTxn,
        superblock::Checkpoint,
        trees::{CATALOG_TREE, DECISIONS_TREE},
    },
    id::VolumeId,
    index::{Bound, Direction, Secret, Tree as Index},
    location::{Location, Slot, Word},
    log::{BatchKind, Live, Log, LogState, OpenLog, Replay, ReplayBatch, ReplayItem},
    options::VolumeOptions,
    shared::{Recovered, Registration},
    tree::Tree,
    write::{decisions::has_decided, read_all},
};

/// Takes the replay of one volume's log.
#[derive(Default)]
pub(super) struct Recovery {
    /// Everything here goes by what the indexes have for keys.
    secret: Secret,
    /// Most trees that the log can have items of.
    trees_max: usize,
    /// A checkpoint is not to be used.
    scan: bool,
    trees: HashMap<u32, Index>,
    /// Items that are not in the trees yet.
    queue: Queue,
    judges: Judges,
    prepared: HashMap<GlobalTxn, Prepared>,
    /// What was spilled under an id and is not committed yet.
    spilled: HashMap<u64, Vec<SpilledItem>>,
    /// What the checkpoint's trees refer to; [`Queue`] counts what changes.
    live: Live,
    highest_sequence: u64,
    items: u64,
    /// The checkpoint that this started from.
    checkpoint: Option<Newest>,
    /// What of it is applied once it is known what was cancelled.
    tentative: Vec<Tentative>,
    /// Addresses of its long values.
    long: HashSet<u64>,
}

/// A prepared batch that nothing in its own log resolves.
#[derive(Default)]
pub(super) struct Prepared {
    items: Vec<PreparedItem>,
}

struct PreparedItem {
    tree: u32,
    sequence: u64,
    key: Vec<u8>,
    /// `None` is a tombstone.
    location: Option<Location>,
    indirect: bool,
}

struct SpilledItem {
    item: PreparedItem,
    overtakes: bool,
}

/// A volume whose log was replayed, with the questions it has to other volumes.
pub(super) struct Replayed {
    pub(super) open: OpenLog,
    pub(super) recovery: Recovery,
}

impl Replayed {
    pub(super) fn log(&self) -> &Arc<Log> {
        self.open.log()
    }
}

/// A volume on its way up.
pub(super) struct Opened {
    pub(super) url: String,
    pub(super) options: VolumeOptions,
    pub(super) replayed: Replayed,
    // Goes last: whoever waits for it finds the devices free.
    pub(super) registration: Option<Registration>,
}

impl Opened {
    pub(super) fn id(&self) -> VolumeId {
        self.replayed.log().medium().volume_id()
    }
}

impl Replay for Recovery {
    fn open(&mut self, secret: Secret, trees_max: usize) {
        self.secret = secret;
        self.trees_max = trees_max;
    }

    fn load(
        &mut self,
        core: &Log,
        checkpoint: &Checkpoint,
        in_use: &HashSet<u64>,
    ) -> Result<Option<LogState>> {
        if self.scan {
            tracing::info!(volume = %core.medium().volume_id(), "all of the log is read, as was asked for");
            return Ok(None);
        }
        match checkpoint::load(core, checkpoint, in_use, core.helpers()) {
            Ok(loaded) => Ok(Some(self.take_in(loaded))),
            Err(Fault::NoMemory(why)) => Err(why),
            Err(Fault::Unusable(why)) => {
                tracing::warn!(
                    volume = %core.medium().volume_id(),
                    "the volume's checkpoint {} cannot be used, so that all of its log is read, which takes longer, and \
                     loses nothing: {why}; verify says whether more is damaged, and the next checkpoint takes its place",
                    checkpoint.number
                );
                Ok(None)
            }
        }
    }

    fn begin(&mut self, threads: usize, cancelled: &HashSet<u64>) {
        self.queue = Queue::new(threads, &self.live);
        let mut tentative = std::mem::take(&mut self.tentative);
        tentative.retain(|version| version.batch == 0 || !cancelled.contains(&version.batch));
        // The newest of a key last.
        tentative.sort_by_key(|version| version.sequence);
        for version in tentative {
            self.apply_tentative(version);
        }
    }

    fn whole_log(&mut self, moved: bool) {
        self.judges.numbers = moved.then(Numbers::default);
    }

    fn number_used(&mut self, seq: u64) {
        // It may be a removal that was taken back, which the cleaner keeps all the same: what
        // comes later needs a higher number.
        self.highest_sequence = self.highest_sequence.max(seq);
    }

    fn item(&mut self, batch: &ReplayBatch, item: &ReplayItem<'_>) -> Result<()> {
        if self.trees.len() > self.trees_max {
            return Err(too_many_trees(self.trees_max));
        }
        self.items += 1;
        self.highest_sequence = self.highest_sequence.max(item.seq);
        let key = self.secret.index_key(item.tree, item.key);
        enough::for_indexed(key.len())?;
        let item = &ReplayItem { key: &key, ..*item };
        match &batch.kind {
            BatchKind::Commit => self.commit(&Place::of(item), item.overtakes),
            BatchKind::CommitSpilled(spilled) => {
                self.commit_spilled(spilled);
                self.commit(&Place::of(item), item.overtakes);
            }
            BatchKind::Spill { id, .. } => {
                // An id that was met is not given again.
                self.highest_sequence = self.highest_sequence.max(*id);
                let spilled = self.spilled.entry(*id).or_default();
                spilled.push(SpilledItem {
                    item: prepared_item(item),
                    overtakes: item.overtakes,
                });
            }
            BatchKind::Move { placed, .. } => {
                // No later number may be below it, though none that it was given may be left.
                self.highest_sequence = self.highest_sequence.max(placed.saturating_sub(1));
                self.apply_move(item);
            }
            // Not delivered.
            BatchKind::Checkpoint => {}
            BatchKind::Prepare { global, .. } => {
                // Until it is resolved, whoever writes the key overtakes it.
                self.watch(item.tree, item.key);
                let prepared = self.prepared.entry(*global).or_default();
                prepared.items.push(prepared_item(item));
            }
        }
        Ok(())
    }

    fn batch_end(&mut self, batch: &ReplayBatch) -> Result<()> {
        if let BatchKind::CommitSpilled(spilled) = &batch.kind {
            // It may have no items of its own.
            self.commit_spilled(spilled);
        }
        Ok(())
    }

    fn cancel(&mut self, _batch_id: u64) -> Result<()> {
        Ok(())
    }

    fn resolve(&mut self, global: GlobalTxn, committed: bool) -> Result<()> {
        self.settle(global, committed);
        Ok(())
    }

    fn end(&mut self) {
        self.apply_queued();
    }
}

fn prepared_item(item: &ReplayItem<'_>) -> PreparedItem {
    PreparedItem {
        tree: item.tree,
        sequence: item.seq,
        key: item.key.to_vec(),
        location: (!item.tombstone).then_some(item.location),
        indirect: item.indirect,
    }
}

impl PreparedItem {
    fn place(&self) -> Place<'_> {
        Place {
            tree: self.tree,
            sequence: self.sequence,
            key: &self.key,
            location: self.location,
            indirect: self.indirect,
        }
    }
}

impl<'a> Place<'a> {
    pub(super) fn of(item: &ReplayItem<'a>) -> Self {
        Self {
            tree: item.tree,
            sequence: item.seq,
            key: item.key,
            location: (!item.tombstone).then_some(item.location),
            indirect: item.indirect,
        }
    }
}

impl Recovery {
    pub(super) fn new(options: &VolumeOptions) -> Self {
        Self {
            scan: options.scan,
            ..Self::default()
        }
    }

    /// Starts from a checkpoint.
    fn take_in(&mut self, loaded: Loaded) -> LogState {
        self.trees = loaded.trees;
        self.live = loaded.live;
        self.checkpoint = Some(loaded.newest);
        self.highest_sequence = loaded.next_sequence.saturating_sub(1);
        for (tree, key, sequence) in loaded.overtakers {
            self.judges.overtakers.add(tree, &key, sequence);
        }
        // A decision counts like any item, as long as its batch does.
        let decisions = loaded.decisions.into_iter().map(|decision| Tentative {
            tree: DECISIONS_TREE,
            key: decision.key,
            sequence: 0,
            overtakes: false,
            location: Some(decision.at),
            batch: decision.batch,
            prepared: None,
        });
        self.tentative = loaded.tentative;
        self.tentative.extend(decisions);
        // All of these were decided, but nothing in the log says so yet: the decider is asked, and
        // the answer logged, as after any other crash.
        for (global, _) in &loaded.log.prepared {
            self.prepared.entry(*global).or_default();
        }
        self.long = loaded.long;
        loaded.log
    }

    fn apply_tentative(&mut self, version: Tentative) {
        let indirect = version
            .location
            .is_some_and(|at| self.long.contains(&at.address()));
        if let Some(global) = version.prepared {
            // Replay meets its resolve record, or the decider is asked.
            self.prepared
                .entry(global)
                .or_default()
                .items
                .push(PreparedItem {
                    tree: version.tree,
                    sequence: version.sequence,
                    key: version.key.clone(),
                    location: version.location,
                    indirect,
                });
            self.watch(version.tree, &version.key);
            return;
        }
        let place = Place {
            tree: version.tree,
            sequence: version.sequence,
            key: &version.key,
            location: version.location,
            indirect,
        };
        self.commit(&place, version.overtakes);
    }

    fn commit(&mut self, place: &Place<'_>, overtakes: bool) {
        if self.queue.push(place, overtakes) {
            self.apply_queued();
        }
    }

    fn apply_queued(&mut self) {
        self.queue.apply(&mut self.trees, &mut self.judges);
    }

    /// Applies what was spilled, before the items of the commit that names it.
    fn commit_spilled(&mut self, Spilled { id, skipped, .. }: &Spilled) {
        for SpilledItem { item, overtakes } in self.spilled.remove(id).into_iter().flatten() {
            let counts = |(from, below): &(u64, u64)| !(*from..*below).contains(&item.sequence);
            if skipped.iter().all(counts) {
                self.commit(&item.place(), overtakes);
            }
        }
    }

    /// A moved item counts if its key's item is where it was moved from. Where that is not known,
    /// because the whole log is read, it counts by its number like any other.
    fn apply_move(&mut self, item: &ReplayItem<'_>) {
        let place = Place::of(item);
        if self.judges.numbers.is_some() {
            return self.commit(&place, false);
        }
        // What a tombstone removed is gone already.
        if let Some(from) = item.from.filter(|_| !item.tombstone)
            && self.queue.push_moved(&place, from)
        {
            self.apply_queued();
        }
    }

    /// Watches a key from now on, though nothing with a number has been applied to it yet.
    fn watch(&mut self, tree: u32, key: &[u8]) {
        self.apply_queued();
        self.judges.overtakers.add(tree, key, 0);
    }

    /// Applies a prepared batch, or drops it.
    pub(super) fn settle(&mut self, global: GlobalTxn, committed: bool) {
        let Some(prepared) = self.prepared.remove(&global) else {
            return;
        };
        for item in prepared.items.iter().filter(|_| committed) {
            self.commit(&item.place(), false);
        }
        // Whoever asks next wants to see it.
        self.apply_queued();
    }

    /// Batches whose decider has to be asked, in the order in which the answers are logged.
    pub(super) fn in_doubt(&self) -> Vec<GlobalTxn> {
        let mut names: Vec<GlobalTxn> = self.prepared.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Whether this volume decided `name` for a commit that `participant` took part in.
    pub(super) fn has_decided(
        &self,
        log: &Log,
        name: GlobalTxn,
        participant: VolumeId,
    ) -> Result<bool> {
        match self.trees.get(&DECISIONS_TREE) {
            Some(decisions) => has_decided(decisions, log, name, participant),
            None => Ok(false),
        }
    }

    /// The volumes that may still ask this one about a commit.
    pub(super) fn owed_to(mut self, log: &Arc<Log>) -> Result<BTreeSet<VolumeId>> {
        let records = read_all(&self.take(DECISIONS_TREE, log), log)?;
        let ids = records.iter().flat_map(|(_, ids)| ids.as_chunks().0);
        Ok(ids.map(|id| VolumeId(*id)).collect())
    }

    /// Turns the replay into the volume's state. Nothing is in doubt any more.
    pub(super) fn finish(mut self, log: &Arc<Log>) -> Result<Recovered> {
        let catalog_tree = self.take(CATALOG_TREE, log);
        let decisions = self.take(DECISIONS_TREE, log);
        let records = read_all(&catalog_tree, log).map_err(|why| match why.kind() {
            ErrorKind::Damaged => why.advice("salvage copies what is left to another volume"),
            _ => why,
        })?;
        let catalog = Recalled::load(catalog_tree, records.into_iter().map(Ok), |id| {
            self.take(id, log)
        })?;
        self.drop_orphans();
        for counted in self.queue.counted() {
            self.live.merge(counted);
        }
        log.set_live(&self.live)?;
        let next_id = self.checkpoint.as_ref().map_or(0, Newest::next_id);
        if let Some(newest) = &self.checkpoint {
            log.note_pages(newest.locations());
        }
        log.medium().check_numbers([self.highest_sequence, next_id]);
        Ok(Recovered {
            catalog,
            decisions,
            next_sequence: self.highest_sequence + 1,
            items: self.items,
            checkpoint: self.checkpoint.unwrap_or_default(),
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

fn too_many_trees(most: usize) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!(
            "the log has items of more than {most} datastores, which no volume of its size comes to"
        ),
    )
}
