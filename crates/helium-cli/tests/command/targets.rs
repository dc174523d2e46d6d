//! No command writes a file over a volume, or over what it reads, by whatever name.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Stdio,
};

use crate::harness::{Place, Ran, run};

fn filled() -> Place {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "value"]).ok();
    place.helium(["create", "w", "d"]).ok();
    place.helium(["create", "x,y", "d"]).ok();
    place
}

fn is_unharmed(place: &Place) {
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"value");
    for volume in ["v", "w", "x,y"] {
        place.helium(["verify", volume]).ok();
    }
}

/// Other names of a file: a link, a link to that, and a hard link.
fn names(place: &Place, file: &str) -> [String; 4] {
    let name = |kind: &str| format!("{file}.{kind}");
    symlink(place.path(file), place.path(&name("link"))).expect("a link");
    symlink(place.path(&name("link")), place.path(&name("links"))).expect("a link");
    fs::hard_link(place.path(file), place.path(&name("hard"))).expect("a link");
    [file.to_owned(), name("link"), name("links"), name("hard")]
}

#[test]
fn a_dump_is_not_written_over_a_volume() {
    let place = filled();
    for format in ["jsonl", "csv", "wiredtiger"] {
        for name in ["v", "./v"] {
            place
                .helium(["dump", "v", "d", "-f", format, "-o", name])
                .fails(2, &["is a device of the volume v"]);
        }
    }
    for name in names(&place, "v") {
        let refused = place.helium(["dump", "v", "-o", &name]);
        refused.fails(2, &[&name, "is a device of the volume v"]);
    }
    for name in names(&place, "w")
        .iter()
        .chain(&["x".to_owned(), "y".to_owned()])
    {
        let refused = place.helium(["dump", "v", "-o", name]);
        refused.fails(4, &[name, "is a volume, or a device of one"]);
    }
    place
        .helium(["dump", "x,y", "-o", "y"])
        .fails(2, &["y is a device of the volume x,y"]);
    // A damaged one is one as well.
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new().write(true).open(place.path("w"));
    file.and_then(|file| file.write_all_at(&[0; 8192], 0))
        .expect("the volume");
    place
        .helium(["dump", "v", "-o", "w"])
        .fails(4, &["w is a volume, or a device of one"]);
    let lost = fs::metadata(place.path("w")).expect("it is there").len();
    assert!(lost > 1 << 20);
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"value");
}

#[test]
fn nothing_else_is_written_over_a_volume() {
    let place = filled();
    for (name, code) in [("v", 2), ("w", 4), ("x", 4)] {
        place
            .helium(["bench", "v", "-o", "10", "-w", "c", "--plot", name])
            .fails(code, &[name]);
    }
    fs::create_dir(place.path("pages")).expect("a folder");
    fs::hard_link(place.path("v"), place.path("pages/helium.1")).expect("a link");
    place.helium(["man", "pages"]).fails(4, &["helium.1"]);
    for name in names(&place, "v") {
        place
            .helium(["backup", "v", &name])
            .fails(2, &["the volume itself"]);
        place
            .helium(["salvage", "v", &name])
            .fails(2, &["the volume itself"]);
    }
    is_unharmed(&place);
}

/// What the shell has opened for the output, to append to it.
#[test]
fn output_that_goes_to_the_volume_is_refused() {
    let place = filled();
    for (arguments, is_error) in [
        (&["dump", "v"][..], false),
        (&["scan", "v", "d"], false),
        (&["get", "v", "d", "k"], false),
        (&["ls", "v"], false),
        (&["salvage", "v", "z"], false),
        (&["put", "v", "d", "l", "value"], true),
    ] {
        let volume = OpenOptions::new().append(true).open(place.path("v"));
        let mut command = place.command();
        command.args(arguments);
        let volume = Stdio::from(volume.expect("the volume"));
        let before = fs::metadata(place.path("v")).expect("it is there").len();
        let mut child = match is_error {
            true => command.stdout(Stdio::null()).stderr(volume),
            false => command.stdout(volume).stderr(Stdio::null()),
        }
        .spawn()
        .expect("start");
        let code = child.wait().expect("its end").code();
        assert_eq!(code, Some(2), "{arguments:?}");
        let after = fs::metadata(place.path("v")).expect("it is there").len();
        // Messages go where they were sent to.
        assert!(is_error || before == after, "{arguments:?}");
    }
    assert!(!place.path("z").exists());
}

#[test]
fn a_dump_keeps_mode_and_links_of_what_it_replaces() {
    let place = filled();
    place.write("file", "what was there");
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(place.path("file"), mode).expect("the test's own file");
    symlink("file", place.path("link")).expect("a link");
    place.helium(["dump", "v", "-o", "link"]).ok();
    let is_dump = |name: &str| {
        let text = fs::read_to_string(place.path(name)).expect("it is there");
        assert!(
            text.contains("value") && !text.contains("what was there"),
            "{text}"
        );
    };
    is_dump("file");
    assert!(
        fs::symlink_metadata(place.path("link"))
            .expect("it is there")
            .is_symlink()
    );
    let found = fs::metadata(place.path("file")).expect("it is there");
    assert_eq!(found.mode() & 0o777, 0o640);
    fs::hard_link(place.path("file"), place.path("hard")).expect("a link");
    place.write(
        "file",
        "what was there, and is longer than what comes instead of it: ".repeat(99),
    );
    place.helium(["dump", "v", "-o", "hard"]).ok();
    is_dump("file");
    is_dump("hard");
    let found = fs::metadata(place.path("file")).expect("it is there");
    assert_eq!((found.nlink(), found.mode() & 0o777), (2, 0o640));
    // Nothing of what was written first is left.
    let names = fs::read_dir(place.path(".")).expect("the folder").count();
    assert_eq!(names, "v w x y file link hard".split(' ').count());
}

/// Both superblocks gone: what is left is not to be formatted but by who says so.
#[test]
fn a_damaged_volume_is_no_place_for_a_new_one() {
    use std::os::unix::fs::FileExt;
    let place = filled();
    let file = OpenOptions::new().write(true).open(place.path("v"));
    file.and_then(|file| file.write_all_at(&[0; 8192], 0))
        .expect("the volume");
    for arguments in [
        &["create", "v"][..],
        &["create", "v", "e"],
        &["backup", "w", "v"],
        &["salvage", "w", "v"],
        &["bench", "v", "-o", "10", "-w", "c"],
        &["ls", "v"],
        &["load", "v", "-d", "d", "-f", "jsonl"],
    ] {
        let ran: Ran = run(
            {
                let mut command = place.command();
                command.args(arguments);
                command
            },
            b"",
        );
        ran.fails(7, &["v is damaged", "helium salvage", "--overwrite"]);
    }
    let text = place.helium(["salvage", "v", "saved"]).text();
    assert!(text.contains("Nothing is lost"), "{text}");
    assert_eq!(place.helium(["get", "saved", "d", "k"]).ok(), b"value");
    place
        .helium(["create", "--overwrite", "--yes", "v", "d"])
        .ok();
    place.helium(["get", "v", "d", "k"]).fails(3, &["k"]);
}
