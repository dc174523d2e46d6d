//! Datastores: a mapping of bytes to bytes, in order.

use std::{cell::Cell, ops::Bound as Edge, sync::Arc};

use heliumdb::{Datastore, ErrorKind, Item, Position, Result};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PySlice},
};

use crate::{
    arguments::{self, bounds, pairs_of},
    bytes::Input,
    call::call,
    changes::{find_or_insert, take_first},
    errors::own,
    eyes::{Bounds, Eyes, Write, read_only},
    figures, paths,
    session::Session,
    walk::{PyCursor, PyRange, Walk, What},
};

/// What a thread keeps of the memory for values, in bytes.
const KEPT_BYTES: usize = 1 << 20;
/// Items of an `update` that are written together, and keys that are looked up together.
const TOGETHER: usize = 256;

thread_local! {
    /// Values are read into it.
    static VALUE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A named set of items: everybody's, or as a transaction or a snapshot sees it.
#[pyclass(name = "Datastore", module = "heliumdb", frozen, weakref)]
pub struct PyDatastore {
    session: Arc<Session>,
    store: Datastore,
    eyes: Eyes,
}

/// A key and its value, for Python.
pub type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

pub fn pair<'py>(py: Python<'py>, (key, value): &Item) -> Pair<'py> {
    (PyBytes::new(py, key), PyBytes::new(py, value))
}

impl PyDatastore {
    pub fn new(session: Arc<Session>, store: Datastore, eyes: Eyes) -> Self {
        Self {
            session,
            store,
            eyes,
        }
    }

    /// The datastore that `named` is, or is called like, through other eyes.
    pub fn through(
        py: Python<'_>,
        session: &Arc<Session>,
        named: &Bound<'_, PyAny>,
        eyes: Eyes,
    ) -> PyResult<Self> {
        let store = match named.cast::<Self>() {
            Ok(known) => known.get().store.clone(),
            Err(_) => {
                let name = paths::name_of(named)?;
                call(py, session, || session.volume().datastore(&name))?
            }
        };
        Ok(Self::new(session.clone(), store, eyes))
    }

    pub fn store(&self) -> &Datastore {
        &self.store
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }

    fn again(&self) -> Self {
        Self::new(self.session.clone(), self.store.clone(), self.eyes.clone())
    }

    pub fn call<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Eyes, &Datastore) -> Result<R> + Send,
    ) -> PyResult<R> {
        call(py, &self.session, || work(&self.eyes, &self.store))
    }

    fn read<'py>(&self, py: Python<'py>, key: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut value = VALUE.take();
        let found = self.call(py, |eyes, store| eyes.get_into(store, key, &mut value))?;
        let bytes = found.then(|| PyBytes::new(py, &value));
        if value.capacity() <= KEPT_BYTES {
            VALUE.set(value);
        }
        Ok(bytes)
    }

    pub fn write(&self, py: Python<'_>, key: &[u8], write: &Write<'_>, sync: bool) -> PyResult<()> {
        self.call(py, |eyes, store| {
            eyes.write(store, key, write)?;
            match (sync, eyes) {
                (true, Eyes::Newest) => store.volume().flush(),
                _ => Ok(()),
            }
        })
    }

    fn at<'py>(&self, py: Python<'py>, position: Position<'_>) -> PyResult<Option<Pair<'py>>> {
        let found = self.call(py, |eyes, store| eyes.nearest(store, position))?;
        Ok(found.map(|item| pair(py, &item)))
    }

    fn missing(&self, py: Python<'_>, key: &[u8]) -> PyErr {
        let shown = &key[..key.len().min(64)];
        let cut = if shown.len() < key.len() { "..." } else { "" };
        own(
            py,
            ErrorKind::ItemNotFound,
            format!(
                "there is no item with the key b'{}'{cut}",
                shown.escape_ascii()
            ),
        )
    }

    fn whole(&self, what: What) -> PyRange {
        PyRange::new(
            self.again(),
            (Edge::Unbounded, Edge::Unbounded),
            false,
            what,
        )
    }
}

#[pymethods]
impl PyDatastore {
    /// The value of `key`, or `default`.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Input<'_>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.read(py, key.bytes())?;
        Ok(found.map(Bound::into_any).or(default))
    }

    /// The values of several keys, `None` for those that are not there: cheaper than one call for each.
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let keys: Vec<Input<'_>> = keys
            .try_iter()?
            .map(|key| key?.extract())
            .collect::<PyResult<_>>()?;
        let keys: Vec<&[u8]> = keys.iter().map(Input::bytes).collect();
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(TOGETHER) {
            py.check_signals()?;
            let found = self.call(py, |eyes, store| eyes.get_many(store, some))?;
            values.extend(
                found
                    .iter()
                    .map(|value| value.as_deref().map(|value| PyBytes::new(py, value))),
            );
        }
        Ok(values)
    }

    /// Sets the value of `key`. Buffered, unless `sync`: durable after `Volume.flush`.
    #[pyo3(signature = (key, value, *, sync=false))]
    fn put(&self, py: Python<'_>, key: Input<'_>, value: Input<'_>, sync: bool) -> PyResult<()> {
        self.write(py, key.bytes(), &Write::Put(value.bytes()), sync)
    }

    /// Sets the value of `key`, which must not be there (`Exists`).
    #[pyo3(signature = (key, value, *, sync=false))]
    fn insert(&self, py: Python<'_>, key: Input<'_>, value: Input<'_>, sync: bool) -> PyResult<()> {
        self.write(py, key.bytes(), &Write::Insert(value.bytes()), sync)
    }

    /// Sets the value of `key`, which must be there (`NotFound`).
    #[pyo3(signature = (key, value, *, sync=false))]
    fn replace(
        &self,
        py: Python<'_>,
        key: Input<'_>,
        value: Input<'_>,
        sync: bool,
    ) -> PyResult<()> {
        self.write(py, key.bytes(), &Write::Replace(value.bytes()), sync)
    }

    /// Removes `key`; whether it was there.
    #[pyo3(signature = (key, *, sync=false))]
    fn delete(&self, py: Python<'_>, key: Input<'_>, sync: bool) -> PyResult<bool> {
        let key = key.bytes();
        self.call(py, |eyes, store| {
            let was_there = eyes.delete(store, key)?;
            if sync && matches!(eyes, Eyes::Newest) {
                store.volume().flush()?;
            }
            Ok(was_there)
        })
    }

    /// Removes `key` and returns its value, in one; `None` if it is not there.
    fn take<'py>(&self, py: Python<'py>, key: Input<'_>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = key.bytes();
        let taken = self.call(py, |eyes, store| eyes.take(store, key))?;
        Ok(taken.map(|value| PyBytes::new(py, &value)))
    }

    /// Sets `key` to what `change` makes of its value (`None`: no item), in one, and returns that. `change` may be
    /// called more than once.
    fn merge<'py>(
        &self,
        py: Python<'py>,
        key: Input<'_>,
        change: Py<PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let new = match &self.eyes {
            Eyes::Newest => self.merge_newest(py, key.bytes(), &change),
            Eyes::Transaction(_) => self.merge_in_transaction(py, key.bytes(), &change),
            Eyes::Snapshot(_) => Err(crate::errors::raised(py, &read_only())),
        }?;
        Ok(new.map(|value| PyBytes::new(py, &value)))
    }

    /// In a transaction: conflicts like a write of `key`, and changes nothing.
    fn reserve(&self, py: Python<'_>, key: Input<'_>) -> PyResult<()> {
        let key = key.bytes();
        self.call(py, |eyes, store| eyes.reserve(store, key))
    }

    /// Deletes the items of a range; how many that were.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, include_start=true, include_stop=false))]
    fn delete_range(
        &self,
        py: Python<'_>,
        start: Option<Input<'_>>,
        stop: Option<Input<'_>>,
        prefix: Option<Input<'_>>,
        include_start: bool,
        include_stop: bool,
    ) -> PyResult<u64> {
        self.delete_all(
            py,
            bounds((start, stop, prefix), (include_start, include_stop)),
        )
    }

    /// The items of a range, in order of their keys or the other way: keys and values, or one of the two.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        include_key=true, include_value=true))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn range(
        &self,
        py: Python<'_>,
        start: Option<Input<'_>>,
        stop: Option<Input<'_>>,
        prefix: Option<Input<'_>>,
        reverse: bool,
        include_start: bool,
        include_stop: bool,
        include_key: bool,
        include_value: bool,
    ) -> PyResult<PyRange> {
        let what = match (include_key, include_value) {
            (true, true) => What::Items,
            (true, false) => What::Keys,
            (false, true) => What::Values,
            (false, false) => {
                let why = "a range without keys and values has nothing";
                return Err(own(py, ErrorKind::InvalidArgument, why));
            }
        };
        let bounds = bounds((start, stop, prefix), (include_start, include_stop));
        Ok(PyRange::new(self.again(), bounds, reverse, what))
    }

    /// All keys, in order.
    fn keys(&self) -> PyRange {
        self.whole(What::Keys)
    }

    /// All values, in order of their keys.
    fn values(&self) -> PyRange {
        self.whole(What::Values)
    }

    /// All items, in order of their keys.
    fn items(&self) -> PyRange {
        self.whole(What::Items)
    }

    /// The first item; `None` if there is none.
    fn first<'py>(&self, py: Python<'py>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::First)
    }

    /// The last item.
    fn last<'py>(&self, py: Python<'py>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::Last)
    }

    /// The first item whose key is greater.
    fn after<'py>(&self, py: Python<'py>, key: Input<'_>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::After(key.bytes()))
    }

    /// The last item whose key is smaller.
    fn before<'py>(&self, py: Python<'py>, key: Input<'_>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::Before(key.bytes()))
    }

    /// The item with that key, or else the one after it.
    fn at_or_after<'py>(&self, py: Python<'py>, key: Input<'_>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::AtOrAfter(key.bytes()))
    }

    /// The item with that key, or else the one before it.
    fn at_or_before<'py>(&self, py: Python<'py>, key: Input<'_>) -> PyResult<Option<Pair<'py>>> {
        self.at(py, Position::AtOrBefore(key.bytes()))
    }

    /// Removes `key` and returns its value, or the default; without one it is a `NotFound`.
    #[pyo3(signature = (key, *default))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        key: Input<'_>,
        default: &Bound<'py, pyo3::types::PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let text = format!(
                "pop takes a key and at most one default, not {}",
                default.len()
            );
            return Err(pyo3::exceptions::PyTypeError::new_err(text));
        }
        let bytes = key.bytes();
        match self.call(py, |eyes, store| eyes.take(store, bytes))? {
            Some(value) => Ok(PyBytes::new(py, &value).into_any()),
            None => default.get_item(0).map_err(|_| self.missing(py, bytes)),
        }
    }

    /// Removes the first item and returns it.
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<Pair<'py>> {
        match self.call(py, take_first)? {
            Some(item) => Ok(pair(py, &item)),
            None => Err(own(py, ErrorKind::ItemNotFound, "the datastore is empty")),
        }
    }

    /// The value of `key`, which is set to `default` if it is not there.
    fn setdefault<'py>(
        &self,
        py: Python<'py>,
        key: Input<'py>,
        default: Input<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (key, value) = (key.bytes(), default.bytes());
        let found = self.call(py, |eyes, store| find_or_insert(eyes, store, key, value))?;
        Ok(PyBytes::new(py, found.as_deref().unwrap_or(value)))
    }

    /// Sets what a mapping, or pairs, have.
    fn update(&self, py: Python<'_>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut together: Vec<(Input<'_>, Input<'_>)> = Vec::with_capacity(TOGETHER);
        for pair in pairs_of(items)? {
            together.push(pair?.extract()?);
            if together.len() == TOGETHER {
                self.put_together(py, &together)?;
                together.clear();
                py.check_signals()?;
            }
        }
        self.put_together(py, &together)
    }

    /// Removes all items: outside transactions at once, as `Volume.truncate`.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |eyes, store| match eyes {
            Eyes::Newest if store.is_read_only() => store.delete_range::<&[u8]>(..).map(drop),
            Eyes::Newest => store.volume().truncate_datastore(store.id()),
            _ => eyes
                .delete_range(store, (Edge::Unbounded, Edge::Unbounded))
                .map(drop),
        })
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = PyRange::new(self.again(), arguments::slice(slice)?, false, What::Items);
            return Ok(Bound::new(py, range)?.into_any());
        }
        let key: Input<'_> = key.extract()?;
        let found = self.read(py, key.bytes())?;
        found
            .map(Bound::into_any)
            .ok_or_else(|| self.missing(py, key.bytes()))
    }

    fn __setitem__(&self, py: Python<'_>, key: Input<'_>, value: Input<'_>) -> PyResult<()> {
        self.write(py, key.bytes(), &Write::Put(value.bytes()), false)
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(slice) = key.cast::<PySlice>() {
            return self.delete_all(py, arguments::slice(slice)?).map(drop);
        }
        let key: Input<'_> = key.extract()?;
        let bytes = key.bytes();
        match self.call(py, |eyes, store| eyes.delete(store, bytes))? {
            true => Ok(()),
            false => Err(self.missing(py, bytes)),
        }
    }

    fn __contains__(&self, py: Python<'_>, key: Input<'_>) -> PyResult<bool> {
        let key = key.bytes();
        self.call(py, |eyes, store| eyes.contains(store, key))
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<PyCursor> {
        self.whole(What::Keys).cursor(py, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<PyCursor> {
        self.whole(What::Keys).cursor(py, true)
    }

    /// How many items there are: at once outside transactions, by a walk through the keys otherwise.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        if matches!(self.eyes, Eyes::Newest) {
            let items = self.call(py, |_, store| store.info().map(|_| store.len()))?;
            return Ok(usize::try_from(items)?);
        }
        self.whole(What::Keys).count(py)
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        match self.eyes {
            Eyes::Newest => self.call(py, |_, store| store.info().map(|_| !store.is_empty())),
            _ => Ok(self.at(py, Position::First)?.is_some()),
        }
    }

    fn __repr__(&self) -> String {
        let through = match self.eyes {
            Eyes::Newest => "",
            Eyes::Transaction(_) => " in a transaction",
            Eyes::Snapshot(_) => " in a snapshot",
        };
        let id = self.store.id().0;
        format!(
            "<heliumdb.Datastore {id} of {}{through}>",
            self.session.volume().url()
        )
    }

    /// What it is called now.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let info = self.call(py, |_, store| store.info())?;
        paths::shown(py, &info.name)
    }

    /// A number that no other datastore of the volume ever has.
    #[getter]
    fn id(&self) -> u32 {
        self.store.id().0
    }

    /// The bytes that its owner keeps with it.
    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let info = self.call(py, |_, store| store.info())?;
        Ok(PyBytes::new(py, &info.attributes))
    }

    /// Whether values are compressed where that makes them shorter.
    #[getter]
    fn compressed(&self, py: Python<'_>) -> PyResult<bool> {
        self.call(py, |_, store| store.info().map(|info| info.compress))
    }

    /// Whether its items have an order.
    #[getter]
    fn ordered(&self, py: Python<'_>) -> PyResult<bool> {
        self.call(py, |_, store| store.info().map(|info| !info.unordered))
    }

    /// Figures of it.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.call(py, |_, store| store.stats())?;
        figures::of_datastore(py, &stats)
    }
}

impl PyDatastore {
    /// A walk through the items in `bounds`.
    pub fn walk(&self, bounds: Bounds, reverse: bool, keys: bool) -> Result<Walk> {
        let Eyes::Newest = &self.eyes else {
            return Ok(Walk::Steps(bounds));
        };
        let is_whole = matches!(bounds, (Edge::Unbounded, Edge::Unbounded));
        if is_whole && !reverse && self.store.info()?.unordered {
            return Ok(Walk::Unordered(self.store.items()));
        }
        let range = self.store.range(bounds);
        Ok(match keys {
            true => Walk::Keys(range.keys()),
            false => Walk::Items(range),
        })
    }
}
