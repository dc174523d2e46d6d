//! Arguments that say which items are meant.

use std::ops::Bound as Edge;

use heliumdb::ErrorKind;
use pyo3::{
    prelude::*,
    types::{PyIterator, PySlice},
};

use crate::{
    bytes::{Input, behind},
    errors::own,
    eyes::Bounds,
};

/// The pairs of a mapping, or of what has pairs.
pub fn pairs_of<'py>(items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    match items.getattr_opt("items")? {
        Some(method) => method.call0()?.try_iter(),
        None => items.try_iter(),
    }
}

/// Bounds of keys, as Python's arguments say them: `prefix` narrows the others.
pub fn bounds(
    (start, stop, prefix): (Option<Input<'_>>, Option<Input<'_>>, Option<Input<'_>>),
    (include_start, include_stop): (bool, bool),
) -> Bounds {
    let bound = |key: &Input<'_>, included| match included {
        true => Edge::Included(key.bytes().to_vec()),
        false => Edge::Excluded(key.bytes().to_vec()),
    };
    let prefix = prefix.as_ref().map(Input::bytes);
    let end = prefix.and_then(behind);
    let low = match (&start, prefix) {
        (Some(start), Some(prefix)) if start.bytes() < prefix => Edge::Included(prefix.to_vec()),
        (Some(start), _) => bound(start, include_start),
        (None, Some(prefix)) => Edge::Included(prefix.to_vec()),
        (None, None) => Edge::Unbounded,
    };
    let high = match (&stop, end) {
        (Some(stop), Some(end)) if stop.bytes() >= end.as_slice() => Edge::Excluded(end),
        (Some(stop), _) => bound(stop, include_stop),
        (None, Some(end)) => Edge::Excluded(end),
        (None, None) => Edge::Unbounded,
    };
    (low, high)
}

/// Bounds of keys, as a slice says them.
pub fn slice(slice: &Bound<'_, PySlice>) -> PyResult<Bounds> {
    let end = |name: &str| -> PyResult<Option<Input<'_>>> {
        let end = slice.getattr(name)?;
        if end.is_none() {
            Ok(None)
        } else {
            end.extract().map(Some)
        }
    };
    if !slice.getattr("step")?.is_none() {
        return Err(own(
            slice.py(),
            ErrorKind::InvalidArgument,
            "a range of keys has no step; range(..., reverse=True) goes backwards",
        ));
    }
    Ok(bounds((end("start")?, end("stop")?, None), (true, false)))
}
