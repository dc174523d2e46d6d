//! What Redis has no word for, and SCAN.

use std::collections::BTreeSet;

use crate::harness::{Client, Fixture, encode};

#[test]
fn neighbours_and_ranges_both_ways() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    assert_eq!(client.ask("HE.FIRST"), "*-1");
    assert_eq!(client.ask("HE.RANGE - +"), "*0");
    client.ask("MSET a 1 b 2 c 3 d 4");
    for (line, reply) in [
        ("HE.FIRST", "*2 $1 a $1 1"),
        ("HE.LAST", "*2 $1 d $1 4"),
        ("HE.NEXT a", "*2 $1 b $1 2"),
        ("HE.NEXT aa", "*2 $1 b $1 2"),
        ("HE.NEXT d", "*-1"),
        ("HE.PREV b", "*2 $1 a $1 1"),
        ("HE.PREV a", "*-1"),
        ("HE.RANGE [b [c", "*4 $1 b $1 2 $1 c $1 3"),
        ("HE.RANGE (b + KEYS", "*2 $1 c $1 d"),
        ("HE.RANGE - (c KEYS", "*2 $1 a $1 b"),
        ("HE.RANGE + - REV LIMIT 2 KEYS", "*2 $1 d $1 c"),
        ("HE.RANGE (c - REV LIMIT 5 KEYS", "*2 $1 b $1 a"),
        ("HE.RANGE - + LIMIT 0", "*0"),
        // Items up to the one that has the last of the bytes, and always one.
        ("HE.RANGE - + BYTES 0 KEYS", "*1 $1 a"),
        ("HE.RANGE - + BYTES 70 KEYS", "*2 $1 a $1 b"),
        ("HE.RANGE + - REV BYTES 70 LIMIT 1 KEYS", "*1 $1 d"),
        (
            "HE.RANGE - + BYTES -1",
            "-ERR value is not an integer or out of range",
        ),
        ("HE.PART b 0 5", "*2 :1 $1 2"),
        ("HE.PART b 1 5", "*2 :1 $0"),
        ("HE.PART b 9 5", "*2 :1 $0"),
        ("HE.PART x 0 5", "*-1"),
        (
            "HE.PART b -1 5",
            "-ERR value is not an integer or out of range",
        ),
        ("HE.RANGE + -", "*0"),
        ("HE.RANGE [c [b", "*0"),
        (
            "HE.RANGE a b",
            "-ERR min or max not valid string range item",
        ),
        ("HE.RANGE - + LIMIT", "-ERR syntax error"),
        (
            "HE.RANGE - + LIMIT x",
            "-ERR value is not an integer or out of range",
        ),
        (
            "HE.INSERT a 5",
            "-EXISTS an item of that key is there already",
        ),
        ("HE.REPLACE x 5", "-NOITEM no item of that key is there"),
        ("HE.REPLACE a 5", "+OK"),
        ("HE.TAKE a", "$1 5"),
        ("HE.TAKE a", "$-1"),
        (
            "SET a 1 EX 5",
            "-ERR items of Helium do not expire: SET takes no EX",
        ),
        (
            "EXPIRE a 5",
            "-ERR unknown command 'EXPIRE', with args beginning with: 'a' '5'",
        ),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    client.ask("HELLO 3");
    assert_eq!(client.ask("HE.RANGE - (c"), "*1 *2 $1 b $1 2");
    assert_eq!(client.ask("HE.NEXT x"), "_");
}

#[test]
fn datastores_and_volumes() {
    let fixture = Fixture::new();
    let (mut client, mut other) = (fixture.connect(), fixture.connect());
    for (line, reply) in [
        ("HE.VOLUMES", "*2 $3 one $3 two"),
        ("HE.DATASTORES", "*0"),
        ("GET a", "$-1"),
        ("HE.DATASTORES", "*0"),
        ("SET a 1", "+OK"),
        ("HE.CREATE fruit COMPRESS", "+OK"),
        ("HE.DATASTORES", "*2 $1 0 $5 fruit"),
        ("HE.USE fruit", "+OK"),
        ("SET apple red", "+OK"),
        ("HE.RENAME fruit obst", "+OK"),
        ("GET apple", "$-1"),
        ("HE.USE obst", "+OK"),
        ("GET apple", "$3 red"),
        ("HE.CREATE obst X", "-ERR syntax error"),
        ("HE.DROP obst", "+OK"),
        ("GET apple", "$-1"),
        (
            "HE.USE 0 VOLUME nowhere",
            "-NOVOLUME no volume of that name is served: HE.VOLUMES lists them",
        ),
        ("HE.CHECKPOINT", "+OK"),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    assert!(client.ask("HE.USE gone").starts_with("-NODATASTORE"));
    assert!(client.ask("HE.DROP gone").starts_with("-NODATASTORE"));
    client.ask("HE.CREATE x");
    assert!(client.ask("HE.CREATE x").starts_with("-EXISTS"));
    // Databases of the other volume are others.
    fixture.volumes[1].create_datastore(b"0").unwrap();
    assert_eq!(other.ask("HE.USE 0 VOLUME two"), "+OK");
    assert_eq!(other.ask("GET a"), "$-1");
    assert_eq!(other.ask("SELECT 0"), "+OK");
    assert_eq!(other.ask("SET a 2"), "+OK");
    assert_eq!(fixture.connect().ask("GET a"), "$1 1");
    assert!(client.ask("HE.STATS").contains("written_bytes"));
    // What has no order says so.
    client.ask("HE.CREATE heap UNORDERED");
    client.ask("HE.USE heap");
    assert_eq!(client.ask("SET a 1"), "+OK");
    assert_eq!(client.ask("GET a"), "$1 1");
    assert!(client.ask("SCAN 0").starts_with("-UNSUPPORTED "));
}

#[test]
fn a_volume_is_gone_to_by_its_name_and_datastores_are_told_of() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    let id = |number: usize| fixture.volumes[number].id().to_string();
    let told = |name: &str, id: String| format!("*2 $3 {name} ${} {id}", id.len());
    assert_eq!(client.ask("HE.VOLUME"), told("one", id(0)));
    assert_eq!(client.ask("HE.VOLUME two"), told("two", id(1)));
    assert!(client.ask("HE.VOLUME three").starts_with("-NOVOLUME"));
    assert_eq!(client.ask("HE.VOLUME"), told("two", id(1)));
    client.ask("HE.BEGIN");
    assert!(
        client
            .ask("HE.VOLUME one")
            .starts_with("-ERR a transaction is of one volume")
    );
    client.ask("HE.ROLLBACK");
    assert_eq!(client.ask("HE.DATASTORES DETAILS"), "*0");
    client.ask("HE.CREATE a COMPRESS ATTRIBUTES about");
    client.ask("HE.CREATE b UNORDERED");
    assert_eq!(client.ask("HE.USE b"), "+OK");
    client.ask("SET k v");
    let ids: Vec<_> = fixture.volumes[1]
        .datastores()
        .iter()
        .map(|info| info.id.0)
        .collect();
    assert_eq!(
        client.ask("HE.DATASTORES DETAILS"),
        format!(
            "*2 *6 $1 a :{} :0 :1 :0 $5 about *6 $1 b :{} :1 :0 :1 $0",
            ids[0], ids[1]
        )
    );
    assert_eq!(client.ask("HE.DATASTORES X"), "-ERR syntax error");
    assert_eq!(client.ask("HE.CREATE c ATTRIBUTES"), "-ERR syntax error");
}

/// Who went to a datastore by its name is told that it is gone, and does not bring it back.
#[test]
fn a_datastore_that_was_removed_is_not_made_by_who_was_in_it() {
    let fixture = Fixture::new();
    let (mut client, mut other) = (fixture.connect(), fixture.connect());
    client.ask("HE.CREATE d");
    client.ask("HE.USE d");
    assert_eq!(client.ask("SET k v"), "+OK");
    assert_eq!(other.ask("HE.DROP d"), "+OK");
    for line in [
        "SET k v",
        "MSET k v l w",
        "HE.INSERT k v",
        "HE.REPLACE k v",
        "INCR k",
        "SETNX k v",
        // An end that comes too early would not show.
        "HE.RANGE - +",
        "HE.FIRST",
        "HE.NEXT a",
        "KEYS *",
    ] {
        let said = client.ask(line);
        assert!(said.starts_with("-NODATASTORE"), "{line}: {said}");
    }
    for (line, reply) in [("GET k", "$-1"), ("DEL k", ":0"), ("HE.TAKE k", "$-1")] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    assert_eq!(other.ask("HE.DATASTORES"), "*0");
    // Those of numbers are made, as in Redis.
    client.ask("SELECT 3");
    assert_eq!(client.ask("SET k v"), "+OK");
}

#[test]
fn a_backup_is_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let fixture = Fixture::with(|options| options.backups = Some(path));
    let mut client = fixture.connect();
    client.ask("MSET a 1 b 2");
    assert_eq!(client.ask("HE.BACKUP monday"), "+OK 2 items are in monday");
    assert!(client.ask("HE.BACKUP monday").starts_with("-EXISTS"));
    for name in ["../x", "/x", ".x"] {
        assert!(
            client
                .ask(&format!("HE.BACKUP {name}"))
                .starts_with("-ERR the name")
        );
    }
    let copy = crate::harness::volume(folder.path(), "monday");
    assert_eq!(
        copy.datastore(b"0").unwrap().get(b"b").unwrap().unwrap(),
        b"2"
    );
    assert!(
        Fixture::new()
            .connect()
            .ask("HE.BACKUP x")
            .starts_with("-ERR this server makes no backups")
    );
}

/// All steps of a scan; what it returned.
fn scan(client: &mut Client, options: &str, mut between: impl FnMut(&mut Client)) -> Vec<String> {
    let mut cursor = "0".to_owned();
    let mut found = Vec::new();
    loop {
        let reply = client.ask(&format!("SCAN {cursor} {options}"));
        let words: Vec<_> = reply.split(' ').collect();
        assert_eq!(words[0], "*2", "{reply}");
        cursor = words[2].to_owned();
        found.extend(
            words[4..]
                .iter()
                .skip(1)
                .step_by(2)
                .map(|&key| key.to_owned()),
        );
        if cursor == "0" {
            return found;
        }
        between(client);
    }
}

#[test]
fn a_scan_returns_every_key_that_is_there_throughout_once() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    let mut request = Vec::new();
    for number in 0..500 {
        request.extend(encode(&["SET", &format!("k{number:03}"), "1"]));
    }
    client.send(&request);
    (0..500).for_each(|_| assert_eq!(client.reply(), "+OK"));
    let mut round = 0;
    let found = scan(&mut client, "COUNT 7", |client| {
        // Even ones go, and others come.
        client.ask(&format!("DEL k{:03}", 2 * (round * 7 % 250)));
        client.ask(&format!("SET new{round} 1"));
        round += 1;
    });
    let set: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(set.len(), found.len(), "twice");
    for number in (1..500).step_by(2) {
        assert!(set.contains(&format!("k{number:03}")));
    }
    assert_eq!(
        scan(&mut client, "MATCH k00[13]* COUNT 3", |_| {}),
        ["k001", "k003"]
    );
    assert_eq!(
        scan(&mut client, "TYPE list COUNT 100", |_| {}),
        [] as [&str; 0]
    );
    assert!(
        client
            .ask("SCAN 12345678")
            .starts_with("-ERR invalid cursor")
    );
}
