//! Volumes: opening, their datastores, and what keeps them well.

use std::sync::Arc;

use heliumdb::{
    DatastoreId, DatastoreOptions, ErrorKind, Result, TransactionOptions, Volume,
    upkeep::BackupFrom,
};
use pyo3::{prelude::*, types::PyDict};

use crate::{
    batch::PyBatch,
    call::{call, call_back},
    datastore::PyDatastore,
    errors::{own, raised},
    eyes::Eyes,
    figures,
    long::Listener,
    options, paths,
    salvage::into_new,
    session::Session,
    snapshot::PySnapshot,
    transaction::PyTransaction,
};

/// An open volume; `heliumdb.Volume` is made of it.
#[pyclass(name = "Volume", module = "heliumdb._native", frozen, subclass)]
pub struct PyVolume {
    session: Arc<Session>,
}

impl PyVolume {
    fn call<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Volume) -> Result<R> + Send,
    ) -> PyResult<R> {
        call(py, &self.session, || work(self.session.volume()))
    }

    /// The id of the datastore that `named` is, or is called like.
    fn id_of(&self, py: Python<'_>, named: &Bound<'_, PyAny>) -> PyResult<DatastoreId> {
        let store = PyDatastore::through(py, &self.session, named, Eyes::Newest)?;
        if named
            .cast::<PyDatastore>()
            .is_ok_and(|known| !Arc::ptr_eq(known.get().session(), &self.session))
        {
            return Err(own(
                py,
                ErrorKind::InvalidArgument,
                "the datastore is in another volume",
            ));
        }
        Ok(store.store().id())
    }

    fn info(&self, py: Python<'_>) -> PyResult<Vec<heliumdb::DatastoreInfo>> {
        self.call(py, |volume| Ok(volume.datastores()))
    }
}

#[pymethods]
impl PyVolume {
    #[new]
    #[pyo3(signature = (path, **options))]
    fn new(path: &Bound<'_, PyAny>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = path.py();
        let (url, options) = (paths::url_of(path)?, options::volume(options)?);
        let opened = py.detach(|| Volume::open(&url, &options).and_then(Session::new));
        match opened {
            Ok(session) => Ok(Self { session }),
            Err(why) => Err(raised(py, &why)),
        }
    }

    /// Makes everything durable and closes the volume; what was opened through it is refused then. A second
    /// time it does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.session.close(py)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.session.is_closed()
    }

    /// The URL that it was opened by.
    #[getter]
    fn url(&self) -> &str {
        self.session.volume().url()
    }

    /// Its id: 32 hexadecimal digits.
    #[getter]
    fn id(&self) -> String {
        self.session.volume().id().to_string()
    }

    /// Whether it was opened to be read only.
    #[getter]
    fn read_only(&self) -> bool {
        self.session.volume().options().read_only
    }

    /// Opens a datastore; makes it if it is not there, unless `create` says otherwise.
    #[pyo3(signature = (name, *, create=true, error_if_exists=false, truncate=false, read_only=false, attributes=None,
        compress=false, unordered=false))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn datastore(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        create: bool,
        error_if_exists: bool,
        truncate: bool,
        read_only: bool,
        attributes: Option<&[u8]>,
        compress: bool,
        unordered: bool,
    ) -> PyResult<PyDatastore> {
        let name = paths::name_of(name)?;
        let mut options = DatastoreOptions::default();
        options.create = create && !self.read_only();
        options.error_if_exists = error_if_exists;
        options.truncate = truncate;
        options.read_only = read_only;
        options.attributes = attributes.unwrap_or_default().to_vec();
        options.compress = compress;
        options.unordered = unordered;
        let store = self.call(py, |volume| volume.open_datastore(&name, &options))?;
        Ok(PyDatastore::new(self.session.clone(), store, Eyes::Newest))
    }

    /// The names of the datastores, in order.
    fn datastores<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.info(py)?
            .iter()
            .map(|info| paths::shown(py, &info.name))
            .collect()
    }

    fn __getitem__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<PyDatastore> {
        let name = paths::name_of(name)?;
        let store = self.call(py, |volume| volume.datastore(&name))?;
        Ok(PyDatastore::new(self.session.clone(), store, Eyes::Newest))
    }

    fn __delitem__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        self.drop(py, name)
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let name = paths::name_of(name)?;
        Ok(self.info(py)?.iter().any(|info| info.name == name))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = pyo3::types::PyList::new(py, self.datastores(py)?)?;
        Ok(names.try_iter()?.into_any())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.info(py).map(|info| info.len())
    }

    fn __bool__(&self) -> bool {
        true
    }

    /// Gives a datastore another name; durable when it returns.
    fn rename(
        &self,
        py: Python<'_>,
        store: &Bound<'_, PyAny>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (id, name) = (self.id_of(py, store)?, paths::name_of(name)?);
        self.call(py, |volume| volume.rename_datastore(id, &name))
    }

    /// Removes a datastore and its items; durable when it returns.
    fn drop(&self, py: Python<'_>, store: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = self.id_of(py, store)?;
        self.call(py, |volume| volume.drop_datastore(id))
    }

    /// Removes all items of a datastore at once; durable when it returns.
    fn truncate(&self, py: Python<'_>, store: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = self.id_of(py, store)?;
        self.call(py, |volume| volume.truncate_datastore(id))
    }

    /// Replaces the bytes that a datastore's owner keeps with it; durable when it returns.
    fn set_attributes(
        &self,
        py: Python<'_>,
        store: &Bound<'_, PyAny>,
        attributes: &[u8],
    ) -> PyResult<()> {
        let id = self.id_of(py, store)?;
        self.call(py, |volume| volume.set_attributes(id, attributes))
    }

    /// Says whether values that are written from now on are compressed where that makes them shorter.
    fn set_compress(
        &self,
        py: Python<'_>,
        store: &Bound<'_, PyAny>,
        compress: bool,
    ) -> PyResult<()> {
        let id = self.id_of(py, store)?;
        self.call(py, |volume| volume.set_compress(id, compress))
    }

    /// Begins a transaction.
    #[pyo3(signature = (*, isolation="snapshot", durability="synced", memory_budget_bytes=None))]
    fn transaction(
        &self,
        py: Python<'_>,
        isolation: &str,
        durability: &str,
        memory_budget_bytes: Option<usize>,
    ) -> PyResult<PyTransaction> {
        let mut options = TransactionOptions::new()
            .isolation(options::isolation(isolation)?)
            .durability(options::durability(durability)?);
        options.memory_budget_bytes = memory_budget_bytes.unwrap_or(options.memory_budget_bytes);
        PyTransaction::begin(py, &self.session, options)
    }

    /// The committed state of now, to read from.
    fn snapshot(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        PySnapshot::new(py, &self.session)
    }

    /// An empty batch of writes.
    #[pyo3(signature = (*, durability="buffered"))]
    fn batch(&self, py: Python<'_>, durability: &str) -> PyResult<PyBatch> {
        PyBatch::new(py, &self.session, options::durability(durability)?)
    }

    /// Returns when everything written so far is durable.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, Volume::flush)
    }

    /// Takes a checkpoint: what was written until now need not be replayed by the next open.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, Volume::checkpoint)
    }

    /// Moves the items of a datastore, or of all, next to each other in the order of their keys; how many were moved.
    #[pyo3(signature = (store=None))]
    fn compact(&self, py: Python<'_>, store: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let ids = match store {
            Some(store) => vec![self.id_of(py, store)?],
            None => self.info(py)?.iter().map(|info| info.id).collect(),
        };
        call_back(py, &self.session, || {
            let mut listener = Listener::new(None);
            let mut moved = 0;
            for id in ids {
                let store = self.session.volume().datastore_by_id(id)?;
                loop {
                    let done = store.compact_until(Some(listener.next()))?;
                    moved += done.moved;
                    listener.check()?;
                    if done.is_done {
                        break;
                    }
                }
            }
            Ok(moved)
        })
    }

    /// Gives back the room of what is dead.
    fn clean(&self, py: Python<'_>) -> PyResult<()> {
        call_back(py, &self.session, || {
            let mut listener = Listener::new(None);
            while self.session.volume().clean_step()? {
                listener.check()?;
            }
            Ok(self.session.volume().free()?)
        })
    }

    /// Reads every item and checks it. Damage does not end it: `damage` has what was found.
    #[pyo3(signature = (*, progress=None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let report = call_back(py, &self.session, || {
            let mut listener = Listener::new(progress);
            let done = self
                .session
                .volume()
                .verify(&mut |step| listener.hears(step));
            listener.outcome(done)
        })?;
        figures::of_verify(py, &report)
    }

    /// What was found to be damaged since the volume was opened.
    fn damage<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let found = self.call(py, |volume| Ok(volume.damage()))?;
        found
            .iter()
            .map(|damage| figures::of_damage(py, damage))
            .collect()
    }

    /// Figures: cheap enough to ask for every second.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.call(py, |volume| Ok(volume.stats()))?;
        figures::of_volume(py, &stats)
    }

    /// Copies everything that is committed, or what a snapshot sees, to a new volume, while others read and write.
    #[pyo3(signature = (target, *, snapshot=None, progress=None, **options))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        target: &Bound<'py, PyAny>,
        snapshot: Option<&Bound<'py, PySnapshot>>,
        progress: Option<Py<PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (url, options) = (paths::url_of(target)?, options::volume(options)?);
        let snapshot = snapshot.map(|snapshot| snapshot.get());
        let report = call_back(py, &self.session, || {
            let volume = self.session.volume();
            let mut listener = Listener::new(progress);
            into_new(&url, options, |target| {
                let mut hears = |step: &_| listener.hears(step);
                let done = match snapshot {
                    Some(snapshot) => {
                        snapshot.with_source(|from| volume.backup(from, target, &mut hears))
                    }
                    None => volume.backup(BackupFrom::Newest, target, &mut hears),
                };
                listener.outcome(done)
            })
        })?;
        figures::of_backup(py, &report)
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (_kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.close(py)?;
        Ok(false)
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<heliumdb.Volume {}{closed}>", self.url())
    }
}

/// Makes the devices of a volume blank: all of it is gone.
#[pyfunction]
pub fn destroy(path: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, url) = (path.py(), paths::url_of(path)?);
    py.detach(|| Volume::destroy(&url))
        .map_err(|why| raised(py, &why))
}
