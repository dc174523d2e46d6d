//! The extension's configuration: devices, options, and what is refused with which words.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use tempfile::TempDir;
use wiredtiger_testkit::helium::{self, Volume};
use wiredtiger_testkit::{Error, Result};

use crate::common::*;

mod system;

const FORMATS: &str = "key_format=S,value_format=S";

/// A folder for one database.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self, volumes: &[Volume], options: &str) -> Result<Connection> {
        let extension = helium::extensions_with(volumes, options).unwrap();
        Connection::open(self.path(), &format!("create,{extension}"))
    }

    /// Opens, writes on every volume named, and closes.
    fn works(&self, volumes: &[Volume], options: &str, names: &[&str]) {
        let connection = self.open(volumes, options).unwrap();
        let session = connection.session().unwrap();
        for name in names {
            let uri = format!("helium:{name}/t");
            session.create(&uri, FORMATS).unwrap();
            let cursor = session.cursor(&uri, "").unwrap();
            cursor.put("k", name).unwrap();
            assert_eq!(cursor.list().unwrap(), [format!("k={name}")]);
        }
    }

    fn refused(&self, volumes: &[Volume], options: &str) -> Error {
        self.open(volumes, options)
            .err()
            .expect("this has to be refused")
    }
}

fn says(error: &Error, words: &[&str]) {
    let text = error.messages.join("\n");
    for word in words {
        assert!(text.contains(word), "no {word} in: {text}");
    }
}

#[test]
fn a_device_that_does_not_exist_becomes_a_private_file() {
    let place = Place::new();
    place.works(&[volume(1, place.path())], "", &["dev1"]);
    let mode = place
        .path()
        .join("dev1.helium")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn devices_are_a_string_or_a_list() {
    let place = Place::new();
    let path = helium::extension_path().unwrap();
    let device = |name: &str| format!("he://{}", place.path().join(name).display());
    let config = format!(
        "create,extensions=[\"{}\"=[config=[one=[helium_devices=\"{}\"],two=[helium_devices=[\"{}\"]],\
         three=[helium_devices=\"{},{}\"],four=[helium_devices=[\"{}\",\"{}\"]]]]]",
        path.display(),
        device("1"),
        device("2"),
        device("3"),
        place.path().join("4").display(),
        device("5"),
        device("6"),
    );
    for _ in 0..2 {
        let connection = Connection::open(place.path(), &config).unwrap();
        let session = connection.session().unwrap();
        for name in ["one", "two", "three", "four"] {
            let uri = format!("helium:{name}/t");
            session.create(&uri, FORMATS).unwrap();
            session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        }
    }
    for name in ["1", "2", "3", "4", "5", "6"] {
        assert!(place.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn a_relative_device_is_relative_to_the_working_folder() {
    let place = Place::new();
    let here = std::env::current_dir().unwrap();
    let up = here
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .count();
    let path = place.path().join("relative");
    let url = format!(
        "he://./{}{}",
        "../".repeat(up),
        path.strip_prefix("/").unwrap().display()
    );
    place.works(&[Volume::devices("dev1", &[&url])], "", &["dev1"]);
    assert!(path.is_file());
}

#[test]
fn memory_makes_a_volume_that_does_not_stay() {
    let place = Place::new();
    let volumes = [Volume::devices("memory", &["he://._128"])];
    // `_NNN` is a size in megabytes; where it is not understood the sentence must say so.
    match place.open(&volumes, "") {
        Ok(connection) => {
            let session = connection.session().unwrap();
            session.create("helium:memory/t", FORMATS).unwrap();
            session
                .cursor("helium:memory/t", "")
                .unwrap()
                .put("k", "v")
                .unwrap();
        }
        Err(error) => says(&error, &["memory"]),
    }
}

#[test]
fn a_blank_file_is_used_and_keeps_its_size() {
    let place = Place::new();
    let path = place.path().join("dev1.helium");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(96 << 20)
        .unwrap();
    place.works(&[volume(1, place.path())], "", &["dev1"]);
    assert_eq!(path.metadata().unwrap().len(), 96 << 20);
}

#[test]
fn a_blank_file_that_is_too_small_is_refused() {
    let place = Place::new();
    std::fs::File::create(place.path().join("dev1.helium"))
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    says(&place.refused(&[volume(1, place.path())], ""), &["dev1"]);
}

/// Nothing that is not ours is ever overwritten, unless asked for.
#[test]
fn a_stranger_is_refused_and_left_alone() {
    let place = Place::new();
    let path = place.path().join("dev1.helium");
    let precious = b"somebody's thesis ".repeat(8 << 20 >> 1);
    std::fs::write(&path, &precious).unwrap();
    let error = place.refused(&[volume(1, place.path())], "");
    says(&error, &["dev1"]);
    assert!(
        std::fs::read(&path).unwrap() == precious,
        "the file was touched"
    );
    place.works(
        &[volume(1, place.path()).with("helium_o_volume_truncate=true")],
        "",
        &["dev1"],
    );
}

#[test]
fn truncation_on_request_empties_a_volume() {
    let place = Place::new();
    place.works(&[volume(1, place.path())], "", &["dev1"]);
    let home = tempfile::tempdir().unwrap();
    let truncated = [volume(1, place.path()).with("helium_o_volume_truncate=1")];
    let extension = helium::extensions(&truncated).unwrap();
    let connection = Connection::open(home.path(), &format!("create,{extension}")).unwrap();
    let session = connection.session().unwrap();
    session
        .create("helium:dev1/t", &format!("{FORMATS},exclusive"))
        .unwrap();
    assert!(
        session
            .cursor("helium:dev1/t", "")
            .unwrap()
            .list()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn unknown_keys_are_named() {
    let place = Place::new();
    let error = place.refused(&[volume(1, place.path()).with("helium_colour=red")], "");
    assert_eq!(error.code, Code::EINVAL, "{error}");
    says(&error, &["helium_colour", "dev1"]);
}

#[test]
fn bad_values_are_named() {
    let place = Place::new();
    for bad in [
        "helium_o_volume_truncate=perhaps",
        "helium_o_volume_truncate=7",
        "helium_env_read_cache_size=lots",
        "helium_env_write_cache_size=-5",
    ] {
        let error = place.refused(&[volume(1, place.path()).with(bad)], "");
        assert_eq!(error.code, Code::EINVAL, "{bad}: {error}");
        says(&error, &[bad.split('=').next().unwrap(), "dev1"]);
    }
    for bad in [
        "helium_verbose=3",
        "helium_verbose=loud",
        "helium_verbose=-1",
    ] {
        let error = place.refused(&[volume(1, place.path())], bad);
        assert_eq!(error.code, Code::EINVAL, "{bad}: {error}");
        says(&error, &["helium_verbose"]);
    }
}

#[test]
fn a_volume_needs_devices() {
    let place = Place::new();
    for config in [
        "config=[dev1=[]]",
        "config=[dev1=[helium_devices=\"\"]]",
        "config=[dev1=[helium_devices=[]]]",
        "config=[dev1=[helium_devices=\"he://\"]]",
        "config=[dev1=[helium_o_volume_truncate=1]]",
        "config=[dev1=7]",
    ] {
        let path = helium::extension_path().unwrap();
        let all = format!("create,extensions=[\"{}\"=[{config}]]", path.display());
        let error = Connection::open(place.path(), &all).err().unwrap();
        assert_eq!(error.code, Code::EINVAL, "{config}: {error}");
        says(&error, &["dev1"]);
    }
}

/// The seed follows a null pointer here (its number 22).
#[test]
fn no_volume_at_all_is_refused() {
    let place = Place::new();
    for config in ["", "=[config=[]]", "=[config=[helium_verbose=1]]"] {
        let path = helium::extension_path().unwrap();
        let all = format!("create,extensions=[\"{}\"{config}]", path.display());
        let error = Connection::open(place.path(), &all).err().unwrap();
        assert_eq!(error.code, Code::EINVAL, "{config}: {error}");
    }
}

#[test]
fn the_same_volume_twice_is_refused() {
    let place = Place::new();
    let url = format!("he://{}", place.path().join("one").display());
    let (a, b) = (Volume::devices("a", &[&url]), Volume::devices("b", &[&url]));
    assert!(
        place.open(&[a.clone(), b], "").is_err(),
        "one file as two volumes"
    );
    assert!(place.open(&[a.clone(), a], "").is_err(), "one name twice");
    assert!(
        place
            .open(&[Volume::devices("c", &[&url, &url])], "")
            .is_err(),
        "one file twice"
    );
}

#[test]
fn a_volume_in_use_is_refused_by_name() {
    let (one, two) = (Place::new(), Place::new());
    let connection = one.open(&[volume(1, one.path())], "").unwrap();
    let error = two.refused(&[volume(1, one.path())], "");
    says(&error, &["dev1"]);
    assert!(
        error
            .messages
            .iter()
            .any(|text| ["use", "lock", "open", "held"]
                .iter()
                .any(|word| text.contains(word))),
        "{error}"
    );
    connection.close().unwrap();
    two.works(&[volume(1, one.path())], "", &[]);
}

#[test]
fn cache_sizes_have_two_names() {
    for (read, write) in [
        ("helium_env_read_cache_size", "helium_env_write_cache_size"),
        ("helium_read_cache", "helium_write_cache"),
    ] {
        let place = Place::new();
        let option = format!("{read}=64MB,{write}=32MB");
        place.works(&[volume(1, place.path()).with(&option)], "", &["dev1"]);
    }
}

/// What `he.h` has in its environment goes by both names, and what is out of range is brought into it.
#[test]
fn the_environment_has_two_names_and_is_clamped() {
    for prefix in ["helium_", "helium_env_"] {
        let place = Place::new();
        let mut volume = volume(1, place.path())
            .with("helium_o_volume_notrim=true,helium_o_volume_clean=true")
            .with("helium_checkpoint_log_bytes=1GB");
        for (key, value) in [
            ("clean_util_pct", "1000"),
            ("clean_dirty_pct", "0"),
            ("auto_clean_period", "3"),
            ("retry_count", "99999999999"),
            ("retry_delay", "99999999999"),
            ("read_cache", "9999P"),
            ("write_cache", "1"),
        ] {
            let bad = volume.clone().with(&format!("{prefix}{key}=red"));
            let error = place.refused(&[bad], "");
            says(&error, &["volume dev1", &format!("{prefix}{key}"), "red"]);
            volume = volume.with(&format!("{prefix}{key}={value}"));
        }
        place.works(&[volume], "", &["dev1"]);
    }
}

#[test]
fn verbose_goes_to_the_message_handler() {
    let place = Place::new();
    let connection = place
        .open(&[volume(1, place.path())], "helium_verbose=2")
        .unwrap();
    let session = connection.session().unwrap();
    session.create("helium:dev1/t", FORMATS).unwrap();
    session
        .cursor("helium:dev1/t", "")
        .unwrap()
        .put("k", "v")
        .unwrap();
    assert!(!connection.events().is_empty(), "nothing was said");
    assert!(connection.errors().is_empty(), "{:?}", connection.errors());
}

#[test]
fn loads_into_an_open_database() {
    let place = Place::new();
    let connection = Connection::open(place.path(), "create").unwrap();
    let config = helium::config(&[volume(1, place.path())], "");
    connection
        .load_extension(&helium::extension_path().unwrap(), &config)
        .unwrap();
    let session = connection.session().unwrap();
    session.create("helium:dev1/t", FORMATS).unwrap();
    let cursor = session.cursor("helium:dev1/t", "").unwrap();
    cursor.put("k", "v").unwrap();
    assert_eq!(cursor.list().unwrap(), ["k=v"]);
}

/// A second time in one connection it is refused, and makes no volume; also where the first one was given to the
/// open.
#[test]
fn loads_into_a_database_once() {
    let place = Place::new();
    let path = helium::extension_path().unwrap();
    let connection = place.open(&[volume(1, place.path())], "").unwrap();
    for number in [1, 2] {
        let config = helium::config(
            &[volume(number, place.path()).with("helium_o_volume_create=true")],
            "",
        );
        assert_eq!(
            connection.load_extension(&path, &config).code(),
            Code::EINVAL
        );
        let said = connection.errors().join("\n");
        assert!(
            said.contains("loaded into this connection already"),
            "{said}"
        );
    }
    assert!(!place.path().join("dev2.helium").exists());
    let session = connection.session().unwrap();
    session.create("helium:dev1/t", FORMATS).unwrap();
}

#[test]
fn the_volume_at_fault_is_named() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("ab"), "somebody's text").unwrap();
    let volumes = [
        Volume::file("short", &at("a")),
        Volume::file("long", &at("ab")),
    ];
    says(&place.refused(&volumes, ""), &["volume long"]);
}

/// State is kept per connection, not per process.
#[test]
fn two_databases_in_one_process_do_not_meet() {
    let (one, two) = (Place::new(), Place::new());
    let first = one
        .open(&[volume(1, one.path())], "helium_verbose=0")
        .unwrap();
    let second = two
        .open(&[volume(1, two.path())], "helium_verbose=2")
        .unwrap();
    for (connection, value) in [(&first, "one"), (&second, "two")] {
        let session = connection.session().unwrap();
        session.create("helium:dev1/t", FORMATS).unwrap();
        session
            .cursor("helium:dev1/t", "")
            .unwrap()
            .put("k", value)
            .unwrap();
    }
    second.close().unwrap();
    let session = first.session().unwrap();
    let cursor = session.cursor("helium:dev1/t", "").unwrap();
    assert_eq!(cursor.list().unwrap(), ["k=one"]);
    cursor.put("l", "more").unwrap();
}

/// A failed start leaves nothing locked behind.
#[test]
fn after_a_refused_start_the_next_one_works() {
    let place = Place::new();
    let bad = [
        volume(1, place.path()),
        volume(2, place.path()).with("helium_colour=red"),
    ];
    place.refused(&bad, "");
    place.works(
        &[volume(1, place.path()), volume(2, place.path())],
        "",
        &["dev1", "dev2"],
    );
}

/// A volume that lost one of its devices, or got a stranger, does not open.
#[test]
fn devices_that_do_not_belong_together_are_refused() {
    let place = Place::new();
    let url = |name: &str| format!("he://{}", place.path().join(name).display());
    let both = Volume::devices("dev1", &[&url("a"), &url("b")]);
    place.works(std::slice::from_ref(&both), "", &["dev1"]);
    says(
        &place.refused(&[Volume::devices("dev1", &[&url("a")])], ""),
        &["/a"],
    );
    let other = Volume::devices("dev2", &[&url("c"), &url("d")]);
    Place::new().works(&[other], "", &["dev2"]);
    says(
        &place.refused(&[Volume::devices("dev1", &[&url("a"), &url("d")])], ""),
        &["/d"],
    );
    place.works(&[both], "", &["dev1"]);
}

/// What an existing database has objects on is missing, whoever opens it with whatever leave to create.
#[test]
fn a_missing_volume_is_not_made_anew() {
    let place = Place::new();
    let file = place.path().join("v");
    let volume = [Volume::file("dev", &file)];
    place.works(&volume, "", &["dev"]);
    let kept = place.path().join("kept");
    std::fs::rename(&file, &kept).unwrap();
    let extension = helium::extensions_with(&volume, "").unwrap();
    for config in ["create", "", "readonly=true", "create=true,exclusive=false"] {
        let opened = Connection::open(place.path(), &format!("{config},{extension}"));
        let error = opened.err().expect("this has to be refused");
        assert_eq!(error.code.0, 2, "{config}: {error}");
        says(
            &error,
            &[
                "volume dev",
                file.to_str().unwrap(),
                "helium_o_volume_create",
            ],
        );
        assert!(!file.exists(), "{config}");
    }
    // One that was cut to nothing is no better.
    std::fs::write(&file, b"").unwrap();
    says(&place.refused(&volume, ""), &["volume dev", "blank"]);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    std::fs::remove_file(&file).unwrap();

    // In so many words it is made, and is not taken for the one that was there.
    let anew = [volume[0].clone().with("helium_o_volume_create=true")];
    {
        let connection = place.open(&anew, "").unwrap();
        let session = connection.session().unwrap();
        let error = session.cursor("helium:dev/t", "").err();
        assert_eq!(error.expect("its rows are gone").code.0, 2);
    }
    std::fs::rename(&kept, &file).unwrap();
    place.works(&volume, "", &["dev"]);
    let more = [
        volume[0].clone(),
        Volume::file("more", &place.path().join("w")).with("helium_o_volume_create=true"),
    ];
    place.works(&more, "", &["dev", "more"]);
}

/// Both superblocks gone: no open formats it, `wt list`'s neither.
#[test]
fn a_damaged_volume_is_not_formatted() {
    use std::os::unix::fs::FileExt;
    let place = Place::new();
    let file = place.path().join("v");
    let volume = [Volume::file("dev", &file)];
    place.works(&volume, "", &["dev"]);
    let device = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    device.write_all_at(&[0; 8192], 0).unwrap();
    let before = std::fs::read(&file).unwrap();
    for option in [
        "",
        "helium_o_volume_create=true",
        "helium_o_volume_create=false",
    ] {
        let volume = match option {
            "" => volume[0].clone(),
            option => volume[0].clone().with(option),
        };
        let error = place.refused(&[volume], "");
        says(
            &error,
            &[
                "volume dev",
                "damaged",
                "salvage",
                "helium_o_volume_truncate",
            ],
        );
    }
    assert!(before == std::fs::read(&file).unwrap(), "it was written to");
    let truncated = [volume[0].clone().with("helium_o_volume_truncate=true")];
    drop(place.open(&truncated, "").unwrap());
}
