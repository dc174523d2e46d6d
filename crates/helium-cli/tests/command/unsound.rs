//! A server whose disk or network fails in the middle: what is said of what was done is true.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
};

use crate::harness::Place;

/// What it answers to some words; `None` for what every server says, and an empty answer where it closes.
type Answer = dyn Fn(&[String]) -> Option<&'static str> + Send + Sync;

fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let number = |stream: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    (0..number(stream)?)
        .map(|_| {
            let mut word = vec![0; number(stream)? + 2];
            stream.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            String::from_utf8(word).ok()
        })
        .collect()
}

/// What every server says that has datastores `d` and `e`.
fn usual(word: &str) -> &'static str {
    match word {
        "HE.VOLUME" => "*2\r\n$1\r\nv\r\n$2\r\nid\r\n",
        "HE.DATASTORES" => {
            "*2\r\n*6\r\n$1\r\nd\r\n:1\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n*6\r\n$1\r\ne\r\n:2\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n"
        }
        _ => "+OK\r\n",
    }
}

/// The URL of a volume there, and what is asked of it.
fn server(
    answer: impl Fn(&[String]) -> Option<&'static str> + Send + Sync + 'static,
) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("he://{}/v", listener.local_addr().expect("bound"));
    let (tell, told) = mpsc::channel();
    let answer: Arc<Answer> = Arc::new(answer);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let (answer, tell) = (answer.clone(), tell.clone());
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Some(words) = request(&mut stream) {
                    // Before the answer: who has it can look at what was asked.
                    let _ = tell.send(words.join(" "));
                    let said = answer(&words).unwrap_or_else(|| usual(&words[0]));
                    if said.is_empty() || stream.get_mut().write_all(said.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (url, told)
}

#[test]
fn a_batch_says_that_nothing_was_done_only_where_that_is_known() {
    let place = Place::new();
    for (word, answer, is_known) in [
        ("SET", "", true),
        ("SET", "-IOERR the disk\r\n", true),
        ("HE.COMMIT", "-CONFLICT others\r\n", true),
        ("HE.COMMIT", "-IOERR the disk\r\n", false),
        ("HE.COMMIT", "", false),
        ("HE.SYNC", "-IOERR the disk\r\n", false),
    ] {
        let (url, _told) = server(move |words| (words[0] == word).then_some(answer));
        let ran = place.helium_with(["--json", "batch", &url], b"put d k v\n");
        let (nothing, unknown) = (
            ran.err.contains("Nothing of it was done"),
            ran.err.contains("OutcomeUnknown"),
        );
        assert_eq!(
            (nothing, unknown),
            (is_known, !is_known),
            "{word}: {}",
            ran.err
        );
        assert!(!ran.has_worked());
    }
}

#[test]
fn what_ended_a_command_is_said_though_nothing_could_be_made_durable() {
    let place = Place::new();
    let (url, _told) = server(|words| match (&*words[0], words.get(1)?.as_str()) {
        ("HE.INSERT", "k2") => Some("-EXISTS it is there\r\n"),
        ("DEL", "k2") => Some(":0\r\n"),
        ("DEL", _) => Some(":1\r\n"),
        _ => None,
    });
    let (failing, _told_too) =
        server(
            |words| match (&*words[0], words.get(1).map(String::as_str)) {
                ("HE.SYNC", _) => Some("-IOERR the disk\r\n"),
                ("HE.INSERT", Some("k2")) => Some("-EXISTS it is there\r\n"),
                ("DEL", Some("k2")) => Some(":0\r\n"),
                ("DEL", _) => Some(":1\r\n"),
                _ => None,
            },
        );
    let lines = b"k1\tv\nk2\tv\n";
    let load = |url: &str| {
        let words = ["load", url, "-d", "d", "-f", "tsv", "--insert"];
        place.helium_with(words, lines)
    };
    load(&url).fails(
        4,
        &["line 2", "The item before it is in the volume, durably"],
    );
    load(&failing).fails(4, &["line 2", "may not be durable", "the disk"]);
    let rm = |url: &str| place.helium(["rm", url, "d", "k1", "k2"]);
    rm(&url).fails(3, &["k2", "Removed before it, durably: 1 item"]);
    rm(&failing).fails(3, &["k2", "perhaps not durably", "the disk"]);
    // Where nothing else failed, that did.
    place
        .helium(["rm", &failing, "d", "k1"])
        .fails(1, &["the disk"]);
}

/// A step of `load` that goes to two datastores is two there: what the first has is counted, and not sent again.
#[test]
fn what_went_in_before_a_datastore_refused_is_counted_once() {
    let place = Place::new();
    let (url, told) = server(|words| match (&*words[0], words.get(1)?.as_str()) {
        ("MSET" | "SET", "k3" | "k4") => Some("-OOM full\r\n"),
        _ => None,
    });
    let line =
        |store, key| format!("{{\"datastore\":\"{store}\",\"key\":\"{key}\",\"value\":\"v\"}}\n");
    let input =
        [("d", "k1"), ("d", "k2"), ("e", "k3"), ("e", "k4")].map(|(store, key)| line(store, key));
    place
        .helium_with(["load", &url], input.concat().as_bytes())
        .fails(8, &["line 3", "The 2 items before it are in the volume"]);
    let writes: Vec<_> = told
        .try_iter()
        .filter(|asked| asked.starts_with("MSET") || asked.starts_with("SET"))
        .collect();
    assert_eq!(writes, ["MSET k1 v k2 v", "MSET k3 v k4 v", "SET k3 v"]);
}
