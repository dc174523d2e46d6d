//! Memory for segments being filled, used again and again.
//!
//! Fresh memory costs page faults, which is more than all else that an append does.
//! Invariant: memory that comes out of a pool holds whatever it held before; who publishes
//! bytes of it has written them.

use crate::memory::Memory;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Pieces of memory that are kept for the next segments.
pub(super) const KEPT: usize = 2;

/// A volume's memory for segments.
#[derive(Default)]
pub(super) struct Pool {
    spare: Mutex<Vec<Memory>>,
    /// Memory that was made and not freed.
    bytes: AtomicU64,
}

impl Pool {
    /// Memory of `len` bytes: spare, or fresh and zeroed.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Memory {
        let spare = self.spare.lock().pop();
        spare
            .filter(|memory| memory.len() == len)
            .unwrap_or_else(|| {
                self.bytes.fetch_add(len as u64, Relaxed);
                Memory::zeroed(len)
            })
    }

    /// Keeps memory for the next segment, or frees it.
    pub(super) fn give(&self, memory: Memory) {
        let mut spare = self.spare.lock();
        if spare.len() < KEPT {
            spare.push(memory);
        } else {
            self.bytes.fetch_sub(memory.len() as u64, Relaxed);
        }
    }

    /// Memory that the segments take, the spare included.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}
