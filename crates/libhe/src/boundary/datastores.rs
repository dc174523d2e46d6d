//! Opening, naming, emptying and removing datastores, and their figures.
#![expect(unsafe_code, reason = "functions that C calls")]

use std::ffi::{CString, c_char, c_int, c_void};

use super::{
    guard::{answer, answer_handle, find, number},
    layouts::{EnumerateFn, HeEnv3, HeEnv22, HeEnv28, HeStats3, HeStats22, HeStats28, HeT, Stats},
    pointers,
};
use crate::{
    code::{Code, Result},
    env::Env,
    flags::Flags,
    handle::Found,
    open, stats,
};

/// Opens a datastore; null and a code in `errno` if that fails.
///
/// # Safety
///
/// `url` and `name` are null or end with a zero; `env` is null or may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_open(
    url: *const c_char,
    name: *const c_char,
    flags: c_int,
    env: *const HeEnv28,
) -> HeT {
    // SAFETY: as the caller says.
    unsafe { open_with(url, name, flags, env) }
}

/// [`he_open`] for programs of version 2.2.
///
/// # Safety
///
/// As for [`he_open`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_open_v2_2(
    url: *const c_char,
    name: *const c_char,
    flags: c_int,
    env: *const HeEnv22,
) -> HeT {
    // SAFETY: as the caller says.
    unsafe { open_with(url, name, flags, env) }
}

/// [`he_open`] for programs of versions 3.x.
///
/// # Safety
///
/// As for [`he_open`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_open_v3(
    url: *const c_char,
    name: *const c_char,
    flags: c_int,
    env: *const HeEnv3,
) -> HeT {
    // SAFETY: as the caller says.
    unsafe { open_with(url, name, flags, env) }
}

/// # Safety
///
/// As for [`he_open`].
unsafe fn open_with<E: Copy + Into<Env>>(
    url: *const c_char,
    name: *const c_char,
    flags: c_int,
    env: *const E,
) -> HeT {
    answer_handle(|| {
        // SAFETY: as the caller says.
        let (url, name) = unsafe { (pointers::text(url)?, pointers::text(name)?) };
        let flags = Flags::from_bits(flags).ok_or(Code::ARGUMENTS)?;
        let env = if env.is_null() {
            Env::default()
        } else {
            // SAFETY: as the caller says.
            unsafe { pointers::read(env) }?.into()
        };
        open::open(url, name, flags, &env)
    })
}

/// Closes a handle. A transaction is discarded.
#[unsafe(no_mangle)]
pub extern "C" fn he_close(he: HeT) -> c_int {
    answer(|| {
        if let Ok(transaction) = find(he)?.transaction() {
            return transaction.shared.discard();
        }
        open::close_datastore(number(he))
    })
}

/// Removes the datastore of a handle, which is over then.
#[unsafe(no_mangle)]
pub extern "C" fn he_remove(he: HeT) -> c_int {
    answer(|| open::remove(number(he)))
}

/// Gives the datastore of a handle another name.
///
/// # Safety
///
/// `name` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_rename(he: HeT, name: *const c_char) -> c_int {
    // SAFETY: as the caller says.
    answer(|| open::rename(number(he), unsafe { pointers::text(name) }?))
}

/// Removes all items of a datastore: version 2.2's name of what `he_discard` does later.
#[unsafe(no_mangle)]
pub extern "C" fn he_truncate(he: HeT) -> c_int {
    answer(|| open::truncate(find(he)?.datastore()?))
}

/// Wipes a volume that nobody uses. The flag is accepted.
///
/// # Safety
///
/// `url` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_remove_volume(url: *const c_char, _flag: c_int) -> c_int {
    // SAFETY: as the caller says.
    answer(|| open::remove_volume(unsafe { pointers::text(url) }?))
}

/// Shows the names of all datastores of a volume to a function, in order.
///
/// # Safety
///
/// `url` is null or ends with a zero; `function` may be called with `argument`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_enumerate(
    url: *const c_char,
    function: Option<EnumerateFn>,
    argument: *mut c_void,
) -> c_int {
    answer(|| {
        let function = function.ok_or(Code::ARGUMENTS)?;
        // SAFETY: as the caller says.
        let names = open::names(unsafe { pointers::text(url) }?)?;
        // A name with a zero inside, which only another interface can give, cannot be told.
        for name in names.into_iter().filter_map(|name| CString::new(name).ok()) {
            // SAFETY: as the caller says. Nothing of ours is locked.
            if unsafe { function(argument, name.as_ptr()) } != 0 {
                return Err(Code::TERMINATED);
            }
        }
        Ok(())
    })
}

/// Tells the figures of a datastore and its volume.
///
/// # Safety
///
/// `stats` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_stats(he: HeT, stats: *mut HeStats28) -> c_int {
    // SAFETY: as the caller says.
    unsafe { stats_to(he, stats) }
}

/// [`he_stats`] for programs of version 2.2.
///
/// # Safety
///
/// As for [`he_stats`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_stats_v2_2(he: HeT, stats: *mut HeStats22) -> c_int {
    // SAFETY: as the caller says.
    unsafe { stats_to(he, stats) }
}

/// [`he_stats`] for programs of versions 3.x.
///
/// # Safety
///
/// As for [`he_stats`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_stats_v3(he: HeT, stats: *mut HeStats3) -> c_int {
    // SAFETY: as the caller says.
    unsafe { stats_to(he, stats) }
}

/// # Safety
///
/// As for [`he_stats`].
unsafe fn stats_to<S: Stats>(he: HeT, stats: *mut S) -> c_int {
    answer(|| {
        if stats.is_null() {
            return Err(Code::ARGUMENTS);
        }
        let found = datastore_of(find(he)?)?;
        let datastore = found.datastore()?;
        let (name, figures) = (datastore.name()?, stats::figures(datastore));
        // SAFETY: as the caller says. The name stays where it is until the handle is closed.
        unsafe { pointers::write(stats, S::of(name.as_ptr(), figures)) };
        Ok(())
    })
}

/// The datastore's handle, also for a transaction's.
fn datastore_of(found: Found) -> Result<Found> {
    match found.transaction() {
        Ok(transaction) => crate::handle::find(transaction.parent),
        Err(_) => Ok(found),
    }
}
