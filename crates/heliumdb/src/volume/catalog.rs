//! The catalog: which datastores a volume has.
//!
//! On disk it is a tree of the store's own: datastore id -> descriptor, and, under the empty
//! key, the next id to give. Each operation is one synced batch, so it is atomic, and done
//! when it returns. Invariant: what is in memory is what is durable; names are unique; ids,
//! which datastores and trees share, are never used twice.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::{
    Datastore, DatastoreId, DatastoreInfo, Shared,
    datastore::State,
    shared::INTERNAL_TREES_END,
    tree::{Closing, Tree, tree_id},
};
use crate::{
    error::{Error, ErrorKind, Result},
    index::UNORDERED,
    limits::{ATTRIBUTES_BYTES_MAX, DATASTORES_MAX, NAME_BYTES_MAX},
};

pub(crate) mod descriptor;
pub(crate) use descriptor::{Descriptor, Kind};

/// Key of the record that holds the next id.
const NEXT_ID_KEY: &[u8] = b"";

pub(super) struct Catalog {
    pub(super) tree: Arc<Tree>,
    /// Held by the operation that changes the catalog, over its write to the log.
    change: Mutex<()>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_id: BTreeMap<u32, Entry>,
    by_name: BTreeMap<Vec<u8>, u32>,
    next_id: u32,
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
        let mut known = Known {
            next_id: INTERNAL_TREES_END,
            ..Known::default()
        };
        for record in records {
            let (key, value) = record?;
            match <[u8; 4]>::try_from(key.as_slice()) {
                Ok(id) => {
                    let descriptor = Descriptor::decode(&value)?;
                    let tree = take_tree(descriptor.tree);
                    known.add(u32::from_be_bytes(id), descriptor, tree);
                }
                Err(_) => known.next_id = descriptor::decode_next_id(&value)?,
            }
        }
        Ok(Self {
            tree,
            change: Mutex::new(()),
            known: RwLock::new(known),
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
        let known = self.known.read();
        let trees = known
            .by_id
            .values()
            .filter_map(|entry| entry.state.tree.load_full());
        trees.map(|tree| tree.index.memory_bytes()).sum()
    }

    /// How many datastores there are, and the items in them.
    pub(super) fn counts(&self) -> (u64, u64) {
        let known = self.known.read();
        let trees = known.by_id.values().map(|entry| entry.state.tree.load());
        let items = trees.map(|tree| tree.as_ref().map_or(0, |tree| tree.live.get()));
        (known.by_name.len() as u64, items.sum())
    }

    /// The trees that hold the items of now, the catalog's own among them.
    pub(super) fn trees(&self) -> Vec<Arc<Tree>> {
        let known = self.known.read();
        let entries = known.by_id.values();
        let mut trees: Vec<_> = entries
            .filter_map(|entry| entry.state.tree.load_full())
            .collect();
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

    fn set(&self, id: DatastoreId, descriptor: Descriptor) {
        let mut known = self.known.write();
        let Known { by_id, by_name, .. } = &mut *known;
        if let Some(entry) = by_id.get_mut(&id.0) {
            by_name.remove(&entry.descriptor.name);
            by_name.insert(descriptor.name.clone(), id.0);
            entry.descriptor = descriptor;
        }
    }
}

impl Known {
    fn add(&mut self, id: u32, descriptor: Descriptor, tree: Arc<Tree>) -> Arc<State> {
        tree.set_compress(descriptor.compress);
        let state = Arc::new(State {
            id: DatastoreId(id),
            tree: ArcSwapOption::new(Some(tree)),
        });
        self.by_name.insert(descriptor.name.clone(), id);
        let entry = Entry {
            descriptor,
            state: state.clone(),
        };
        self.by_id.insert(id, entry);
        state
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

impl Shared {
    pub(super) fn create_datastore(
        self: &Arc<Self>,
        name: &[u8],
        attributes: &[u8],
        kind: Kind,
    ) -> Result<Datastore> {
        check_name(name)?;
        check_attributes(attributes)?;
        let catalog = &self.catalog;
        let _change = self.changing()?;
        self.check_name_free(name)?;
        let id = {
            let known = catalog.known.read();
            if known.by_id.len() >= DATASTORES_MAX {
                return Err(Error::new(
                    ErrorKind::TooManyDatastores,
                    format!(
                        "the volume holds {DATASTORES_MAX} datastores already, which is the most it can"
                    ),
                ));
            }
            known.next_id
        };
        let next_id = id_after(id)?;
        let descriptor = Descriptor {
            tree: tree_id(id, kind.unordered),
            name: name.to_vec(),
            attributes: attributes.to_vec(),
            compress: kind.compress,
        };
        self.write_catalog(id, Some(&descriptor), Some(next_id), None)?;
        let tree = Tree::new(descriptor.tree, self.log.clone());
        let mut known = catalog.known.write();
        known.next_id = next_id;
        let state = known.add(id, descriptor, tree);
        Ok(Datastore::new(self.clone(), state))
    }

    pub(super) fn datastore(self: &Arc<Self>, name: &[u8]) -> Result<Datastore> {
        self.check_open()?;
        let id = self.catalog.by_name(name);
        id.map_or_else(
            || Err(not_found(&format!("called '{}'", name.escape_ascii()))),
            |id| self.datastore_by_id(id),
        )
    }

    pub(super) fn datastore_by_id(self: &Arc<Self>, id: DatastoreId) -> Result<Datastore> {
        self.check_open()?;
        let state = self.catalog.state(id);
        let state = state.ok_or_else(|| not_found(&format!("with id {}", id.0)))?;
        Ok(Datastore::new(self.clone(), state))
    }

    /// One change of the catalog at a time.
    fn changing(&self) -> Result<MutexGuard<'_, ()>> {
        // First: in a fork of the process somebody who is not there may have the lock.
        self.check_open()?;
        Ok(self.catalog.change.lock())
    }

    pub(super) fn rename_datastore(&self, id: DatastoreId, name: &[u8]) -> Result<()> {
        check_name(name)?;
        let _change = self.changing()?;
        let mut descriptor = self.catalog.descriptor(id)?;
        if descriptor.name == name {
            return Ok(());
        }
        self.check_name_free(name)?;
        let tree = self.tree_of(id)?;
        let _closing = tree.close()?;
        descriptor.name = name.to_vec();
        self.write_catalog(id.0, Some(&descriptor), None, None)?;
        self.catalog.set(id, descriptor);
        Ok(())
    }

    pub(super) fn set_attributes(&self, id: DatastoreId, attributes: &[u8]) -> Result<()> {
        check_attributes(attributes)?;
        let _change = self.changing()?;
        let mut descriptor = self.catalog.descriptor(id)?;
        descriptor.attributes = attributes.to_vec();
        self.write_catalog(id.0, Some(&descriptor), None, None)?;
        self.catalog.set(id, descriptor);
        Ok(())
    }

    pub(super) fn set_compress(&self, id: DatastoreId, compress: bool) -> Result<()> {
        let _change = self.changing()?;
        let mut descriptor = self.catalog.descriptor(id)?;
        if descriptor.compress == compress {
            return Ok(());
        }
        let tree = self.tree_of(id)?;
        descriptor.compress = compress;
        self.write_catalog(id.0, Some(&descriptor), None, None)?;
        tree.set_compress(compress);
        self.catalog.set(id, descriptor);
        Ok(())
    }

    pub(super) fn remove_datastore(&self, id: DatastoreId) -> Result<()> {
        let _change = self.changing()?;
        let descriptor = self.catalog.descriptor(id)?;
        let tree = self.tree_of(id)?;
        let closing = tree.close()?;
        self.write_catalog(id.0, None, None, Some(tree.id))?;
        let mut known = self.catalog.known.write();
        known.by_name.remove(&descriptor.name);
        if let Some(entry) = known.by_id.remove(&id.0) {
            entry.state.tree.store(None);
        }
        closing.retire();
        Ok(())
    }

    /// Empties a datastore, which stays as it is where `kind` and `attributes` do not say otherwise.
    pub(super) fn truncate_datastore(
        &self,
        id: DatastoreId,
        kind: Option<Kind>,
        attributes: Option<&[u8]>,
    ) -> Result<()> {
        attributes.map_or(Ok(()), check_attributes)?;
        let _change = self.changing()?;
        let mut descriptor = self.catalog.descriptor(id)?;
        let tree = self.tree_of(id)?;
        let closing = tree.close()?;
        let number = self.catalog.known.read().next_id;
        let next_id = id_after(number)?;
        let kind = kind.unwrap_or(descriptor.kind());
        descriptor.tree = tree_id(number, kind.unordered);
        descriptor.compress = kind.compress;
        if let Some(attributes) = attributes {
            descriptor.attributes = attributes.to_vec();
        }
        self.write_catalog(id.0, Some(&descriptor), Some(next_id), Some(tree.id))?;
        self.catalog.known.write().next_id = next_id;
        let new = Tree::new(descriptor.tree, self.log.clone());
        new.set_compress(descriptor.compress);
        self.catalog.set(id, descriptor);
        self.install(id, new, closing);
        Ok(())
    }

    fn install(&self, id: DatastoreId, tree: Arc<Tree>, old: Closing<'_>) {
        if let Some(state) = self.catalog.state(id) {
            state.tree.store(Some(tree));
        }
        old.retire();
    }

    fn tree_of(&self, id: DatastoreId) -> Result<Arc<Tree>> {
        let state = self.catalog.state(id);
        state
            .and_then(|state| state.tree.load_full())
            .ok_or_else(|| not_found(&format!("with id {}", id.0)))
    }

    fn check_name_free(&self, name: &[u8]) -> Result<()> {
        match self.catalog.by_name(name) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::DatastoreExists,
                format!(
                    "a datastore called '{}' exists already",
                    name.escape_ascii()
                ),
            )),
        }
    }

    /// Makes a datastore with an id of the caller's choosing, which no other has, for one that
    /// another volume had under it. Ids below `next_id` are not given any more.
    pub(super) fn restore_datastore(
        self: &Arc<Self>,
        id: u32,
        descriptor: &Descriptor,
        next_id: u32,
    ) -> Result<Datastore> {
        check_name(&descriptor.name)?;
        check_attributes(&descriptor.attributes)?;
        let catalog = &self.catalog;
        let _change = self.changing()?;
        self.check_name_free(&descriptor.name)?;
        if catalog.state(DatastoreId(id)).is_some() {
            return Err(Error::new(
                ErrorKind::DatastoreExists,
                format!("a datastore with id {id} exists already"),
            ));
        }
        let next_id = next_id.max(id_after(id)?).max(catalog.known.read().next_id);
        let descriptor = Descriptor {
            tree: tree_id(id, descriptor.is_unordered()),
            ..descriptor.clone()
        };
        self.write_catalog(id, Some(&descriptor), Some(next_id), None)?;
        let tree = Tree::new(descriptor.tree, self.log.clone());
        let mut known = catalog.known.write();
        known.next_id = next_id;
        let state = known.add(id, descriptor, tree);
        Ok(Datastore::new(self.clone(), state))
    }

    /// Writes a descriptor (or its end), the next id, and which tree ends, in one synced batch.
    ///
    /// CRASH: before the sync returns, the operation has happened or it has not; nothing
    /// else depends on it yet.
    fn write_catalog(
        &self,
        id: u32,
        descriptor: Option<&Descriptor>,
        next_id: Option<u32>,
        retired: Option<u32>,
    ) -> Result<()> {
        let key = id.to_be_bytes();
        let value = descriptor.map(Descriptor::encode);
        let next_id = next_id.map(descriptor::encode_next_id);
        let mut items: Vec<(&[u8], Option<&[u8]>)> = vec![(&key, value.as_deref())];
        if let Some(next_id) = &next_id {
            items.push((NEXT_ID_KEY, Some(next_id)));
        }
        let retired = retired.map(descriptor::retired_key);
        if let Some(key) = &retired {
            items.push((key, None));
        }
        self.write_internal(&self.catalog.tree, &items)
    }
}

/// The id to give after `id`.
fn id_after(id: u32) -> Result<u32> {
    if id >= UNORDERED - 1 {
        return Err(Error::new(
            ErrorKind::TooManyDatastores,
            format!(
                "datastores were made and emptied {id} times, which is the most that a volume can count: copy it to a new one"
            ),
        ));
    }
    Ok(id + 1)
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the datastore's name has {} bytes; it must have 1 to {NAME_BYTES_MAX}",
                name.len()
            ),
        ));
    }
    Ok(())
}

fn check_attributes(attributes: &[u8]) -> Result<()> {
    if attributes.len() > ATTRIBUTES_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the datastore's attributes have {} bytes; the most that fits is {ATTRIBUTES_BYTES_MAX}",
                attributes.len()
            ),
        ));
    }
    Ok(())
}

fn not_found(which: &str) -> Error {
    Error::new(
        ErrorKind::DatastoreNotFound,
        format!("the volume has no datastore {which}"),
    )
}
