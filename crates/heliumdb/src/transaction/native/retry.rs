//! Running a transaction again until it does not conflict.

use std::{hash::BuildHasher, sync::Arc, thread, time::Duration};

use super::{options::TransactionOptions, transaction::Transaction};
use crate::{error::Result, limits::TRANSACT_ATTEMPTS_MAX, shared::Lease};

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Runs `work` in a transaction and commits it; again, from the start, if either fails for what
/// others did meanwhile.
pub(crate) fn transact<R>(
    volume: &Arc<Lease>,
    options: TransactionOptions,
    mut work: impl FnMut(&mut Transaction) -> Result<R>,
) -> Result<R> {
    let mut attempt = 0;
    loop {
        let mut txn = Transaction::begin(volume, options)?;
        let done = match work(&mut txn) {
            Ok(result) => txn.commit().map(|()| result),
            // Before the pause: others may be waiting for its end.
            Err(why) => {
                drop(txn);
                Err(why)
            }
        };
        attempt += 1;
        match done {
            Err(why) if why.is_retryable() && attempt < TRANSACT_ATTEMPTS_MAX => pause(attempt),
            done => return done,
        }
    }
}

/// Ever longer, and different for everyone.
fn pause(attempt: u32) {
    if attempt < 3 {
        return thread::yield_now();
    }
    let longest = Duration::from_micros(10 << attempt.min(16)).min(PAUSE_MAX);
    let seed = std::hash::RandomState::new().hash_one(attempt);
    thread::sleep(longest.mul_f64(0.5 + seed as f64 / u64::MAX as f64 / 2.0));
}
