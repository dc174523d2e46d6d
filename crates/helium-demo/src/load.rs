//! Puts the data in: every package, and every file as planned.

use crate::{
    dataset::DataSet,
    image::{FileRow, PackageRow},
    progress,
    schema::{self, Engine, Table},
};
use anyhow::Result;
use std::time::{Duration, Instant};
use wiredtiger_testkit::{Connection, Cursor, Session};

/// Rows per transaction.
pub const BATCH_ROWS: u64 = 1_000;

/// What loading came to.
pub struct Loaded {
    /// Rows put in.
    pub rows: u64,
    /// How long it took.
    pub time: Duration,
}

/// Makes the tables and fills them.
pub fn load(connection: &Connection, engine: Engine, data: &DataSet) -> Result<Loaded> {
    let session = connection.session()?;
    schema::create(&session, engine)?;
    let start = Instant::now();
    let mut loader = Loader {
        session: &session,
        packages: session.cursor(&Table::Packages.uri(engine), "raw")?,
        planned: session.cursor(&Table::Planned.uri(engine), "raw")?,
        bar: progress::rows("loading", data.files() + data.packages.len() as u64),
        rows: 0,
    };
    session.begin("")?;
    for package in &data.packages {
        let row = PackageRow {
            name: package.name.clone(),
            version: package.version.clone(),
            section: package.section.clone(),
            files: package.files.len() as u64,
            installed: 0,
            moves: 0,
        };
        loader.put(|loader| &loader.packages, &row.key(), &row.value())?;
        for file in &package.files {
            let row = FileRow {
                package: package.name.clone(),
                path: file.path.clone(),
                digest: file.digest.clone(),
            };
            loader.put(
                |loader| &loader.planned,
                &row.key(Table::Planned),
                &row.value(),
            )?;
        }
    }
    session.commit()?;
    loader.bar.finish_and_clear();
    Ok(Loaded {
        rows: loader.rows,
        time: start.elapsed(),
    })
}

struct Loader<'s> {
    session: &'s Session<'s>,
    packages: Cursor<'s>,
    planned: Cursor<'s>,
    bar: indicatif::ProgressBar,
    rows: u64,
}

impl<'s> Loader<'s> {
    /// Inserts a row; each batch of rows is a transaction of its own.
    fn put(&mut self, cursor: fn(&Self) -> &Cursor<'s>, key: &[u8], value: &[u8]) -> Result<()> {
        let cursor = cursor(self);
        cursor.set_key(key)?;
        cursor.set_value(value)?;
        cursor.insert()?;
        self.rows += 1;
        self.bar.inc(1);
        if self.rows.is_multiple_of(BATCH_ROWS) {
            self.session.commit()?;
            self.session.begin("")?;
        }
        Ok(())
    }
}
