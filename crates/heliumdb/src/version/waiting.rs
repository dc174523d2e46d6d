//! Operations outside transactions that wait for a commit which is under way.
//!
//! Invariants: who waits holds no latch, no epoch guard and no place in the gate, so nobody's
//! commit waits for them. A turn that was taken before a version was marked as awaited ends after
//! that version is resolved, whenever that is: no wake-up is missed.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::Result;

/// How often who waits looks whether the volume was closed, or poisoned by somebody else than the
/// transaction that is waited for: no commit ends then.
const LOOK: Duration = Duration::from_millis(10);

/// How often versions that someone waited for were resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn(u64);

/// What came of an attempt to do something.
pub(crate) enum Attempt<T> {
    /// It was done, or there was nothing to do.
    Done(T),
    /// It depends on a commit that is under way: to be tried again when the turn has ended.
    After(Turn),
}

/// Those who wait for commits of a volume.
#[derive(Default)]
pub(crate) struct Waiting {
    turns: Mutex<Turns>,
    ended: Condvar,
}

#[derive(Default)]
struct Turns {
    ended: u64,
    /// How often someone has waited.
    waits: u64,
}

impl Waiting {
    /// The turn of now: to be taken before a version is marked as awaited.
    pub(crate) fn turn(&self) -> Turn {
        Turn(self.turns.lock().ended)
    }

    /// A version that someone waits for was resolved, or its seal was taken away.
    pub(crate) fn end_turn(&self) {
        self.turns.lock().ended += 1;
        self.ended.notify_all();
    }

    /// How often someone has waited.
    pub(crate) fn waits(&self) -> u64 {
        self.turns.lock().waits
    }

    /// Does `attempt`, again after each commit that it depends on; fails as soon as `check` does.
    #[inline]
    pub(crate) fn attempt<T>(
        &self,
        check: impl Fn() -> Result<()>,
        mut attempt: impl FnMut() -> Result<Attempt<T>>,
    ) -> Result<T> {
        loop {
            match attempt()? {
                Attempt::Done(done) => return Ok(done),
                Attempt::After(Turn(turn)) => {
                    let mut turns = self.turns.lock();
                    turns.waits += 1;
                    while turns.ended == turn {
                        check()?;
                        self.ended.wait_for(&mut turns, LOOK);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::{cell::Cell, thread};

    #[test]
    fn a_turn_that_ended_before_anyone_waits_is_not_waited_for() {
        let waiting = Waiting::default();
        let tries = Cell::new(0);
        let done = waiting.attempt(
            || Ok(()),
            || {
                tries.set(tries.get() + 1);
                let turn = waiting.turn();
                waiting.end_turn();
                Ok(match tries.get() {
                    3 => Attempt::Done("done"),
                    _ => Attempt::After(turn),
                })
            },
        );
        assert_eq!(done.unwrap(), "done");
    }

    #[test]
    fn who_waits_is_woken() {
        let waiting = Waiting::default();
        let mut is_first = true;
        thread::scope(|scope| {
            let attempt = || {
                let turn = waiting.turn();
                if std::mem::take(&mut is_first) {
                    scope.spawn(|| waiting.end_turn());
                    return Ok(Attempt::After(turn));
                }
                Ok(Attempt::Done(()))
            };
            waiting.attempt(|| Ok(()), attempt).unwrap();
        });
    }

    #[test]
    fn nobody_waits_on_a_volume_on_which_no_commit_ends() {
        let waiting = Waiting::default();
        let closed = || Err(Error::new(ErrorKind::Closed, "closed"));
        let waited = waiting.attempt(closed, || Ok(Attempt::<()>::After(waiting.turn())));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Closed);
    }
}
