//! What is not taken over: said so that something can be done about it, with nothing changed.

use super::*;

const A: Option<&[u8]> = Some(b"a");

/// Two volumes with updates, the outcomes on the first.
fn two() -> Volumes {
    let volumes = Volumes::new(2);
    for volume in 0..2 {
        volumes.object(volume, "x");
        volumes.cached(volume, "x", "k", &[(1, A)]);
    }
    volumes.outcome(0, 1, b"C");
    volumes
}

#[test]
fn a_record_that_makes_no_sense() {
    let good = record(&[(1, A), (2, None)]);
    let cut = &good[..good.len() - 1];
    let mut strange = good.clone();
    strange[12] = b'?';
    for (bytes, why) in [
        (&b""[..], "0 bytes"),
        (b"\0\0\0\0", "no updates"),
        (cut, "cut off"),
        (&strange, "kind 0x3f"),
        (&[&good[..], b"x"].concat(), "left behind"),
        (b"\xff\xff\xff\x7f\0\0\0\0\0\0\0\0R", "2147483647 updates"),
    ] {
        // On the last volume, behind others that are as they must be.
        let mut volumes = two();
        volumes.put(1, "WiredTiger.x.cache", "z\n", bytes);
        let words = [
            why,
            "dev2",
            "store WiredTiger.x.cache",
            "key z\\n ",
            "Nothing was changed",
            "helium rm --hex",
            "WiredTiger.x.cache 7a0a",
        ];
        volumes.refuse(Code::Io, &words);
        // What the sentence says helps.
        volumes
            .store(1, "WiredTiger.x.cache")
            .delete(b"z\n")
            .expect("there");
        volumes.migrate().expect("taken over");
        assert_eq!(volumes.only(1, "x"), "k=a");
    }
}

#[test]
fn an_outcome_that_makes_no_sense() {
    for (key, value, why) in [
        (&b"1234567"[..], &b"C"[..], "7 bytes"),
        (b"12345678", b"", "0 bytes"),
        (b"12345678", b"B", "neither C nor A"),
    ] {
        let mut volumes = two();
        volumes.store(0, TXN).put(key, value).expect("put");
        volumes.refuse(Code::Io, &[why, "dev1", TXN, "Nothing was changed"]);
    }
}

#[test]
fn updates_whose_outcomes_are_elsewhere() {
    let mut volumes = Volumes::new(2);
    volumes.object(1, "x");
    volumes.cached(1, "x", "k", &[(1, A)]);
    volumes.refuse(Code::Invalid, &["dev2", "none of the volumes", TXN]);
}

#[test]
fn updates_whose_outcomes_may_be_in_two_places() {
    let mut volumes = Volumes::new(3);
    volumes.object(1, "x");
    volumes.cached(1, "x", "k", &[(1, A)]);
    volumes.outcome(0, 1, b"C");
    volumes.outcome(2, 1, b"A");
    volumes.refuse(Code::Invalid, &["dev2", "more than one of the volumes"]);
}

#[test]
fn a_volume_that_is_only_read() {
    let mut volumes = two();
    volumes.read_only = Some(1);
    volumes.refuse(Code::ReadOnly, &["dev2", "1 keys", "for writing"]);
    // With nothing to take over it is as good as any.
    let mut volumes = Volumes::new(1);
    volumes.object(0, "x");
    volumes.settled(0, "x", "k", "v");
    volumes.outcome(0, 1, b"C");
    volumes.read_only = Some(0);
    volumes.migrate().expect("nothing to do");
}

#[test]
fn an_object_that_is_another_ones_cache() {
    let mut volumes = two();
    // The items of an object called x.cache.
    volumes.object(0, "x.cache");
    volumes.refuse(Code::Invalid, &["dev1", "object x.cache", "rename"]);
}

#[test]
fn updates_of_which_nobody_can_say_whose_they_are() {
    let mut volumes = two();
    for name in ["p", "q"] {
        volumes.object(0, name);
        volumes.cached(0, name, "k", &[(1, A)]);
        let store = volumes.store(0, &format!("WiredTiger.{name}")).id();
        let new_name = format!("WiredTiger.new {name}");
        let renamed = volumes.volumes[0].rename_datastore(store, new_name.as_bytes());
        renamed.expect("renamed");
    }
    let words = [
        "WiredTiger.new p, WiredTiger.new q",
        "WiredTiger.p.cache, WiredTiger.q.cache",
    ];
    volumes.refuse(Code::Invalid, &words);
}
