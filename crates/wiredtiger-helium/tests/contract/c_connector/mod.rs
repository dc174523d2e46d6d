//! Volumes that the C connector wrote, and volumes for it: what one of the two extensions did,
//! cleanly closed or killed, is there for the other.
//!
//! The C connector is compiled by the tests where its source is found; without it they skip. The
//! same configuration serves both.

mod cases;
mod clean;
mod kill;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wiredtiger_testkit::{c_connector, helium};

use crate::common::*;

/// Which extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The C connector.
    C,
    /// This project's.
    Ours,
}

/// A database with two volumes, which either of the two can open.
pub struct Database {
    folder: PathBuf,
    _owned: Option<TempDir>,
}

impl Database {
    /// A new one; none if there is no C connector.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        if let Err(why) = c_connector::compile(folder.path()) {
            eprintln!("skipped: {why}");
            return None;
        }
        std::fs::create_dir(folder.path().join("home")).unwrap();
        Some(Self {
            folder: folder.path().to_owned(),
            _owned: Some(folder),
        })
    }

    /// One that [`Database::new`] made, in this process or another.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            _owned: None,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn open(&self, which: Which) -> Connection {
        self.try_open(which, &["dev1", "dev2"]).unwrap()
    }

    /// Opens it with some of its volumes.
    pub fn try_open(
        &self,
        which: Which,
        volumes: &[&str],
    ) -> Result<Connection, wiredtiger_testkit::Error> {
        let extension = match which {
            Which::C => self.folder.join("libhelium_connector.so"),
            Which::Ours => helium::extension_path().unwrap(),
        };
        // Ours says what it has taken over.
        let verbose = i32::from(which == Which::Ours);
        let volumes: Vec<_> = volumes
            .iter()
            .map(|name| {
                format!(
                    "{name}=[helium_devices=\"he://./{}\",helium_env_read_cache_size=16M,\
                     helium_env_write_cache_size=16M]",
                    self.folder.join(name).display()
                )
            })
            .collect();
        // The base configuration would bring back the extension with which it was made.
        let config = format!(
            "create,config_base=false,extensions=[\"{}\"=[config=[helium_verbose={verbose},{}]]]",
            extension.display(),
            volumes.join(",")
        );
        Connection::open(&self.folder.join("home"), &config)
    }

    /// The database as a kill at this moment would leave it: its files, copied.
    pub fn killed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&self.folder, folder.path());
        Self {
            folder: folder.path().to_owned(),
            _owned: Some(folder),
        }
    }
}
