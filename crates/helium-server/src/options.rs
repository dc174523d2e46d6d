//! How a server is started.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio_rustls::TlsAcceptor;

use crate::users::Users;

/// When a client is told that its write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the medium. Writes of all connections share syncs.
    #[default]
    Synced,
    /// When it is in memory: a crash may lose the last of them.
    Buffered,
}

/// Options of a server.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// It may listen where others than this machine can connect, though anybody who does may do everything.
    pub insecure_listen: bool,
    /// Who may do what; without any, everybody everything.
    pub users: Option<Arc<Users>>,
    /// What encrypts connections; without it they are not encrypted.
    pub tls: Option<TlsAcceptor>,
    /// Where metrics are asked for.
    pub metrics: Option<SocketAddr>,
    /// When writes are acknowledged.
    pub durability: Durability,
    /// SELECT takes numbers below this one.
    pub databases: usize,
    /// Most connections at once.
    pub max_clients: usize,
    /// The folder for HE.BACKUP; without one there is none.
    pub backups: Option<PathBuf>,
    /// How long a transaction that HE.BEGIN began may be open.
    pub transaction_time: Duration,
    /// How long a stopping server waits for what its clients have begun.
    pub grace: Duration,
    /// Threads that do commands: more than can wait for devices at once.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], crate::PORT))],
            insecure_listen: false,
            users: None,
            tls: None,
            metrics: None,
            durability: Durability::default(),
            databases: 16,
            max_clients: 10_000,
            backups: None,
            transaction_time: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            workers: 64,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options({:?}, {:?})", self.listen, self.durability)
    }
}

impl Options {
    /// Why it may not listen there, if so.
    pub(crate) fn refused(&self) -> Option<String> {
        let is_safe = self.tls.is_some() && self.users.is_some();
        let asked = self.listen.iter().filter(|_| !is_safe).chain(&self.metrics);
        let mut beyond = asked.filter(|at| !at.ip().is_loopback());
        let first = beyond.next().filter(|_| !self.insecure_listen)?;
        Some(format!(
            "{first} can be reached from other machines, and anybody there could connect: give it TLS and users (metrics have neither), listen on a \
             loopback address, or say that this is meant (--insecure-listen)"
        ))
    }

    /// The first port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.listen.first().map_or(0, SocketAddr::port)
    }

    /// As CONFIG GET shows them, by the names that programs know.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let synced = self.durability == Durability::Synced;
        let hosts: Vec<_> = self.listen.iter().map(|at| at.ip().to_string()).collect();
        vec![
            (
                "appendfsync",
                ["everysec", "always"][usize::from(synced)].to_owned(),
            ),
            ("appendonly", "yes".to_owned()),
            ("bind", hosts.join(" ")),
            ("databases", self.databases.to_string()),
            ("maxclients", self.max_clients.to_string()),
            ("maxmemory", "0".to_owned()),
            ("maxmemory-policy", "noeviction".to_owned()),
            ("port", self.port().to_string()),
            (
                "proto-max-bulk-len",
                crate::limits::BULK_BYTES_MAX.to_string(),
            ),
            ("save", String::new()),
            ("timeout", "0".to_owned()),
        ]
    }
}
