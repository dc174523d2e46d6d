//! A road between client and server that splits, delays and cuts.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::{Client, Fixture, encode};

/// Passes on what one side sends in pieces of a few bytes, and `most` bytes at most.
fn pass(mut from: TcpStream, mut to: TcpStream, seed: u64, mut most: usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut bytes = [0; 64];
    while most > 0 {
        let piece = rng.random_range(1..bytes.len()).min(most);
        match from.read(&mut bytes[..piece]) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                most -= count;
                if rng.random_bool(0.1) {
                    thread::yield_now();
                }
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// The address of a road to `server` for one connection, which is cut after so many bytes of requests.
fn road(server: SocketAddr, seed: u64, most: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(server).unwrap();
        server.set_nodelay(true).unwrap();
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || pass(from, to, seed + 1, usize::MAX));
        pass(client, server, seed, most);
    });
    address
}

#[test]
fn pieces_make_no_difference() {
    let fixture = Fixture::new();
    let mut client = Client::connect(road(fixture.address(), 1, usize::MAX));
    for number in 0..100 {
        let (key, value) = (format!("k{number}"), "v".repeat(number));
        assert_eq!(client.ask_words(&["SET", &key, &value]), "+OK");
        let expected = format!("${number} {value}");
        assert_eq!(client.ask(&format!("GET {key}")), expected.trim_end());
    }
}

/// Whatever was acknowledged is there, and what was begun is there whole or not at all.
#[test]
fn a_connection_that_is_cut_leaves_whole_commands() {
    let fixture = Fixture::new();
    for seed in 0..20 {
        let most = 40 + 37 * seed as usize;
        let mut client = Client::connect(road(fixture.address(), seed, most));
        let mut requests = Vec::new();
        for number in 0..20 {
            requests.extend(encode(&[
                "MSET",
                &format!("a{number}"),
                "1",
                &format!("b{number}"),
                "1",
            ]));
        }
        let _ = client.stream.write_all(&requests);
        let mut replies = Vec::new();
        let _ = client.stream.read_to_end(&mut replies);
        let acknowledged = replies.iter().filter(|&&byte| byte == b'+').count();
        let mut checker = fixture.connect();
        for number in 0..20 {
            let there = checker.ask(&format!("EXISTS a{number} b{number}"));
            assert!(matches!(there.as_str(), ":0" | ":2"), "{there}");
            assert!(
                number >= acknowledged || there == ":2",
                "seed {seed}: {number} was acknowledged"
            );
        }
        checker.ask("FLUSHDB");
    }
}
