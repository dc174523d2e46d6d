//! A WiredTiger of a few hundred lines: sessions, snapshots, ids, the order of
//! notifications, metadata. As the real one behaves, its oldest id included, which
//! moves only when it is told to.

use crate::{
    config::{ConnectionOptions, Pairs},
    cursor::{Cursor, Input, Key},
    error::{Code, Error, Result},
    host::Host,
    source::Source,
};
use heliumdb::{
    Isolation,
    host::{TxnId, Wanted},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The configuration of a volume in memory. Its size names it, so that no two are the same.
pub fn volume(name: &str) -> String {
    static SIZE: AtomicU64 = AtomicU64::new(128 << 20);
    let bytes = SIZE.fetch_add(1 << 20, Ordering::Relaxed);
    format!("{name}=[helium_devices=\"he://./_{bytes}\"]")
}

#[derive(Clone, Debug)]
struct Snapshot {
    next: TxnId,
    running: BTreeSet<TxnId>,
}

#[derive(Debug)]
struct Transaction {
    isolation: Isolation,
    explicit: bool,
    id: Option<TxnId>,
    snapshot: Option<Snapshot>,
    notifies: bool,
    failed: bool,
}

#[derive(Default)]
struct State {
    last_id: TxnId,
    running: BTreeSet<TxnId>,
    oldest: TxnId,
    sessions: HashMap<u32, Transaction>,
    metadata: BTreeMap<String, String>,
    messages: Vec<String>,
    errors: Vec<String>,
    fails: BTreeSet<&'static str>,
    /// The create of this object is under way, and fails at its end.
    taken_back: Option<String>,
}

/// The simulated host.
#[derive(Default)]
pub struct Sim {
    state: Mutex<State>,
}

impl Host for Sim {
    type Session = u32;

    fn transaction_id(&self, session: u32) -> TxnId {
        let mut state = self.state.lock();
        let next = state.last_id + 1;
        let txn = state
            .sessions
            .get_mut(&session)
            .expect("ids are for running transactions");
        if let Some(id) = txn.id {
            return id;
        }
        txn.id = Some(next);
        state.last_id = next;
        state.running.insert(next);
        next
    }

    fn request_notification(&self, session: u32) -> Result<()> {
        let mut state = self.state.lock();
        if state.fails.contains("notify") {
            return Err(Error::new(Code::Host(-31_802), "scheduled already"));
        }
        let txn = state.sessions.get_mut(&session).expect("running");
        txn.notifies = true;
        Ok(())
    }

    fn isolation(&self, session: u32) -> Isolation {
        let state = self.state.lock();
        state
            .sessions
            .get(&session)
            .map_or(Isolation::ReadCommitted, |txn| txn.isolation)
    }

    fn is_visible(&self, session: u32, id: TxnId) -> bool {
        let state = self.state.lock();
        let txn = &state.sessions[&session];
        if txn.id == Some(id) || txn.isolation == Isolation::ReadUncommitted {
            return true;
        }
        match &txn.snapshot {
            Some(snapshot) => id < snapshot.next && !snapshot.running.contains(&id),
            None => id < state.oldest,
        }
    }

    fn sees_all_below(&self, session: u32, id: TxnId) -> bool {
        let state = self.state.lock();
        let snapshot = state.sessions[&session].snapshot.as_ref();
        let lowest = snapshot.map(|snapshot| snapshot.running.first().unwrap_or(&snapshot.next));
        lowest.is_some_and(|&lowest| id <= lowest)
    }

    fn ignores_prepared(&self, _session: u32) -> bool {
        false
    }

    fn oldest(&self) -> TxnId {
        self.state.lock().oldest
    }

    fn metadata(&self, _session: u32, uri: &str) -> Result<Option<String>> {
        Ok(self.state.lock().metadata.get(uri).cloned())
    }

    fn has_index_in(&self, _session: u32, uri: &str) -> Result<bool> {
        let state = self.state.lock();
        let mut indices = state
            .metadata
            .range("index:".to_owned().."index;".to_owned());
        let source = format!("source=\"{uri}\"");
        Ok(indices.any(|(_, entry)| entry.contains(&source)))
    }

    fn insert_metadata(&self, _session: u32, uri: &str, entry: &str) -> Result<()> {
        let mut state = self.state.lock();
        if state.fails.contains("insert") {
            return Err(Error::new(Code::Host(-31_802), "metadata insert"));
        }
        state.metadata.insert(uri.to_owned(), entry.to_owned());
        Ok(())
    }

    fn remove_metadata(&self, _session: u32, uri: &str) -> Result<()> {
        let mut state = self.state.lock();
        if state.fails.contains("remove") {
            return Err(Error::new(Code::Host(-31_802), "metadata remove"));
        }
        state
            .metadata
            .remove(uri)
            .map(|_| ())
            .ok_or_else(|| Code::NotFound.into())
    }

    fn await_schema(&self, _session: u32) -> bool {
        let mut state = self.state.lock();
        if let Some(uri) = state.taken_back.take() {
            state.metadata.remove(&uri);
        }
        !state.fails.contains("await")
    }

    fn message(&self, _session: Option<u32>, text: &str) {
        self.state.lock().messages.push(text.to_owned());
    }

    fn error(&self, _session: Option<u32>, text: &str) {
        self.state.lock().errors.push(text.to_owned());
    }
}

impl Sim {
    fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            next: state.last_id + 1,
            running: state.running.clone(),
        }
    }

    /// Moves the oldest id as far as running transactions and snapshots let it.
    pub fn move_oldest(&self) {
        let mut state = self.state.lock();
        let running = state.running.iter().copied();
        let pinned = state
            .sessions
            .values()
            .filter_map(|txn| txn.snapshot.as_ref())
            .flat_map(|snapshot| snapshot.running.iter().copied().chain([snapshot.next]));
        let oldest = running.chain(pinned).chain([state.last_id + 1]).min();
        state.oldest = oldest.unwrap_or(0);
    }

    pub fn set_failing(&self, what: &'static str, fails: bool) {
        let mut state = self.state.lock();
        if fails {
            state.fails.insert(what);
        } else {
            state.fails.remove(what);
        }
    }

    /// Has the create of `uri`, which is under way, taken back when somebody waits for its end.
    pub fn take_back(&self, uri: &str) {
        self.state.lock().taken_back = Some(uri.to_owned());
    }

    /// The metadata entry of `uri`.
    pub fn entry(&self, uri: &str) -> Option<String> {
        self.state.lock().metadata.get(uri).cloned()
    }

    pub fn set_entry(&self, uri: &str, entry: Option<String>) {
        let mut state = self.state.lock();
        match entry {
            Some(entry) => state.metadata.insert(uri.to_owned(), entry),
            None => state.metadata.remove(uri),
        };
    }

    pub fn messages(&self) -> String {
        self.state.lock().messages.join("\n")
    }
}

/// A connection to the simulated WiredTiger with our data source in it.
pub struct Connection {
    pub source: Arc<Source<Sim>>,
}

impl Connection {
    pub fn open() -> Self {
        Self::open_with(&volume("dev1"))
    }

    pub fn open_with(config: &str) -> Self {
        let pairs: Vec<_> = Pairs::new(config)
            .collect::<Result<_>>()
            .expect("well-formed");
        let options = ConnectionOptions::read(pairs).expect("valid");
        let source = Source::open(Sim::default(), options).expect("volumes open");
        Self {
            source: Arc::new(source),
        }
    }

    pub fn sim(&self) -> &Sim {
        self.source.host()
    }

    pub fn create(&self, uri: &str, config: &str) -> Result<()> {
        self.source.create(0, uri, config)
    }

    pub fn cursor(&self, session: u32, uri: &str) -> Table<'_> {
        self.cursor_with(session, uri, "").expect("opens")
    }

    pub fn cursor_with(&self, session: u32, uri: &str, config: &str) -> Result<Table<'_>> {
        Ok(Table {
            connection: self,
            session,
            cursor: self.source.open_cursor(session, uri, config)?,
        })
    }

    pub fn begin(&self, session: u32, isolation: Isolation) {
        self.start(session, isolation, true);
    }

    fn start(&self, session: u32, isolation: Isolation, explicit: bool) {
        let snapshot = (isolation == Isolation::Snapshot).then(|| self.sim().snapshot());
        let txn = Transaction {
            isolation,
            explicit,
            id: None,
            snapshot,
            notifies: false,
            failed: false,
        };
        let mut state = self.sim().state.lock();
        assert!(
            state.sessions.insert(session, txn).is_none(),
            "runs already"
        );
    }

    /// Commits as WiredTiger does: the notification first; if it is refused, or the log
    /// cannot be written, the same handler is told that all is rolled back.
    pub fn commit(&self, session: u32) -> Result<()> {
        self.commit_with(session, || Ok(()))
    }

    pub fn commit_with(&self, session: u32, log: impl FnOnce() -> Result<()>) -> Result<()> {
        let notify = self.notify(session);
        let result = match notify {
            Some(id) => self.source.resolve(session, id, true).and_then(|()| log()),
            None => log(),
        };
        if let (Err(_), Some(id)) = (&result, notify) {
            self.source.resolve(session, id, false)?;
        }
        self.finish(session);
        result
    }

    pub fn rollback(&self, session: u32) {
        if let Some(id) = self.notify(session) {
            let rolled_back = self.source.resolve(session, id, false);
            rolled_back.expect("rolling back before a commit cannot fail");
        }
        self.finish(session);
    }

    /// After this the id looks visible to everyone, though nothing is decided.
    pub fn prepare(&self, session: u32) {
        let mut state = self.sim().state.lock();
        if let Some(id) = state.sessions[&session].id {
            state.running.remove(&id);
        }
    }

    fn notify(&self, session: u32) -> Option<TxnId> {
        let mut state = self.sim().state.lock();
        let txn = state.sessions.get_mut(&session).expect("runs");
        // WiredTiger lets a transaction of a data source alone commit whatever failed in it.
        let _ = txn.failed;
        txn.id.filter(|_| txn.notifies)
    }

    fn finish(&self, session: u32) {
        let mut state = self.sim().state.lock();
        let txn = state.sessions.remove(&session).expect("runs");
        if let Some(id) = txn.id {
            state.running.remove(&id);
        }
    }

    /// Runs a read as WiredTiger does: under the transaction's snapshot, or one for the call.
    fn read<T>(&self, session: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let runs = self.sim().state.lock().sessions.contains_key(&session);
        if !runs {
            self.start(session, Isolation::ReadCommitted, false);
        }
        self.take_snapshot(session);
        let result = work();
        self.end_call(session);
        if !runs {
            self.finish(session);
        }
        result
    }

    /// Runs a write, in a transaction of its own (again and again while it has to be rolled
    /// back) or in the one that runs.
    fn write(&self, session: u32, mut work: impl FnMut() -> Result<()>) -> Result<()> {
        let runs = self.sim().state.lock().sessions.contains_key(&session);
        if runs {
            self.take_snapshot(session);
            let result = work();
            self.end_call(session);
            return result;
        }
        loop {
            self.start(session, Isolation::ReadCommitted, false);
            self.take_snapshot(session);
            let result = work();
            self.end_call(session);
            match result {
                Ok(()) => return self.commit(session),
                Err(error) => {
                    self.rollback(session);
                    if error.code() != Code::Rollback {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn take_snapshot(&self, session: u32) {
        let snapshot = self.sim().snapshot();
        let mut state = self.sim().state.lock();
        let txn = state.sessions.get_mut(&session).expect("runs");
        if txn.isolation == Isolation::ReadCommitted {
            txn.snapshot = Some(snapshot);
        }
    }

    fn end_call(&self, session: u32) {
        let mut state = self.sim().state.lock();
        let txn = state.sessions.get_mut(&session).expect("runs");
        if txn.isolation == Isolation::ReadCommitted || !txn.explicit {
            txn.snapshot = None;
        }
    }
}

/// A cursor in the hands of an application.
pub struct Table<'c> {
    connection: &'c Connection,
    session: u32,
    pub cursor: Cursor<Sim>,
}

pub type Item = (String, String);

fn key(text: &str) -> Key<'_> {
    Key {
        bytes: Input::Bytes(text.as_bytes()),
        recno: text.parse().unwrap_or(0),
    }
}

impl Table<'_> {
    fn write(&mut self, mut work: impl FnMut(&mut Cursor<Sim>) -> Result<()>) -> Result<()> {
        let Self {
            connection,
            session,
            cursor,
        } = self;
        let result = connection.write(*session, || work(cursor));
        if result.is_err() {
            cursor.reset();
        }
        result
    }

    fn read<T>(&mut self, work: impl FnOnce(&mut Cursor<Sim>) -> Result<T>) -> Result<T> {
        let Self {
            connection,
            session,
            cursor,
        } = self;
        let result = connection.read(*session, || work(cursor));
        if result.is_err() {
            cursor.reset();
        }
        result
    }

    pub fn insert(&mut self, at: &str, value: &str) -> Result<()> {
        self.insert_with(at, value, true)
    }

    pub fn insert_with(&mut self, at: &str, value: &str, overwrite: bool) -> Result<()> {
        let value = Input::Bytes(value.as_bytes());
        self.write(|cursor| cursor.insert(key(at), value, overwrite))
    }

    pub fn update_with(&mut self, at: &str, value: &str, overwrite: bool) -> Result<()> {
        let value = Input::Bytes(value.as_bytes());
        self.write(|cursor| cursor.update(key(at), value, overwrite))
    }

    pub fn remove_with(&mut self, at: &str, overwrite: bool) -> Result<()> {
        self.write(|cursor| cursor.remove(key(at), overwrite))
    }

    /// Removes the item on which the cursor stands.
    pub fn remove_here(&mut self) -> Result<()> {
        let held = Key {
            bytes: Input::Held,
            recno: self.cursor.recno(),
        };
        self.write(|cursor| cursor.remove(held, true))
    }

    pub fn reserve(&mut self, at: &str) -> Result<()> {
        self.write(|cursor| cursor.reserve(key(at)))
    }

    pub fn get(&mut self, at: &str) -> Result<String> {
        self.read(|cursor| cursor.search(key(at)))?;
        Ok(self.item().1)
    }

    pub fn near(&mut self, at: &str) -> Result<(std::cmp::Ordering, String)> {
        let which = self.read(|cursor| cursor.search_near(key(at), Wanted::Items))?;
        Ok((which, self.item().0))
    }

    pub fn next(&mut self) -> Result<Item> {
        self.read(|cursor| cursor.next(Wanted::Items))?;
        Ok(self.item())
    }

    pub fn previous(&mut self) -> Result<Item> {
        self.read(|cursor| cursor.previous(Wanted::Items))?;
        Ok(self.item())
    }

    /// All items, which must be the same in both directions.
    pub fn all(&mut self) -> Vec<Item> {
        self.cursor.reset();
        let forward: Vec<_> = std::iter::from_fn(|| self.next().ok()).collect();
        let mut backward: Vec<_> = std::iter::from_fn(|| self.previous().ok()).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        forward
    }

    pub fn keys(&mut self) -> String {
        let keys: Vec<_> = self.all().into_iter().map(|(key, _)| key).collect();
        keys.join(" ")
    }

    fn item(&self) -> Item {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let key = if self.cursor.has_recnos() {
            self.cursor.recno().to_string()
        } else {
            text(self.cursor.key())
        };
        (key, text(self.cursor.value()))
    }
}

/// The code of a failure.
pub fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("should fail").code()
}
