//! Handles of datastores: items, neighbours, and what hangs on a handle.
//!
//! Invariant: keys that come from callers are 1 to 65,535 bytes long. Items with other keys,
//! which only programs of other interfaces can make, are never handed out: scans meet them
//! as an error that can be stepped past.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ffi::{CStr, CString},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use crate::{
    code::{Code, During, Result, of},
    handle::{self, Number},
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    store::{self, Mode, Position, Wanted},
    volumes::Seat,
};

/// A buffer that grew past this is not kept for the next call.
const KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Which way a scan goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Forward,
    Backward,
}

/// A value: as many of its bytes as are wanted, all or none, and how many it has.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub bytes: &'a [u8],
    pub len: usize,
}

impl<'a> Told<'a> {
    pub fn whole(bytes: &'a [u8]) -> Self {
        let len = bytes.len();
        Self { bytes, len }
    }

    /// What was read of a value, of which so much was wanted.
    fn of(read: &'a [u8], wanted: Wanted) -> Self {
        match wanted {
            // No value is longer than memory.
            Wanted::Lengths => Self {
                bytes: &[],
                len: Wanted::length(read) as usize,
            },
            _ => Self::whole(read),
        }
    }
}

/// What a handle of a datastore stands for.
pub struct DatastoreHandle {
    pub store: store::Datastore,
    pub seat: Seat,
    pub read_only: bool,
    /// Whether it is known to compress values.
    compresses: AtomicBool,
    /// Open transactions and iterators, which end with the handle; `None` once it has ended.
    children: Mutex<Option<BTreeSet<usize>>>,
    /// The names that `he_stats` has handed out pointers to.
    names: Mutex<Vec<Arc<CStr>>>,
}

impl DatastoreHandle {
    pub fn new(store: store::Datastore, seat: Seat, read_only: bool) -> Self {
        Self {
            store,
            seat,
            read_only,
            compresses: AtomicBool::new(false),
            children: Mutex::new(Some(BTreeSet::new())),
            names: Mutex::default(),
        }
    }

    pub fn check_writable(&self) -> Result<()> {
        if self.read_only {
            Err(Code::READ_ONLY_DATASTORE)
        } else {
            Ok(())
        }
    }

    /// Compresses values from now on, where that makes them shorter.
    pub fn compress(&self) -> Result<()> {
        self.check_writable()?;
        if self.compresses.load(Relaxed) {
            return Ok(());
        }
        let volume = &self.seat.volume.store;
        volume.compress(&self.store).map_err(while_writing)?;
        self.compresses.store(true, Relaxed);
        Ok(())
    }

    pub fn put(&self, key: &[u8], value: &[u8], mode: Mode) -> Result<()> {
        check_value(value)?;
        self.check_writable()?;
        self.store.put(key, value, mode).map_err(while_writing)
    }

    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.check_writable()?;
        self.store.delete(key).map_err(while_writing)
    }

    pub fn exists(&self, key: &[u8]) -> Result<()> {
        found(self.store.contains(key).map_err(while_reading)?)
    }

    /// Shows what is wanted of the value of `key` to `show`.
    pub fn lookup(&self, key: &[u8], wanted: Wanted, show: impl FnOnce(Told<'_>)) -> Result<()> {
        with_buffers(|_, value| {
            let is_there = self.store.read(key, wanted, value);
            found(is_there.map_err(while_reading)?)?;
            show(Told::of(value, wanted));
            Ok(())
        })
    }

    /// Removes the item and shows the value that it had to `show`.
    pub fn delete_lookup(&self, key: &[u8], show: impl FnOnce(&[u8])) -> Result<()> {
        self.check_writable()?;
        let taken = self.store.take(key).map_err(while_writing)?;
        show(&taken.ok_or(Code::ITEM_NOT_FOUND)?);
        Ok(())
    }

    /// Shows the neighbour of `key` (the first or last item for an empty one) to `show`, whose
    /// key only, and an error, if it is too long for anybody to take.
    pub fn neighbour(
        &self,
        from: &[u8],
        (direction, wanted): (Direction, Wanted),
        show: impl FnOnce(&[u8], Option<Told<'_>>),
    ) -> Result<()> {
        if self.store.properties().unordered {
            return Err(Code::UNSUPPORTED);
        }
        with_buffers(|key, value| {
            let find = |position: Position<'_>, key: &mut Vec<u8>, value: &mut Vec<u8>| {
                self.store
                    .nearest((position, wanted), key, value)
                    .map_err(while_reading)
            };
            if !find(start(from, direction), key, value)? || key.is_empty() {
                return Err(Code::ITEM_NOT_FOUND);
            }
            if key.len() <= KEY_BYTES_MAX {
                show(key, Some(Told::of(value, wanted)));
                return Ok(());
            }
            key.truncate(KEY_BYTES_MAX);
            if direction == Direction::Forward && key.as_slice() == from {
                // The caller has stepped past this one: go on behind all that start like it.
                let behind = behind_prefix(from).ok_or(Code::ITEM_NOT_FOUND)?;
                found(find(Position::AtOrAfter(&behind), key, value)?)?;
                show(key, Some(Told::of(value, wanted)));
                return Ok(());
            }
            if direction == Direction::Backward
                && self.store.read(key, wanted, value).map_err(while_reading)?
            {
                show(key, Some(Told::of(value, wanted)));
                return Ok(());
            }
            show(key, None);
            Err(Code::UNSUPPORTED)
        })
    }

    /// Adds a transaction or an iterator that ends with this handle.
    pub fn adopt(&self, child: Number) -> Result<()> {
        let mut children = self.children.lock();
        children.as_mut().ok_or(Code::ARGUMENTS)?.insert(child.0);
        Ok(())
    }

    pub fn disown(&self, child: Number) {
        if let Some(children) = self.children.lock().as_mut() {
            children.remove(&child.0);
        }
    }

    /// Ends what hangs on the handle. An iterator keeps its handle, and what it has handed out,
    /// until it is closed or asked for more.
    pub fn end_children(&self) {
        let children = self.children.lock().take();
        for child in children.into_iter().flatten().map(Number) {
            let found = handle::find(child);
            match found.as_ref().map(|found| found.iterator()) {
                Ok(Ok(iterator)) => iterator.end(),
                _ => handle::end(child),
            }
        }
    }

    /// The datastore's name, at an address that is good until the handle is closed.
    pub fn name(&self) -> Result<Arc<CStr>> {
        let mut bytes = self.store.name().map_err(while_reading)?;
        // A name with a zero inside, which another interface may have given, ends there.
        bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
        let mut names = self.names.lock();
        if let Some(name) = names.last().filter(|name| name.to_bytes() == bytes) {
            return Ok(name.clone());
        }
        let name: Arc<CStr> = CString::new(bytes).map_err(|_| Code::SOFTWARE)?.into();
        names.push(name.clone());
        Ok(name)
    }
}

/// Where the search for a neighbour starts. An empty key, which no caller can store, is passed over.
pub fn start(from: &[u8], direction: Direction) -> Position<'_> {
    match direction {
        Direction::Forward => Position::After(from),
        Direction::Backward if from.is_empty() => Position::Last,
        Direction::Backward => Position::Before(from),
    }
}

/// The least key above all that start with `prefix`; `None` if there is none.
pub fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=end)?.to_vec();
    *behind.last_mut()? += 1;
    Some(behind)
}

pub fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        Err(Code::ARGUMENTS)
    } else {
        Ok(())
    }
}

pub fn found(found: bool) -> Result<()> {
    if found {
        Ok(())
    } else {
        Err(Code::ITEM_NOT_FOUND)
    }
}

pub fn while_reading(why: store::Error) -> Code {
    of(&why, During::Read)
}

pub fn while_writing(why: store::Error) -> Code {
    of(&why, During::Write)
}

/// Lends out this thread's buffers for a key and a value.
pub fn with_buffers<R>(work: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> R) -> R {
    // A thread whose thread-locals are gone (a destructor of the program's may call) keeps nothing.
    let (mut key, mut value) = BUFFERS.try_with(RefCell::take).unwrap_or_default();
    let answer = work(&mut key, &mut value);
    if value.capacity() <= KEPT_BYTES {
        let _ = BUFFERS.try_with(|kept| kept.replace((key, value)));
    }
    answer
}
