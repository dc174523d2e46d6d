//! Salvage: what is readable of a damaged volume, copied to another one.

use heliumdb::{
    Volume, VolumeOptions,
    upkeep::{Salvage, Unresolved},
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{errors::Failure, figures, long::Listener, options, paths};

/// Copies what is readable of the volume `source` to `target`, which must be new, and says what is lost.
#[pyfunction]
#[pyo3(signature = (source, target, *, partial_batches=false, doubtful_items=false, unresolved="drop", deciders=None,
    progress=None, **target_options))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub fn salvage<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    partial_batches: bool,
    doubtful_items: bool,
    unresolved: &str,
    deciders: Option<&Bound<'py, PyList>>,
    progress: Option<Py<PyAny>>,
    target_options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let unresolved = match unresolved {
        "drop" => Unresolved::Drop,
        "keep" => Unresolved::Keep,
        _ => {
            let text = format!("unresolved is 'drop' or 'keep', not {unresolved:?}");
            return Err(PyValueError::new_err(text));
        }
    };
    let (source, target) = (paths::url_of(source)?, paths::url_of(target)?);
    let deciders: Vec<String> = deciders
        .into_iter()
        .flatten()
        .map(|decider| paths::url_of(&decider))
        .collect::<PyResult<_>>()?;
    let options = options::volume(target_options)?;
    let report = py.detach(|| {
        let mut salvage = Salvage::open(&source)?
            .partial_batches(partial_batches)
            .doubtful_items(doubtful_items)
            .unresolved(unresolved);
        for decider in &deciders {
            salvage = salvage.decider(decider)?;
        }
        let mut listener = Listener::new(progress);
        into_new(&target, options, |target| {
            let done = salvage.run(target, &mut |step| listener.hears(step));
            listener.outcome(done)
        })
    });
    figures::of_salvage(py, &report.map_err(|why| why.raised(py))?)
}

/// Makes the volume at `url`, has it filled, and closes it.
pub fn into_new<R>(
    url: &str,
    mut options: VolumeOptions,
    fill: impl FnOnce(&Volume) -> Result<R, Failure>,
) -> Result<R, Failure> {
    options.receive_copy = true;
    let target = Volume::open(url, &options)?;
    let filled = fill(&target)?;
    target.close()?;
    Ok(filled)
}
