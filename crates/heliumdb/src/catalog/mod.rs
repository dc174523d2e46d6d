//! The catalog: which datastores a volume has.
//!
//! On disk it is a tree of the store's own: datastore id -> descriptor, and, under the empty
//! key, the next id to give. Each operation is one synced batch, so it is atomic, and done
//! when it returns ([`mod@change`]). Invariant: what is in memory ([`known`]) is what is durable; names are unique;
//! ids, which datastores and trees share, are never used twice. Who looks through a snapshot sees the
//! catalog as it was then ([`past`]).

mod change;
pub(crate) mod descriptor;
mod info;
mod known;
mod past;
mod state;

pub(crate) use descriptor::{Descriptor, Kind};
pub use info::DatastoreInfo;
pub(crate) use known::Recalled;
pub(crate) use past::SeenDatastore;
pub(crate) use state::State;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::{
    access::Access,
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    tree::Tree,
    write::{OwnRecords, Writing},
};
use known::Known;

/// See the module.
pub(crate) struct Catalog {
    access: Arc<Access>,
    writing: Arc<Writing>,
    records: Arc<OwnRecords>,
    tree: Arc<Tree>,
    /// Held by the operation that changes the catalog, over its write to the log.
    change: Mutex<()>,
    known: Arc<RwLock<Known>>,
}

impl Catalog {
    /// The catalog with what recovery has found in it.
    pub(crate) fn new(
        access: &Arc<Access>,
        writing: &Arc<Writing>,
        records: &Arc<OwnRecords>,
        contents: Recalled,
    ) -> Arc<Self> {
        Arc::new(Self {
            access: access.clone(),
            writing: writing.clone(),
            records: records.clone(),
            tree: contents.tree,
            change: Mutex::new(()),
            known: Arc::new(RwLock::new(contents.known)),
        })
    }

    /// The tree that has its records.
    pub(crate) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    pub(crate) fn info(&self, id: DatastoreId) -> Option<DatastoreInfo> {
        let known = self.known.read();
        known.by_id.get(&id.0).map(|entry| entry.info(id))
    }

    pub(crate) fn list(&self) -> Vec<DatastoreInfo> {
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

    pub(crate) fn next_id(&self) -> u32 {
        self.known.read().next_id
    }

    pub(crate) fn index_bytes(&self) -> u64 {
        self.index_sizes().1
    }

    /// Keys in the index, those of the catalog too, and bytes of memory that all but these take.
    pub(crate) fn index_sizes(&self) -> (u64, u64) {
        let known = self.known.read();
        let trees = known.by_id.values().filter_map(|entry| entry.state.tree());
        let sizes = trees.map(|tree| (tree.index.len(), tree.index.memory_bytes()));
        sizes.fold((self.tree.index.len(), 0), |sum, size| {
            (sum.0 + size.0, sum.1 + size.1)
        })
    }

    /// How many datastores there are, and the items in them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let known = self.known.read();
        let trees = known.by_id.values().map(|entry| entry.state.now());
        let items = trees.map(|tree| tree.as_ref().map_or(0, |tree| tree.live.get()));
        (known.by_name.len() as u64, items.sum())
    }

    /// The trees that hold the items of now, the catalog's own among them.
    pub(crate) fn trees(&self) -> Vec<Arc<Tree>> {
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

fn not_found(which: &str) -> Error {
    Error::new(
        ErrorKind::DatastoreNotFound,
        format!("the volume has no datastore {which}"),
    )
}
