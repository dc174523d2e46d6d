//! How a call leaves the interpreter for the store, and comes back.

use heliumdb::Result;
use pyo3::prelude::*;

use crate::{
    errors::{Failure, raised},
    session::Session,
};

/// What was given back where the system gave no memory is kept again, if there is some. The store itself refuses writes
/// until then; what reads goes on with what is left.
fn keep_spare() {
    helium_spare::is_there();
}

/// Does `work` inside the gate of the volume, with the interpreter free for other threads.
pub fn call<R: Send>(
    py: Python<'_>,
    session: &Session,
    work: impl FnOnce() -> Result<R> + Send,
) -> PyResult<R> {
    keep_spare();
    py.detach(|| {
        let _inside = session.enter()?;
        work()
    })
    .map_err(|why| raised(py, &why))
}

/// As [`call`], for work that runs Python's code now and then: it takes the interpreter back for that.
pub fn call_back<R: Send>(
    py: Python<'_>,
    session: &Session,
    work: impl FnOnce() -> Result<R, Failure> + Send,
) -> PyResult<R> {
    keep_spare();
    py.detach(|| {
        let _inside = session.enter()?;
        let _calling = session.calling_back();
        work()
    })
    .map_err(|why| why.raised(py))
}
