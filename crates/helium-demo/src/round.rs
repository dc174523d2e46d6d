//! One round: start a worker, listen to it, kill it.

use crate::{
    acks::{Acks, Message, Writer},
    progress,
    schema::Engine,
    worker::Task,
};
use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long a worker may take to open the database.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a worker did before it was killed.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// From ready to killed.
    pub ran: Duration,
    /// Transactions acknowledged.
    pub transactions: u64,
    /// Files moved by them.
    pub files: u64,
    /// Times that a transaction was rolled back for a conflict and run again.
    pub conflicts: u64,
}

/// Starts a worker, lets it run for `time`, kills it with SIGKILL, and adds what it acknowledged.
pub fn run(task: Task<'_>, time: Duration, acks: &mut Acks) -> Result<Round> {
    let mut worker = spawn(task)?;
    let output = worker.stdout.take().context("the worker has no output")?;
    let (ready, is_ready) = mpsc::channel();
    thread::scope(|scope| {
        let listener = scope.spawn(|| listen(output, task.round, acks, ready));
        let ran = wait(&mut worker, &is_ready, time);
        // Whatever happened: nothing of it goes on, and the listener comes to its end.
        let killed = worker.kill().and_then(|()| worker.wait());
        let heard = listener
            .join()
            .map_err(|_| anyhow::anyhow!("the listener panicked"))?;
        let ran = ran?;
        killed.context("cannot kill the worker")?;
        Ok(Round { ran, ..heard? })
    })
}

fn spawn(task: Task<'_>) -> Result<Child> {
    let own = std::env::current_exe().context("cannot find this program to start a worker")?;
    let mut command = Command::new(own);
    command
        .arg("--home")
        .arg(task.home)
        .args(["--worker", &task.round.to_string()])
        .args(["--threads", &task.threads.to_string()])
        .args(["--seed", &task.seed.to_string()]);
    if task.engine == Engine::Native {
        command.arg("--native");
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    child.context("cannot start a worker")
}

/// Waits until it is time to kill; how long the worker has been at work then.
fn wait(worker: &mut Child, ready: &mpsc::Receiver<()>, time: Duration) -> Result<Duration> {
    match ready.recv_timeout(READY_WITHIN) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => {
            bail!(
                "the worker was not ready within {} s",
                READY_WITHIN.as_secs()
            )
        }
        // Its output is closed, so it is ending.
        Err(RecvTimeoutError::Disconnected) => {
            bail!(
                "the worker ended with {} before it was ready",
                worker.wait()?
            )
        }
    }
    let start = Instant::now();
    thread::sleep(time);
    if let Some(status) = worker.try_wait()? {
        bail!("the worker ended by itself with {status}");
    }
    Ok(start.elapsed())
}

/// Takes note of everything the worker says until there is no more.
fn listen(
    output: impl Read,
    round: u64,
    acks: &mut Acks,
    ready: mpsc::Sender<()>,
) -> Result<Round> {
    let mut heard = Round::default();
    let bar = progress::transactions(format!("round {round}"));
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8(line?).context("the worker said something strange")?;
        match Message::parse(&line)? {
            // Fails only if nobody waits any more.
            Message::Ready => drop(ready.send(())),
            Message::Committed {
                thread,
                number,
                conflicts,
                change,
            } => {
                heard.transactions += 1;
                heard.files += change.files.unsigned_abs();
                heard.conflicts += conflicts;
                acks.add(Writer { round, thread }, number, change)?;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(heard)
}
