//! Joins over the indices of a table, beside a writer: what a join finds, step by step, is what it finds on a native
//! table beside the same writer.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use wiredtiger_testkit::pack;

use crate::common::*;

const TABLE: &str = "key_format=S,value_format=SS,columns=(id,city,name)";
const ROWS: u32 = 60;
const CITIES: u32 = 6;

#[test]
fn beside_a_writer_they_find_what_they_find_on_native_tables() {
    let seed = seed("joins");
    for round in 0..setting("HELIUM_LOCKSTEP_STEPS", 4_000) / 2_000 {
        let seed = seed.wrapping_add(round);
        let expected = found(&Arena::new(Kind::Native), seed);
        let found = found(&Arena::new(Kind::Table), seed);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "HELIUM_SEED={seed}");
        }
        assert_eq!(found.len(), expected.len(), "HELIUM_SEED={seed}");
    }
}

/// What the joins of all kinds find.
fn found(arena: &Arena, seed: u64) -> Vec<(String, Vec<String>)> {
    let mut random = SmallRng::seed_from_u64(seed);
    let session = arena.session();
    let uri = arena.create(&session, "t", TABLE);
    for name in ["city", "name"] {
        let config = arena.formats(&format!("columns=({name})"));
        session.create(&index(&uri, name), &config).unwrap();
    }
    let writer = Writer::new(arena, &uri);
    for id in 0..ROWS {
        writer.put(id, &mut random);
    }
    let mut found = Vec::new();
    for begin in [None, Some("read-committed"), Some("snapshot")] {
        for strategy in ["", ",strategy=bloom,count=100"] {
            for compare in ["eq", "ge", "lt"] {
                let case = format!("{begin:?} {compare}{strategy}");
                if let Some(isolation) = begin {
                    session.begin(&format!("isolation={isolation}")).unwrap();
                }
                let rows = join(&session, &uri, compare, strategy, || {
                    writer.change(&mut random);
                });
                if begin.is_some() {
                    session.rollback().unwrap();
                }
                found.push((case, rows));
            }
        }
    }
    found
}

/// Walks a join over both indices, twice; `act` comes behind each step.
fn join(
    session: &Session<'_>,
    uri: &str,
    compare: &str,
    strategy: &str,
    mut act: impl FnMut(),
) -> Vec<String> {
    let cities = session.cursor(&index(uri, "city"), "").unwrap();
    let names = session.cursor(&index(uri, "name"), "").unwrap();
    let start = |cursor: &Cursor<'_>| {
        cursor.set_key_str("c3").unwrap();
        cursor.search().found().unwrap()
    };
    if !start(&cities) || !start(&names) {
        return vec!["nowhere".to_owned()];
    }
    let join = session.cursor(&format!("join:{uri}(name)"), "").unwrap();
    let config = format!("compare={compare}{strategy}");
    session.join(&join, &cities, &config).unwrap();
    session.join(&join, &names, "compare=ge").unwrap();
    let mut rows = Vec::new();
    for _ in 0..2 {
        loop {
            match join.next().code() {
                Code::OK => rows.push(format!(
                    "{} {}",
                    join.key_str().unwrap(),
                    join.value_str().unwrap()
                )),
                code => {
                    rows.push(code.to_string());
                    break;
                }
            }
            act();
        }
        rows.push(join.reset().code().to_string());
    }
    rows
}

/// Changes rows of the table, each in a transaction of its own.
struct Writer<'a> {
    session: Session<'a>,
    uri: String,
}

impl<'a> Writer<'a> {
    fn new(arena: &'a Arena, uri: &str) -> Self {
        Self {
            session: arena.session(),
            uri: uri.to_owned(),
        }
    }

    fn change(&self, random: &mut SmallRng) {
        let id = random.random_range(0..ROWS);
        if random.random_bool(0.3) {
            let cursor = self.session.cursor(&self.uri, "raw").unwrap();
            cursor.set_key(&pack::string(&name(id))).unwrap();
            cursor.remove().unwrap();
        } else {
            self.put(id, random);
        }
    }

    fn put(&self, id: u32, random: &mut SmallRng) {
        let column =
            |random: &mut SmallRng| pack::string(&format!("c{}", random.random_range(0..CITIES)));
        let cursor = self.session.cursor(&self.uri, "raw").unwrap();
        cursor.set_key(&pack::string(&name(id))).unwrap();
        let value = [column(random), column(random)].concat();
        cursor.set_value(&value).unwrap();
        cursor.insert().unwrap();
    }
}

fn name(id: u32) -> String {
    format!("{id:02}")
}

fn index(table: &str, name: &str) -> String {
    format!("index:{}:{name}", table.strip_prefix("table:").unwrap())
}
