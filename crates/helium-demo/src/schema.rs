//! The tables: which there are, on which volume, in which format.
//!
//! Each transaction writes to both volumes, so that a crash between them would show.

use crate::{
    columns::{Columns, Reader},
    image::{FileRow, LedgerRow, PackageRow},
};
use anyhow::{Result, anyhow};
use std::path::{Path, PathBuf};
use wiredtiger_testkit::{Connection, Row, Session, helium};

/// What the tables are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Our extension's tables on two volumes.
    Helium,
    /// WiredTiger's own tables: the same job without us, to check the demo itself.
    Native,
}

/// A table of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// One row per package, with what it has installed. First volume.
    Packages,
    /// Files to be installed, by package and path. First volume.
    Planned,
    /// Files installed, by path and package, with an index on packages. Second volume.
    Installed,
    /// One row per transaction. Second volume.
    Ledger,
}

/// All tables.
pub const TABLES: [Table; 4] = [
    Table::Packages,
    Table::Planned,
    Table::Installed,
    Table::Ledger,
];

/// The volumes' names.
pub const VOLUMES: [&str; 2] = ["dev1", "dev2"];

impl Table {
    /// The table's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Planned => "planned",
            Self::Installed => "installed",
            Self::Ledger => "ledger",
        }
    }

    /// What a session calls it.
    pub fn uri(self, engine: Engine) -> String {
        format!("table:{}", self.place(engine))
    }

    fn place(self, engine: Engine) -> String {
        match engine {
            Engine::Helium => format!("{}/{}", self.volume(), self.name()),
            Engine::Native => self.name().to_owned(),
        }
    }

    fn volume(self) -> &'static str {
        match self {
            Self::Packages | Self::Planned => VOLUMES[0],
            Self::Installed | Self::Ledger => VOLUMES[1],
        }
    }

    fn formats(self) -> &'static str {
        match self {
            Self::Packages => {
                "key_format=S,value_format=SSQQQ,columns=(package,version,section,files,installed,moves)"
            }
            Self::Planned => "key_format=SS,value_format=S,columns=(package,path,digest)",
            Self::Installed => "key_format=SS,value_format=S,columns=(path,package,digest)",
            Self::Ledger => {
                "key_format=QQQ,value_format=SQQQ,columns=(round,thread,number,package,installed,removed,nth)"
            }
        }
    }
}

/// Makes all tables and the index.
pub fn create(session: &Session<'_>, engine: Engine) -> Result<()> {
    let kind = match engine {
        Engine::Helium => ",type=helium",
        Engine::Native => "",
    };
    for table in TABLES {
        session.create(&table.uri(engine), &format!("{}{kind}", table.formats()))?;
    }
    session.create(&index_uri(engine), &format!("columns=(package){kind}"))?;
    Ok(())
}

/// The index on the packages of installed files.
pub fn index_uri(engine: Engine) -> String {
    format!("index:{}:by_package", Table::Installed.place(engine))
}

/// Opens the database in `home`, made if it is not there.
pub fn open(home: &Path, engine: Engine) -> Result<Connection> {
    let database = home.join("wiredtiger");
    std::fs::create_dir_all(&database)?;
    let config = match engine {
        Engine::Helium => {
            let volumes = VOLUMES.map(|name| {
                let url = format!("he://./{}", volume_file(home, name).display());
                helium::Volume::devices(name, &[&url])
            });
            helium::extensions_with(&volumes, "helium_verbose=1").map_err(|why| anyhow!(why))?
        }
        Engine::Native => {
            "log=(enabled=true),transaction_sync=(enabled=true,method=fsync)".to_owned()
        }
    };
    Ok(Connection::open(&database, &format!("create,{config}"))?)
}

/// The file of a volume.
pub fn volume_file(home: &Path, volume: &str) -> PathBuf {
    home.join(format!("{volume}.he"))
}

impl PackageRow {
    /// The packed key.
    pub fn key(&self) -> Vec<u8> {
        Columns::default().text(&self.name).bytes()
    }

    /// The packed value.
    pub fn value(&self) -> Vec<u8> {
        Columns::default()
            .text(&self.version)
            .text(&self.section)
            .number(self.files)
            .number(self.installed)
            .number(self.moves)
            .bytes()
    }

    /// Unpacks a row.
    pub fn read((key, value): &Row) -> Result<Self> {
        let (mut key, mut value) = (Reader::new(key), Reader::new(value));
        let row = Self {
            name: key.text()?,
            version: value.text()?,
            section: value.text()?,
            files: value.number()?,
            installed: value.number()?,
            moves: value.number()?,
        };
        key.end()?;
        value.end()?;
        Ok(row)
    }
}

impl FileRow {
    /// The packed key in `planned` or `installed`.
    pub fn key(&self, table: Table) -> Vec<u8> {
        let columns = Columns::default();
        match table {
            Table::Planned => columns.text(&self.package).text(&self.path).bytes(),
            _ => columns.text(&self.path).text(&self.package).bytes(),
        }
    }

    /// The packed value.
    pub fn value(&self) -> Vec<u8> {
        Columns::default().text(&self.digest).bytes()
    }

    /// Unpacks a row of `planned` or `installed`.
    pub fn read(table: Table, (key, value): &Row) -> Result<Self> {
        let (mut key, mut value) = (Reader::new(key), Reader::new(value));
        let (first, second) = (key.text()?, key.text()?);
        let (package, path) = match table {
            Table::Planned => (first, second),
            _ => (second, first),
        };
        let row = Self {
            package,
            path,
            digest: value.text()?,
        };
        key.end()?;
        value.end()?;
        Ok(row)
    }
}

impl LedgerRow {
    /// The packed key.
    pub fn key(&self) -> Vec<u8> {
        Columns::default()
            .number(self.round)
            .number(self.thread)
            .number(self.number)
            .bytes()
    }

    /// The packed value.
    pub fn value(&self) -> Vec<u8> {
        let files = self.files.unsigned_abs();
        let (installed, removed) = if self.files < 0 {
            (0, files)
        } else {
            (files, 0)
        };
        Columns::default()
            .text(&self.package)
            .number(installed)
            .number(removed)
            .number(self.nth)
            .bytes()
    }

    /// Unpacks a row.
    pub fn read((key, value): &Row) -> Result<Self> {
        let (mut key, mut value) = (Reader::new(key), Reader::new(value));
        let (round, thread, number) = (key.number()?, key.number()?, key.number()?);
        let package = value.text()?;
        let files = i64::try_from(value.number()?)? - i64::try_from(value.number()?)?;
        let row = Self {
            round,
            thread,
            number,
            package,
            files,
            nth: value.number()?,
        };
        key.end()?;
        value.end()?;
        Ok(row)
    }
}
