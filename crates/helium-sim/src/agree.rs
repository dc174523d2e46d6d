//! Comparing the store with its model.

use heliumdb::{Error, ErrorKind};

use crate::{history::State, model::Outcome};

/// What is different between two states, in a line.
pub fn difference(wanted: &State, found: &State) -> String {
    let missing = wanted.iter().filter(|(k, v)| found.get(*k) != Some(v));
    let extra = found.iter().filter(|(k, v)| wanted.get(*k) != Some(v));
    let name = |key: &(usize, Vec<u8>)| format!("{}:{}", key.0, key.1.escape_ascii());
    format!(
        "missing or different: {:?}; there instead: {:?}",
        missing.map(|(k, _)| name(k)).take(8).collect::<Vec<_>>(),
        extra.map(|(k, _)| name(k)).take(8).collect::<Vec<_>>()
    )
}

/// The store's answer is the model's; an error that no model predicts is handed back.
pub(crate) fn agree<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: Result<T, Error>,
    wanted: Outcome<T>,
) -> Result<(), Error> {
    if let Err(why) = &found
        && matches!(
            why.kind(),
            ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::OutcomeUnknown
        )
    {
        return Err(why.clone());
    }
    let message = found.as_ref().err().map(ToString::to_string);
    assert_eq!(
        found.map_err(|why| why.kind()),
        wanted,
        "{what}: the store (left) and the model (right) differ {}",
        message.unwrap_or_default()
    );
    Ok(())
}
