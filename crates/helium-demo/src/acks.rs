//! Acknowledgements: what the worker tells its parent about each commit.
//!
//! One line per message, written with one call, so that a kill never leaves a line
//! that looks whole and is not. A worker acknowledges a transaction only after its
//! commit has returned: what the parent has read is what must be there afterwards.

use crate::image::Image;
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

/// A thread of a worker: it numbers its own transactions from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    /// Which worker, counted from 1: one per round.
    pub round: u64,
    /// Which of its threads, counted from 0.
    pub thread: u64,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} thread {}", self.round, self.thread)
    }
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The package whose files it moved.
    pub package: String,
    /// How many it moved to the installed ones; negative if it took them back.
    pub files: i64,
}

/// What a worker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The database is open and the threads are running.
    Ready,
    /// A transaction was committed.
    Committed {
        /// By which thread.
        thread: u64,
        /// The thread's number for it.
        number: u64,
        /// How often it was rolled back for a conflict before it went through.
        conflicts: u64,
        /// What it did.
        change: Move,
    },
}

impl Message {
    /// Writes the message as one line, at once.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let line = match self {
            Self::Ready => "ready\n".to_owned(),
            Self::Committed {
                thread,
                number,
                conflicts,
                change,
            } => format!(
                "committed {thread} {number} {conflicts} {} {}\n",
                change.files, change.package
            ),
        };
        to.write_all(line.as_bytes())
    }

    /// Reads what [`Message::send`] wrote.
    pub fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ready"] => Ok(Self::Ready),
            ["committed", thread, number, conflicts, files, package] => {
                let bad = || format!("the worker said: {line}");
                Ok(Self::Committed {
                    thread: thread.parse().with_context(bad)?,
                    number: number.parse().with_context(bad)?,
                    conflicts: conflicts.parse().with_context(bad)?,
                    change: Move {
                        files: files.parse().with_context(bad)?,
                        package: package.to_owned(),
                    },
                })
            }
            _ => bail!("the worker said: {line}"),
        }
    }
}

/// All transactions acknowledged so far, in the order of each writer's numbers.
#[derive(Default)]
pub struct Acks {
    by_writer: BTreeMap<Writer, Vec<Move>>,
}

impl Acks {
    /// Takes note of a writer's transaction `number`, which is the one after its last.
    pub fn add(&mut self, writer: Writer, number: u64, change: Move) -> Result<()> {
        let moves = self.by_writer.entry(writer).or_default();
        if number != moves.len() as u64 + 1 {
            bail!(
                "{writer} acknowledged transaction {number} after {}",
                moves.len()
            );
        }
        moves.push(change);
        Ok(())
    }

    /// Takes a transaction that was found without having been acknowledged for acknowledged:
    /// what was there once must stay there.
    pub fn settle(&mut self, image: &Image) {
        for row in &image.ledger {
            let writer = Writer {
                round: row.round,
                thread: row.thread,
            };
            let moves = self.by_writer.entry(writer).or_default();
            if row.number == moves.len() as u64 + 1 {
                moves.push(Move {
                    package: row.package.clone(),
                    files: row.files,
                });
            }
        }
    }

    /// What `writer` had acknowledged, transaction 1 first.
    pub fn of(&self, writer: Writer) -> &[Move] {
        self.by_writer.get(&writer).map_or(&[], Vec::as_slice)
    }

    /// All writers that acknowledged anything.
    pub fn writers(&self) -> impl Iterator<Item = Writer> {
        self.by_writer.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let change = Move {
            package: "libc6:amd64".to_owned(),
            files: -16,
        };
        for message in [
            Message::Ready,
            Message::Committed {
                thread: 3,
                number: 12,
                conflicts: 1,
                change,
            },
        ] {
            let mut line = Vec::new();
            message.send(&mut line).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert_eq!(Message::parse(line.trim_end()).unwrap(), message);
        }
    }

    #[test]
    fn a_gap_in_a_writers_numbers_is_an_error() {
        let writer = Writer {
            round: 1,
            thread: 0,
        };
        let change = Move {
            package: "a".to_owned(),
            files: 1,
        };
        let mut acks = Acks::default();
        acks.add(writer, 1, change.clone()).unwrap();
        assert!(acks.add(writer, 3, change).is_err());
        assert_eq!(acks.of(writer).len(), 1);
    }
}
