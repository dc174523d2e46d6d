//! Datastores: reading through a view, and plain reads outside any transaction.

use std::ops::RangeBounds;

use crossbeam_epoch::{self as epoch, Guard};

use super::{Datastore, Range, ends::owned};
use crate::{
    error::Result,
    location::Word,
    log::{Purpose, Ready, append_value},
    read::{
        Batch, Item, Look, Position, ReadAhead, Seeing, Shown, Wanted, When, Which, purpose, start,
    },
    tree::Tree,
    version::{Eyes, View},
};

/// Items that a visit looks up together: so many first, and twice as many each time.
const VISIT_ITEMS: usize = 16;
const VISIT_ITEMS_MAX: usize = 64;

impl Datastore {
    /// Lets `work` look at the items that `eyes` see.
    #[inline]
    pub(crate) fn looking<R>(
        &self,
        eyes: Eyes<'_>,
        purpose: Purpose,
        work: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<R> {
        self.shared.check_open()?;
        self.with_tree_of(eyes, |tree| {
            let guard = epoch::pin();
            work(self.look_at(tree, eyes, purpose, &guard))
        })
    }

    /// Somebody's look at a tree of the volume.
    #[inline]
    pub(super) fn look_at<'a>(
        &'a self,
        tree: &'a Tree,
        eyes: Eyes<'a>,
        purpose: Purpose,
        guard: &'a Guard,
    ) -> Look<'a> {
        Look {
            tree,
            eyes,
            purpose,
            guard,
            passed: self.shared.passed(),
        }
    }

    /// As [`Datastore::looking`], along items in order.
    fn walking<R>(
        &self,
        eyes: Eyes<'_>,
        purpose: Purpose,
        work: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<R> {
        self.looking(eyes, purpose, |look| {
            look.tree.check_ordered()?;
            work(look)
        })
    }

    /// Reads the value of `key` that `view` sees into `value`, which is cleared first; false if
    /// there is no item. `PrepareConflict` if a prepared transaction has written it.
    pub fn read(&self, view: &dyn View, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(Some(view), key, value)
    }

    pub(crate) fn read_with(
        &self,
        eyes: Eyes<'_>,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        value.clear();
        self.looking(eyes, Purpose::Point, |look| {
            let which = Which::Key(key);
            let word = Word(look.tree.get(key, look.guard));
            let known = (look.see(word)?, Ready::No);
            let append = |shown: Shown<'_>, built: &mut Vec<u8>| append_value(shown.value, built);
            Ok(look.read(which, known, value, append)?.is_some())
        })
    }

    /// Finds the nearest item that `view` sees from `position`, and reads its key and value
    /// (both cleared first); false if there is none. One atomic look at what `view` sees.
    pub fn seek(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_with(Some(view), position, key, value)
    }

    pub(crate) fn seek_with(
        &self,
        eyes: Eyes<'_>,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_for(eyes, (position, Wanted::Items), key, value)
    }

    /// As [`Datastore::seek`], for the key alone.
    pub fn seek_key(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_for(Some(view), (position, Wanted::Keys), key, &mut Vec::new())
    }

    fn seek_for(
        &self,
        eyes: Eyes<'_>,
        (position, wanted): (Position<'_>, Wanted),
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.walking(eyes, purpose(position), |look| {
            let mut slots = Seeing::new(look, start(position));
            let found = slots.take_next(wanted, value)?.is_some();
            if found {
                key.clear();
                key.extend_from_slice(slots.slot());
            }
            Ok(found)
        })
    }

    /// As [`Datastore::seek`], for a cursor that walks: where `position` goes on from the item
    /// that was found last with the same `ahead`, the next ones are fetched too, and later calls
    /// answered from there, as long as a new look would find the same.
    pub fn seek_ahead(
        &self,
        view: &dyn View,
        position: Position<'_>,
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_ahead_for(view, (position, Wanted::Items), ahead, key, value)
    }

    /// As [`Datastore::seek_ahead`]; where only keys are wanted, `value` is empty afterwards, and no device is asked. Nor
    /// is one where what is at hand is wanted: [`ReadAhead::has_value`] says whether the value was.
    pub fn seek_ahead_for(
        &self,
        view: &dyn View,
        (position, wanted): (Position<'_>, Wanted),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(Some(view), |tree| {
            tree.check_ordered()?;
            let now = When::now(tree, view, wanted, || self.shared.sequence());
            if ahead.take(now, view, position, key, value) {
                return Ok(true);
            }
            let guard = epoch::pin();
            let look = self.look_at(tree, Some(view), purpose(position), &guard);
            ahead.look(look, view, now, position, key, value)
        })
    }

    /// The newest committed value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        let found = self.get_into(key, &mut value)?;
        Ok(found.then_some(value))
    }

    /// Reads the newest committed value of `key` into `value`, which is cleared first; false
    /// if there is no item.
    pub fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(None, key, value)
    }

    /// The newest committed item nearest to `position`.
    pub fn nearest(&self, position: Position<'_>) -> Result<Option<Item>> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let found = self.nearest_into(position, &mut key, &mut value)?;
        Ok(found.then_some((key, value)))
    }

    /// Reads the newest committed item nearest to `position` into `key` and `value`, which are
    /// cleared first; false if there is none.
    pub fn nearest_into(
        &self,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_with(None, position, key, value)
    }

    /// Shows `visit` the newest committed items from `position` on, in order, until it returns
    /// false or there are no more. No copies: the fastest way to scan. Items are looked up a few
    /// dozens at a time, so the callback may not see what is written meanwhile, by itself or by
    /// others. It must not block: memory and log space that others free wait for it.
    pub fn visit(
        &self,
        position: Position<'_>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        self.walking(None, Purpose::Walk, |look| {
            let slots = Seeing::new(look, start(position));
            let mut batch = Batch::new(look, slots, Wanted::Items);
            let mut most = VISIT_ITEMS;
            loop {
                let goes_on = batch.look_up(most, |_| true);
                if !batch.show(visit)? || !goes_on {
                    return Ok(());
                }
                most = (2 * most).min(VISIT_ITEMS_MAX);
            }
        })
    }

    /// The item after `key`, which need not be there itself.
    pub fn next(&self, key: &[u8]) -> Result<Option<Item>> {
        self.nearest(Position::After(key))
    }

    /// The item before `key`, which need not be there itself.
    pub fn previous(&self, key: &[u8]) -> Result<Option<Item>> {
        self.nearest(Position::Before(key))
    }

    /// The newest committed items whose keys are in `bounds`, in order; `rev()` goes the other
    /// way, and both ends can be mixed. Each item is looked up when the iterator gets there, among
    /// those of the datastore as it is now: that it is emptied or removed meanwhile does not show.
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Range {
        Range::new(self, owned(bounds))
    }

    /// All items, in order: see [`Datastore::range`].
    pub fn iter(&self) -> Range {
        self.range::<&[u8]>(..)
    }
}
