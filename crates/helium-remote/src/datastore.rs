//! A datastore of a volume on a server: each call is one of its own there.

use std::{fmt, sync::Arc};

use heliumdb::{Item, Position, Result};

use crate::{
    Items, Walk, When,
    connection::{Connection, Effect},
    pool::Pool,
};

/// A datastore, by its name: whichever has it when it is asked. Who asks one that is not there is told so; where it was
/// there before, only who writes, or goes through it in order, is: single keys are not found.
#[derive(Clone)]
pub struct Datastore {
    pool: Arc<Pool>,
    name: Arc<[u8]>,
}

impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datastore({})", self.name.escape_ascii())
    }
}

impl Datastore {
    pub(crate) fn new(pool: Arc<Pool>, name: &[u8]) -> Self {
        let name = name.into();
        Self { pool, name }
    }

    fn with<R>(
        &self,
        effect: Effect,
        mut work: impl FnMut(&mut Connection) -> Result<R>,
    ) -> Result<R> {
        self.pool.with(effect, |connection| {
            connection.go(&self.name)?;
            work(connection)
        })
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(Effect::None, |connection| connection.get(key))
    }

    /// How long the value of `key` is, and up to `len` bytes of it from `offset` on.
    pub fn part(&self, key: &[u8], offset: usize, len: usize) -> Result<Option<(u64, Vec<u8>)>> {
        self.with(Effect::None, |connection| connection.part(key, offset, len))
    }

    /// Whether there is an item under `key`.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.with(Effect::None, |connection| connection.contains(key))
    }

    /// How many items there are.
    pub fn count(&self) -> Result<u64> {
        self.with(Effect::None, |connection| {
            connection.number(&[b"DBSIZE"], Effect::None)
        })
    }

    /// The item nearest to a position.
    pub fn nearest(&self, position: Position<'_>) -> Result<Option<Item>> {
        self.with(Effect::None, |connection| connection.nearest(position))
    }

    /// Items in order. Each page of them is of a moment of its own: one of all is a [`crate::Transaction`]'s.
    pub fn range(&self, walk: Walk) -> Items<'_> {
        let ask = |walk: &Walk| self.with(Effect::None, |connection| connection.page(walk));
        Items::new(Box::new(ask), walk)
    }

    /// Sets `key`.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_when(key, value, When::Always)
    }

    /// Sets `key`, if it is as it must be.
    pub fn put_when(&self, key: &[u8], value: &[u8], when: When) -> Result<()> {
        self.with(Effect::Writes, |connection| {
            connection.put(key, value, when)
        })
    }

    /// Sets all of them, in one step.
    pub fn put_all(&self, items: &[(&[u8], &[u8])]) -> Result<()> {
        self.with(Effect::Writes, |connection| connection.put_all(items))
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.delete_all(&[key])? > 0)
    }

    /// Removes all of them, in one step; how many there were.
    pub fn delete_all(&self, keys: &[&[u8]]) -> Result<u64> {
        self.with(Effect::Writes, |connection| connection.delete_all(keys))
    }

    /// Removes `key` and returns its value.
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(Effect::Writes, |connection| connection.take(key))
    }

    /// Removes all items.
    pub fn truncate(&self) -> Result<()> {
        self.with(Effect::Writes, |connection| {
            connection.ask_for(&[b"FLUSHDB"], Effect::Writes)
        })
    }
}
