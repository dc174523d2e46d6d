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
    remote.datastore(b"d").put(b"k", b"v").unwrap();
    drop(remote);
    end.join().unwrap();
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
