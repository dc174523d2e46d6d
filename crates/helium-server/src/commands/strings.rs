//! Commands of one value, or of some.

use bytes::Bytes;

use super::{Call, wrong_arity};
use crate::{
    items::When,
    limits::BULK_BYTES_MAX,
    refusal::{Outcome, SYNTAX, said, saying},
    session::Session,
};

/// GET key
pub fn get(call: &mut Call<'_>) -> Outcome {
    let found = call.session.read(&call.args[1])?;
    let value = found.then_some(call.session.value.as_slice());
    call.replies.bulk_or_null(value);
    Ok(())
}

/// How a SET is done.
#[derive(Default)]
struct How {
    when: When,
    returns_old: bool,
}

impl How {
    fn of(options: &[Bytes]) -> Outcome<Self> {
        let mut how = Self::default();
        for option in options {
            match option.to_ascii_uppercase().as_slice() {
                b"NX" if how.when != When::Present => how.when = When::Absent,
                b"XX" if how.when != When::Absent => how.when = When::Present,
                b"GET" => how.returns_old = true,
                b"KEEPTTL" => {}
                word @ (b"EX" | b"PX" | b"EXAT" | b"PXAT") => {
                    return Err(saying(format!(
                        "ERR items of Helium do not expire: SET takes no {}",
                        String::from_utf8_lossy(word)
                    )));
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(how)
    }
}

/// `SET key value [NX | XX] [GET] [KEEPTTL]`
pub fn set(call: &mut Call<'_>) -> Outcome {
    let how = How::of(call.rest(3))?;
    let (key, value) = (&call.args[1], &call.args[2]);
    if how.returns_old {
        let old = exchange(call.session, key, value, how.when)?;
        call.replies.bulk_or_null(old.as_deref());
        return Ok(());
    }
    match call.session.put(key, value, how.when)? {
        true => call.replies.simple("OK"),
        false => call.replies.null(),
    }
    Ok(())
}

/// Sets `key` if it is as it must be, and returns what it was.
fn exchange(
    session: &mut Session,
    key: &Bytes,
    value: &Bytes,
    when: When,
) -> Outcome<Option<Vec<u8>>> {
    if when == When::Absent
        && let Some(old) = session.get(key)?
    {
        return Ok(Some(old));
    }
    let mut was = None;
    session.change(key, |old| {
        was = old.map(<[u8]>::to_vec);
        let is_set = match when {
            When::Always => true,
            When::Absent => old.is_none(),
            When::Present => old.is_some(),
        };
        Ok(match is_set {
            true => Some(value.to_vec()),
            false => was.clone(),
        })
    })?;
    Ok(was)
}

/// GETSET key value
pub fn getset(call: &mut Call<'_>) -> Outcome {
    let old = exchange(call.session, &call.args[1], &call.args[2], When::Always)?;
    call.replies.bulk_or_null(old.as_deref());
    Ok(())
}

/// SETNX key value
pub fn setnx(call: &mut Call<'_>) -> Outcome {
    let is_set = call
        .session
        .put(&call.args[1], &call.args[2], When::Absent)?;
    call.replies.integer(i64::from(is_set));
    Ok(())
}

/// GETDEL key
pub fn getdel(call: &mut Call<'_>) -> Outcome {
    let taken = call.session.take(&call.args[1])?;
    call.replies.bulk_or_null(taken.as_deref());
    Ok(())
}

/// MGET key ...
pub fn mget(call: &mut Call<'_>) -> Outcome {
    let start = call.replies.bytes.len();
    let keys = &call.args[1..];
    call.replies.array(keys.len());
    // Some at a time would not be one moment's; all of them may be much.
    let values = call.session.get_all(keys)?;
    for value in values {
        call.replies.bulk_or_null(value.as_deref());
        call.check_reply(start)?;
    }
    Ok(())
}

fn pairs<'a>(call: &Call<'a>, name: &str) -> Outcome<&'a [Bytes]> {
    match call.args.len() % 2 {
        1 => Ok(&call.args[1..]),
        _ => Err(wrong_arity(name)),
    }
}

fn put_pairs(session: &mut Session, pairs: &[Bytes]) -> Outcome {
    for pair in pairs.chunks_exact(2) {
        session.put(&pair[0], &pair[1], When::Always)?;
    }
    Ok(())
}

/// MSET key value ...
pub fn mset(call: &mut Call<'_>) -> Outcome {
    let pairs = pairs(call, "mset")?;
    match pairs.len() {
        2 => put_pairs(call.session, pairs)?,
        _ => call
            .session
            .atomically(|session| put_pairs(session, pairs))?,
    }
    call.ok()
}

/// MSETNX key value ...
pub fn msetnx(call: &mut Call<'_>) -> Outcome {
    let pairs = pairs(call, "msetnx")?;
    let is_set = call.session.atomically(|session| {
        for pair in pairs.chunks_exact(2) {
            if session.contains(&pair[0])? {
                return Ok(false);
            }
        }
        put_pairs(session, pairs)?;
        Ok(true)
    })?;
    call.replies.integer(i64::from(is_set));
    Ok(())
}

/// STRLEN key
pub fn strlen(call: &mut Call<'_>) -> Outcome {
    let found = call.session.read(&call.args[1])?;
    let length = if found { call.session.value.len() } else { 0 };
    call.replies.integer(length as i64);
    Ok(())
}

/// APPEND key value
pub fn append(call: &mut Call<'_>) -> Outcome {
    let mut length = 0;
    let more = &call.args[2];
    call.session.change(&call.args[1], |old| {
        let new = [old.unwrap_or_default(), more].concat();
        length = new.len();
        Ok(Some(new))
    })?;
    call.replies.integer(length as i64);
    Ok(())
}

/// GETRANGE key start end
pub fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let found = call.session.read(&call.args[1])?;
    let value = match found {
        true => call.session.value.as_slice(),
        false => &[],
    };
    let length = value.len() as i64;
    let both_behind = start < 0 && end < 0 && start > end;
    // From the end, if less than none; and never outside.
    let inside = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let (start, end) = (inside(start), inside(end).min(length - 1));
    let part = match both_behind || start > end {
        true => &[],
        false => &value[start as usize..=end as usize],
    };
    call.replies.bulk(part);
    Ok(())
}

/// SETRANGE key offset value
pub fn setrange(call: &mut Call<'_>) -> Outcome {
    let offset = usize::try_from(call.integer(2)?);
    let offset = offset.map_err(|_| said("ERR offset is out of range"))?;
    let (key, part) = (&call.args[1], &call.args[3]);
    if part.is_empty() {
        // Nothing is written, and nothing made.
        return strlen(call);
    }
    let end = offset.saturating_add(part.len());
    if end > BULK_BYTES_MAX {
        return Err(saying(format!(
            "ERR string exceeds maximum allowed size ({BULK_BYTES_MAX} bytes)"
        )));
    }
    let mut length = 0;
    call.session.change(key, |old| {
        let mut new = old.unwrap_or_default().to_vec();
        new.resize(new.len().max(end), 0);
        new[offset..end].copy_from_slice(part);
        length = new.len();
        Ok(Some(new))
    })?;
    call.replies.integer(length as i64);
    Ok(())
}
