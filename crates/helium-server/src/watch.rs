//! Who watches which keys: whoever writes one of them says so, and the EXEC of the watcher is not done.
//!
//! Invariant: a write is noted after it shows and before the writer leaves the volume's gate. So who watches a key
//! and then reads it either sees the write or is told of it, before an EXEC, which has the gate alone, asks.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;

/// Whether something that one connection watches was written.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Whether it was.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The keys that are watched in a volume. A datastore is known by its name, since it need not be there yet.
#[derive(Debug, Default)]
pub struct Watches {
    count: AtomicUsize,
    flags: Mutex<HashMap<(Bytes, Bytes), Vec<Flag>>>,
}

impl Watches {
    /// From now on a write of `key` raises `flag`.
    pub fn add(&self, datastore: &Bytes, key: &Bytes, flag: &Flag) {
        let mut flags = self.flags.lock();
        // Copied, so that what else came with it need not be kept.
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let of_key = flags.entry((copy(datastore), copy(key))).or_default();
        if !of_key.iter().any(|known| known.is(flag)) {
            of_key.push(flag.clone());
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The flag does not watch the key any more.
    pub fn remove(&self, datastore: &Bytes, key: &Bytes, flag: &Flag) {
        let mut flags = self.flags.lock();
        let place = (datastore.clone(), key.clone());
        if let Some(of_key) = flags.get_mut(&place) {
            let before = of_key.len();
            of_key.retain(|known| !known.is(flag));
            self.count
                .fetch_sub(before - of_key.len(), Ordering::SeqCst);
            if of_key.is_empty() {
                flags.remove(&place);
            }
        }
    }

    /// The key was written.
    pub fn touch(&self, datastore: &Bytes, key: &[u8]) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let place = (datastore.clone(), Bytes::copy_from_slice(key));
        for flag in self.flags.lock().get(&place).into_iter().flatten() {
            flag.raise();
        }
    }

    /// Any key of the datastore may have been written.
    pub fn touch_all(&self, datastore: &[u8]) {
        for ((name, _), flags) in self.flags.lock().iter() {
            if name == datastore {
                flags.iter().for_each(Flag::raise);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Flag, Watches};

    #[test]
    fn a_write_raises_the_flags_of_its_key_alone() {
        let (store, a, b) = (Bytes::from("0"), Bytes::from("a"), Bytes::from("b"));
        let watches = Watches::default();
        let [one, two, other] = [(); 3].map(|()| Flag::default());
        watches.add(&store, &a, &one);
        watches.add(&store, &a, &two);
        watches.add(&store, &a, &two);
        watches.add(&store, &b, &other);
        watches.remove(&store, &a, &two);
        watches.touch(&store, b"a");
        assert!(one.is_raised() && !two.is_raised() && !other.is_raised());
        watches.touch_all(b"1");
        assert!(!other.is_raised());
        watches.touch_all(b"0");
        assert!(other.is_raised());
        watches.remove(&store, &a, &one);
        watches.remove(&store, &b, &other);
        assert!(watches.flags.lock().is_empty());
        assert_eq!(watches.count.into_inner(), 0);
    }
}
