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

/// Other processes read what was committed when they came, whatever the application's transactions do meanwhile, and
/// keep nobody from closing the connection.
#[test]
fn volumes_are_read_through_an_open_connection() {
    let mut arena = Arena::new(Kind::Object);
    let url = format!("he://./{}", arena.folder().join("dev1.helium").display());
    let remote = {
        let (session, other) = (arena.snapshot_session(), arena.snapshot_session());
        let uri = arena.create(&session, "colors", "key_format=S,value_format=S");
        let cursor = session.cursor(&uri, "").unwrap();
        let put = |key: &str, value: &str| cursor.put(key, value).unwrap();
        session.begin("").unwrap();
        (0..2_000).for_each(|number| put(&format!("{number:05}"), "old"));
        session.commit().unwrap();
        other.begin("").unwrap();
        let others = other.cursor(&uri, "").unwrap();
        others.put("00007", "open").unwrap();
        let prepared = arena.snapshot_session();
        prepared.begin("").unwrap();
        prepared
            .cursor(&uri, "")
            .unwrap()
            .put("00008", "prepared")
            .unwrap();
        prepared.prepare("prepare_timestamp=1").unwrap();
        let mut remote = helium_activity::Remote::open(&url).unwrap().unwrap();
        // None of this shows.
        other.commit().unwrap();
        session.begin("").unwrap();
        (1_000..3_000).for_each(|number| put(&format!("{number:05}"), "new"));
        session.commit().unwrap();
        let stores = remote.datastores().unwrap();
        let store = stores
            .iter()
            .find(|store| store.info.name == b"WiredTiger.colors");
        let info = &store.unwrap().info;
        let items: Vec<_> = remote.items(info).collect::<heliumdb::Result<_>>().unwrap();
        assert_eq!(items.len(), 2_000);
        assert!(items.iter().all(|(_, value)| value == b"old\0"));
        assert_eq!(
            remote.get(info.id, b"00007\0").unwrap(),
            Some(b"old\0".to_vec())
        );
        assert_eq!(remote.get(info.id, b"02500\0").unwrap(), None);
        // Who comes now sees it.
        let mut late = helium_activity::Remote::open(&url).unwrap().unwrap();
        assert_eq!(late.items(info).count(), 3_000);
        assert_eq!(
            late.get(info.id, b"00007\0").unwrap(),
            Some(b"open\0".to_vec())
        );
        assert_eq!(
            late.get(info.id, b"00008\0").unwrap(),
            Some(b"old\0".to_vec())
        );
        prepared.rollback().unwrap();
        remote
    };
    arena.close();
    let mut remote = remote;
    let told = remote.figures().unwrap_err();
    assert!(told.to_string().contains("closes the volume"), "{told}");
    arena.open();
}
