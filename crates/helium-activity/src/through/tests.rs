//! What comes over the wire is what was sent, or nothing.

use std::ops::Bound;

use super::wire::{About, Answer, Entry, Hello, Range, Request, Wanted};

fn requests() -> Vec<Request> {
    let range = |low, high, backward, wanted| {
        Request::Range(Range {
            datastore: 17,
            low,
            high,
            backward,
            wanted,
            most: u64::MAX,
        })
    };
    let (a, b) = (b"a".to_vec(), b"b\0\xff".to_vec());
    vec![
        Request::Hello { version: 7 },
        Request::Datastores { from: 65_536 },
        Request::Figures,
        Request::Get {
            datastore: 16,
            key: Vec::new(),
        },
        range(
            Bound::Unbounded,
            Bound::Included(a.clone()),
            false,
            Wanted::Items,
        ),
        range(Bound::Excluded(b), Bound::Unbounded, true, Wanted::Lengths),
        range(Bound::Included(a), Bound::Unbounded, true, Wanted::Keys),
        Request::Walk { datastore: 3 },
        Request::More,
    ]
}

fn answers() -> Vec<Answer> {
    let about = About {
        id: 16,
        name: b"colors".to_vec(),
        attributes: vec![0, 255],
        compress: true,
        unordered: false,
        items: 1 << 40,
    };
    let entry = Entry {
        key: b"k".to_vec(),
        value_bytes: 3,
        value: b"red".to_vec(),
    };
    vec![
        Answer::Hello(Hello {
            version: 1,
            id: [9; 16],
            url: b"he://./v".to_vec(),
            process: 4242,
            next_id: 20,
            datastores: 2,
        }),
        Answer::Datastores {
            more: true,
            all: vec![about.clone(), about],
        },
        Answer::Figures(vec![(b"items".to_vec(), 5)]),
        Answer::Value(None),
        Answer::Value(Some(vec![1; 70_000])),
        Answer::Items {
            more: false,
            all: vec![entry.clone(), entry],
        },
        Answer::Failed {
            kind: b"Busy".to_vec(),
            message: b"no".to_vec(),
        },
    ]
}

/// All of it, behind a length that says how much follows.
fn behind_length(frame: &[u8]) -> &[u8] {
    let (len, rest) = frame.split_at(4);
    assert_eq!(
        u32::from_le_bytes(len.try_into().expect("four bytes")) as usize,
        rest.len()
    );
    rest
}

#[test]
fn what_is_sent_is_what_comes() {
    for request in requests() {
        let frame = request.encode();
        assert_eq!(Request::decode(behind_length(&frame)), Some(request));
    }
    for answer in answers() {
        let frame = answer.encode();
        assert_eq!(Answer::decode(behind_length(&frame)), Some(answer));
    }
}

/// Lists may end between two entries, which their length in front rules out on the wire.
fn is_list(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Datastores { .. } | Answer::Figures(_) | Answer::Items { .. }
    )
}

#[test]
fn what_is_cut_or_too_long_is_nothing() {
    for request in requests() {
        let frame = request.encode();
        let bytes = behind_length(&frame);
        for len in 0..bytes.len() {
            assert_eq!(Request::decode(&bytes[..len]), None, "{request:?}");
        }
        assert_eq!(
            Request::decode(&[bytes, &[0]].concat()),
            None,
            "{request:?}"
        );
    }
    for answer in answers() {
        let frame = answer.encode();
        let bytes = behind_length(&frame);
        for len in 0..bytes.len() {
            let found = Answer::decode(&bytes[..len]);
            match is_list(&answer) {
                true => assert_ne!(found.as_ref(), Some(&answer)),
                false => assert_eq!(found, None, "{answer:?}"),
            }
        }
        assert_eq!(Answer::decode(&[bytes, &[0]].concat()), None, "{answer:?}");
    }
}

/// Each byte of each frame changed to many others, and lengths that nothing is behind: nothing panics, and nothing is
/// allocated for what did not come.
#[test]
fn garbage_is_nothing_or_something_else() {
    for request in requests() {
        let frame = request.encode();
        for at in 4..frame.len() {
            for byte in [0, 1, 2, 3, 7, 0x7f, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[at] = byte;
                if let Some(found) = Request::decode(&changed[4..]) {
                    assert!(found != request || changed == frame);
                }
            }
        }
    }
    let mut number = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..number % 40)
            .map(|_| {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                number as u8 % 110
            })
            .collect();
        number = number.wrapping_add(1);
        let _ = (Request::decode(&bytes), Answer::decode(&bytes));
    }
}
