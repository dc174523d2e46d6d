//! Streams of every command, with arguments that mean something and bytes that were changed on the way: the server never
//! panics, each reply is one of the protocol, and others are served on.

use std::{
    io::{Read, Write},
    net::Shutdown,
    panic,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use helium_sim::seed;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

use crate::harness::{Fixture, encode};

/// Streams of one seed.
const STREAMS: usize = 150;
/// Threads of a server that panicked.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics in servers' threads from now on, and leaves those of tests as they are.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some("helium-server") {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

/// All commands, and how many arguments each takes with its name, at least so many if less than none; as the server
/// tells them.
fn commands(fixture: &Fixture) -> Vec<(String, i64)> {
    let mut client = fixture.connect();
    let told = client.ask("COMMAND");
    let words: Vec<_> = told.split(' ').collect();
    let described = words.windows(4).filter(|words| words[0] == "*10");
    let commands = described.map(|words| (words[2].to_owned(), words[3][1..].parse().unwrap()));
    // What ends the connection would hide what comes behind, and a copy takes long.
    let commands = commands.filter(|(name, _)| !matches!(name.as_str(), "quit" | "he.backup"));
    commands.collect()
}

/// Numbers at their ends, and what is nearly one.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "15",
    "16",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "16777215",
    "4294967296",
    "1e308",
    "3.25",
    "-0",
    "nan",
    "inf",
];

/// Words that commands know, patterns, and a few keys that are used again and again.
const WORDS: &[&str] = &[
    "a",
    "b",
    "c",
    "",
    "*",
    "[a-",
    "\\",
    "[^]]",
    "?",
    "-",
    "+",
    "(",
    "[",
    "(a",
    "[b",
    "NX",
    "XX",
    "GET",
    "KEEPTTL",
    "EX",
    "MATCH",
    "COUNT",
    "TYPE",
    "string",
    "LIMIT",
    "REV",
    "KEYS",
    "VOLUME",
    "one",
    "two",
    "ASYNC",
    "SYNC",
    "AUTH",
    "SETNAME",
    "LIST",
    "INFO",
    "DOCS",
    "GETKEYS",
    "COMPRESS",
    "UNORDERED",
    "ATTRIBUTES",
    "DETAILS",
    "BYTES",
    "ID",
    "HELP",
    "\r\n",
    "\0",
    "\u{fffd}",
    "everything",
    "max*",
];

fn request(rng: &mut SmallRng, commands: &[(String, i64)]) -> Vec<u8> {
    let (name, arity) = commands.choose(rng).unwrap();
    let mut words = vec![name.clone().into_bytes()];
    let count = match rng.random_range(0..4) {
        0 => rng.random_range(0..7),
        _ if *arity < 0 => -arity + rng.random_range(0..5) - 1,
        _ => arity - 1,
    };
    for _ in 0..count {
        words.push(match rng.random_range(0..20) {
            0 => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
            1 => vec![b'v'; rng.random_range(0..5_000)],
            2 => commands.choose(rng).unwrap().0.clone().into_bytes(),
            3..10 => NUMBERS.choose(rng).unwrap().as_bytes().to_vec(),
            _ => WORDS.choose(rng).unwrap().as_bytes().to_vec(),
        });
    }
    encode(&words)
}

/// Changes some bytes, as a broken client would.
fn mangle(rng: &mut SmallRng, stream: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..stream.len().max(1)).min(stream.len());
        let end = (at + rng.random_range(0..30)).min(stream.len());
        match rng.random_range(0..6) {
            0 => stream[at..end]
                .iter_mut()
                .for_each(|byte| *byte = rng.random()),
            1 => drop(stream.drain(at..end)),
            2 => {
                let again = stream[at..end].to_vec();
                stream.splice(at..at, again);
            }
            3 => {
                let digit = rng.random_range(b'0'..=b'9');
                let digits = stream[at..end].iter_mut();
                digits
                    .filter(|byte| byte.is_ascii_digit())
                    .for_each(|byte| *byte = digit);
            }
            4 => stream.truncate(end),
            _ => {
                let part = *[
                    &b"*-1\r\n"[..],
                    b"$-1\r\n",
                    b"*1048576\r\n",
                    b"$16777215\r\n",
                    b"\"",
                    b"\n",
                ]
                .choose(rng)
                .unwrap();
                stream.splice(at..at, part.iter().copied());
            }
        }
    }
}

/// What is behind the first reply of `bytes`; `None` if they do not begin with one.
fn after_reply(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let (line, rest) = (std::str::from_utf8(&bytes[1..end]), &bytes[end + 2..]);
    let count = || line.ok()?.parse::<i64>().ok();
    let several = |count: i64| (0..count).try_fold(rest, |rest, _| after_reply(rest));
    match bytes[0] {
        b'+' | b'-' => Some(rest),
        b'_' => (end == 1).then_some(rest),
        b':' => count().map(|_| rest),
        b'*' | b'~' => several(count()?),
        b'%' => several(2 * count()?),
        b'$' | b'=' => match usize::try_from(count()?) {
            Ok(length) => rest.get(length..)?.strip_prefix(b"\r\n"),
            Err(_) => Some(rest),
        },
        _ => None,
    }
}

#[test]
fn mangled_commands_are_answered_and_do_no_harm() {
    count_panics();
    for seed in seed::seeds(3) {
        let fixture =
            Fixture::with(|options| options.durability = helium_server::Durability::Buffered);
        let commands = commands(&fixture);
        assert!(commands.len() > 60, "{commands:?}");
        let mut rng = SmallRng::seed_from_u64(seed);
        for number in 0..STREAMS {
            let mut stream = Vec::new();
            for _ in 0..rng.random_range(1..80) {
                stream.extend(request(&mut rng, &commands));
            }
            if rng.random_ratio(2, 3) {
                mangle(&mut rng, &mut stream);
            }
            let again = format!("stream {number} of HELIUM_SEED={seed}");
            let mut client = fixture.connect();
            let mut sender = client.stream.try_clone().unwrap();
            let sending = thread::spawn(move || {
                // The server may close before all of it is sent.
                let _ = sender.write_all(&stream);
                let _ = sender.shutdown(Shutdown::Write);
            });
            let mut replies = Vec::new();
            // An end that the client's own unread bytes have brought about is one, too.
            let _ = client.stream.read_to_end(&mut replies);
            sending.join().unwrap();
            let mut rest = &replies[..];
            while !rest.is_empty() {
                let shown = || String::from_utf8_lossy(&rest[..rest.len().min(200)]).into_owned();
                rest =
                    after_reply(rest).unwrap_or_else(|| panic!("{again}: no reply: {}", shown()));
            }
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{again}");
        }
        let mut client = fixture.connect();
        client.ask("SELECT 7");
        assert_eq!(client.ask("SET k 1"), "+OK");
        assert_eq!(client.ask("GET k"), "$1 1");
    }
}
