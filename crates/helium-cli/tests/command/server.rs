//! `helium server`: started, talked to, told to stop, and killed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Place;

/// A server, which is killed when the test is over.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(mut command: Command, more: &[&str]) -> Self {
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
            .map(|(client, stream)| std::thread::spawn(move || write(client, &stream)))
            .collect();
        // So long that some have been answered, whatever else the machine does.
        while server.ask("DBSIZE\r\n").starts_with(":0") {}
        std::thread::sleep(Duration::from_millis(20 * (round + 1)));
        server.child.kill().expect("it runs");
        server.child.wait().expect("a child of ours");
        for (known, writer) in known.iter_mut().zip(writers) {
            *known = writer.join().expect("only writes").max(*known);
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

/// Sets a key of the client's own to higher and higher numbers; the last one that was acknowledged.
fn write(client: usize, mut stream: &TcpStream) -> usize {
    let mut acknowledged = 0;
    let mut reply = [0; 5];
    for number in 1.. {
        let request = format!("SET last{client} {number}\r\n");
        if stream.write_all(request.as_bytes()).is_err() || stream.read_exact(&mut reply).is_err() {
            break;
        }
        assert_eq!(&reply, b"+OK\r\n");
        acknowledged = number;
    }
    acknowledged
}
