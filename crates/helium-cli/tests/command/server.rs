//! `helium server`: started, talked to, told to stop, and killed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{HELIUM, Place};

/// A server, which is killed when the test is over.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(mut command: Command, more: &[&str]) -> Self {
        let mut child = command
            .args(["server", "v", "--listen", "0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its output");
        let address = line.trim().rsplit(' ').next().expect("a word");
        let address = address.parse().expect("an address");
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a socket");
        stream
    }

    fn ask(&self, lines: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(lines.as_bytes()).expect("it reads");
        stream.write_all(b"QUIT\r\n").expect("it reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it answers");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let place = Place::with_volume();
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(place.command(), &[]);
        let said = server.ask("HE.USE d\r\nSET key value\r\nGET key\r\n");
        assert_eq!(said, "+OK\r\n+OK\r\n$5\r\nvalue\r\n+OK\r\n");
        kill_process(Pid::from_child(&server.child), signal).expect("it runs");
        let ended = server.child.wait().expect("a child of ours");
        assert_eq!(ended.code(), Some(0), "{signal:?}");
        assert_eq!(place.helium(["get", "v", "d", "key"]).ok(), b"value");
    }
}

#[test]
fn arguments_that_make_no_sense_get_a_sentence() {
    let place = Place::with_volume();
    for (arguments, code, words) in [
        (&["server", "gone"][..], 3, "helium create gone"),
        (
            &["server", "v", "--listen", "0.0.0.0:0"],
            1,
            "--insecure-listen",
        ),
        (
            &["server", "v", "--listen", "x:y"],
            2,
            "no address to listen on",
        ),
        (&["server", "v", "--backups", "gone"], 3, "is not a folder"),
        (&["server", "v", "--users", "gone"], 9, "cannot read gone"),
        (&["server", "v", "--users", "v"], 9, "v"),
        (&["server", "v", "--tls-cert", "gone"], 2, "--tls-key"),
        (
            &["server", "v", "--tls-cert", "gone", "--tls-key", "gone"],
            9,
            "gone",
        ),
        (
            &["server", "v", "--metrics", "0.0.0.0:0"],
            1,
            "--insecure-listen",
        ),
        (&["server", "--hash-password"], 2, "the password is empty"),
    ] {
        place.helium(arguments).fails(code, &[words]);
    }
}

#[test]
fn users_come_from_a_file_with_hashes() {
    let place = Place::with_volume();
    let hash = place
        .helium_with(["server", "--hash-password"], b"secret\n")
        .ok();
    let hash = String::from_utf8(hash).expect("text");
    place.write("users", format!("default {} r@*/*\n", hash.trim()));
    let server = Server::start(place.command(), &["--users", "users"]);
    let said = server.ask("PING\r\nAUTH x\r\nAUTH secret\r\nGET a\r\nSET a 1\r\n");
    let said: Vec<_> = said
        .lines()
        .map(|line| line.split(' ').next().expect("a word"))
        .collect();
    assert_eq!(
        said,
        ["-NOAUTH", "-WRONGPASS", "+OK", "$-1", "-NOPERM", "+OK"]
    );
}

/// The server is told nothing: it looks by itself.
#[test]
fn a_file_of_users_that_changes_is_read_again() {
    let place = Place::with_volume();
    let hash = helium_server::hash_password("secret").expect("a hash");
    let put = |text: &str| {
        place.write("next", text.replace("HASH", &hash));
        std::fs::rename(place.path("next"), place.path("users")).expect("a file");
    };
    put("default HASH r@*/*\n");
    let server = Server::start(place.command(), &["--users", "users"]);
    let mut stream = BufReader::new(server.connect());
    let mut ask = |line: &str| {
        stream
            .get_mut()
            .write_all(line.as_bytes())
            .expect("it reads");
        let mut said = String::new();
        stream.read_line(&mut said).expect("it answers");
        said
    };
    assert_eq!(ask("AUTH secret\r\n"), "+OK\r\n");
    assert!(ask("SET a 1\r\n").starts_with("-NOPERM"));
    // What makes no sense changes nothing; what comes behind it does.
    put("default nonsense rw@*/*\n");
    assert!(ask("SET a 1\r\n").starts_with("-NOPERM"));
    put("default HASH rw@*/*\n");
    while ask("SET a 1\r\n").starts_with("-NOPERM") {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ask("SET a 1\r\n"), "+OK\r\n");
}

/// Starts the server as systemd does: a socket is number 3, and somebody waits to hear that it is ready.
const ACTIVATE: &str = "
import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=os.path.abspath('notify'))
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn systemd_hands_it_a_socket_and_hears_when_it_is_ready() {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|ran| ran.status.success()) {
        println!("SKIPPED: python3 is not installed");
        return;
    }
    let place = Place::with_volume();
    let notified = UnixDatagram::bind(place.path("notify")).expect("a socket");
    notified
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a socket");
    let heard = || {
        let mut text = [0; 200];
        let count = notified.recv(&mut text).expect("it tells");
        String::from_utf8_lossy(&text[..count]).into_owned()
    };
    let mut command = Command::new("python3");
    command
        .current_dir(place.path(""))
        .args(["-c", ACTIVATE, HELIUM]);
    let mut server = Server::start(command, &[]);
    assert_ne!(server.address.port(), 0);
    assert!(heard().contains("READY=1"));
    assert_eq!(server.ask("PING\r\n"), "+PONG\r\n+OK\r\n");
    kill_process(Pid::from_child(&server.child), Signal::TERM).expect("it runs");
    assert!(heard().contains("STOPPING=1"));
    assert_eq!(
        server.child.wait().expect("a child of ours").code(),
        Some(0)
    );
}

/// Several connections write as fast as they are answered, and the process is killed: what was acknowledged is there.
#[test]
fn what_was_acknowledged_outlives_a_kill() {
    const CLIENTS: usize = 4;
    let place = Place::with_volume();
    let mut known = [0_usize; CLIENTS];
    for round in 0..3 {
        let mut server = Server::start(place.command(), &[]);
        let streams: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        let writers: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(client, stream)| {
                let last = known[client];
                std::thread::spawn(move || write(client, last, &stream))
            })
            .collect();
        // So long that some have been answered, whatever else the machine does.
        while server.ask("DBSIZE\r\n").starts_with(":0") {}
        std::thread::sleep(Duration::from_millis(20 * (round + 1)));
        server.child.kill().expect("it runs");
        server.child.wait().expect("a child of ours");
        for (known, writer) in known.iter_mut().zip(writers) {
            *known = writer.join().expect("only writes");
        }
        let again = Server::start(place.command(), &[]);
        for (client, &known) in known.iter().enumerate() {
            let said = again.ask(&format!("GET last{client}\r\n"));
            let last: usize = said
                .lines()
                .nth(1)
                .and_then(|last| last.parse().ok())
                .unwrap_or(0);
            assert!(
                last >= known,
                "client {client}: {known} was acknowledged, {last} is there"
            );
        }
    }
}

/// Sets a key of the client's own to higher and higher numbers than `acknowledged`; the last one that was acknowledged.
fn write(client: usize, mut acknowledged: usize, mut stream: &TcpStream) -> usize {
    let mut reply = [0; 5];
    for number in acknowledged + 1.. {
        let request = format!("SET last{client} {number}\r\n");
        if stream.write_all(request.as_bytes()).is_err() || stream.read_exact(&mut reply).is_err() {
            break;
        }
        assert_eq!(&reply, b"+OK\r\n");
        acknowledged = number;
    }
    acknowledged
}
