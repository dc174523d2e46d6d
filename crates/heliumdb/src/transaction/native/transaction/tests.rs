//! A commit in the middle of being shown: its versions say that they are committed before its id has ended, and one of
//! them may say so while somebody looks at it.

use std::{cell::RefCell, rc::Rc};

use super::*;
use crate::{DatastoreOptions, ErrorKind, Volume, VolumeOptions, version::look};

fn in_memory(unordered: bool) -> (Volume, Datastore) {
    let mut options = VolumeOptions::new();
    options.exclusive = true;
    options.background_thread = false;
    let volume = Volume::open("he://./_67108864", &options).unwrap();
    let mut how = DatastoreOptions::new().create(true);
    how.unordered = unordered;
    let store = volume.open_datastore("store", &how).unwrap();
    (volume, store)
}

fn begin(volume: &Volume, isolation: Isolation) -> Transaction {
    let options = TransactionOptions::new().isolation(isolation);
    volume.begin_with(options).unwrap()
}

impl Transaction {
    /// Everything of a commit, but that others see it.
    fn stamp(&mut self) {
        self.writes.commit(Durability::Buffered).unwrap();
    }
}

/// What is done to an item; true if it says that it was.
type Work = fn(&mut Transaction, &Datastore) -> Result<bool>;

/// Each with whether the item is there before.
const WORKS: [(&str, bool, Work); 5] = [
    ("take", true, |txn, store| {
        Ok(txn.remove(store, b"k")?.is_some())
    }),
    ("insert", false, |txn, store| {
        txn.try_insert(store, b"k", b"v").map(|()| true)
    }),
    ("delete", true, |txn, store| txn.delete(store, b"k")),
    ("replace", true, |txn, store| {
        txn.replace(store, b"k", b"w").map(|()| true)
    }),
    ("merge", true, |txn, store| {
        let more = |old: Option<&[u8]>| Some([old.unwrap_or(b"none"), b"+"].concat());
        txn.update_fetch(store, b"k", more).map(|_| true)
    }),
];

/// Of two that do the same to one item, the second does not see yet what the first has done.
#[test]
fn nobody_decides_by_what_a_commit_that_he_does_not_see_has_changed() {
    for isolation in [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::Snapshot,
    ] {
        for (what, is_there, work) in WORKS {
            let (volume, store) = in_memory(false);
            if is_there {
                store.put(b"k", b"before").unwrap();
            }
            let mut first = begin(&volume, isolation);
            assert!(work(&mut first, &store).unwrap());
            first.stamp();
            let mut second = begin(&volume, isolation);
            let worked = work(&mut second, &store).map_err(|why| why.kind());
            let is_refused = match isolation {
                // Which sees what is there, whoever has ended.
                Isolation::ReadUncommitted => {
                    matches!(
                        worked,
                        Ok(false) | Err(ErrorKind::Conflict | ErrorKind::ItemExists)
                    ) || what == "replace"
                }
                _ => worked == Err(ErrorKind::Conflict),
            };
            assert!(is_refused, "{what} at {isolation:?}: {worked:?}");
            drop(second);
            drop(first);
            let mut third = begin(&volume, isolation);
            let worked = work(&mut third, &store).map_err(|why| why.kind());
            let repeats = ["replace", "merge"].contains(&what);
            assert_eq!(worked.unwrap_or(false), repeats, "{what} at {isolation:?}");
        }
    }
}

/// An item is there before a commit, and after it: so it is for whoever looks just then.
#[test]
fn an_item_is_seen_while_it_is_committed() {
    type Look = fn(&Volume, &Datastore) -> Result<Option<Vec<u8>>>;
    let looks: [(&str, Look); 6] = [
        ("get", |_, store| store.get(b"k")),
        ("items", |_, store| {
            Ok(store.items().next().transpose()?.map(|item| item.1))
        }),
        ("lengths", |_, store| {
            let found = store.lengths().next().transpose()?;
            // As long as that is.
            Ok(found.map(|(_, len)| b"after"[..len as usize].to_vec()))
        }),
        ("range", |_, store| {
            Ok(store.iter().next().transpose()?.map(|item| item.1))
        }),
        ("merge", |_, store| {
            let mut seen = None;
            store.update_fetch(b"k", |old| {
                seen = old.map(<[u8]>::to_vec);
                Some(b"merged".to_vec())
            })?;
            Ok(seen)
        }),
        ("uncommitted", |volume, store| {
            begin(volume, Isolation::ReadUncommitted).get(store, b"k")
        }),
    ];
    for (unordered, (what, look_at)) in [false, true]
        .into_iter()
        .flat_map(|unordered| looks.map(|look| (unordered, look)))
    {
        if unordered && what == "range" {
            continue;
        }
        let (volume, store) = in_memory(unordered);
        store.put(b"k", b"before").unwrap();
        let mut txn = begin(&volume, Isolation::Snapshot);
        txn.put(&store, b"k", b"after").unwrap();
        let txn = Rc::new(RefCell::new(txn));
        let committed = Rc::clone(&txn);
        look::before_next(move || committed.borrow_mut().stamp());
        let seen = look_at(&volume, &store);
        assert!(look::has_happened(), "{what} has looked at no version");
        let seen = seen.unwrap_or_else(|why| panic!("{what}: {why}"));
        let seen = seen.unwrap_or_else(|| panic!("{what}: it is there"));
        // In a snapshot of the moment when it looked: before.
        assert!(
            seen == b"after" || (what == "range" && seen == b"before"),
            "{what}"
        );
        assert_eq!(store.len(), 1);
    }
}
