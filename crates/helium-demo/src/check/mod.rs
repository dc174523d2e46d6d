//! What must hold of the tables after any crash, whatever was going on.
//!
//! Every transaction touches both volumes: it moves files between `planned` and
//! `installed` (and its index), counts in `packages`, and adds a row to `ledger`.
//! If a part of one is missing, or an acknowledged one is, some sum here is off.

use crate::{
    acks::{Acks, Move, Writer},
    dataset::DataSet,
    image::{FileRow, Image, LedgerRow},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many complaints of one kind are spelled out.
const SPELLED_OUT: usize = 5;

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Transactions found in the ledger that had not been acknowledged when the kill came.
    pub unacknowledged: u64,
    /// Sentences about what is off; empty if nothing is.
    pub complaints: Vec<String>,
}

/// Compares the tables with the data, with each other, and with what was acknowledged.
pub fn check(image: &Image, data: &DataSet, acks: &Acks) -> Verdict {
    let mut verdict = Verdict::default();
    let mut kinds = [
        order(image),
        files(image, data),
        packages(image, data),
        index(image),
        acknowledged(image, acks, &mut verdict.unacknowledged),
    ];
    for kind in &mut kinds {
        let more = kind.len().saturating_sub(SPELLED_OUT);
        kind.truncate(SPELLED_OUT);
        verdict.complaints.append(kind);
        if more > 0 {
            verdict
                .complaints
                .push(format!("... and {more} more like this"));
        }
    }
    verdict
}

/// Every scan yields strictly ascending keys.
fn order(image: &Image) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut table = |name: &str, sorted: bool| {
        if !sorted {
            complaints.push(format!(
                "{name}: a scan was out of order or met a key twice"
            ));
        }
    };
    table(
        "packages",
        image.packages.is_sorted_by(|a, b| a.name < b.name),
    );
    table(
        "planned",
        image
            .planned
            .is_sorted_by(|a, b| by_package(a) < by_package(b)),
    );
    table(
        "installed",
        image.installed.is_sorted_by(|a, b| by_path(a) < by_path(b)),
    );
    table("index", image.index.is_sorted_by(|a, b| a < b));
    table(
        "ledger",
        image
            .ledger
            .is_sorted_by(|a, b| by_writer(a) < by_writer(b)),
    );
    complaints
}

/// Each file is in exactly one of the two tables, with the content it came with.
fn files(image: &Image, data: &DataSet) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rows: HashMap<(&str, &str), &FileRow> = HashMap::new();
    for row in image.planned.iter().chain(&image.installed) {
        if rows.insert(by_package(row), row).is_some() {
            complaints.push(format!("{} of {} is in both tables", row.path, row.package));
        }
    }
    for package in &data.packages {
        for file in &package.files {
            match rows.remove(&(package.name.as_str(), file.path.as_str())) {
                None => complaints.push(format!(
                    "{} of {} is in neither table",
                    file.path, package.name
                )),
                Some(row) if row.digest != file.digest => {
                    complaints.push(format!(
                        "{} of {} has another value",
                        file.path, package.name
                    ));
                }
                Some(_) => {}
            }
        }
    }
    for row in rows.values() {
        complaints.push(format!("{} of {} was never put in", row.path, row.package));
    }
    complaints
}

/// What `packages` counts is what the ledger says and what the file tables hold.
fn packages(image: &Image, data: &DataSet) -> Vec<String> {
    let mut installed: HashMap<&str, u64> = HashMap::new();
    for row in &image.installed {
        *installed.entry(&row.package).or_default() += 1;
    }
    let mut ledger: HashMap<&str, Vec<&LedgerRow>> = HashMap::new();
    for row in &image.ledger {
        ledger.entry(&row.package).or_default().push(row);
    }

    let mut complaints = Vec::new();
    let known: Vec<&str> = image.packages.iter().map(|row| row.name.as_str()).collect();
    if known
        != data
            .packages
            .iter()
            .map(|package| package.name.as_str())
            .collect::<Vec<_>>()
    {
        complaints.push("packages: not the packages that were put in".to_owned());
    }
    for row in &image.packages {
        let moves = ledger.remove(row.name.as_str()).unwrap_or_default();
        let sum: i64 = moves.iter().map(|row| row.files).sum();
        let there = installed
            .get(row.name.as_str())
            .copied()
            .unwrap_or_default();
        let nths: BTreeSet<u64> = moves.iter().map(|row| row.nth).collect();
        if row.installed != there || i64::try_from(there) != Ok(sum) {
            complaints.push(format!(
                "{}: packages counts {} installed files, the ledger {sum}, and {there} are there",
                row.name, row.installed
            ));
        }
        if nths.len() != moves.len() || !nths.into_iter().eq(1..=row.moves) {
            complaints.push(format!(
                "{}: packages counts {} moves, the ledger has {}, or the same one twice",
                row.name,
                row.moves,
                moves.len()
            ));
        }
    }
    for name in ledger.keys() {
        complaints.push(format!("{name}: is in the ledger, but not in packages"));
    }
    complaints
}

/// The index has one entry for each row, and none without a row.
fn index(image: &Image) -> Vec<String> {
    let rows: BTreeSet<(&str, &str)> = image.installed.iter().map(by_package).collect();
    let entries: BTreeSet<(&str, &str)> = image
        .index
        .iter()
        .map(|(package, path)| (package.as_str(), path.as_str()))
        .collect();
    let missing = rows
        .difference(&entries)
        .map(|(package, path)| format!("index: no entry for {path} of {package}"));
    let stale = entries.difference(&rows).map(|(package, path)| {
        format!("index: an entry for {path} of {package}, which is not installed")
    });
    missing.chain(stale).collect()
}

/// Every acknowledged transaction is in the ledger as acknowledged, and each thread has
/// at most the one more that was under way.
fn acknowledged(image: &Image, acks: &Acks, unacknowledged: &mut u64) -> Vec<String> {
    let mut ledger: BTreeMap<Writer, BTreeMap<u64, Move>> = BTreeMap::new();
    for row in &image.ledger {
        let writer = Writer {
            round: row.round,
            thread: row.thread,
        };
        let change = Move {
            package: row.package.clone(),
            files: row.files,
        };
        ledger.entry(writer).or_default().insert(row.number, change);
    }
    let mut complaints = Vec::new();
    for writer in acks.writers() {
        for (number, change) in (1..).zip(acks.of(writer)) {
            match ledger.get(&writer).and_then(|rows| rows.get(&number)) {
                Some(found) if found == change => {}
                Some(_) => {
                    complaints.push(format!("{writer}: transaction {number} is another one"))
                }
                None => complaints.push(format!(
                    "{writer}: acknowledged transaction {number} is lost"
                )),
            }
        }
    }
    for (writer, rows) in &ledger {
        let count = acks.of(*writer).len() as u64;
        let more = rows.range(count + 1..).count() as u64;
        *unacknowledged += more;
        if more > 1 || more == 1 && !rows.contains_key(&(count + 1)) {
            complaints.push(format!(
                "{writer}: {more} transactions after the last acknowledged one"
            ));
        }
    }
    complaints
}

fn by_package(row: &FileRow) -> (&str, &str) {
    (&row.package, &row.path)
}

fn by_path(row: &FileRow) -> (&str, &str) {
    (&row.path, &row.package)
}

fn by_writer(row: &LedgerRow) -> (u64, u64, u64) {
    (row.round, row.thread, row.number)
}

#[cfg(test)]
mod tests;
