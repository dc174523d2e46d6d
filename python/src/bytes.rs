//! Keys and values as they come from Python: anything that has bytes.
//!
//! Invariant: what is handed to the store cannot change meanwhile. So `bytes` are used where they are, and of anything
//! that could be written to, like a `bytearray`, there is a copy.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyMemoryView},
};

/// A key or a value.
pub struct Input<'py>(Bound<'py, PyBytes>);

impl Input<'_> {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsRef<[u8]> for Input<'_> {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Input<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(bytes.to_owned()));
        }
        // What is no buffer is refused by Python's own sentence.
        let view = PyMemoryView::from(&object)?;
        let copied = view.call_method0("tobytes")?;
        Ok(Self(copied.cast_into::<PyBytes>()?))
    }
}

/// The smallest key that is greater than all that start with `prefix`; `None` if there is none.
pub fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
