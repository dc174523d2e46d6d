//! The commands: what each is called, what it takes, and where it is done.
//!
//! Invariant: a command that fails has written nothing to the replies but its error, and one that is refused before
//! it began spoils the MULTI that it was meant for.

mod client;
mod connection;
mod he;
mod he_datastores;
mod he_transactions;
mod info;
mod introspect;
mod keys;
mod multi;
mod numbers;
mod scan;
mod strings;
mod table;

use std::time::Instant;

use bytes::Bytes;
pub use table::{Kind, Spec, all, find};

use crate::{
    refusal::{Outcome, Refusal, said, saying},
    resp::{Protocol, Replies, Request},
    session::Session,
    shared::Shared,
    slowest::{Slow, Slowest},
};

/// A command that is being done.
pub struct Call<'a> {
    /// What all connections share.
    pub shared: &'a Shared,
    /// The connection.
    pub session: &'a mut Session,
    /// The command's name, and its arguments.
    pub args: &'a [Bytes],
    /// Where the reply goes.
    pub replies: &'a mut Replies,
}

impl<'a> Call<'a> {
    /// The argument of that number.
    pub fn arg(&self, index: usize) -> Outcome<&'a Bytes> {
        self.args.get(index).ok_or(crate::refusal::SYNTAX)
    }

    /// Those from `index` on.
    pub fn rest(&self, index: usize) -> &'a [Bytes] {
        self.args.get(index..).unwrap_or_default()
    }

    /// The argument of that number, which is a whole number.
    pub fn integer(&self, index: usize) -> Outcome<i64> {
        crate::number::integer(self.arg(index)?).ok_or(crate::refusal::NOT_AN_INTEGER)
    }

    /// Fails if the reply, which began at `start`, is too long.
    pub fn check_reply(&self, start: usize) -> Outcome {
        if self.replies.bytes.len() - start > crate::limits::REPLY_BYTES_MAX {
            return Err(said(
                "ERR the reply would be longer than 64 MiB: ask for less at a time",
            ));
        }
        Ok(())
    }

    /// Fails if the user may not do what `kind` says in a datastore of the connection's volume.
    pub fn allow(&self, kind: Kind, datastore: &[u8]) -> Outcome {
        let name = self.args.first().map(|name| name.to_ascii_lowercase());
        let name = name.unwrap_or_default();
        match self.session.may(kind, datastore) {
            true => Ok(()),
            false => Err(not_allowed(&String::from_utf8_lossy(&name))),
        }
    }

    fn ok(&mut self) -> Outcome {
        self.replies.simple("OK");
        Ok(())
    }
}

/// Does `request`, or puts it behind the others of its MULTI; or gives it back, if it has to wait and the session may
/// not.
pub fn run(
    shared: &Shared,
    session: &mut Session,
    request: Request,
    replies: &mut Replies,
) -> Result<(), Request> {
    let start = replies.bytes.len();
    shared.look_at_user(session);
    let spec = match admit(shared, session, &request) {
        Ok(spec) => spec,
        Err(why) => {
            if let Some(queued) = &mut session.queued {
                queued.is_refused = true;
            }
            session.command = "NULL";
            replies.error(&why.text());
            return Ok(());
        }
    };
    session.command = spec.name;
    if session.queued.is_some() && !spec.ends_multi {
        match multi::queue(session, spec, request) {
            Ok(()) => replies.simple("QUEUED"),
            Err(why) => replies.error(&why.text()),
        }
        return Ok(());
    }
    if !session.may_wait && !spec.is_short {
        return Err(request);
    }
    session.wrote = false;
    if !perform(shared, session, spec, &request, replies) {
        return Err(request);
    }
    if session.wrote {
        replies.writes.push(start..replies.bytes.len());
    }
    Ok(())
}

/// Finds the command, and says why it may not be given.
fn admit(shared: &Shared, session: &Session, request: &[Bytes]) -> Outcome<&'static Spec> {
    let name = request.first().map(Bytes::as_ref).unwrap_or_default();
    let spec = find(name).ok_or_else(|| unknown(request))?;
    if !spec.takes(request.len()) {
        return Err(wrong_arity(spec.name));
    }
    if shared.is_unknown(session) && !spec.is_open {
        return Err(said("NOAUTH Authentication required."));
    }
    if session.expired && !spec.ends_transaction {
        return Err(said(
            "ABORTED the transaction was rolled back, since it had been open for too long: HE.ROLLBACK, and begin \
             another one",
        ));
    }
    Ok(spec)
}

/// Does a command that was admitted; false if it has to wait, and nothing was done.
fn perform(
    shared: &Shared,
    session: &mut Session,
    spec: &'static Spec,
    args: &[Bytes],
    replies: &mut Replies,
) -> bool {
    let start = replies.bytes.len();
    let mut call = Call {
        shared,
        session,
        args,
        replies,
    };
    let begun = Instant::now();
    let is_allowed = spec.asks_itself || call.session.may(spec.kind, &call.session.place.name);
    let done = match is_allowed {
        true => (spec.run)(&mut call),
        false => Err(not_allowed(spec.name)),
    };
    if matches!(done, Err(Refusal::Waits)) {
        replies.cut(start);
        return false;
    }
    let took = begun.elapsed();
    shared.counts.add(spec, took, done.is_err());
    if Slowest::is_slow(took) {
        shared.counts.slowest.note(Slow {
            command: spec.name,
            took,
            at: Instant::now(),
            arguments: args.len(),
            bytes: args.iter().map(Bytes::len).sum(),
            client: session.client.clone(),
        });
    }
    if let Err(why) = done {
        replies.cut(start);
        replies.error(&why.text());
    }
    true
}

fn unknown(request: &[Bytes]) -> Refusal {
    const SHOWN: usize = 128;
    let shown = |bytes: &[u8], most: usize| {
        String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned()
    };
    let mut arguments = String::new();
    for argument in request.iter().skip(1) {
        if arguments.len() >= SHOWN {
            break;
        }
        arguments += &format!("'{}' ", shown(argument, SHOWN - arguments.len()));
    }
    let name = request.first().map(|name| shown(name, SHOWN));
    saying(format!(
        "ERR unknown command '{}', with args beginning with: {arguments}",
        name.unwrap_or_default()
    ))
}

/// The command, or one that it has, does not take so many arguments.
pub fn wrong_arity(name: &str) -> Refusal {
    saying(format!(
        "ERR wrong number of arguments for '{name}' command"
    ))
}

fn not_allowed(name: &str) -> Refusal {
    saying(format!(
        "NOPERM this user has no permissions to run the '{name}' command"
    ))
}

/// The command has none of that name.
pub fn unknown_subcommand(command: &str, name: &[u8]) -> Refusal {
    saying(format!(
        "ERR unknown subcommand '{}'. Try {command} HELP.",
        String::from_utf8_lossy(&name[..name.len().min(128)])
    ))
}

/// The version of the protocol, as a number.
fn version(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Two => 2,
        Protocol::Three => 3,
    }
}
