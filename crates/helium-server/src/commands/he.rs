//! What Redis has no word for, of items: neighbours, ranges both ways, insert and replace.

use std::ops::Bound;

use heliumdb::{Item, Position};

use super::Call;
use crate::{
    items::When,
    limits::REPLY_BYTES_MAX,
    refusal::{NOT_AN_INTEGER, Outcome, SYNTAX, said},
    resp::{Protocol, Replies},
    walk::Way,
};

fn nearest(call: &mut Call<'_>, position: Position<'_>) -> Outcome {
    match call.session.nearest(position)? {
        Some((key, value)) => {
            call.replies.array(2);
            call.replies.bulk(&key);
            call.replies.bulk(&value);
        }
        None => call.replies.null_array(),
    }
    Ok(())
}

/// HE.NEXT key
pub fn next(call: &mut Call<'_>) -> Outcome {
    let key = call.args[1].clone();
    nearest(call, Position::After(&key))
}

/// HE.PREV key
pub fn previous(call: &mut Call<'_>) -> Outcome {
    let key = call.args[1].clone();
    nearest(call, Position::Before(&key))
}

/// HE.FIRST
pub fn first(call: &mut Call<'_>) -> Outcome {
    nearest(call, Position::First)
}

/// HE.LAST
pub fn last(call: &mut Call<'_>) -> Outcome {
    nearest(call, Position::Last)
}

/// HE.PART key offset length: how long the value is, and so many bytes of it.
pub fn part(call: &mut Call<'_>) -> Outcome {
    let (offset, length) = (count(&call.args[2])?, count(&call.args[3])?);
    if !call.session.read(&call.args[1])? {
        call.replies.null_array();
        return Ok(());
    }
    let value = call.session.value.as_slice();
    let start = offset.min(value.len());
    let end = start.saturating_add(length).min(value.len());
    call.replies.array(2);
    call.replies.integer(value.len() as i64);
    call.replies.bulk(&value[start..end]);
    Ok(())
}

/// HE.INSERT key value
pub fn insert(call: &mut Call<'_>) -> Outcome {
    match call
        .session
        .put(&call.args[1], &call.args[2], When::Absent)?
    {
        true => call.ok(),
        false => Err(said("EXISTS an item of that key is there already")),
    }
}

/// HE.REPLACE key value
pub fn replace(call: &mut Call<'_>) -> Outcome {
    // A write would make what is not there.
    let is_there = call.session.place.is_kept() || call.session.datastore()?.is_some();
    let is_done = is_there
        && call
            .session
            .put(&call.args[1], &call.args[2], When::Present)?;
    match is_done {
        true => call.ok(),
        false => Err(said("NOITEM no item of that key is there")),
    }
}

/// An end of a range: - and + are the ends of everything, [key is with the key, (key without it.
fn bound(text: &[u8]) -> Outcome<Bound<Vec<u8>>> {
    match text {
        b"-" | b"+" => Ok(Bound::Unbounded),
        [b'[', key @ ..] => Ok(Bound::Included(key.to_vec())),
        [b'(', key @ ..] => Ok(Bound::Excluded(key.to_vec())),
        _ => Err(said("ERR min or max not valid string range item")),
    }
}

struct Options {
    is_reversed: bool,
    is_keys: bool,
    most: usize,
    bytes: Option<usize>,
}

impl Options {
    fn of(call: &Call<'_>) -> Outcome<Self> {
        let mut found = Self {
            is_reversed: false,
            is_keys: false,
            most: usize::MAX,
            bytes: None,
        };
        let mut options = call.rest(3);
        while let [option, rest @ ..] = options {
            options = match (option.to_ascii_uppercase().as_slice(), rest) {
                (b"REV", _) => {
                    found.is_reversed = true;
                    rest
                }
                (b"KEYS", _) => {
                    found.is_keys = true;
                    rest
                }
                (b"LIMIT", [most, rest @ ..]) => {
                    found.most = count(most)?;
                    rest
                }
                (b"BYTES", [bytes, rest @ ..]) => {
                    found.bytes = Some(count(bytes)?);
                    rest
                }
                _ => return Err(SYNTAX),
            };
        }
        Ok(found)
    }
}

/// A number that is not less than none.
fn count(text: &[u8]) -> Outcome<usize> {
    let number = crate::number::integer(text).ok_or(NOT_AN_INTEGER)?;
    usize::try_from(number).map_err(|_| NOT_AN_INTEGER)
}

/// `HE.RANGE min max [REV] [LIMIT count] [BYTES bytes] [KEYS]`; with REV the greater end comes first, as in ZRANGE.
pub fn range(call: &mut Call<'_>) -> Outcome {
    let options = Options::of(call)?;
    let (one, other) = (&call.args[1], &call.args[2]);
    let (low, high) = match options.is_reversed {
        false => (one, other),
        true => (other, one),
    };
    if low.as_ref() == b"+" || high.as_ref() == b"-" || options.most == 0 {
        // It begins behind everything, or ends before.
        bound(one).and(bound(other))?;
        call.replies.array(0);
        return Ok(());
    }
    let way = Way {
        low: bound(low)?,
        high: bound(high)?,
        is_reversed: options.is_reversed,
        is_keys: options.is_keys,
    };
    let mut found: Vec<Item> = Vec::new();
    let mut bytes = 0;
    call.session.walk(way, |item| {
        bytes += item.0.len() + item.1.len() + 2 * crate::limits::ARGUMENT_BYTES;
        if bytes > REPLY_BYTES_MAX {
            return Err(said(
                "ERR the items have more than 64 MiB: ask for some at a time with LIMIT, and go on behind the last key",
            ));
        }
        found.push(item);
        Ok(found.len() < options.most && options.bytes.is_none_or(|most| bytes < most))
    })?;
    reply(call.replies, &found, options.is_keys);
    Ok(())
}

fn reply(replies: &mut Replies, items: &[Item], is_keys: bool) {
    let is_flat = is_keys || replies.protocol == Protocol::Two;
    replies.array(items.len() * if is_flat && !is_keys { 2 } else { 1 });
    for (key, value) in items {
        if !is_flat {
            replies.array(2);
        }
        replies.bulk(key);
        if !is_keys {
            replies.bulk(value);
        }
    }
}
