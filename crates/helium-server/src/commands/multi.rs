//! MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//!
//! Invariant: the commands of an EXEC are done in one transaction of the store while nobody else writes to the
//! volume through the server; they are all committed, or none is. A command that fails for what it was asked is
//! answered with its error and the others are done, as in Redis; where the store fails none is.

use super::{Call, Spec, find, perform};
use crate::{
    limits,
    refusal::{Outcome, Refusal, said},
    resp::Request,
    session::{Queued, Running, Session},
};

/// MULTI
pub fn multi(call: &mut Call<'_>) -> Outcome {
    if call.session.queued.is_some() {
        return Err(said("ERR MULTI calls can not be nested"));
    }
    if call.session.running.is_some() {
        return Err(said(
            "ERR MULTI inside a transaction that HE.BEGIN began: HE.COMMIT or HE.ROLLBACK first",
        ));
    }
    call.session.queued = Some(Queued::default());
    call.ok()
}

/// Puts a command behind the others.
pub fn queue(session: &mut Session, spec: &Spec, request: Request) -> Outcome {
    let Some(queued) = &mut session.queued else {
        return Ok(());
    };
    let refused = if spec.not_in_multi {
        Some("ERR Command not allowed inside a transaction")
    } else {
        let bytes = request
            .iter()
            .map(|argument| argument.len() + limits::ARGUMENT_BYTES);
        queued.bytes += bytes.sum::<usize>();
        let is_much = queued.bytes > limits::REQUEST_BYTES_MAX;
        is_much.then_some("ERR the commands since MULTI have more than 64 MiB")
    };
    if let Some(why) = refused {
        queued.is_refused = true;
        return Err(said(why));
    }
    queued.requests.push(request);
    Ok(())
}

/// DISCARD
pub fn discard(call: &mut Call<'_>) -> Outcome {
    if call.session.queued.take().is_none() {
        return Err(said("ERR DISCARD without MULTI"));
    }
    call.session.unwatch();
    call.ok()
}

/// EXEC
pub fn exec(call: &mut Call<'_>) -> Outcome {
    let Some(queued) = call.session.queued.take() else {
        return Err(said("ERR EXEC without MULTI"));
    };
    let done = match queued.is_refused {
        true => Err(said(
            "EXECABORT Transaction discarded because of previous errors.",
        )),
        false => all_or_none(call, &queued.requests),
    };
    call.session.unwatch();
    done
}

fn all_or_none(call: &mut Call<'_>, requests: &[Request]) -> Outcome {
    let place = call.session.place.clone();
    let served = place.served.clone();
    let gate = served.enter_alone();
    if call.session.flag.is_raised() {
        call.replies.null_array();
        return Ok(());
    }
    call.session.running = Some(Running::brief(served.clone())?);
    let done = perform_all(call, requests);
    let running = call.session.running.take();
    let committed = done.and_then(|()| running.map_or(Ok(false), Running::commit));
    drop(gate);
    match committed {
        Ok(wrote) => {
            call.session.wrote = false;
            if wrote {
                call.session.note_write();
            }
            Ok(())
        }
        Err(why) => {
            // As if none had been done.
            call.session.place = place;
            Err(why)
        }
    }
}

fn perform_all(call: &mut Call<'_>, requests: &[Request]) -> Outcome {
    let start = call.replies.bytes.len();
    call.replies.array(requests.len());
    for request in requests {
        // It was found before it was put there.
        let Some(spec) = request.first().and_then(|name| find(name)) else {
            continue;
        };
        perform(call.shared, call.session, spec, request, call.replies);
        let failed = call.session.running.as_ref();
        if let Some(why) = failed.and_then(|running| running.txn.failure()) {
            return Err(Refusal::Store(
                why.clone().context("EXEC: nothing was done"),
            ));
        }
        call.check_reply(start)?;
    }
    Ok(())
}

/// WATCH key ...
pub fn watch(call: &mut Call<'_>) -> Outcome {
    if call.session.queued.is_some() {
        return Err(said("ERR WATCH inside MULTI is not allowed"));
    }
    for key in &call.args[1..] {
        call.session.watch(key)?;
    }
    call.ok()
}

/// UNWATCH
pub fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.session.unwatch();
    call.ok()
}
