//! What is in memory is answered at once, whatever others wait for; on a device whose reads are held up.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use helium_server::{Named, Options, Server};
use helium_sim::{DiskId, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::Volume;

use crate::harness::{Client, encode};

/// Lets go of what is held up, also of a test that fails: its server ends then.
struct LetGo(Arc<Latch>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.release(Verdict::Go);
    }
}

/// Waits until so many are held up; a test that waits in vain fails.
fn await_held(latch: &Arc<Latch>, count: usize) {
    let (sender, held) = mpsc::channel();
    let latch = latch.clone();
    thread::spawn(move || {
        latch.await_held(count);
        let _ = sender.send(());
    });
    let held = held.recv_timeout(Duration::from_secs(20));
    assert!(held.is_ok(), "{count} threads do not wait at the same time");
}

fn is_read(operation: &Operation) -> bool {
    matches!(operation, Operation::Read { .. })
}

#[test]
fn who_waits_for_a_device_holds_nobody_else_up() {
    // More than there are threads that read from connections.
    let waiting = 2 * thread::available_parallelism().map_or(2, |count| count.get().max(2));
    let machine = Machine::new(1, &[64 << 20]);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let items = volume.create_datastore("0").unwrap();
    for number in 0..=waiting {
        items.put(number.to_string(), "v".repeat(100)).unwrap();
    }
    volume.close().unwrap();
    drop((items, volume));

    let latch = Latch::new();
    let devices = machine.devices(&[DiskId(0)]).into_iter();
    let devices = devices.map(|device| latch.guard(device)).collect();
    let volume = Volume::open_devices(devices, &sim_options()).unwrap();
    let mut options = Options::default();
    options.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let named = Named {
        name: "one".to_owned(),
        volume: volume.clone(),
    };
    let server = Server::start(vec![named], options).unwrap();
    let _let_go = LetGo(latch.clone());
    let connect = || Client::connect(server.addresses()[0]);

    let value = format!("$100 {}", "v".repeat(100));
    let mut warm = connect();
    assert_eq!(warm.ask("GET 0"), value);
    latch.hold(is_read);
    let mut cold: Vec<_> = (1..=waiting).map(|_| connect()).collect();
    for (number, client) in (1..).zip(&mut cold) {
        // Its first command finds the datastore, which may wait by itself.
        assert_eq!(client.ask("EXISTS 0"), ":1");
        client.send(&encode(&["GET", &number.to_string()]));
        client.send(&encode(&["GET", "0"]));
    }
    await_held(&latch, waiting);
    for (line, reply) in [
        ("GET 0", value.as_str()),
        ("STRLEN 0", ":100"),
        ("GETRANGE 0 0 1", "$2 vv"),
        ("EXISTS 1", ":1"),
        ("GET absent", "$-1"),
        ("PING", "+PONG"),
        ("SET new 1", "+OK"),
        ("GET new", "$1 1"),
        ("MULTI", "+OK"),
        ("GET new", "+QUEUED"),
        ("EXEC", "*1 $1 1"),
    ] {
        assert_eq!(warm.ask(line), reply, "{line}");
    }
    for client in &mut cold {
        client.assert_silent("a value that is read");
    }
    latch.release(Verdict::Go);
    for client in &mut cold {
        assert_eq!([client.reply(), client.reply()], [&*value, &*value]);
    }
    server.stop();
    volume.close().unwrap();
}
