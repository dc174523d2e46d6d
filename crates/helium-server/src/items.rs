//! Items as commands read and write them: the newest ones, or those that the connection's transaction sees.
//!
//! Invariant: a write outside a transaction is done, and its watchers told, inside the volume's gate; one inside a
//! transaction shows when that commits. Lengths are checked before, so that a transaction is not lost for one.

use bytes::Bytes;
use heliumdb::{
    Datastore, Error, ErrorKind, Item, Position, Readable, Result as Stored,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
};

use crate::{
    refusal::{Outcome, Refusal, saying},
    session::{Running, Session, moment},
    volumes::Place,
};

/// What must hold of a key for it to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    #[default]
    Always,
    /// It is not there.
    Absent,
    /// It is there.
    Present,
}

/// Turns that an item is, or is not there, into an answer.
fn is_done(done: Stored<()>) -> Outcome<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(why) if matches!(why.kind(), ErrorKind::ItemExists | ErrorKind::ItemNotFound) => {
            Ok(false)
        }
        Err(why) => Err(why.into()),
    }
}

fn check(key: &[u8], value: &[u8]) -> Outcome {
    if key.len() > KEY_BYTES_MAX {
        return Err(saying(format!(
            "ERR a key of {} bytes: the longest has {KEY_BYTES_MAX}",
            key.len()
        )));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(saying(format!(
            "ERR string exceeds maximum allowed size ({VALUE_BYTES_MAX} bytes)"
        )));
    }
    Ok(())
}

/// The datastore, for who must not wait: whether an item is there shows at once, and its value may be at hand.
fn at_hand<'a>(place: &'a Place, running: &Option<Running>) -> Outcome<&'a Datastore> {
    let is_outside = running.is_none();
    let datastore = is_outside.then(|| place.at_hand()).flatten();
    datastore.ok_or(Refusal::Waits)
}

impl Session {
    /// Reads the value of `key` into the session's; false if there is none.
    pub fn read(&mut self, key: &[u8]) -> Outcome<bool> {
        if !self.may_wait {
            let datastore = at_hand(&self.place, &self.running)?;
            let read = datastore.get_at_hand(key, &mut self.value)?;
            return read.ok_or(Refusal::Waits);
        }
        let Some(datastore) = self.place.datastore(moment(&self.running))? else {
            return Ok(false);
        };
        Ok(match &self.running {
            Some(running) => running.txn.get_into(datastore, key, &mut self.value)?,
            None => datastore.get_into(key, &mut self.value)?,
        })
    }

    /// The value of `key`.
    pub fn get(&mut self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.read(key)?.then(|| std::mem::take(&mut self.value)))
    }

    /// Whether there is an item under `key`.
    pub fn contains(&mut self, key: &[u8]) -> Outcome<bool> {
        if !self.may_wait {
            return Ok(at_hand(&self.place, &self.running)?.contains_key(key)?);
        }
        let Some(datastore) = self.place.datastore(moment(&self.running))? else {
            return Ok(false);
        };
        Ok(match &self.running {
            Some(running) => running.txn.contains_key(datastore, key)?,
            None => datastore.contains_key(key)?,
        })
    }

    /// The values of `keys` at one moment.
    pub fn get_all(&mut self, keys: &[Bytes]) -> Outcome<Vec<Option<Vec<u8>>>> {
        let Some(datastore) = self.place.datastore(moment(&self.running))?.cloned() else {
            return Ok(vec![None; keys.len()]);
        };
        Ok(match &self.running {
            Some(running) => running.txn.multi_get(&datastore, keys)?,
            None if keys.len() == 1 => datastore.multi_get(keys)?,
            None => {
                let snapshot = self.place.served.volume.snapshot()?;
                snapshot.multi_get(&datastore, keys)?
            }
        })
    }

    /// How many of `keys` are there at one moment; one that is named twice counts twice.
    pub fn count(&mut self, keys: &[Bytes]) -> Outcome<usize> {
        if let [key] = keys {
            return Ok(usize::from(self.contains(key)?));
        }
        if !self.may_wait {
            return Err(Refusal::Waits);
        }
        let Some(datastore) = self.place.datastore(moment(&self.running))?.cloned() else {
            return Ok(0);
        };
        let mut count = 0;
        let snapshot = match &self.running {
            Some(_) => None,
            None => Some(self.place.served.volume.snapshot()?),
        };
        for key in keys {
            let is_there = match (&self.running, &snapshot) {
                (Some(running), _) => running.txn.contains_key(&datastore, key)?,
                (None, Some(snapshot)) => snapshot.contains_key(&datastore, key)?,
                (None, None) => false,
            };
            count += usize::from(is_there);
        }
        Ok(count)
    }

    /// How many items there are.
    pub fn len(&mut self) -> Outcome<u64> {
        let Some(datastore) = self.place.datastore(moment(&self.running))? else {
            return Ok(0);
        };
        let Some(running) = &self.running else {
            return Ok(datastore.len());
        };
        let keys = running.txn.iter(datastore).keys();
        let mut count = 0;
        for key in keys {
            key?;
            count += 1;
        }
        Ok(count)
    }

    /// The item nearest to `position`.
    pub fn nearest(&mut self, position: Position<'_>) -> Outcome<Option<Item>> {
        let Some(datastore) = self.place.walked(moment(&self.running))? else {
            return Ok(None);
        };
        Ok(match &self.running {
            Some(running) => running.txn.nearest(datastore, position)?,
            None => datastore.nearest(position)?,
        })
    }

    /// Writes `value`, if the key is as it must be; whether it was.
    pub fn put(&mut self, key: &Bytes, value: &[u8], when: When) -> Outcome<bool> {
        check(key, value)?;
        self.write(
            key,
            |datastore| match when {
                When::Always => datastore.put(key, value),
                When::Absent => datastore.try_insert(key, value),
                When::Present => datastore.replace(key, value),
            },
            |running, datastore| match when {
                When::Always => running.txn.put(datastore, key, value),
                When::Absent => running.txn.try_insert(datastore, key, value),
                When::Present => running.txn.replace(datastore, key, value),
            },
        )
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&mut self, key: &Bytes) -> Outcome<bool> {
        if self.place.datastore(moment(&self.running))?.is_none() {
            return Ok(false);
        }
        check(key, b"")?;
        self.write(
            key,
            |datastore| datastore.delete(key).and_then(Error::item_not_found_unless),
            |running, datastore| {
                let deleted = running.txn.delete(datastore, key);
                deleted.and_then(Error::item_not_found_unless)
            },
        )
    }

    /// Removes `key` and returns what it was.
    pub fn take(&mut self, key: &Bytes) -> Outcome<Option<Vec<u8>>> {
        if !self.contains(key)? {
            return Ok(None);
        }
        let mut taken = None;
        self.change(key, |old| {
            taken = old.map(<[u8]>::to_vec);
            Ok(None)
        })?;
        Ok(taken)
    }

    /// Sets `key` to what `change` makes of its value, in one. It may be called again.
    pub fn change(
        &mut self,
        key: &Bytes,
        mut change: impl FnMut(Option<&[u8]>) -> Outcome<Option<Vec<u8>>>,
    ) -> Outcome {
        let mut checked = |old: Option<&[u8]>| -> Outcome<Option<Vec<u8>>> {
            let new = change(old)?;
            check(key, new.as_deref().unwrap_or_default())?;
            Ok(new)
        };
        if self.running.is_some() {
            let old = self.get(key)?;
            match checked(old.as_deref())? {
                Some(new) => self.put(key, &new, When::Always)?,
                None => old.is_some() && self.delete(key)?,
            };
            return Ok(());
        }
        let (served, name, datastore) = self.place.made(moment(&self.running))?;
        let gate = served.enter();
        datastore.try_update_fetch(key, checked)?;
        served.watches.touch(name, key);
        drop(gate);
        self.note_write();
        Ok(())
    }

    fn write(
        &mut self,
        key: &Bytes,
        outside: impl FnOnce(&Datastore) -> Stored<()>,
        inside: impl FnOnce(&mut Running, &Datastore) -> Stored<()>,
    ) -> Outcome<bool> {
        let (served, name, datastore) = self.place.made(moment(&self.running))?;
        if let Some(running) = &mut self.running {
            let is_done = is_done(inside(running, datastore))?;
            if is_done {
                running.note(name, Some(key));
            }
            return Ok(is_done);
        }
        let gate = served.enter();
        let is_done = is_done(outside(datastore))?;
        if is_done {
            served.watches.touch(name, key);
        }
        drop(gate);
        if is_done {
            self.note_write();
        }
        Ok(is_done)
    }

    /// Does several reads and writes of the volume it is in as one, with nobody between them.
    pub fn atomically<R>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<R>) -> Outcome<R> {
        if self.running.is_some() {
            return work(self);
        }
        self.place.make(None)?;
        let served = self.place.served.clone();
        let gate = served.enter_alone();
        self.running = Some(Running::brief(served.clone())?);
        let worked = work(self);
        let Some(running) = self.running.take() else {
            return worked;
        };
        let result = worked?;
        let wrote = running.commit()?;
        drop(gate);
        if wrote {
            self.note_write();
        }
        Ok(result)
    }
}
