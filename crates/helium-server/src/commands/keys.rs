//! Commands of keys, whatever their values are, and of whole databases.

use super::Call;
use crate::{
    items::When,
    refusal::{Outcome, SYNTAX, said},
    session::Session,
    volumes::Place,
};

/// DEL key ...
pub fn del(call: &mut Call<'_>) -> Outcome {
    let keys = &call.args[1..];
    if call.session.datastore()?.is_none() {
        call.replies.integer(0);
        return Ok(());
    }
    let delete_all = |session: &mut Session| {
        let mut count = 0;
        for key in keys {
            count += i64::from(session.delete(key)?);
        }
        Ok(count)
    };
    let count = match keys.len() {
        1 => delete_all(call.session)?,
        _ => call.session.atomically(delete_all)?,
    };
    call.replies.integer(count);
    Ok(())
}

/// EXISTS key ...
pub fn exists(call: &mut Call<'_>) -> Outcome {
    let count = call.session.count(&call.args[1..])?;
    call.replies.integer(count as i64);
    Ok(())
}

/// TYPE key
pub fn kind(call: &mut Call<'_>) -> Outcome {
    let is_there = call.session.contains(&call.args[1])?;
    call.replies
        .simple(if is_there { "string" } else { "none" });
    Ok(())
}

/// TTL key, PTTL key: nothing expires.
pub fn ttl(call: &mut Call<'_>) -> Outcome {
    let is_there = call.session.contains(&call.args[1])?;
    call.replies.integer(if is_there { -1 } else { -2 });
    Ok(())
}

/// PERSIST key: nothing expires anyway.
pub fn persist(call: &mut Call<'_>) -> Outcome {
    call.replies.integer(0);
    Ok(())
}

/// DBSIZE
pub fn dbsize(call: &mut Call<'_>) -> Outcome {
    let length = call.session.len()?;
    call.replies.integer(length as i64);
    Ok(())
}

/// RENAME key newkey
pub fn rename(call: &mut Call<'_>) -> Outcome {
    give_key(call, When::Always)?;
    call.ok()
}

/// RENAMENX key newkey
pub fn renamenx(call: &mut Call<'_>) -> Outcome {
    let is_done = give_key(call, When::Absent)?;
    call.replies.integer(i64::from(is_done));
    Ok(())
}

fn give_key(call: &mut Call<'_>, when: When) -> Outcome<bool> {
    let (old, new) = (&call.args[1], &call.args[2]);
    let missing = said("ERR no such key");
    if call.session.datastore()?.is_none() {
        return Err(missing);
    }
    call.session.atomically(|session| {
        let value = session.get(old)?.ok_or(missing)?;
        if old == new {
            return Ok(when == When::Always);
        }
        let is_done = session.put(new, &value, when)?;
        if is_done {
            session.delete(old)?;
        }
        Ok(is_done)
    })
}

/// `FLUSHDB [ASYNC | SYNC]`
pub fn flushdb(call: &mut Call<'_>) -> Outcome {
    check_how(call)?;
    let place = call.session.place.clone();
    empty(call.session, place)?;
    call.ok()
}

/// `FLUSHALL [ASYNC | SYNC]`: the numbered databases of the volume, and no datastore of another name.
pub fn flushall(call: &mut Call<'_>) -> Outcome {
    check_how(call)?;
    for number in 0..call.shared.options.databases {
        let served = call.session.place.served.clone();
        empty(call.session, Place::new(served, number.to_string().into()))?;
    }
    call.ok()
}

fn check_how(call: &Call<'_>) -> Outcome {
    if call.session.running.is_some() {
        return Err(said(
            "ERR a datastore is not emptied inside a transaction: HE.COMMIT or HE.ROLLBACK first",
        ));
    }
    match call.rest(1) {
        [] => Ok(()),
        [how] if how.eq_ignore_ascii_case(b"async") || how.eq_ignore_ascii_case(b"sync") => Ok(()),
        _ => Err(SYNTAX),
    }
}

fn empty(session: &mut Session, mut place: Place) -> Outcome {
    let Some(datastore) = place.datastore(None)?.cloned() else {
        return Ok(());
    };
    let served = place.served;
    let gate = served.enter_alone();
    served.volume.truncate_datastore(datastore.id())?;
    served.watches.touch_all(&place.name);
    drop(gate);
    session.note_write();
    Ok(())
}
