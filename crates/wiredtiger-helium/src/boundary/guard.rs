//! What every callback does around its work: catching panics, turning errors into
//! WiredTiger's numbers, and printing what a person should know.

use super::host::{SessionHandle, Wired};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    source::Source,
};
use std::{
    any::Any,
    ffi::c_int,
    panic::{AssertUnwindSafe, catch_unwind},
};
use wiredtiger_abi::v3_2::{
    WT_DUPLICATE_KEY, WT_NOTFOUND, WT_PANIC, WT_PREPARE_CONFLICT, WT_ROLLBACK,
};

/// `EIO`, for when there is nobody to tell why.
pub const EIO: c_int = 5;
/// `EINVAL`, for when there is nobody to tell why.
pub const EINVAL: c_int = 22;

const NO_MEMORY: &str =
    "this process may have no more memory (`ulimit -v`): nothing is written until it has some";

/// Runs `work` and answers WiredTiger. After a panic the data source refuses everything:
/// what it left half done is unknown.
pub fn answer(
    source: &Source<Wired>,
    session: Option<SessionHandle>,
    work: impl FnOnce() -> Result<()>,
) -> c_int {
    if let Err(error) = source.check_process() {
        return report(source.host(), session, &error);
    }
    let error = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => error,
        Err(panic) => {
            source.mark_broken();
            Error::new(Code::Panic, format!("panic: {}", panic_text(&*panic)))
        }
    };
    report(source.host(), session, &error)
}

/// Refuses to begin what takes memory where the system gives none. What reads, removes, resets, closes or
/// ends a transaction goes on.
#[inline]
pub fn memory() -> Result<()> {
    match helium_spare::is_there() {
        true => Ok(()),
        false => Err(Error::new(Code::NoMemory, NO_MEMORY)),
    }
}

/// Prints the error if it has something to say, and gives its number.
pub fn report(host: &Wired, session: Option<SessionHandle>, error: &Error) -> c_int {
    if !error.message().is_empty() {
        host.error(session, error.message());
    }
    number(error.code())
}

/// What a panic was about.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

fn number(code: Code) -> c_int {
    match code {
        Code::NotFound => WT_NOTFOUND,
        Code::DuplicateKey => WT_DUPLICATE_KEY,
        Code::Rollback => WT_ROLLBACK,
        Code::PrepareConflict => WT_PREPARE_CONFLICT,
        Code::Panic => WT_PANIC,
        Code::NoEntry => 2,
        Code::Io => EIO,
        Code::NoMemory => 12,
        Code::Busy => 16,
        Code::Exists => 17,
        Code::Invalid => EINVAL,
        Code::NoSpace => 28,
        Code::ReadOnly => 30,
        Code::Unsupported => 95,
        Code::Host(number) => number,
    }
}
