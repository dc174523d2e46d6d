//! The same random operations on a native table and on one of ours, through cursors that keep
//! their places: what each answers, and which key and value the cursor has afterwards.
//!
//! One thread drives everything, so that a seed replays a run. Left out: where a search nearby
//! ends that meets no item (either neighbour is right), and writes at snapshot isolation outside
//! of transactions (they would be tried again for ever, with nobody to let them through); and, under record numbers,
//! writes and searches where a cursor stands, which on a native table depend on whether it could keep the page (two
//! native tables differ there).

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::cmp::Ordering;
use std::collections::VecDeque;
use wiredtiger_testkit::{Change, Result};

use crate::common::*;

const SESSIONS: usize = 3;
const CURSORS: usize = 2;

/// What keys and values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Texts under texts.
    Texts,
    /// Texts under record numbers.
    Numbered,
    /// Bit fields under record numbers.
    Bits,
}

impl Shape {
    fn formats(self) -> &'static str {
        match self {
            Self::Texts => "key_format=S,value_format=S",
            Self::Numbered => "key_format=r,value_format=S",
            Self::Bits => "key_format=r,value_format=8t",
        }
    }

    /// The keys that are there at the beginning. A native table has all numbers below its last one,
    /// if its values are bit fields.
    fn first_keys(self) -> impl Iterator<Item = u32> {
        (0..KEYS).step_by(if self == Self::Bits { 1 } else { 2 })
    }
}

#[test]
fn object() {
    lockstep(Kind::Object, "", Shape::Texts);
}

#[test]
fn table() {
    lockstep(Kind::Table, "", Shape::Texts);
}

#[test]
fn no_overwrite() {
    lockstep(Kind::Object, "overwrite=false", Shape::Texts);
}

#[test]
fn numbered() {
    lockstep(Kind::Object, "", Shape::Numbered);
}

#[test]
fn numbered_no_overwrite() {
    lockstep(Kind::Table, "overwrite=false", Shape::Numbered);
}

#[test]
fn bits() {
    lockstep(Kind::Object, "", Shape::Bits);
}

#[test]
fn bits_no_overwrite() {
    lockstep(Kind::Table, "overwrite=false", Shape::Bits);
}

fn lockstep(kind: Kind, config: &str, shape: Shape) {
    let seed = seed("placed");
    for round in 0..4 {
        let (model, tested) = (Arena::new(Kind::Native), Arena::new(kind));
        for arena in [&model, &tested] {
            let session = arena.session();
            arena.create(&session, "t", shape.formats());
            let walker = Walker::new(&session, arena, "", shape);
            for key in shape.first_keys() {
                walker.put(key, 0).unwrap();
            }
        }
        let seed = seed.wrapping_add(round);
        run(
            &model,
            &tested,
            (config, shape),
            seed,
            setting("HELIUM_LOCKSTEP_STEPS", 4_000) / 2,
        );
    }
}

fn run(model: &Arena, tested: &Arena, (config, shape): (&str, Shape), seed: u64, steps: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| (model.session(), tested.session()))
        .collect();
    let cursors: Vec<Vec<_>> = sessions
        .iter()
        .map(|(left, right)| {
            let open = || {
                (
                    Walker::new(left, model, config, shape),
                    Walker::new(right, tested, config, shape),
                )
            };
            (0..CURSORS).map(|_| open()).collect()
        })
        .collect();
    let mut running = [false; SESSIONS];
    let observers = [model, tested].map(|arena| (arena, arena.session()));
    let mut history = VecDeque::new();
    for step in 0..steps {
        let who = random.random_range(0..SESSIONS);
        let which = random.random_range(0..CURSORS);
        let operation = Operation::choose(&mut random, running[who]);
        if shape != Shape::Texts && operation.is_where_it_stands() {
            continue;
        }
        history.push_back(format!(
            "{step}: session {who} cursor {which} {operation:?}"
        ));
        if history.len() > 60 {
            history.pop_front();
        }
        let (left, right) = &sessions[who];
        let all = &cursors[who];
        let expected = operation.run(left, all.iter().map(|c| &c.0).collect(), which);
        let found = operation.run(right, all.iter().map(|c| &c.1).collect(), which);
        let is_here =
            operation.is_where_it_stands() && !matches!(operation, Operation::SearchAgain);
        if let Some(last) = history.back_mut() {
            *last += &format!(" -> {:?} {:?}", expected.code, expected.has[which]);
        }
        if is_here && expected.code == Code::NOTFOUND {
            // WiredTiger had to give up the page on which the cursor stood, as it does after many
            // removals, and looked for the key anew.
            return;
        }
        assert_eq!(
            expected,
            found,
            "step {step}, HELIUM_SEED={seed}\n{}",
            history.make_contiguous().join("\n")
        );
        let [left_rows, right_rows] = observers
            .each_ref()
            .map(|(arena, session)| Walker::new(session, arena, "", shape).0.rows().unwrap());
        assert_eq!(
            left_rows,
            right_rows,
            "committed after step {step}, HELIUM_SEED={seed}\n{}",
            history.make_contiguous().join("\n")
        );
        running[who] = match operation {
            Operation::Begin(_) => true,
            Operation::Commit => expected.code != Code::OK,
            Operation::Rollback => false,
            _ => running[who],
        };
        if matches!(operation, Operation::Commit) && running[who] {
            left.rollback().unwrap();
            right.rollback().unwrap();
            running[who] = false;
        }
    }
}

/// A cursor that stays open.
struct Walker<'a>(Cursor<'a>, Shape);

impl<'a> Walker<'a> {
    fn new(session: &'a Session<'_>, arena: &Arena, config: &str, shape: Shape) -> Self {
        Self(session.cursor(&arena.uri("t"), config).unwrap(), shape)
    }

    fn set_key(&self, key: u32) -> Result<()> {
        match self.1 {
            Shape::Texts => self.0.set_key_str(&format!("k{key:02}")),
            Shape::Numbered | Shape::Bits => self.0.set_key_recno(u64::from(key) + 1),
        }
    }

    fn set_value(&self, value: u8) -> Result<()> {
        match self.1 {
            Shape::Texts | Shape::Numbered => self.0.set_value_str(&value.to_string()),
            Shape::Bits => self.0.set_value_bits(value),
        }
    }

    fn put(&self, key: u32, value: u8) -> Result<()> {
        self.set_key(key)?;
        self.set_value(value)?;
        self.0.insert()
    }

    /// Has the value begin with another one.
    fn modify(&self, value: u8) -> Result<()> {
        self.0.modify(&[Change {
            data: value.to_string().as_bytes(),
            offset: 0,
            size: usize::from(value % 3),
        }])
    }

    /// The key and the value that the cursor has.
    fn has(&self) -> [std::result::Result<String, Code>; 2] {
        let key = match self.1 {
            Shape::Texts => self.0.key_str(),
            Shape::Numbered | Shape::Bits => self.0.key_recno().map(|key| key.to_string()),
        };
        let value = match self.1 {
            Shape::Texts | Shape::Numbered => self.0.value_str(),
            Shape::Bits => self.0.value_bits().map(|value| value.to_string()),
        };
        [key, value].map(|text| text.map_err(|error| error.code))
    }
}

/// How an operation ended, and what all cursors of the session have afterwards.
#[derive(Debug, PartialEq)]
struct Answer {
    code: Code,
    has: Vec<[std::result::Result<String, Code>; 2]>,
}

#[derive(Debug)]
enum Operation {
    Begin(&'static str),
    Commit,
    Rollback,
    ResetSession,
    Reset,
    Next,
    Previous,
    Search(u32),
    SearchAgain,
    SearchNear(u32),
    Insert(u32, u8),
    Update(u32, u8),
    UpdateHere(u8),
    Remove(u32),
    RemoveHere,
    Reserve(u32),
    Modify(u32, u8),
    ModifyHere(u8),
    Truncate(u32, u32),
}

impl Operation {
    fn choose(random: &mut SmallRng, is_running: bool) -> Self {
        match random.random_range(0..100) {
            0..8 if !is_running => {
                let isolations = ["read-uncommitted", "read-committed", "snapshot", "snapshot"];
                Self::Begin(isolations.choose(random).unwrap())
            }
            0..5 if is_running => Self::Commit,
            5..8 if is_running => Self::Rollback,
            8..9 if !is_running => Self::ResetSession,
            8..12 => Self::Reset,
            12..30 => Self::Next,
            30..48 => Self::Previous,
            48..56 => Self::Search(key(random)),
            56..58 => Self::SearchAgain,
            58..62 => Self::SearchNear(key(random)),
            62..72 => Self::Insert(key(random), value(random)),
            72..77 => Self::Update(key(random), value(random)),
            77..82 => Self::UpdateHere(value(random)),
            82..87 => Self::Remove(key(random)),
            87..92 => Self::RemoveHere,
            92..94 => Self::Modify(key(random), value(random)),
            94..95 => Self::ModifyHere(value(random)),
            95..97 => Self::Reserve(key(random)),
            _ => {
                let start = random.random_range(0..KEYS);
                Self::Truncate(start, start + random.random_range(0..4))
            }
        }
    }

    /// Whether it goes on from where its cursor stands, and is not a step.
    fn is_where_it_stands(&self) -> bool {
        matches!(
            self,
            Self::UpdateHere(_) | Self::RemoveHere | Self::ModifyHere(_) | Self::SearchAgain
        )
    }

    fn run(&self, session: &Session<'_>, cursors: Vec<&Walker<'_>>, which: usize) -> Answer {
        let code = self.try_run(session, &cursors, which).code();
        let has = cursors.iter().map(|walker| walker.has()).collect();
        Answer { code, has }
    }

    fn try_run(&self, session: &Session<'_>, cursors: &[&Walker<'_>], which: usize) -> Result<()> {
        let walker = cursors[which];
        let cursor = &walker.0;
        match *self {
            Self::Begin(isolation) => session.begin(&format!("isolation={isolation}")),
            Self::Commit => session.commit(),
            Self::Rollback => session.rollback(),
            Self::ResetSession => session.reset(),
            Self::Reset => cursor.reset(),
            Self::Next => cursor.next(),
            Self::Previous => cursor.prev(),
            Self::Search(key) => {
                walker.set_key(key)?;
                cursor.search()
            }
            Self::SearchAgain => cursor.search(),
            Self::SearchNear(key) => {
                walker.set_key(key)?;
                if cursor.search_near()? != Ordering::Equal {
                    cursor.reset()?;
                }
                Ok(())
            }
            Self::Insert(key, value) => walker.put(key, value),
            Self::Update(key, value) => {
                walker.set_key(key)?;
                walker.set_value(value)?;
                cursor.update()
            }
            Self::UpdateHere(value) => {
                walker.set_value(value)?;
                cursor.update()
            }
            Self::Remove(key) => {
                if walker.1 != Shape::Texts {
                    cursor.reset()?;
                }
                walker.set_key(key)?;
                cursor.remove()
            }
            Self::RemoveHere => cursor.remove(),
            Self::Reserve(key) => {
                walker.set_key(key)?;
                cursor.reserve()
            }
            Self::Modify(key, value) => {
                walker.set_key(key)?;
                walker.modify(value)
            }
            Self::ModifyHere(value) => walker.modify(value),
            Self::Truncate(start, stop) => {
                let other = cursors[(which + 1) % CURSORS];
                walker.set_key(start)?;
                other.set_key(stop)?;
                session.truncate_range(Some(cursor), Some(&other.0))
            }
        }
    }
}

/// So few that sessions meet; so many that a walk hardly ever passes all of them. WiredTiger
/// throws out a page with removed rows when a walk has passed it, and then loses views and places.
const KEYS: u32 = 40;

fn key(random: &mut SmallRng) -> u32 {
    random.random_range(0..KEYS)
}

fn value(random: &mut SmallRng) -> u8 {
    random.random()
}
