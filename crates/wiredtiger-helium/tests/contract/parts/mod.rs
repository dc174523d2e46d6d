//! What a cursor answers on a table with column groups, with indices, and with both.
//!
//! WiredTiger does an operation on such a table part by part, and looks into the parts for what it needs. Each deed is done
//! on native parts and on ours. Invariant: how each operation ends, which key and value the cursor has behind it, and
//! which rows there are in the end, forwards and backwards and by each index, is the same.

mod deeds;

use wiredtiger_testkit::{Result, pack};

use crate::common::*;

/// What tables are made of: their column groups, and the columns that have an index.
const SHAPES: [(&str, &[&str], &[&str]); 4] = [
    ("column groups", &["a", "b"], &[]),
    ("an index", &[], &["a"]),
    ("two indices", &[], &["a", "b"]),
    ("column groups and an index", &["a", "b"], &["a"]),
];

/// Keys, and what is in the first column.
const ROWS: [(&str, &str); 4] = [("a", "4"), ("c", "3"), ("e", "2"), ("g", "1")];

type Step = fn(&Cursor<'_>) -> Result<()>;

/// Both ways through a table.
const STEPS: [(&str, Step); 2] = [("next", |c| c.next()), ("prev", |c| c.prev())];

/// Does the same on native parts and on ours, for each shape; what shows is the same.
fn compare(deed: impl Fn(&Table, &mut Log)) {
    for (shape, groups, indices) in SHAPES {
        let [native, ours] = [Kind::Native, Kind::Table].map(|kind| {
            let table = Table::new(kind, groups, indices);
            let mut log = Log::default();
            deed(&table, &mut log);
            log.note_rows(&table);
            log.0
        });
        let differs = (0..native.len()).find(|&at| native.get(at) != ours.get(at));
        if let Some(at) = differs {
            let before = native[at.saturating_sub(8)..at].join("\n");
            let (native, ours) = (&native[at], ours.get(at));
            panic!("{shape}\n{before}\n{native} on native parts\n{ours:?} on ours");
        }
        assert_eq!(native.len(), ours.len(), "{shape}");
    }
}

/// The table of one shape, on one sort of parts.
struct Table {
    arena: Arena,
    uri: String,
    indices: &'static [&'static str],
    has_groups: bool,
}

impl Table {
    fn new(kind: Kind, groups: &[&str], indices: &'static [&'static str]) -> Self {
        let arena = Arena::new(kind);
        let config = format!("columns=(k,a,b),colgroups=({})", groups.join(","));
        let uri = {
            let session = arena.session();
            let formats = format!("key_format=S,value_format=SS,{config}");
            let uri = arena.create(&session, "t", &formats);
            for (sort, columns) in [("colgroup", groups), ("index", indices)] {
                for column in columns {
                    let config = arena.formats(&format!("columns=({column})"));
                    session.create(&part(sort, &uri, column), &config).unwrap();
                }
            }
            let cursor = session.cursor(&uri, "raw").unwrap();
            for (key, value) in ROWS {
                set(&cursor, key, value);
                cursor.insert().unwrap();
            }
            uri
        };
        Self {
            arena,
            uri,
            indices,
            has_groups: !groups.is_empty(),
        }
    }

    /// The table and its indices, by names that native parts and ours have in common.
    fn places(&self) -> Vec<(String, String)> {
        let index = |name: &&str| (format!("index {name}"), part("index", &self.uri, name));
        let table = ("table".to_owned(), self.uri.clone());
        std::iter::once(table)
            .chain(self.indices.iter().map(index))
            .collect()
    }

    /// Has a cursor aim at a key, as [`set`]. One on column groups is reset before: from where a native one stands it would
    /// write to another row in all groups but the first.
    fn aim(&self, cursor: &Cursor<'_>, key: &str) {
        if self.has_groups {
            cursor.reset().unwrap();
        }
        cursor.set_key(&pack::string(key)).unwrap();
    }

    fn aim_with(&self, cursor: &Cursor<'_>, key: &str, value: &str) {
        self.aim(cursor, key);
        set(cursor, key, value);
    }
}

/// What shows.
#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    /// How an operation ended, and which key and value the cursor has behind it.
    fn note(&mut self, what: &str, cursor: &Cursor<'_>, answer: Result<()>) -> Code {
        let text = |bytes: Result<Vec<u8>>| {
            let bytes = bytes.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', "."));
            bytes.unwrap_or_else(|_| "none".to_owned())
        };
        let code = answer.code();
        let (key, value) = (text(cursor.key()), text(cursor.value()));
        self.0.push(format!("{what}: {code} {key} {value}"));
        code
    }

    /// All that is there.
    fn note_rows(&mut self, table: &Table) {
        let session = table.arena.session();
        for (name, place) in table.places() {
            let cursor = session.cursor(&place, "raw").unwrap();
            for (way, step) in STEPS {
                while self.note(&format!("{name} {way}"), &cursor, step(&cursor)) == Code::OK {}
            }
        }
    }
}

fn part(sort: &str, table: &str, name: &str) -> String {
    format!("{sort}:{}:{name}", table.strip_prefix("table:").unwrap())
}

fn set(cursor: &Cursor<'_>, key: &str, value: &str) {
    let value = [pack::string(value), pack::string("x")].concat();
    cursor.set_key(&pack::string(key)).unwrap();
    cursor.set_value(&value).unwrap();
}
