//! Which trees belong to which datastore.
//!
//! The newest record of a datastore says which tree its items are in. A tree that no newest
//! record names was truncated or dropped if anything says so: a record of it that was
//! overwritten, or the mark that truncating and dropping leave. Otherwise its record is lost,
//! and its items get a datastore with a made-up name; but not of a volume that is open, whose catalog
//! was read, and so is whole.

use std::collections::{BTreeMap, HashSet};

use super::{newest::Newest, scan::Scanned, source::Source};
use crate::{
    limits::NAME_BYTES_MAX,
    location::Location,
    volume::{CATALOG_TREE, Descriptor, USER_IDS_START, catalog_keys, tree::tree_number},
};

/// A datastore of the source.
pub(super) struct Plan {
    pub(super) id: u32,
    pub(super) tree: u32,
    pub(super) descriptor: Descriptor,
    pub(super) renamed: bool,
}

/// What the catalog's newest records say.
#[derive(Default)]
struct Catalog {
    records: BTreeMap<u32, Descriptor>,
    retired: HashSet<u32>,
    next_id: u32,
}

/// The datastores, by id, and the next id to give.
pub(super) fn plan(source: &Source, scanned: &Scanned) -> (Vec<Plan>, u32) {
    let catalog = read(source, &scanned.newest);
    let mut taken = HashSet::new();
    let mut plans = Vec::new();
    let mut named = scanned.named.clone();
    let mut next_id = catalog.next_id.max(USER_IDS_START);
    for (&id, descriptor) in &catalog.records {
        named.insert(descriptor.tree);
        next_id = next_id.max(id + 1).max(tree_number(descriptor.tree) + 1);
        let mut descriptor = descriptor.clone();
        let renamed = !taken.insert(descriptor.name.clone());
        if renamed {
            descriptor.name = made_up(&descriptor.name, id, &mut taken);
        }
        plans.push(Plan {
            id,
            tree: descriptor.tree,
            descriptor,
            renamed,
        });
    }
    let lost = scanned.newest.trees().filter(|tree| {
        !scanned.is_sound
            && tree_number(*tree) >= USER_IDS_START
            && !named.contains(tree)
            && !catalog.retired.contains(tree)
            && scanned.newest.has_items(*tree)
    });
    let lost: Vec<u32> = lost.collect();
    if let Some(highest) = lost.iter().map(|tree| tree_number(*tree)).max() {
        next_id = next_id.max(highest + 1);
    }
    for tree in lost {
        let number = tree_number(tree);
        let id = if catalog.records.contains_key(&number) {
            next_id += 1;
            next_id - 1
        } else {
            number
        };
        tracing::warn!(tree, id, "the catalog's record of a datastore is lost");
        plans.push(Plan {
            id,
            tree,
            descriptor: Descriptor {
                tree,
                name: made_up(b"salvaged", number, &mut taken),
                attributes: Vec::new(),
                compress: false,
            },
            renamed: true,
        });
    }
    plans.sort_unstable_by_key(|plan| plan.id);
    (plans, next_id)
}

fn read(source: &Source, newest: &Newest) -> Catalog {
    let mut catalog = Catalog::default();
    let mut bytes = Vec::new();
    newest.each(CATALOG_TREE, |key, at| {
        catalog.enter(source, key, at, &mut bytes);
    });
    catalog
}

impl Catalog {
    fn enter(&mut self, source: &Source, key: &[u8], at: Option<Location>, bytes: &mut Vec<u8>) {
        if let Some(tree) = catalog_keys::retired_tree(key) {
            self.retired.insert(tree);
            return;
        }
        let Some(at) = at else { return };
        let value = source
            .item(at, bytes)
            .filter(|header| header.tree == CATALOG_TREE && header.key(bytes) == key)
            .map(|header| header.value(bytes));
        let Ok(id) = <[u8; 4]>::try_from(key) else {
            let next_id = value.and_then(|value| catalog_keys::decode_next_id(value).ok());
            self.next_id = next_id.unwrap_or(0);
            return;
        };
        let id = u32::from_be_bytes(id);
        if let Some(Ok(descriptor)) = value.map(Descriptor::decode) {
            self.records.insert(id, descriptor);
        }
    }
}

/// `name` with a number behind it that makes it unlike all others.
fn made_up(name: &[u8], number: u32, taken: &mut HashSet<Vec<u8>>) -> Vec<u8> {
    let mut ending = format!("-{number}");
    loop {
        let kept = name.len().min(NAME_BYTES_MAX - ending.len());
        let made = [&name[..kept], ending.as_bytes()].concat();
        if taken.insert(made.clone()) {
            return made;
        }
        ending.push('x');
    }
}
