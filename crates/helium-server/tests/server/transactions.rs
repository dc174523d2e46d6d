//! MULTI, WATCH and the transactions of HE.BEGIN beside other connections.

use std::{sync::Barrier, thread, time::Duration};

use crate::harness::Fixture;

#[test]
fn a_key_that_others_write_after_it_was_watched_stops_exec() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.connect(), fixture.connect());
    for (write, stops) in [
        ("SET a 1", true),
        ("SET a 1", true),
        ("MSET a 1 b 2", true),
        ("RENAME b a", true),
        ("DEL a", true),
        ("DEL a", false),
        ("INCR a", true),
        ("APPEND a 1", true),
        ("SETNX a 5", false),
        ("GETDEL a", true),
        ("HE.INSERT a 1", true),
        ("HE.TAKE a", true),
        ("SET c 1", false),
        ("FLUSHDB", true),
        ("GET a", false),
    ] {
        assert_eq!(one.ask("WATCH a"), "+OK");
        other.ask(write);
        one.ask("MULTI");
        one.ask("SET done 1");
        let expected = if stops { "*-1" } else { "*1 +OK" };
        assert_eq!(one.ask("EXEC"), expected, "{write}");
    }
}

#[test]
fn so_do_transactions_of_others() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.connect(), fixture.connect());
    for (begin, end) in [("MULTI", "EXEC"), ("HE.BEGIN", "HE.COMMIT")] {
        one.ask("WATCH a");
        other.ask(begin);
        other.ask("SET a 1");
        one.ask("MULTI");
        one.ask("GET a");
        other.ask(end);
        assert_eq!(one.ask("EXEC"), "*-1", "{end}");
    }
}

#[test]
fn counters_under_watch_lose_nothing() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 50;
    let fixture = Fixture::new();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = fixture.connect();
                for _ in 0..ROUNDS {
                    loop {
                        client.ask("WATCH n");
                        let old = client.ask("GET n");
                        let old: usize =
                            old.split(' ').nth(1).map_or(0, |old| old.parse().unwrap());
                        client.ask("MULTI");
                        client.ask(&format!("SET n {}", old + 1));
                        if client.ask("EXEC") != "*-1" {
                            break;
                        }
                    }
                }
            });
        }
    });
    let total = (CLIENTS * ROUNDS).to_string();
    assert_eq!(
        fixture.connect().ask("GET n"),
        format!("${} {total}", total.len())
    );
}

/// Each EXEC moves between two keys, while others look at both at once.
#[test]
fn nobody_sees_half_of_an_exec() {
    let fixture = Fixture::new();
    fixture.connect().ask("MSET a 0 b 0");
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = fixture.connect();
                start.wait();
                for _ in 0..100 {
                    client.ask("MULTI");
                    client.ask("INCR a");
                    client.ask("DECR b");
                    assert!(client.ask("EXEC").starts_with("*2 :"));
                }
            });
        }
        for way in ["MGET a b", "MULTI"] {
            let (fixture, start) = (&fixture, &start);
            scope.spawn(move || {
                let mut client = fixture.connect();
                start.wait();
                for _ in 0..200 {
                    let reply = match way {
                        "MULTI" => {
                            client.ask("MULTI");
                            client.ask("GET a");
                            client.ask("GET b");
                            client.ask("EXEC")
                        }
                        mget => client.ask(mget),
                    };
                    let words: Vec<_> = reply.split(' ').collect();
                    let number = |at: usize| words[at].parse::<i64>().unwrap();
                    assert_eq!(number(2) + number(4), 0, "{way}: {reply}");
                }
            });
        }
    });
}

#[test]
fn a_transaction_reads_one_moment_and_its_own_writes() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.connect(), fixture.connect());
    other.ask("MSET a 1 b 2");
    assert_eq!(one.ask("HE.BEGIN"), "+OK");
    other.ask("SET b 3");
    assert_eq!(one.ask("GET b"), "$1 2");
    one.ask("SET c 4");
    assert_eq!(one.ask("HE.RANGE - +"), "*6 $1 a $1 1 $1 b $1 2 $1 c $1 4");
    assert_eq!(one.ask("DBSIZE"), ":3");
    assert_eq!(other.ask("DBSIZE"), ":2");
    assert!(
        one.ask("HE.BEGIN")
            .starts_with("-ERR a transaction is open")
    );
    assert!(
        one.ask("MULTI")
            .starts_with("-ERR MULTI inside a transaction")
    );
    assert_eq!(one.ask("HE.COMMIT"), "+OK");
    assert_eq!(other.ask("GET c"), "$1 4");
    assert!(one.ask("HE.COMMIT").starts_with("-ERR no transaction"));
    one.ask("HE.BEGIN");
    one.ask("SET a gone");
    assert_eq!(one.ask("HE.ROLLBACK"), "+OK");
    assert_eq!(other.ask("GET a"), "$1 1");
}

#[test]
fn the_second_writer_of_an_item_gets_a_conflict() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.connect(), fixture.connect());
    for client in [&mut one, &mut other] {
        client.ask("HE.BEGIN");
    }
    assert_eq!(one.ask("SET a 1"), "+OK");
    assert!(other.ask("SET a 2").starts_with("-CONFLICT"));
    assert!(other.ask("HE.COMMIT").starts_with("-CONFLICT"));
    // EXEC does all or nothing.
    other.ask("MULTI");
    other.ask("SET b 1");
    other.ask("SET a 2");
    assert!(other.ask("EXEC").starts_with("-CONFLICT"));
    assert_eq!(other.ask("EXISTS b"), ":0");
    assert_eq!(one.ask("HE.COMMIT"), "+OK");
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_rolled_back() {
    let fixture = Fixture::with(|options| options.transaction_time = Duration::from_millis(1));
    let mut client = fixture.connect();
    client.ask("HE.BEGIN");
    // It is rolled back while the server waits for the next command, or just after this one.
    while client.ask("SET a 1") == "+OK" {}
    assert!(client.ask("GET a").starts_with("-ABORTED"));
    assert!(client.ask("HE.COMMIT").starts_with("-ABORTED"));
    assert_eq!(client.ask("EXISTS a"), ":0");
}

#[test]
fn what_a_client_has_begun_goes_with_it() {
    let fixture = Fixture::new();
    let mut one = fixture.connect();
    one.ask("HE.BEGIN");
    one.ask("SET a 1");
    drop(one);
    let mut other = fixture.connect();
    other.ask("HE.BEGIN");
    // Its end takes a moment to be noticed.
    while other.ask("SET a 2") != "+OK" {
        other.ask("HE.ROLLBACK");
        other.ask("HE.BEGIN");
    }
    assert_eq!(other.ask("HE.COMMIT"), "+OK");
    assert_eq!(other.ask("GET a"), "$1 2");
}

/// Whoever removes datastores, or gives their names to others, a transaction goes on with those of its moment.
#[test]
fn a_transaction_keeps_the_datastores_of_its_moment() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.connect(), fixture.connect());
    for name in ["a", "b", "c"] {
        other.ask(&format!("HE.CREATE {name}"));
        other.ask(&format!("HE.USE {name}"));
        other.ask(&format!("MSET k {name} l {name}"));
    }
    one.ask("HE.USE a");
    assert_eq!(one.ask("HE.BEGIN"), "+OK");
    assert_eq!(one.ask("HE.RANGE - + LIMIT 1"), "*2 $1 k $1 a");
    for line in [
        "HE.DROP a",
        "HE.DROP b",
        "HE.CREATE b",
        "HE.USE b",
        "SET k new",
        "HE.RENAME c d",
    ] {
        assert_eq!(other.ask(line), "+OK", "{line}");
    }
    assert_eq!(one.ask("HE.RANGE (k + LIMIT 1"), "*2 $1 l $1 a");
    for name in ["a", "b", "c"] {
        assert_eq!(one.ask(&format!("HE.USE {name}")), "+OK");
        for (line, reply) in [
            ("HE.RANGE - +", format!("*4 $1 k $1 {name} $1 l $1 {name}")),
            ("HE.LAST", format!("*2 $1 l $1 {name}")),
            ("GET k", format!("$1 {name}")),
            ("MGET k l", format!("*2 $1 {name} $1 {name}")),
            ("EXISTS k l", ":2".to_owned()),
            ("DBSIZE", ":2".to_owned()),
            ("KEYS *", "*2 $1 k $1 l".to_owned()),
        ] {
            assert_eq!(one.ask(line), reply, "{name}: {line}");
        }
    }
    assert_eq!(one.ask("HE.DATASTORES"), "*3 $1 a $1 b $1 c");
    assert!(one.ask("HE.USE d").starts_with("-NODATASTORE"));
    assert_eq!(one.ask("HE.ROLLBACK"), "+OK");
    // What follows is of now again.
    assert_eq!(one.ask("HE.USE b"), "+OK");
    assert_eq!(one.ask("HE.RANGE - +"), "*2 $1 k $3 new");
    assert!(one.ask("HE.USE a").starts_with("-NODATASTORE"));
    assert_eq!(one.ask("HE.BEGIN"), "+OK");
    assert_eq!(one.ask("HE.DATASTORES"), "*2 $1 b $1 d");
}
