//! Where a volume is, as Python says it: a path, several of them, or a URL.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use heliumdb::{ErrorKind, device::text_of};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList, PyString, PyTuple},
};

use crate::errors::own;

const SCHEME: &str = "he://";

/// The URL of the volume that `place` names: `str`, `bytes` or `os.PathLike`, a list or tuple of them for a volume of
/// several devices, or a URL as it is.
pub fn url_of(place: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = place.extract::<String>()
        && text
            .get(..SCHEME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    {
        return Ok(text);
    }
    let is_list = place.is_instance_of::<PyList>() || place.is_instance_of::<PyTuple>();
    let parts: Vec<String> = match is_list {
        true => place
            .try_iter()?
            .map(|part| part_of(&part?))
            .collect::<PyResult<_>>()?,
        false => vec![part_of(place)?],
    };
    Ok(format!("{SCHEME}./{}", parts.join(",")))
}

fn part_of(place: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = place.py();
    let encoded = py.import("os")?.getattr("fsencode")?.call1((place,))?;
    let bytes = encoded.cast_into::<PyBytes>()?;
    let path = Path::new(OsStr::from_bytes(bytes.as_bytes()));
    if path.as_os_str().is_empty() {
        return Err(own(
            py,
            ErrorKind::InvalidArgument,
            "the path of the volume is empty",
        ));
    }
    // In a URL a name that begins with a low line and is not behind a slash is so many bytes of memory.
    let plain = match path.is_absolute() {
        true => path.to_owned(),
        false => PathBuf::from(".").join(path),
    };
    Ok(text_of(&plain))
}

/// The name of a datastore: `str`, or the bytes themselves.
pub fn name_of(name: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if name.is_instance_of::<PyString>() {
        // Names that are no UTF-8 come back as they were handed out.
        let encoded = name.call_method1("encode", ("utf-8", "surrogateescape"))?;
        return Ok(encoded.cast_into::<PyBytes>()?.as_bytes().to_vec());
    }
    match name.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_) => Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "a datastore's name is str or bytes, not {}",
            name.get_type().name()?
        ))),
    }
}

/// A datastore's name as `str`.
pub fn shown<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    PyBytes::new(py, name).call_method1("decode", ("utf-8", "surrogateescape"))
}
