//! Reading: everything that looks at items, at one of them or along many.
//!
//! - [`Look`] says who looks at what, under a guard. [`slot`] reads the item that they see in one slot of the index: the
//!   one place where a place in the log that was used again is looked up again.
//! - [`seeing`] goes from item to item, past the slots in which they see none.
//! - [`batch`] takes some of these items together: their bytes are fetched side by side, and shown in order.
//! - [`cursor`] goes on from call to call, and holds nothing in between but bytes of its own: what it has read ahead.
//!   [`ahead`] is one for somebody whose eyes may change from step to step.
//!
//! Where values come from only [`slot`] and [`batch`] know: from the log or, where walks come again, from a [`pack`], a copy
//! of neighbours that lies side by side in memory ([`neighbours`]). Who walks sees keys and values.

mod ahead;
mod batch;
mod cursor;
mod neighbours;
mod pack;
mod position;
mod seeing;
mod slot;

pub use ahead::ReadAhead;
pub(crate) use ahead::When;
pub(crate) use batch::Batch;
pub(crate) use cursor::{Cursor, is_on_the_way};
pub use position::{Position, Wanted};
pub(crate) use position::{Start, purpose, start};
pub(crate) use seeing::Seeing;
use slot::Taken;
pub(crate) use slot::{Shown, Which};

use std::sync::atomic::AtomicU64;

use crossbeam_epoch::Guard;

use crate::{log::Purpose, tree::Tree, version::Eyes};

/// A key and its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// Who looks at the items of a tree, and what for, for as long as a guard lives.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) eyes: Eyes<'a>,
    pub(crate) purpose: Purpose,
    pub(crate) guard: &'a Guard,
    /// Counts the slots without an item that walks come to.
    pub(crate) passed: &'a AtomicU64,
}
