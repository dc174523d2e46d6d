//! Memory that a thread keeps from call to call, and the way without it.
//!
//! Invariant: every call works in a thread whose thread-locals are gone. The destructors of a program's
//! own thread keys run in no order that we could know of, and may call the store after ours have run.

use std::{
    cell::{Cell, RefCell},
    thread::LocalKey,
};

/// What the thread has kept, which is its caller's then.
pub(crate) fn take<T: Default>(kept: &'static LocalKey<Cell<T>>) -> T {
    kept.try_with(Cell::take).unwrap_or_default()
}

/// Keeps it for the next [`take`].
pub(crate) fn keep<T>(kept: &'static LocalKey<Cell<T>>, scratch: T) {
    // Where nothing can be kept it goes.
    let _ = kept.try_with(|kept| kept.set(scratch));
}

/// Lends what the thread keeps to `work`; what `make` makes where it keeps nothing any more.
#[inline]
pub(crate) fn lend<T, R>(
    kept: &'static LocalKey<RefCell<T>>,
    make: impl FnOnce() -> T,
    work: impl FnOnce(&mut T) -> R,
) -> R {
    match kept.try_with(|_| ()) {
        Ok(()) => kept.with_borrow_mut(work),
        Err(_) => work(&mut make()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    thread_local! {
        static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        static LENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    /// Uses both when its thread's locals go, whichever went before.
    struct Late(Sender<(Vec<u8>, usize)>);

    impl Drop for Late {
        fn drop(&mut self) {
            let mut taken = take(&KEPT);
            taken.push(1);
            keep(&KEPT, taken.clone());
            let len = lend(&LENT, Vec::new, |lent| {
                lent.push(1);
                lent.len()
            });
            let _ = self.0.send((taken, len));
        }
    }

    #[test]
    fn a_thread_on_its_way_out_does_without() {
        thread_local! {
            static FIRST: Cell<Option<Late>> = const { Cell::new(None) };
            static LAST: Cell<Option<Late>> = const { Cell::new(None) };
        }
        let (send, receive) = channel();
        let thread = std::thread::spawn(move || {
            // Before and after the others: one of the two goes when those are gone.
            FIRST.set(Some(Late(send.clone())));
            keep(&KEPT, vec![7]);
            lend(&LENT, Vec::new, |lent| lent.push(7));
            LAST.set(Some(Late(send)));
        });
        thread.join().unwrap();
        let answers: Vec<_> = receive.iter().collect();
        assert_eq!(answers.len(), 2);
        assert!(
            answers
                .iter()
                .all(|(taken, len)| taken.ends_with(&[1]) && *len > 0)
        );
        assert!(answers.contains(&(vec![1], 1)), "{answers:?}");
    }
}
