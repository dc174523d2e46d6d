//! Files that commands write.
//!
//! Invariants: nothing is written over a volume, nor over a device of one that is read, by whatever name or
//! link; and a file that is there is never half of a new one: it is replaced when that is complete, and keeps its
//! mode, its owner and the links to it.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use crate::{
    failure::{self, Code, Failure, Result},
    served, volume,
};

/// What a superblock, the mark of a volume that is being made, and a segment header start with, and the
/// places that they can be at (docs/format.md).
const TRACES: [(&[u8], u64); 5] = [
    (b"heliumdb", 0),
    (b"heliumdb", 4096),
    (b"hemaking", 8192),
    (b"HeSg", 1 << 20),
    (b"HeSg", (1 << 20) + 4096),
];

/// Modes of new files, of which the system takes what nobody is to have: items are their owner's.
pub const PRIVATE: u32 = 0o600;
pub const PUBLIC: u32 = 0o666;

/// Has `work` write the file `path`, while the volume `reads` is being read. A new file gets `mode`.
pub fn write<R>(
    path: &Path,
    mode: u32,
    reads: Option<&str>,
    work: impl FnOnce(&mut dyn Write) -> Result<R>,
) -> Result<R> {
    let complain =
        |why: io::Error| failure::system(format_args!("cannot write {}", path.display()), why);
    let Ok(found) = path.metadata() else {
        let file = beside(path, mode).map_err(complain)?;
        let (file, result) = fill(file, work, complain)?;
        file.persist(path).map_err(|why| complain(why.error))?;
        return Ok(result);
    };
    refuse(path, &found, reads)?;
    if !found.is_file() {
        // A pipe or a device: there is nothing to replace.
        let file = OpenOptions::new().write(true).open(path);
        return work(&mut file.map_err(complain)?);
    }
    // What a link leads to is replaced, not the link.
    let path = path.canonicalize().map_err(complain)?;
    let file = beside(&path, PRIVATE).map_err(complain)?;
    let (file, result) = fill(file, work, complain)?;
    if found.nlink() > 1 {
        // It has other names, which are to go on being its names.
        let mut old = OpenOptions::new().write(true).truncate(true).open(&path);
        let mut new = file.reopen().map_err(complain)?;
        let copied = old
            .as_mut()
            .map_err(|why| io::Error::from(why.kind()))
            .and_then(|old| {
                io::copy(&mut new, old)?;
                old.sync_all()
            });
        copied.map_err(complain)?;
        return Ok(result);
    }
    keep_looks(file.as_file(), &found).map_err(complain)?;
    file.persist(&path).map_err(|why| complain(why.error))?;
    Ok(result)
}

/// Fails if [`write()`] would, as far as that can be known before there is anything to write.
pub fn check(path: &Path, reads: Option<&str>) -> Result<()> {
    let complain =
        |why: io::Error| failure::system(format_args!("cannot write {}", path.display()), why);
    match path.metadata() {
        Ok(found) if found.is_dir() => Err(complain(io::ErrorKind::IsADirectory.into())),
        Ok(found) => {
            refuse(path, &found, reads)?;
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).map_err(complain)
        }
        Err(_) => beside(path, PRIVATE).map(drop).map_err(complain),
    }
}

fn beside(path: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
}

fn fill<R>(
    file: tempfile::NamedTempFile,
    work: impl FnOnce(&mut dyn Write) -> Result<R>,
    complain: impl Fn(io::Error) -> Failure,
) -> Result<(tempfile::NamedTempFile, R)> {
    let mut writer = BufWriter::with_capacity(64 << 10, file);
    let result = work(&mut writer)?;
    let file = writer
        .into_inner()
        .map_err(|why| complain(why.into_error()))?;
    file.as_file().sync_all().map_err(complain)?;
    Ok((file, result))
}

fn keep_looks(file: &File, found: &Metadata) -> io::Result<()> {
    // Only the superuser can give a file to somebody else.
    let _ = fchown(file, Some(found.uid()), Some(found.gid()));
    file.set_permissions(found.permissions())
}

/// Refuses to write over a device of a volume.
fn refuse(path: &Path, found: &Metadata, reads: Option<&str>) -> Result<()> {
    if let Some(volume) = reads
        && devices(volume)?
            .iter()
            .any(|(_, device)| is_same(device, found))
    {
        let what = format!("{} is a device of the volume {volume}", path.display());
        return Err(Failure::new(Code::Usage, what)
            .advise("It would be destroyed by writing there: name another file."));
    }
    if is_volume(path, found) {
        let what = format!("{} is a volume, or a device of one", path.display());
        return Err(Failure::new(Code::Exists, what).advise(
            "It would be destroyed by writing there: name another file, or remove it first.",
        ));
    }
    Ok(())
}

/// Refuses to use a volume of which the command's own output, or its messages, go to a device.
pub fn refuse_output_on(volume: &str) -> Result<()> {
    let devices = devices(volume).unwrap_or_default();
    let outputs = [
        rustix::fs::fstat(io::stdout()),
        rustix::fs::fstat(io::stderr()),
    ];
    let is_output = |device: &Metadata| {
        outputs.iter().flatten().any(|output| {
            (output.st_dev, output.st_ino) == (device.dev(), device.ino())
                || is_block(device) && output.st_rdev == device.rdev()
        })
    };
    match devices.iter().find(|(_, device)| is_output(device)) {
        None => Ok(()),
        Some((path, _)) => Err(Failure::new(
            Code::Usage,
            format!(
                "the output goes to {}, a device of the volume {volume}",
                path.display()
            ),
        )
        .advise("Nothing was written: send it to another file.")),
    }
}

/// The devices of a volume that are there.
pub fn devices(volume: &str) -> Result<Vec<(PathBuf, Metadata)>> {
    if served::is_served(volume) {
        return Ok(Vec::new());
    }
    let paths = heliumdb::device::paths(&volume::url(volume))?.into_iter();
    let found = paths.filter_map(|path| {
        let found = fs::metadata(&path).ok()?;
        Some((path, found))
    });
    Ok(found.collect())
}

/// Whether two names are of one file or block device.
pub fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
        || is_block(one) && is_block(other) && one.rdev() == other.rdev()
}

fn is_block(found: &Metadata) -> bool {
    found.file_type().is_block_device()
}

/// Whether something of a volume is where it would be.
fn is_volume(path: &Path, found: &Metadata) -> bool {
    if !found.is_file() && !is_block(found) {
        return false;
    }
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    TRACES.iter().any(|(trace, at)| {
        let mut bytes = vec![0; trace.len()];
        let read = file
            .seek(SeekFrom::Start(*at))
            .and_then(|_| file.read_exact(&mut bytes));
        read.is_ok() && bytes == *trace
    })
}
