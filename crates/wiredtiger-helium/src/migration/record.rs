//! The bytes of the C connector's records: of a cache, and of the store of outcomes.
//!
//! A cache has a record for each key with updates that were not settled, oldest first:
//!
//! ```text
//! number of updates: 4 bytes, then each of them
//!     transaction: 8 bytes
//!     'R', and nothing more: the key is removed; or
//!     ' ', length: 4 bytes, value
//! ```
//!
//! The store of outcomes has a record for each transaction that was resolved: its 8 bytes, and `C`
//! for committed or `A` for rolled back. Numbers are those of the machine that wrote them, which is
//! taken to be little-endian: on another one the lengths make no sense, and are refused.
//!
//! Invariant: a record is understood to its last byte, or not at all. What cannot be understood is
//! said; nothing is allocated by a number that the record's length does not bear out.

/// The smallest update: a removal.
const UPDATE_BYTES_MIN: usize = 9;

/// What a transaction did to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It set this value.
    Set(&'a [u8]),
    /// It removed the item.
    Remove,
}

/// One update of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The transaction, by the bytes under which its outcome is kept.
    pub transaction: [u8; 8],
    /// What it did.
    pub change: Change<'a>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Committed,
    /// It does not.
    RolledBack,
}

/// The updates of a record of a cache, oldest first.
pub fn updates(record: &[u8]) -> Result<Vec<Update<'_>>, String> {
    let (count, mut rest) = record
        .split_first_chunk()
        .ok_or_else(|| format!("it has {} bytes, too few for anything", record.len()))?;
    let count = u32::from_le_bytes(*count);
    if count == 0 {
        return Err("it says that it has no updates".to_owned());
    }
    if count as usize > rest.len() / UPDATE_BYTES_MIN {
        return Err(format!(
            "it says that it has {count} updates, in {} bytes",
            rest.len()
        ));
    }
    let mut updates = Vec::with_capacity(count as usize);
    for number in 1..=count {
        let (update, behind) =
            update(rest).map_err(|why| format!("update {number} of {count} {why}"))?;
        updates.push(update);
        rest = behind;
    }
    if rest.is_empty() {
        Ok(updates)
    } else {
        Err(format!(
            "{} bytes are left behind the last of {count} updates",
            rest.len()
        ))
    }
}

/// The update with which `bytes` begin, and what is behind it.
fn update(bytes: &[u8]) -> Result<(Update<'_>, &[u8]), String> {
    let cut = || format!("is cut off after {} bytes", bytes.len());
    let (&transaction, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    let (change, behind) = match rest.split_first().ok_or_else(cut)? {
        (b'R', rest) => (Change::Remove, rest),
        (b' ', rest) => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            let length = u32::from_le_bytes(*length);
            let (value, behind) = rest.split_at_checked(length as usize).ok_or_else(|| {
                format!(
                    "has a value of {length} bytes, of which {} are there",
                    rest.len()
                )
            })?;
            (Change::Set(value), behind)
        }
        (kind, _) => return Err(format!("is of the kind {kind:#04x}, which there is not")),
    };
    let update = Update {
        transaction,
        change,
    };
    Ok((update, behind))
}

/// The outcome that a value in the store of outcomes stands for.
pub fn outcome(value: &[u8]) -> Result<Outcome, String> {
    match value {
        b"C" => Ok(Outcome::Committed),
        b"A" => Ok(Outcome::RolledBack),
        _ => Err(format!(
            "its value is {} bytes and neither C nor A",
            value.len()
        )),
    }
}

/// Whether `key` can stand for a transaction.
pub fn check_transaction(key: &[u8]) -> Result<(), String> {
    match key.len() {
        8 => Ok(()),
        bytes => Err(format!("its key has {bytes} bytes and not 8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(updates: &[(u64, Option<&[u8]>)]) -> Vec<u8> {
        super::super::tests::record(updates)
    }

    #[test]
    fn bytes_are_the_c_connectors() {
        // Written out by hand after its source: two updates, the second a removal.
        let bytes = b"\x02\0\0\0\x07\0\0\0\0\0\0\0 \x03\0\0\0abc\x08\x01\0\0\0\0\0\0R";
        let updates = updates(bytes).expect("well-formed");
        assert_eq!(
            updates,
            [
                Update {
                    transaction: 7u64.to_le_bytes(),
                    change: Change::Set(b"abc")
                },
                Update {
                    transaction: 264u64.to_le_bytes(),
                    change: Change::Remove
                },
            ]
        );
        assert_eq!(record(&[(7, Some(b"abc")), (264, None)]), bytes);
    }

    #[test]
    fn empty_values_are_values() {
        let bytes = record(&[(1, Some(b""))]);
        let updates = updates(&bytes).expect("well-formed");
        assert_eq!(updates[0].change, Change::Set(b""));
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed() {
        let whole = record(&[(1, Some(b"value")), (2, None), (3, Some(b"x"))]);
        for length in 0..whole.len() {
            assert!(updates(&whole[..length]).is_err(), "{length} bytes");
        }
        let longer = [&whole[..], b"\0"].concat();
        let why = updates(&longer).expect_err("one more");
        assert!(why.contains("1 bytes are left"), "{why}");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let mut strange = record(&[(1, None)]);
        strange[12] = b'X';
        for (bytes, what) in [
            (&b"\0\0\0\0"[..], "no updates"),
            (
                b"\xff\xff\xff\xff123456789",
                "4294967295 updates, in 9 bytes",
            ),
            (&strange, "kind 0x58"),
            (
                b"\x01\0\0\0\x01\0\0\0\0\0\0\0 \xff\xff\xff\xffab",
                "4294967295 bytes, of which 2",
            ),
        ] {
            let why = updates(bytes).expect_err(what);
            assert!(why.contains(what), "{why}");
        }
    }

    #[test]
    fn outcomes_are_two() {
        assert_eq!(outcome(b"C"), Ok(Outcome::Committed));
        assert_eq!(outcome(b"A"), Ok(Outcome::RolledBack));
        for value in [&b""[..], b"X", b"CC"] {
            assert!(outcome(value).is_err());
        }
        assert!(check_transaction(&[0; 8]).is_ok());
        assert!(check_transaction(&[0; 7]).is_err());
    }
}
