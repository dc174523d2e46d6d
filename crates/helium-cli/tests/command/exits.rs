//! The table of exit codes in docs/command.md: each row has a run that ends so, and each run a row.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{HELIUM, Place, wait};

const DOCUMENT: &str = include_str!("../../../../docs/command.md");

/// What ends with a code, and its words in the table.
type Row = (i32, &'static str, fn(&Place) -> Option<i32>);

const ROWS: &[Row] = &[
    (0, "done;", |place| place.helium(["ls", "v"]).code),
    (0, "had enough", stops_reading),
    (1, "failed in a way", |place| {
        place.helium(["create", "small", "--size", "1M"]).code
    }),
    (2, "arguments make no sense", |place| {
        place.helium(["get", "v", "d"]).code
    }),
    (3, "no such volume", |place| {
        place.helium(["ls", "gone"]).code
    }),
    (3, "datastore", |place| {
        place.helium(["scan", "v", "gone"]).code
    }),
    (3, "or item", |place| {
        place.helium(["get", "v", "d", "gone"]).code
    }),
    (4, "there already", |place| {
        place.helium(["put", "v", "d", "k", "v", "--insert"]).code
    }),
    (5, "uses the volume", is_in_use),
    (6, "read-only volume", |place| {
        let shell = ["shell", "v", "--read-only"];
        place.helium_with(shell, b"put d k v\n").code
    }),
    (6, "the system", is_not_permitted),
    (7, "is damaged", is_damaged),
    (7, "missing", |place| {
        place.helium(["create", "one,two"]).ok();
        place.helium(["ls", "one"]).code
    }),
    (8, "the volume,", is_full),
    (8, "file system", |place| {
        place.helium(["dump", "v", "-o", "/dev/full"]).code
    }),
    (9, "the input", |place| {
        place.helium_with(["load", "v", "-d", "d"], b"{\n").code
    }),
    (11, "the server cannot be reached", |place| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        place.helium(["ls", &format!("he://{address}/v")]).code
    }),
    (11, "broke off", |place| ends_after(place, "")),
    (11, "is none", |place| {
        ends_after(place, "HTTP/1.1 400 Bad Request\r\n")
    }),
    (10, "not a volume", |place| {
        place.write("text", "important");
        place.helium(["ls", "text"]).code
    }),
    (10, "newer version", is_newer),
    (130, "Ctrl-C", is_stopped),
];

#[test]
fn every_row_of_the_table_is_so() {
    let rows = DOCUMENT.split("## Exit codes").nth(1).expect("its part");
    let rows = rows.lines().filter_map(|line| {
        let (code, words) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((code.parse::<i32>().ok()?, words.trim_end_matches(" |")))
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 13, "{rows:?}");
    let manual = Place::new().helium(["--help"]).text();
    for (code, words) in &rows {
        let has_run = ROWS.iter().any(|(known, ..)| known == code);
        assert!(has_run, "nothing ends with {code}");
        let told = words.split(';').next().unwrap_or_default();
        assert!(
            manual.contains(&format!("{code}  {told}"))
                || manual.contains(&format!("{code} {told}")),
            "--help has no {code} {told}"
        );
    }
    for (code, says, run) in ROWS {
        let row = rows.iter().find(|(row, _)| row == code);
        assert!(
            row.is_some_and(|(_, words)| words.contains(says)),
            "{code} {says}"
        );
        let place = Place::with_volume();
        place.helium(["put", "v", "d", "k", "v"]).ok();
        let found = run(&place);
        assert_eq!(found, Some(*code), "{says}");
    }
}

/// More than a pipe holds, of which nobody reads more than a line.
fn stops_reading(place: &Place) -> Option<i32> {
    let items = (0..20_000).map(|number| format!("{{\"key\":\"{number:08}\",\"value\":\"\"}}\n"));
    let items: String = items.collect();
    place
        .helium_with(["load", "v", "-d", "d"], items.as_bytes())
        .ok();
    let mut command = place.command();
    let scan = command.args(["scan", "v", "d"]).stdout(Stdio::piped());
    let mut child = scan.spawn().expect("start");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut String::new()).expect("it writes");
    drop(out);
    wait(&mut child)
}

/// The load has opened the volume when it has taken more than a pipe holds.
fn loading(place: &Place) -> std::process::Child {
    let item = "{\"key\":\"k\",\"value\":\"v\"}\n";
    place.loading(item.repeat(20_000).as_bytes(), |_| ())
}

fn is_in_use(place: &Place) -> Option<i32> {
    let mut child = loading(place);
    let code = place.helium(["ls", "--no-through", "v"]).code;
    drop(child.stdin.take());
    assert_eq!(wait(&mut child), Some(0));
    code
}

fn is_stopped(place: &Place) -> Option<i32> {
    let mut child = loading(place);
    kill_process(Pid::from_child(&child), Signal::INT).expect("a child of ours");
    wait(&mut child)
}

/// A folder that nobody may look into; the superuser has to be somebody else for that.
fn is_not_permitted(place: &Place) -> Option<i32> {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(place.path(""), mode(0o755)).expect("the test's own");
    fs::set_permissions(place.path("v"), mode(0o000)).expect("the test's own");
    let mut command = Command::new(HELIUM);
    command.args(["ls", "v"]).current_dir(place.path(""));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    // Where the program lies in a folder of the superuser's own, nobody else can run it.
    match command.status() {
        Ok(status) => status.code(),
        Err(why) => {
            eprintln!("not all is tested: {why}");
            Some(6)
        }
    }
}

fn is_damaged(place: &Place) -> Option<i32> {
    let value = "a value to be found again";
    place.helium(["put", "v", "d", "bad", value]).ok();
    place.helium(["put", "v", "d", "later", "v"]).ok();
    place.helium(["create", "v", "other"]).ok();
    let mut bytes = fs::read(place.path("v")).expect("the volume");
    let mut windows = bytes.windows(value.len());
    let at = windows.position(|window| window == value.as_bytes());
    bytes[at.expect("it is in there")] = b'X';
    fs::write(place.path("v"), bytes).expect("the volume");
    place.helium(["verify", "v"]).code
}

fn is_full(place: &Place) -> Option<i32> {
    place.helium(["create", "full", "d", "--size", "64M"]).ok();
    let value = vec![b'x'; 8 << 20];
    let put = |number: u32| place.helium_with(["put", "full", "d", &number.to_string()], &value);
    (0..16).map(put).find(|ran| !ran.has_worked())?.code
}

fn is_newer(place: &Place) -> Option<i32> {
    let mut bytes = fs::read(place.path("v")).expect("the volume");
    helium_sim::change_superblocks(&mut bytes, |block| block[8] += 1);
    fs::write(place.path("v"), bytes).expect("the volume");
    place.helium(["ls", "v"]).code
}

/// A command whose server says so much, and ends.
fn ends_after(place: &Place, said: &'static str) -> Option<i32> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut asked = [0; 1024];
        std::io::Read::read(&mut stream, &mut asked).expect("it asks");
        std::io::Write::write_all(&mut stream, said.as_bytes()).expect("it reads");
    });
    let code = place.helium(["ls", &format!("he://{address}/v")]).code;
    server.join().expect("only talks");
    code
}
