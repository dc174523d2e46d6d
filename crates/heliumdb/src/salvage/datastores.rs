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
    catalog::{Descriptor, descriptor as catalog_keys},
    format::{
        check,
        trees::{CATALOG_TREE, USER_IDS_START, tree_number},
    },
    limits::{DATASTORES_MAX, NAME_BYTES_MAX},
    location::Location,
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

/// What becomes of the source's datastores.
#[derive(Default)]
pub(super) struct Planned {
    /// By id.
    pub(super) plans: Vec<Plan>,
    /// The next id to give.
    pub(super) next_id: u32,
    /// Datastores, or trees, that have no place in the target.
    pub(super) left_out: u64,
}

pub(super) fn plan(source: &Source, scanned: &Scanned) -> Planned {
    let catalog = read(source, &scanned.newest);
    let mut planner = Planner::default();
    planner.planned.next_id = catalog.next_id.max(USER_IDS_START);
    let mut named = scanned.named.clone();
    for (&id, descriptor) in &catalog.records {
        named.insert(descriptor.tree);
        planner.known(id, descriptor);
    }
    let lost = scanned.newest.trees().filter(|tree| {
        !scanned.is_sound
            && tree_number(*tree) >= USER_IDS_START
            && !named.contains(tree)
            && !catalog.retired.contains(tree)
            && scanned.newest.has_items(*tree)
    });
    let lost: Vec<u32> = lost.collect();
    let numbers = lost.iter().map(|tree| tree_number(*tree) + 1);
    // One that is the last of all leaves none for others.
    let next_ids = numbers.filter(|next| check::is_datastore_number(*next));
    planner.keep_below(next_ids.max().unwrap_or(0));
    for tree in lost {
        let is_known = catalog.records.contains_key(&tree_number(tree));
        planner.lost(tree, is_known);
    }
    let mut planned = planner.planned;
    planned.plans.sort_unstable_by_key(|plan| plan.id);
    planned
}

/// Finds a place in the target for one datastore after the other.
#[derive(Default)]
struct Planner {
    planned: Planned,
    names: HashSet<Vec<u8>>,
    /// Numbers of the trees that have one.
    trees: HashSet<u32>,
}

impl Planner {
    /// Ids below this are not given any more.
    fn keep_below(&mut self, next_id: u32) {
        self.planned.next_id = self.planned.next_id.max(next_id);
    }

    fn is_full(&self) -> bool {
        self.planned.plans.len() == DATASTORES_MAX
    }

    /// A datastore of which the catalog has a record.
    fn known(&mut self, id: u32, descriptor: &Descriptor) {
        let tree = tree_number(descriptor.tree);
        if self.is_full() || !self.trees.insert(tree) {
            tracing::warn!(
                id,
                "another datastore has the same items, or there are too many"
            );
            self.planned.left_out += 1;
            return;
        }
        self.keep_below(id.max(tree) + 1);
        let mut descriptor = descriptor.clone();
        let renamed = !self.names.insert(descriptor.name.clone());
        if renamed {
            descriptor.name = made_up(&descriptor.name, id, &mut self.names);
        }
        self.planned.plans.push(Plan {
            id,
            tree: descriptor.tree,
            descriptor,
            renamed,
        });
    }

    /// A tree of which no record is left; `is_known` is a datastore that has its number.
    fn lost(&mut self, tree: u32, is_known: bool) {
        let (number, next_id) = (tree_number(tree), self.planned.next_id);
        if self.is_full() || !check::is_datastore_number(next_id) {
            self.planned.left_out += 1;
            return;
        }
        let is_taken = is_known || !self.trees.insert(number);
        let id = if is_taken { next_id } else { number };
        self.planned.next_id += u32::from(is_taken);
        tracing::warn!(tree, id, "the catalog's record of a datastore is lost");
        self.planned.plans.push(Plan {
            id,
            tree,
            descriptor: Descriptor {
                tree,
                name: made_up(b"salvaged", number, &mut self.names),
                attributes: Vec::new(),
                compress: false,
            },
            renamed: true,
        });
    }
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
            let next_id = next_id.filter(|next| check::is_datastore_number(*next));
            if key.is_empty() {
                self.next_id = next_id.unwrap_or(0);
            }
            return;
        };
        let id = u32::from_be_bytes(id);
        if !check::is_datastore_number(id) {
            return;
        }
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
