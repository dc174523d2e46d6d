//! An open volume tells of itself, and stops when it is told to.

use std::{
    io::Write,
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::Duration,
};

use helium_activity::{Publisher, ask, find};
use heliumdb::{Volume, VolumeOptions};

#[test]
fn an_open_volume_is_found_by_any_name_of_its_file_until_it_stops_telling() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("v");
    let url = format!("he:///{}", file.display());
    let volume = Volume::open(&url, &VolumeOptions::default()).expect("a volume");
    let datastore = volume.create_datastore(b"colors\n").expect("a datastore");
    datastore.put(b"apple", b"red").expect("an item");
    let publisher = Publisher::start(&volume, "test").expect("a socket");
    let other = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &other).expect("a link");
    let other = format!("he://./{}", other.display());
    let found = find(Some(&other)).expect("the folder");
    let [(socket, report)] = found.as_slice() else {
        panic!("one volume is open: {found:?}");
    };
    assert_eq!(report.id, volume.id().to_string());
    assert_eq!(report.process, u64::from(std::process::id()));
    assert_eq!(
        (
            report.datastores[0].name.as_str(),
            report.datastores[0].items
        ),
        ("colors\\n", 1)
    );
    assert_eq!(
        report.figure("capacity_bytes"),
        volume.stats().capacity_bytes
    );
    datastore.put(b"pear", b"green").expect("an item");
    volume.flush().expect("durable");
    let later = ask(socket).expect("an answer");
    assert_eq!(later.datastores[0].items, 2);
    assert!(later.figure("syncs") > report.figure("syncs"));
    assert!(later.figure("writes") > report.figure("writes"));
    for name in ["commits", "syncs"] {
        let since = later.latency(name).since(&report.latency(name));
        assert!(since.count() > 0, "{name}: {later:?}");
        assert!(since.percentile(50) <= since.percentile(99) && since.percentile(50) > Some(0));
    }
    assert!(find(Some("he://./nothing")).expect("the folder").is_empty());
    drop(publisher);
    assert!(find(Some(&url)).expect("the folder").is_empty());
    assert!(!socket.exists());
    volume.close().expect("closed");
}

/// However often a byte comes: the moment at which it is too late stays.
#[test]
fn an_answer_without_end_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("slow");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let slow = thread::spawn(move || {
        let (mut asker, _) = listener.accept().expect("somebody asks");
        while asker.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    ask(&socket).expect_err("it does not end");
    slow.join().expect("it notices");
}

#[test]
fn a_socket_that_takes_nobody_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("deaf");
    let listener = UnixListener::bind(&socket).expect("a socket");
    rustix::net::listen(&listener, 0).expect("a short queue");
    // Fills the queue.
    let _first = UnixStream::connect(&socket).expect("there is a place");
    ask(&socket).expect_err("nobody takes it");
}
