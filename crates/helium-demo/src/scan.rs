//! Reads all tables into an [`Image`], in one snapshot, forwards and backwards.

use crate::{
    columns::Reader,
    image::{FileRow, Image, LedgerRow, PackageRow},
    progress,
    schema::{Engine, Table, index_uri},
};
use anyhow::{Context, Result, ensure};
use wiredtiger_testkit::{Connection, Row, Session};

/// Every row of every table and of the index.
pub fn scan(connection: &Connection, engine: Engine) -> Result<Image> {
    let session = connection.session()?;
    session.begin("isolation=snapshot")?;
    let bar = progress::tables("reading all tables", 5);
    let rows = |uri: &str| {
        bar.inc(1);
        both_ways(&session, uri)
    };
    let table = |table: Table| rows(&table.uri(engine));
    let image = Image {
        packages: unpack(&table(Table::Packages)?, PackageRow::read)?,
        planned: unpack(&table(Table::Planned)?, |row| {
            FileRow::read(Table::Planned, row)
        })?,
        installed: unpack(&table(Table::Installed)?, |row| {
            FileRow::read(Table::Installed, row)
        })?,
        index: unpack(
            &rows(&format!("{}(package,path)", index_uri(engine)))?,
            entry,
        )?,
        ledger: unpack(&table(Table::Ledger)?, LedgerRow::read)?,
    };
    bar.finish_and_clear();
    session.rollback()?;
    Ok(image)
}

/// All rows from first to last; from last to first they must be the same.
fn both_ways(session: &Session<'_>, uri: &str) -> Result<Vec<Row>> {
    let cursor = session.cursor(uri, "raw")?;
    let forwards = cursor.rows()?;
    let mut backwards = cursor.rows_back()?;
    backwards.reverse();
    ensure!(
        forwards == backwards,
        "{uri}: {} rows from first to last, but {} others from last to first",
        forwards.len(),
        backwards.len()
    );
    Ok(forwards)
}

fn unpack<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    let unpacked: Result<Vec<T>> = rows.iter().map(read).collect();
    unpacked.context("a row is not as it was put in")
}

/// Package and path of an index entry, of which the cursor gives just these two.
fn entry((_, value): &Row) -> Result<(String, String)> {
    let mut value = Reader::new(value);
    let entry = (value.text()?, value.text()?);
    value.end()?;
    Ok(entry)
}
