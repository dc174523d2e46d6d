//! Clients that do not behave: what they send, and what they do not read.

use std::{io::Read, thread};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::{Client, Fixture, encode};

#[test]
fn any_bytes_do_no_harm() {
    let fixture = Fixture::new();
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut client = fixture.connect();
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(1..40) {
            match rng.random_range(0..4) {
                0 => bytes.extend((0..rng.random_range(0..50)).map(|_| rng.random::<u8>())),
                1 => bytes.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\n"),
                2 => bytes.extend(encode(&["GETRANGE", "a", "-5", "99999999999"])),
                _ => bytes.extend_from_slice(b"\r\n"),
            }
        }
        // The server may close before all of it is sent.
        let _ = std::io::Write::write_all(&mut client.stream, &bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        let mut replies = Vec::new();
        let _ = client.stream.read_to_end(&mut replies);
    }
    assert_eq!(fixture.connect().ask("PING"), "+PONG");
}

#[test]
fn limits_of_keys_and_values() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    let key = vec![b'k'; 131_073];
    let value = vec![b'v'; 16_777_215];
    assert!(
        client
            .ask_words(&[b"SET".as_slice(), &key, b"1"])
            .starts_with("-ERR a key of 131073 bytes")
    );
    assert_eq!(
        client.ask_words(&[b"SET".as_slice(), &key[1..], &value]),
        "+OK"
    );
    assert_eq!(
        client.ask_words(&[b"STRLEN".as_slice(), &key[1..]]),
        ":16777215"
    );
    let reply = client.ask_words(&[b"APPEND".as_slice(), &key[1..], b"1"]);
    assert!(reply.starts_with("-ERR string exceeds maximum allowed size"));
    let reply = client.ask_words(&[b"SETRANGE".as_slice(), b"a", b"16777215", b"1"]);
    assert!(reply.starts_with("-ERR string exceeds maximum allowed size"));
    // A command inside a transaction that is refused for that does not lose it.
    client.ask("MULTI");
    client.ask_words(&[b"SET".as_slice(), &key, b"1"]);
    client.ask("SET small 1");
    assert!(client.ask("EXEC").contains("+OK"));
    let keys = vec![&key[1..]; 5];
    let reply = client.ask_words(&[vec![b"MGET".as_slice()], keys].concat());
    assert!(reply.starts_with("-ERR the reply would be longer than 64 MiB"));
}

/// It has asked for far more than it reads; what waits for it is bounded, and others are served.
#[test]
fn who_does_not_read_hurts_nobody() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    let value = vec![b'v'; 1 << 20];
    assert_eq!(client.ask_words(&[b"SET".as_slice(), b"a", &value]), "+OK");
    let before = memory();
    let gets = encode(&["GET", "a"]).repeat(2000);
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut slow = fixture.connect();
            let gets = gets.clone();
            // It may be held up itself.
            thread::spawn(move || {
                let _ = std::io::Write::write_all(&mut slow.stream, &gets);
                slow
            })
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(client.ask("STRLEN a"), ":1048576");
    }
    let more = memory().saturating_sub(before);
    assert!(more < 200 << 20, "{more} bytes more");
    for slow in slow {
        drop(slow.join().unwrap());
    }
}

/// Bytes that the process has in memory.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn there_are_no_more_connections_than_may_be() {
    let fixture = Fixture::with(|options| options.max_clients = 2);
    let mut clients: Vec<Client> = (0..2).map(|_| fixture.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG");
    }
    let refused = fixture.connect().until_end();
    assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    assert_eq!(clients[0].ask("QUIT"), "+OK");
    assert!(clients[0].until_end().is_empty());
    // Its place is free once it is gone.
    let mut last = Vec::new();
    while !last.starts_with(b"+PONG") {
        let mut client = fixture.connect();
        client.send(b"PING\r\nQUIT\r\n");
        last = client.until_end();
    }
}

#[test]
fn a_server_that_stops_ends_what_was_begun() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.send(&encode(&["SET", "a", "1"]).repeat(100));
    assert_eq!(client.reply(), "+OK");
    fixture.server.take().unwrap().stop();
    let rest = client.until_end();
    assert_eq!(rest, b"+OK\r\n".repeat(99));
}

#[test]
fn it_listens_for_other_machines_only_where_that_is_meant() {
    let fixture = Fixture::new();
    let named = || helium_server::Named {
        name: "one".to_owned(),
        volume: fixture.volumes[0].clone(),
    };
    let mut options = helium_server::Options::default();
    options.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let why = helium_server::Server::start(vec![named()], options.clone()).unwrap_err();
    assert!(why.to_string().contains("--insecure-listen"), "{why}");
    options.insecure_listen = true;
    helium_server::Server::start(vec![named()], options)
        .unwrap()
        .stop();
}
