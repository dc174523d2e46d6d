//! The checker itself: each kind of loss is one that it notices.

use super::*;
use crate::{
    dataset::{File, Package},
    image::PackageRow,
};

const WRITER: Writer = Writer {
    round: 1,
    thread: 0,
};

/// One package with three files; one transaction moved two of them.
fn data() -> DataSet {
    let file = |path: &str| File {
        path: path.to_owned(),
        digest: "00".to_owned(),
    };
    DataSet {
        packages: vec![Package {
            name: "a".to_owned(),
            files: vec![file("/1"), file("/2"), file("/3")],
            ..Package::default()
        }],
    }
}

fn row(path: &str) -> FileRow {
    FileRow {
        package: "a".to_owned(),
        path: path.to_owned(),
        digest: "00".to_owned(),
    }
}

fn image() -> Image {
    Image {
        packages: vec![PackageRow {
            name: "a".to_owned(),
            version: String::new(),
            section: String::new(),
            files: 3,
            installed: 2,
            moves: 1,
        }],
        planned: vec![row("/3")],
        installed: vec![row("/1"), row("/2")],
        index: vec![
            ("a".to_owned(), "/1".to_owned()),
            ("a".to_owned(), "/2".to_owned()),
        ],
        ledger: vec![LedgerRow {
            round: 1,
            thread: 0,
            number: 1,
            package: "a".to_owned(),
            files: 2,
            nth: 1,
        }],
    }
}

fn acks(count: u64) -> Acks {
    let mut acks = Acks::default();
    for number in 1..=count {
        let change = Move {
            package: "a".to_owned(),
            files: 2,
        };
        acks.add(WRITER, number, change).unwrap();
    }
    acks
}

fn complaints(image: &Image) -> Vec<String> {
    check(image, &data(), &acks(1)).complaints
}

#[test]
fn what_was_acknowledged_is_fine() {
    let verdict = check(&image(), &data(), &acks(1));
    assert_eq!(verdict.complaints, [""; 0]);
    assert_eq!(verdict.unacknowledged, 0);
}

#[test]
fn the_one_under_way_may_be_there() {
    let verdict = check(&image(), &data(), &acks(0));
    assert_eq!(verdict.complaints, [""; 0]);
    assert_eq!(verdict.unacknowledged, 1);
}

#[test]
fn a_lost_transaction_is_noticed() {
    let verdict = check(&image(), &data(), &acks(2));
    assert_eq!(
        verdict.complaints,
        ["round 1 thread 0: acknowledged transaction 2 is lost"]
    );
}

#[test]
fn each_missing_part_of_a_transaction_is_noticed() {
    type Damage = fn(&mut Image);
    let parts: [(&str, Damage); 8] = [
        ("neither", |image| drop(image.installed.pop())),
        ("both", |image| image.planned.insert(0, row("/1"))),
        ("the ledger 0", |image| image.ledger.clear()),
        ("counts 0 installed", |image| {
            image.packages[0].installed = 0
        }),
        ("counts 0 moves", |image| image.packages[0].moves = 0),
        ("no entry for /2", |image| drop(image.index.pop())),
        ("not installed", |image| {
            image.index.push(("a".to_owned(), "/3".to_owned()))
        }),
        ("another value", |image| image.planned[0].digest.clear()),
    ];
    for (words, damage) in parts {
        let mut image = image();
        damage(&mut image);
        let complaints = complaints(&image);
        assert!(
            complaints.iter().any(|one| one.contains(words)),
            "{words}: {complaints:?}"
        );
    }
}

#[test]
fn a_scan_out_of_order_is_noticed() {
    let mut image = image();
    image.installed.reverse();
    assert!(complaints(&image)[0].contains("out of order"));
}
