//! KEYS and SCAN: both go through the keys in order, SCAN some at a time.

use std::ops::Bound;

use super::Call;
use crate::{
    glob,
    refusal::{NOT_AN_INTEGER, Outcome, SYNTAX, said},
    walk::Way,
};

/// The keys that start like all that match `pattern`, behind `behind`.
fn way(pattern: Option<&[u8]>, behind: Option<Vec<u8>>) -> (Way, Vec<u8>) {
    let prefix = pattern.map(glob::prefix).unwrap_or_default();
    let low = behind.map_or(Bound::Included(prefix.clone()), Bound::Excluded);
    let way = Way {
        low,
        high: Bound::Unbounded,
        is_reversed: false,
        is_keys: true,
    };
    (way, prefix)
}

/// KEYS pattern
pub fn keys(call: &mut Call<'_>) -> Outcome {
    let pattern = call.args[1].clone();
    let (way, prefix) = way(Some(&pattern), None);
    let mut found = Vec::new();
    let mut bytes = 0;
    call.session.walk(way, |(key, _)| {
        if !key.starts_with(&prefix) {
            return Ok(false);
        }
        if glob::matches(&pattern, &key) {
            bytes += key.len() + crate::limits::ARGUMENT_BYTES;
            if bytes > crate::limits::REPLY_BYTES_MAX {
                return Err(said("ERR the keys have more than 64 MiB: use SCAN"));
            }
            found.push(key);
        }
        Ok(true)
    })?;
    call.replies.array(found.len());
    found.iter().for_each(|key| call.replies.bulk(key));
    Ok(())
}

struct Options {
    pattern: Option<Vec<u8>>,
    count: usize,
    /// Keys of some other type than the one there is.
    is_of_other_type: bool,
}

impl Options {
    fn of(call: &Call<'_>) -> Outcome<Self> {
        let mut options = Self {
            pattern: None,
            count: 10,
            is_of_other_type: false,
        };
        for index in (2..call.args.len()).step_by(2) {
            let value = call.arg(index + 1)?;
            match call.args[index].to_ascii_uppercase().as_slice() {
                b"MATCH" => options.pattern = Some(value.to_vec()),
                b"COUNT" => {
                    let count = crate::number::integer(value).ok_or(NOT_AN_INTEGER)?;
                    let count = usize::try_from(count).ok().filter(|&count| count > 0);
                    options.count = count.ok_or(SYNTAX)?;
                }
                b"TYPE" => options.is_of_other_type = !value.eq_ignore_ascii_case(b"string"),
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub fn scan(call: &mut Call<'_>) -> Outcome {
    let cursor = std::str::from_utf8(&call.args[1]).ok();
    let cursor: u64 = cursor
        .and_then(|cursor| cursor.parse().ok())
        .ok_or(said("ERR invalid cursor"))?;
    let options = Options::of(call)?;
    let behind = match cursor {
        0 => None,
        cursor => Some(call.shared.cursors.key(cursor).ok_or(said(
            "ERR invalid cursor: it is of another run of the server, or was left for too long; begin again with 0",
        ))?),
    };
    let (way, prefix) = way(options.pattern.as_deref(), behind);
    let mut found = Vec::new();
    let mut last = None;
    let mut looked = 0;
    let mut bytes = 0;
    call.session.walk(way, |(key, _)| {
        if !key.starts_with(&prefix) {
            last = None;
            return Ok(false);
        }
        looked += 1;
        let pattern = options.pattern.as_deref();
        if !options.is_of_other_type && pattern.is_none_or(|pattern| glob::matches(pattern, &key)) {
            bytes += key.len();
            found.push(key.clone());
        }
        let goes_on = looked < options.count && bytes < crate::limits::REPLY_BYTES_MAX;
        last = (!goes_on).then_some(key);
        Ok(goes_on)
    })?;
    let next = match last {
        Some(key) => call.shared.cursors.advance(cursor, key),
        None => {
            call.shared.cursors.end(cursor);
            0
        }
    };
    call.replies.array(2);
    call.replies.bulk(next.to_string().as_bytes());
    call.replies.array(found.len());
    found.iter().for_each(|key| call.replies.bulk(key));
    Ok(())
}
