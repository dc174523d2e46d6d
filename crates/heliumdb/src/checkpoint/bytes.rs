//! Numbers and byte strings, as checkpoints keep them.
//!
//! Invariant: what [`Reader`] returns lies within its bytes; a length it cannot hold is `None`.

use crate::location::Location;

/// Seven bits a byte, the lowest first; the last one without its highest bit.
pub(super) fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub(super) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

pub(super) fn put_location(to: &mut Vec<u8>, at: Location) {
    to.extend_from_slice(&at.packed().to_le_bytes()[..6]);
}

/// Reads from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    /// A count of things that take `bytes` each at least.
    pub(super) fn count(&mut self, bytes: usize) -> Option<usize> {
        self.length().filter(|&n| n <= self.0.len() / bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    pub(super) fn location(&mut self) -> Option<Location> {
        let mut packed = [0; 8];
        packed[..6].copy_from_slice(self.take(6)?);
        Some(Location::unpacked(u64::from_le_bytes(packed)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
