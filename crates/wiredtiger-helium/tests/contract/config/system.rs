//! What the system says of a volume's devices keeps its number.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wiredtiger_testkit::helium::Volume;

use super::{Place, says};
use crate::common::*;

/// What the system says is what WiredTiger is told, and the volume at fault is named though another one's name
/// begins as its does.
#[test]
fn errors_of_the_system_keep_their_numbers() {
    const ELOOP: i32 = 40;
    const ENAMETOOLONG: i32 = 36;
    const ENOTDIR: i32 = 20;
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    std::os::unix::fs::symlink(at("circle"), at("circle")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    let long = "x".repeat(300);
    for (device, number) in [
        ("missing/volume", Code::ENOENT.0),
        ("circle", ELOOP),
        ("circle/volume", ELOOP),
        (&long, ENAMETOOLONG),
        ("file/volume", ENOTDIR),
    ] {
        // The good one's name is the beginning of the bad one's.
        let bad = Volume::file("bad", &at(device));
        let refused = place.refused(&[bad], "");
        assert_eq!(refused.code.0, number, "{device}: {refused:?}");
        says(&refused, &["volume bad"]);
        assert!(
            !refused.messages.join("\n").contains("made before"),
            "{refused:?}"
        );
    }
}

/// To root nothing is forbidden: it has to be somebody else for this.
#[test]
fn no_permission_keeps_its_number_too() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    Place::new().works(&[volume(1, &closed)], "", &["dev1"]);
    let permit = |mode| std::fs::set_permissions(&closed, Permissions::from_mode(mode)).unwrap();
    permit(0);
    if !rustix::process::getuid().is_root() {
        refused_for_permission(&closed);
    } else if let Some(child) = Child::of_another_user("config::system::child", folder.path()) {
        assert!(child.finish().contains(REFUSED));
    }
    permit(0o700);
}

/// What the child prints at its end.
const REFUSED: &str = "all was refused";

#[test]
#[ignore = "the child of the test above"]
fn child() {
    if let Some(folder) = Child::folder() {
        refused_for_permission(&folder.join("closed"));
        println!("{REFUSED}");
    }
}

/// A volume that is there, and a folder in which none can be made.
fn refused_for_permission(closed: &Path) {
    for device in ["dev1.helium", "new"] {
        let volume = Volume::file("bad", &closed.join(device));
        let refused = Place::new().refused(&[volume], "");
        assert_eq!(refused.code, Code::EACCES, "{device}: {refused:?}");
        says(&refused, &["volume bad", "ermission"]);
    }
}
