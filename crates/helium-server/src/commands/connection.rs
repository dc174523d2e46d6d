//! Commands of the connection itself.

use std::sync::Arc;

use super::{Call, version, wrong_arity};
use crate::{
    number,
    refusal::{NOT_AN_INTEGER, Outcome, said, saying},
    resp::Protocol,
    users::User,
    volumes::Place,
};

/// `PING [message]`
pub fn ping(call: &mut Call<'_>) -> Outcome {
    match call.rest(1) {
        [] => call.replies.simple("PONG"),
        [message] => call.replies.bulk(message),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

/// ECHO message
pub fn echo(call: &mut Call<'_>) -> Outcome {
    call.replies.bulk(&call.args[1]);
    Ok(())
}

/// QUIT
pub fn quit(call: &mut Call<'_>) -> Outcome {
    call.session.is_leaving = true;
    call.ok()
}

/// SELECT index: the datastore of that number as its name.
pub fn select(call: &mut Call<'_>) -> Outcome {
    let number = number::integer(&call.args[1])
        .filter(|&number| i32::try_from(number).is_ok())
        .ok_or(NOT_AN_INTEGER)?;
    let is_one = usize::try_from(number).is_ok_and(|number| number < call.shared.options.databases);
    if !is_one {
        return Err(said("ERR DB index is out of range"));
    }
    let served = call.session.place.served.clone();
    go_to(call, Place::new(served, number.to_string().into()));
    call.ok()
}

/// Has the commands from here on be about `place`.
pub fn go_to(call: &mut Call<'_>, place: Place) {
    let shown = String::from_utf8_lossy(&place.name).replace([' ', '\n', '\r'], "_");
    call.session.client.state.lock().datastore = shown;
    call.session.place = place;
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
pub fn hello(call: &mut Call<'_>) -> Outcome {
    let mut protocol = call.replies.protocol;
    if let Some(wanted) = call.args.get(1) {
        let wanted = number::integer(wanted).ok_or(said(
            "ERR Protocol version is not an integer or out of range",
        ))?;
        protocol = match wanted {
            2 => Protocol::Two,
            3 => Protocol::Three,
            _ => return Err(said("NOPROTO unsupported protocol version")),
        };
    }
    let mut options = call.rest(2);
    let mut name = None;
    let mut user = None;
    while let [option, rest @ ..] = options {
        options = match (option.to_ascii_uppercase().as_slice(), rest) {
            (b"AUTH", [name, password, rest @ ..]) => {
                user = Some(authenticate(call, name, password)?);
                rest
            }
            (b"SETNAME", [wanted, rest @ ..]) => {
                name = Some(super::client::checked(wanted, "Client names")?);
                rest
            }
            _ => {
                return Err(saying(format!(
                    "ERR Syntax error in HELLO option '{}'",
                    String::from_utf8_lossy(option)
                )));
            }
        };
    }
    if user.is_none() && call.shared.is_unknown(call.session) {
        return Err(said(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    if let Some(user) = user {
        become_user(call, user);
    }
    let mut state = call.session.client.state.lock();
    if let Some(name) = name {
        state.name = name;
    }
    state.protocol = version(protocol);
    drop(state);
    call.replies.protocol = protocol;
    let replies = &mut *call.replies;
    replies.map(7);
    for (field, value) in [("server", "redis"), ("version", crate::REDIS_VERSION)] {
        replies.bulk(field.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"proto");
    replies.integer(i64::from(version(protocol)));
    replies.bulk(b"id");
    replies.integer(call.session.client.id as i64);
    for (field, value) in [("mode", "standalone"), ("role", "master")] {
        replies.bulk(field.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"modules");
    replies.array(0);
    Ok(())
}

const NO_USERS: crate::refusal::Refusal = said(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
     configuration is correct?",
);

/// `AUTH [username] password`
pub fn auth(call: &mut Call<'_>) -> Outcome {
    let user = match call.rest(1) {
        [password] => authenticate(call, b"default", password)?,
        [name, password] => authenticate(call, name, password)?,
        _ => return Err(crate::refusal::SYNTAX),
    };
    become_user(call, user);
    call.ok()
}

/// Who that is; the same answer whatever is wrong.
fn authenticate(call: &Call<'_>, name: &[u8], password: &[u8]) -> Outcome<Arc<User>> {
    let users = call.shared.users.get().ok_or(NO_USERS)?;
    users.check(name, password).ok_or_else(|| {
        tracing::warn!(from = %call.session.client.address, "a password was wrong");
        said("WRONGPASS invalid username-password pair or user is disabled.")
    })
}

fn become_user(call: &mut Call<'_>, user: Arc<User>) {
    call.session.client.state.lock().user = user.name.clone();
    call.session.user = Some(user);
}

/// RESET
pub fn reset(call: &mut Call<'_>) -> Outcome {
    call.session.drop_work();
    call.session.user = None;
    call.replies.protocol = Protocol::Two;
    let mut state = call.session.client.state.lock();
    state.name = String::new();
    state.protocol = 2;
    drop(state);
    let start = call.shared.start();
    go_to(call, start);
    call.replies.simple("RESET");
    Ok(())
}
