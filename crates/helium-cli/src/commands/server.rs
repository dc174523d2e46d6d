//! `helium server`: volumes for other processes and machines.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use helium_server::{Durability, Named, Options};
use heliumdb::Volume;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use serde_json::json;

use super::users_file::UsersFile;
use crate::{
    failure::{self, Code, Failure, Result},
    interrupt,
    output::Output,
    volume::{self, Access},
};

/// How long the end takes to notice Ctrl-C.
const NOTICE: Duration = Duration::from_millis(50);

/// Arguments of `helium server`.
///
/// Any client of Redis can talk to it: `redis-cli -p 41000`. What it knows is in docs/server.md.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// The volumes; connections begin with the first
    #[arg(required_unless_present = "hash_password", value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volumes: Vec<String>,
    /// Where to listen: an address with a port, one of both, or more than one
    #[arg(short, long, value_name = "ADDRESS", default_value = "127.0.0.1:41000", value_parser = parse_address)]
    listen: Vec<Vec<SocketAddr>>,
    /// When a client is told that its write is done: when it is on the medium (synced), or when it is in memory
    /// (buffered), and a crash may lose the last of them
    #[arg(long, value_name = "WHEN", default_value = "synced")]
    durability: When,
    /// SELECT takes numbers below this one
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    databases: u16,
    /// Most connections at once
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_clients: u32,
    /// The folder in which HE.BACKUP makes its copies; without one there are none
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    backups: Option<PathBuf>,
    /// Seconds for which a transaction that HE.BEGIN began may be open
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    transaction_time: u32,
    /// A file of users: a name, the hash of a password, and rights, on each line; it is read again when it changes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    users: Option<PathBuf>,
    /// Print the hash of a password, the first line of standard input, for a file of users
    #[arg(long, conflicts_with = "volumes")]
    hash_password: bool,
    /// Encrypt connections: the server's certificate, with those between it and an authority
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = clap::ValueHint::FilePath)]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = clap::ValueHint::FilePath)]
    tls_key: Option<PathBuf>,
    /// Take only clients that show a certificate of one of these authorities
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = clap::ValueHint::FilePath)]
    tls_client_ca: Option<PathBuf>,
    /// Answer there, at /metrics, who asks for metrics: Prometheus
    #[arg(long, value_name = "ADDRESS", value_parser = parse_metrics_address)]
    metrics: Option<SocketAddr>,
    /// Let anybody who can connect from elsewhere do so: needed to listen beyond this machine's own addresses
    /// without TLS and users
    #[arg(long)]
    insecure_listen: bool,
}

/// When a write is done.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum When {
    Synced,
    Buffered,
}

impl Server {
    /// Reads the files that say who may connect; that of the users is to be looked at again.
    fn secure(&self, options: &mut Options) -> Result<Option<UsersFile>> {
        let refuse = |why| Failure::new(Code::BadInput, why);
        let mut file = None;
        if let Some(path) = &self.users {
            let (opened, users) = UsersFile::open(path.clone()).map_err(refuse)?;
            options.users = Some(Arc::new(users));
            file = Some(opened);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let authority = self.tls_client_ca.as_deref();
            let tls = helium_server::tls_acceptor(certificate, key, authority);
            options.tls = Some(tls.map_err(refuse)?);
        }
        Ok(file)
    }

    /// Serves until it is told to stop.
    pub fn run(self, output: Output) -> Result<()> {
        if self.hash_password {
            return print_hash(output);
        }
        let mut options = Options::default();
        let mut users = self.secure(&mut options)?;
        options.metrics = self.metrics;
        options.listen = self.listen.concat();
        options.durability = match self.durability {
            When::Synced => Durability::Synced,
            When::Buffered => Durability::Buffered,
        };
        options.databases = self.databases.into();
        options.max_clients = self.max_clients as usize;
        options.transaction_time = Duration::from_secs(self.transaction_time.into());
        options.insecure_listen = self.insecure_listen;
        if let Some(folder) = &self.backups
            && !folder.is_dir()
        {
            let what = format!("{} is not a folder", folder.display());
            return Err(Failure::new(Code::NotFound, what).advise("Make it first."));
        }
        options.backups = self.backups;
        let _ = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .try_init();
        let names = names(&self.volumes);
        with_all(&self.volumes, &mut Vec::new(), &mut |open| {
            let named = names.iter().zip(open).map(|(name, open)| Named {
                name: name.clone(),
                volume: open.clone(),
            });
            serve(named.collect(), options.clone(), &mut users, output)
        })
    }
}

/// Hashes the first line of standard input.
fn print_hash(output: Output) -> Result<()> {
    let mut password = String::new();
    BufReader::new(interrupt::input()?)
        .read_line(&mut password)
        .map_err(|why| failure::system("cannot read the password", why))?;
    interrupt::check()?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::new(Code::Usage, "the password is empty")
            .advise("It is read from standard input, up to the end of the line."));
    }
    let hash =
        helium_server::hash_password(password).map_err(|why| Failure::new(Code::Failed, why))?;
    output.print(&json!({"hash": hash}), || hash.clone())
}

/// Opens the volumes, lets `work` use them, and closes them.
fn with_all(
    volumes: &[String],
    open: &mut Vec<Volume>,
    work: &mut dyn FnMut(&[Volume]) -> Result<()>,
) -> Result<()> {
    let Some((first, rest)) = volumes.split_first() else {
        return work(open);
    };
    volume::with(first, Access::Write, |volume| {
        let _publisher = volume::publish(volume, "helium server");
        open.push(volume.clone());
        let done = with_all(rest, open, work);
        open.pop();
        done
    })
}

fn serve(
    volumes: Vec<Named>,
    options: Options,
    users: &mut Option<UsersFile>,
    output: Output,
) -> Result<()> {
    let server = helium_server::Server::start_on(volumes, options, inherited()?)
        .map_err(|why| failure::system("cannot serve", why))?;
    let addresses: Vec<_> = server.addresses().iter().map(ToString::to_string).collect();
    output.print(&json!({"listening": addresses}), || {
        format!("listening on {}", addresses.join(" and "))
    })?;
    std::io::stdout()
        .flush()
        .map_err(|why| failure::system("cannot say that it listens", why))?;
    tell_systemd(NotifyState::Ready);
    while !interrupt::asked() {
        thread::sleep(NOTICE);
        if let Some(users) = users {
            users.look(&server);
        }
    }
    // To be told to stop is how it ends.
    interrupt::forget();
    tell_systemd(NotifyState::Stopping);
    tracing::info!("stopping: what was begun is ended first");
    server.stop();
    Ok(())
}

/// The sockets that systemd has opened for this process (`LISTEN_FDS`).
fn inherited() -> Result<Vec<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        let taken = sockets
            .take_tcp_listener(index)
            .map_err(|why| failure::system("cannot use a socket that was handed over", why))?;
        listeners.extend(taken);
    }
    Ok(listeners)
}

/// Tells systemd how far it is, if that has started it (`NOTIFY_SOCKET`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(why) = sd_notify::notify(&[state]) {
        tracing::warn!(%why, "cannot tell systemd how far it is");
    }
}

/// What the volumes are called: by their first file, without its folder and ending, unless two would be called so.
fn names(volumes: &[String]) -> Vec<String> {
    let short = |volume: &String| {
        let url = volume::url(volume);
        let path = heliumdb::device::paths(&url).ok()?.into_iter().next()?;
        let stem = Path::new(&path).file_stem()?.to_str()?.to_owned();
        Some(stem)
    };
    let names: Vec<_> = volumes.iter().filter_map(short).collect();
    let are_different = {
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        sorted.len() == volumes.len()
    };
    match are_different {
        true => names,
        false => volumes.to_vec(),
    }
}

fn parse_metrics_address(text: &str) -> Result<SocketAddr, String> {
    let all = parse_address(text)?;
    let first = all.first().copied();
    first.ok_or_else(|| "it is no address".to_owned())
}

fn parse_address(text: &str) -> Result<Vec<SocketAddr>, String> {
    let with_port = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("[{text}]:{}", helium_server::PORT)
        }
        Err(_) if text.contains(':') => text.to_owned(),
        Err(_) => format!("{text}:{}", helium_server::PORT),
    };
    match with_port.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(why) => Err(format!(
            "it is no address to listen on ({why}); 127.0.0.1:41000 is one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{names, parse_address};

    #[test]
    fn volumes_are_called_by_their_files_unless_two_would_be_called_so() {
        let called = |volumes: &[&str]| {
            let volumes: Vec<_> = volumes.iter().map(|&volume| volume.to_owned()).collect();
            names(&volumes)
        };
        assert_eq!(called(&["/a/fruit.he", "he://./b/c"]), ["fruit", "c"]);
        assert_eq!(called(&["/a/x", "/b/x"]), ["/a/x", "/b/x"]);
    }

    #[test]
    fn addresses() {
        let is = |text: &str, expected: &str| {
            assert_eq!(
                parse_address(text).unwrap(),
                [expected.parse().unwrap()],
                "{text}"
            );
        };
        is("6379", "127.0.0.1:6379");
        is("127.0.0.1", "127.0.0.1:41000");
        is("::1", "[::1]:41000");
        is("[::1]:5", "[::1]:5");
        assert!(parse_address("no such host:x").is_err());
    }
}
