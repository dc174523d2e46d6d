//! A walk through a stretch of keys, from both ends if one likes.
//!
//! Invariant: what was read ahead at either end lies outside of what is still to be read, which lies between where the two cursors go
//! on. It shows the items that there were when it began, whatever becomes of their datastore meanwhile.

use std::ops::{Bound, RangeBounds};

use super::Datastore;
use crate::{
    error::{Error, Result},
    index::Direction,
    log::Purpose,
    read::{Cursor, Item, Wanted, is_on_the_way},
    version::{Eyes, View},
};

/// From where, and up to where.
pub(crate) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The bounds of a range, as bytes of their own.
pub(crate) fn owned<K: AsRef<[u8]>>(bounds: impl RangeBounds<K>) -> Bounds {
    let owned = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
    (owned(bounds.start_bound()), owned(bounds.end_bound()))
}

/// The bounds of the keys that begin with `prefix`.
pub(crate) fn of_prefix(prefix: &[u8]) -> Bounds {
    // The first key after all of them ends where the last byte that can go up goes up.
    let end = prefix.iter().rposition(|&byte| byte < u8::MAX).map(|at| {
        let mut end = prefix[..=at].to_vec();
        end[at] += 1;
        end
    });
    let end = end.map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(prefix.to_vec()), end)
}

/// Who looks, for as long as the walk lasts.
pub(crate) trait Eyed {
    fn eyes(&self) -> Eyes<'_>;
}

/// Sees the newest committed state.
pub(crate) struct Newest;

impl Eyed for Newest {
    fn eyes(&self) -> Eyes<'_> {
        None
    }
}

impl Eyed for &dyn View {
    fn eyes(&self) -> Eyes<'_> {
        Some(*self)
    }
}

/// See the module.
pub(crate) struct Ends<E> {
    looks: Result<(E, Datastore)>,
    front: Cursor,
    back: Cursor,
    wanted: Wanted,
    /// Nothing is left between the two.
    is_over: bool,
}

impl<E: Eyed> Ends<E> {
    /// Through what the looker sees of `datastore`, in the order of the index.
    pub(crate) fn new(datastore: &Datastore, looker: Result<E>, bounds: Bounds) -> Self {
        let looks = looker.and_then(|looker| {
            let pinned = datastore.pinned(looker.eyes())?;
            Ok((looker, pinned))
        });
        Self {
            looks,
            front: Cursor::new(bounds.0, Direction::Forward),
            back: Cursor::new(bounds.1, Direction::Backward),
            wanted: Wanted::Items,
            is_over: false,
        }
    }

    /// As [`Ends::new`], if the order of the index is that of the keys.
    pub(crate) fn in_order(datastore: &Datastore, looker: Result<E>, bounds: Bounds) -> Self {
        let mut ends = Self::new(datastore, looker, bounds);
        ends.looks = ends.looks.and_then(|(looker, pinned)| {
            pinned.with_tree(|tree| tree.check_ordered())?;
            Ok((looker, pinned))
        });
        ends
    }

    /// It is going to pass all items, from the front.
    pub(crate) fn all_the_way(self) -> Self {
        Self {
            front: self.front.all_the_way(),
            ..self
        }
    }

    /// What it is after, as far as it has read nothing yet.
    pub(crate) fn wanting(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// Goes on between these bounds.
    pub(crate) fn go_to(&mut self, bounds: Bounds) {
        self.front = Cursor::new(bounds.0, Direction::Forward);
        self.back = Cursor::new(bounds.1, Direction::Backward);
        self.is_over = false;
    }

    /// Who looks.
    pub(crate) fn looker(&self) -> Result<&E> {
        self.looks
            .as_ref()
            .map(|(looker, _)| looker)
            .map_err(Error::clone)
    }

    /// Whether `key` lies in what is still to be read: then there may be something now.
    pub(crate) fn comes_to(&mut self, key: &[u8]) -> bool {
        let comes = is_on_the_way(key, self.front.from(), Direction::Backward)
            && is_on_the_way(key, self.back.from(), Direction::Forward);
        self.is_over &= !comes;
        comes
    }

    /// The next item from the end that a walk in `direction` begins at; an error once, and then what was read ahead.
    pub(crate) fn next(&mut self, direction: Direction) -> Option<Result<Item>> {
        let (from, to) = match direction {
            Direction::Forward => (&mut self.front, &mut self.back),
            Direction::Backward => (&mut self.back, &mut self.front),
        };
        while from.is_empty() && !self.is_over {
            let filled = self.looks.as_ref().map_err(Error::clone);
            let filled = filled.and_then(|(looker, datastore)| {
                let eyes = looker.eyes();
                datastore.looking(eyes, Purpose::Walk, |look| {
                    from.fill(look, to.from(), self.wanted)
                })
            });
            self.is_over = !matches!(filled, Ok(true));
            if let Err(why) = filled {
                return Some(Err(why));
            }
        }
        from.pop().or_else(|| to.pop_last()).map(Ok)
    }
}
