//! Transactions that the volume keeps itself.

mod count;
mod figures;
mod isolation;
mod model;
mod outside;
mod overruled;
mod room;
mod spill;
mod threads;

use heliumdb::{Datastore, Readable};

/// All that is seen, as text.
fn all(through: &impl Readable, store: &Datastore) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let items = through.iter(store).map(|item| item.unwrap());
    items.map(|(key, value)| (text(key), text(value))).collect()
}

/// The value of `key`, as text.
fn get(through: &impl Readable, store: &Datastore, key: &str) -> Option<String> {
    let value = through.get(store, key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}
