//! Frames: the length of what follows (four bytes), then what it is (one byte), then its fields. Numbers have their lowest
//! byte first; bytes have their length (four bytes) in front.
//!
//! Invariant: decoding fails on anything that is cut, too long or left over, and allocates no more than what was received.

use std::ops::Bound;

/// A frame that is being made.
#[derive(Default)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn long(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn bound(&mut self, bound: &Bound<Vec<u8>>) -> &mut Self {
        match bound {
            Bound::Unbounded => self.byte(0),
            Bound::Included(key) => self.byte(1).bytes(key),
            Bound::Excluded(key) => self.byte(2).bytes(key),
        }
    }

    /// Says at a place that was left for it how many follow.
    pub(super) fn set_byte(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.0.get_mut(at) {
            *place = byte;
        }
    }

    /// The bytes, with their length in front.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&len.to_le_bytes());
        self.0
    }
}

/// Fields of a frame that is read.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.number()? as usize;
        self.take(len).map(<[u8]>::to_vec)
    }

    pub(super) fn bound(&mut self) -> Option<Bound<Vec<u8>>> {
        match self.byte()? {
            0 => Some(Bound::Unbounded),
            1 => self.bytes().map(Bound::Included),
            2 => self.bytes().map(Bound::Excluded),
            _ => None,
        }
    }

    /// All that are there up to the end.
    pub(super) fn each<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(one(self)?);
        }
        Some(all)
    }
}

/// Nothing is left over.
pub(super) fn whole<T>(
    bytes: &[u8],
    decode: impl FnOnce(u8, &mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let (kind, fields) = bytes.split_first()?;
    let mut fields = Fields(fields);
    let decoded = decode(*kind, &mut fields)?;
    fields.0.is_empty().then_some(decoded)
}
