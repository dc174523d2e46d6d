//! Closed cleanly, from one to the other and back, with every kind of object.

use super::{Database, Which};
use crate::common::*;

const ROWS: &str = "helium:dev1/rows";
const RAW: &str = "helium:dev2/deep/raw";
const NUMBERED: &str = "helium:dev1/numbered";
const BITS: &str = "helium:dev2/bits";
const SQUEEZED: &str = "helium:dev1/squeezed";
const TABLE: &str = "table:dev1/people";
const INDEX: &str = "index:dev1/people:town";

#[test]
fn what_the_c_connector_closed_is_there_and_goes_back() {
    there_and_back(Which::C, Which::Ours);
}

#[test]
fn what_we_closed_is_there_for_the_c_connector_and_comes_back() {
    there_and_back(Which::Ours, Which::C);
}

fn there_and_back(first: Which, second: Which) {
    let Some(database) = Database::new() else {
        return;
    };
    let connection = database.open(first);
    make(&connection, first);
    connection.close().unwrap();
    // Each one finds what the other did, and does more.
    for turn in 1..5 {
        let which = if turn % 2 == 1 { second } else { first };
        let connection = database.open(which);
        look(&connection, turn - 1);
        work(&connection, turn, which);
        connection.close().unwrap();
    }
    let connection = database.open(second);
    look(&connection, 4);
    if second == Which::Ours {
        for uri in [ROWS, RAW, NUMBERED, BITS, SQUEEZED] {
            connection.session().unwrap().verify(uri).unwrap();
        }
    }
    connection.close().unwrap();
}

fn make(connection: &Connection, which: Which) {
    let session = connection.session().unwrap();
    for (uri, formats) in [
        (ROWS, "key_format=S,value_format=S"),
        (RAW, ""),
        (NUMBERED, "key_format=r,value_format=S"),
        (BITS, "key_format=r,value_format=8t"),
        (SQUEEZED, "key_format=S,value_format=S,helium_o_compress=1"),
        (
            TABLE,
            "type=helium,key_format=S,value_format=SS,columns=(name,town,trade)",
        ),
        (INDEX, "type=helium,columns=(town)"),
    ] {
        session.create(uri, formats).unwrap();
    }
    let rows = session.cursor(ROWS, "").unwrap();
    for number in 0..300 {
        rows.put(&format!("key{number:03}"), "first").unwrap();
    }
    work(connection, 0, which);
}

/// What each of the two does in its turn.
fn work(connection: &Connection, turn: u64, which: Which) {
    let session = connection.session_with("isolation=snapshot").unwrap();
    let rows = session.cursor(ROWS, "").unwrap();
    // One key is replaced in every turn, one is added and removed in the next.
    session.begin("").unwrap();
    rows.put("turn", &turn.to_string()).unwrap();
    rows.put(&format!("added{turn}"), "x").unwrap();
    if turn > 0 {
        rows.take(&format!("added{}", turn - 1)).unwrap();
        rows.take(&format!("key{turn:03}")).unwrap();
    }
    session.commit().unwrap();
    // At its close the C connector forgets what was rolled back when the first of several volumes
    // is done with, and settles it on the others: see the next test for one volume.
    if which == Which::Ours {
        session.begin("").unwrap();
        rows.put("ghost", "x").unwrap();
        rows.take("key200").unwrap();
        session.rollback().unwrap();
    }
    let raw = session.cursor(RAW, "").unwrap();
    raw.set_key(&[0, turn as u8, 255]).unwrap();
    raw.set_value(&[turn as u8; 1000]).unwrap();
    raw.insert().unwrap();
    let numbered = session.cursor(NUMBERED, "append").unwrap();
    // Over where record numbers get another length.
    for _ in 0..50 {
        numbered.set_value_str("row").unwrap();
        numbered.insert().unwrap();
    }
    let bits = session.cursor(BITS, "").unwrap();
    bits.set_key_recno(turn + 1).unwrap();
    bits.set_value_bits(0x40 + turn as u8).unwrap();
    bits.insert().unwrap();
    if turn > 0 {
        bits.set_key_recno(turn).unwrap();
        bits.remove().unwrap();
    }
    let squeezed = session.cursor(SQUEEZED, "").unwrap();
    squeezed
        .put("long", &turn.to_string().repeat(30_000))
        .unwrap();
    let people = session.cursor(TABLE, "raw").unwrap();
    people.set_key(format!("name{turn}\0").as_bytes()).unwrap();
    people
        .set_value(format!("town{}\0trade\0", turn % 2).as_bytes())
        .unwrap();
    people.insert().unwrap();
}

/// Everything is as it must be after the turn `last`.
fn look(connection: &Connection, last: u64) {
    let session = connection.session().unwrap();
    let rows = session.cursor(ROWS, "").unwrap();
    let mut expected = vec![format!("added{last}=x")];
    expected.extend(
        (0..300)
            .filter(|&number| number == 0 || number > last)
            .map(|number| format!("key{number:03}=first")),
    );
    expected.push(format!("turn={last}"));
    assert_eq!(rows.list().unwrap(), expected);
    rows.reset().unwrap();
    expected.reverse();
    assert_eq!(rows.list_back().unwrap(), expected);
    let raw = session.cursor(RAW, "").unwrap();
    let found: Vec<_> = raw.rows().unwrap();
    let expected: Vec<_> = (0..=last as u8)
        .map(|turn| (vec![0, turn, 255], vec![turn; 1000]))
        .collect();
    assert_eq!(found, expected);
    let numbered = session.cursor(NUMBERED, "").unwrap();
    let mut count = 0;
    while numbered.next().found().unwrap() {
        count += 1;
        assert_eq!(numbered.key_recno().unwrap(), count);
        assert_eq!(numbered.value_str().unwrap(), "row");
    }
    assert_eq!(count, 50 * (last + 1));
    let bits = session.cursor(BITS, "").unwrap();
    for turn in 0..=last {
        bits.set_key_recno(turn + 1).unwrap();
        bits.search().unwrap();
        let expected = if turn == last { 0x40 + turn as u8 } else { 0 };
        assert_eq!(bits.value_bits().unwrap(), expected, "bits of turn {turn}");
    }
    let squeezed = session.cursor(SQUEEZED, "").unwrap();
    let expected = last.to_string().repeat(30_000);
    assert_eq!(squeezed.get("long").unwrap(), Some(expected));
    let people = session.cursor(TABLE, "raw").unwrap();
    let mut expected: Vec<_> = (0..=last).collect();
    expected.sort_by_key(|turn| format!("name{turn}"));
    let expected: Vec<_> = expected
        .iter()
        .map(|turn| {
            let value = format!("town{}\0trade\0", turn % 2);
            (format!("name{turn}\0").into_bytes(), value.into_bytes())
        })
        .collect();
    assert_eq!(people.rows().unwrap(), expected);
    let towns = session.cursor(INDEX, "raw").unwrap();
    assert_eq!(towns.rows().unwrap().len(), expected.len());
}

#[test]
fn what_was_rolled_back_on_one_volume_stays_away() {
    let Some(database) = Database::new() else {
        return;
    };
    for round in 0..4 {
        let which = [Which::C, Which::Ours][round % 2];
        let connection = database.try_open(which, &["dev1"]).unwrap();
        {
            let session = connection.session().unwrap();
            session.create(ROWS, "key_format=S,value_format=S").unwrap();
            let rows = session.cursor(ROWS, "").unwrap();
            let expected: Vec<_> = (0..round).map(|old| format!("k{old}=v")).collect();
            assert_eq!(rows.list().unwrap(), expected);
            rows.put(&format!("k{round}"), "v").unwrap();
            session.begin("").unwrap();
            rows.put("ghost", "x").unwrap();
            rows.take("k0").unwrap();
            session.rollback().unwrap();
        }
        connection.close().unwrap();
    }
}

/// What is done to objects of the one by the other: renamed, dropped, made anew.
#[test]
fn objects_are_renamed_and_dropped_by_either() {
    let Some(database) = Database::new() else {
        return;
    };
    let formats = "key_format=S,value_format=S";
    let mut whose = [Which::C, Which::Ours];
    for round in 0..4 {
        let connection = database.open(whose[0]);
        {
            let session = connection.session().unwrap();
            for name in ["a", "b"] {
                let uri = format!("helium:dev1/{name}");
                session.create(&uri, formats).unwrap();
                let cursor = session.cursor(&uri, "").unwrap();
                assert!(cursor.list().unwrap().is_empty());
                cursor.put("k", &format!("{name}{round}")).unwrap();
            }
        }
        connection.close().unwrap();
        let connection = database.open(whose[1]);
        {
            let session = connection.session().unwrap();
            session.drop("helium:dev1/a", "").unwrap();
            session.rename("helium:dev1/b", "helium:dev1/a").unwrap();
            let cursor = session.cursor("helium:dev1/a", "").unwrap();
            assert_eq!(cursor.list().unwrap(), [format!("k=b{round}")]);
            cursor.put("l", "more").unwrap();
        }
        connection.close().unwrap();
        let connection = database.open(whose[0]);
        {
            let session = connection.session().unwrap();
            {
                let cursor = session.cursor("helium:dev1/a", "").unwrap();
                assert_eq!(
                    cursor.list().unwrap(),
                    [format!("k=b{round}"), "l=more".into()]
                );
            }
            session.drop("helium:dev1/a", "").unwrap();
        }
        connection.close().unwrap();
        whose.reverse();
    }
}
