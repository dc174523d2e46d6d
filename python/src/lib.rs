//! The Python package's native half: what Python sees of a volume and of what is in it.
//!
//! Rules that hold in every module:
//!
//! - Whoever may wait, for a device, a lock or another thread, has let go of the interpreter (`call`). A lock is waited
//!   for only then: so nobody holds one that another needs who has the interpreter.
//! - Every call passes the gate of its volume (`session`): after a close, and in a fork, it is refused by a sentence.
//! - What is kept holds no Python object, so that there are no cycles for Python's collector to find.

mod arguments;
mod batch;
mod bytes;
mod call;
mod changes;
mod datastore;
mod errors;
mod eyes;
mod figures;
mod long;
mod options;
mod paths;
mod salvage;
mod session;
mod snapshot;
mod transaction;
mod volume;
mod walk;

use pyo3::prelude::*;

/// The module `heliumdb._native`; `heliumdb` has what users need of it.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<volume::PyVolume>()?;
    module.add_class::<datastore::PyDatastore>()?;
    module.add_class::<walk::PyRange>()?;
    module.add_class::<walk::PyCursor>()?;
    module.add_class::<transaction::PyTransaction>()?;
    module.add_class::<transaction::PySavepoint>()?;
    module.add_class::<snapshot::PySnapshot>()?;
    module.add_class::<batch::PyBatch>()?;
    module.add_class::<batch::PyBatchDatastore>()?;
    module.add_function(wrap_pyfunction!(session::close_all, module)?)?;
    module.add_function(wrap_pyfunction!(salvage::salvage, module)?)?;
    module.add_function(wrap_pyfunction!(volume::destroy, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
