//! A device that is a regular file or a block device.
//!
//! Invariant: the file, and what the kernel keeps it in, are locked for as long as the value lives;
//! what `sync` acknowledged is on the medium; only the process that opened it writes.

use super::{
    Device, Place,
    aligned::{AlignedBuffer, is_aligned},
    allowed, backing,
    descriptor::above_standard,
    lock::Locked,
    path_text::text_of,
};
use crate::{Error, ErrorKind, Result, process::Owner};
use parking_lot::Mutex;
use rustix::fs::{
    Advice, FallocateFlags, FileType, Mode, OFlags, fadvise, fallocate, fdatasync, fstat, open,
    stat,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// `FALLOC_FL_NO_HIDE_STALE` of Linux's `fallocate`, which not every C library declares.
const NO_HIDE_STALE: FallocateFlags = FallocateFlags::from_bits_retain(0x04);

const NO_FILE: &str = "neither a regular file nor a block device";

/// How often, and how long each time, to wait for a block device that somebody has who has no lock on it.
const CLAIM_ATTEMPTS: u32 = 20;
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// A file or block device, open and locked.
pub(crate) struct FileDevice {
    name: String,
    file: Locked,
    /// A second descriptor that goes around the page cache, where that can be had.
    direct: Option<File>,
    /// Files that the kernel keeps the device in, locked.
    backing: Vec<Locked>,
    /// What keeps others from opening the block device exclusively, until it is released.
    claim: Mutex<Option<File>>,
    owner: Owner,
    len: AtomicU64,
    regular: bool,
    read_only: bool,
    identity: (u64, u64),
    place: Place,
}

impl FileDevice {
    /// Opens `path`, or makes an empty file of it if it is not there and `create` says so.
    pub(crate) fn open(path: impl AsRef<Path>, create: bool, read_only: bool) -> Result<Self> {
        let owner = Owner::here()?;
        let path = path.as_ref();
        let name = &*text_of(path);
        let (file, created) = open_or_create(path, create && !read_only, read_only)?;
        let file = Locked::new(file, owner);
        let stat = fstat(&file).map_err(|e| Error::io(format_args!("look at {name}"), e.into()))?;
        let regular = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => true,
            FileType::BlockDevice => false,
            FileType::Directory => return Err(unsupported(name, "a directory")),
            _ => return Err(unsupported(name, NO_FILE)),
        };
        let claim = match regular || read_only {
            true => None,
            false => Some(claim(path, &file)?),
        };
        file.lock(name, read_only)?;
        let backing = if regular {
            Vec::new()
        } else {
            backing::lock_all(stat.st_rdev, name, owner, read_only)?
        };
        if created {
            // CRASH: without this the directory entry may be gone while the volume's data
            // was acknowledged; before it nothing was.
            sync_directory(path)?;
        }
        // Items are read one by one from anywhere: what lies around one is not wanted. A hint.
        let _ = fadvise(&file, 0, None, Advice::Random);
        let direct = open_above(path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty());
        let len = length(&file, regular, stat.st_size as u64)
            .map_err(|e| Error::io(format_args!("measure {name}"), e))?;
        Ok(Self {
            name: name.to_owned(),
            file,
            direct: direct
                .ok()
                .filter(|f| same_file(f, (stat.st_dev, stat.st_ino))),
            backing,
            claim: Mutex::new(claim),
            owner,
            len: AtomicU64::new(len),
            regular,
            read_only,
            identity: (stat.st_dev, stat.st_ino),
            place: Place {
                is_file: regular,
                device: if regular { stat.st_dev } else { stat.st_rdev },
                inode: if regular { stat.st_ino } else { 0 },
            },
        })
    }

    /// What tells this file from any other, whatever its name.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// What a fork of the process would write, the process itself would not know of.
    fn check_process(&self) -> io::Result<()> {
        self.owner.check().map_err(io::Error::other)
    }

    /// Drops the range from the page cache and reads it again.
    fn read_around_cache(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let len = std::num::NonZeroU64::new(buffer.len() as u64);
        // A hint that may be refused (tmpfs has no medium behind its cache): read anyway.
        let _ = fadvise(&self.file, offset, len, Advice::DontNeed);
        self.file.read_exact_at(buffer, offset)
    }
}

fn open_or_create(path: &Path, create: bool, read_only: bool) -> Result<(File, bool)> {
    let name = &*text_of(path);
    // Opening one may wait for ever, or do something: a tape rewinds.
    if let Ok(found) = stat(path)
        && !is_kept_on(FileType::from_raw_mode(found.st_mode))
    {
        return Err(unsupported(name, NO_FILE));
    }
    let access = if read_only {
        OFlags::RDONLY
    } else {
        OFlags::RDWR
    };
    loop {
        match open_above(path, access, Mode::empty()) {
            Ok(file) => return Ok((file, false)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && create => {}
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
                return Err(unsupported(name, "a directory"));
            }
            Err(e) => return Err(Error::io(format_args!("open {name}"), e)),
        }
        let new = access | OFlags::CREATE | OFlags::EXCL;
        match open_above(path, new, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((file, true)),
            // Somebody else made it meanwhile: open theirs.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.exists() => {}
            Err(e) => return Err(Error::io(format_args!("create {name}"), e)),
        }
    }
}

/// Whether a volume may be there; for a directory there is a sentence of its own.
fn is_kept_on(kind: FileType) -> bool {
    matches!(
        kind,
        FileType::RegularFile | FileType::BlockDevice | FileType::Directory
    )
}

fn open_above(path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    above_standard(|| Ok(File::from(open(path, flags | OFlags::CLOEXEC, mode)?)))
}

/// Opens a block device as nobody else may have it at the same time: not under another name, nor a part
/// of it, nor a file system on it. The kernel knows.
fn claim(path: &Path, file: &Locked) -> Result<File> {
    let name = &*text_of(path);
    let exclusively = || open_above(path, OFlags::RDWR | OFlags::EXCL, Mode::empty());
    let mut claimed = exclusively();
    // A process that this one is just starting has copies of all its descriptors until it runs its program,
    // of those that were closed meanwhile too.
    for _ in 0..CLAIM_ATTEMPTS {
        match &claimed {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {}
            _ => break,
        }
        file.lock(name, false)?;
        std::thread::sleep(CLAIM_PAUSE);
        claimed = exclusively();
    }
    let claimed = claimed.map_err(|e| match e.kind() {
        // Whoever has locked it can be named.
        io::ErrorKind::ResourceBusy => file.lock(name, false).err().unwrap_or_else(|| {
            Error::new(
                ErrorKind::VolumeInUse,
                format!(
                    "{name} is in use: it, or a part of it, is mounted, belongs to another device, or is open by another \
                     name; end that first"
                ),
            )
        }),
        _ => Error::io(format_args!("open {name} exclusively"), e),
    })?;
    let id = |file: &File| fstat(file).map(|stat| stat.st_rdev);
    if id(&claimed).ok() != id(file).ok() {
        return Err(Error::new(
            ErrorKind::DeviceMismatch,
            format!("{name} became another device while it was opened: open it again"),
        ));
    }
    Ok(claimed)
}

fn unsupported(name: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{name} is {what}: a volume is kept on regular files and block devices"),
    )
}

fn sync_directory(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| Error::io(format_args!("sync directory {}", parent.display()), e))
}

fn length(file: &File, regular: bool, size: u64) -> io::Result<u64> {
    if regular {
        return Ok(size);
    }
    Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?)
}

fn same_file(file: &File, identity: (u64, u64)) -> bool {
    fstat(file).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == identity)
}

impl Device for FileDevice {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let len = buffer.len();
        let mut buffers = [io::IoSliceMut::new(buffer)];
        match preadv2(&self.file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(n) => Ok(n == len),
            // Not in the page cache, or a file system that cannot tell: that is for a read
            // that waits, which also says what is wrong.
            Err(_) => Ok(false),
        }
    }

    fn will_need(&self, offset: u64, len: usize) {
        let len = std::num::NonZeroU64::new(len as u64);
        // A hint: who refuses it is read all the same.
        let _ = fadvise(&self.file, offset, len, Advice::WillNeed);
    }

    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Some(direct) = &self.direct else {
            return self.read_around_cache(buffer, offset);
        };
        let result = if is_aligned(buffer) {
            direct.read_exact_at(buffer, offset)
        } else {
            let mut aligned = AlignedBuffer::new(buffer.len());
            let result = direct.read_exact_at(&mut aligned, offset);
            buffer.copy_from_slice(&aligned);
            result
        };
        match result {
            // Some file systems accept the flag and refuse the read.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                self.read_around_cache(buffer, offset)
            }
            result => result,
        }
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.check_process()?;
        if self.regular {
            allowed::check(offset.saturating_add(buffer.len() as u64))?;
        }
        self.file.write_all_at(buffer, offset)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_process()?;
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if self.regular {
            return Ok(fallocate(&self.file, punch, offset, len)?);
        }
        // What a kernel makes of it differs: a plain discard if it knows the third flag, else
        // zeros that the device need not store.
        fallocate(&self.file, punch | NO_HIDE_STALE, offset, len)
            .or_else(|_| fallocate(&self.file, punch, offset, len))?;
        Ok(())
    }

    fn may_be_hollow(&self) -> bool {
        self.regular
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        self.check_process()?;
        allowed::check(offset.saturating_add(len))?;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            result => Ok(result?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.check_process()?;
        Ok(fdatasync(&self.file)?)
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn taken(&self) -> u64 {
        // The kernel counts in these units, whatever the file system's blocks are.
        let blocks = fstat(&self.file)
            .ok()
            .map(|stat| stat.st_blocks as u64 * 512);
        blocks.filter(|_| self.regular).unwrap_or(self.len())
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        let len = self.len();
        if bytes <= len {
            return Ok(());
        }
        self.check_process()?;
        if !self.can_grow() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        allowed::check(bytes)?;
        self.file.set_len(bytes)?;
        self.len.fetch_max(bytes, Ordering::AcqRel);
        Ok(())
    }

    fn shrink(&self, bytes: u64) -> io::Result<()> {
        if bytes >= self.len() {
            return Ok(());
        }
        self.check_process()?;
        if !self.can_grow() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.file.set_len(bytes)?;
        self.len.store(bytes, Ordering::Release);
        Ok(())
    }

    fn can_grow(&self) -> bool {
        self.regular && !self.read_only
    }

    fn place(&self) -> Option<Place> {
        Some(self.place)
    }

    fn release(&self) {
        // A fork shares the lock: it is the parent's to give up.
        if self.owner.is_elsewhere() {
            return;
        }
        self.backing.iter().for_each(Locked::unlock);
        self.claim.lock().take();
        self.file.unlock();
    }

    fn name(&self) -> &str {
        &self.name
    }
}
