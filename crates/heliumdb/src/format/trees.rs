//! Ids of trees, as items and frames have them: whose they are, and how their tree is kept.

/// Set in the ids of trees whose datastore has no order.
pub(crate) const UNORDERED: u32 = 1 << 31;
/// Tree ids below this are the store's own.
pub(crate) const USER_IDS_START: u32 = 16;
pub(crate) const INTERNAL_TREES_END: u32 = 16;
/// Tree of the catalog: datastore id (big-endian) -> descriptor.
pub(crate) const CATALOG_TREE: u32 = 0;
/// Tree of decisions about transactions over several volumes: number (big-endian) -> participants.
pub(crate) const DECISIONS_TREE: u32 = 1;
/// Tree of checkpoints: number (little-endian) -> a page, a piece of a manifest, or a root.
pub(crate) const CHECKPOINT_TREE: u32 = 2;

/// The id of the tree with the number `number`, which no two trees of a volume share.
pub(crate) const fn tree_id(number: u32, unordered: bool) -> u32 {
    if unordered {
        number | UNORDERED
    } else {
        number
    }
}

/// The number of a tree: its id without what says how it is kept.
pub(crate) const fn tree_number(id: u32) -> u32 {
    id & !UNORDERED
}

/// Whether the index of `tree` has hashes for keys.
#[inline]
pub(crate) const fn is_unordered(tree: u32) -> bool {
    tree & UNORDERED != 0
}
