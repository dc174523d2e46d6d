//! Options by keyword: the names are those of the crate's structures.

use heliumdb::{Durability, Isolation, VolumeOptions};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyDict,
};

/// The options of a volume that `given` has, above the defaults. Each volume is opened once in a process.
pub fn volume(given: Option<&Bound<'_, PyDict>>) -> PyResult<VolumeOptions> {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        set(&mut options, &name, &value).map_err(|why| named(&value, &name, why))?;
    }
    Ok(options)
}

fn set(options: &mut VolumeOptions, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    macro_rules! by_name {
        ($($option:ident),*) => {
            match name {
                $(stringify!($option) => options.$option = value.extract()?,)*
                // `None` is never.
                "auto_commit_period_ms" => {
                    options.auto_commit_period_ms = value.extract::<Option<u64>>()?.unwrap_or(u64::MAX);
                }
                _ => return Err(PyTypeError::new_err(format!("there is no option {name:?} of a volume"))),
            }
        };
    }
    by_name!(
        create,
        truncate,
        remake_copy,
        read_only,
        limit_bytes,
        least_bytes,
        write_cache_bytes,
        read_cache_bytes,
        version_budget_bytes,
        scrub_bytes_per_second,
        clean_util_pct,
        clean_dirty_pct,
        auto_clean_period_ms,
        retry_count,
        retry_delay_us,
        no_trim,
        checkpoint_log_bytes,
        scan
    );
    Ok(())
}

/// The same failure, with the option that it is about.
fn named(value: &Bound<'_, PyAny>, name: &str, why: PyErr) -> PyErr {
    let py = value.py();
    if why.to_string().contains(name) {
        return why;
    }
    PyErr::from_type(why.get_type(py), format!("{name}: {}", why.value(py)))
}

pub fn durability(name: &str) -> PyResult<Durability> {
    match name {
        "synced" => Ok(Durability::Synced),
        "buffered" => Ok(Durability::Buffered),
        _ => Err(PyValueError::new_err(format!(
            "durability is 'synced' or 'buffered', not {name:?}"
        ))),
    }
}

pub fn isolation(name: &str) -> PyResult<Isolation> {
    match name {
        "snapshot" => Ok(Isolation::Snapshot),
        "read-committed" => Ok(Isolation::ReadCommitted),
        _ => Err(PyValueError::new_err(format!(
            "isolation is 'snapshot' or 'read-committed', not {name:?}"
        ))),
    }
}
