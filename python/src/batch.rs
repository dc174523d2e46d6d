//! Batches: writes over any datastores of a volume that happen together, without looking.

use std::sync::Arc;

use heliumdb::{Datastore, Durability, Result, WriteBatch};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::{
    arguments::pairs_of, bytes::Input, call::call, datastore::PyDatastore, errors::raised,
    eyes::Eyes, options, session::Session,
};

/// A batch, until it is discarded.
struct BatchCell {
    session: Arc<Session>,
    writes: Mutex<WriteBatch>,
    durability: Durability,
}

/// Writes that happen together.
#[pyclass(name = "Batch", module = "heliumdb", frozen, weakref)]
pub struct PyBatch {
    cell: Arc<BatchCell>,
}

/// A datastore to which a batch will write.
#[pyclass(name = "BatchDatastore", module = "heliumdb", frozen)]
pub struct PyBatchDatastore {
    cell: Arc<BatchCell>,
    store: Datastore,
}

impl PyBatch {
    pub fn new(py: Python<'_>, session: &Arc<Session>, durability: Durability) -> PyResult<Self> {
        let writes = call(py, session, || Ok(session.volume().batch()))?;
        Ok(Self {
            cell: Arc::new(BatchCell {
                session: session.clone(),
                writes: Mutex::new(writes),
                durability,
            }),
        })
    }
}

#[pymethods]
impl PyBatch {
    /// The datastore, to put into and to delete from.
    fn __getitem__(&self, py: Python<'_>, store: &Bound<'_, PyAny>) -> PyResult<PyBatchDatastore> {
        let cell = self.cell.clone();
        let store = PyDatastore::through(py, &cell.session, store, Eyes::Newest)?;
        Ok(PyBatchDatastore {
            cell,
            store: store.store().clone(),
        })
    }

    /// Does its writes, all of them or none, and leaves it empty.
    #[pyo3(signature = (*, durability=None))]
    fn commit(&self, py: Python<'_>, durability: Option<&str>) -> PyResult<()> {
        let durability = durability.map(options::durability).transpose()?;
        let durability = durability.unwrap_or(self.cell.durability);
        call(py, &self.cell.session, || {
            self.cell.writes.lock().commit(durability)
        })
    }

    /// Forgets its writes.
    fn clear(&self, py: Python<'_>) {
        py.detach(|| {
            if let Ok(_inside) = self.cell.session.enter() {
                self.cell.writes.lock().clear();
            }
        });
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        call(py, &self.cell.session, || Ok(self.cell.writes.lock().len()))
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// Commits if the block came to its end; else forgets the writes.
    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if kind.is_none() {
            self.commit(py, None)?;
        } else {
            self.clear(py);
        }
        Ok(false)
    }
}

impl PyBatchDatastore {
    /// Waits for nothing but another thread that is at the same batch: without one the interpreter is kept.
    fn with(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut WriteBatch, &Datastore) -> Result<()> + Send,
    ) -> PyResult<()> {
        let (session, writes) = (&self.cell.session, &self.cell.writes);
        if !session.is_closed()
            && let Ok(_inside) = session.enter()
            && let Some(mut writes) = writes.try_lock()
        {
            return work(&mut writes, &self.store).map_err(|why| raised(py, &why));
        }
        call(py, session, || work(&mut writes.lock(), &self.store))
    }
}

#[pymethods]
impl PyBatchDatastore {
    /// Will set the value of `key`.
    fn put(&self, py: Python<'_>, key: Input<'_>, value: Input<'_>) -> PyResult<()> {
        let (key, value) = (key.bytes(), value.bytes());
        self.with(py, |batch, store| batch.put(store, key, value).map(drop))
    }

    /// Will remove `key`, if it is there.
    fn delete(&self, py: Python<'_>, key: Input<'_>) -> PyResult<()> {
        let key = key.bytes();
        self.with(py, |batch, store| batch.delete(store, key).map(drop))
    }

    /// Will set what a mapping, or pairs, have.
    fn update(&self, py: Python<'_>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        for pair in pairs_of(items)? {
            let (key, value): (Input<'_>, Input<'_>) = pair?.extract()?;
            self.put(py, key, value)?;
        }
        Ok(())
    }

    fn __setitem__(&self, py: Python<'_>, key: Input<'_>, value: Input<'_>) -> PyResult<()> {
        self.put(py, key, value)
    }

    fn __delitem__(&self, py: Python<'_>, key: Input<'_>) -> PyResult<()> {
        self.delete(py, key)
    }
}
