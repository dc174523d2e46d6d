//! What is known of a volume's datastores, in memory.
//!
//! Invariant: it is what the catalog's records say; a catalog that cannot be is refused when it is loaded.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{DatastoreInfo, Descriptor, descriptor, past::Replaced, state::State};
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

#[derive(Default)]
pub(super) struct Known {
    pub(super) by_id: BTreeMap<u32, Entry>,
    pub(super) by_name: BTreeMap<Vec<u8>, u32>,
    pub(super) next_id: u32,
    /// What changes replaced that some snapshot in use does not see, in their order.
    pub(super) past: Vec<Replaced>,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) descriptor: Descriptor,
    pub(super) state: Arc<State>,
}

/// What recovery has found in a catalog.
pub(crate) struct Recalled {
    pub(super) tree: Arc<Tree>,
    pub(super) known: Known,
}

impl Recalled {
    /// The catalog that `tree` holds: `records` are its items, `trees` what the log had for
    /// each tree id.
    pub(crate) fn load(
        tree: Arc<Tree>,
        records: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>,
        mut take_tree: impl FnMut(u32) -> Arc<Tree>,
    ) -> Result<Self> {
        let mut known = Known::default();
        let (mut next_id, mut used) = (None, HashSet::new());
        for record in records {
            let (key, value) = record?;
            if key == descriptor::NEXT_ID_KEY {
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
        Ok(Self { tree, known })
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

    pub(super) fn add(&mut self, id: u32, descriptor: Descriptor, tree: Arc<Tree>) -> Arc<State> {
        tree.set_compress(descriptor.compress);
        let state = State::new(DatastoreId(id), tree);
        self.enter(id, descriptor, state.clone());
        state
    }

    pub(super) fn enter(&mut self, id: u32, descriptor: Descriptor, state: Arc<State>) {
        self.by_name.insert(descriptor.name.clone(), id);
        self.by_id.insert(id, Entry { descriptor, state });
    }
}

impl Entry {
    pub(super) fn info(&self, id: DatastoreId) -> DatastoreInfo {
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
