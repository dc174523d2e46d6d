//! What is asked about items of a datastore, over whichever connection.

use heliumdb::{
    Error, ErrorKind, Item, Position, Result,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
};

use crate::{
    connection::{Connection, Effect},
    range::Walk,
    reply::Reply,
};

/// What must hold of an item for it to be written.
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

/// Fails for what the server would refuse with the connection.
fn check(key: &[u8], value: &[u8]) -> Result<()> {
    let long = |kind, what: &str, most| {
        let why = format!("a {what} has {most} bytes at most");
        Err(Error::new(kind, why))
    };
    if key.len() > KEY_BYTES_MAX {
        return long(ErrorKind::KeyTooLong, "key", KEY_BYTES_MAX);
    }
    if value.len() > VALUE_BYTES_MAX {
        return long(ErrorKind::ValueTooLong, "value", VALUE_BYTES_MAX);
    }
    Ok(())
}

impl Connection {
    fn value(&mut self, words: &[&[u8]], effect: Effect) -> Result<Option<Vec<u8>>> {
        match self.ask(words, effect)? {
            Reply::Bulk(value) => Ok(Some(value)),
            Reply::Null => Ok(None),
            _ => Err(self.misunderstood()),
        }
    }

    pub(crate) fn number(&mut self, words: &[&[u8]], effect: Effect) -> Result<u64> {
        match self.ask(words, effect)? {
            Reply::Integer(number) => u64::try_from(number).map_err(|_| self.misunderstood()),
            _ => Err(self.misunderstood()),
        }
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        check(key, b"")?;
        self.value(&[b"GET", key], Effect::None)
    }

    pub(crate) fn part(
        &mut self,
        key: &[u8],
        offset: usize,
        len: usize,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        check(key, b"")?;
        let ends = [offset, len].map(|end| end.min(VALUE_BYTES_MAX).to_string());
        let words = [b"HE.PART", key, ends[0].as_bytes(), ends[1].as_bytes()];
        let parts = match self.ask(&words, Effect::None)? {
            Reply::Null => return Ok(None),
            Reply::Array(parts) => <[Reply; 2]>::try_from(parts).ok(),
            _ => None,
        };
        match parts {
            Some([Reply::Integer(whole @ 0..), Reply::Bulk(part)]) if part.len() <= len => {
                Ok(Some((whole as u64, part)))
            }
            _ => Err(self.misunderstood()),
        }
    }

    pub(crate) fn contains(&mut self, key: &[u8]) -> Result<bool> {
        check(key, b"")?;
        Ok(self.number(&[b"EXISTS", key], Effect::None)? > 0)
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], when: When) -> Result<()> {
        check(key, value)?;
        let command: &[u8] = match when {
            When::Always => b"SET",
            When::Absent => b"HE.INSERT",
            When::Present => b"HE.REPLACE",
        };
        let put = self.ask_for(&[command, key, value], Effect::Writes);
        put.map_err(|why| match why.kind() {
            ErrorKind::ItemExists => Error::item_exists(),
            _ => why,
        })
    }

    /// Sets all of them in one step.
    pub(crate) fn put_all(&mut self, items: &[(&[u8], &[u8])]) -> Result<()> {
        let mut words = vec![&b"MSET"[..]];
        for (key, value) in items {
            check(key, value)?;
            words.extend([key, value]);
        }
        match items.is_empty() {
            true => Ok(()),
            false => self.ask_for(&words, Effect::Writes),
        }
    }

    /// Removes them in one step; how many there were.
    pub(crate) fn delete_all(&mut self, keys: &[&[u8]]) -> Result<u64> {
        let mut words = vec![&b"DEL"[..]];
        for key in keys {
            check(key, b"")?;
            words.push(key);
        }
        match keys.is_empty() {
            true => Ok(0),
            false => self.number(&words, Effect::Writes),
        }
    }

    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        check(key, b"")?;
        self.value(&[b"HE.TAKE", key], Effect::Writes)
    }

    pub(crate) fn nearest(&mut self, position: Position<'_>) -> Result<Option<Item>> {
        let walk = Walk::from(position);
        let found = self.page(&walk)?;
        Ok(found.into_iter().next())
    }

    /// The first items of a walk, not all of them if they are many; none at its end.
    pub(crate) fn page(&mut self, walk: &Walk) -> Result<Vec<Item>> {
        let words = walk.words();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let Reply::Array(parts) = self.ask(&words, Effect::None)? else {
            return Err(self.misunderstood());
        };
        let mut parts = parts.into_iter().map(|part| match part {
            Reply::Bulk(bytes) => Some(bytes),
            _ => None,
        });
        let mut items = Vec::new();
        while let Some(key) = parts.next() {
            let value = match walk.keys {
                true => Some(Vec::new()),
                false => parts.next().flatten(),
            };
            match (key, value) {
                (Some(key), Some(value)) if walk.has(&key) => items.push((key, value)),
                _ => return Err(self.misunderstood()),
            }
        }
        Ok(items)
    }
}
