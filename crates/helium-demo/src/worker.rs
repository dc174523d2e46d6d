//! The process that is killed: threads that move files and acknowledge each commit.
//!
//! It never ends by itself: it works until it is killed, or until an error or the
//! death of its parent (nobody reads its output any more) stops it.

use crate::{
    acks::Message,
    schema::{self, Engine},
    work::{Mover, names},
};
use anyhow::{Context, Result};
use std::{io, path::Path, thread, time::Duration};
use wiredtiger_testkit::Connection;

/// How often the worker writes a checkpoint, so that kills come during one too.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(400);

/// What a worker is told.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Where the database is.
    pub home: &'a Path,
    /// What its tables are made of.
    pub engine: Engine,
    /// The round, counted from 1.
    pub round: u64,
    /// Number of threads.
    pub threads: u64,
    /// Where the choices of all threads come from.
    pub seed: u64,
}

/// Works until killed; comes back only with an error.
pub fn run(task: Task<'_>) -> Result<()> {
    let connection = schema::open(task.home, task.engine)?;
    let names = names(&connection, task.engine)?;
    Message::Ready.send(&mut io::stdout())?;
    thread::scope(|scope| {
        scope.spawn(|| stop_on_error(checkpoints(&connection)));
        for thread in 0..task.threads {
            let (connection, names) = (&connection, &names);
            scope.spawn(move || stop_on_error(moves(connection, names, task, thread)));
        }
    });
    Ok(())
}

fn moves(connection: &Connection, names: &[String], task: Task<'_>, thread: u64) -> Result<()> {
    let session = connection.session()?;
    let mut mover = Mover::new(
        &session,
        task.engine,
        names,
        (task.round, thread),
        task.seed,
    )?;
    loop {
        let done = mover.run().with_context(|| format!("thread {thread}"))?;
        let message = Message::Committed {
            thread,
            number: done.number,
            conflicts: done.conflicts,
            change: done.change,
        };
        message.send(&mut io::stdout()).context("nobody listens")?;
    }
}

fn checkpoints(connection: &Connection) -> Result<()> {
    let session = connection.session()?;
    loop {
        thread::sleep(CHECKPOINT_EVERY);
        session.checkpoint("").context("checkpoint")?;
    }
}

/// The other threads would go on for ever: one that fails takes the process along.
fn stop_on_error(outcome: Result<()>) {
    if let Err(error) = outcome {
        eprintln!("helium-demo: worker: {error:#}");
        std::process::exit(1);
    }
}
