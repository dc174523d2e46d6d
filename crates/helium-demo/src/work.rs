//! One thread's work: transactions that move files between the volumes.
//!
//! A transaction picks a package, moves up to sixteen of its files from `planned` on
//! one volume to `installed` on the other (or back, found through the index), counts
//! that in `packages`, and signs for it in `ledger`. Whatever part of it a crash
//! might leave behind, the sums would be off.

use crate::{
    acks::Move,
    columns::{Columns, Reader},
    image::{FileRow, LedgerRow, PackageRow},
    schema::{Engine, Table, index_uri},
};
use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use wiredtiger_testkit::{Code, Connection, Cursor, Outcome, Session};

/// Most files that one transaction moves.
const FILES_MAX: usize = 16;
/// So many packages are popular, so that threads get in each other's way.
const POPULAR: usize = 8;

/// A thread at work.
pub struct Mover<'s> {
    session: &'s Session<'s>,
    packages: Cursor<'s>,
    planned: Cursor<'s>,
    installed: Cursor<'s>,
    by_package: Cursor<'s>,
    ledger: Cursor<'s>,
    names: &'s [String],
    random: SmallRng,
    round: u64,
    thread: u64,
    done: u64,
}

/// A committed transaction.
pub struct Committed {
    /// The thread's number for it.
    pub number: u64,
    /// How often it was rolled back for a conflict before it went through.
    pub conflicts: u64,
    /// What it did.
    pub change: Move,
}

/// The names of all packages.
pub fn names(connection: &Connection, engine: Engine) -> Result<Vec<String>> {
    let session = connection.session()?;
    let cursor = session.cursor(&Table::Packages.uri(engine), "raw")?;
    let names: Result<Vec<String>> = cursor
        .rows()?
        .iter()
        .map(|(key, _)| Reader::new(key).text())
        .collect();
    names
}

impl<'s> Mover<'s> {
    /// A thread of a round that works on the packages `names`.
    pub fn new(
        session: &'s Session<'s>,
        engine: Engine,
        names: &'s [String],
        (round, thread): (u64, u64),
        seed: u64,
    ) -> Result<Self> {
        let cursor = |table: Table| session.cursor(&table.uri(engine), "raw");
        Ok(Self {
            session,
            packages: cursor(Table::Packages)?,
            planned: cursor(Table::Planned)?,
            installed: cursor(Table::Installed)?,
            by_package: session.cursor(
                &format!("{}(package,path,digest)", index_uri(engine)),
                "raw",
            )?,
            ledger: cursor(Table::Ledger)?,
            names,
            random: SmallRng::seed_from_u64(seed ^ (round << 32) ^ thread),
            round,
            thread,
            done: 0,
        })
    }

    /// Runs one transaction until it goes through. When this returns it is committed.
    pub fn run(&mut self) -> Result<Committed> {
        let mut conflicts = 0;
        loop {
            let outcome = self.attempt();
            self.leave()?;
            match outcome {
                Ok(change) => {
                    self.done += 1;
                    return Ok(Committed {
                        number: self.done,
                        conflicts,
                        change,
                    });
                }
                Err(error) if is_conflict(&error) => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn attempt(&mut self) -> Result<Move> {
        self.session.begin("isolation=snapshot")?;
        match self.moves() {
            Ok(change) => {
                // A commit that fails has rolled back already.
                self.session.commit()?;
                Ok(change)
            }
            Err(error) => {
                self.session.rollback()?;
                Err(error)
            }
        }
    }

    /// The transaction itself.
    fn moves(&mut self) -> Result<Move> {
        let mut package = self.package()?;
        let installs = match package.installed {
            0 => true,
            all if all == package.files => false,
            _ => self.random.random(),
        };
        let wanted = self.random.random_range(1..=FILES_MAX);
        let files = if installs {
            self.some_planned(&package.name, wanted)?
        } else {
            self.some_installed(&package.name, wanted)?
        };
        ensure!(
            !files.is_empty(),
            "{}: {} of {} files installed, but none to move",
            package.name,
            package.installed,
            package.files
        );

        for file in &files {
            let (from, to) = if installs {
                (Table::Planned, Table::Installed)
            } else {
                (Table::Installed, Table::Planned)
            };
            self.cursor(from).set_key(&file.key(from))?;
            self.cursor(from).remove()?;
            put(self.cursor(to), &file.key(to), &file.value())?;
        }
        let count = files.len() as u64;
        package.installed = if installs {
            package.installed + count
        } else {
            package.installed - count
        };
        package.moves += 1;
        put(&self.packages, &package.key(), &package.value())?;

        let files = if installs {
            files.len() as i64
        } else {
            -(files.len() as i64)
        };
        let row = LedgerRow {
            round: self.round,
            thread: self.thread,
            number: self.done + 1,
            package: package.name,
            files,
            nth: package.moves,
        };
        put(&self.ledger, &row.key(), &row.value())?;
        Ok(Move {
            package: row.package,
            files,
        })
    }

    /// A package that has files; often one of the popular ones.
    fn package(&mut self) -> Result<PackageRow> {
        let popular = self.random.random_ratio(1, 4);
        let among = if popular {
            POPULAR.min(self.names.len())
        } else {
            self.names.len()
        };
        let name = &self.names[self.random.random_range(0..among)];
        let key = Columns::default().text(name).bytes();
        self.packages.set_key(&key)?;
        self.packages.search()?;
        PackageRow::read(&(key, self.packages.value()?))
    }

    /// Some files of a package that are planned: a range of keys.
    fn some_planned(&self, package: &str, wanted: usize) -> Result<Vec<FileRow>> {
        let mut files = Vec::new();
        self.planned
            .set_key(&Columns::default().text(package).bytes())?;
        let mut there = match self.planned.search_near() {
            Ok(place) if place.is_lt() => self.planned.next().found()?,
            Err(error) if error.code == Code::NOTFOUND => false,
            other => other.map(|_| true)?,
        };
        while there && files.len() < wanted {
            let row = FileRow::read(
                Table::Planned,
                &(self.planned.key()?, self.planned.value()?),
            )?;
            if row.package != package {
                break;
            }
            files.push(row);
            there = self.planned.next().found()?;
        }
        Ok(files)
    }

    /// Some files of a package that are installed: the index knows.
    fn some_installed(&self, package: &str, wanted: usize) -> Result<Vec<FileRow>> {
        let mut files = Vec::new();
        self.by_package
            .set_key(&Columns::default().text(package).bytes())?;
        let mut there = self.by_package.search().found()?;
        while there && files.len() < wanted {
            let value = self.by_package.value()?;
            let mut columns = Reader::new(&value);
            let row = FileRow {
                package: columns.text()?,
                path: columns.text()?,
                digest: columns.text()?,
            };
            if row.package != package {
                break;
            }
            files.push(row);
            there = self.by_package.next().found()?;
        }
        Ok(files)
    }

    fn cursor(&self, table: Table) -> &Cursor<'s> {
        match table {
            Table::Packages => &self.packages,
            Table::Planned => &self.planned,
            Table::Installed => &self.installed,
            Table::Ledger => &self.ledger,
        }
    }

    /// Gives up all places: a cursor that stands somewhere holds on to what it stands on.
    fn leave(&self) -> Result<()> {
        for cursor in [
            &self.packages,
            &self.planned,
            &self.installed,
            &self.by_package,
            &self.ledger,
        ] {
            cursor.reset()?;
        }
        Ok(())
    }
}

fn put(cursor: &Cursor<'_>, key: &[u8], value: &[u8]) -> Result<()> {
    cursor.set_key(key)?;
    cursor.set_value(value)?;
    Ok(cursor.insert()?)
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<wiredtiger_testkit::Error>()
        .is_some_and(|error| error.code == Code::ROLLBACK)
}
