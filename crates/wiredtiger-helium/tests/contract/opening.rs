//! What cannot be opened is refused when it is opened.

use heliumdb::{
    ErrorKind,
    upkeep::{BackupFrom, Phase, Progress},
};
use wiredtiger_testkit::helium;

use crate::common::*;

const COLUMNS: &str = "key_format=S,value_format=SS,columns=(k,a,b)";

on_helium! {
    /// A dump among them: a program that has opened one takes what comes for all that there is.
    fn checkpoints_and_samples_are_refused_at_once(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=S,value_format=S");
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        let mut uris = vec![uri];
        if arena.kind() == Kind::Table {
            session.create("table:dev1/c", &format!("type=helium,{COLUMNS}")).unwrap();
            session.create("index:dev1/c:i", "type=helium,columns=(a)").unwrap();
            uris.extend(["table:dev1/c", "table:dev1/c(a)", "index:dev1/c:i"].map(str::to_owned));
        }
        for uri in &uris {
            for dump in ["", "dump=print,", "dump=hex,", "dump=json,"] {
                for what in ["checkpoint=x", "checkpoint=WiredTigerCheckpoint", "next_random=true"] {
                    let options = format!("{dump}{what}");
                    let answer = session.cursor(uri, &options).map(drop);
                    assert_eq!(answer.code(), Code::ENOTSUP, "{uri} {options}");
                }
                session.cursor(uri, dump).unwrap().next().map(drop).found().unwrap();
            }
        }
        // WiredTiger has nothing left that it would stumble over.
        session.close().unwrap();
        let session = arena.session();
        session.cursor(&uris[0], "dump=print").unwrap().next().unwrap();
    }

    /// It is busy, and says so at once too.
    fn a_dump_of_what_is_being_filled_is_refused(arena) {
        let (session, other) = (arena.session(), arena.session());
        let uri = arena.create(&session, "t", "key_format=S,value_format=S");
        let bulk = session.cursor(&uri, "bulk").unwrap();
        assert_eq!(other.cursor(&uri, "dump=print").map(drop).code(), Code::EBUSY);
        bulk.close().unwrap();
        other.close().unwrap();
    }
}

/// It is no volume, also for who may make one.
#[test]
fn a_copy_that_was_not_finished_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = heliumdb::Volume::open("he://./_268435456", &Default::default()).unwrap();
    let store = source.create_datastore(b"WiredTiger.t").unwrap();
    for number in 0..9_000_u32 {
        store.put(number.to_be_bytes(), [7; 100]).unwrap();
    }
    let url = format!("he://{}", folder.path().join("dev1.helium").display());
    let mut options = heliumdb::VolumeOptions::default();
    options.receive_copy = true;
    let target = heliumdb::Volume::open(&url, &options).unwrap();
    let mut gives_up = |step: &Progress| step.phase != Phase::Copying || step.done < 5_000;
    let stopped = source.backup(BackupFrom::Newest, &target, &mut gives_up);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    target.close().unwrap();
    for creates in ["false", "true"] {
        let option = format!("helium_o_volume_create={creates}");
        let volume = volume(1, folder.path()).with(&option);
        let config = format!("create,{}", helium::extensions(&[volume]).unwrap());
        let home = folder.path().join(creates);
        std::fs::create_dir_all(&home).unwrap();
        let refused = Connection::open(&home, &config).map(drop).unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("volume dev1") && said.contains("a copy that was not finished"),
            "{said}"
        );
    }
}
