//! Creating, dropping, renaming, and what is left when the host changes its mind.

use super::sim::{Connection, code, volume};
use crate::error::Code;
use heliumdb::Isolation::Snapshot;

const URI: &str = "helium:dev1/rows";
const OTHER: &str = "helium:dev1/other";

fn open() -> Connection {
    open_with(&volume("dev1"))
}

fn open_with(config: &str) -> Connection {
    let connection = Connection::open_with(config);
    connection.create(URI, "key_format=S").expect("created");
    let mut table = connection.cursor(1, URI);
    table.insert("a", "1").expect("inserted");
    drop(table);
    connection
}

fn open_code(connection: &Connection, uri: &str) -> Code {
    match connection.cursor_with(1, uri, "") {
        Ok(_) => panic!("{uri} opens"),
        Err(error) => error.code(),
    }
}

#[test]
fn creating_again_changes_nothing() {
    let connection = open();
    let entry = connection.sim().entry(URI);
    connection.create(URI, "").expect("is there");
    connection.create(URI, "key_format=S").expect("is there");
    assert_eq!(code(connection.create(URI, "key_format=r")), Code::Invalid);
    let exclusive = "exclusive=true,helium_o_truncate=true";
    assert_eq!(code(connection.create(URI, exclusive)), Code::Exists);
    assert_eq!(connection.sim().entry(URI), entry);
    assert_eq!(connection.cursor(1, URI).keys(), "a");
}

#[test]
fn truncating_at_create_waits_for_nobody() {
    let connection = open();
    let table = connection.cursor(1, URI);
    let truncate = "helium_o_truncate=true";
    assert_eq!(code(connection.create(URI, truncate)), Code::Busy);
    drop(table);
    connection.create(URI, truncate).expect("truncated");
    assert_eq!(connection.cursor(1, URI).keys(), "");
}

#[test]
fn a_volume_that_is_not_there_is_named() {
    let connection = open();
    let error = connection.create("helium:dev9/x", "").expect_err("no dev9");
    assert_eq!(error.code(), Code::Invalid);
    assert!(error.message().contains("dev9"));
    assert_eq!(open_code(&connection, "helium:dev1/nothing"), Code::NoEntry);
}

/// A checkpoint, or somebody who opens it, falls into a create that WiredTiger then takes back.
#[test]
fn a_create_that_is_taken_back_leaves_nothing() {
    let exclusive = "key_format=S,exclusive=true";
    for opens in [false, true] {
        let connection = Connection::open();
        let index = "key_format=S,index_key_columns=1";
        connection.create(URI, index).expect("under way");
        let mut fill = connection
            .cursor_with(1, URI, "bulk=unordered")
            .expect("fills it");
        fill.insert("a", "").expect("inserted");
        drop(fill);
        connection.sim().take_back(URI);
        if opens {
            // Who fills it has it open; another process would not.
            connection.source.forget(URI);
            assert_eq!(open_code(&connection, URI), Code::NoEntry);
        } else {
            connection.source.checkpoint(0, false).expect("beside it");
        }
        connection.create(URI, exclusive).expect("it was not made");
        assert_eq!(connection.cursor(1, URI).keys(), "");
    }
}

/// One that is over is in use from then on, whatever becomes of the metadata.
#[test]
fn a_create_that_is_over_is_not_taken_back() {
    for opens in [false, true] {
        let connection = Connection::open();
        connection.create(URI, "key_format=S").expect("made");
        if !opens {
            connection.source.checkpoint(0, false).expect("behind it");
        }
        let mut table = connection.cursor(1, URI);
        table.insert("a", "1").expect("inserted");
        drop(table);
        connection.sim().set_entry(URI, None);
        connection.source.forget(URI);
        connection.create(URI, "key_format=S").expect("adopted");
        assert_eq!(connection.cursor(1, URI).keys(), "a");
    }
}

/// Rows that the metadata does not lead to are somebody's; an index's are nobody's, nor is nothing.
#[test]
fn leftovers_of_an_index_and_empty_ones_are_not_adopted() {
    let exclusive = "key_format=S,exclusive=true";
    for (rows, again) in [("a", "key_format=S,index_key_columns=1"), ("", exclusive)] {
        let connection = open();
        if rows.is_empty() {
            let truncate = "helium_o_truncate=true";
            connection.create(URI, truncate).expect("emptied");
        }
        assert_eq!(connection.cursor(1, URI).keys(), rows);
        connection.sim().set_entry(URI, None);
        connection.source.forget(URI);
        connection.create(URI, again).expect("made anew");
        assert_eq!(connection.cursor(1, URI).keys(), "");
    }
    let connection = open();
    connection.sim().set_entry(URI, None);
    assert_eq!(code(connection.create(URI, exclusive)), Code::Exists);
}

/// The drop of an index may be cut short between the index and what it has its entries in.
#[test]
fn an_index_that_nobody_knows_is_made_anew() {
    let again = "key_format=S,index_key_columns=1";
    for (config, is_known, rows) in [
        (again.to_owned(), true, "a"),
        (again.to_owned(), false, ""),
        (format!("{again},exclusive=true"), false, ""),
    ] {
        let connection = open();
        let entry = is_known.then(|| format!("columns=(v),source=\"{URI}\""));
        connection.sim().set_entry("index:t:i", entry);
        connection.create(URI, &config).expect("made");
        assert_eq!(
            connection.cursor(1, URI).keys(),
            rows,
            "{config} {is_known}"
        );
    }
    let connection = open();
    connection
        .sim()
        .set_entry("index:t:i", Some(format!("source=\"{URI}x\"")));
    connection.create(URI, again).expect("made");
    assert_eq!(connection.cursor(1, URI).keys(), "", "another one's index");
}

#[test]
fn dropping_removes_and_needs_everybody_gone() {
    let connection = open();
    let source = &connection.source;
    let mut table = connection.cursor(1, URI);
    assert_eq!(code(source.drop_object(0, URI)), Code::Busy);
    connection.begin(1, Snapshot);
    table.insert("b", "2").expect("inserted");
    drop(table);
    assert_eq!(code(source.drop_object(0, URI)), Code::Busy);
    connection.commit(1).expect("committed");
    source.drop_object(0, URI).expect("dropped");
    assert_eq!(code(source.drop_object(0, URI)), Code::NoEntry);
    assert_eq!(open_code(&connection, URI), Code::NoEntry);
    source.checkpoint(0, false).expect("finishes the drop");
    connection
        .create(URI, "key_format=r")
        .expect("created anew");
    assert_eq!(connection.cursor(1, URI).keys(), "");
}

#[test]
fn a_drop_that_the_host_undoes_did_not_happen() {
    let connection = open();
    let entry = connection.sim().entry(URI);
    connection.source.drop_object(0, URI).expect("dropped");
    connection.sim().set_entry(URI, entry.clone());
    assert_eq!(connection.cursor(1, URI).keys(), "a");
    connection.source.drop_object(0, URI).expect("dropped");
    connection.sim().set_entry(URI, entry);
    connection.source.checkpoint(0, false).expect("flushed");
    assert_eq!(connection.cursor(1, URI).keys(), "a");
    connection.sim().set_failing("remove", true);
    assert!(connection.source.drop_object(0, URI).is_err());
    assert_eq!(connection.cursor(1, URI).keys(), "a");
}

#[test]
fn dropping_what_the_volume_lost_succeeds() {
    let connection = open();
    let entry = connection.sim().entry(URI).expect("there");
    let lost = entry.replace("datastore_id=", "datastore_id=77");
    connection.sim().set_entry(OTHER, Some(lost));
    let error = connection.cursor_with(1, OTHER, "").err().expect("lost");
    assert_eq!(error.code(), Code::NoEntry);
    assert!(error.message().contains(OTHER));
    connection.source.drop_object(0, OTHER).expect("dropped");
    assert_eq!(connection.sim().entry(OTHER), None);
    assert_eq!(connection.cursor(1, URI).keys(), "a");
}

#[test]
fn renaming_moves_the_rows_and_refuses_what_is_taken() {
    let connection = open();
    let source = &connection.source;
    connection.create(OTHER, "").expect("created");
    assert_eq!(code(source.rename(0, URI, OTHER)), Code::Exists);
    assert_eq!(
        code(source.rename(0, URI, "helium:dev2/rows")),
        Code::Invalid
    );
    assert_eq!(code(source.rename(0, URI, "table:rows")), Code::Invalid);
    let new = "helium:dev1/new.cache";
    assert_eq!(code(source.rename(0, "helium:dev1/no", new)), Code::NoEntry);
    let table = connection.cursor(1, URI);
    assert_eq!(code(source.rename(0, URI, new)), Code::Busy);
    drop(table);
    source.rename(0, URI, new).expect("renamed");
    assert_eq!(open_code(&connection, URI), Code::NoEntry);
    assert_eq!(connection.cursor(1, new).keys(), "a");
    connection.create(URI, "").expect("the old name is free");
    assert_eq!(connection.cursor(1, URI).keys(), "");
}

#[test]
fn a_rename_that_the_host_undoes_did_not_happen() {
    for by_create in [false, true] {
        let connection = open();
        let entry = connection.sim().entry(URI);
        connection.source.rename(0, URI, OTHER).expect("renamed");
        connection.sim().set_entry(OTHER, None);
        connection.sim().set_entry(URI, entry);
        if by_create {
            connection.create(OTHER, "").expect("the name is free");
            assert_eq!(connection.cursor(1, OTHER).keys(), "");
        } else {
            connection.source.checkpoint(0, false).expect("flushed");
        }
        assert_eq!(connection.cursor(1, URI).keys(), "a");
    }
    let connection = open();
    connection.sim().set_failing("remove", true);
    assert!(connection.source.rename(0, URI, OTHER).is_err());
    connection.sim().set_failing("remove", false);
    connection.sim().set_entry(OTHER, None);
    assert_eq!(connection.cursor(1, URI).keys(), "a");
}

/// Nothing is told unless somebody wants to know.
#[test]
fn rows_without_metadata_are_adopted_never_removed() {
    for verbose in [0, 1] {
        rows_without_metadata(verbose);
    }
}

fn rows_without_metadata(verbose: i32) {
    let connection = open_with(&format!("helium_verbose={verbose},{}", volume("dev1")));
    connection.source.checkpoint(0, false).expect("flushed");
    connection.sim().set_entry(URI, None);
    connection.source.checkpoint(0, false).expect("flushed");
    assert_eq!(
        code(connection.create(URI, "key_format=S,exclusive=true")),
        Code::Exists
    );
    assert_eq!(code(connection.create(URI, "key_format=i")), Code::Exists);
    connection.create(URI, "key_format=S").expect("adopted");
    let said = connection.sim().messages();
    assert_eq!(said.contains("adopted"), verbose == 1);
    assert_eq!(said.is_empty(), verbose == 0, "{said}");
    assert_eq!(connection.cursor(1, URI).keys(), "a");
}

#[test]
fn what_an_unfinished_create_left_is_made_anew() {
    let connection = Connection::open();
    connection.create(URI, "").expect("created");
    let mut filler = connection
        .cursor_with(1, URI, "bulk=unordered")
        .expect("opens");
    filler.insert("half", "filled").expect("inserted");
    connection.sim().set_failing("await", true);
    connection.source.checkpoint(0, false).expect("flushed");
    drop(filler);
    connection.sim().set_entry(URI, None);
    connection.create(URI, "").expect("created anew");
    assert_eq!(connection.cursor(1, URI).keys(), "");
    connection.sim().set_failing("insert", true);
    assert!(connection.create(OTHER, "exclusive=true").is_err());
    connection.sim().set_failing("insert", false);
    connection
        .create(OTHER, "exclusive=true")
        .expect("nothing is in the way");
}

#[test]
fn cursors_that_cannot_be_are_refused() {
    let connection = open();
    for config in ["checkpoint=x", "next_random=true", "bulk=bitmap"] {
        let refused = connection.cursor_with(1, URI, config).err().expect(config);
        assert_eq!(refused.code(), Code::Unsupported);
    }
    connection
        .source
        .drop_object(0, URI)
        .expect("none of them counts");
}

#[test]
fn an_entry_of_another_version_is_refused() {
    let connection = open();
    let entry = connection.sim().entry(URI).expect("there");
    let newer = entry.replace("major=1", "major=2");
    connection.sim().set_entry(OTHER, Some(newer));
    assert_eq!(open_code(&connection, OTHER), Code::Unsupported);
}

#[test]
fn verify_salvage_and_compact_answer() {
    let connection = Connection::open_with(&format!("helium_verbose=1,{}", volume("dev1")));
    connection.create(URI, "key_format=S").expect("created");
    let source = &connection.source;
    source.verify(0, URI).expect("all is well");
    source.salvage(0, URI).expect("all is well");
    source.compact(0, URI, None).expect("done");
    let messages = connection.sim().messages();
    assert!(messages.contains("salvage") && messages.contains("compact"));
    assert_eq!(code(source.verify(0, OTHER)), Code::NoEntry);
    source.drop_object(0, URI).expect("nobody uses it any more");
}

#[test]
fn nothing_works_after_terminate() {
    let connection = open();
    connection.source.terminate().expect("closed");
    assert!(connection.create(OTHER, "").is_err());
}
