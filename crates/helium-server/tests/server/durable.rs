//! What is told to be done is done for good: on a device that holds syncs up, and lets them go or fail.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use helium_server::{Durability, Named, Options, Server};
use helium_sim::{DiskId, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::Volume;

use crate::harness::{Client, encode};

struct Held {
    latch: Arc<Latch>,
    volume: Volume,
    server: Option<Server>,
    _machine: Machine,
}

impl Held {
    fn new(durability: Durability) -> Self {
        let machine = Machine::new(1, &[64 << 20]);
        let latch = Latch::new();
        let devices = machine.devices(&[DiskId(0)]);
        let devices = devices
            .into_iter()
            .map(|device| latch.guard(device))
            .collect();
        let volume = Volume::open_devices(devices, &sim_options()).unwrap();
        let mut options = Options::default();
        options.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        options.durability = durability;
        let named = Named {
            name: "one".to_owned(),
            volume: volume.clone(),
        };
        let server = Server::start(vec![named], options).unwrap();
        let held = Self {
            latch,
            volume,
            server: Some(server),
            _machine: machine,
        };
        // The datastore is made by its first write, which takes syncs of its own.
        assert_eq!(held.connect().ask("SET first 1"), "+OK");
        held
    }

    fn connect(&self) -> Client {
        Client::connect(self.server.as_ref().unwrap().addresses()[0])
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.latch.release(Verdict::Go);
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let _ = self.volume.close();
    }
}

/// Waits until a sync is held up; `client` must have no answer until then, and has none now.
#[track_caller]
fn await_sync(latch: &Arc<Latch>, client: &mut Client, what: &str) {
    let (sender, held) = mpsc::channel();
    let latch = latch.clone();
    thread::spawn(move || {
        latch.await_held(1);
        let _ = sender.send(());
    });
    while held.try_recv().is_err() {
        client.assert_silent(what);
        thread::yield_now();
    }
    client.assert_silent(what);
}

fn is_sync(operation: &Operation) -> bool {
    matches!(operation, Operation::Sync)
}

/// Each of these writes, and its reply.
const WRITES: [(&str, &str); 10] = [
    ("SET a 1", "+OK"),
    ("MSET a 1 b 2", "+OK"),
    ("DEL a", ":1"),
    ("INCR n", ":1"),
    ("APPEND s x", ":1"),
    ("HE.INSERT i 1", "+OK"),
    ("HE.TAKE i", "$1 1"),
    ("SET b 3 GET", "$1 2"),
    ("RENAME b c", "+OK"),
    ("DEL c n", ":2"),
];

#[test]
fn a_write_is_acknowledged_when_a_sync_has_ended_and_not_before() {
    let held = Held::new(Durability::Synced);
    let mut client = held.connect();
    for (line, reply) in WRITES {
        held.latch.hold(is_sync);
        let words: Vec<_> = line.split(' ').collect();
        client.send(&encode(&words));
        await_sync(&held.latch, &mut client, line);
        held.latch.release(Verdict::Go);
        assert_eq!(client.reply(), reply, "{line}");
    }
}

#[test]
fn so_are_transactions() {
    let held = Held::new(Durability::Synced);
    let mut client = held.connect();
    for (begin, end, reply) in [
        ("MULTI", "EXEC", "*1 +OK"),
        ("HE.BEGIN", "HE.COMMIT", "+OK"),
    ] {
        client.ask(begin);
        client.ask("SET a 1");
        held.latch.hold(is_sync);
        client.send(&encode(&[end]));
        await_sync(&held.latch, &mut client, end);
        held.latch.release(Verdict::Go);
        assert_eq!(client.reply(), reply, "{end}");
    }
}

#[test]
fn reads_do_not_wait_for_the_syncs_of_others() {
    let held = Held::new(Durability::Synced);
    held.latch.hold(is_sync);
    let mut writer = held.connect();
    writer.send(&encode(&["SET", "a", "1"]));
    await_sync(&held.latch, &mut writer, "SET");
    assert_eq!(held.connect().ask("GET first"), "$1 1");
    writer.assert_silent("SET");
    held.latch.release(Verdict::Go);
    assert_eq!(writer.reply(), "+OK");
}

/// One write is in a sync; those of all others wait for the next one, and share it.
#[test]
fn writes_of_all_connections_and_of_a_pipeline_share_syncs() {
    let held = Held::new(Durability::Synced);
    held.latch.hold(is_sync);
    let mut first = held.connect();
    first.send(&encode(&["SET", "a", "1"]));
    await_sync(&held.latch, &mut first, "SET");
    let mut others: Vec<_> = (0..8).map(|_| held.connect()).collect();
    for (number, other) in others.iter_mut().enumerate() {
        let key = number.to_string();
        other.send(&encode(&["SET", &key, "1"]).repeat(50));
    }
    // All of them were done, though one waits: only their syncs are missing.
    let mut reader = held.connect();
    let started = Instant::now();
    while reader.ask("DBSIZE") != ":10" {
        assert!(started.elapsed() < Duration::from_secs(60), "not begun");
    }
    held.latch.release_one(Verdict::Go);
    assert_eq!(first.reply(), "+OK");
    held.latch.await_held(1);
    others[0].assert_silent("SET");
    held.latch.release_one(Verdict::Go);
    // Who came to its sync after the second began is in a later one: at worst each connection has one of its own.
    let mut syncs = 2;
    for other in &mut others {
        while !other.has_come() {
            if held.latch.release_one(Verdict::Go) {
                syncs += 1;
            }
        }
        for _ in 0..50 {
            assert_eq!(other.reply(), "+OK");
        }
    }
    assert!(syncs <= 1 + others.len(), "{syncs} syncs of 401 writes");
}

#[test]
fn a_write_whose_sync_failed_is_not_acknowledged() {
    let held = Held::new(Durability::Synced);
    let mut client = held.connect();
    held.latch.hold(is_sync);
    client.send(
        &[
            encode(&["GET", "first"]),
            encode(&["SET", "a", "1"]),
            encode(&["PING"]),
        ]
        .concat(),
    );
    held.latch.await_held(1);
    held.latch.release(Verdict::Fail);
    assert_eq!(client.reply(), "$1 1");
    let reply = client.reply();
    assert!(
        reply.starts_with("-IOERR it is not known whether this was done"),
        "{reply}"
    );
    assert_eq!(client.reply(), "+PONG");
    let reply = client.ask("SET a 2");
    assert!(reply.starts_with("-IOERR"), "{reply}");
}

#[test]
fn buffered_writes_wait_for_a_sync_only_where_it_is_asked_for() {
    let held = Held::new(Durability::Buffered);
    let mut client = held.connect();
    held.latch.hold(is_sync);
    assert_eq!(client.ask("SET a 1"), "+OK");
    client.send(&encode(&["HE.SYNC"]));
    await_sync(&held.latch, &mut client, "HE.SYNC");
    held.latch.release(Verdict::Go);
    assert_eq!(client.reply(), "+OK");
}
