//! The catalog's records, to the byte: see `docs/format.md`.

use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        check,
        trees::{is_unordered, tree_number},
    },
    limits::{ATTRIBUTES_BYTES_MAX, NAME_BYTES_MAX},
};

/// Key of the record that holds the next id.
pub(super) const NEXT_ID_KEY: &[u8] = b"";

const VERSION: u32 = 1;
/// Values are compressed.
const COMPRESS: u32 = 1;
const FLAGS: u32 = COMPRESS;

/// What the catalog says of one datastore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor {
    /// Under which id its items are in the log.
    pub(crate) tree: u32,
    pub(crate) name: Vec<u8>,
    pub(crate) attributes: Vec<u8>,
    /// Values are compressed where that makes them shorter.
    pub(crate) compress: bool,
}

/// How a datastore keeps its items: as it was said when it was made, or emptied last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub(crate) compress: bool,
    pub(crate) unordered: bool,
}

impl Descriptor {
    /// Whether its index has no order, which its tree's id says.
    pub(crate) fn is_unordered(&self) -> bool {
        is_unordered(self.tree)
    }

    pub(super) fn kind(&self) -> Kind {
        Kind {
            compress: self.compress,
            unordered: self.is_unordered(),
        }
    }

    /// Version, tree id, flags, then name and attributes, each behind its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let flags = if self.compress { COMPRESS } else { 0 };
        for number in [VERSION, self.tree, flags] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for field in [&self.name, &self.attributes] {
            bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
            bytes.extend_from_slice(field);
        }
        bytes
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self> {
        let version = take_u32(&mut bytes)?;
        if version != VERSION {
            return Err(Error::new(
                ErrorKind::UnsupportedFormat,
                format!(
                    "the volume's catalog has format {version}; this version reads {VERSION}: open it with a newer one"
                ),
            ));
        }
        let tree = take_u32(&mut bytes)?;
        let flags = take_u32(&mut bytes)?;
        if flags & !FLAGS != 0 {
            return Err(Error::new(
                ErrorKind::UnsupportedFormat,
                format!(
                    "a datastore is kept in a way (flags {flags:#x}) that this version does not know: open the volume with a newer one"
                ),
            ));
        }
        let descriptor = Self {
            tree,
            name: take_bytes(&mut bytes, NAME_BYTES_MAX)?,
            attributes: take_bytes(&mut bytes, ATTRIBUTES_BYTES_MAX)?,
            compress: flags & COMPRESS != 0,
        };
        let is_sound = check::is_datastore_number(tree_number(tree))
            && !descriptor.name.is_empty()
            && bytes.is_empty();
        is_sound.then_some(descriptor).ok_or_else(malformed)
    }
}

pub(super) fn encode_next_id(id: u32) -> Vec<u8> {
    id.to_le_bytes().to_vec()
}

pub(crate) fn decode_next_id(bytes: &[u8]) -> Result<u32> {
    let bytes = bytes.try_into().map_err(|_| malformed())?;
    Ok(u32::from_le_bytes(bytes))
}

/// Key of the tombstone that says that a tree was truncated or dropped with its datastore.
/// Nothing else ever has this key: it is there for salvage, which may not find the records.
pub(super) fn retired_key(tree: u32) -> [u8; 8] {
    let mut key = *b"tree\0\0\0\0";
    key[4..].copy_from_slice(&tree.to_be_bytes());
    key
}

/// Reads what [`retired_key`] wrote.
pub(crate) fn retired_tree(key: &[u8]) -> Option<u32> {
    let id = key.strip_prefix(b"tree")?;
    Some(u32::from_be_bytes(id.try_into().ok()?))
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32> {
    let (head, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*head))
}

fn take_bytes(bytes: &mut &[u8], most: usize) -> Result<Vec<u8>> {
    let len = take_u32(bytes)? as usize;
    if len > most {
        return Err(malformed());
    }
    let (head, rest) = bytes.split_at_checked(len).ok_or_else(malformed)?;
    *bytes = rest;
    Ok(head.to_vec())
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::Damaged,
        "a record of the volume's catalog is malformed though its checksum is right",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_round_trip_and_short_ones_are_refused() {
        let descriptor = Descriptor {
            tree: 77,
            name: b"WiredTiger.a".to_vec(),
            attributes: vec![0, 1, 2],
            compress: true,
        };
        let bytes = descriptor.encode();
        assert_eq!(Descriptor::decode(&bytes).unwrap(), descriptor);
        for end in 0..bytes.len() {
            assert!(
                Descriptor::decode(&bytes[..end]).is_err(),
                "{end} bytes were accepted"
            );
        }
    }

    #[test]
    fn a_newer_catalog_is_refused_with_a_sentence() {
        for numbers in [[VERSION + 1, 0, 0], [VERSION, 0, FLAGS + 1]] {
            let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
            bytes.extend([0; 16]);
            let refused = Descriptor::decode(&bytes).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::UnsupportedFormat);
        }
    }
}
