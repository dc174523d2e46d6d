//! Ranges, and walks through them.
//!
//! Invariant: a walk fetches items by steps, with the interpreter let go of, and hands them out without; a step has a
//! limited number of items, and is over once it has a limited number of bytes.

use std::{collections::VecDeque, ops::Bound as Edge};

use heliumdb::{Error, Item, Keys, Range, Result, upkeep::NewestItems};
use parking_lot::Mutex;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyTuple},
};

use crate::{
    bytes::Input,
    call::call,
    datastore::{PyDatastore, pair},
    eyes::Bounds,
};

/// Items of a step at most. The first step has one, each further one twice as many.
const STEP_ITEMS: usize = 256;
/// A step ends with the item that makes it so many bytes.
const STEP_BYTES: usize = 1 << 20;

/// What of the items is handed out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Keys,
    Values,
    Items,
}

/// How a walk goes on.
pub enum Walk {
    /// The store's own iterators, which keep the datastore's items of when they began.
    Items(Range),
    Keys(Keys<Range>),
    Unordered(NewestItems),
    /// Through eyes that have a moment of their own: what is left to be walked through.
    Steps(Bounds),
}

/// The items, keys or values of a range: walked through as often as you like.
#[pyclass(name = "Range", module = "heliumdb", frozen)]
pub struct PyRange {
    store: PyDatastore,
    bounds: Bounds,
    reverse: bool,
    what: What,
}

impl PyRange {
    pub fn new(store: PyDatastore, bounds: Bounds, reverse: bool, what: What) -> Self {
        Self {
            store,
            bounds,
            reverse,
            what,
        }
    }

    fn again(&self) -> Self {
        let store = &self.store;
        let (session, eyes) = (store.session().clone(), store.eyes().clone());
        let store = PyDatastore::new(session, store.store().clone(), eyes);
        Self::new(store, self.bounds.clone(), self.reverse, self.what)
    }

    fn showing(&self, what: What) -> Self {
        Self {
            what,
            ..self.again()
        }
    }

    /// A walk in its direction, or against it.
    pub fn cursor(&self, py: Python<'_>, against: bool) -> PyResult<PyCursor> {
        let mut range = self.again();
        range.reverse ^= against;
        let (store, bounds) = (&range.store, range.bounds.clone());
        let (reverse, keys) = (range.reverse, range.what == What::Keys);
        let walk = call(py, store.session(), || store.walk(bounds, reverse, keys))?;
        let state = Mutex::new(State::new(walk));
        Ok(PyCursor { range, state })
    }

    fn has(&self, key: &[u8]) -> bool {
        let (low, high) = &self.bounds;
        let is_after = match low {
            Edge::Included(low) => key >= low.as_slice(),
            Edge::Excluded(low) => key > low.as_slice(),
            Edge::Unbounded => true,
        };
        let is_before = match high {
            Edge::Included(high) => key <= high.as_slice(),
            Edge::Excluded(high) => key < high.as_slice(),
            Edge::Unbounded => true,
        };
        is_after && is_before
    }
}

#[pymethods]
impl PyRange {
    /// How many there are, by a walk through the keys.
    pub fn count(&self, py: Python<'_>) -> PyResult<usize> {
        let cursor = self.showing(What::Keys).cursor(py, false)?;
        let mut count = 0;
        loop {
            py.check_signals()?;
            let some = call(py, self.store.session(), || {
                let mut state = cursor.state.lock();
                state.fill(&cursor.range);
                let some = state.ready.len();
                state.ready.clear();
                state.failed.take().map_or(Ok(some), Err)
            })?;
            if some == 0 {
                return Ok(count);
            }
            count += some;
        }
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<PyCursor> {
        self.cursor(py, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<PyCursor> {
        self.cursor(py, true)
    }

    fn __contains__(&self, py: Python<'_>, wanted: &Bound<'_, PyAny>) -> PyResult<bool> {
        let store = &self.store;
        let value_of = |key: &[u8]| {
            let key = key.to_vec();
            call(py, store.session(), move || {
                let mut value = Vec::new();
                let found = store.eyes().get_into(store.store(), &key, &mut value)?;
                Ok(found.then_some(value))
            })
        };
        match self.what {
            What::Keys => {
                let key: Input<'_> = wanted.extract()?;
                let bytes = key.bytes();
                let found = call(py, store.session(), || {
                    store.eyes().contains(store.store(), bytes)
                })?;
                Ok(found && self.has(bytes))
            }
            What::Items => {
                let (key, value): (Input<'_>, Input<'_>) = wanted.extract()?;
                let found = value_of(key.bytes())?;
                Ok(self.has(key.bytes()) && found.is_some_and(|found| found == value.bytes()))
            }
            What::Values => {
                for value in Bound::new(py, self.cursor(py, false)?)?.try_iter()? {
                    if value?.eq(wanted)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn __repr__(&self) -> String {
        let what = match self.what {
            What::Keys => "keys",
            What::Values => "values",
            What::Items => "items",
        };
        let id = self.store.store().id().0;
        format!("<heliumdb.Range: {what} of datastore {id}>")
    }
}

/// A walk that is under way.
struct State {
    walk: Walk,
    ready: VecDeque<Item>,
    /// Comes behind what is ready.
    failed: Option<Error>,
    step: usize,
    is_over: bool,
}

impl State {
    fn new(walk: Walk) -> Self {
        Self {
            walk,
            ready: VecDeque::new(),
            failed: None,
            step: 1,
            is_over: false,
        }
    }

    /// Fetches the next step, if nothing is ready and the walk is not over.
    fn fill(&mut self, range: &PyRange) {
        if !self.ready.is_empty() || self.is_over {
            return;
        }
        let most = self.step;
        let (fetched, failed) = self.fetch(range, most);
        self.ready = fetched.into();
        self.is_over = failed.is_some() || self.ready.is_empty();
        self.failed = failed;
        self.step = (2 * most).min(STEP_ITEMS);
    }

    fn fetch(&mut self, range: &PyRange, most: usize) -> (Vec<Item>, Option<Error>) {
        let bare = |key: Result<Vec<u8>>| key.map(|key| (key, Vec::new()));
        match (&mut self.walk, range.reverse) {
            (Walk::Items(items), false) => some_of(items, most),
            (Walk::Items(items), true) => some_of(items.rev(), most),
            (Walk::Keys(keys), false) => some_of(keys.map(bare), most),
            (Walk::Keys(keys), true) => some_of(keys.rev().map(bare), most),
            (Walk::Unordered(items), _) => some_of(items, most),
            (Walk::Steps(left), reverse) => {
                let store = &range.store;
                let how = (reverse, range.what == What::Keys, most);
                match store.eyes().step(store.store(), left.clone(), how) {
                    Ok(items) => {
                        if let Some((last, _)) = items.last() {
                            let end = if reverse { &mut left.1 } else { &mut left.0 };
                            *end = Edge::Excluded(last.clone());
                        }
                        (items, None)
                    }
                    Err(why) => (Vec::new(), Some(why)),
                }
            }
        }
    }
}

fn some_of(items: impl Iterator<Item = Result<Item>>, most: usize) -> (Vec<Item>, Option<Error>) {
    let (mut some, mut bytes) = (Vec::new(), 0);
    for item in items.take(most) {
        match item {
            Ok(item) => {
                bytes += item.0.len() + item.1.len();
                some.push(item);
            }
            Err(why) => return (some, Some(why)),
        }
        if bytes >= STEP_BYTES {
            break;
        }
    }
    (some, None)
}

/// A walk through a range. Threads may share it: each item is handed out once.
#[pyclass(name = "Cursor", module = "heliumdb", frozen)]
pub struct PyCursor {
    range: PyRange,
    state: Mutex<State>,
}

impl PyCursor {
    fn shown<'py>(&self, py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.range.what {
            What::Keys => PyBytes::new(py, &item.0).into_any(),
            What::Values => PyBytes::new(py, &item.1).into_any(),
            What::Items => {
                let (key, value) = pair(py, item);
                PyTuple::new(py, [key, value])?.into_any()
            }
        })
    }
}

#[pymethods]
impl PyCursor {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // What is ready is handed out at once, unless another thread is at it. What a fork has inherited is not looked at.
        let session = self.range.store.session();
        if !session.is_closed() && !session.is_elsewhere() {
            let ready = self
                .state
                .try_lock()
                .and_then(|mut state| state.ready.pop_front());
            if let Some(item) = ready {
                return self.shown(py, &item).map(Some);
            }
        }
        let next = call(py, session, || {
            let mut state = self.state.lock();
            state.fill(&self.range);
            match state.ready.pop_front() {
                Some(item) => Ok(Some(item)),
                None => state.failed.take().map_or(Ok(None), Err),
            }
        })?;
        next.map(|item| self.shown(py, &item)).transpose()
    }

    /// Goes on from `key`, in its direction and within its range: the item with that key, or the next one.
    fn seek(&self, py: Python<'_>, key: Input<'_>) -> PyResult<()> {
        let (range, key) = (&self.range, key.bytes());
        call(py, range.store.session(), || {
            let (mut low, mut high) = range.bounds.clone();
            let at = Edge::Included(key.to_vec());
            if range.has(key) {
                *(if range.reverse { &mut high } else { &mut low }) = at;
            } else if is_past(range, key) {
                // Nothing is left that way.
                (low, high) = (at, Edge::Excluded(key.to_vec()));
            }
            let walk = range
                .store
                .walk((low, high), range.reverse, range.what == What::Keys)?;
            *self.state.lock() = State::new(walk);
            Ok(())
        })
    }
}

/// Whether `key`, which is outside of the range, is behind where walks through it end.
fn is_past(range: &PyRange, key: &[u8]) -> bool {
    match (range.reverse, &range.bounds) {
        (false, (_, Edge::Included(high))) => key > high.as_slice(),
        (false, (_, Edge::Excluded(high))) => key >= high.as_slice(),
        (true, (Edge::Included(low), _)) => key < low.as_slice(),
        (true, (Edge::Excluded(low), _)) => key <= low.as_slice(),
        _ => false,
    }
}
