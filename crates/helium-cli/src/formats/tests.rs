//! Every format gives back what was put in, whatever the bytes; what it cannot read it names by line.

use proptest::prelude::*;

use std::path::Path;

use super::{Columns, Delimiter, Entry, Format, Head, Shape};
use crate::failure::Code;

const ALL: [Format; 7] = [
    Format::Jsonl,
    Format::Json,
    Format::Csv,
    Format::Tsv,
    Format::Mdb,
    Format::Wiredtiger,
    Format::WiredtigerHex,
];

type Items = Vec<(Vec<u8>, Vec<u8>)>;

fn write(format: Format, items: &Items) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = format
        .sink(Box::new(&mut out), false, Delimiter::default())
        .expect("one datastore");
    let head = Head {
        name: b"d".to_vec(),
        ..Head::default()
    };
    sink.datastore(&head).expect("memory");
    for (key, value) in items {
        sink.item(key, value).expect("memory");
    }
    sink.finish().expect("memory");
    drop(sink);
    out
}

fn read(format: Format, text: &[u8]) -> Result<Items, String> {
    let mut source = format
        .source(Box::new(text), &Columns::default(), Shape::default())
        .map_err(|why| why.to_string())?;
    let mut items = Vec::new();
    while let Some(entry) = source.next().map_err(|why| {
        assert_eq!(why.code(), Code::BadInput);
        why.to_string()
    })? {
        if let Entry::Item { key, value, .. } = entry {
            items.push((key, value));
        }
    }
    Ok(items)
}

/// Bytes of every kind, those that formats use themselves more often.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\\\"',\n\r\t \0\xff\xef\xbb\xbfData={}".to_vec());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(special, 0..12),
        any::<String>().prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn formats_give_back_the_same_items(items in prop::collection::vec((bytes(), bytes()), 0..20)) {
        for format in ALL {
            let text = write(format, &items);
            prop_assert_eq!(read(format, &text), Ok(items.clone()), "{:?}", format);
        }
    }

    #[test]
    fn nothing_that_is_read_panics(text: Vec<u8>, head in 0..ALL.len()) {
        let mut whole = write(ALL[head], &vec![(b"k".to_vec(), b"v".to_vec())]);
        whole.extend_from_slice(&text);
        for format in ALL {
            // Whether it is an error or not: it returns.
            let _ = read(format, &whole);
            let _ = read(format, &text);
        }
    }
}

#[test]
fn a_dump_of_several_datastores_keeps_names_and_attributes() {
    for format in [Format::Jsonl, Format::Json] {
        keeps_names_and_attributes(format);
    }
}

fn keeps_names_and_attributes(format: Format) {
    let mut out = Vec::new();
    let mut sink = format
        .sink(Box::new(&mut out), true, Delimiter::default())
        .expect("JSON");
    let entries = [
        Entry::Datastore(Head {
            name: b"a".to_vec(),
            attributes: b"\xff".to_vec(),
            compress: true,
            unordered: true,
        }),
        Entry::Item {
            datastore: Some(b"a".to_vec()),
            key: vec![],
            value: vec![0],
        },
        Entry::Datastore(Head {
            name: b"\xfe".to_vec(),
            ..Head::default()
        }),
        Entry::Item {
            datastore: Some(b"\xfe".to_vec()),
            key: b"k".to_vec(),
            value: vec![],
        },
    ];
    for entry in &entries {
        match entry {
            Entry::Datastore(head) => sink.datastore(head),
            Entry::Item { key, value, .. } => sink.item(key, value),
        }
        .expect("memory");
    }
    sink.finish().expect("memory");
    drop(sink);
    let mut source = format
        .source(
            Box::new(out.as_slice()),
            &Columns::default(),
            Shape::default(),
        )
        .expect("ours");
    for entry in entries {
        assert_eq!(source.next().expect("ours"), Some(entry));
    }
    assert_eq!(source.next().expect("ours"), None);
}

#[test]
fn formats_are_guessed() {
    let guess = |name: Option<&str>, head: &[u8]| Format::guess(name.map(Path::new), head);
    assert_eq!(guess(Some("a.JSONL"), b"key,value"), Format::Jsonl);
    assert_eq!(guess(Some("a.csv"), b"{"), Format::Csv);
    assert_eq!(
        guess(Some("a.txt"), b"WiredTiger Dump (W"),
        Format::Wiredtiger
    );
    assert_eq!(guess(None, b"\n {\"key\""), Format::Jsonl);
    assert_eq!(guess(None, b"key,value"), Format::Csv);
    assert_eq!(guess(Some("a.json"), b" [\n{"), Format::Json);
    assert_eq!(guess(Some("a.json"), b"{"), Format::Jsonl);
    assert_eq!(guess(None, b"[{"), Format::Json);
    assert_eq!(guess(None, b"apple\tred, mostly\n"), Format::Tsv);
    assert_eq!(guess(None, b"key,value\na,\tb\n"), Format::Csv);
    assert_eq!(guess(None, b"{\"key\":\"\t\"}"), Format::Jsonl);
    assert_eq!(guess(None, b"VERSION=3\nformat=print\n"), Format::Mdb);
}

/// A dump that was cut off is never taken for one of other items, nor for whole items where it is not.
#[test]
fn what_was_cut_off_is_refused() {
    let items: Items = [
        ("key", "value"),
        ("a\nb", "c\"\"d\n"),
        ("", ""),
        ("long", "\u{1F600} and more"),
        ("last", "12345"),
    ]
    .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
    .to_vec();
    for format in ALL {
        let whole = write(format, &items);
        for end in 0..whole.len() {
            let cut = &whole[..end];
            let Ok(found) = read(format, cut) else {
                continue;
            };
            // Nothing tells where a dump ends but a whole item; and JSON says itself where an item ends.
            let is_whole = cut.is_empty()
                || cut.ends_with(b"\n")
                || format == Format::Jsonl && cut.ends_with(b"}")
                || format == Format::Json && cut.ends_with(b"]")
                || format == Format::Mdb && cut.ends_with(b"DATA=END");
            assert!(is_whole, "{format:?}: {:?}", String::from_utf8_lossy(cut));
            assert!(items.starts_with(&found), "{format:?} at {end}: {found:?}");
        }
    }
}

#[test]
fn lines_of_other_systems_end_in_two_characters() {
    let text = "WiredTiger Dump (x)\nFormat=print\nHeader\ntable:a\nkey_format=u\nData\na\nb\\0d\n";
    let items = vec![(b"a".to_vec(), b"b\r".to_vec())];
    assert_eq!(read(Format::Wiredtiger, text.as_bytes()), Ok(items.clone()));
    let text = text.replace('\n', "\r\n");
    assert_eq!(read(Format::Wiredtiger, text.as_bytes()), Ok(items));
    let text = "{\"key\":\"a\",\"value\":\"b\"}\r\n\r\n";
    let items = vec![(b"a".to_vec(), b"b".to_vec())];
    assert_eq!(read(Format::Jsonl, text.as_bytes()), Ok(items.clone()));
    for format in ALL {
        let text = String::from_utf8(write(format, &items)).expect("text");
        let text = text.replace('\n', "\r\n");
        assert_eq!(read(format, text.as_bytes()), Ok(items.clone()), "{text:?}");
    }
}

/// However it is spread over lines, and whatever brackets are in its strings.
#[test]
fn an_array_is_read_element_by_element() {
    let text = "\n [ { \"key\" : \"]}\\\"\", \n \"value\":\"{[\\\\\" }\n,{\"key\":{\"base64\":\"/w==\"},\"value\":\"\"}\n]\n\n";
    let items = vec![
        (b"]}\"".to_vec(), b"{[\\".to_vec()),
        (b"\xff".to_vec(), b"".to_vec()),
    ];
    assert_eq!(read(Format::Json, text.as_bytes()), Ok(items));
    assert_eq!(read(Format::Json, b"[]"), Ok(vec![]));
    assert_eq!(write(Format::Json, &vec![]), b"[]\n");
}

/// As `mdb_dump -p` and `db_dump` write them.
#[test]
fn dumps_of_lmdb_and_berkeley_db_are_read() {
    let text = "VERSION=3\nformat=print\ndatabase=colors\ntype=btree\nmapsize=1048576\nmaxreaders=126\ndb_pagesize=4096\nHEADER=END\n apple\n red \\5c \\00\nDATA=END\n";
    let items = vec![(b"apple".to_vec(), b"red \\ \0".to_vec())];
    assert_eq!(read(Format::Mdb, text.as_bytes()), Ok(items.clone()));
    let twice = text.to_owned() + &text.replace("colors", "other");
    let read_twice = read(Format::Mdb, twice.as_bytes());
    assert_eq!(read_twice, Ok([items.clone(), items].concat()));
    let nameless = "VERSION=3\nformat=bytevalue\ntype=hash\nHEADER=END\n 00Ff\n \nDATA=END\n";
    let items = vec![(b"\0\xff".to_vec(), b"".to_vec())];
    assert_eq!(read(Format::Mdb, nameless.as_bytes()), Ok(items));
    let why = read(Format::Mdb, (text.to_owned() + nameless).as_bytes());
    assert!(why.is_err_and(|why| why.contains("has no name")));
}

#[test]
fn fields_are_divided_as_is_said() {
    let delimiter =
        |text: &str| super::parse_delimiter(text).map(|byte| Delimiter { byte: Some(byte) });
    let items = vec![(b"a;b\tc".to_vec(), b"\\x3b;\n|".to_vec())];
    for (format, text) in [
        (Format::Csv, ";"),
        (Format::Csv, "tab"),
        (Format::Tsv, ";"),
        (Format::Tsv, "|"),
    ] {
        let delimiter = delimiter(text).expect(text);
        let mut out = Vec::new();
        let mut sink = format
            .sink(Box::new(&mut out), false, delimiter)
            .expect("good");
        sink.datastore(&Head::default()).expect("memory");
        sink.item(&items[0].0, &items[0].1).expect("memory");
        sink.finish().expect("memory");
        drop(sink);
        let shape = Shape {
            delimiter,
            hex: false,
        };
        let mut source = format
            .source(Box::new(out.as_slice()), &Columns::default(), shape)
            .expect("good");
        let Some(Entry::Item { key, value, .. }) = source.next().expect("good") else {
            panic!("an item");
        };
        assert_eq!(vec![(key, value)], items, "{format:?} {text}");
    }
    for text in ["", "a", "1", "\\", "\"", "\n", "ab", "é"] {
        assert!(delimiter(text).is_err(), "{text:?}");
    }
    let shape = Shape {
        delimiter: delimiter(";").expect("good"),
        hex: false,
    };
    let refused = Format::Jsonl.source(Box::new(&b""[..]), &Columns::default(), shape);
    assert!(refused.is_err_and(|why| why.to_string().contains("--delimiter means nothing")));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_input() {
    let items = vec![(b"k".to_vec(), b"\xef\xbb\xbf".to_vec())];
    for format in ALL {
        let mut text = b"\xef\xbb\xbf".to_vec();
        text.extend(write(format, &items));
        let guessed = Format::guess(None, &text);
        assert!(guessed == format || format == Format::WiredtigerHex);
        assert_eq!(read(format, &text), Ok(items.clone()), "{format:?}");
    }
}

/// What no item can be is refused while it is read, in a message that has room for it.
#[test]
fn what_has_no_end_is_refused() {
    let long = |text: &str, times: usize| text.repeat(times);
    for (format, text, sentence) in [
        (
            Format::Csv,
            long("key,", 300_000),
            "line 1: has more than 4,096 fields",
        ),
        (
            Format::Csv,
            long("k", 2 << 20),
            "line 1: is longer than any header can be",
        ),
        (
            Format::Csv,
            format!("{}\n", long("column,", 4_000)),
            "line 1: the header has no column \"key\": it reads column,column",
        ),
        (
            Format::Csv,
            format!("key,value\n{}\n", long(",", 5_000)),
            "line 2: has more than 4,096 fields",
        ),
        (
            Format::Jsonl,
            format!("{{\"{}\":0}}\n", long("k", 1 << 20)),
            "line 1: has a field \"kkk",
        ),
        (
            Format::Jsonl,
            format!("{{\"compress\":\"{}\"}}\n", long("k", 1 << 20)),
            "line 1: invalid type: string \"kkk",
        ),
        (
            Format::Wiredtiger,
            format!("WiredTiger Dump\nFormat={}\n", long("k", 1 << 20)),
            "line 2: \"Format=kkk",
        ),
    ] {
        let why = read(format, text.as_bytes()).expect_err(sentence);
        assert!(why.starts_with(sentence) && why.len() < 1000, "{why}");
    }
}

/// However a file of other programs ends and begins.
#[test]
fn csv_is_read_to_its_last_record() {
    for start in ["", "\u{feff}"] {
        for end in ["\n", "\r\n", "\n\n\n", "\r"] {
            for value in ["b", "\"b\"", "\"b\nend\n\"", "end", ""] {
                let text = format!("{start}key,value\nx,1\na,{value}{end}");
                let expected = value.trim_matches('"').as_bytes().to_vec();
                let items = vec![(b"x".to_vec(), b"1".to_vec()), (b"a".to_vec(), expected)];
                assert_eq!(read(Format::Csv, text.as_bytes()), Ok(items), "{text:?}");
            }
        }
    }
    assert_eq!(read(Format::Csv, b"key,value\n"), Ok(vec![]));
    // One column may be both.
    let columns = Columns {
        key_column: "k".to_owned(),
        value_column: "k".to_owned(),
    };
    let mut source = Format::Csv
        .source(Box::new(&b"k\nend\n"[..]), &columns, Shape::default())
        .expect("good");
    assert!(source.next().expect("good").is_some());
    assert_eq!(source.next().expect("good"), None);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let wt = "WiredTiger Dump (x)\nFormat=print\nHeader\ntable:a\nkey_format=u\nData\n";
    for (format, text, sentence) in [
        (
            Format::Csv,
            "key,value\na,b\nc\n",
            "line 3: has 1 field, and the header has 2",
        ),
        (
            Format::Csv,
            "key,value\n\n\na,b\n\"c\",\"d\ne",
            "line 5: a double quote is opened",
        ),
        (
            Format::Csv,
            "key,value\na,\"",
            "line 2: a double quote is opened",
        ),
        (
            Format::Csv,
            "k,v\na,b\n",
            "line 1: the header has no column \"key\"",
        ),
        (
            Format::Csv,
            "key,value,base64\na,b,\n,?,value\n",
            "line 3: the value is not base64",
        ),
        (
            Format::Csv,
            "key,value,base64\na,b,no\n",
            "line 2: the column base64 reads \"no\"",
        ),
        (
            Format::Jsonl,
            "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":1}\n",
            "line 2: invalid type: integer `1`, expected a string or {\"base64\": \"...\"}, at column 8",
        ),
        (
            Format::Jsonl,
            "\n{\"key\":\"a\"}\n",
            "line 2: has a key and no \"value\"",
        ),
        (
            Format::Jsonl,
            "{\"key\" \"a\"}\n",
            "line 1: not a JSON object: expected `:`, at column 8",
        ),
        (
            Format::Jsonl,
            "{\"keys\":\"a\"}\n",
            "line 1: has a field \"keys\"",
        ),
        (
            Format::Jsonl,
            "{\"key\":\"a\",\"key\":\"b\"}\n",
            "line 1: has \"key\" twice",
        ),
        (
            Format::Jsonl,
            "[0,0]\n",
            "line 1: invalid type: sequence, expected a JSON object",
        ),
        (
            Format::Jsonl,
            "{\"compress\":\"no\"}\n",
            "line 1: invalid type: string \"no\", expected a boolean",
        ),
        (
            Format::Csv,
            "",
            "line 1: the input is empty, and has no header",
        ),
        (Format::Csv, "key,value", "line 1: the last line has no end"),
        (
            Format::Csv,
            "key,value\na,b\nc,d",
            "line 3: the last line has no end",
        ),
        (Format::Json, "{}", "line 1: an array starts with ["),
        (Format::Json, "[\n1]", "line 2: an array has objects in it"),
        (
            Format::Json,
            "[\n{\"key\":\"a\",\n\"value\":\"b\"}\n,]",
            "line 4: behind a comma stands an object",
        ),
        (
            Format::Json,
            "[{\"key\":\"a\",\"value\":\"b\"} {",
            "line 1: behind an object stands a comma",
        ),
        (
            Format::Json,
            "[]\n[]",
            "line 2: something is behind the array",
        ),
        (
            Format::Json,
            "[\n{\"key\":\"]\"",
            "line 2: the array is not closed: the file was cut off",
        ),
        (
            Format::Json,
            "[\n\n{\"key\":\"a\"}]",
            "line 3: has a key and no \"value\"",
        ),
        (Format::Tsv, "a\tb\n\n", "line 2: has 1 field"),
        (Format::Tsv, "a\tb\tc\n", "line 1: has 3 fields"),
        (
            Format::Tsv,
            "a\tb\\q\n",
            "line 1: the value: behind a backslash",
        ),
        (Format::Tsv, "a\tb", "line 1: the line has no end"),
        (
            Format::Mdb,
            "VERSION=4\n",
            "line 1: the versions are 2 and 3",
        ),
        (
            Format::Mdb,
            "VERSION=3\nformat=print\n",
            "line 2: the input ends within the head",
        ),
        (
            Format::Mdb,
            "VERSION=3\ndupsort=1\nHEADER=END\n",
            "line 2: the database has several values for a key",
        ),
        (
            Format::Mdb,
            "VERSION=3\ntype=recno\n",
            "line 2: of types btree and hash",
        ),
        (
            Format::Mdb,
            "VERSION=3\nHEADER=END\n61\n",
            "line 3: should start with a blank",
        ),
        (
            Format::Mdb,
            "VERSION=3\nHEADER=END\n 6\n",
            "line 3: not hexadecimal",
        ),
        (
            Format::Mdb,
            "VERSION=3\nHEADER=END\n 61\nDATA=END\n",
            "line 4: a key has no value",
        ),
        (
            Format::Mdb,
            "VERSION=3\nHEADER=END\n 61\n 62\n",
            "line 4: the input ends before DATA=END",
        ),
        (
            Format::Wiredtiger,
            &format!("{wt}a\nbc"),
            "line 8: the line has no end",
        ),
        (
            Format::Wiredtiger,
            "nothing\n",
            "line 1: does not start with WiredTiger Dump",
        ),
        (
            Format::Wiredtiger,
            "WiredTiger Dump\nFormat=json\n",
            "line 2: \"Format=json\" is no format",
        ),
        (
            Format::Wiredtiger,
            "WiredTiger Dump\nFormat=hex\nHeader\n",
            "line 4: the input ends within the head",
        ),
        (
            Format::Wiredtiger,
            &format!("{wt}a\n"),
            "line 7: the input ends with a key",
        ),
        (
            Format::Wiredtiger,
            &format!("{wt}a\n\\g0\n"),
            "line 8: a backslash is followed",
        ),
        (
            Format::Wiredtiger,
            &format!("{}-1\nb\n", wt.replace("=u", "=r")),
            "line 7: \"-1\" is no record number",
        ),
    ] {
        let why = read(format, text.as_bytes()).expect_err(text);
        assert!(why.starts_with(sentence), "{why}\nand not\n{sentence}");
    }
}
