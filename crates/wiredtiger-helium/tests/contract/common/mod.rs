//! What the tests share: a database with two volumes, and short words for long calls.

mod arena;
mod child;
mod strings;

pub use arena::{Arena, Kind, copy_folder, volume};
pub use child::{Child, Victim, end_with_the_first_panic};
pub use strings::Strings;

pub use wiredtiger_testkit::{Code, Connection, Cursor, Outcome, Session};

/// Runs a test on a native table, a `helium:` object and a `table:` of `type=helium`.
macro_rules! on_every_kind {
    ($($(#[$doc:meta])* fn $name:ident($arena:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn run_on(mut arena: Arena) {
                let $arena = &mut arena;
                $body
            }

            #[test]
            fn native() {
                run_on(Arena::new(Kind::Native));
            }

            #[test]
            fn object() {
                run_on(Arena::new(Kind::Object));
            }

            #[test]
            fn table() {
                run_on(Arena::new(Kind::Table));
            }
        }
    )*};
}

/// Runs a test on a `helium:` object and a `table:` of `type=helium`.
macro_rules! on_helium {
    ($($(#[$doc:meta])* fn $name:ident($arena:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn run_on(mut arena: Arena) {
                let $arena = &mut arena;
                $body
            }

            #[test]
            fn object() {
                run_on(Arena::new(Kind::Object));
            }

            #[test]
            fn table() {
                run_on(Arena::new(Kind::Table));
            }
        }
    )*};
}

pub(crate) use {on_every_kind, on_helium};

/// A number from the environment, or what is good for a plain test run.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// The seed of a random test: from `HELIUM_SEED` or the clock, printed for the next run.
pub fn seed(test: &str) -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = setting("HELIUM_SEED", u64::from(now.subsec_nanos()));
    println!("{test}: HELIUM_SEED={seed}");
    seed
}
