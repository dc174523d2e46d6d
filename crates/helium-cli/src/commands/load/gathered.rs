//! Items that are put in together: in the log each write alone takes more beside itself than a small item has.
//!
//! Invariant: they go in in their order, and where they cannot go in together, as far as they go one by one; so which
//! line is at fault, and how many items are there, is as if each had been put alone.

use helium_remote::When;
use heliumdb::ErrorKind;

use crate::{
    failure::{Failure, Result},
    writing::{Place, Store},
};

/// So many of them at most, and bytes.
const ITEMS: usize = 256;
const BYTES: usize = 256 << 10;

struct Item {
    datastore: Store,
    key: Vec<u8>,
    value: Vec<u8>,
    line: u64,
}

/// See the module.
#[derive(Default)]
pub struct Gathered {
    items: Vec<Item>,
    bytes: usize,
}

impl Gathered {
    /// One more.
    pub fn push(&mut self, datastore: Store, key: Vec<u8>, value: Vec<u8>, line: u64) {
        self.bytes += key.len() + value.len();
        self.items.push(Item {
            datastore,
            key,
            value,
            line,
        });
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.items.len() as u64
    }

    /// Whether they are enough.
    pub fn is_full(&self) -> bool {
        self.items.len() >= ITEMS || self.bytes >= BYTES
    }

    /// Puts them all, and counts those that went in.
    pub fn put(&mut self, to: &Place<'_>, count: &mut u64) -> Result<()> {
        let items = std::mem::take(&mut self.items);
        self.bytes = 0;
        let mut done = 0;
        if let [_, .., last] = &items[..] {
            let parts = items.iter();
            let parts = parts.map(|item| (&item.datastore, &*item.key, &*item.value));
            let all: Vec<_> = parts.collect();
            let put = to.put_all(&all, &mut done);
            *count += done as u64;
            match put {
                Ok(()) => return Ok(()),
                // No more was done, but perhaps some of it can be.
                Err(why) if why.kind() != ErrorKind::OutcomeUnknown => {}
                Err(why) => {
                    let from = items.get(done).unwrap_or(last).line;
                    let lines = format!("lines {from} to {}", last.line);
                    return Err(Failure::from(why).context(lines));
                }
            }
        }
        for item in items.into_iter().skip(done) {
            let put = item.datastore.put(&item.key, &item.value, When::Always);
            put.map_err(|why| Failure::from(why).context(format_args!("line {}", item.line)))?;
            *count += 1;
        }
        Ok(())
    }
}
