//! The `wt` program over our objects, with the extension given by `-C` or found by itself.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use wiredtiger_testkit::pack;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

/// A database at rest, and `wt` to look at it. None where `wt` is not installed.
struct Utility {
    arena: Arena,
    config: String,
}

impl Utility {
    fn new() -> Option<Self> {
        if Command::new("wt").arg("-V").output().is_err() {
            eprintln!(
                "skipped: the wt program is not installed (on Debian: apt-get install wiredtiger)"
            );
            return None;
        }
        let mut arena = Arena::new(Kind::Object);
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for number in 0..50 {
                cursor
                    .put(&format!("key {number:02}"), &format!("value {number}"))
                    .unwrap();
            }
        }
        let config = arena.open_config();
        arena.close();
        Some(Self { arena, config })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_in(&self.arena.home(), arguments, None)
    }

    fn run_in(&self, home: &Path, arguments: &[&str], input: Option<&[u8]>) -> Output {
        let mut command = Command::new("wt");
        command
            .arg("-h")
            .arg(home)
            .arg("-C")
            .arg(&self.config)
            .args(arguments);
        match input {
            None => command.stdin(Stdio::null()),
            Some(bytes) => {
                let file = self.arena.folder().join("input");
                std::fs::write(&file, bytes).unwrap();
                command.stdin(std::fs::File::open(file).unwrap())
            }
        };
        command.output().unwrap()
    }

    fn works(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        success(arguments, &output);
        String::from_utf8(output.stdout).unwrap()
    }

    fn rows(&mut self, uri: &str) -> Vec<String> {
        self.arena.open();
        let rows = {
            let session = self.arena.session();
            session.cursor(uri, "").unwrap().list().unwrap()
        };
        self.arena.close();
        rows
    }
}

fn success(arguments: &[&str], output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "wt {arguments:?}: {errors}");
    assert_eq!(errors, "", "wt {arguments:?} complains");
}

/// `wt read` follows a value's bytes up to the zero at their end: it gets no value without one.
#[test]
fn a_value_of_another_format_is_an_error() {
    let Some(mut wt) = Utility::new() else { return };
    wt.arena.open();
    {
        let session = wt.arena.session();
        let raw = session.cursor(&wt.arena.uri("t"), "raw").unwrap();
        for (key, value) in [(b"empty\0", &b""[..]), (b"blunt\0", b"no end")] {
            raw.set_key(key).unwrap();
            raw.set_value(value).unwrap();
            raw.insert().unwrap();
        }
    }
    wt.arena.close();
    for key in ["empty", "blunt"] {
        let output = wt.run(&["read", "helium:dev1/t", key]);
        assert_eq!(output.status.code(), Some(1), "{key}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let wanted = format!("the value of the row \"{key}\\x00\" is not of the value_format S");
        assert!(said.contains(&wanted), "{said}");
        assert!(output.stdout.is_empty());
    }
    let read = wt.works(&["read", "helium:dev1/t", "key 07"]);
    assert_eq!(read, "value 7\n");
}

#[test]
fn list_shows_the_objects() {
    let Some(wt) = Utility::new() else { return };
    assert!(
        wt.works(&["list"])
            .lines()
            .any(|line| line == "helium:dev1/t")
    );
    assert!(wt.works(&["list", "-v"]).contains("key_format=S"));
}

#[test]
fn without_a_configuration_the_extension_is_found() {
    let Some(wt) = Utility::new() else { return };
    let output = Command::new("wt")
        .arg("-h")
        .arg(wt.arena.home())
        .args(["dump", "helium:dev1/t"])
        .output()
        .unwrap();
    success(&["dump"], &output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("value 7"));
}

#[test]
fn dump_and_load_go_round() {
    let Some(mut wt) = Utility::new() else {
        return;
    };
    let before = wt.rows("helium:dev1/t");
    for flag in [None, Some("-x")] {
        let dump = |uri| {
            let arguments: Vec<&str> = ["dump"].into_iter().chain(flag).chain([uri]).collect();
            wt.works(&arguments)
        };
        // `load -r` renames WiredTiger's own kinds of objects only.
        let text = dump("helium:dev1/t").replace("helium:dev1/t", "helium:dev2/copy");
        let output = wt.run_in(&wt.arena.home(), &["load"], Some(text.as_bytes()));
        success(&["load"], &output);
        assert_eq!(dump("helium:dev2/copy"), text);
        assert_eq!(wt.rows("helium:dev2/copy"), before);
        wt.works(&["drop", "helium:dev2/copy"]);
    }
}

#[test]
fn dump_speaks_json() {
    let Some(wt) = Utility::new() else { return };
    let dump = wt.works(&["dump", "-j", "helium:dev1/t"]);
    assert!(dump.contains("\"value 49\""), "{dump}");
}

/// Tables with column groups, indices and numbers, texts and bytes with whatever in them: what was loaded is dumped as
/// the same text. (`wt load` forgets sources of a table's own, and leaves zeros between an escaped text and bytes behind it.)
#[test]
fn a_dump_in_json_goes_round() {
    let Some(mut wt) = Utility::new() else {
        return;
    };
    wt.arena.open();
    {
        let session = wt.arena.session();
        let create = |uri: &str, config: &str| session.create(uri, config).unwrap();
        create("helium:dev1/bytes", "key_format=u,value_format=u");
        create("helium:dev1/bits", "key_format=r,value_format=8t");
        create("helium:dev1/numbers", "key_format=r,value_format=S");
        create(
            "helium:dev1/packed",
            "key_format=iS,value_format=bBhHiIlLqQ3SR",
        );
        let columns = "key_format=S,value_format=SiS,columns=(k,a,b,d)";
        create(
            "table:dev1/groups",
            &format!("type=helium,{columns},colgroups=(x,y),app_metadata=\"a=b\""),
        );
        create("colgroup:dev1/groups:x", "type=helium,columns=(a,b)");
        create("colgroup:dev1/groups:y", "type=helium,columns=(d)");
        create("index:dev1/groups:i", "type=helium,columns=(b,a)");
        let texts = [
            "",
            "plain",
            "quote\"back\\slash/",
            "tab\tnl\n\r\x08\x0c",
            "\x01\x7f\x1f",
            "caf\u{e9} \u{1f600}",
        ];
        let put = |uri: &str, rows: &dyn Fn(usize) -> (Vec<u8>, Vec<u8>)| {
            let cursor = session.cursor(uri, "raw").unwrap();
            for number in 0..texts.len() {
                let (key, value) = rows(number);
                cursor.set_key(&key).unwrap();
                cursor.set_value(&value).unwrap();
                cursor.insert().unwrap();
            }
        };
        let text = |number: usize| pack::string(texts[number % texts.len()]);
        let number = |number: usize| pack::unsigned(number as u64 + 1);
        put("helium:dev1/bytes", &|n| {
            (vec![n as u8 * 50, 0, 255], vec![n as u8 * 40; n])
        });
        put("helium:dev1/bits", &|n| (number(n), vec![n as u8 * 50]));
        put("helium:dev1/numbers", &|n| (number(n), text(n)));
        put("helium:dev1/packed", &|n| {
            let some = pack::signed(n as i64 - 3);
            let more = pack::unsigned(n as u64 * 60);
            let key = [some.clone(), text(n)].concat();
            let pairs = [some, more].concat().repeat(4);
            (
                key,
                [
                    vec![n as u8 * 50, 7],
                    pairs,
                    b"abc".to_vec(),
                    vec![n as u8; 8],
                ]
                .concat(),
            )
        });
        put("table:dev1/groups", &|n| {
            (
                text(n),
                [
                    text(n + 1),
                    pack::signed(n as i64 * 900 - 1_500),
                    text(n + 2),
                ]
                .concat(),
            )
        });
    }
    wt.arena.close();
    let uris = [
        "helium:dev1/t",
        "helium:dev1/bytes",
        "helium:dev1/bits",
        "helium:dev1/numbers",
        "helium:dev1/packed",
        "table:dev1/groups",
    ];
    let arguments: Vec<&str> = ["dump", "-j"].into_iter().chain(uris).collect();
    let text = wt.works(&arguments);
    for uri in uris {
        wt.works(&["drop", uri]);
    }
    let file = wt.arena.folder().join("dump.json");
    std::fs::write(&file, &text).unwrap();
    wt.works(&["load", "-j", "-f", file.to_str().unwrap()]);
    let again = wt.works(&arguments);
    assert!(text == again, "{text}\n---\n{again}");
}

/// It shows nothing, and says so.
#[test]
fn a_dump_of_a_checkpoint_fails() {
    let Some(wt) = Utility::new() else { return };
    for flags in [&["-c", "x"][..], &["-x", "-c", "x"], &["-j", "-c", "x"]] {
        let arguments: Vec<&str> = ["dump"]
            .iter()
            .chain(flags)
            .chain(&["helium:dev1/t"])
            .copied()
            .collect();
        let output = wt.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("no named states"),
            "{output:?}"
        );
    }
}

#[test]
fn reads_and_writes_single_rows() {
    let Some(mut wt) = Utility::new() else { return };
    assert_eq!(wt.works(&["read", "helium:dev1/t", "key 07"]), "value 7\n");
    wt.works(&["write", "helium:dev1/t", "new", "row"]);
    assert!(wt.rows("helium:dev1/t").contains(&"new=row".to_owned()));
    assert!(
        !wt.run(&["read", "helium:dev1/t", "missing"])
            .status
            .success()
    );
}

#[test]
fn creates_renames_and_drops() {
    let Some(mut wt) = Utility::new() else { return };
    wt.works(&["create", "-c", FORMATS, "helium:dev2/made"]);
    wt.works(&["write", "helium:dev2/made", "k", "v"]);
    wt.works(&["rename", "helium:dev2/made", "helium:dev2/renamed"]);
    assert_eq!(wt.rows("helium:dev2/renamed"), ["k=v"]);
    wt.works(&["drop", "helium:dev2/renamed"]);
    assert!(!wt.works(&["list"]).contains("dev2"));
    assert!(!wt.run(&["dump", "helium:dev2/renamed"]).status.success());
}

#[test]
fn verifies_and_truncates() {
    let Some(mut wt) = Utility::new() else { return };
    wt.works(&["verify", "helium:dev1/t"]);
    wt.works(&["truncate", "helium:dev1/t"]);
    assert!(wt.rows("helium:dev1/t").is_empty());
}

#[test]
fn tables_over_the_data_source_go_round() {
    let Some(mut wt) = Utility::new() else { return };
    wt.works(&[
        "create",
        "-c",
        &format!("type=helium,{FORMATS}"),
        "table:dev1/people",
    ]);
    wt.works(&["write", "table:dev1/people", "ada", "1815"]);
    let dump = wt.works(&["dump", "table:dev1/people"]);
    wt.works(&["drop", "table:dev1/people"]);
    let output = wt.run_in(&wt.arena.home(), &["load"], Some(dump.as_bytes()));
    success(&["load"], &output);
    assert_eq!(wt.rows("table:dev1/people"), ["ada=1815"]);
}

/// What WiredTiger refuses for every data source.
#[test]
fn stat_and_upgrade_are_refused() {
    let Some(wt) = Utility::new() else { return };
    for arguments in [["stat", "helium:dev1/t"], ["upgrade", "helium:dev1/t"]] {
        assert!(!wt.run(&arguments).status.success(), "{arguments:?}");
    }
}
