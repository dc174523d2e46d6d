//! The connections there are, as CLIENT LIST and INFO show them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// What others can see of a connection.
#[derive(Debug)]
pub struct Client {
    /// Counted from 1 on, never used twice.
    pub id: u64,
    /// Where it is.
    pub address: SocketAddr,
    /// The address it came to.
    pub local: SocketAddr,
    since: Instant,
    /// The rest.
    pub state: Mutex<ClientState>,
}

/// What changes of it.
#[derive(Clone, Debug)]
pub struct ClientState {
    /// As it calls itself.
    pub name: String,
    /// Its library, and the version of that.
    pub library: [String; 2],
    /// Its datastore.
    pub datastore: String,
    /// The last command it gave.
    pub command: &'static str,
    last: Instant,
    /// Commands that wait for EXEC; -1 outside of MULTI.
    pub queued: i64,
    /// The version of the protocol.
    pub protocol: u8,
    /// Who it is.
    pub user: String,
}

impl Client {
    /// A line as CLIENT LIST has it.
    pub fn line(&self) -> String {
        let state = self.state.lock().clone();
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            line,
            "id={} addr={} laddr={} name={} age={} idle={} flags={} db={} multi={} cmd={} user={} lib-name={} \
             lib-ver={} resp={}",
            self.id,
            self.address,
            self.local,
            state.name,
            self.since.elapsed().as_secs(),
            state.last.elapsed().as_secs(),
            if state.queued >= 0 { "x" } else { "N" },
            state.datastore,
            state.queued,
            state.command,
            state.user,
            state.library[0],
            state.library[1],
            state.protocol,
        );
        line
    }

    /// How long it has been there, and since when it gave no command.
    pub fn times(&self) -> (Duration, Duration) {
        (self.since.elapsed(), self.state.lock().last.elapsed())
    }

    /// Notes that it gave commands, the last of which was `command`.
    pub fn note(&self, command: &'static str, queued: i64) {
        let mut state = self.state.lock();
        state.command = command;
        state.queued = queued;
        state.last = Instant::now();
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Clients {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    by_id: BTreeMap<u64, Arc<Client>>,
    refused: u64,
}

/// A connection's place among them, until it is dropped.
#[derive(Debug)]
pub struct Entry {
    clients: Arc<Clients>,
    /// The connection.
    pub client: Arc<Client>,
}

impl Clients {
    /// One more, unless there are `most` already.
    pub fn enter(
        self: &Arc<Self>,
        address: SocketAddr,
        local: SocketAddr,
        most: usize,
    ) -> Option<Entry> {
        let mut state = self.state.lock();
        if state.by_id.len() >= most {
            state.refused += 1;
            return None;
        }
        state.last_id += 1;
        let now = Instant::now();
        let client = Arc::new(Client {
            id: state.last_id,
            address,
            local,
            since: now,
            state: Mutex::new(ClientState {
                name: String::new(),
                library: Default::default(),
                datastore: "0".to_owned(),
                command: "NULL",
                last: now,
                queued: -1,
                protocol: 2,
                user: "default".to_owned(),
            }),
        });
        state.by_id.insert(client.id, client.clone());
        Some(Entry {
            clients: self.clone(),
            client,
        })
    }

    /// All that are there now.
    pub fn list(&self) -> Vec<Arc<Client>> {
        self.state.lock().by_id.values().cloned().collect()
    }

    /// How many are there, were ever, and were refused.
    pub fn counts(&self) -> [u64; 3] {
        let state = self.state.lock();
        [state.by_id.len() as u64, state.last_id, state.refused]
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clients.state.lock().by_id.remove(&self.client.id);
    }
}
