//! What the store says of its own recovery, through WiredTiger's message handler.

use std::time::Duration;
use wiredtiger_testkit::{Connection, Event};

/// What opening a database came to.
pub struct Recovery {
    /// How long it took.
    pub time: Duration,
    /// For each volume, its name and what its recovery found.
    pub volumes: Vec<String>,
}

impl Recovery {
    /// Of a connection that was just opened.
    pub fn of(connection: &Connection, time: Duration) -> Self {
        let events = connection.events();
        Self {
            time,
            volumes: events.iter().filter_map(found).collect(),
        }
    }
}

/// `volume dev1 on he://…: recovery read 7 items` in short: `dev1: read 7 items`.
fn found(event: &Event) -> Option<String> {
    let (_, text) = event.text.split_once("volume ")?;
    let (place, found) = text.rsplit_once(": recovery ")?;
    let (name, _) = place.split_once(" on ")?;
    Some(format!("{name}: {found}"))
}
