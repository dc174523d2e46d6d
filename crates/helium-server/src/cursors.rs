//! Where scans are. A cursor of Redis is a number, and a place between keys is a key: the server keeps which is which.
//!
//! Invariant: of each scan that goes on its last two cursors are kept, so that a step may be asked for again; all of
//! them take no more memory than their limit, and those that nobody has used for longest go first.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::limits::CURSOR_BYTES_MAX;

/// The cursors of all clients.
#[derive(Debug, Default)]
pub struct Cursors(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    bytes: usize,
    places: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    /// The last key that was looked at.
    key: Vec<u8>,
    /// The cursor before it.
    before: u64,
}

impl Place {
    /// Memory, with what the map takes.
    fn bytes(&self) -> usize {
        self.key.len() + 128
    }
}

impl State {
    fn remove(&mut self, cursor: u64) {
        if let Some(place) = self.places.remove(&cursor) {
            self.bytes -= place.bytes();
        }
    }
}

impl Cursors {
    /// The key behind which `cursor` goes on, if it is kept.
    pub fn key(&self, cursor: u64) -> Option<Vec<u8>> {
        let state = self.0.lock();
        state.places.get(&cursor).map(|place| place.key.clone())
    }

    /// The cursor that follows `before` (zero: none), of a scan that has looked at everything up to `key`.
    pub fn advance(&self, before: u64, key: Vec<u8>) -> u64 {
        let mut state = self.0.lock();
        if let Some(stale) = state.places.get(&before).map(|place| place.before) {
            state.remove(stale);
        }
        state.last += 1;
        let cursor = state.last;
        let place = Place { key, before };
        state.bytes += place.bytes();
        state.places.insert(cursor, place);
        while state.bytes > CURSOR_BYTES_MAX {
            let Some(oldest) = state.places.keys().next().copied() else {
                break;
            };
            state.remove(oldest);
        }
        cursor
    }

    /// The scan at `cursor` has come to its end.
    pub fn end(&self, cursor: u64) {
        let mut state = self.0.lock();
        if let Some(stale) = state.places.get(&cursor).map(|place| place.before) {
            state.remove(stale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cursors;
    use crate::limits::CURSOR_BYTES_MAX;

    #[test]
    fn a_scan_keeps_its_last_two_cursors() {
        let cursors = Cursors::default();
        let other = cursors.advance(0, b"other".to_vec());
        let mut at = vec![0];
        for step in 0..1000_u64 {
            at.push(cursors.advance(*at.last().unwrap(), step.to_be_bytes().to_vec()));
        }
        let kept: Vec<bool> = at.iter().map(|&at| cursors.key(at).is_some()).collect();
        assert!(kept.ends_with(&[false, true, true]));
        assert_eq!(kept.iter().filter(|&&kept| kept).count(), 2);
        assert_eq!(cursors.key(other).unwrap(), b"other");
        assert_eq!(cursors.0.lock().places.len(), 3);
        cursors.end(*at.last().unwrap());
        assert_eq!(cursors.0.lock().places.len(), 2);
    }

    #[test]
    fn scans_that_nobody_goes_on_with_do_not_pile_up() {
        let cursors = Cursors::default();
        let key = vec![b'k'; 100_000];
        for _ in 0..1000 {
            cursors.advance(0, key.clone());
        }
        let state = cursors.0.lock();
        assert!(state.bytes <= CURSOR_BYTES_MAX && state.places.contains_key(&1000));
        assert_eq!(state.bytes, state.places.len() * (key.len() + 128));
    }
}
