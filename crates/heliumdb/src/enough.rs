//! Whether the system has memory for what is about to be kept in it: the index, versions, what a transaction has written.
//!
//! Invariant: no thread puts more than [`LOOK_BYTES`] there between two looks at whether the system has [`NEEDED_BYTES`] more,
//! and copies of what is written beside that. So where it has not (`ulimit -v`, no overcommitment), that is an error, and the
//! program that has asked goes on. What else a program, or other threads, take meanwhile is not in this.

use std::{cell::Cell, collections::TryReserveError, io};

use crate::{
    error::{Error, ErrorKind, Result},
    memory::Memory,
};

/// What has to be there: more than some dozen threads keep between two looks, and what background work takes meanwhile.
/// It is never touched.
pub(crate) const NEEDED_BYTES: usize = 64 << 20;
const LOOK_BYTES: usize = 1 << 20;
/// `ENOMEM`: programs in C get it as it is.
const NO_MEMORY: i32 = 12;
/// At least so much takes an item in the index beside its key, and while it waits for it.
const ITEM_BYTES: usize = 48;
/// Of a value that is written: a version's, the batch's, the segment's, and one more while a buffer grows.
const COPIES: usize = 4;

thread_local! {
    /// What this thread has kept since it looked last. The first time it looks at once.
    static SINCE: Cell<usize> = const { Cell::new(LOOK_BYTES) };
}

/// An item is about to be written, of which so many bytes are kept.
#[inline]
pub(crate) fn for_item(bytes: usize) -> Result<()> {
    count(bytes, || for_copies(bytes))
}

/// So many bytes are about to be put together.
#[inline]
pub(crate) fn for_batch(bytes: usize) -> Result<()> {
    match bytes < LOOK_BYTES {
        true => Ok(()),
        false => for_copies(bytes),
    }
}

/// An item with such a key is about to be put into an index that is brought back.
#[inline]
pub(crate) fn for_indexed(key_bytes: usize) -> Result<()> {
    count(key_bytes, for_index)
}

/// Where memory runs out each further item looks again.
#[inline]
fn count(bytes: usize, look: impl FnOnce() -> Result<()>) -> Result<()> {
    let since = SINCE.get().saturating_add(ITEM_BYTES + bytes);
    if since < LOOK_BYTES {
        SINCE.set(since);
        return Ok(());
    }
    SINCE.set(LOOK_BYTES);
    look()?;
    SINCE.set(0);
    Ok(())
}

/// Refuses to go on where memory runs out before some copies of so much could be made.
fn for_copies(bytes: usize) -> Result<()> {
    let wanted = bytes.saturating_mul(COPIES).saturating_add(NEEDED_BYTES);
    Memory::try_zeroed(wanted).map(drop).ok_or_else(none)
}

/// Refuses to open a volume where there is not even memory for an empty one.
pub(crate) fn to_open() -> Result<()> {
    let none = |_| {
        out_of_memory(
            "this process may have too little memory for any volume (64 MiB beside its caches): give it more (`ulimit -v`)",
        )
    };
    for_copies(0).map_err(none)
}

/// Refuses to go on with an index, all of which is in memory, where that runs out.
pub(crate) fn for_index() -> Result<()> {
    let none = |_| {
        out_of_memory(
            "this process may have no memory for the volume's index (all of its keys are in memory): give it more \
             (`ulimit -v`), or smaller caches",
        )
    };
    for_copies(0).map_err(none)
}

/// More room in a buffer of what is written.
pub(crate) fn in_buffer(reserved: Result<(), TryReserveError>) -> Result<()> {
    reserved.map_err(|_| none())
}

#[cold]
fn none() -> Error {
    out_of_memory(
        "this process gets no more memory from the system (`ulimit -v`), and this write was not done: end transactions, \
         delete something, use smaller caches, or give it more",
    )
}

fn out_of_memory(what: &str) -> Error {
    Error::io(what, io::Error::from_raw_os_error(NO_MEMORY)).with_kind(ErrorKind::OutOfMemory)
}
