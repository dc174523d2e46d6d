//! Items and datastores, as on a volume that is open here.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
    thread,
};

use helium_remote::{Walk, When};
use heliumdb::{DatastoreOptions, ErrorKind, Position};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::{Fixture, open};

#[test]
fn items_are_written_and_read() {
    let fixture = Fixture::new();
    let d = fixture.remote().datastore(b"d");
    d.put(b"a", b"1").unwrap();
    assert_eq!(d.get(b"a").unwrap().unwrap(), b"1");
    assert_eq!(d.get(b"b").unwrap(), None);
    let kind = |done: heliumdb::Result<()>| done.unwrap_err().kind();
    assert_eq!(
        kind(d.put_when(b"a", b"2", When::Absent)),
        ErrorKind::ItemExists
    );
    assert_eq!(
        kind(d.put_when(b"b", b"2", When::Present)),
        ErrorKind::ItemNotFound
    );
    d.put_when(b"a", b"", When::Present).unwrap();
    d.put_when(b"b", b"12345", When::Absent).unwrap();
    assert_eq!(d.get(b"a").unwrap().unwrap(), b"");
    assert_eq!(d.part(b"b", 1, 3).unwrap().unwrap(), (5, b"234".to_vec()));
    assert_eq!(
        d.part(b"b", 9, usize::MAX).unwrap().unwrap(),
        (5, Vec::new())
    );
    assert_eq!(d.part(b"c", 0, 1).unwrap(), None);
    assert!(d.contains(b"a").unwrap() && !d.contains(b"c").unwrap());
    assert_eq!(d.count().unwrap(), 2);
    assert_eq!(d.take(b"b").unwrap().unwrap(), b"12345");
    assert_eq!(d.take(b"b").unwrap(), None);
    assert!(d.delete(b"a").unwrap() && !d.delete(b"a").unwrap());
    d.put_all(&[(b"x", b"1"), (b"y", b"2"), (b"\0\xff\r\n", b"\r\n\0")])
        .unwrap();
    assert_eq!(d.get(b"\0\xff\r\n").unwrap().unwrap(), b"\r\n\0");
    assert_eq!(d.delete_all(&[b"x", b"z", b"y"]).unwrap(), 2);
    d.truncate().unwrap();
    assert_eq!(d.count().unwrap(), 0);
    assert_eq!(kind(d.put(&vec![0; 131_073], b"")), ErrorKind::KeyTooLong);
    assert_eq!(
        kind(d.put(b"k", &vec![0; 16_777_216])),
        ErrorKind::ValueTooLong
    );
    // The longest go through, and what follows them is in its place.
    let (key, value) = (vec![1; 131_072], vec![2; 16_777_215]);
    d.put(&key, &value).unwrap();
    assert!(d.get(&key).unwrap().unwrap() == value);
    assert_eq!(d.get(b"a").unwrap(), None);
}

/// Pages are of half a megabyte: these are many, and some items are larger than a page.
#[test]
fn ranges_and_neighbours_are_those_of_a_map() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    let d = remote.datastore(b"d");
    let mut rng = SmallRng::seed_from_u64(18);
    let mut map = BTreeMap::new();
    for number in 0..6_000_u32 {
        let key = rng.random_range(0..9_000_u32).to_be_bytes().to_vec();
        let len = if number % 700 == 0 { 1 << 20 } else { 200 };
        map.insert(key, vec![number as u8; len]);
    }
    let here = fixture.volume.datastore(b"d").unwrap();
    for (key, value) in &map {
        here.put(key, value).unwrap();
    }
    let transaction = remote.begin().unwrap();
    for round in 0..60 {
        let mut end = || {
            let key = rng.random_range(0..9_000_u32).to_be_bytes().to_vec();
            [
                Bound::Unbounded,
                Bound::Included(key.clone()),
                Bound::Excluded(key),
            ][rng.random_range(0..3)]
            .clone()
        };
        let (low, high) = (end(), end());
        let walk = Walk {
            low: low.clone(),
            high: high.clone(),
            backward: round % 2 == 0,
            keys: round % 3 == 0,
            most: [u64::MAX, 5, 4_500][round % 4 % 3],
        };
        let ends = (low.as_ref(), high.as_ref());
        let walked = map
            .iter()
            .filter(|(key, _)| RangeBounds::<Vec<u8>>::contains(&ends, *key));
        let mut expected: Vec<_> = walked
            .map(|(key, value)| {
                let value = if walk.keys { Vec::new() } else { value.clone() };
                (key.clone(), value)
            })
            .collect();
        if walk.backward {
            expected.reverse();
        }
        expected.truncate(walk.most as usize);
        let found: heliumdb::Result<Vec<_>> = match round % 2 {
            0 => d.range(walk.clone()).collect(),
            _ => transaction.range(b"d", walk.clone()).collect(),
        };
        assert!(found.unwrap() == expected, "{walk:?}");
    }
    for _ in 0..200 {
        let key = rng.random_range(0..9_000_u32).to_be_bytes().to_vec();
        let key = key.as_slice();
        for position in [
            Position::After(key),
            Position::Before(key),
            Position::AtOrAfter(key),
            Position::AtOrBefore(key),
            Position::First,
            Position::Last,
        ] {
            assert!(d.nearest(position).unwrap() == here.nearest(position).unwrap());
        }
    }
}

#[test]
fn datastores_are_made_renamed_and_removed() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    assert_eq!(remote.id(), fixture.volume.id().to_string());
    assert_eq!(remote.url(), format!("he://{}/fruit", fixture.address()));
    let kind = |done: heliumdb::Result<()>| done.unwrap_err().kind();
    let mut options = DatastoreOptions::default();
    (options.compress, options.unordered) = (true, true);
    options.attributes = b"\0about".to_vec();
    remote.create_datastore(b"e", &options).unwrap();
    assert_eq!(
        kind(remote.create_datastore(b"e", &options)),
        ErrorKind::DatastoreExists
    );
    assert_eq!(
        kind(remote.rename_datastore(b"e", b"d")),
        ErrorKind::DatastoreExists
    );
    remote.datastore(b"e").put(b"k", b"v").unwrap();
    let why = remote
        .datastore(b"e")
        .range(Walk::all())
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Unsupported);
    let all = remote.datastores().unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.info.name.as_slice(), one.items))
        .collect();
    assert_eq!(told, [(&b"d"[..], 0), (b"e", 1)]);
    assert!(all[1].info.compress && all[1].info.unordered && !all[0].info.unordered);
    assert_eq!(all[1].info.attributes, b"\0about");
    remote.rename_datastore(b"e", b"f").unwrap();
    assert_eq!(
        kind(remote.datastore(b"e").put(b"k", b"v")),
        ErrorKind::DatastoreNotFound
    );
    assert_eq!(remote.datastore(b"f").get(b"k").unwrap().unwrap(), b"v");
    remote.drop_datastore(b"f").unwrap();
    assert_eq!(
        kind(remote.datastore(b"f").put(b"k", b"v")),
        ErrorKind::DatastoreNotFound
    );
    assert_eq!(
        kind(remote.drop_datastore(b"f")),
        ErrorKind::DatastoreNotFound
    );
    assert_eq!(remote.datastores().unwrap().len(), 1);
    remote.checkpoint().unwrap();
    remote.sync().unwrap();
    let figures = remote.figures().unwrap();
    assert!(
        figures
            .iter()
            .any(|(name, figure)| name == "capacity_bytes" && *figure > 0)
    );
    assert_eq!(kind(remote.backup("x")), ErrorKind::InvalidArgument);
}

#[test]
fn many_threads_use_one_volume() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    thread::scope(|scope| {
        for thread in 0..24_u32 {
            let remote = remote.clone();
            scope.spawn(move || {
                let d = remote.datastore(b"d");
                for number in 0..50_u32 {
                    let key = [thread.to_be_bytes(), number.to_be_bytes()].concat();
                    d.put(&key, &key).unwrap();
                    assert_eq!(d.get(&key).unwrap().unwrap(), key);
                }
            });
        }
    });
    assert_eq!(
        open(fixture.address())
            .unwrap()
            .datastore(b"d")
            .count()
            .unwrap(),
        24 * 50
    );
}

/// A server's own words would be others.
#[track_caller]
fn is_refused_here(why: heliumdb::Error) {
    assert_eq!(why.kind(), ErrorKind::InvalidArgument, "{why}");
    assert!(why.to_string().contains("go in several"), "{why}");
}

/// A server closes the connection over what is too long for it, and what became of it would not be known.
#[test]
fn what_is_too_much_for_one_request_is_refused_before_it_is_sent() {
    let fixture = Fixture::new();
    let d = fixture.remote().datastore(b"d");
    d.put(b"k", b"v").unwrap();
    let (value, key) = (vec![1; 16_000_000], vec![1; 131_072]);
    let few = [(&b"k"[..], &b"v"[..])];
    let wide: Vec<_> = vec![(&b"k"[..], &*value); 5];
    let many = few.repeat(600_000);
    let keys = vec![&*key; 600];
    for items in [&wide, &many] {
        let why = d.put_all(items).unwrap_err();
        is_refused_here(why);
    }
    is_refused_here(d.delete_all(&keys).unwrap_err());
    assert_eq!(d.get(b"k").unwrap().unwrap(), b"v");
    // What just fits is taken.
    d.put_all(&wide[..4]).unwrap();
    assert_eq!(d.delete_all(&keys[..500]).unwrap(), 0);
}
