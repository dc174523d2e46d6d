//! The parent's job, top to bottom: load, several rounds of work and kill, last look.

use crate::{
    acks::Acks,
    check::check,
    dataset::{DPKG, DataSet},
    image::Image,
    load::load,
    progress,
    recovery::Recovery,
    report, round,
    scan::scan,
    schema::{self, Engine, TABLES, index_uri},
    worker::Task,
};
use anyhow::{Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// A round is killed after at least this share of its time.
const SHORTEST_ROUND: f64 = 0.4;

/// What to do, and where.
pub struct Job<'a> {
    /// Where the database goes.
    pub home: &'a Path,
    /// What its tables are made of.
    pub engine: Engine,
    /// The release of WiredTiger.
    pub version: &'a str,
    /// How many workers are started and killed.
    pub rounds: u64,
    /// Threads per worker.
    pub threads: u64,
    /// The longest a worker runs.
    pub time: Duration,
    /// Where all choices come from; the timing of threads does not.
    pub seed: u64,
}

impl Job<'_> {
    /// Does all of it; an error if anything is off.
    pub fn run(&self) -> Result<()> {
        let data = DataSet::read(Path::new(DPKG))?;
        report::data(&data, self.home, self.engine, self.version, self.seed);

        let connection = schema::open(self.home, self.engine)?;
        report::loaded(&load(&connection, self.engine, &data)?);
        connection.close()?;

        let mut acks = Acks::default();
        let mut acknowledged = 0;
        let mut random = SmallRng::seed_from_u64(self.seed);
        for number in 1..=self.rounds {
            let time = self.time.mul_f64(random.random_range(SHORTEST_ROUND..=1.0));
            acknowledged += self.round(number, time, &data, &mut acks)?;
        }

        let rows = self.last_look(&data, &acks)?;
        report::end(rows, acknowledged, self.rounds, self.home, self.engine);
        Ok(())
    }

    /// Lets a worker run and kills it; then everything it acknowledged must be there. How
    /// many transactions that was.
    fn round(&self, number: u64, time: Duration, data: &DataSet, acks: &mut Acks) -> Result<u64> {
        let task = Task {
            home: self.home,
            engine: self.engine,
            round: number,
            threads: self.threads,
            seed: self.seed,
        };
        let round = round::run(task, time, acks)?;
        let (image, recovery) = self.look()?;
        let verdict = check(&image, data, acks);
        report::round(number, self.threads, &round, &recovery, &verdict);
        ensure!(
            verdict.complaints.is_empty(),
            "round {number} left something that is not right"
        );
        ensure!(
            round.transactions > 0,
            "round {number} was killed before its first transaction"
        );
        // What was committed but not acknowledged stays there, and counts from now on.
        acks.settle(&image);
        Ok(round.transactions)
    }

    /// Opens the database, reads everything and closes it again; and what recovery came to.
    fn look(&self) -> Result<(Image, Recovery)> {
        let bar = progress::waiting("reopening");
        let start = Instant::now();
        let connection = schema::open(self.home, self.engine)?;
        let recovery = Recovery::of(&connection, start.elapsed());
        bar.finish_and_clear();
        let image = scan(&connection, self.engine)?;
        connection.close()?;
        Ok((image, recovery))
    }

    /// Verifies every table, and checks that a clean close changes nothing; the number of rows.
    fn last_look(&self, data: &DataSet, acks: &Acks) -> Result<u64> {
        let (before, _) = self.look()?;
        self.verify()?;
        let (after, _) = self.look()?;
        let verdict = check(&after, data, acks);
        report::complaints(&verdict);
        ensure!(
            verdict.complaints.is_empty(),
            "the last look found something that is not right"
        );
        if before != after {
            bail!("closing and reopening changed the tables");
        }
        Ok(after.rows())
    }

    fn verify(&self) -> Result<()> {
        let connection = schema::open(self.home, self.engine)?;
        let session = connection.session()?;
        let bar = progress::tables("verifying", TABLES.len() as u64);
        for table in TABLES {
            session.verify(&table.uri(self.engine))?;
            bar.inc(1);
        }
        session.verify(&index_uri(self.engine))?;
        bar.finish_and_clear();
        drop(session);
        Ok(connection.close()?)
    }
}
