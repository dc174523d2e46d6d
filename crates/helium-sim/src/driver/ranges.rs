//! Ranges that are deleted outside transactions: to the history each item of them is an event of its own, in order.

use std::ops::Bound;

use heliumdb::{Error, ErrorKind, Position, host::Mode};
use rand::Rng;

use super::{Driver, STORES, is_unordered};
use crate::agree::agree;

impl Driver {
    /// A few neighbours go, each by itself.
    pub(super) fn delete_range(&mut self) -> Result<(), Error> {
        let (place, low) = (self.place(), self.key());
        if is_unordered(place) {
            let refused = self.stores[place].delete_range(low..);
            return agree("a range of none", refused, Err(ErrorKind::Unsupported));
        }
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for _ in 0..self.rng.random_range(0..5) {
            let position = match keys.last() {
                Some(last) => Position::After(last),
                None => Position::AtOrAfter(&low),
            };
            let Ok(Some((key, _))) = self.sought(place, None, position) else {
                break;
            };
            keys.push(key);
        }
        let high = keys.last().unwrap_or(&low).clone();
        let wanted = keys.len() as u64;
        for key in &keys {
            let deleted = self.model.write_direct(place, key, None, Mode::Present);
            let event = deleted.map_err(|kind| Error::new(kind, "the model has no such item"))?;
            self.begin_event(place / STORES, event);
        }
        let bounds = if keys.is_empty() {
            (Bound::Included(low.clone()), Bound::Excluded(low))
        } else {
            (Bound::Included(low), Bound::Included(high))
        };
        let deleted = self.stores[place].delete_range(bounds);
        agree("a range that is deleted", deleted, Ok(wanted))
    }
}
