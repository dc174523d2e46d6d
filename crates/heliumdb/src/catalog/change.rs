//! Changes of the catalog: making, emptying, renaming and removing datastores.
//!
//! Invariant: a change is durable before anybody sees it, and seen by all at one moment: by a
//! snapshot wholly or not at all. Nothing of a tree is appended to the log behind the mark that says
//! that it is over.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::{
    Catalog, Descriptor, Kind, descriptor, not_found,
    past::{Change, Keeping},
    state::State,
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::trees::{UNORDERED, tree_id},
    id::DatastoreId,
    limits::{ATTRIBUTES_BYTES_MAX, DATASTORES_MAX, NAME_BYTES_MAX},
    tree::{Closing, Tree},
};

/// A change that is in the log, and shown.
struct Changed {
    /// What the handles of the datastore share, if there still is one.
    state: Option<Arc<State>>,
    /// Why it is only buffered, if so.
    late: Option<Error>,
}

impl Changed {
    fn durable(self) -> Result<Option<Arc<State>>> {
        self.late.map_or(Ok(self.state), Err)
    }
}

impl Catalog {
    pub(crate) fn create(&self, name: &[u8], attributes: &[u8], kind: Kind) -> Result<Arc<State>> {
        check_name(name)?;
        check_attributes(attributes)?;
        let _change = self.changing()?;
        self.check_name_free(name)?;
        let id = {
            let known = self.known.read();
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
        self.add(id, descriptor, next_id)
    }

    /// Adds a datastore without items; the caller holds the lock on changes.
    fn add(&self, id: u32, descriptor: Descriptor, next_id: u32) -> Result<Arc<State>> {
        let tree = Tree::new(descriptor.tree, self.access.log().clone());
        let change = Change {
            descriptor: Some(descriptor),
            next_id: Some(next_id),
            tree: Some(tree),
            retired: None,
        };
        let state = self.change(id, change)?.durable()?;
        state.ok_or_else(|| not_found(&format!("with id {id}")))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Result<Arc<State>> {
        self.access.check_open()?;
        let id = self.by_name(name);
        id.map_or_else(
            || Err(not_found(&format!("called '{}'", name.escape_ascii()))),
            |id| self.find_by_id(id),
        )
    }

    pub(crate) fn find_by_id(&self, id: DatastoreId) -> Result<Arc<State>> {
        self.access.check_open()?;
        let state = self.state(id);
        state.ok_or_else(|| not_found(&format!("with id {}", id.0)))
    }

    pub(crate) fn rename(&self, id: DatastoreId, name: &[u8]) -> Result<()> {
        check_name(name)?;
        let _change = self.changing()?;
        let mut descriptor = self.descriptor(id)?;
        if descriptor.name == name {
            return Ok(());
        }
        self.check_name_free(name)?;
        let tree = self.tree_of(id)?;
        let _closing = tree.close()?;
        descriptor.name = name.to_vec();
        self.describe(id, descriptor)
    }

    pub(crate) fn set_attributes(&self, id: DatastoreId, attributes: &[u8]) -> Result<()> {
        check_attributes(attributes)?;
        let _change = self.changing()?;
        let mut descriptor = self.descriptor(id)?;
        descriptor.attributes = attributes.to_vec();
        self.describe(id, descriptor)
    }

    pub(crate) fn set_compress(&self, id: DatastoreId, compress: bool) -> Result<()> {
        let _change = self.changing()?;
        let mut descriptor = self.descriptor(id)?;
        if descriptor.compress == compress {
            return Ok(());
        }
        let tree = self.tree_of(id)?;
        descriptor.compress = compress;
        self.describe(id, descriptor)?;
        tree.set_compress(compress);
        Ok(())
    }

    /// Says something else of a datastore, whose items stay.
    fn describe(&self, id: DatastoreId, descriptor: Descriptor) -> Result<()> {
        let change = Change {
            descriptor: Some(descriptor),
            ..Change::default()
        };
        self.change(id.0, change)?.durable().map(drop)
    }

    pub(crate) fn remove(&self, id: DatastoreId) -> Result<()> {
        let _change = self.changing()?;
        let tree = self.tree_of(id)?;
        let closing = self.close_to_all(&tree)?;
        let change = Change {
            retired: Some(tree.id),
            ..Change::default()
        };
        let changed = self.change(id.0, change)?;
        closing.retire();
        changed.durable().map(drop)
    }

    /// Empties a datastore, which stays as it is where `kind` and `attributes` do not say otherwise.
    pub(crate) fn truncate(
        &self,
        id: DatastoreId,
        kind: Option<Kind>,
        attributes: Option<&[u8]>,
    ) -> Result<()> {
        attributes.map_or(Ok(()), check_attributes)?;
        let _change = self.changing()?;
        let mut descriptor = self.descriptor(id)?;
        let tree = self.tree_of(id)?;
        let closing = self.close_to_all(&tree)?;
        let number = self.known.read().next_id;
        let next_id = id_after(number)?;
        let kind = kind.unwrap_or(descriptor.kind());
        descriptor.tree = tree_id(number, kind.unordered);
        descriptor.compress = kind.compress;
        if let Some(attributes) = attributes {
            descriptor.attributes = attributes.to_vec();
        }
        let new = Tree::new(descriptor.tree, self.access.log().clone());
        let change = Change {
            descriptor: Some(descriptor),
            next_id: Some(next_id),
            tree: Some(new),
            retired: Some(tree.id),
        };
        let changed = self.change(id.0, change)?;
        closing.retire();
        changed.durable().map(drop)
    }

    /// One change of the catalog at a time, and none of a part of a copy.
    fn changing(&self) -> Result<MutexGuard<'_, ()>> {
        let change = self.alone()?;
        self.access.check_whole().map(|()| change)
    }

    /// Keeps all others from changing the catalog.
    pub(crate) fn alone(&self) -> Result<MutexGuard<'_, ()>> {
        // First: in a fork of the process somebody who is not there may have the lock.
        self.access.check_open()?;
        Ok(self.change.lock())
    }

    /// Does `attempt`, which writes outside transactions, again after each change of the catalog that kept it out: by the
    /// time that it says so the change may be over, and may have failed.
    #[inline]
    pub(crate) fn when_let_in<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match attempt() {
                // Nothing else keeps such a write out.
                Err(why) if why.kind() == ErrorKind::Busy => self.await_change()?,
                done => return done,
            }
        }
    }

    /// Waits for a change of the catalog that is under way.
    #[cold]
    fn await_change(&self) -> Result<()> {
        self.alone().map(drop)
    }

    /// Keeps out of a tree whoever would append something of it to the log, and waits for those who
    /// are at it: what comes behind in the log is of other trees.
    fn close_to_all<'a>(&self, tree: &'a Tree) -> Result<Closing<'a>> {
        let closing = tree.close()?;
        closing.to_all();
        if !self
            .writing
            .gate
            .drain(|| self.access.log().health().poisoned().is_some())
        {
            self.access.check_writable()?;
        }
        Ok(closing)
    }

    /// Makes one change durable, then shows it.
    fn change(&self, id: u32, change: Change) -> Result<Changed> {
        self.access.check_writable()?;
        let changing = self.writing.native.begin_change();
        let late = self.write_catalog(id, &change)?;
        let (known, number) = (&self.known, changing.id());
        let past = Keeping::new(known, number);
        let mut state = None;
        changing.finish(past, || state = known.write().apply(number, id, change));
        Ok(Changed { state, late })
    }

    fn tree_of(&self, id: DatastoreId) -> Result<Arc<Tree>> {
        let state = self.state(id);
        state
            .and_then(|state| state.tree())
            .ok_or_else(|| not_found(&format!("with id {}", id.0)))
    }

    fn check_name_free(&self, name: &[u8]) -> Result<()> {
        match self.by_name(name) {
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
    pub(crate) fn restore(
        &self,
        id: u32,
        descriptor: &Descriptor,
        next_id: u32,
    ) -> Result<Arc<State>> {
        check_name(&descriptor.name)?;
        check_attributes(&descriptor.attributes)?;
        let _change = self.alone()?;
        self.check_name_free(&descriptor.name)?;
        if self.state(DatastoreId(id)).is_some() {
            return Err(Error::new(
                ErrorKind::DatastoreExists,
                format!("a datastore with id {id} exists already"),
            ));
        }
        let next_id = next_id.max(id_after(id)?).max(self.known.read().next_id);
        let descriptor = Descriptor {
            tree: tree_id(id, descriptor.is_unordered()),
            ..descriptor.clone()
        };
        self.add(id, descriptor, next_id)
    }

    /// Writes a descriptor (or its end), the next id, and which tree ends, in one synced batch.
    ///
    /// CRASH: before the sync returns, the operation has happened or it has not; nothing
    /// else depends on it yet.
    fn write_catalog(&self, id: u32, change: &Change) -> Result<Option<Error>> {
        let key = id.to_be_bytes();
        let value = change.descriptor.as_ref().map(Descriptor::encode);
        let next_id = change.next_id.map(descriptor::encode_next_id);
        let mut items: Vec<(&[u8], Option<&[u8]>)> = vec![(&key, value.as_deref())];
        if let Some(next_id) = &next_id {
            items.push((descriptor::NEXT_ID_KEY, Some(next_id)));
        }
        let retired = change.retired.map(descriptor::retired_key);
        if let Some(key) = &retired {
            items.push((key, None));
        }
        self.records
            .write(&self.tree, &items, change.retired.is_some())
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

#[cfg(test)]
mod tests {
    use crate::{Durability, Volume, VolumeOptions};

    /// The change that keeps a write out fails before the write has heard of it.
    #[test]
    fn a_write_that_a_failed_change_kept_out_is_tried_again() {
        let mut options = VolumeOptions::new();
        options.exclusive = true;
        let volume = Volume::open("he://./_67108864", &options).unwrap();
        let store = volume.create_datastore("store").unwrap();
        let tree = store.tree().unwrap();
        for to_all in [false, true] {
            let mut tries = 0;
            let written = volume.shared().catalog.when_let_in(|| {
                tries += 1;
                if tries > 1 {
                    return Ok(());
                }
                let closing = tree.close().unwrap();
                if to_all {
                    closing.to_all();
                    return tree.check_accepts();
                }
                tree.enter()
            });
            written.unwrap();
            assert_eq!(tries, 2);
        }
        store.put(b"k", b"v").unwrap();
        let mut batch = volume.batch();
        batch.put(&store, b"l", b"v").unwrap();
        batch.commit(Durability::Buffered).unwrap();
        assert_eq!(store.len(), 2);
    }
}
