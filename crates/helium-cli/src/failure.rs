//! What goes wrong, as people and scripts hear of it: a sentence, advice, and an exit code.
//!
//! Invariants: every failure that leaves the command has a sentence that says what was wrong and
//! where, and one of the codes below; and whatever names it is made of, it is printable.

use std::{
    fmt,
    io::{self, Write},
};

use helium_remote::Network;
use heliumdb::ErrorKind;
use serde_json::json;

use crate::{json, text};

/// Result of everything that can fail here.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Exit codes; 0 is success, and 2 is what wrong arguments give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing more particular.
    Failed = 1,
    /// Arguments that make no sense.
    Usage = 2,
    /// No such volume, datastore or item.
    NotFound = 3,
    /// It is there already.
    Exists = 4,
    /// Someone else has it now.
    InUse = 5,
    /// The system, or a read-only volume, does not allow it.
    NotAllowed = 6,
    /// Bytes that do not match their checksum, or devices that do not belong together.
    Damaged = 7,
    /// The volume or the file system under it is full.
    Full = 8,
    /// Input that cannot be understood.
    BadInput = 9,
    /// Not a volume, or one of a newer version.
    WrongFormat = 10,
    /// The network, or what is at its other end.
    Unreachable = 11,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// The codes as the manual lists them.
pub const CODES: &str = "   0  done
   1  failed in a way that has no code of its own
   2  the arguments make no sense
   3  no such volume, datastore or item
   4  it is there already
   5  someone else uses the volume or datastore now
   6  the system, a server, or a read-only volume, does not allow it
   7  the volume is damaged, or a device of it is missing or foreign
   8  the volume, or the file system under it, is full
   9  the input cannot be understood
  10  not a volume, or one that a newer version wrote
  11  the server cannot be reached, broke off, or is none
 130  stopped by Ctrl-C; the volume is sound";

/// A failure on its way to the user.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    kind: String,
    message: String,
    advice: Option<String>,
}

impl Failure {
    /// A failure that reads as `message`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            kind: format!("{code:?}"),
            message: text::plain(message.into()),
            advice: None,
        }
    }

    /// With what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice
            .get_or_insert_with(|| text::plain(advice.into()));
        self
    }

    /// With something more that is worth knowing.
    pub fn also(mut self, more: &str) -> Self {
        let more = text::plain(more);
        self.advice = Some(match self.advice {
            Some(advice) => format!("{advice}\n  {more}"),
            None => more,
        });
        self
    }

    /// With the volume's name in the place of VOLUME in its advice.
    pub fn naming(mut self, volume: &str) -> Self {
        self.advice = self
            .advice
            .map(|advice| advice.replace("VOLUME", &text::plain(volume)));
        self
    }

    /// With what was being done in front.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{}: {}", text::plain(what), self.message);
        self
    }

    /// What the process exits with.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether the store failed in this way.
    pub fn is_of(&self, kind: ErrorKind) -> bool {
        self.kind == format!("{kind:?}")
    }

    /// Whether it is only that nobody reads the output any more.
    pub fn is_broken_pipe(&self) -> bool {
        self.kind == BROKEN_PIPE
    }

    /// Says it on standard error.
    pub fn tell(&self, json: bool) {
        // Where nobody can hear it, the exit code is all there is.
        let _ = match json {
            true => writeln!(io::stderr(), "{}", json::line(&self.to_json())),
            false => writeln!(io::stderr(), "helium: {self}"),
        };
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        json!({"error": {
            "kind": self.kind,
            "code": self.code as u8,
            "message": self.message,
            "advice": self.advice,
        }})
    }
}

const BROKEN_PIPE: &str = "BrokenPipe";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

impl From<heliumdb::Error> for Failure {
    fn from(why: heliumdb::Error) -> Self {
        if let Some(how) = helium_remote::network(&why) {
            return of_network(how, &why);
        }
        let system = std::error::Error::source(&why)
            .and_then(|source| source.downcast_ref::<io::Error>())
            .map(io::Error::kind);
        Self {
            code: code_of(why.kind(), system),
            kind: format!("{:?}", why.kind()),
            message: why.to_string(),
            advice: advice_on(why.kind(), system).map(str::to_owned),
        }
    }
}

impl From<clap::Error> for Failure {
    /// Its text without what is meant for people who sit at a terminal: the first paragraph.
    fn from(why: clap::Error) -> Self {
        let text = why.render().to_string();
        let text = text.split("\n\n").next().unwrap_or(&text);
        let text = text.strip_prefix("error: ").unwrap_or(text).trim_end();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        Self::new(Code::Usage, lines.join(" "))
            .advise("`helium COMMAND --help` says what it takes.")
    }
}

/// What the network did, or the server said of who asks.
fn of_network(how: Network, why: &heliumdb::Error) -> Failure {
    let code = match how {
        Network::Authentication | Network::NotAllowed => Code::NotAllowed,
        _ => Code::Unreachable,
    };
    let advice = match how {
        Network::Refused => {
            Some("`helium server VOLUME` serves one, on port 41000 unless it is told otherwise.")
        }
        Network::Authentication => {
            Some("The user and the password are in HELIUM_USER and HELIUM_PASSWORD.")
        }
        Network::Encryption => {
            Some("HELIUM_TLS_CA names who may have signed the server's certificate.")
        }
        _ => None,
    };
    Failure {
        code,
        kind: match why.kind() {
            ErrorKind::OutcomeUnknown => "OutcomeUnknown".to_owned(),
            _ => format!("{how:?}"),
        },
        message: why.to_string(),
        advice: advice.map(str::to_owned),
    }
}

fn code_of(kind: ErrorKind, system: Option<io::ErrorKind>) -> Code {
    use ErrorKind as K;
    match kind {
        K::InvalidArgument | K::InvalidUrl | K::Unsupported => Code::Usage,
        K::KeyTooLong | K::ValueTooLong => Code::BadInput,
        K::ItemNotFound | K::DatastoreNotFound => Code::NotFound,
        K::ItemExists | K::DatastoreExists => Code::Exists,
        K::Busy | K::VolumeInUse | K::Forked | K::Conflict | K::PrepareConflict | K::InDoubt => {
            Code::InUse
        }
        K::ReadOnly => Code::NotAllowed,
        K::Damaged | K::DeviceMismatch => Code::Damaged,
        K::VolumeFull => Code::Full,
        K::Cancelled => Code::Interrupted,
        K::NotAVolume | K::UnsupportedFormat => Code::WrongFormat,
        _ => system.map_or(Code::Failed, code_of_system),
    }
}

fn code_of_system(kind: io::ErrorKind) -> Code {
    match kind {
        io::ErrorKind::NotFound => Code::NotFound,
        io::ErrorKind::AlreadyExists => Code::Exists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Code::NotAllowed,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Code::Full
        }
        io::ErrorKind::InvalidData => Code::BadInput,
        _ => Code::Failed,
    }
}

fn advice_on(kind: ErrorKind, system: Option<io::ErrorKind>) -> Option<&'static str> {
    use ErrorKind as K;
    Some(match kind {
        K::UnsupportedFormat => "Use the version of helium that wrote it, or a newer one.",
        K::VolumeFull => {
            "Deleting still works: remove items, drop or truncate datastores, or free space on the file system."
        }
        K::Damaged => {
            "Restore it from a backup; or `helium salvage VOLUME NEW` copies what can be read to a new volume."
        }
        K::DeviceMismatch => "Name exactly the devices that the volume was created with.",
        K::VolumeTooSmall => {
            "A volume needs at least 64 MiB; a file that is empty, or not there yet, grows to that and beyond."
        }
        K::InvalidUrl => {
            "A volume is named by its path, as in data.he, by several with commas between them, or as he://./path."
        }
        _ => return advice_on_system(system?),
    })
}

fn advice_on_system(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::PermissionDenied => {
            "Ask for access to it, or run this as the user who owns it."
        }
        io::ErrorKind::StorageFull => "Free space on that file system, then try again.",
        io::ErrorKind::FileTooLarge => {
            "No file of this process may be larger: `ulimit -f` shows the limit."
        }
        _ => return None,
    })
}

/// What the system said of `what`.
pub fn system(what: impl fmt::Display, why: io::Error) -> Failure {
    let mut failure = Failure::new(code_of_system(why.kind()), format!("{what}: {why}"));
    failure.advice = advice_on_system(why.kind()).map(str::to_owned);
    if why.kind() == io::ErrorKind::BrokenPipe {
        failure.kind = BROKEN_PIPE.to_owned();
    }
    failure
}

/// What reading the input came to.
pub fn input(why: io::Error) -> Failure {
    system("cannot read", why)
}

/// What writing the output came to.
pub fn output(why: io::Error) -> Failure {
    system("cannot write the output", why)
}
