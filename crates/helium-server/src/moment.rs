//! Which datastores there were when a transaction began.
//!
//! Invariant: a transaction finds by a name what had it when it began, whoever removes or renames datastores through the
//! server meanwhile; one that was made later is empty to it, but for what it writes there itself.

use std::sync::Arc;

use heliumdb::{Datastore, DatastoreInfo, ErrorKind, Volume};

use crate::refusal::Outcome;

/// Datastores, in order of their names.
pub type Datastores = Arc<[(DatastoreInfo, Datastore)]>;

/// The datastores of now. Where it matters the caller is inside the gate, so that none is removed or renamed meanwhile.
pub fn datastores(volume: &Volume) -> Outcome<Datastores> {
    let mut all = Vec::new();
    for info in volume.datastores() {
        match volume.datastore_by_id(info.id) {
            Ok(datastore) => all.push((info, datastore)),
            // It was removed just now.
            Err(why) if why.kind() == ErrorKind::DatastoreNotFound => {}
            Err(why) => return Err(why.into()),
        }
    }
    Ok(all.into())
}

/// The datastore that has that name now.
pub fn newest(volume: &Volume, name: &[u8]) -> Outcome<Option<Datastore>> {
    match volume.datastore(name) {
        Ok(datastore) => Ok(Some(datastore)),
        Err(why) if why.kind() == ErrorKind::DatastoreNotFound => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// What a transaction knows of its beginning.
#[derive(Debug)]
pub struct Moment {
    /// No other transaction of the volume has it.
    pub number: u64,
    /// Those that there were.
    pub datastores: Datastores,
}

impl Moment {
    /// What the transaction finds by `name` in `volume`.
    pub fn find(&self, volume: &Volume, name: &[u8]) -> Outcome<Option<Datastore>> {
        let all = &self.datastores;
        if let Ok(at) = all.binary_search_by(|one| one.0.name.as_slice().cmp(name)) {
            return Ok(Some(all[at].1.clone()));
        }
        // One that had another name then is not this one.
        let later = newest(volume, name)?;
        Ok(later.filter(|later| all.iter().all(|one| one.0.id != later.id())))
    }
}
