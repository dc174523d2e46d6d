//! Every format gives back what was put in, whatever the bytes; what it cannot read it names by line.

use proptest::prelude::*;

use super::{Columns, Entry, Format, Head};
use crate::failure::Code;

const ALL: [Format; 4] = [
    Format::Jsonl,
    Format::Csv,
    Format::Wiredtiger,
    Format::WiredtigerHex,
];

type Items = Vec<(Vec<u8>, Vec<u8>)>;

fn write(format: Format, items: &Items) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = format
        .sink(Box::new(&mut out), false)
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
        .source(Box::new(text), &Columns::default())
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
    fn nothing_that_is_read_panics(text: Vec<u8>, head in 0..4_usize) {
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
    let mut out = Vec::new();
    let mut sink = Format::Jsonl
        .sink(Box::new(&mut out), true)
        .expect("JSON Lines");
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
    drop(sink);
    let mut source = Format::Jsonl
        .source(Box::new(out.as_slice()), &Columns::default())
        .expect("ours");
    for entry in entries {
        assert_eq!(source.next().expect("ours"), Some(entry));
    }
    assert_eq!(source.next().expect("ours"), None);
}

#[test]
fn formats_are_guessed() {
    let guess = |name, head: &[u8]| Format::guess(name, head);
    assert_eq!(guess(Some("a.JSONL"), b"key,value"), Format::Jsonl);
    assert_eq!(guess(Some("a.csv"), b"{"), Format::Csv);
    assert_eq!(
        guess(Some("a.txt"), b"WiredTiger Dump (W"),
        Format::Wiredtiger
    );
    assert_eq!(guess(None, b"\n {\"key\""), Format::Jsonl);
    assert_eq!(guess(None, b"key,value"), Format::Csv);
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
                || format == Format::Jsonl && cut.ends_with(b"}");
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
    assert_eq!(read(Format::Jsonl, text.as_bytes()), Ok(items));
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
        .source(Box::new(&b"k\nend\n"[..]), &columns)
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
