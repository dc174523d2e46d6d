//! Commands of numbers, which are kept as text.

use bytes::Bytes;

use super::Call;
use crate::{
    number::{Decimal, integer},
    refusal::{NOT_AN_INTEGER, Outcome, Refusal, said},
};

const OVERFLOW: Refusal = said("ERR increment or decrement would overflow");
const NOT_A_FLOAT: Refusal = said("ERR value is not a valid float");

/// INCR key
pub fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

/// DECR key
pub fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

/// INCRBY key increment
pub fn incrby(call: &mut Call<'_>) -> Outcome {
    let more = call.integer(2)?;
    add(call, more)
}

/// DECRBY key decrement
pub fn decrby(call: &mut Call<'_>) -> Outcome {
    let less = call.integer(2)?;
    let more = less.checked_neg();
    add(call, more.ok_or(said("ERR decrement would overflow"))?)
}

fn add(call: &mut Call<'_>, more: i64) -> Outcome {
    let mut sum = 0;
    call.session.change(&call.args[1], |old| {
        let old = old.map_or(Some(0), integer).ok_or(NOT_AN_INTEGER)?;
        sum = old.checked_add(more).ok_or(OVERFLOW)?;
        Ok(Some(sum.to_string().into_bytes()))
    })?;
    call.replies.integer(sum);
    Ok(())
}

/// INCRBYFLOAT key increment
pub fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let more = Decimal::parse(&call.args[2]).ok_or(NOT_A_FLOAT)?;
    let mut text = Bytes::new();
    call.session.change(&call.args[1], |old| {
        let old = Decimal::parse(old.unwrap_or(b"0")).ok_or(NOT_A_FLOAT)?;
        let sum = old
            .plus(more)
            .ok_or(said("ERR increment would produce NaN or Infinity"))?;
        text = Bytes::from(sum.text());
        Ok(Some(text.to_vec()))
    })?;
    call.replies.bulk(&text);
    Ok(())
}
