//! What `helium load` reads: a file, or what comes through a pipe.
//!
//! Invariant: input that was [`Input::kept`] can be read again from its start, and is the same then. What comes
//! through a pipe is kept in memory while it is small, and else in a file without a name.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write, stdin},
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    failure::{self, Result},
    interrupt::{self, Interruptible},
    progress::Progress,
};

/// Input that is kept in memory; more of it goes into a file.
const MEMORY_BYTES: usize = 8 << 20;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Where items come from.
pub struct Input {
    /// What people call it.
    pub name: String,
    bytes: Bytes,
    /// How many bytes there are, where that is known.
    pub len: Option<u64>,
    /// How many were read, in this pass.
    pub read: Arc<AtomicU64>,
}

enum Bytes {
    /// Each byte comes once.
    Once(Box<dyn Read>),
    /// They can be read again from this place on.
    Again(Box<dyn Kept>, u64),
}

trait Kept: Read + Seek {}

impl<K: Read + Seek> Kept for K {}

impl Input {
    /// Opens the file, or standard input if there is none.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let name = path.map_or("standard input".to_owned(), |path| {
            path.display().to_string()
        });
        if path.is_none() {
            // Fails if it is not there to be read.
            interrupt::input()?;
        }
        let (file, len) =
            open(path).map_err(|why| failure::system(format_args!("cannot read {name}"), why))?;
        let bytes = match (len, path) {
            (Some((start, _)), _) => Bytes::Again(Box::new(file), start),
            (None, Some(_)) => Bytes::Once(Box::new(file)),
            (None, None) => Bytes::Once(Box::new(Interruptible(stdin()))),
        };
        Ok(Self {
            name,
            bytes,
            len: len.map(|(_, len)| len),
            read: Arc::default(),
        })
    }

    /// With all of it at hand: waits for the end of what comes through a pipe.
    pub fn kept(mut self) -> Result<Self> {
        let Bytes::Once(input) = &mut self.bytes else {
            return Ok(self);
        };
        let cannot_read = |why| failure::system(format_args!("cannot read {}", self.name), why);
        let cannot_keep = |why| {
            let folder = std::env::temp_dir();
            failure::system(
                format_args!("cannot keep the input in {}", folder.display()),
                why,
            )
            .also("TMPDIR names another folder; with --as-it-comes nothing is kept.")
        };
        let progress = Progress::waiting("reading the input");
        let mut kept = tempfile::spooled_tempfile(MEMORY_BYTES);
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut len = 0;
        loop {
            let read = input.read(&mut buffer);
            interrupt::check()?;
            match read {
                Ok(0) => break,
                Ok(count) => {
                    kept.write_all(&buffer[..count]).map_err(cannot_keep)?;
                    len += count as u64;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(cannot_read(why)),
            }
        }
        drop(progress);
        self.bytes = Bytes::Again(Box::new(kept), 0);
        self.len = Some(len);
        Ok(self)
    }

    /// What comes next of it; all of it, from the start, if it was kept.
    pub fn reader(&mut self) -> Result<BufReader<Counted<'_>>> {
        self.read.store(0, Relaxed);
        let input: &mut dyn Read = match &mut self.bytes {
            Bytes::Once(input) => input,
            Bytes::Again(kept, start) => {
                kept.seek(SeekFrom::Start(*start)).map_err(failure::input)?;
                kept
            }
        };
        let counted = Counted {
            input,
            read: self.read.clone(),
        };
        Ok(BufReader::with_capacity(BUFFER_BYTES, counted))
    }
}

/// The file, and where a file of known length starts and how long it is.
fn open(path: Option<&Path>) -> io::Result<(File, Option<(u64, u64)>)> {
    let mut file = match path {
        Some(path) => File::open(path)?,
        None => File::from(stdin().as_fd().try_clone_to_owned()?),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok((file, None));
    }
    let start = file.stream_position()?;
    Ok((file, Some((start, found.len().saturating_sub(start)))))
}

/// Input that tells how much of it was read.
pub struct Counted<'a> {
    input: &'a mut dyn Read,
    read: Arc<AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}
