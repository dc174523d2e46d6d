//! The server: listens, takes connections, and ends when it is told to.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use heliumdb::Volume;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinSet,
    time,
};

use crate::{
    clients::Entry, connection, http, options::Options, shared::Shared, users::Users,
    volumes::Served,
};

/// Connections more than there may be that are told so at the same time.
const REFUSED_MAX: usize = 64;
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A running server. Dropping it stops it as [`Server::stop`] does.
#[derive(Debug)]
pub struct Server {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

/// A volume to be served, and what it is called.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name, which connections know it by.
    pub name: String,
    /// The volume.
    pub volume: Volume,
}

impl Server {
    /// Serves `volumes`, of which the first is where connections begin. They stay the caller's to close, after the
    /// server was stopped.
    pub fn start(volumes: Vec<Named>, options: Options) -> io::Result<Self> {
        Self::start_on(volumes, options, Vec::new())
    }

    /// As [`Server::start`], on sockets that somebody else has opened, if there are any: then it listens nowhere else.
    pub fn start_on(
        volumes: Vec<Named>,
        mut options: Options,
        inherited: Vec<std::net::TcpListener>,
    ) -> io::Result<Self> {
        if !inherited.is_empty() {
            let addresses: io::Result<_> = inherited.iter().map(|one| one.local_addr()).collect();
            options.listen = addresses?;
        }
        if let Some(why) = options.refused() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        // They never wait: more would only take turns.
        let threads = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(options.workers.max(1))
            .thread_name("helium-server")
            .enable_all()
            .build()?;
        let mut served = Vec::new();
        for Named { name, volume } in volumes {
            if served.iter().any(|known: &Arc<Served>| known.name == name) {
                let why = format!("two volumes would be called '{name}'");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            served.push(Arc::new(Served::new(name, volume, options.workers)));
        }
        let mut served = served.into_iter();
        let first = served.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "there is no volume to serve")
        })?;
        let listeners: io::Result<Vec<_>> = match inherited.is_empty() {
            true => {
                let addresses = options.listen.iter();
                addresses.map(|&address| bind(&runtime, address)).collect()
            }
            false => {
                let inherited = inherited.into_iter();
                inherited
                    .map(|listener| adopt(&runtime, listener))
                    .collect()
            }
        };
        let listeners = listeners?;
        let bound: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
        options.listen = bound?;
        let metrics = match options.metrics {
            Some(address) => Some(bind(&runtime, address)?),
            None => None,
        };
        if let Some(metrics) = &metrics {
            options.metrics = Some(metrics.local_addr()?);
        }
        let shared = Arc::new(Shared::new(options, first, served.collect()));
        let (stop, stopped) = watch::channel(false);
        if let Some(metrics) = metrics {
            runtime.spawn(http::serve(metrics, shared.clone(), stopped.clone()));
        }
        let accepting = runtime.spawn(accept_all(listeners, shared.clone(), stopped));
        Ok(Self {
            runtime: Some(runtime),
            shared,
            stop,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.options.listen
    }

    /// Where metrics are asked for.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.shared.options.metrics
    }

    /// From now on these are the users, for those who are connected as well. The server must have been started with some.
    pub fn set_users(&self, users: Users) -> io::Result<()> {
        if self.shared.options.users.is_none() {
            let why = "the server was started without users";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.shared.users.set(users);
        Ok(())
    }

    /// Takes no more connections and no more commands, waits for what clients have begun, and returns.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Nobody may be left to hear it.
        let _ = self.stop.send(true);
        if let Some(accepting) = self.accepting.take() {
            // It ends, or panicked: then nothing is left to wait for.
            let _ = runtime.block_on(accepting);
        }
        // What a thread does now is a command whose client is gone.
        runtime.shutdown_timeout(self.shared.options.grace);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn adopt(runtime: &Runtime, listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    let _inside = runtime.enter();
    TcpListener::from_std(listener)
}

fn bind(runtime: &Runtime, address: SocketAddr) -> io::Result<TcpListener> {
    let bound = runtime.block_on(TcpListener::bind(address));
    bound.map_err(|why| io::Error::new(why.kind(), format!("cannot listen on {address}: {why}")))
}

/// Takes connections until it is told to stop, and waits for those there are.
async fn accept_all(listeners: Vec<TcpListener>, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, shared.clone(), stop.clone()));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => greet(stream, from, &shared, &mut connections, &stop),
                Err(why) => {
                    // The process has no more files, as a rule: some may be closed soon.
                    tracing::warn!(%why, "cannot take a connection");
                    time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = connection::told(&mut stopped) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if time::timeout(shared.options.grace, all).await.is_err() {
        tracing::warn!("clients that do not read their replies are left");
    }
}

/// Begins to serve a connection, unless there are too many.
fn greet(
    mut stream: TcpStream,
    from: SocketAddr,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) {
    let local = stream.local_addr().unwrap_or(from);
    let most = shared.options.max_clients;
    let Some(entry) = shared.clients.enter(from, local, most) else {
        tracing::warn!(%from, most, "a connection more than there may be");
        // Nor are there many who hear why.
        if connections.len() < most.saturating_add(REFUSED_MAX) {
            connections.spawn(async move {
                let why = b"-ERR max number of clients reached\r\n";
                // Whoever it is may be gone already.
                if stream.write_all(why).await.is_ok() {
                    let _ = connection::end(stream).await;
                }
            });
        }
        return;
    };
    // Replies are written whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let (shared, stop) = (shared.clone(), stop.clone());
    connections.spawn(async move {
        let id = entry.client.id;
        tracing::debug!(id, %from, "a client has come");
        match encrypt_and_serve(stream, shared, entry, stop).await {
            Ok(()) => tracing::debug!(id, "a client has left"),
            Err(why) => tracing::debug!(id, %why, "a client was lost"),
        }
    });
}

/// Serves a connection, which TLS is between if there is any.
async fn encrypt_and_serve(
    stream: TcpStream,
    shared: Arc<Shared>,
    entry: Entry,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    match &shared.options.tls {
        None => connection::serve(stream, shared, entry, stop).await,
        Some(tls) => {
            let stream = time::timeout(HANDSHAKE, tls.accept(stream)).await??;
            connection::serve(stream, shared, entry, stop).await
        }
    }
}
