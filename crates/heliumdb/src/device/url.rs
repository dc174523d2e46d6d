//! From a volume's URL to its open, locked devices.
//!
//! `he://./a,b` names two files relative to the working directory, `he://.//dev/x,/dev/y`
//! two by absolute path (as does `he:///dev/x,/dev/y`), `_67108864` that many bytes of memory. A directory stands for
//! a file in it, which grows. Commas in paths, and bytes that are no text, have escapes
//! ([`super::path_text`]). `he://host/...` is a volume that a server has, for who speaks to servers (`crates/helium-remote`).

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    Device, FileDevice, MemoryDevice, machine,
    path_text::{path_of, split_list, text_of},
};
use crate::{Error, ErrorKind, Result, limits, options::VolumeOptions};

/// Name of a volume's file in a directory that was named for it.
const FILE_IN_DIRECTORY: &str = "helium.volume";

/// Opens (and locks) the devices that a volume URL names.
pub(crate) fn open_url(url: &str, options: &VolumeOptions) -> Result<Vec<Box<dyn Device>>> {
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    let mut seen: Vec<((u64, u64), PathBuf)> = Vec::new();
    for path in parse(url)? {
        match path {
            Part::Memory { name, bytes } => {
                refuse_too_much(name, bytes, machine::total_memory_bytes())?;
                devices.push(Box::new(MemoryDevice::new(name, bytes)?));
            }
            Part::Path(path) => {
                let path = file_of(&path);
                refuse_named_twice(&path, &seen)?;
                let create = options.create || options.truncate;
                let device = FileDevice::open(&path, create, options.read_only)?;
                seen.push((device.identity(), path));
                devices.push(Box::new(device));
            }
        }
    }
    Ok(devices)
}

/// The paths that a volume URL names, and the names of memory devices: what tells whether two
/// URLs mean the same volume.
pub fn paths(url: &str) -> Result<Vec<PathBuf>> {
    let parts = parse(url)?.into_iter();
    Ok(parts
        .map(|part| match part {
            Part::Path(path) => file_of(&path),
            Part::Memory { name, .. } => PathBuf::from(name),
        })
        .collect())
}

/// The file that a path stands for: of a directory, the one that is in it.
fn file_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join(FILE_IN_DIRECTORY),
        false => path.to_owned(),
    }
}

/// A device that this machine has no memory for would be made, and the process killed once it is used.
fn refuse_too_much(name: &str, bytes: usize, total: Option<u64>) -> Result<()> {
    match total {
        Some(total) if bytes as u64 > total => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{name} is more memory than this process can ever have, which is {total} bytes"
            ),
        )),
        _ => Ok(()),
    }
}

/// Before the lock refuses it with a sentence that would point at the wrong culprit.
fn refuse_named_twice(path: &Path, seen: &[((u64, u64), PathBuf)]) -> Result<()> {
    let Ok(stat) = rustix::fs::stat(path) else {
        return Ok(());
    };
    match seen
        .iter()
        .find(|(id, _)| *id == (stat.st_dev, stat.st_ino))
    {
        Some((_, other)) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "names one device twice: {} and {}",
                text_of(other),
                text_of(path)
            ),
        )),
        None => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Path(PathBuf),
    Memory { name: &'a str, bytes: usize },
}

fn parse(url: &str) -> Result<Vec<Part<'_>>> {
    let bad = |why: &str| Error::new(ErrorKind::InvalidUrl, format!("volume URL {url:?}: {why}"));
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("he://"))
        .map(|_| &url[5..])
        .ok_or_else(|| bad("must start with he://, as in he://./path,path"))?;
    // An empty host is this machine too, so `he:///a` is the path `/a`.
    let Some(list) = rest
        .strip_prefix("./")
        .or(rest.starts_with('/').then_some(rest))
    else {
        if rest.is_empty() || rest == "." {
            return Err(bad("names no device; write he://./path,path"));
        }
        // What should not be there may be a password.
        let shown = match rest.contains('@') {
            true => "he://...@...",
            false => url,
        };
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "volume URL {shown:?} is of a volume that a server has, and this opens those of this machine; they are he://./path,path"
            ),
        ));
    };
    let parts: Vec<_> = split_list(list)
        .into_iter()
        .map(|part| parse_part(part).map_err(bad))
        .collect::<Result<_>>()?;
    if parts.len() > limits::DEVICES_MAX {
        return Err(bad(&format!(
            "names more than {} devices",
            limits::DEVICES_MAX
        )));
    }
    Ok(parts)
}

fn parse_part(part: &str) -> std::result::Result<Part<'_>, &'static str> {
    if part.is_empty() {
        return Err("one of its device names is empty");
    }
    let Some(digits) = part.strip_prefix('_') else {
        let path = path_of(part);
        return match path.as_os_str().as_bytes().contains(&0) {
            true => Err("a device name has a zero byte in it"),
            false => Ok(Part::Path(path)),
        };
    };
    match digits.parse::<usize>() {
        Ok(bytes) if bytes as u64 <= limits::VOLUME_BYTES_MAX => {
            Ok(Part::Memory { name: part, bytes })
        }
        Ok(_) => Err("a memory device is larger than a volume can be"),
        Err(_) => {
            Err("a name that starts with _ is memory: the bytes follow in digits, as in _67108864")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_paths_and_memory_are_understood() {
        assert_eq!(
            parse("he://./a,b/c").ok(),
            Some(vec![Part::Path("a".into()), Part::Path("b/c".into())])
        );
        assert_eq!(
            parse("HE://.//dev/x,/dev/y").ok(),
            Some(vec![
                Part::Path("/dev/x".into()),
                Part::Path("/dev/y".into())
            ])
        );
        assert_eq!(
            parse("he://./_4096").ok(),
            Some(vec![Part::Memory {
                name: "_4096",
                bytes: 4096
            }])
        );
    }

    /// What stands before a host may be a password.
    #[test]
    fn what_should_not_be_in_a_url_is_not_shown() {
        for url in ["he://me:secret@host/v", "he://me:se/cret@host/v"] {
            let why = parse(url)
                .err()
                .map(|why| why.to_string())
                .unwrap_or_default();
            assert!(why.contains("he://./") && !why.contains("cret"), "{why}");
        }
    }

    #[test]
    fn memory_that_no_machine_has_is_refused() {
        let options = VolumeOptions::default();
        let refused = open_url("he://./_17592186044416", &options).err();
        assert_eq!(refused.map(|e| e.kind()), Some(ErrorKind::InvalidArgument));
        assert!(refuse_too_much("_5", 5, Some(4)).is_err());
        assert!(refuse_too_much("_5", 5, Some(5)).is_ok());
        assert!(refuse_too_much("_5", 5, None).is_ok());
    }

    #[test]
    fn what_is_no_volume_url_is_refused_by_kind() {
        for (url, kind) in [
            ("", ErrorKind::InvalidUrl),
            ("he:/", ErrorKind::InvalidUrl),
            ("file:///x", ErrorKind::InvalidUrl),
            ("hé://./x", ErrorKind::InvalidUrl),
            ("he://", ErrorKind::InvalidUrl),
            ("he://./", ErrorKind::InvalidUrl),
            ("he://./a,,b", ErrorKind::InvalidUrl),
            ("he://./a\0", ErrorKind::InvalidUrl),
            ("he://./a\\x00", ErrorKind::InvalidUrl),
            ("he://./_12x", ErrorKind::InvalidUrl),
            ("he://./_99999999999999999999", ErrorKind::InvalidUrl),
            ("he://./_18446744073709551615", ErrorKind::InvalidUrl),
            ("he://host/volume", ErrorKind::Unsupported),
            ("he://host:41000/volume", ErrorKind::Unsupported),
        ] {
            assert_eq!(parse(url).err().map(|e| e.kind()), Some(kind), "{url}");
        }
    }
}
