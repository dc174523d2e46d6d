//! What is asked again where a connection broke, and what is not.

use std::sync::mpsc;

use helium_remote::{Network, When, network};
use heliumdb::ErrorKind;

use crate::harness::{end, greet, open, request, say};

/// An end whose first connection is good for one read and one more request, which it takes and does not answer; the
/// others answer everything. It tells what it was asked.
fn breaking() -> (std::net::SocketAddr, mpsc::Receiver<(usize, String)>) {
    let (tell, told) = mpsc::channel();
    let (address, _) = end(move |number, stream| {
        greet(stream);
        let mut count = 0;
        while let Some(words) = request(stream) {
            let _ = tell.send((number, words[0].clone()));
            count += usize::from(words[0] != "HE.USE");
            if number == 0 && count > 1 {
                break;
            }
            match words[0].as_str() {
                "GET" => say(stream, "$1\r\nv\r\n"),
                _ => say(stream, "+OK\r\n"),
            }
        }
        number == 0
    });
    (address, told)
}

#[test]
fn a_read_is_asked_again_once() {
    let (address, told) = breaking();
    let d = open(address).unwrap().datastore(b"d");
    assert_eq!(d.get(b"k").unwrap().unwrap(), b"v");
    assert_eq!(d.get(b"k").unwrap().unwrap(), b"v");
    drop(d);
    let asked: Vec<_> = told
        .iter()
        .filter(|(_, word)| word == "GET")
        .map(|(number, _)| number)
        .collect();
    assert_eq!(asked, [0, 0, 1]);
}

#[test]
fn a_write_is_not_and_what_became_of_it_is_said_to_be_unknown() {
    let (address, told) = breaking();
    let d = open(address).unwrap().datastore(b"d");
    d.put(b"k", b"v").unwrap();
    let why = d.put(b"k", b"w").unwrap_err();
    assert_eq!(
        (why.kind(), network(&why)),
        (ErrorKind::OutcomeUnknown, Some(Network::CutOff))
    );
    assert!(why.to_string().contains("not known"), "{why}");
    // The next call has a connection of its own.
    assert_eq!(d.get(b"k").unwrap().unwrap(), b"v");
    drop(d);
    let asked: Vec<_> = told.iter().filter(|(_, word)| word == "SET").collect();
    assert_eq!(asked.len(), 2);
}

/// A server that was started again has closed what was kept: nothing was sent on it, and nothing is unknown.
#[test]
fn a_connection_that_was_closed_while_nobody_used_it_is_not_used() {
    // The word of the end may come late once: then what was sent is unknown, as it should be.
    let is_seen = (0..20).any(|_| {
        let put = put_after_an_end();
        if let Err(why) = &put {
            assert_eq!(why.kind(), ErrorKind::OutcomeUnknown, "{why}");
        }
        put.is_ok()
    });
    assert!(is_seen);
}

/// Puts an item after the connection that was kept was closed.
fn put_after_an_end() -> heliumdb::Result<()> {
    let (close, closing) = mpsc::channel::<()>();
    let (closed, is_closed) = mpsc::channel();
    let (address, end) = end(move |number, stream| {
        greet(stream);
        if number == 0 {
            closing.recv().unwrap();
            stream.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
            closed.send(()).unwrap();
            return true;
        }
        while request(stream).is_some() {
            say(stream, "+OK\r\n");
        }
        false
    });
    let remote = open(address).unwrap();
    close.send(()).unwrap();
    is_closed.recv().unwrap();
    let put = remote.datastore(b"d").put(b"k", b"v");
    // A connection that broke is not used again, either.
    remote.datastore(b"d").put(b"k", b"v").unwrap();
    drop(remote);
    end.join().unwrap();
    put
}

/// An end that does not know any more who its first connection is after one request, until its end; what it was asked.
fn forgetting() -> (std::net::SocketAddr, mpsc::Receiver<(usize, String)>) {
    let (tell, told) = mpsc::channel();
    let (address, _) = end(move |number, stream| {
        greet(stream);
        let mut count = 0;
        while let Some(words) = request(stream) {
            let _ = tell.send((number, words[0].clone()));
            count += usize::from(!["HE.USE", "HE.BEGIN"].contains(&&*words[0]));
            match words[0].as_str() {
                _ if number == 0 && count > 1 => {
                    say(stream, "-NOAUTH Authentication required.\r\n")
                }
                "GET" => say(stream, "$1\r\nv\r\n"),
                _ => say(stream, "+OK\r\n"),
            }
        }
        number == 0
    });
    (address, told)
}

#[test]
fn who_has_to_say_again_who_it_is_says_so_and_asks_again() {
    for is_write in [false, true] {
        let (address, told) = forgetting();
        let d = open(address).unwrap().datastore(b"d");
        for _ in 0..4 {
            match is_write {
                true => d.put(b"k", b"v").unwrap(),
                false => assert_eq!(d.get(b"k").unwrap().unwrap(), b"v"),
            }
        }
        drop(d);
        let asked: Vec<_> = told
            .iter()
            .filter(|(_, word)| word != "HE.USE")
            .map(|(number, _)| number)
            .collect();
        assert_eq!(asked, [0, 0, 1, 1, 1], "{is_write}");
    }
}

/// What was done in a transaction went with its connection: there is nothing to ask again, and nothing to commit.
#[test]
fn a_transaction_whose_connection_is_lost_commits_nothing() {
    let (address, told) = forgetting();
    let remote = open(address).unwrap();
    let transaction = remote.begin().unwrap();
    transaction.put(b"d", b"k", b"v", When::Always).unwrap();
    let why = transaction.put(b"d", b"k", b"v", When::Always).unwrap_err();
    assert_eq!(network(&why), Some(Network::Authentication), "{why}");
    let why = transaction.commit().unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Io, "{why}");
    // The end is over with its second connection.
    remote.datastore(b"d").put(b"k", b"v").unwrap();
    drop(remote);
    let asked: Vec<_> = told.iter().map(|(_, word)| word).collect();
    assert!(!asked.iter().any(|word| word == "HE.COMMIT"), "{asked:?}");
}

#[test]
fn a_write_inside_a_transaction_that_fails_is_not_unknown() {
    let (address, end) = end(|_, stream| {
        greet(stream);
        while let Some(words) = request(stream) {
            match words[0].as_str() {
                "SET" => say(stream, "-IOERR the disk\r\n"),
                _ => say(stream, "+OK\r\n"),
            }
        }
        false
    });
    let remote = open(address).unwrap();
    let transaction = remote.begin().unwrap();
    let why = transaction.put(b"d", b"k", b"v", When::Always).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Io, "{why}");
    drop(transaction);
    let why = remote.datastore(b"d").put(b"k", b"v").unwrap_err();
    assert_eq!(why.kind(), ErrorKind::OutcomeUnknown, "{why}");
    drop(remote);
    end.join().unwrap();
}

/// A server may answer a commit before it is durable.
#[test]
fn a_commit_is_durable_or_said_to_be_unknown() {
    for (answer, is_done) in [
        ("+OK\r\n", true),
        ("-IOERR the disk\r\n", false),
        ("-NOPERM no\r\n", false),
        ("", false),
    ] {
        let (address, end) = end(move |_, stream| {
            greet(stream);
            let mut asked = Vec::new();
            while let Some(words) = request(stream) {
                asked.push(words[0].clone());
                match words[0].as_str() {
                    "HE.SYNC" if answer.is_empty() => break,
                    "HE.SYNC" => say(stream, answer),
                    _ => say(stream, "+OK\r\n"),
                }
            }
            assert_eq!(asked, ["HE.BEGIN", "HE.USE", "SET", "HE.COMMIT", "HE.SYNC"]);
            false
        });
        let remote = open(address).unwrap();
        let transaction = remote.begin().unwrap();
        transaction.put(b"d", b"k", b"v", When::Always).unwrap();
        let done = transaction.commit().map_err(|why| why.kind());
        let wanted = match is_done {
            true => Ok(()),
            false => Err(ErrorKind::OutcomeUnknown),
        };
        assert_eq!(done, wanted, "{answer}");
        drop(remote);
        end.join().unwrap();
    }
}

#[test]
fn nothing_of_a_transaction_is_unknown_before_its_commit() {
    for is_commit in [false, true] {
        let (address, end) = end(move |_, stream| {
            greet(stream);
            while let Some(words) = request(stream) {
                let last = if is_commit { "HE.COMMIT" } else { "SET" };
                if words[0] == last {
                    break;
                }
                say(stream, "+OK\r\n");
            }
            false
        });
        let transaction = open(address).unwrap().begin().unwrap();
        let put = transaction.put(b"d", b"k", b"v", When::Always);
        let (done, kind) = match is_commit {
            false => (put, ErrorKind::Io),
            true => (
                put.and_then(|()| transaction.commit()),
                ErrorKind::OutcomeUnknown,
            ),
        };
        let why = done.unwrap_err();
        assert_eq!(
            (why.kind(), network(&why)),
            (kind, Some(Network::CutOff)),
            "{why}"
        );
        end.join().unwrap();
    }
}
