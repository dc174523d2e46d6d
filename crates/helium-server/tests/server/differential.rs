//! The same commands to Redis itself: every reply must be the same, byte for byte.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::harness::{Client, Fixture, installed};

/// A Redis of our own.
struct Redis {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &address.port().to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
            ])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Words are parted by spaces; `~` stands for an empty one.
const SCRIPT: &str = include_str!("script.txt");

fn words(line: &str) -> Vec<&str> {
    let words = line.split_whitespace();
    words
        .map(|word| if word == "~" { "" } else { word })
        .collect()
}

#[test]
fn every_reply_is_the_one_of_redis() {
    if !installed("redis-server") {
        return;
    }
    let redis = Redis::start();
    let fixture = Fixture::new();
    let mut different = Vec::new();
    for protocol in ["2", "3"] {
        let mut theirs = Client::connect(redis.address);
        let mut ours = fixture.connect();
        theirs.ask(&format!("HELLO {protocol}"));
        ours.ask(&format!("HELLO {protocol}"));
        for line in SCRIPT
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let words = words(line);
            let expected = theirs.ask_words(&words);
            let got = ours.ask_words(&words);
            let is_unordered = line.starts_with("KEYS");
            let sorted = |text: &str| {
                let words = text.split_whitespace();
                let mut words: Vec<_> = words.map(str::to_owned).collect();
                words.sort();
                words
            };
            let is_same = match is_unordered {
                true => sorted(&got) == sorted(&expected),
                false => got == expected,
            };
            if !is_same {
                different.push(format!("{line}\n  Redis: {expected}\n  ours:  {got}"));
            }
        }
        theirs.ask("FLUSHALL");
        ours.ask("FLUSHALL");
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn what_is_no_protocol_gets_the_error_of_redis() {
    if !installed("redis-server") {
        return;
    }
    let redis = Redis::start();
    let fixture = Fixture::new();
    for bytes in [
        "*x\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n$-5\r\n",
        "set \"a\r\n",
        "PING\r\n\r\nECHO \"a b\"\r\nQUIT\r\n",
        "*1\r\n$4\r\nPING\r\n*-1\r\n*0\r\n*1\r\n$4\r\nQUIT\r\n",
    ] {
        let mut replies = [redis.address, fixture.address()].map(|address| {
            let mut client = Client::connect(address);
            client.send(bytes.as_bytes());
            String::from_utf8(client.until_end()).unwrap()
        });
        let ours = std::mem::take(&mut replies[1]);
        assert_eq!(ours, replies[0], "{bytes:?}");
    }
}
