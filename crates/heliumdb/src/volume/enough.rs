//! Whether there is memory for the index that an opening builds.
//!
//! Invariant: while an index is brought back, no more than [`LOOK_BYTES`] are put into it by each thread between two
//! looks at whether the system has [`NEEDED_BYTES`] more. So an index that is too large (`ulimit -v`, no overcommitment) is an
//! error, and the program that has asked goes on.

use std::io;

use crate::{
    error::{Error, Result},
    memory::Memory,
};

/// What has to be there: more than all threads put into the index between two looks, and what others take meanwhile.
/// It is never touched.
const NEEDED_BYTES: usize = 64 << 20;
const LOOK_BYTES: usize = 4 << 20;
/// `ENOMEM`: programs in C get it as it is.
const NO_MEMORY: i32 = 12;
/// At least so much takes an item in the index beside its key, and while it waits for it.
const ITEM_BYTES: usize = 48;

/// Counts what is put into the index.
#[derive(Default)]
pub(super) struct Enough {
    since: usize,
}

impl Enough {
    /// An item with such a key is about to be put in.
    #[inline]
    pub(super) fn for_item(&mut self, key: &[u8]) -> Result<()> {
        self.since += ITEM_BYTES + key.len();
        if self.since < LOOK_BYTES {
            return Ok(());
        }
        self.since = 0;
        check()
    }
}

/// Refuses to go on where memory runs out.
pub(in crate::volume) fn check() -> Result<()> {
    match Memory::try_zeroed(NEEDED_BYTES) {
        Some(_) => Ok(()),
        None => Err(Error::io(
            "this process may have no memory for the volume's index (all of its keys are in memory): give it more \
             (`ulimit -v`), or smaller caches",
            io::Error::from_raw_os_error(NO_MEMORY),
        )),
    }
}
