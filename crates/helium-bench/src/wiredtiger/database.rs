//! A database with two tables, of either kind.

use std::path::Path;

use anyhow::{Result, anyhow};
use wiredtiger_testkit::{
    Connection, Cursor, Session,
    helium::{self, Volume},
};

/// Whose tables are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// WiredTiger's own, logged.
    Native,
    /// Those on Helium volumes, one table on each of two.
    Helium,
}

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is buffered.
    Buffered,
    /// When it is on the medium.
    Synced,
}

/// An open database.
pub struct Database {
    connection: Connection,
    kind: Kind,
}

impl Kind {
    /// Name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Helium => "helium",
        }
    }

    fn uri(self, table: usize) -> &'static str {
        match (self, table) {
            (Self::Native, 0) => "table:first",
            (Self::Native, _) => "table:second",
            (Self::Helium, 0) => "table:dev1/first",
            (Self::Helium, _) => "table:dev2/second",
        }
    }

    fn table_type(self) -> &'static str {
        match self {
            Self::Native => "",
            Self::Helium => "type=helium,",
        }
    }
}

impl Database {
    /// Opens the database in `folder`, and makes its tables if they are not there.
    pub fn open(
        folder: &Path,
        kind: Kind,
        durability: Durability,
        cache_mib: usize,
    ) -> Result<Self> {
        let synced = durability == Durability::Synced;
        let config = match kind {
            Kind::Native => format!(
                "create,session_max=64,cache_size={cache_mib}MB,log=(enabled=true),\
                 transaction_sync=(enabled={synced},method=fsync)"
            ),
            Kind::Helium => {
                let option = if synced { "sync" } else { "buffered" };
                format!(
                    "create,session_max=64,{}",
                    extension(folder, option, cache_mib)?
                )
            }
        };
        let connection = Connection::open(folder, &config)?;
        let formats = format!("{}key_format=u,value_format=u", kind.table_type());
        let session = connection.session()?;
        for table in 0..2 {
            session.create(kind.uri(table), &formats)?;
        }
        session.close()?;
        Ok(Self { connection, kind })
    }

    /// A session for one thread.
    pub fn session(&self) -> Result<Session<'_>> {
        Ok(self.connection.session_with("isolation=snapshot")?)
    }

    /// A cursor on the first or the second table.
    pub fn cursor<'s>(&self, session: &'s Session<'_>, table: usize) -> Result<Cursor<'s>> {
        Ok(session.cursor(self.kind.uri(table), "")?)
    }

    /// Name of the first or the second table, or of the object of ours that is behind it.
    pub fn source(&self, table: usize) -> String {
        let uri = self.kind.uri(table);
        match self.kind {
            Kind::Native => uri.to_owned(),
            Kind::Helium => uri.replace("table:", "helium:"),
        }
    }

    /// Closes it.
    pub fn close(self) -> Result<()> {
        Ok(self.connection.close()?)
    }
}

fn extension(folder: &Path, durability: &str, cache_mib: usize) -> Result<String> {
    let volume = |name| {
        Volume::file(name, &folder.join(format!("{name}.volume")))
            .with(&format!("helium_write_cache={cache_mib}MB"))
    };
    let durability = format!("helium_durability={durability}");
    helium::extensions_with(&[volume("dev1"), volume("dev2")], &durability)
        .map_err(|why| anyhow!(why))
}
