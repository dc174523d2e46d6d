//! Others can ask what goes on in the volumes of an open connection, and no longer when it is closed.

use crate::common::*;

#[test]
fn volumes_tell_of_themselves_while_the_connection_is_open() {
    let mut arena = Arena::new(Kind::Object);
    let volumes = |arena: &Arena| {
        let url = format!("he://./{}", arena.folder().join("dev1.helium").display());
        helium_activity::find(Some(&url)).unwrap()
    };
    for _ in 0..2 {
        {
            let session = arena.session();
            let uri = arena.create(&session, "colors", "key_format=S,value_format=S");
            session
                .cursor(&uri, "")
                .unwrap()
                .put("apple", "red")
                .unwrap();
        }
        let found = volumes(&arena);
        let [(_, report)] = found.as_slice() else {
            panic!("one volume is open: {found:?}");
        };
        assert_eq!(report.process, u64::from(std::process::id()));
        assert!(report.command.ends_with("(WiredTiger)"), "{report:?}");
        assert_eq!(report.datastores[0].name, "WiredTiger.colors");
        assert_eq!(report.figure("items"), 1);
        arena.close();
        assert!(volumes(&arena).is_empty());
        arena.open();
    }
}
