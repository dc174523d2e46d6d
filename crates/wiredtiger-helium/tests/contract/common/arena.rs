//! A database in a folder of its own, with two volumes unless it is native.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wiredtiger_testkit::helium::{self, Volume};
use wiredtiger_testkit::{Connection, Session};

/// What a test's tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// WiredTiger's own: `table:t1_name`.
    Native,
    /// Objects of the data source: `helium:dev1/name`.
    Object,
    /// Tables over the data source: `table:dev1/name`, `type=helium`.
    Table,
}

impl Kind {
    /// The name by which a child process is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Object => "object",
            Self::Table => "table",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Native, Self::Object, Self::Table]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A database in a folder of its own.
pub struct Arena {
    // Before the folder, so that the database is closed before its files go.
    connection: Option<Connection>,
    kind: Kind,
    options: String,
    folder: PathBuf,
    // Last, and only there if the folder goes with the arena.
    _owned: Option<TempDir>,
}

impl Arena {
    /// A new database, open, with two volumes `dev1` and `dev2`.
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, "")
    }

    /// The same with more configuration for `wiredtiger_open`.
    pub fn with(kind: Kind, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arena = Self::at(folder.path(), kind, options);
        Self {
            _owned: Some(folder),
            ..arena
        }
    }

    /// A database, open, in a folder that stays: an old one if there is one.
    pub fn at(folder: &Path, kind: Kind, options: &str) -> Self {
        std::fs::create_dir_all(folder.join("home")).unwrap();
        let mut arena = Self {
            connection: None,
            kind,
            options: options.to_owned(),
            folder: folder.to_owned(),
            _owned: None,
        };
        arena.open();
        arena
    }

    pub fn is_native(&self) -> bool {
        self.kind == Kind::Native
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    pub fn session(&self) -> Session<'_> {
        self.connection().session().unwrap()
    }

    pub fn snapshot_session(&self) -> Session<'_> {
        self.connection()
            .session_with("isolation=snapshot")
            .unwrap()
    }

    /// WiredTiger's own folder.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The folder with the volumes' files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URI of a table on the first volume.
    pub fn uri(&self, name: &str) -> String {
        self.uri_on(1, name)
    }

    /// The URI of a table on a volume.
    pub fn uri_on(&self, volume: u32, name: &str) -> String {
        match self.kind {
            Kind::Native => format!("table:t{volume}_{name}"),
            Kind::Object => format!("helium:dev{volume}/{name}"),
            Kind::Table => format!("table:dev{volume}/{name}"),
        }
    }

    /// Makes a table on the first volume and says its URI.
    pub fn create(&self, session: &Session<'_>, name: &str, formats: &str) -> String {
        self.create_on(1, session, name, formats)
    }

    /// Makes a table on a volume and says its URI.
    pub fn create_on(
        &self,
        volume: u32,
        session: &Session<'_>,
        name: &str,
        formats: &str,
    ) -> String {
        let uri = self.uri_on(volume, name);
        session.create(&uri, &self.formats(formats)).unwrap();
        uri
    }

    /// A configuration for `create`: the formats, and the type where one is needed.
    pub fn formats(&self, formats: &str) -> String {
        match self.kind {
            Kind::Native | Kind::Object => formats.to_owned(),
            Kind::Table => format!("type=helium,{formats}"),
        }
    }

    /// Closes and opens again.
    pub fn reopen(&mut self) {
        self.close();
        self.open();
    }

    /// Closes.
    pub fn close(&mut self) {
        self.connection.take().unwrap().close().unwrap();
    }

    /// Opens after [`Arena::close`].
    pub fn open(&mut self) {
        self.connection = Some(self.connect());
    }

    /// The database as a kill at this moment would leave it, opened: its files, copied.
    pub fn killed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&self.folder, folder.path());
        // It names the devices of the original.
        let _ = std::fs::remove_file(folder.path().join("home/WiredTiger.basecfg"));
        let arena = Self::at(folder.path(), self.kind, &self.options);
        Self {
            _owned: Some(folder),
            ..arena
        }
    }

    /// What [`Arena::open`] gives `wiredtiger_open`.
    pub fn open_config(&self) -> String {
        open_config(self.kind, &self.folder, &self.options)
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.home(), &self.open_config()).unwrap()
    }
}

/// A volume `devN` with its file in a folder.
pub fn volume(number: u32, folder: &Path) -> Volume {
    let name = format!("dev{number}");
    Volume::file(&name, &folder.join(format!("{name}.helium")))
}

fn open_config(kind: Kind, folder: &Path, options: &str) -> String {
    let mut config = format!("create,{options}");
    if kind != Kind::Native {
        config.push(',');
        // Segments that were written do not stay in memory for long, nor count as growth.
        let volumes = [1, 2].map(|n| volume(n, folder).with("helium_read_cache=16MB"));
        config.push_str(&helium::extensions(&volumes).unwrap());
    }
    config
}

/// Copies what is in a folder into another one.
pub fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (old, new) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if old.is_dir() {
            std::fs::create_dir(&new).unwrap();
            copy_folder(&old, &new);
        } else {
            std::fs::copy(&old, &new).unwrap();
        }
    }
}
