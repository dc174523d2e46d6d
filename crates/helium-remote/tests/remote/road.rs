//! A road between client and server that splits, delays and cuts: whatever is acknowledged is there.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use helium_remote::{Network, When, network};
use heliumdb::ErrorKind;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::{Fixture, open};

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

/// A road on which each connection is cut after some bytes, in one direction or the other.
fn road(server: SocketAddr, seed: u64, is_cut: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut rng = SmallRng::seed_from_u64(seed);
        while let Ok((client, _)) = listener.accept() {
            let Ok(server) = TcpStream::connect(server) else {
                break;
            };
            for end in [&client, &server] {
                end.set_nodelay(true).unwrap();
            }
            let seed = rng.random_range(0..u64::MAX / 2);
            let cut = rng.random_range(100..3_000);
            let (there, back) = match (is_cut, rng.random()) {
                (false, _) => (usize::MAX, usize::MAX),
                (true, true) => (cut, usize::MAX),
                (true, false) => (usize::MAX, cut),
            };
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass(from, to, seed + 1, back));
            thread::spawn(move || pass(client, server, seed, there));
        }
    });
    address
}

#[test]
fn pieces_make_no_difference() {
    let fixture = Fixture::new();
    fixture.remote();
    let remote = open(road(fixture.address(), 5, false)).unwrap();
    let d = remote.datastore(b"d");
    for number in 0..100_u8 {
        d.put(
            &[b'\r', b'\n', number],
            &vec![number; 50 * usize::from(number)],
        )
        .unwrap();
    }
    let items: Vec<_> = d
        .range(helium_remote::Walk::all())
        .map(Result::unwrap)
        .collect();
    assert_eq!(items.len(), 100);
    for (number, (key, value)) in (0..).zip(&items) {
        assert_eq!(
            (key.as_slice(), value.len()),
            (&[b'\r', b'\n', number][..], 50 * usize::from(number))
        );
    }
}

/// Each key is set once, where it must be absent: one that was written twice would say that it is there.
#[test]
fn what_was_acknowledged_over_a_road_that_cuts_is_there_and_nothing_is_written_twice() {
    for seed in 0..4 {
        let fixture = Fixture::new();
        fixture.remote();
        let address = road(fixture.address(), seed, true);
        let remote = loop {
            // It may be cut while it says who it is.
            if let Ok(remote) = open(address) {
                break remote;
            }
        };
        let d = remote.datastore(b"d");
        let (mut acknowledged, mut unknown) = (Vec::new(), 0);
        for number in 0..400_u32 {
            let key = number.to_be_bytes();
            match d.put_when(&key, &[b'v'; 60], When::Absent) {
                Ok(()) => acknowledged.push(key),
                Err(why) if why.kind() == ErrorKind::OutcomeUnknown => unknown += 1,
                Err(why) => assert_eq!(network(&why), Some(Network::CutOff), "{why}"),
            }
        }
        let here = fixture.volume.datastore(b"d").unwrap();
        for key in &acknowledged {
            assert!(here.contains_key(key).unwrap(), "{key:?} was acknowledged");
        }
        assert!(here.len() <= acknowledged.len() as u64 + unknown);
        let count = acknowledged.len();
        assert!(
            unknown > 0 && count > 100,
            "the road cuts: {count} {unknown}"
        );
    }
}
