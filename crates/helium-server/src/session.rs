//! What a connection has: where it is, what it has begun, and what it still owes the disk.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use heliumdb::{Datastore, Durability, Transaction};

use crate::{
    clients::Client,
    commands::Kind,
    moment::Moment,
    refusal::{Outcome, said},
    resp::Request,
    users::User,
    volumes::{Place, Served},
    watch::Flag,
};

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    /// What others can see of it.
    pub client: Arc<Client>,
    /// Who it is, where that matters.
    pub user: Option<Arc<User>>,
    /// The changes of the users that it has taken notice of.
    pub user_changes: u64,
    /// The datastore that its commands are about.
    pub place: Place,
    /// Commands that wait for EXEC.
    pub queued: Option<Queued>,
    /// The keys that it watches.
    pub watched: Vec<Watched>,
    /// Raised when one of them is written.
    pub flag: Flag,
    /// The transaction in which its commands are done.
    pub running: Option<Running>,
    /// When that is rolled back, if it is still open.
    pub deadline: Option<Instant>,
    /// A transaction of its own was rolled back, and it has not been told.
    pub expired: bool,
    /// The volumes to which it wrote what may not be durable yet.
    pub unsynced: Vec<Arc<Served>>,
    /// A write was done, or a durable state asked for, by the command under way.
    pub wrote: bool,
    /// They are to be durable before it is told, whatever the server does by itself.
    pub must_sync: bool,
    /// It is to be closed after what it is told.
    pub is_leaving: bool,
    /// The thread that does its commands now may wait, for a device or for others.
    pub may_wait: bool,
    /// The command that it gave last.
    pub command: &'static str,
    /// The value that was read last.
    pub value: Vec<u8>,
}

/// Commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Queued {
    /// In order.
    pub requests: Vec<Request>,
    /// What they count for.
    pub bytes: usize,
    /// One was refused: EXEC does none of them.
    pub is_refused: bool,
}

/// A key that is watched.
#[derive(Debug)]
pub struct Watched {
    served: Arc<Served>,
    datastore: Bytes,
    key: Bytes,
}

/// A transaction of the store, and what its end will tell watchers.
#[derive(Debug)]
pub struct Running {
    /// The transaction.
    pub txn: Transaction,
    /// Its volume.
    pub served: Arc<Served>,
    /// Since when.
    pub since: Instant,
    /// Which datastores there were then. Without it it was begun by EXEC, or by a command of
    /// several writes, and ends with that: nobody changes which there are meanwhile.
    pub moment: Option<Moment>,
    /// What it wrote: keys of one that is brief, else whole datastores.
    written: Vec<(Bytes, Option<Bytes>)>,
}

/// The moment of the transaction that is running, if others come between.
pub fn moment(running: &Option<Running>) -> Option<&Moment> {
    running.as_ref()?.moment.as_ref()
}

impl Running {
    /// A transaction on `served`, whose gate the caller has alone until it ends.
    pub fn brief(served: Arc<Served>) -> Outcome<Self> {
        Ok(Self {
            txn: served.volume.begin()?,
            served,
            since: Instant::now(),
            moment: None,
            written: Vec::new(),
        })
    }

    /// A transaction on `served` that others come between.
    pub fn begin(served: Arc<Served>) -> Outcome<Self> {
        let gate = served.enter();
        let moment = Some(served.moment()?);
        let brief = Self::brief(served.clone())?;
        drop(gate);
        Ok(Self { moment, ..brief })
    }

    /// It has written `key`, or any key.
    pub fn note(&mut self, datastore: &Bytes, key: Option<&Bytes>) {
        let key = key.filter(|_| self.moment.is_none()).cloned();
        if key.is_some() || !self.written.iter().any(|known| known.0 == datastore) {
            self.written.push((datastore.clone(), key));
        }
    }

    /// Commits it, and tells watchers. The caller is inside the gate; whether it wrote anything.
    pub fn commit(self) -> Outcome<bool> {
        self.txn.commit_with(Durability::Buffered)?;
        for (datastore, key) in &self.written {
            match key {
                Some(key) => self.served.watches.touch(datastore, key),
                None => self.served.watches.touch_all(datastore),
            }
        }
        Ok(!self.written.is_empty())
    }
}

impl Session {
    /// A connection that begins at `place`.
    pub fn new(client: Arc<Client>, place: Place) -> Self {
        Self {
            client,
            user: None,
            user_changes: 0,
            place,
            queued: None,
            watched: Vec::new(),
            flag: Flag::default(),
            running: None,
            deadline: None,
            expired: false,
            unsynced: Vec::new(),
            wrote: false,
            must_sync: false,
            is_leaving: false,
            may_wait: false,
            command: "NULL",
            value: Vec::new(),
        }
    }

    /// Whether the user may do what `kind` says in a datastore of the volume it is in.
    pub fn may(&self, kind: Kind, datastore: &[u8]) -> bool {
        let user = self.user.as_ref();
        user.is_none_or(|user| user.may(kind, &self.place.served.name, datastore))
    }

    /// The datastore that it is in, if it is there.
    pub fn datastore(&mut self) -> Outcome<Option<&Datastore>> {
        self.place.datastore(moment(&self.running))
    }

    /// Something was written to the volume it is in.
    pub fn note_write(&mut self) {
        self.wrote = true;
        let served = &self.place.served;
        if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, served)) {
            self.unsynced.push(served.clone());
        }
    }

    /// Watches `key`.
    pub fn watch(&mut self, key: &Bytes) -> Outcome {
        if self.watched.len() >= crate::limits::WATCHED_MAX {
            return Err(said("ERR too many watched keys: UNWATCH some first"));
        }
        let (served, datastore) = (self.place.served.clone(), self.place.name.clone());
        served.watches.add(&datastore, key, &self.flag);
        let key = Bytes::copy_from_slice(key);
        self.watched.push(Watched {
            served,
            datastore,
            key,
        });
        Ok(())
    }

    /// Watches nothing any more.
    pub fn unwatch(&mut self) {
        for Watched {
            served,
            datastore,
            key,
        } in self.watched.drain(..)
        {
            served.watches.remove(&datastore, &key, &self.flag);
        }
        self.flag = Flag::default();
    }

    /// Forgets what was begun.
    pub fn drop_work(&mut self) {
        self.queued = None;
        self.running = None;
        self.expired = false;
        self.unwatch();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.drop_work();
    }
}
