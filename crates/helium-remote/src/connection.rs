//! One connection: requests out, replies in, one thing at a time.
//!
//! Invariant: a connection on which anything failed that is not the server's answer is broken, and never used again; so no
//! reply is ever taken for that of another request.

use std::{
    io::{self, BufReader, Write},
    net::{TcpStream, ToSocketAddrs},
};

use heliumdb::{Error, Result};

use crate::{
    address::Address,
    failure::{Network, failed, lost, network, said, said_of_user, unknown},
    options::Options,
    reply::{Reply, check_size, request},
    stream::Stream,
};

/// What asking does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it can be asked again.
    None,
    /// It writes.
    Writes,
}

/// Bytes of replies that are read at once.
const BUFFER_BYTES: usize = 32 << 10;

pub(crate) struct Connection {
    stream: BufReader<Stream>,
    address: Address,
    /// The datastore that it is in.
    at: Option<Vec<u8>>,
    is_broken: bool,
    /// What it writes is done by a commit, and by nothing else.
    pub(crate) is_in_transaction: bool,
    /// The volume, as the server calls it and by its id.
    pub(crate) volume: (String, String),
}

impl Connection {
    /// Connects, says who it is, and goes to the volume.
    pub(crate) fn open(address: &Address, options: &Options) -> Result<Self> {
        let socket = connect(address, options)?;
        let is_here = socket.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
        let set = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(options.answer)))
            .and_then(|()| socket.set_write_timeout(Some(options.answer)));
        set.map_err(|why| lost(address, &why))?;
        let stream = encrypt(socket, address, options)?;
        let mut connection = Self {
            stream: BufReader::with_capacity(BUFFER_BYTES, stream),
            address: address.clone(),
            at: None,
            is_broken: false,
            is_in_transaction: false,
            volume: Default::default(),
        };
        connection.greet(options, is_here)?;
        Ok(connection)
    }

    fn greet(&mut self, options: &Options, is_here: bool) -> Result<()> {
        if let Some(password) = &options.password {
            if options.tls.is_none() && !is_here {
                let why = "a password is not sent to another machine without TLS (HELIUM_TLS_CA)";
                return Err(failed(Network::Authentication, &self.address, why));
            }
            let words = [&b"AUTH"[..], options.user.as_bytes(), password.as_bytes()];
            match self.answer(&words, Effect::None)? {
                Reply::Simple(_) => {}
                Reply::Error(text) => return Err(said_of_user(&self.address, &text)),
                _ => return Err(self.misunderstood()),
            }
        }
        let name = self.address.volume.clone();
        let words = [&b"HE.VOLUME"[..], name.as_bytes()];
        let words = match name.is_empty() {
            true => &words[..1],
            false => &words[..],
        };
        let Reply::Array(parts) = self.ask(words, Effect::None)? else {
            return Err(self.misunderstood());
        };
        let texts = parts.into_iter().map(|part| match part {
            Reply::Bulk(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        });
        let texts: Option<Vec<_>> = texts.collect();
        let texts = texts.and_then(|texts| <[String; 2]>::try_from(texts).ok());
        let [name, id] = texts.ok_or_else(|| self.misunderstood())?;
        self.volume = (name, id);
        Ok(())
    }

    /// Asks one thing. What the server refuses is an error, and leaves the connection as it is, unless it does not know
    /// any more who this is.
    pub(crate) fn ask(&mut self, words: &[&[u8]], effect: Effect) -> Result<Reply> {
        let effect = match self.is_in_transaction {
            true => Effect::None,
            false => effect,
        };
        match self.answer(words, effect)? {
            Reply::Error(text) => {
                let why = said(&self.address, &text, effect);
                self.is_broken |= network(&why) == Some(Network::Authentication);
                Err(why)
            }
            reply => Ok(reply),
        }
    }

    /// What the server answers, if it is an error or not.
    fn answer(&mut self, words: &[&[u8]], effect: Effect) -> Result<Reply> {
        check_size(words)?;
        if self.is_broken {
            // Nothing is sent: there is nothing that is not known.
            return Err(lost(&self.address, &io::ErrorKind::NotConnected.into()));
        }
        let mut bytes = Vec::new();
        request(&mut bytes, words);
        self.exchange(&bytes).map_err(|why| {
            self.is_broken = true;
            let why = lost(&self.address, &why);
            match effect {
                Effect::None => why,
                Effect::Writes => unknown(why),
            }
        })
    }

    fn exchange(&mut self, bytes: &[u8]) -> io::Result<Reply> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(bytes).and_then(|()| stream.flush());
        self.is_broken |= sent.is_err();
        // What has come unasked says more than that nothing can be sent any more.
        let reply = Reply::read(&mut self.stream);
        match (sent, reply) {
            (Err(why), Err(_)) => Err(why),
            (_, reply) => reply,
        }
    }

    /// Asks for something that answers OK.
    pub(crate) fn ask_for(&mut self, words: &[&[u8]], effect: Effect) -> Result<()> {
        match self.ask(words, effect)? {
            Reply::Simple(_) => Ok(()),
            _ => Err(self.misunderstood()),
        }
    }

    /// Has what follows be about the datastore of that name.
    pub(crate) fn go(&mut self, datastore: &[u8]) -> Result<()> {
        if self.at.as_deref() == Some(datastore) {
            return Ok(());
        }
        self.ask_for(&[b"HE.USE", datastore], Effect::None)?;
        self.at = Some(datastore.to_vec());
        Ok(())
    }

    /// Lets the server take as long as it may for work, or for an answer again.
    pub(crate) fn be_patient(&self, patience: std::time::Duration) -> Result<()> {
        let set = self.stream.get_ref().set_patience(patience);
        set.map_err(|why| lost(&self.address, &why))
    }

    /// Whether it must not be used any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the server has closed it while nobody used it.
    pub(crate) fn is_over(&mut self) -> bool {
        self.is_broken || !self.stream.buffer().is_empty() || self.stream.get_mut().is_over()
    }

    /// An answer that makes no sense: what follows it may make none either.
    pub(crate) fn misunderstood(&mut self) -> Error {
        self.is_broken = true;
        let why = "it answers what this release does not understand";
        failed(Network::Protocol, &self.address, why)
    }
}

fn connect(address: &Address, options: &Options) -> Result<TcpStream> {
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let found = found.map_err(|why| {
        let why = format!("its name is not known: {why}");
        failed(Network::UnknownHost, address, why)
    })?;
    let mut last = failed(Network::UnknownHost, address, "its name has no address");
    for one in found {
        match TcpStream::connect_timeout(&one, options.connect) {
            Ok(socket) => return Ok(socket),
            Err(why) => {
                let how = match why.kind() {
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Network::TimedOut,
                    _ => Network::Refused,
                };
                last = failed(how, address, format!("cannot be connected to: {why}"));
            }
        }
    }
    Err(last)
}

#[cfg(feature = "tls")]
fn encrypt(socket: TcpStream, address: &Address, options: &Options) -> Result<Stream> {
    match &options.tls {
        None => Ok(Stream::plain(socket)),
        Some(files) => crate::tls::encrypt(socket, address, files),
    }
}

#[cfg(not(feature = "tls"))]
fn encrypt(socket: TcpStream, address: &Address, options: &Options) -> Result<Stream> {
    match &options.tls {
        None => Ok(Stream::plain(socket)),
        Some(_) => {
            let why = "this was built without TLS";
            Err(failed(Network::Encryption, address, why))
        }
    }
}
