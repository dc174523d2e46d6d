//! Others can ask what goes on in a volume that a C program has open.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::build::{folder, program};

#[test]
fn a_volume_tells_of_itself_while_it_is_open() {
    let folder = folder();
    let program = program("2.8", "waiting", folder.path());
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut child = Command::new(program)
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut said).unwrap();
    assert_eq!(said, "open\n");
    let found = helium_activity::find(Some(&url)).unwrap();
    let [(socket, report)] = found.as_slice() else {
        panic!("one volume is open: {found:?}");
    };
    assert_eq!(report.process, u64::from(child.id()));
    assert_eq!(report.command, "waiting (libhe)");
    assert_eq!(report.datastores[0].items, 1);
    // And can be read through the program.
    let mut remote = helium_activity::Remote::open(&url).unwrap().unwrap();
    assert_eq!(remote.process(), u64::from(child.id()));
    let stores = remote.datastores().unwrap();
    let items = remote.items(&stores[0].info);
    let items: Vec<_> = items.collect::<heliumdb::Result<_>>().unwrap();
    assert_eq!(items.len(), 1);
    let found = remote.get(stores[0].info.id, &items[0].0).unwrap();
    assert_eq!(found.as_ref(), Some(&items[0].1));
    drop(child.stdin.take());
    // A reader keeps no program from closing the volume.
    assert!(child.wait().unwrap().success());
    assert!(!socket.exists());
    let told = remote.figures().unwrap_err();
    assert!(told.to_string().contains("closes the volume"), "{told}");
}
