//! The reader's end.
//!
//! Invariant: what comes is bounded and checked; that the other process is gone, or has let the reader go, is an error
//! with a sentence, and never the end of the items.

use std::{
    io::{self, Read, Write},
    ops::Bound,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use heliumdb::{DatastoreId, DatastoreInfo, Error, ErrorKind, Item, Result, VolumeId};

use super::{
    ENDING,
    wire::{ANSWER_BYTES_MAX, About, Answer, Entry, Hello, Range, Request, VERSION, Wanted},
};
use crate::{deadline, watch};

/// How long an answer may take, or a part of it to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A volume that another process has open, as it was when this connected to it.
pub struct Remote {
    stream: UnixStream,
    hello: Hello,
    command: String,
}

/// A datastore of it.
#[derive(Clone, Debug)]
pub struct RemoteDatastore {
    /// What the catalog said of it.
    pub info: DatastoreInfo,
    /// Items that it has now.
    pub items: u64,
}

/// Which items, and what of them.
#[derive(Clone, Debug)]
pub struct Walk {
    /// From here on.
    pub low: Bound<Vec<u8>>,
    /// Up to here.
    pub high: Bound<Vec<u8>>,
    /// The last one first.
    pub backward: bool,
    /// Keys, or values too.
    pub wanted: Wanted,
    /// No more than so many.
    pub most: u64,
}

impl Walk {
    /// All items.
    pub fn all(wanted: Wanted) -> Self {
        Self {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            backward: false,
            wanted,
            most: u64::MAX,
        }
    }
}

impl Remote {
    /// Connects to the process of this user that has the volume open; `None` if none says that it has.
    pub fn open(url: &str) -> Result<Option<Self>> {
        let found = watch::find(Some(url)).map_err(|why| system("looking for sockets", &why))?;
        let Some((socket, report)) = found.into_iter().next() else {
            return Ok(None);
        };
        let mut remote = Self::connect(&socket.with_extension(ENDING))?;
        remote.command = report.command;
        Ok(Some(remote))
    }

    /// Connects to a socket for readers.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = deadline::connect_within(socket, PATIENCE)
            .and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(stream)
            })
            .map_err(|why| {
                system(
                    "the process that has the volume open cannot be asked, it may be of an older release",
                    &why,
                )
            })?;
        let mut remote = Self {
            stream,
            hello: Hello {
                version: VERSION,
                id: [0; 16],
                url: Vec::new(),
                process: 0,
                next_id: 0,
                datastores: 0,
            },
            command: String::new(),
        };
        match remote.ask(&Request::Hello { version: VERSION })? {
            Answer::Hello(hello) if hello.version == VERSION => remote.hello = hello,
            _ => return Err(remote.misunderstood()),
        }
        Ok(remote)
    }

    /// The volume's id.
    pub fn id(&self) -> VolumeId {
        VolumeId(self.hello.id)
    }

    /// The URL that the process opened it by.
    pub fn url(&self) -> String {
        String::from_utf8_lossy(&self.hello.url).into_owned()
    }

    /// The process that has it open.
    pub fn process(&self) -> u64 {
        self.hello.process
    }

    /// What that process calls itself.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Ids of datastores from here on had not been given: see [`heliumdb::Volume::restore`].
    pub fn next_datastore_id(&self) -> u32 {
        self.hello.next_id
    }

    /// The datastores that there were, in order of their names.
    pub fn datastores(&mut self) -> Result<Vec<RemoteDatastore>> {
        let mut datastores = Vec::new();
        loop {
            let from = datastores.len() as u32;
            let Answer::Datastores { more, all } = self.ask(&Request::Datastores { from })? else {
                return Err(self.misunderstood());
            };
            let is_any = !all.is_empty();
            datastores.extend(all.into_iter().map(RemoteDatastore::from));
            if !more {
                return Ok(datastores);
            }
            if !is_any || datastores.len() > heliumdb::limits::DATASTORES_MAX {
                return Err(self.misunderstood());
            }
        }
    }

    /// Figures of the volume as it is now, by their names in [`heliumdb::upkeep::Stats`].
    pub fn figures(&mut self) -> Result<Vec<(String, u64)>> {
        let Answer::Figures(figures) = self.ask(&Request::Figures)? else {
            return Err(self.misunderstood());
        };
        let named = figures.into_iter();
        Ok(named
            .map(|(name, figure)| (String::from_utf8_lossy(&name).into_owned(), figure))
            .collect())
    }

    /// The value of `key`.
    pub fn get(&mut self, datastore: DatastoreId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let request = Request::Get {
            datastore: datastore.0,
            key: key.to_vec(),
        };
        match self.ask(&request)? {
            Answer::Value(value) => Ok(value),
            _ => Err(self.misunderstood()),
        }
    }

    /// Items in order.
    pub fn range(&mut self, datastore: DatastoreId, walk: Walk) -> RemoteItems<'_> {
        let left = walk.most;
        let range = Range {
            datastore: datastore.0,
            low: walk.low,
            high: walk.high,
            backward: walk.backward,
            wanted: walk.wanted,
            most: walk.most,
        };
        RemoteItems::new(self, Request::Range(range), left)
    }

    /// All items of a datastore, whether it has an order or not.
    pub fn items(&mut self, datastore: &DatastoreInfo) -> RemoteItems<'_> {
        match datastore.unordered {
            true => {
                let datastore = datastore.id.0;
                RemoteItems::new(self, Request::Walk { datastore }, u64::MAX)
            }
            false => self.range(datastore.id, Walk::all(Wanted::Items)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer> {
        // What has come unasked is why nothing is answered any more, and says more than that it cannot be sent.
        let sent = send_all(&mut self.stream, &request.encode());
        let answer = self.receive().map_err(|why| match sent {
            Err(ref unsent) if why.kind() != io::ErrorKind::InvalidData => self.lost(unsent),
            _ => self.lost(&why),
        })?;
        match Answer::decode(&answer) {
            Some(Answer::Failed { kind, message }) => Err(self.failed(&kind, &message)),
            Some(answer) => Ok(answer),
            None => Err(self.misunderstood()),
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len) as usize;
        if len > ANSWER_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("an answer of {len} bytes"),
            ));
        }
        let mut answer = Vec::new();
        (&mut self.stream)
            .take(len as u64)
            .read_to_end(&mut answer)?;
        match answer.len() == len {
            true => Ok(answer),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn who(&self) -> String {
        match self.hello.process {
            0 => "the process that has the volume open".to_owned(),
            process => format!("process {process}, which has the volume open,"),
        }
    }

    fn lost(&self, why: &io::Error) -> Error {
        let who = self.who();
        let said = match why.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => format!("{who} has ended, or broken off"),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{who} has not answered for {} seconds", PATIENCE.as_secs())
            }
            _ => format!("{who} cannot be asked: {why}"),
        };
        Error::new(ErrorKind::Closed, said)
    }

    fn misunderstood(&self) -> Error {
        let who = self.who();
        let why = format!("{who} answers what this release does not understand");
        Error::new(ErrorKind::Unsupported, why)
    }

    fn failed(&self, kind: &[u8], message: &[u8]) -> Error {
        let who = self.who();
        let message = String::from_utf8_lossy(message);
        let known = [
            ErrorKind::Busy,
            ErrorKind::Closed,
            ErrorKind::Damaged,
            ErrorKind::DatastoreNotFound,
            ErrorKind::Forked,
            ErrorKind::InvalidArgument,
            ErrorKind::Poisoned,
            ErrorKind::PrepareConflict,
            ErrorKind::Unsupported,
        ];
        if kind == b"LetGo" {
            let why = format!("{who} has let this reader go: {message}");
            return Error::new(ErrorKind::Busy, why);
        }
        let known = known
            .into_iter()
            .find(|known| format!("{known:?}").as_bytes() == kind);
        let kind = known.unwrap_or(ErrorKind::Closed);
        Error::new(kind, format!("{who} says: {message}"))
    }
}

fn send_all(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match deadline::send(stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => bytes = &bytes[sent..],
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    stream.flush()
}

fn system(what: &str, why: &io::Error) -> Error {
    Error::new(ErrorKind::Closed, format!("{what}: {why}"))
}

impl From<About> for RemoteDatastore {
    fn from(about: About) -> Self {
        let mut info = DatastoreInfo::new(DatastoreId(about.id), about.name);
        info.attributes = about.attributes;
        (info.compress, info.unordered) = (about.compress, about.unordered);
        Self {
            info,
            items: about.items,
        }
    }
}

/// Items that come a chunk at a time. Where only keys are wanted, values are empty; where lengths are, see
/// [`RemoteItems::next_length`].
pub struct RemoteItems<'a> {
    remote: &'a mut Remote,
    /// What is asked next; `None` at the end.
    next: Option<Request>,
    left: u64,
    ready: std::vec::IntoIter<Entry>,
}

impl<'a> RemoteItems<'a> {
    fn new(remote: &'a mut Remote, first: Request, left: u64) -> Self {
        Self {
            remote,
            next: (left > 0).then_some(first),
            left,
            ready: Vec::new().into_iter(),
        }
    }

    fn next_entry(&mut self) -> Option<Result<Entry>> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            let request = self.next.take()?;
            if let Err(why) = self.fill(request) {
                return Some(Err(why));
            }
        }
    }

    fn fill(&mut self, request: Request) -> Result<()> {
        let Answer::Items { more, all } = self.remote.ask(&request)? else {
            return Err(self.remote.misunderstood());
        };
        self.left = self.left.saturating_sub(all.len() as u64);
        if more && self.left > 0 {
            let last = all.last().ok_or_else(|| self.remote.misunderstood())?;
            self.next = Some(behind(request, &last.key, self.left));
        }
        self.ready = all.into_iter();
        Ok(())
    }

    /// The next key, and how long its value is.
    pub fn next_length(&mut self) -> Option<Result<(Vec<u8>, u64)>> {
        let entry = self.next_entry()?;
        Some(entry.map(|entry| (entry.key, u64::from(entry.value_bytes))))
    }
}

/// What asks for the rest.
fn behind(request: Request, last: &[u8], left: u64) -> Request {
    let Request::Range(mut range) = request else {
        return Request::More;
    };
    let last = Bound::Excluded(last.to_vec());
    match range.backward {
        false => range.low = last,
        true => range.high = last,
    }
    range.most = left;
    Request::Range(range)
}

impl Iterator for RemoteItems<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next_entry()?;
        Some(entry.map(|entry| (entry.key, entry.value)))
    }
}
