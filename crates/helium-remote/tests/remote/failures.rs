//! Each way in which the network fails is its own.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use helium_remote::{Network, Options, Remote, network};
use helium_server::{Users, hash_password};
use heliumdb::{DatastoreOptions, Error, ErrorKind};

use crate::harness::{Fixture, end, greet, open, open_with, request, say};

#[track_caller]
fn is(why: Error, how: Network, words: &str) {
    assert_eq!(network(&why), Some(how), "{why}");
    assert!(why.to_string().contains(words), "{why}");
}

#[test]
fn nobody_there_and_no_such_host() {
    // Nobody listens at that port any more, and nobody else gets it while a connection has it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _ends = (
        TcpStream::connect(address).unwrap(),
        listener.accept().unwrap(),
    );
    drop(listener);
    is(
        open(address).unwrap_err(),
        Network::Refused,
        "cannot be connected to",
    );
    let nowhere = Remote::open("he://nowhere.invalid/v", &Options::default());
    is(
        nowhere.unwrap_err(),
        Network::UnknownHost,
        "its name is not known",
    );
}

#[test]
fn one_that_does_not_answer_is_not_waited_for() {
    let (address, end) = end(|_, stream| {
        // Until the other end has gone.
        let _ = stream.read_to_end(&mut Vec::new());
        false
    });
    let opened = open_with(address, |options| {
        options.answer = Duration::from_millis(200)
    });
    is(
        opened.unwrap_err(),
        Network::TimedOut,
        "not answered in time",
    );
    end.join().unwrap();
}

#[test]
fn what_is_no_server_is_not_understood() {
    for (answer, how) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", Network::Protocol),
        (
            "-ERR unknown command 'HE.VOLUME', with args beginning with: 'fruit' \r\n",
            Network::Protocol,
        ),
        ("+OK\r\n", Network::Protocol),
        ("*2\r\n$1\r\na\r\n:5\r\n", Network::Protocol),
        ("-WHATEVER that is\r\n", Network::Protocol),
        ("*2\r\n$1\r\na\r\n", Network::CutOff),
        ("", Network::CutOff),
    ] {
        let (address, end) = end(move |_, stream| {
            request(stream);
            say(stream, answer);
            false
        });
        is(open(address).unwrap_err(), how, "");
        end.join().unwrap();
    }
}

/// An end that gives keys that were not asked for would have a walk go on for ever.
#[test]
fn a_walk_is_not_led_round_in_a_circle() {
    let (address, end) = end(|_, stream| {
        greet(stream);
        request(stream);
        say(stream, "+OK\r\n");
        while request(stream).is_some() {
            say(stream, "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
        }
        false
    });
    let remote = open(address).unwrap();
    let mut items = remote
        .datastore(b"d")
        .range(helium_remote::Walk::all())
        .take(5)
        .collect::<Vec<_>>()
        .into_iter();
    assert_eq!(items.next().unwrap().unwrap().0, b"a");
    is(items.next().unwrap().unwrap_err(), Network::Protocol, "");
    assert!(items.next().is_none());
    drop(remote);
    end.join().unwrap();
}

#[test]
fn volumes_that_are_not_served_and_urls_that_are_none() {
    let fixture = Fixture::new();
    let at = fixture.address();
    let opened = |url: String| Remote::open(&url, &Options::default());
    let why = opened(format!("he://{at}/gone")).unwrap_err();
    assert!(
        network(&why).is_none() && why.to_string().contains("HE.VOLUMES"),
        "{why}"
    );
    assert_eq!(
        opened(format!("he://{at}")).unwrap().url(),
        format!("he://{at}/fruit")
    );
    let why = opened(format!("he://me:secret@{at}/fruit")).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::InvalidUrl);
}

#[test]
fn who_it_is_and_what_it_may() {
    let hash = hash_password("secret").unwrap();
    let users = format!("default {hash} rwa@*/*\nreader {hash} r@*/*\n");
    let fixture =
        Fixture::with(|options| options.users = Some(Arc::new(Users::parse(&users).unwrap())));
    let at = fixture.address();
    let as_user = |user: &str, password: Option<&str>| {
        open_with(at, |options| {
            options.user = user.to_owned();
            options.password = password.map(str::to_owned);
        })
    };
    is(
        as_user("default", None).unwrap_err(),
        Network::Authentication,
        "Authentication required",
    );
    is(
        as_user("default", Some("x")).unwrap_err(),
        Network::Authentication,
        "invalid username-password",
    );
    let all = as_user("default", Some("secret")).unwrap();
    all.create_datastore(b"d", &DatastoreOptions::default())
        .unwrap();
    all.datastore(b"d").put(b"k", b"v").unwrap();
    let reader = as_user("reader", Some("secret")).unwrap().datastore(b"d");
    assert_eq!(reader.get(b"k").unwrap().unwrap(), b"v");
    is(
        reader.put(b"k", b"w").unwrap_err(),
        Network::NotAllowed,
        "no permissions",
    );
    assert_eq!(reader.get(b"k").unwrap().unwrap(), b"v");
    // A server that has no users says so.
    let plain = Fixture::new();
    let named = open_with(plain.address(), |options| {
        options.password = Some("secret".into())
    });
    is(
        named.unwrap_err(),
        Network::Authentication,
        "without any password configured",
    );
}

/// Whatever answers may repeat what it was sent.
#[test]
fn a_password_that_comes_back_is_not_shown() {
    for (answer, how) in [
        (
            "-ERR unknown command 'AUTH', with args beginning with: 'default' 'secret' \r\n",
            Network::Protocol,
        ),
        ("-WRONGPASS secret is wrong\r\n", Network::Authentication),
        ("-secret secret\r\n", Network::Authentication),
        ("$6\r\nsecret\r\n", Network::Protocol),
    ] {
        let (address, end) = end(move |_, stream| {
            assert_eq!(request(stream).unwrap()[0], "AUTH");
            say(stream, answer);
            false
        });
        let opened = open_with(address, |options| options.password = Some("secret".into()));
        let why = opened.unwrap_err();
        assert!(!format!("{why} {why:?}").contains("secret"), "{why:?}");
        is(why, how, "");
        end.join().unwrap();
    }
}

/// An address of this machine that is not a loopback one, if it has any.
fn outside() -> Option<SocketAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only says which way it would go.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?;
    (!address.ip().is_loopback() && !address.ip().is_unspecified()).then_some(address)
}

#[test]
fn a_password_does_not_leave_the_machine_without_encryption() {
    let Some(mut address) = outside() else {
        println!("SKIPPED: this machine has loopback addresses only");
        return;
    };
    address.set_port(0);
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = std::thread::spawn(move || {
        let mut seen = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut seen).unwrap();
        seen
    });
    let opened = open_with(address, |options| options.password = Some("secret".into()));
    is(opened.unwrap_err(), Network::Authentication, "without TLS");
    assert_eq!(seen.join().unwrap(), b"");
}
