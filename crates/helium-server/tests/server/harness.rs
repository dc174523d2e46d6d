//! A server on a volume of its own, and a client that sends and sees bytes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use helium_server::{Named, Options, Server};
use heliumdb::{Volume, VolumeOptions};

/// How long a reply may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, its volumes and their folder.
pub struct Fixture {
    pub server: Option<Server>,
    pub volumes: Vec<Volume>,
    _folder: tempfile::TempDir,
}

/// A volume in a file there.
pub fn volume(folder: &std::path::Path, name: &str) -> Volume {
    let url = format!("he://./{}", folder.join(name).display());
    let mut options = VolumeOptions::default();
    options.read_cache_bytes = 8 << 20;
    options.write_cache_bytes = 16 << 20;
    Volume::open(&url, &options).unwrap()
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volumes = vec![volume(folder.path(), "one"), volume(folder.path(), "two")];
        let named = ["one", "two"].iter().zip(&volumes);
        let named = named.map(|(name, volume)| Named {
            name: (*name).to_owned(),
            volume: volume.clone(),
        });
        let mut options = Options::default();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        options.listen = vec![anywhere];
        options.metrics = Some(anywhere);
        change(&mut options);
        let server = Server::start(named.collect(), options).unwrap();
        Self {
            server: Some(server),
            volumes,
            _folder: folder,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().addresses()[0]
    }

    pub fn metrics_address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().metrics_address().unwrap()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        for volume in &self.volumes {
            let _ = volume.close();
        }
    }
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    /// What came and was not looked at.
    rest: Vec<u8>,
}

/// A request as bytes.
pub fn encode<A: AsRef<[u8]>>(words: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.as_ref().len()).as_bytes());
        bytes.extend_from_slice(word.as_ref());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends the words of `line`, which spaces part, and returns the reply as it came, without line ends.
    pub fn ask(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        self.send(&encode(&words));
        self.reply()
    }

    /// The same, with words of any bytes.
    pub fn ask_words<A: AsRef<[u8]>>(&mut self, words: &[A]) -> String {
        self.send(&encode(words));
        self.reply()
    }

    /// The next reply.
    pub fn reply(&mut self) -> String {
        let mut text = String::new();
        self.read_reply(&mut text);
        text.trim_end().to_owned()
    }

    fn read_reply(&mut self, text: &mut String) {
        let line = self.line();
        let (kind, number) = line.split_at(1);
        let count = || number.parse::<i64>().unwrap();
        *text += &line;
        *text += " ";
        match kind {
            "$" | "=" if count() >= 0 => {
                let bytes = self.exactly(count() as usize + 2);
                *text += &String::from_utf8_lossy(&bytes[..bytes.len() - 2]);
                *text += " ";
            }
            "*" | "~" | "%" if count() > 0 => {
                let pairs = if kind == "%" { 2 } else { 1 };
                (0..pairs * count()).for_each(|_| self.read_reply(text));
            }
            _ => {}
        }
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line = self.exactly(end + 1);
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            assert!(self.fill(), "the connection was closed");
        }
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            assert!(self.fill(), "the connection was closed");
        }
        let behind = self.rest.split_off(count);
        std::mem::replace(&mut self.rest, behind)
    }

    fn fill(&mut self) -> bool {
        let mut bytes = vec![0; 64 << 10];
        let count = self.stream.read(&mut bytes).unwrap();
        self.rest.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// Whether something has come, at once.
    pub fn has_come(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_nonblocking(false).unwrap();
        !self.rest.is_empty() || matches!(peeked, Ok(1))
    }

    /// Nothing has come in reply to what was sent.
    #[track_caller]
    pub fn assert_silent(&mut self, what: &str) {
        assert!(!self.has_come(), "{what} was answered too early");
    }

    /// Everything up to the end of the connection.
    pub fn until_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.rest)
    }
}

/// The path of a program, if it is installed; else a line that says what is not tested.
pub fn installed(program: &str) -> bool {
    let found = std::process::Command::new(program)
        .arg("--version")
        .output()
        .is_ok();
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}
