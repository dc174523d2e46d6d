//! Transactions and savepoints.

use std::sync::Arc;

use heliumdb::{Durability, Error, ErrorKind, Result, Savepoint, Transaction, TransactionOptions};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::{call::call, datastore::PyDatastore, eyes::Eyes, options, session::Session};

/// A transaction, until it is committed or rolled back. Threads may share it: their calls come one after the other.
pub struct TransactionCell {
    session: Arc<Session>,
    txn: Mutex<Option<Transaction>>,
}

impl TransactionCell {
    /// Does `work` in it, if it is not over.
    pub fn with<R>(&self, work: impl FnOnce(&mut Transaction) -> Result<R>) -> Result<R> {
        match &mut *self.txn.lock() {
            Some(txn) => work(txn),
            None => Err(over()),
        }
    }

    /// Whether it was neither committed nor rolled back; in a fork nobody knows.
    fn is_pending(&self, py: Python<'_>) -> bool {
        self.session.is_elsewhere() || py.detach(|| self.txn.lock().is_some())
    }

    fn commit(&self, durability: Option<Durability>) -> Result<()> {
        let txn = self.txn.lock().take().ok_or_else(over)?;
        match durability {
            Some(durability) => txn.commit_with(durability),
            None => txn.commit(),
        }
    }

    /// Undoes everything; nothing if it is over already.
    fn roll_back(&self) {
        let txn = self.txn.lock().take();
        drop(txn);
    }
}

impl Drop for TransactionCell {
    fn drop(&mut self) {
        // Not beside a close.
        let _aside = (!self.session.is_elsewhere()).then(|| self.session.aside());
        drop(self.txn.get_mut().take());
    }
}

fn over() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the transaction is over: it was committed or rolled back",
    )
}

/// Writes over any datastores of a volume that all take effect, or none.
#[pyclass(name = "Transaction", module = "heliumdb", frozen, weakref)]
pub struct PyTransaction {
    cell: Arc<TransactionCell>,
}

impl PyTransaction {
    pub fn begin(
        py: Python<'_>,
        session: &Arc<Session>,
        options: TransactionOptions,
    ) -> PyResult<Self> {
        let txn = call(py, session, || session.volume().begin_with(options))?;
        Ok(Self {
            cell: Arc::new(TransactionCell {
                session: session.clone(),
                txn: Mutex::new(Some(txn)),
            }),
        })
    }
}

#[pymethods]
impl PyTransaction {
    /// The datastore as this transaction sees it: what is written through it is the transaction's.
    fn __getitem__(&self, py: Python<'_>, store: &Bound<'_, PyAny>) -> PyResult<PyDatastore> {
        let eyes = Eyes::Transaction(self.cell.clone());
        PyDatastore::through(py, &self.cell.session, store, eyes)
    }

    /// Makes its writes everybody's; durable as it was begun with, or as said here.
    #[pyo3(signature = (*, durability=None))]
    fn commit(&self, py: Python<'_>, durability: Option<&str>) -> PyResult<()> {
        let durability = durability.map(options::durability).transpose()?;
        call(py, &self.cell.session, || self.cell.commit(durability))
    }

    /// Undoes everything. Once it is over, this does nothing.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        if self.cell.session.is_closed() {
            return Ok(());
        }
        call(py, &self.cell.session, || {
            self.cell.roll_back();
            Ok(())
        })
    }

    /// Marks this moment, to go back to: with `with`, if what is in the block fails.
    fn savepoint(&self, py: Python<'_>) -> PyResult<PySavepoint> {
        let cell = &self.cell;
        let savepoint = call(py, &cell.session, || cell.with(Transaction::savepoint))?;
        Ok(PySavepoint {
            cell: cell.clone(),
            savepoint,
        })
    }

    /// Undoes what was done since the savepoint, failures included.
    fn rollback_to(&self, py: Python<'_>, savepoint: &PySavepoint) -> PyResult<()> {
        let to = savepoint.savepoint;
        call(py, &self.cell.session, || {
            self.cell.with(|txn| txn.rollback_to(to))
        })
    }

    /// Whether it is neither committed nor rolled back.
    #[getter]
    fn active(&self, py: Python<'_>) -> bool {
        !self.cell.session.is_closed() && self.cell.is_pending(py)
    }

    /// Why it cannot commit any more, as a sentence; `None` if it can.
    #[getter]
    fn failure(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let why = |txn: &mut Transaction| Ok(txn.failure().map(ToString::to_string));
        call(py, &self.cell.session, || self.cell.with(why))
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// Commits if the block came to its end and did not end the transaction itself; else rolls back.
    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if !kind.is_none() {
            // What failed is more telling than what fails on the way out, in a fork for one.
            let _ = self.rollback(py);
        } else if self.cell.is_pending(py) {
            self.commit(py, None)?;
        }
        Ok(false)
    }
}

/// A moment of a transaction.
#[pyclass(name = "Savepoint", module = "heliumdb", frozen)]
pub struct PySavepoint {
    cell: Arc<TransactionCell>,
    savepoint: Savepoint,
}

#[pymethods]
impl PySavepoint {
    /// Undoes what was done since.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let to = self.savepoint;
        call(py, &self.cell.session, || {
            self.cell.with(|txn| txn.rollback_to(to))
        })
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if !kind.is_none() {
            self.rollback(py)?;
        }
        Ok(false)
    }
}
