//! Methods of a session that change what objects there are, or how it looks at them.
//!
//! WiredTiger ends the session's view in them. Invariant: before that, all values that its cursors have left out are
//! there ([`late::bring_all`]); the rest is done by WiredTiger's method.
#![expect(unsafe_code, reason = "replaces methods of WiredTiger's")]

use super::{cursor::late, guard::EINVAL};
use std::{
    ffi::{c_char, c_int},
    sync::OnceLock,
};
use wiredtiger_abi::v3_2::Session;

type OnUri = unsafe extern "C" fn(*mut Session, *const c_char, *const c_char) -> c_int;
type OnSession = unsafe extern "C" fn(*mut Session, *const c_char) -> c_int;

/// Declares what stands in front of each method, and [`watch`], which puts it there.
macro_rules! in_front {
    ($($method:ident: $type:ty = ($($argument:ident),*);)*) => {
        $(mod $method {
            use super::*;

            /// WiredTiger's own method: one for all of its sessions.
            pub static THEIRS: OnceLock<$type> = OnceLock::new();

            pub unsafe extern "C" fn ours(session: *mut Session, $($argument: *const c_char),*) -> c_int {
                // SAFETY: the application's pointers, handed on as they came.
                unsafe {
                    late::bring_all(session);
                    THEIRS.get().map_or(EINVAL, |method| method(session, $($argument),*))
                }
            }
        })*

        /// Puts ours in front of WiredTiger's methods, if they are not there yet.
        ///
        /// # Safety
        ///
        /// `session` is a live session of release 3.2.1, and the calling thread's.
        pub unsafe fn watch(session: *mut Session) {
            $({
                // SAFETY: the caller vouches for it.
                let slot = unsafe { &mut (*session).$method };
                if let Some(theirs) = *slot
                    && theirs as usize != $method::ours as $type as usize
                    && *$method::THEIRS.get_or_init(|| theirs) as usize == theirs as usize
                {
                    *slot = Some($method::ours);
                }
            })*
        }
    };
}

in_front! {
    create: OnUri = (uri, config);
    alter: OnUri = (uri, config);
    drop: OnUri = (uri, config);
    compact: OnUri = (uri, config);
    import: OnUri = (uri, config);
    rebalance: OnUri = (uri, config);
    salvage: OnUri = (uri, config);
    upgrade: OnUri = (uri, config);
    verify: OnUri = (uri, config);
    reconfigure: OnSession = (config);
    snapshot: OnSession = (config);
}
