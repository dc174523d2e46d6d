//! Changes that take more than one call of the store.

use std::ops::Bound as Edge;

use heliumdb::{Datastore, ErrorKind, Item, Position, Result};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    bytes::Input,
    call::call_back,
    datastore::PyDatastore,
    errors::Failure,
    eyes::{Bounds, Eyes, Write},
};

/// Keys of a range that are deleted before the user is heard.
const DELETED_TOGETHER: usize = 1 << 16;

impl PyDatastore {
    /// Deletes the items in `bounds`; outside transactions so many at a time that the user is heard in between.
    pub fn delete_all(&self, py: Python<'_>, (mut low, high): Bounds) -> PyResult<u64> {
        if !matches!(self.eyes(), Eyes::Newest) {
            return self.call(py, |eyes, store| eyes.delete_range(store, (low, high)));
        }
        let mut deleted = 0;
        loop {
            py.check_signals()?;
            let from = low.clone();
            let (some, last) = self.call(py, |_, store| {
                let mut keys = store.range((from.clone(), high.clone())).keys();
                let last = keys.nth(DELETED_TOGETHER).transpose()?;
                let to = last.clone().map_or(high.clone(), Edge::Included);
                Ok((store.delete_range((from, to))?, last))
            })?;
            deleted += some;
            match last {
                Some(last) => low = Edge::Excluded(last),
                None => return Ok(deleted),
            }
        }
    }

    pub fn merge_newest(
        &self,
        py: Python<'_>,
        key: &[u8],
        change: &Py<PyAny>,
    ) -> PyResult<Option<Vec<u8>>> {
        call_back(py, self.session(), || {
            self.store().try_update_fetch::<Failure>(key, |old| {
                Python::attach(|py| changed(py, change, old)).map_err(Failure::from)
            })
        })
    }

    /// Reserved first, so that nobody writes in between; nothing of the transaction is held while Python's code runs.
    pub fn merge_in_transaction(
        &self,
        py: Python<'_>,
        key: &[u8],
        change: &Py<PyAny>,
    ) -> PyResult<Option<Vec<u8>>> {
        let old = self.call(py, |eyes, store| {
            eyes.reserve(store, key)?;
            let mut value = Vec::new();
            let found = eyes.get_into(store, key, &mut value)?;
            Ok(found.then_some(value))
        })?;
        let new = changed(py, change, old.as_deref())?;
        match (&new, &old) {
            (Some(value), _) => self.write(py, key, &Write::Put(value), false)?,
            (None, Some(_)) => self.call(py, |eyes, store| eyes.take(store, key).map(drop))?,
            (None, None) => {}
        }
        Ok(new)
    }

    pub fn put_together(&self, py: Python<'_>, pairs: &[(Input<'_>, Input<'_>)]) -> PyResult<()> {
        let pairs: Vec<(&[u8], &[u8])> = pairs
            .iter()
            .map(|(key, value)| (key.bytes(), value.bytes()))
            .collect();
        self.call(py, |eyes, store| {
            pairs
                .iter()
                .try_for_each(|(key, value)| eyes.write(store, key, &Write::Put(value)))
        })
    }
}

/// What `change` makes of a value.
fn changed(py: Python<'_>, change: &Py<PyAny>, old: Option<&[u8]>) -> PyResult<Option<Vec<u8>>> {
    let old = old.map(|old| PyBytes::new(py, old));
    let new = change.bind(py).call1((old,))?;
    let new: Option<Input<'_>> = new.extract()?;
    Ok(new.map(|new| new.bytes().to_vec()))
}

/// Removes the first item and returns it.
pub fn take_first(eyes: &Eyes, store: &Datastore) -> Result<Option<Item>> {
    while let Some((key, _)) = eyes.nearest(store, Position::First)? {
        // Somebody else may have been faster.
        if let Some(value) = eyes.take(store, &key)? {
            return Ok(Some((key, value)));
        }
    }
    Ok(None)
}

/// The value of `key`; none if there was none, and it is `value` now.
pub fn find_or_insert(
    eyes: &Eyes,
    store: &Datastore,
    key: &[u8],
    value: &[u8],
) -> Result<Option<Vec<u8>>> {
    loop {
        let mut found = Vec::new();
        if eyes.get_into(store, key, &mut found)? {
            return Ok(Some(found));
        }
        match eyes.write(store, key, &Write::Insert(value)) {
            Ok(()) => return Ok(None),
            // Somebody else was faster.
            Err(why) if why.kind() == ErrorKind::ItemExists => {}
            Err(why) => return Err(why),
        }
    }
}
