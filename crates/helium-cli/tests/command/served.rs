//! `he://host:port/name`: commands on a volume that a server has.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::Command,
};

use helium_remote::{Network, Options, Remote, network};
use heliumdb::ErrorKind;

use crate::{
    harness::{Place, Ran, run},
    server::Server,
};

/// A server on the volume `v` of a place, with a datastore `d`; and the volume's URL.
fn served(place: &Place, more: &[&str]) -> (Server, String) {
    let server = Server::start(place.command(), more);
    let url = format!("he://{}/v", server.address);
    (server, url)
}

/// Lines that load, in two datastores, more than a page of them.
fn input() -> Vec<u8> {
    let mut input = Vec::new();
    for number in 0..7_000 {
        let datastore = if number % 3 == 0 { "e" } else { "d" };
        let value = "v".repeat(number % 300);
        writeln!(
            input,
            "{{\"datastore\":\"{datastore}\",\"key\":\"k{number:05}\",\"value\":\"{value}\"}}"
        )
        .expect("memory");
    }
    input
}

#[test]
fn commands_do_there_what_they_do_here() {
    let (here, there) = (Place::with_volume(), Place::with_volume());
    let (_server, url) = served(&there, &[]);
    let batch = "put d a 1\ninsert d b 2\nreplace d a 3\nrm d b\nrm -f d gone\nput e x \"y z\"\n";
    let lines: &[(&[&str], &[u8])] = &[
        (
            &["create", "v", "e", "--compress", "--attributes", "about"],
            b"",
        ),
        (&["create", "v", "e"], b""),
        (&["create", "v"], b""),
        (&["load", "v"], &input()),
        (
            &["load", "v", "-d", "f", "--insert", "-f", "tsv"],
            b"a\t1\nb\t2\n",
        ),
        (
            &["load", "v", "-d", "f", "--insert", "-f", "tsv"],
            b"c\t1\nb\t2\n",
        ),
        (&["put", "v", "d", "a", "1"], b""),
        (&["put", "v", "d", "a", "1", "--insert"], b""),
        (&["put", "v", "d", "gone", "1", "--replace"], b""),
        (&["put", "v", "d", "a", "2", "--replace"], b""),
        (&["--json", "put", "v", "d", "b", "--insert"], b"\0\xff"),
        (&["put", "v", "gone", "a", "1"], b""),
        (&["get", "v", "d", "a"], b""),
        (&["get", "v", "d", "gone"], b""),
        (&["get", "v", "gone", "a"], b""),
        (&["ls", "v"], b""),
        (&["--json", "stat", "v", "e"], b""),
        (&["scan", "v", "d"], b""),
        (&["scan", "v", "d", "--reverse", "-n", "4500"], b""),
        (
            &["scan", "v", "d", "--from", "k001", "--to", "k04", "--keys"],
            b"",
        ),
        (&["--json", "scan", "v", "d", "--prefix", "k0020"], b""),
        (&["scan", "v", "dd"], b""),
        (&["count", "v", "d"], b""),
        (&["count", "v", "d", "--prefix", "k01"], b""),
        (&["dump", "v"], b""),
        (&["dump", "v", "d", "-f", "csv"], b""),
        (&["batch", "v"], batch.as_bytes()),
        (&["batch", "v"], b"put d c 1\nrm d gone\n"),
        (&["get", "v", "d", "c"], b""),
        (&["rm", "v", "d", "a", "gone"], b""),
        (&["rm", "v", "d", "b", "gone", "--force"], b""),
        (&["rm", "v", "d", "--prefix", "k0001"], b""),
        // More than go in one step.
        (&["rm", "v", "d", "--prefix", "k"], b""),
        (&["count", "v", "d"], b""),
        (&["rm", "v", "d"], b""),
        (&["--json", "rm", "v", "e", "--from", "k"], b""),
        (&["rename", "v", "e", "d"], b""),
        (&["--json", "rename", "v", "e", "g"], b""),
        (&["create", "v", "h", "--unordered"], b""),
        (&["put", "v", "h", "k", "u"], b""),
        (&["get", "v", "h", "k"], b""),
        (&["scan", "v", "h", "--reverse"], b""),
        (&["rm", "v", "h", "--prefix", "k"], b""),
        (&["--json", "truncate", "v", "f", "h"], b""),
        (&["--json", "drop", "v", "g", "gone"], b""),
        (&["--json", "drop", "v", "g", "h"], b""),
        (
            &["shell", "v"],
            b"put d s \"a b\"\nget d s\nrm d gone\nget d a\n",
        ),
        (&["shell", "v", "--read-only"], b"get d s\nput d s 1\n"),
        (&["dump", "v"], b""),
        (&["ls", "v"], b""),
    ];
    for (words, input) in lines {
        let words_there: Vec<_> = words
            .iter()
            .map(|&word| if word == "v" { &url } else { word })
            .collect();
        let ran = |ran: Ran| {
            let text = String::from_utf8_lossy(&ran.out).into_owned();
            let kinds = ran.err.lines().any(|line| line.contains("\"kind\""));
            (ran.code, text, ran.err.is_empty(), kinds)
        };
        let found = (
            ran(here.helium_with(*words, input)),
            ran(there.helium_with(words_there, input)),
        );
        assert_eq!(found.0, found.1, "{words:?}");
    }
    let figures = there.helium(["--json", "stat", &url]).json();
    let local = here.helium(["--json", "stat", "v"]).json();
    let names = |json: &serde_json::Value| {
        json.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&figures), names(&local));
    assert_eq!(
        (&figures["volume"], &figures["items"]),
        (&serde_json::json!(url), &local["items"])
    );
    let sizes = there
        .helium(["--json", "stat", &url, "d", "--sizes"])
        .json();
    let sizes_here = here.helium(["--json", "stat", "v", "d", "--sizes"]).json();
    assert_eq!(sizes[0]["values"], sizes_here[0]["values"]);
}

#[test]
fn what_is_done_to_files_is_refused() {
    let place = Place::with_volume();
    let (_server, url) = served(&place, &[]);
    let url = url.as_str();
    for words in [
        &["verify", url][..],
        &["compact", url],
        &["bench", url],
        &["top", url],
        &["salvage", url, "new"],
        &["salvage", url, "--lost", "00112233445566778899aabbccddeeff"],
        &["backup", url, "new"],
        &["backup", "other", url],
        &["server", url],
        &["create", url, "x", "--overwrite"],
        &["create", url, "x", "--size", "100M"],
    ] {
        if words == ["backup", "other", url] {
            place.helium(["create", "other"]).ok();
        }
        place
            .helium(words)
            .fails(2, &["is a server's", "on the server's machine"]);
    }
    // What may be a password is not shown.
    let named = url.replace("he://", "he://me:hidden@");
    let ran = place.helium(["verify", &named]);
    assert!(!ran.err.contains("hidden"), "{}", ran.err);
    ran.fails(2, &["is a server's"]);
    // All items of what has no order cannot be had there.
    place.helium(["create", url, "h", "--unordered"]).ok();
    place.helium(["scan", url, "h"]).fails(2, &[]);
    assert!(!place.path("new").exists());
}

#[test]
fn each_way_in_which_the_network_fails_has_its_kind() {
    let place = Place::with_volume();
    place.helium(["create", "w"]).ok();
    let (server, url) = served(&place, &[]);
    let kind = |words: &[&str]| {
        let ran = place.helium([&["--json"], words].concat());
        let said: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
        (
            ran.code.expect("an end"),
            said["error"]["kind"].as_str().expect("a kind").to_owned(),
        )
    };
    // Nobody listens at that port any more, and nobody else gets it while a connection has it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("bound");
    let _ends = (
        TcpStream::connect(free).expect("it listens"),
        listener.accept().expect("somebody connects"),
    );
    drop(listener);
    for (url, code, wanted) in [
        (format!("he://{free}/v"), 11, "Refused"),
        ("he://nowhere.invalid/v".to_owned(), 11, "UnknownHost"),
        (format!("he://{}/w", server.address), 3, "Io"),
        (format!("he://{}:x/w", server.address.ip()), 2, "InvalidUrl"),
        (
            format!("he://me:hidden@{}/v", server.address),
            2,
            "InvalidUrl",
        ),
    ] {
        assert_eq!(kind(&["ls", &url]), (code, wanted.to_owned()), "{url}");
        assert_eq!(
            kind(&["put", &url, "d", "k", "v"]),
            (code, wanted.to_owned()),
            "{url}"
        );
    }
    assert_eq!(kind(&["get", &url, "d", "gone"]).0, 3);
}

#[test]
fn users_and_passwords_come_from_the_environment_and_are_not_shown() {
    let place = Place::with_volume();
    let hash = helium_server::hash_password("secret").expect("a hash");
    place.write(
        "users",
        format!("default {hash} rwa@*/*\nreader {hash} r@*/*\n"),
    );
    place.write("password", "secret\n");
    let (_server, url) = served(&place, &["--users", "users"]);
    let as_user = |set: &[(&str, &str)], words: &[&str]| {
        let mut command: Command = place.command();
        command.args(words).envs(set.iter().copied());
        run(command, b"")
    };
    let put = ["put", &url, "d", "k", "v"];
    let all = [("HELIUM_PASSWORD", "secret")];
    as_user(&all, &put).ok();
    let reader = [
        ("HELIUM_USER", "reader"),
        ("HELIUM_PASSWORD_FILE", "password"),
    ];
    assert_eq!(as_user(&reader, &["get", &url, "d", "k"]).ok(), b"v");
    as_user(&reader, &put).fails(6, &["no permissions"]);
    as_user(&[], &put).fails(6, &["HELIUM_PASSWORD"]);
    let wrong = as_user(&[("HELIUM_PASSWORD", "hidden")], &put);
    assert!(!wrong.err.contains("hidden"), "{}", wrong.err);
    wrong.fails(6, &["invalid username-password"]);
}

/// Several threads write as fast as they are answered, and the process of the server is killed: what was acknowledged is
/// there, and what was not is said to be unknown, or not done.
#[test]
fn what_a_server_that_is_killed_has_acknowledged_is_there() {
    const THREADS: u32 = 4;
    let place = Place::with_volume();
    for round in 0..3_u32 {
        let (mut server, url) = served(&place, &[]);
        let remote = Remote::open(&url, &Options::default()).expect("it serves");
        let (tell, told) = std::sync::mpsc::channel();
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (d, tell) = (remote.datastore(b"d"), tell.clone());
                std::thread::spawn(move || {
                    for number in 0_u32.. {
                        let key = [round, thread, number].map(u32::to_be_bytes).concat();
                        match d.put(&key, b"v") {
                            // Who counts them may have enough.
                            Ok(()) => drop(tell.send(())),
                            Err(why) => return (number, why),
                        }
                    }
                    unreachable!("it is killed before")
                })
            })
            .collect();
        // So many are acknowledged that all are in the middle.
        drop(tell);
        assert_eq!(told.iter().take(200).count(), 200);
        server.child.kill().expect("it runs");
        server.child.wait().expect("a child of ours");
        let ends: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().expect("only writes"))
            .collect();
        let (_server, url) = served(&place, &[]);
        let again = Remote::open(&url, &Options::default()).expect("it serves");
        for (thread, (acknowledged, why)) in (0_u32..).zip(ends) {
            let is_told = why.kind() == ErrorKind::OutcomeUnknown
                || matches!(network(&why), Some(Network::Refused | Network::CutOff));
            assert!(is_told, "{why}");
            for number in 0..acknowledged {
                let key = [round, thread, number].map(u32::to_be_bytes).concat();
                let found = again.datastore(b"d").contains(&key).expect("it serves");
                assert!(found, "{round} {thread} {number} of {acknowledged}");
            }
        }
    }
}
