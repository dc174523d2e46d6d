//! The same random operations, from several sessions, on a native table and on one of ours:
//! the same answers, the same scans in both directions, and the same contents after reopening.
//!
//! One thread drives everything, so that a seed replays a run. What the model leaves out,
//! because data sources differ from native tables there by design:
//! * a cursor keeps no place between operations (a native one pins its snapshot with it);
//! * snapshot writes only in explicit transactions (autocommit would retry for ever, alone);
//! * prepared transactions only in runs without read-uncommitted readers, and without
//!   reservations: a native table gives these up at the prepare, of which a data source is
//!   not told; nor `modify`, which for a data source searches first and so meets the prepared
//!   row as a reader, with another error.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::cmp::Ordering;
use std::collections::VecDeque;
use wiredtiger_testkit::{Change, Result, Row};

use crate::common::*;

const SESSIONS: usize = 4;
const FORMATS: &str = "key_format=u,value_format=u";

/// Which transactions a run has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    EveryIsolation,
    SnapshotAndPrepared,
}

#[test]
fn native() {
    lockstep(Kind::Native);
}

#[test]
fn object() {
    lockstep(Kind::Object);
}

#[test]
fn table() {
    lockstep(Kind::Table);
}

fn lockstep(kind: Kind) {
    let seed = seed("lockstep");
    let steps = setting("HELIUM_LOCKSTEP_STEPS", 4_000);
    for (number, mode) in [Mode::EveryIsolation, Mode::SnapshotAndPrepared]
        .iter()
        .enumerate()
    {
        run(kind, *mode, seed.wrapping_add(number as u64), steps);
    }
}

fn run(kind: Kind, mode: Mode, seed: u64, steps: u64) {
    let (mut model, mut tested) = (Arena::new(Kind::Native), Arena::new(kind));
    for arena in [&model, &tested] {
        arena.create(&arena.session(), "t", FORMATS);
    }
    let (expected, found) = drive(&model, &tested, mode, seed, steps);
    assert_eq!(expected, found, "at the end, HELIUM_SEED={seed}");
    model.reopen();
    tested.reopen();
    let after = |arena: &Arena| {
        let session = arena.session();
        session.cursor(&arena.uri("t"), "").unwrap().rows().unwrap()
    };
    assert_eq!(
        after(&model),
        expected,
        "native, reopened, HELIUM_SEED={seed}"
    );
    assert_eq!(after(&tested), expected, "reopened, HELIUM_SEED={seed}");
}

/// Runs the steps and says what both tables hold at the end.
fn drive(model: &Arena, tested: &Arena, mode: Mode, seed: u64, steps: u64) -> (Vec<Row>, Vec<Row>) {
    let mut random = SmallRng::seed_from_u64(seed);
    let sides: Vec<(Session, Session)> = (0..SESSIONS)
        .map(|_| (model.session(), tested.session()))
        .collect();
    let mut states = [State::Idle; SESSIONS];
    let mut history = VecDeque::new();
    for step in 0..steps {
        let who = random.random_range(0..SESSIONS);
        let operation = Operation::choose(&mut random, mode, states[who], step);
        history.push_back(format!(
            "{step}: session {who} ({:?}) {operation:?}",
            states[who]
        ));
        if history.len() > 30 {
            history.pop_front();
        }
        let (left, right) = &sides[who];
        let expected = operation.run(left, &model.uri("t"));
        let found = operation.run(right, &tested.uri("t"));
        assert_eq!(
            expected,
            found,
            "step {step}, {mode:?}, HELIUM_SEED={seed}\n{}",
            history.make_contiguous().join("\n")
        );
        states[who] = states[who].after(&operation, expected.code);
        if expected.code == Code::ROLLBACK {
            left.rollback().unwrap();
            right.rollback().unwrap();
            states[who] = State::Idle;
        }
    }
    for (who, (left, right)) in sides.iter().enumerate() {
        if states[who] != State::Idle {
            left.rollback().unwrap();
            right.rollback().unwrap();
        }
    }
    let (left, right) = &sides[0];
    (all(left, &model.uri("t")), all(right, &tested.uri("t")))
}

fn all(session: &Session<'_>, uri: &str) -> Vec<Row> {
    session.cursor(uri, "").unwrap().rows().unwrap()
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Idle,
    Running,
    /// Running under snapshot isolation.
    Snapshot,
    Prepared,
}

impl State {
    fn after(self, operation: &Operation, code: Code) -> Self {
        match operation {
            Operation::Begin("snapshot") => Self::Snapshot,
            Operation::Begin(_) => Self::Running,
            Operation::Commit | Operation::Rollback | Operation::CommitPrepared(_) => Self::Idle,
            Operation::Prepare(_) if code == Code::OK => Self::Prepared,
            _ => self,
        }
    }
}

#[derive(Debug)]
enum Operation {
    Begin(&'static str),
    Commit,
    Rollback,
    Prepare(u64),
    CommitPrepared(u64),
    Insert {
        key: Bytes,
        value: Bytes,
        overwrite: bool,
    },
    Update {
        key: Bytes,
        value: Bytes,
        overwrite: bool,
    },
    Remove {
        key: Bytes,
        overwrite: bool,
    },
    Reserve(Bytes),
    Modify {
        key: Bytes,
        data: Bytes,
        offset: usize,
        size: usize,
    },
    Truncate(Bytes, Bytes),
    Search(Bytes),
    SearchNear(Bytes),
    Walk {
        from: Bytes,
        steps: Vec<bool>,
    },
    Scan,
}

/// A key or a value, shown as text and only as long as a reader wants it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.0[..self.0.len().min(12)];
        write!(f, "\"{}\"", start.escape_ascii())?;
        if start.len() < self.0.len() {
            write!(f, "..{}", self.0.len())
        } else {
            Ok(())
        }
    }
}

/// How an operation ended, and what it saw.
#[derive(Debug, PartialEq)]
struct Answer {
    code: Code,
    seen: Vec<(Bytes, Bytes)>,
}

impl Operation {
    fn choose(random: &mut SmallRng, mode: Mode, state: State, step: u64) -> Self {
        if state == State::Prepared {
            return if random.random_bool(0.7) {
                Self::CommitPrepared(step)
            } else {
                Self::Rollback
            };
        }
        let may_write = mode == Mode::EveryIsolation || state != State::Idle;
        match random.random_range(0..100) {
            0..14 if state == State::Idle => Self::Begin(match mode {
                Mode::EveryIsolation => {
                    ["read-uncommitted", "read-committed", "snapshot", "snapshot"]
                        .choose(random)
                        .copied()
                        .unwrap_or("snapshot")
                }
                Mode::SnapshotAndPrepared => "snapshot",
            }),
            0..7 => Self::Commit,
            7..10 => Self::Rollback,
            10..14 if mode == Mode::SnapshotAndPrepared => Self::Prepare(step),
            14..60 if may_write => Self::choose_write(random, mode, state),
            60..75 => Self::Search(key(random)),
            75..85 => Self::SearchNear(key(random)),
            85..95 => Self::Walk {
                from: key(random),
                steps: (0..random.random_range(1..8))
                    .map(|_| random.random())
                    .collect(),
            },
            _ => Self::Scan,
        }
    }

    fn choose_write(random: &mut SmallRng, mode: Mode, state: State) -> Self {
        let (key, value, overwrite) = (key(random), value(random), random.random());
        match random.random_range(0..20) {
            0..7 => Self::Insert {
                key,
                value,
                overwrite,
            },
            7..12 => Self::Update {
                key,
                value,
                overwrite,
            },
            12..16 => Self::Remove { key, overwrite },
            16..18 if state != State::Idle && mode == Mode::EveryIsolation => Self::Reserve(key),
            18..19 if state == State::Snapshot && mode == Mode::EveryIsolation => Self::Modify {
                key,
                data: value,
                offset: random.random_range(0..20),
                size: random.random_range(0..5),
            },
            19 if random.random_bool(0.3) => {
                let other = self::key(random);
                Self::Truncate(key.clone().min(other.clone()), key.max(other))
            }
            _ => Self::Insert {
                key,
                value,
                overwrite: true,
            },
        }
    }

    fn run(&self, session: &Session<'_>, uri: &str) -> Answer {
        let mut seen = Vec::new();
        let code = self.try_run(session, uri, &mut seen).code();
        let seen = seen
            .into_iter()
            .map(|(key, value)| (Bytes(key), Bytes(value)))
            .collect();
        Answer { code, seen }
    }

    fn try_run(&self, session: &Session<'_>, uri: &str, seen: &mut Vec<Row>) -> Result<()> {
        let open = |overwrite: &bool| session.cursor(uri, &format!("overwrite={overwrite}"));
        match self {
            Self::Begin(isolation) => session.begin(&format!("isolation={isolation}")),
            Self::Commit => session.commit(),
            Self::Rollback => session.rollback(),
            Self::Prepare(time) => session.prepare(&format!("prepare_timestamp={:x}", time + 1)),
            Self::CommitPrepared(time) => session.commit_with(&format!(
                "commit_timestamp={0:x},durable_timestamp={0:x}",
                time + 1
            )),
            Self::Insert {
                key,
                value,
                overwrite,
            } => {
                let cursor = open(overwrite)?;
                cursor.set_key(key)?;
                cursor.set_value(value)?;
                cursor.insert()
            }
            Self::Update {
                key,
                value,
                overwrite,
            } => {
                let cursor = open(overwrite)?;
                cursor.set_key(key)?;
                cursor.set_value(value)?;
                cursor.update()
            }
            Self::Remove { key, overwrite } => {
                let cursor = open(overwrite)?;
                cursor.set_key(key)?;
                cursor.remove()
            }
            Self::Reserve(key) => {
                let cursor = open(&true)?;
                cursor.set_key(key)?;
                cursor.reserve()
            }
            Self::Modify {
                key,
                data,
                offset,
                size,
            } => {
                let cursor = open(&true)?;
                cursor.set_key(key)?;
                cursor.modify(&[Change {
                    data,
                    offset: *offset,
                    size: *size,
                }])
            }
            Self::Truncate(start, stop) => {
                let (first, last) = (open(&true)?, open(&true)?);
                first.set_key(start)?;
                last.set_key(stop)?;
                session.truncate_range(Some(&first), Some(&last))
            }
            Self::Search(key) => {
                let cursor = open(&true)?;
                cursor.set_key(key)?;
                cursor.search()?;
                note(&cursor, seen)
            }
            Self::SearchNear(key) => near(&open(&true)?, key, seen),
            Self::Walk { from, steps } => walk(&open(&true)?, from, steps, seen),
            Self::Scan => scan(&open(&true)?, seen),
        }
    }
}

/// Either neighbour is a right answer, so the two neighbours are noted, not the choice.
fn near(cursor: &Cursor<'_>, key: &[u8], seen: &mut Vec<Row>) -> Result<()> {
    cursor.set_key(key)?;
    let side = cursor.search_near()?;
    assert_eq!(
        side,
        cursor.key()?.as_slice().cmp(key),
        "the side does not fit the key"
    );
    if side == Ordering::Equal {
        return note(cursor, seen);
    }
    let here = (cursor.key()?, cursor.value()?);
    let other = if side == Ordering::Less {
        cursor.next()
    } else {
        cursor.prev()
    };
    let other = if other.found()? {
        Some((cursor.key()?, cursor.value()?))
    } else {
        None
    };
    if let Some((beyond, _)) = &other {
        assert_ne!(
            beyond.as_slice().cmp(key),
            side,
            "not the nearest neighbour"
        );
    }
    seen.push(here);
    seen.extend(other);
    seen.sort();
    Ok(())
}

fn walk(cursor: &Cursor<'_>, from: &[u8], steps: &[bool], seen: &mut Vec<Row>) -> Result<()> {
    cursor.set_key(from)?;
    cursor.search()?;
    for forward in steps {
        if *forward {
            cursor.next()?
        } else {
            cursor.prev()?
        }
        note(cursor, seen)?;
    }
    Ok(())
}

fn scan(cursor: &Cursor<'_>, seen: &mut Vec<Row>) -> Result<()> {
    seen.extend(cursor.rows()?);
    seen.extend(cursor.rows_back()?);
    Ok(())
}

fn note(cursor: &Cursor<'_>, seen: &mut Vec<Row>) -> Result<()> {
    seen.push((cursor.key()?, cursor.value()?));
    Ok(())
}

/// One of a few keys, so that sessions meet; some are prefixes of others.
fn key(random: &mut SmallRng) -> Bytes {
    let letter = b"abcdef"[random.random_range(0..6)];
    Bytes(vec![letter; random.random_range(1..5)])
}

fn value(random: &mut SmallRng) -> Bytes {
    let long = random.random_bool(0.05);
    let size = random.random_range(0..if long { 5_000 } else { 20 });
    Bytes((0..size).map(|_| random.random()).collect())
}
