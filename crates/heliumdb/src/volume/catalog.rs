//! The catalog: which datastores a volume has.
//!
//! On disk it is a tree of the store's own: datastore id -> descriptor, and, under the empty
//! key, the next id to give. Each operation is one synced batch, so it is atomic, and done
//! when it returns ([`mod@change`]). Invariant: what is in memory is what is durable; names are unique;
//! ids, which datastores and trees share, are never used twice. Who looks through a snapshot sees the
//! catalog as it was then ([`past`]).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use super::{DatastoreInfo, state::State};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        check,
        trees::{INTERNAL_TREES_END, UNORDERED, tree_number},
    },
    id::DatastoreId,
    limits::DATASTORES_MAX,
    tree::Tree,
};

mod change;
pub(crate) mod descriptor;
mod past;
pub(crate) use descriptor::{Descriptor, Kind};
use past::Replaced;
pub(crate) use past::SeenDatastore;

/// Key of the record that holds the next id.
const NEXT_ID_KEY: &[u8] = b"";

pub(super) struct Catalog {
    pub(super) tree: Arc<Tree>,
    /// Held by the operation that changes the catalog, over its write to the log.
    change: Mutex<()>,
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    by_id: BTreeMap<u32, Entry>,
    by_name: BTreeMap<Vec<u8>, u32>,
    next_id: u32,
    /// What changes replaced that some snapshot in use does not see, in their order.
    past: Vec<Replaced>,
}

#[derive(Clone)]
struct Entry {
    descriptor: Descriptor,
    state: Arc<State>,
}

impl Catalog {
    /// The catalog that `tree` holds: `records` are its items, `trees` what the log had for
    /// each tree id.
    pub(super) fn load(
        tree: Arc<Tree>,
        records: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>,
        mut take_tree: impl FnMut(u32) -> Arc<Tree>,
    ) -> Result<Self> {
        let mut known = Known::default();
        let (mut next_id, mut used) = (None, HashSet::new());
        for record in records {
            let (key, value) = record?;
            if key == NEXT_ID_KEY {
                next_id = Some(descriptor::decode_next_id(&value)?);
                continue;
            }
            let id = <[u8; 4]>::try_from(key.as_slice()).map_err(|_| impossible("a key"))?;
            let descriptor = Descriptor::decode(&value)?;
            let id = u32::from_be_bytes(id);
            known.check_new(id, &descriptor, &mut used)?;
            let tree = take_tree(descriptor.tree);
            known.add(id, descriptor, tree);
        }
        known.next_id = check_next_id(next_id, used.into_iter().max())?;
        Ok(Self {
            tree,
            change: Mutex::new(()),
            known: Arc::new(RwLock::new(known)),
        })
    }

    pub(super) fn info(&self, id: DatastoreId) -> Option<DatastoreInfo> {
        let known = self.known.read();
        known.by_id.get(&id.0).map(|entry| entry.info(id))
    }

    pub(super) fn list(&self) -> Vec<DatastoreInfo> {
        let known = self.known.read();
        let ids = known.by_name.values();
        ids.filter_map(|id| {
            known
                .by_id
                .get(id)
                .map(|entry| entry.info(DatastoreId(*id)))
        })
        .collect()
    }

    pub(super) fn next_id(&self) -> u32 {
        self.known.read().next_id
    }

    pub(super) fn index_bytes(&self) -> u64 {
        self.index_sizes().1
    }

    /// Keys in the index, those of the catalog too, and bytes of memory that all but these take.
    pub(super) fn index_sizes(&self) -> (u64, u64) {
        let known = self.known.read();
        let trees = known.by_id.values().filter_map(|entry| entry.state.tree());
        let sizes = trees.map(|tree| (tree.index.len(), tree.index.memory_bytes()));
        sizes.fold((self.tree.index.len(), 0), |sum, size| {
            (sum.0 + size.0, sum.1 + size.1)
        })
    }

    /// How many datastores there are, and the items in them.
    pub(super) fn counts(&self) -> (u64, u64) {
        let known = self.known.read();
        let trees = known.by_id.values().map(|entry| entry.state.now());
        let items = trees.map(|tree| tree.as_ref().map_or(0, |tree| tree.live.get()));
        (known.by_name.len() as u64, items.sum())
    }

    /// The trees that hold the items of now, the catalog's own among them.
    pub(super) fn trees(&self) -> Vec<Arc<Tree>> {
        let known = self.known.read();
        let entries = known.by_id.values();
        let mut trees: Vec<_> = entries.filter_map(|entry| entry.state.tree()).collect();
        trees.push(self.tree.clone());
        trees
    }

    fn by_name(&self, name: &[u8]) -> Option<DatastoreId> {
        self.known
            .read()
            .by_name
            .get(name)
            .copied()
            .map(DatastoreId)
    }

    fn state(&self, id: DatastoreId) -> Option<Arc<State>> {
        self.known
            .read()
            .by_id
            .get(&id.0)
            .map(|entry| entry.state.clone())
    }

    fn descriptor(&self, id: DatastoreId) -> Result<Descriptor> {
        let known = self.known.read();
        let entry = known.by_id.get(&id.0);
        entry
            .map(|entry| entry.descriptor.clone())
            .ok_or_else(|| not_found(&format!("with id {}", id.0)))
    }
}

impl Known {
    /// Refuses what a catalog cannot say of a datastore beside all others. `used` are the numbers of
    /// these and of their trees.
    fn check_new(&self, id: u32, descriptor: &Descriptor, used: &mut HashSet<u32>) -> Result<()> {
        let tree = tree_number(descriptor.tree);
        let is_new = used.insert(id) && (tree == id || used.insert(tree));
        if !check::is_datastore_number(id) {
            return Err(impossible("an id that no datastore can have"));
        }
        if self.by_id.len() >= DATASTORES_MAX {
            return Err(impossible("more datastores than a volume can hold"));
        }
        if self.by_name.contains_key(&descriptor.name) {
            return Err(impossible("two datastores of one name"));
        }
        if !is_new {
            return Err(impossible("two datastores with the same items"));
        }
        Ok(())
    }

    fn add(&mut self, id: u32, descriptor: Descriptor, tree: Arc<Tree>) -> Arc<State> {
        tree.set_compress(descriptor.compress);
        let state = State::new(DatastoreId(id), tree);
        self.enter(id, descriptor, state.clone());
        state
    }

    fn enter(&mut self, id: u32, descriptor: Descriptor, state: Arc<State>) {
        self.by_name.insert(descriptor.name.clone(), id);
        self.by_id.insert(id, Entry { descriptor, state });
    }
}

impl Entry {
    fn info(&self, id: DatastoreId) -> DatastoreInfo {
        DatastoreInfo {
            id,
            name: self.descriptor.name.clone(),
            attributes: self.descriptor.attributes.clone(),
            compress: self.descriptor.compress,
            unordered: self.descriptor.is_unordered(),
        }
    }
}

/// The next id, if the catalog can say so: `highest` is in use.
fn check_next_id(next: Option<u32>, highest: Option<u32>) -> Result<u32> {
    // The last id is the one after which none is given.
    let given = INTERNAL_TREES_END..UNORDERED;
    match (next, highest) {
        (None, None) => Ok(INTERNAL_TREES_END),
        (None, Some(_)) => Err(impossible("datastores, and no id for the next one")),
        (Some(next), highest) if given.contains(&next) && highest < Some(next) => Ok(next),
        (Some(_), _) => Err(impossible(
            "an id for the next datastore that was given before, or cannot be",
        )),
    }
}

/// The catalog is whole, and cannot be.
fn impossible(found: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the volume's catalog has {found}: salvage copies what is left to another volume"),
    )
}

fn not_found(which: &str) -> Error {
    Error::new(
        ErrorKind::DatastoreNotFound,
        format!("the volume has no datastore {which}"),
    )
}
