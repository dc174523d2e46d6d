//! A server on a volume of its own, on a free port; and an end that answers what a test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use helium_remote::{Options, Remote};
use helium_server::{Named, Server};
use heliumdb::{DatastoreOptions, Volume, VolumeOptions};

pub struct Fixture {
    server: Option<Server>,
    pub volume: Volume,
    _folder: tempfile::TempDir,
}

fn volume(path: &Path) -> Volume {
    let url = format!("he://./{}", path.display());
    let mut options = VolumeOptions::default();
    options.read_cache_bytes = 8 << 20;
    options.write_cache_bytes = 16 << 20;
    Volume::open(&url, &options).unwrap()
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut helium_server::Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volume = volume(&folder.path().join("fruit"));
        let named = Named {
            name: "fruit".to_owned(),
            volume: volume.clone(),
        };
        let mut options = helium_server::Options::default();
        options.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        change(&mut options);
        Self {
            server: Some(Server::start(vec![named], options).unwrap()),
            volume,
            _folder: folder,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().addresses()[0]
    }

    /// The volume over the wire, with a datastore `d`.
    pub fn remote(&self) -> Remote {
        let remote = open(self.address()).unwrap();
        remote
            .create_datastore(b"d", &DatastoreOptions::default())
            .unwrap();
        remote
    }
}

pub fn open(at: SocketAddr) -> heliumdb::Result<Remote> {
    open_with(at, |_| {})
}

pub fn open_with(at: SocketAddr, change: impl FnOnce(&mut Options)) -> heliumdb::Result<Remote> {
    let mut options = Options::default();
    options.answer = Duration::from_secs(30);
    change(&mut options);
    Remote::open(&format!("he://{at}/fruit"), &options)
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let _ = self.volume.close();
    }
}

/// An end that has `talk` have each connection in turn, until it says that it is enough; and its address.
pub fn end(
    mut talk: impl FnMut(usize, &mut BufReader<TcpStream>) -> bool + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for number in 0.. {
            let (stream, _) = listener.accept().unwrap();
            if !talk(number, &mut BufReader::new(stream)) {
                break;
            }
        }
    });
    (address, thread)
}

/// The next request; nothing if the other end is gone.
pub fn request<S: Read>(stream: &mut BufReader<S>) -> Option<Vec<String>> {
    let mut number = |kind: &str| {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        line.trim_end().strip_prefix(kind)?.parse::<usize>().ok()
    };
    let count = number("*")?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let len: usize = line.trim_end().strip_prefix('$')?.parse().ok()?;
        let mut word = vec![0; len + 2];
        stream.read_exact(&mut word).ok()?;
        word.truncate(len);
        words.push(String::from_utf8(word).unwrap());
    }
    Some(words)
}

pub fn say<S: Read + Write>(stream: &mut BufReader<S>, text: &str) {
    // Whoever is gone hears nothing.
    let _ = stream.get_mut().write_all(text.as_bytes());
}

/// Answers what is asked when a volume is opened and a datastore gone to.
pub fn greet<S: Read + Write>(stream: &mut BufReader<S>) {
    assert_eq!(request(stream).unwrap()[0], "HE.VOLUME");
    say(stream, "*2\r\n$5\r\nfruit\r\n$2\r\nid\r\n");
}
