//! Figures and reports, as dictionaries.

use heliumdb::upkeep::{BackupReport, Damage, DatastoreStats, SalvageReport, Stats, VerifyReport};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::paths::shown;

pub fn of_volume<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    for metric in stats.metrics() {
        figures.set_item(metric.name, metric.value)?;
    }
    figures.set_item("write_amplification", stats.write_amplification())?;
    figures.set_item("space_amplification", stats.space_amplification())?;
    Ok(figures)
}

pub fn of_datastore<'py>(py: Python<'py>, stats: &DatastoreStats) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("name", shown(py, &stats.name)?)?;
    figures.set_item("items", stats.items)?;
    figures.set_item("index_bytes", stats.index_bytes)?;
    Ok(figures)
}

pub fn of_verify<'py>(py: Python<'py>, report: &VerifyReport) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("items", report.items)?;
    figures.set_item("bytes", report.bytes)?;
    figures.set_item("records", report.records)?;
    figures.set_item("damaged", report.damaged)?;
    Ok(figures)
}

pub fn of_backup<'py>(py: Python<'py>, report: &BackupReport) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("datastores", report.datastores)?;
    figures.set_item("items", report.items)?;
    figures.set_item("bytes", report.bytes)?;
    Ok(figures)
}

/// Damage that is known: datastore's id (`None` for the store's own records), key, and what is wrong.
pub fn of_damage<'py>(py: Python<'py>, damage: &Damage) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("datastore", damage.datastore.map(|id| id.0))?;
    figures.set_item("key", PyBytes::new(py, &damage.key))?;
    figures.set_item("error", damage.error.to_string())?;
    Ok(figures)
}

pub fn of_salvage<'py>(py: Python<'py>, report: &SalvageReport) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("lossless", report.is_lossless())?;
    figures.set_item("volume", report.volume.map(|id| id.to_string()))?;
    macro_rules! set {
        ($($name:ident),*) => {
            $(figures.set_item(stringify!($name), report.$name)?;)*
        };
    }
    set!(
        devices,
        missing_devices,
        lost_superblocks,
        copied_while_open,
        unfinished_copy,
        segments,
        lost_segments,
        unreadable_bytes,
        gaps,
        gap_bytes,
        damaged_frames,
        frames,
        broken_batches,
        dropped_items,
        cancelled_batches,
        unresolved_batches,
        lost_datastores,
        lost_decisions,
        items,
        bytes
    );
    let mut stores = Vec::new();
    for store in &report.datastores {
        let of = PyDict::new(py);
        of.set_item("id", store.id.0)?;
        of.set_item("name", shown(py, &store.name)?)?;
        of.set_item("renamed", store.renamed)?;
        of.set_item("items", store.items)?;
        of.set_item("lost_items", store.lost_items)?;
        stores.push(of);
    }
    figures.set_item("datastores", stores)?;
    Ok(figures)
}
