//! What goes wrong between here and a server, and what a server says went wrong there: the store's errors.
//!
//! Invariant: each way in which the network fails is its own, in all that comes of it.

use std::{error, fmt, io};

use heliumdb::{Error, ErrorKind};

use crate::connection::Effect;

/// How the network failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing listens there, or what does refuses to.
    Refused,
    /// No machine of that name is known.
    UnknownHost,
    /// It does not answer, or not in time.
    TimedOut,
    /// The connection broke, or was closed.
    CutOff,
    /// What answers is no Helium server, or one that says what this release does not understand.
    Protocol,
    /// The server does not take the user and the password, or wants some.
    Authentication,
    /// The user may not do that.
    NotAllowed,
    /// No keys were agreed on, or certificates that are not good.
    Encryption,
}

impl Network {
    fn kind(self) -> io::ErrorKind {
        match self {
            Self::Refused => io::ErrorKind::ConnectionRefused,
            Self::UnknownHost => io::ErrorKind::HostUnreachable,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::CutOff => io::ErrorKind::ConnectionAborted,
            Self::Protocol => io::ErrorKind::InvalidData,
            Self::Authentication | Self::NotAllowed => io::ErrorKind::PermissionDenied,
            Self::Encryption => io::ErrorKind::ConnectionReset,
        }
    }
}

/// An error's [`Network`], with its sentence, as the system's error below the store's.
#[derive(Debug)]
struct Fault(Network, String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl error::Error for Fault {}

/// How the network failed, if it was the network.
pub fn network(why: &Error) -> Option<Network> {
    let system = error::Error::source(why)?.downcast_ref::<io::Error>()?;
    let fault = system.get_ref()?.downcast_ref::<Fault>()?;
    Some(fault.0)
}

/// The network failed so, while the server `at` was asked.
pub(crate) fn failed(how: Network, at: impl fmt::Display, why: impl fmt::Display) -> Error {
    let fault = Fault(how, why.to_string());
    Error::io(
        format_args!("the server at {at}"),
        io::Error::new(how.kind(), fault),
    )
}

/// What the system said of a connection that there was.
pub(crate) fn lost(at: impl fmt::Display, why: &io::Error) -> Error {
    match why.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            failed(Network::TimedOut, at, "it has not answered in time")
        }
        io::ErrorKind::InvalidData => failed(Network::Protocol, at, why),
        _ => failed(Network::CutOff, at, "the connection was lost, or closed"),
    }
}

/// A write under way when the connection was lost.
pub(crate) fn unknown(why: Error) -> Error {
    why.context("whether it was done is not known")
        .with_kind(ErrorKind::OutcomeUnknown)
}

/// What the server at `at` says of the user and the password. Others than Helium's may repeat what they were sent: only
/// what is known is shown.
pub(crate) fn said_of_user(at: impl fmt::Display, text: &str) -> Error {
    const KNOWN: [&str; 3] = [
        "WRONGPASS invalid username-password pair or user is disabled.",
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
        "ERR max number of clients reached",
    ];
    if KNOWN.contains(&text) {
        return said(at, text, Effect::None);
    }
    let how = match text.starts_with("ERR unknown command") {
        true => Network::Protocol,
        false => Network::Authentication,
    };
    failed(how, at, "it does not take the user and the password")
}

/// What the server at `at` says, whose first word is what programs look at.
pub(crate) fn said(at: impl fmt::Display, text: &str, effect: Effect) -> Error {
    let (code, sentence) = text.split_once(' ').unwrap_or((text, text));
    let of = |kind| Error::new(kind, format!("the server at {at} says: {sentence}"));
    match code {
        "CONFLICT" => of(ErrorKind::Conflict),
        "ABORTED" => of(ErrorKind::Closed),
        "TRYAGAIN" => of(ErrorKind::Busy),
        "OOM" => of(ErrorKind::VolumeFull),
        "READONLY" => of(ErrorKind::ReadOnly),
        "IOERR" if effect == Effect::Writes => of(ErrorKind::OutcomeUnknown),
        "IOERR" => of(ErrorKind::Io),
        "DAMAGED" => of(ErrorKind::Damaged),
        "EXISTS" => of(ErrorKind::ItemExists),
        "NOITEM" => Error::item_not_found(),
        "NODATASTORE" => of(ErrorKind::DatastoreNotFound),
        "UNSUPPORTED" => of(ErrorKind::Unsupported),
        "NOVOLUME" => Error::io(
            format_args!("the server at {at}"),
            io::Error::new(io::ErrorKind::NotFound, sentence),
        ),
        "NOAUTH" | "WRONGPASS" => failed(Network::Authentication, at, sentence),
        "NOPERM" => failed(Network::NotAllowed, at, sentence),
        "ERR" if sentence.starts_with("AUTH ") => failed(Network::Authentication, at, sentence),
        "ERR" if sentence.starts_with("max number of clients") => of(ErrorKind::Busy),
        "ERR" if sentence.starts_with("unknown command") => failed(Network::Protocol, at, sentence),
        "ERR" => of(ErrorKind::InvalidArgument),
        _ => failed(Network::Protocol, at, text),
    }
}
