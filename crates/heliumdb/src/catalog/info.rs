//! What users are told of a datastore.

use crate::id::DatastoreId;

/// What the catalog knows of a datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatastoreInfo {
    /// Its id.
    pub id: DatastoreId,
    /// Its name.
    pub name: Vec<u8>,
    /// Its owner's attributes.
    pub attributes: Vec<u8>,
    /// Whether it was made to compress values.
    pub compress: bool,
    /// Whether it was made to keep no order: see [`DatastoreOptions::unordered`](crate::DatastoreOptions::unordered).
    pub unordered: bool,
}

impl DatastoreInfo {
    /// Of an ordered datastore without attributes, for one that [`crate::Volume::restore`] makes.
    pub fn new(id: DatastoreId, name: Vec<u8>) -> Self {
        Self {
            id,
            name,
            attributes: Vec::new(),
            compress: false,
            unordered: false,
        }
    }
}
