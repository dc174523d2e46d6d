//! Snapshots: a volume as it was at one moment.

use std::sync::Arc;

use heliumdb::host::VolumeExt;
use heliumdb::{Error, ErrorKind, Result, Snapshot, upkeep::BackupFrom};
use parking_lot::RwLock;
use pyo3::prelude::*;

use crate::{call::call, datastore::PyDatastore, errors::own, eyes::Eyes, paths, session::Session};

/// A snapshot, until it is closed.
pub struct SnapshotCell {
    session: Arc<Session>,
    snapshot: RwLock<Option<Snapshot>>,
}

impl SnapshotCell {
    pub fn with<R>(&self, work: impl FnOnce(&Snapshot) -> Result<R>) -> Result<R> {
        match &*self.snapshot.read_recursive() {
            Some(snapshot) => work(snapshot),
            None => Err(Error::new(ErrorKind::Closed, "the snapshot was closed")),
        }
    }
}

/// The committed state of all datastores at one moment, to read from.
#[pyclass(name = "Snapshot", module = "heliumdb", frozen, weakref)]
pub struct PySnapshot {
    cell: Arc<SnapshotCell>,
}

impl PySnapshot {
    pub fn new(py: Python<'_>, session: &Arc<Session>) -> PyResult<Self> {
        let snapshot = call(py, session, || session.volume().snapshot())?;
        Ok(Self {
            cell: Arc::new(SnapshotCell {
                session: session.clone(),
                snapshot: RwLock::new(Some(snapshot)),
            }),
        })
    }

    /// Does `work` with what a backup of it copies.
    pub fn with_source<R>(&self, work: impl FnOnce(BackupFrom<'_>) -> Result<R>) -> Result<R> {
        self.cell
            .with(|snapshot| work(BackupFrom::Snapshot(snapshot)))
    }
}

#[pymethods]
impl PySnapshot {
    /// The datastore as it was then: by its handle, or by the name that it had.
    fn __getitem__(&self, py: Python<'_>, store: &Bound<'_, PyAny>) -> PyResult<PyDatastore> {
        let (cell, session) = (&self.cell, &self.cell.session);
        let eyes = Eyes::Snapshot(cell.clone());
        if store.is_instance_of::<PyDatastore>() {
            return PyDatastore::through(py, session, store, eyes);
        }
        let name = paths::name_of(store)?;
        let found = call(py, session, || {
            cell.with(|snapshot| {
                let seen = session.volume().datastores_of(snapshot);
                Ok(seen.into_iter().find(|(info, _)| info.name == name))
            })
        })?;
        match found {
            Some((_, store)) => Ok(PyDatastore::new(session.clone(), store, eyes)),
            None => Err(own(
                py,
                ErrorKind::DatastoreNotFound,
                format!(
                    "the snapshot has no datastore called '{}'",
                    name.escape_ascii()
                ),
            )),
        }
    }

    /// The names that the datastores had.
    fn datastores<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (cell, session) = (&self.cell, &self.cell.session);
        let seen = call(py, session, || {
            cell.with(|snapshot| Ok(session.volume().datastores_of(snapshot)))
        })?;
        seen.iter()
            .map(|(info, _)| paths::shown(py, &info.name))
            .collect()
    }

    /// Lets go of what it keeps. Once it is closed, this does nothing.
    fn close(&self, py: Python<'_>) {
        if !self.cell.session.is_elsewhere() {
            let snapshot = py.detach(|| self.cell.snapshot.write().take());
            drop(snapshot);
        }
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
    ) -> bool {
        self.close(py);
        false
    }
}
