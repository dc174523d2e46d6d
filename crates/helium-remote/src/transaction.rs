//! A transaction over a volume on a server: it sees one moment and its own writes, and has a connection for itself.

use std::sync::Arc;

use heliumdb::{Error, ErrorKind, Item, Position, Result};
use parking_lot::Mutex;

use crate::{
    Details, Items, Walk, When,
    connection::{Connection, Effect},
    failure::unknown,
    pool::Pool,
    remote,
};

/// A transaction. One that is dropped is rolled back; so is one that is open for longer than the server allows, and what
/// it is asked then is refused.
pub struct Transaction {
    pool: Arc<Pool>,
    /// `None` once it is over.
    connection: Mutex<Option<Connection>>,
}

impl Transaction {
    pub(crate) fn begin(pool: Arc<Pool>) -> Result<Self> {
        let begin = |connection: &mut Connection| connection.ask_for(&[b"HE.BEGIN"], Effect::None);
        let (mut connection, begun) = pool.lend(Effect::None, begin)?;
        begun?;
        connection.is_in_transaction = true;
        Ok(Self {
            pool,
            connection: Mutex::new(Some(connection)),
        })
    }

    /// A connection that broke takes the transaction with it: nothing was done, whatever was under way.
    fn with<R>(&self, work: impl FnOnce(&mut Connection) -> Result<R>) -> Result<R> {
        self.pool.check_process()?;
        let mut connection = self.connection.lock();
        let connection = connection.as_mut().ok_or_else(over)?;
        work(connection)
    }

    fn within<R>(
        &self,
        datastore: &[u8],
        work: impl FnOnce(&mut Connection) -> Result<R>,
    ) -> Result<R> {
        self.with(|connection| {
            connection.go(datastore)?;
            work(connection)
        })
    }

    /// All datastores, and how many items they have now.
    pub fn datastores(&self) -> Result<Vec<Details>> {
        self.with(remote::details)
    }

    /// The value of `key`.
    pub fn get(&self, datastore: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.within(datastore, |connection| connection.get(key))
    }

    /// The item nearest to a position.
    pub fn nearest(&self, datastore: &[u8], position: Position<'_>) -> Result<Option<Item>> {
        self.within(datastore, |connection| connection.nearest(position))
    }

    /// Items in order.
    pub fn range<'a>(&'a self, datastore: &'a [u8], walk: Walk) -> Items<'a> {
        let ask = |walk: &Walk| self.within(datastore, |connection| connection.page(walk));
        Items::new(Box::new(ask), walk)
    }

    /// Sets `key`, if it is as it must be.
    pub fn put(&self, datastore: &[u8], key: &[u8], value: &[u8], when: When) -> Result<()> {
        self.within(datastore, |connection| connection.put(key, value, when))
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&self, datastore: &[u8], key: &[u8]) -> Result<bool> {
        let deleted = self.within(datastore, |connection| connection.delete_all(&[key]))?;
        Ok(deleted > 0)
    }

    /// Does all of it, durably: the server may run so that it answers writes before they are.
    pub fn commit(self) -> Result<()> {
        self.pool.check_process()?;
        let mut connection = self.connection.lock().take().ok_or_else(over)?;
        connection.is_in_transaction = false;
        let done = connection.ask_for(&[b"HE.COMMIT"], Effect::Writes);
        let done = done.and_then(|()| {
            let durable = connection.ask_for(&[b"HE.SYNC"], Effect::Writes);
            durable.map_err(|why| match why.kind() {
                ErrorKind::OutcomeUnknown => why,
                _ => unknown(why),
            })
        });
        self.pool.give_back(connection);
        done
    }

    /// Does nothing of it.
    pub fn rollback(self) {}
}

fn over() -> Error {
    Error::new(ErrorKind::Closed, "the transaction is over")
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.get_mut().take() else {
            return;
        };
        // In a fork the connection is its parent's.
        if self.pool.check_process().is_err() || connection.is_broken() {
            return;
        }
        connection.is_in_transaction = false;
        // A connection that is closed is rolled back as well.
        if connection.ask_for(&[b"HE.ROLLBACK"], Effect::None).is_ok() {
            self.pool.give_back(connection);
        }
    }
}
