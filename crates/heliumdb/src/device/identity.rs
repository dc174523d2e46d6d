//! What tells the files of one volume from those of any other, however they are called.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::paths;
use crate::error::Result;

/// What a volume's URL names at one moment: the files that are there then, in any order. A file that
/// takes another one's place under the same path is another volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    paths: Vec<PathBuf>,
    places: Vec<Place>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Memory(PathBuf),
    /// A file by the numbers of its device and inode.
    File(u64, u64),
    /// There is none yet.
    Missing(PathBuf),
}

impl Identity {
    /// What `url` names now.
    pub fn of(url: &str) -> Result<Self> {
        let named = paths(url)?;
        let mut places: Vec<Place> = named.iter().map(|path| place(path)).collect();
        let mut paths: Vec<PathBuf> = named.iter().map(|path| canonical(path)).collect();
        places.sort();
        paths.sort();
        Ok(Self { paths, places })
    }

    /// Whether both are of one volume.
    pub fn is_same(&self, other: &Self) -> bool {
        self.places == other.places
    }

    /// Whether both have the same names: for a volume that is just being made, whose files may not be
    /// there yet.
    pub fn has_same_names(&self, other: &Self) -> bool {
        self.paths == other.paths
    }

    /// Whether it is all in memory.
    pub fn is_memory(&self) -> bool {
        let is_memory = |place: &Place| matches!(place, Place::Memory(_));
        self.places.iter().all(is_memory)
    }
}

fn place(path: &Path) -> Place {
    if is_memory(path) {
        return Place::Memory(path.to_path_buf());
    }
    match fs::metadata(path) {
        Ok(file) => Place::File(file.dev(), file.ino()),
        Err(_) => Place::Missing(canonical(path)),
    }
}

fn is_memory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"_")
}

/// Of a file that is not there yet, the path that it will have.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path).map(canonical_parent))
        .unwrap_or_else(|_| path.to_path_buf())
}

fn canonical_parent(path: PathBuf) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
