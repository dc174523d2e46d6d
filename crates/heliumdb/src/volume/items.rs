//! Walking through all items of a datastore, whether it has an order or not.
//!
//! Invariant: an item is handed out under the key that it has in the log, and only if that key leads to
//! where it was found. Each slot of the index that is there throughout is passed once; no epoch guard
//! is held from call to call.

use std::collections::VecDeque;

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore, Item,
    datastore::{Eyes, READ_ATTEMPTS, look},
    seeing::Seeing,
    tree::Tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::item::ItemHeader,
    index::{Bound, Direction},
    location::{Location, Word},
    log::{Expected, Fetch, Purpose, Ready, append_value},
    version::{View, chain::Seen},
};

/// Items that are looked up together.
const STEP_ITEMS: usize = 64;
/// Or fewer, if they have so many bytes.
const STEP_BYTES: usize = 1 << 20;

/// Iterator over all items of a datastore that a view sees: see [`Datastore::items_of`].
pub struct Items<'a>(Walk<&'a dyn View, Vec<u8>>);

/// Iterator over all newest committed items of a datastore, which any thread may go on with: see
/// [`Datastore::items`].
pub struct NewestItems(Walk<Anybody, Vec<u8>>);

/// Who looks, from step to step of a walk.
pub(super) trait Onlooker {
    fn eyes(&self) -> Eyes<'_>;
}

/// Sees what is committed.
pub(super) struct Anybody;

impl Onlooker for Anybody {
    fn eyes(&self) -> Eyes<'_> {
        None
    }
}

impl Onlooker for &dyn View {
    fn eyes(&self) -> Eyes<'_> {
        Some(*self)
    }
}

/// What a walk takes of the value of an item.
pub(super) trait Taken: Sized {
    /// Of the item at `at`, with its key; `None` if another item is there now.
    fn take(
        tree: &Tree,
        slot: &[u8],
        at: Location,
        ready: Ready<'_>,
        guard: &Guard,
    ) -> Result<Option<(Vec<u8>, Self)>>;

    /// Bytes of memory that it takes.
    fn bytes(&self) -> usize;
}

impl Taken for Vec<u8> {
    fn take(
        tree: &Tree,
        slot: &[u8],
        at: Location,
        ready: Ready<'_>,
        guard: &Guard,
    ) -> Result<Option<(Vec<u8>, Self)>> {
        let mut value = Self::new();
        let key = read_slot_at(tree, slot, at, (Purpose::Walk, ready), &mut value, guard)?;
        Ok(key.map(|key| (key, value)))
    }

    fn bytes(&self) -> usize {
        self.len()
    }
}

/// A walk through all items of a datastore, of whose values it takes something.
pub(super) struct Walk<O, T> {
    /// Of the items that there were when the walk began.
    datastore: Result<Datastore>,
    onlooker: O,
    /// What the index has for the last key that was read.
    after: Option<Vec<u8>>,
    ready: VecDeque<(Vec<u8>, T)>,
    is_over: bool,
}

impl Datastore {
    /// All newest committed items, each once, in the order in which the index has them: by key, or in an
    /// [unordered](crate::DatastoreOptions::unordered) datastore in none that means anything. What is written meanwhile
    /// may be among them or not; that the datastore is emptied or removed does not show.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let mut options = heliumdb::DatastoreOptions::default();
    /// options.create = true;
    /// options.unordered = true;
    /// let store = volume.open_datastore(b"sessions", &options)?;
    /// store.put(b"one", b"1")?;
    /// store.put(b"two", b"2")?;
    /// let mut names: Vec<_> = store.items().map(|item| item.unwrap().0).collect();
    /// names.sort();
    /// assert_eq!(names, [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn items(&self) -> NewestItems {
        NewestItems(Walk::new(self, Anybody))
    }

    /// As [`Datastore::items`], of what `view` sees. What its transaction has not committed yet is refused.
    pub fn items_of<'a>(&self, view: &'a dyn View) -> Items<'a> {
        Items(Walk::new(self, view))
    }
}

impl<O: Onlooker, T: Taken> Walk<O, T> {
    pub(super) fn new(datastore: &Datastore, onlooker: O) -> Self {
        Self {
            datastore: datastore.pinned(onlooker.eyes()),
            onlooker,
            after: None,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    fn fill(&mut self) -> Result<()> {
        let datastore = self.datastore.clone()?;
        datastore.shared.check_open()?;
        datastore.with_tree(|tree| {
            let guard = epoch::pin();
            let found = self.look_up(&datastore, tree, &guard)?;
            let mut fetch = Fetch::take();
            let places = found.iter().map(|(_, at)| Some(*at));
            let mut here = Vec::with_capacity(found.len());
            let log = &datastore.shared.log;
            log.fetch(Purpose::Walk, places, &mut fetch, &mut here, &guard);
            let mut bytes = 0;
            for (i, (slot, at)) in found.iter().enumerate() {
                if bytes >= STEP_BYTES {
                    self.is_over = false;
                    break;
                }
                let mut read = T::take(tree, slot, *at, fetch.ready(i, &here), &guard)?;
                if read.is_none() {
                    read = self.read_again(&datastore, tree, slot, &guard)?;
                }
                if let Some((key, taken)) = read {
                    bytes += key.len() + taken.bytes();
                    self.ready.push_back((key, taken));
                }
                self.after = Some(slot.clone());
            }
            fetch.keep();
            Ok(())
        })
    }

    /// The next slots with an item, and where it is.
    fn look_up(
        &mut self,
        datastore: &Datastore,
        tree: &Tree,
        guard: &Guard,
    ) -> Result<Vec<(Vec<u8>, Location)>> {
        let bound = self
            .after
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let shared = &datastore.shared;
        let start = (bound, Direction::Forward);
        let mut slots = Seeing::new(shared, tree, self.onlooker.eyes(), start, guard);
        let mut found = Vec::new();
        while found.len() < STEP_ITEMS {
            let Some(item) = slots.next(|_| true)? else {
                self.is_over = true;
                break;
            };
            if let Some(at) = place_of(item.seen)? {
                found.push((slots.key().to_vec(), at));
            }
        }
        Ok(found)
    }

    /// The place was reused since the slot was looked at.
    #[cold]
    fn read_again(
        &self,
        datastore: &Datastore,
        tree: &Tree,
        slot: &[u8],
        guard: &Guard,
    ) -> Result<Option<(Vec<u8>, T)>> {
        for _ in 0..READ_ATTEMPTS {
            let word = Word(tree.index.get(slot, guard));
            let Some(at) = place_seen(self.onlooker.eyes(), word, guard)? else {
                return Ok(None);
            };
            let read = T::take(tree, slot, at, Ready::No, guard)?;
            if read.is_some() {
                return Ok(read);
            }
        }
        Err(datastore.misplaced(slot))
    }
}

/// Where the item that `eyes` see in a slot is; `None` if they see none.
fn place_seen(eyes: Eyes<'_>, word: Word, guard: &Guard) -> Result<Option<Location>> {
    place_of(look(eyes, word, guard)?)
}

fn place_of(seen: Seen<'_>) -> Result<Option<Location>> {
    match seen {
        Seen::Absent => Ok(None),
        Seen::At(at) => Ok(Some(at)),
        Seen::Bytes(_) => Err(Error::new(
            ErrorKind::Unsupported,
            "a walk through all items cannot show what its transaction has not committed yet",
        )),
    }
}

/// Reads the item at `at`, which belongs to the slot `slot` of the index: appends its value, and returns its
/// key. `None`: another item is there now.
pub(super) fn read_slot_at(
    tree: &Tree,
    slot: &[u8],
    at: Location,
    (purpose, ready): (Purpose, Ready<'_>),
    value: &mut Vec<u8>,
    guard: &Guard,
) -> Result<Option<Vec<u8>>> {
    let log = tree.log();
    let found = with_slot_at(
        tree,
        slot,
        at,
        (purpose, ready),
        guard,
        |expected, ready| log.with_value(purpose, at, expected, ready, value, guard, append_value),
    )?;
    Ok(found.map(|(key, ())| key))
}

/// Calls `f` with what is expected of the item at `at`, which belongs to the slot `slot` of the index, and returns what
/// it makes of it, behind the item's key. `None`: another item is there now.
pub(super) fn with_slot_at<R>(
    tree: &Tree,
    slot: &[u8],
    at: Location,
    (purpose, ready): (Purpose, Ready<'_>),
    guard: &Guard,
    f: impl FnOnce(Expected<'_>, Ready<'_>) -> Result<Option<R>>,
) -> Result<Option<(Vec<u8>, R)>> {
    let log = tree.log();
    if !tree.is_unordered() {
        let expected = Expected {
            tree: tree.id,
            key: slot,
        };
        return Ok(f(expected, ready)?.map(|made| (slot.to_vec(), made)));
    }
    let mut raw = Vec::new();
    let bytes = match ready {
        Ready::Here(bytes) | Ready::Read(bytes) => bytes,
        Ready::No if log.read_raw(purpose, at, &mut raw, guard)? => &raw,
        Ready::No => return Ok(None),
    };
    let key = match ItemHeader::decode(bytes) {
        Some(header) => header.key(bytes).to_vec(),
        // Reading it says what is wrong.
        None => Vec::new(),
    };
    let expected = Expected {
        tree: tree.id,
        key: &key,
    };
    let ready = match ready {
        Ready::No => Ready::Read(bytes),
        ready => ready,
    };
    let made = f(expected, ready)?;
    let is_here = *tree.index_key(&key) == *slot;
    Ok(made.filter(|_| is_here).map(|made| (key, made)))
}

/// The key of the item at `at` that belongs to the slot `slot`, if it can be made out though the item
/// is damaged: a key is right if it leads to the slot.
pub(super) fn key_of_damaged(
    tree: &Tree,
    slot: &[u8],
    at: Location,
    guard: &Guard,
) -> Result<Option<Vec<u8>>> {
    if !tree.is_unordered() {
        return Ok(Some(slot.to_vec()));
    }
    let mut raw = Vec::new();
    if !tree.log().read_raw(Purpose::Walk, at, &mut raw, guard)? {
        return Ok(None);
    }
    let key = ItemHeader::decode(&raw).map(|header| header.key(&raw).to_vec());
    Ok(key.filter(|key| *tree.index_key(key) == *slot))
}

impl Iterator for Items<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Iterator for NewestItems {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl<O: Onlooker, T: Taken> Iterator for Walk<O, T> {
    type Item = Result<(Vec<u8>, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.is_over {
            if let Err(why) = self.fill() {
                self.is_over = true;
                return Some(Err(why));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<NewestItems>();
    is_send_and_sync::<super::Lengths>();
};
