//! The connections of a volume that are not in use now.
//!
//! Invariant: one that comes back is whole, and in the process that opened it.

use heliumdb::{Result, process::Owner};
use parking_lot::Mutex;

use crate::{
    address::Address,
    connection::{Connection, Effect},
    failure::{Network, network},
    options::Options,
};

/// Connections that are kept: threads beyond them connect anew.
const KEPT: usize = 16;

pub(crate) struct Pool {
    pub(crate) address: Address,
    pub(crate) options: Options,
    owner: Owner,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(address: Address, options: Options) -> Result<Self> {
        Ok(Self {
            address,
            options,
            owner: Owner::here()?,
            idle: Mutex::default(),
        })
    }

    pub(crate) fn check_process(&self) -> Result<()> {
        self.owner.check()
    }

    /// One that is kept and was not closed meanwhile, or a new one; whether it was used before.
    pub(crate) fn take(&self) -> Result<(Connection, bool)> {
        // Before the lock: in a fork it may be held by a thread that is not there.
        self.check_process()?;
        loop {
            let kept = self.idle.lock().pop();
            match kept {
                Some(mut kept) => {
                    if !kept.is_over() {
                        return Ok((kept, true));
                    }
                }
                None => return Ok((Connection::open(&self.address, &self.options)?, false)),
            }
        }
    }

    pub(crate) fn give_back(&self, connection: Connection) {
        if connection.is_broken() || self.owner.is_elsewhere() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }

    /// Lets `work` use a connection, which is kept for others then.
    pub(crate) fn with<R>(
        &self,
        effect: Effect,
        work: impl FnMut(&mut Connection) -> Result<R>,
    ) -> Result<R> {
        let (connection, done) = self.lend(effect, work)?;
        self.give_back(connection);
        done
    }

    /// The same with the connection that was used: another one than at first, if one that was kept was cut off and `work`
    /// does nothing there, or if the server did nothing there, since it wants to hear again who this is.
    pub(crate) fn lend<R>(
        &self,
        effect: Effect,
        mut work: impl FnMut(&mut Connection) -> Result<R>,
    ) -> Result<(Connection, Result<R>)> {
        let (mut connection, was_kept) = self.take()?;
        let mut done = work(&mut connection);
        let may_again = |why| match network(why) {
            Some(Network::CutOff) => effect == Effect::None,
            Some(Network::Authentication) => true,
            _ => false,
        };
        if was_kept && done.as_ref().is_err_and(may_again) {
            drop(connection);
            connection = Connection::open(&self.address, &self.options)?;
            done = work(&mut connection);
        }
        Ok((connection, done))
    }
}
