//! Where a cursor is: its key, its value, and the buffers they are in.

use super::{Input, Key};
use crate::{
    error::{Error, Result},
    recno,
};
use heliumdb::host::ReadAhead;

/// Buffers that grew beyond this give their memory back when the cursor is reset.
const KEPT_BYTES: usize = 1 << 20;

/// The key is the position: the cursor stands on it while `positioned`.
#[derive(Default)]
pub struct Place {
    pub has_recnos: bool,
    pub positioned: bool,
    pub recno: u64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// It stands on a row whose value was not at hand.
    pub lacks_value: bool,
    /// Where the next key is read while the last one is still needed.
    pub next_key: Vec<u8>,
    /// What a walk has read ahead.
    pub ahead: ReadAhead,
}

impl Place {
    /// Takes the key of an operation into the buffer; says whether it was there already
    /// because the cursor stands on it.
    pub fn take_key(&mut self, key: Key<'_>) -> Result<bool> {
        if self.has_recnos {
            if key.recno == 0 {
                return Err(Error::invalid("zero is not a record number"));
            }
            let held = self.positioned && key.recno == self.recno;
            self.set_recno(key.recno);
            return Ok(held);
        }
        match key.bytes {
            Input::Held => Ok(self.positioned),
            Input::Bytes(bytes) => {
                check_key(bytes)?;
                // WiredTiger hands a key that came from here back in memory of its own.
                if self.positioned && self.key == bytes {
                    return Ok(true);
                }
                self.key.clear();
                self.key.extend_from_slice(bytes);
                Ok(false)
            }
        }
    }

    pub fn set_recno(&mut self, recno: u64) {
        self.recno = recno;
        recno::pack(recno, &mut self.key);
    }

    /// The bytes of a value that an operation is given.
    pub fn bytes_of<'a>(&'a self, value: Input<'a>) -> &'a [u8] {
        match value {
            Input::Held => &self.value,
            Input::Bytes(bytes) => bytes,
        }
    }

    /// What was written becomes the cursor's value: the caller's memory may go away.
    pub fn keep_value(&mut self, value: Input<'_>) {
        if let Input::Bytes(bytes) = value {
            self.value.clear();
            self.value.extend_from_slice(bytes);
        }
    }

    pub fn reset(&mut self) {
        self.positioned = false;
        for buffer in [&mut self.value, &mut self.next_key] {
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
    }

    /// Whether `start` is inside a buffer.
    pub fn owns(&self, start: *const u8) -> bool {
        [&self.key, &self.value, &self.next_key]
            .iter()
            .any(|buffer| {
                let first = buffer.as_ptr().addr();
                (first..first + buffer.capacity()).contains(&start.addr())
            })
    }
}

/// A key that is too long is refused before anything is copied.
fn check_key(key: &[u8]) -> Result<()> {
    let max = heliumdb::limits::KEY_BYTES_MAX;
    if key.len() > max {
        return Err(Error::invalid(format!(
            "the key has {} bytes; the longest possible has {max}",
            key.len()
        )));
    }
    Ok(())
}
