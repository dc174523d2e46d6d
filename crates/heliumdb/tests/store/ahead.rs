//! Reading ahead shows what a new look would show, whatever happened since.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use helium_sim::{Keeper, seed};
use heliumdb::host::DatastoreExt;
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore,
    Isolation::{self, ReadCommitted, ReadUncommitted, Snapshot},
    Position, Result,
    host::{ReadAhead, Wanted},
};
use rand::{Rng, seq::IndexedRandom};

use crate::common::{Session, store};

/// A cursor, as a data source has them.
#[derive(Default)]
struct Walker {
    ahead: ReadAhead,
    at: Option<Vec<u8>>,
    value: Vec<u8>,
    steps: usize,
}

/// After so many steps a walker that was after items is after keys alone, then after what is at hand, then after lengths, and so on.
const STEPS_OF_A_KIND: usize = 16;

impl Walker {
    /// One step of a new statement, compared with a new look by the same eyes.
    fn step(&mut self, session: &mut Session, store: &Datastore, forward: bool) -> Option<String> {
        session.view.operation();
        let position = match (&self.at, forward) {
            (None, true) => Position::First,
            (None, false) => Position::Last,
            (Some(key), true) => Position::After(key),
            (Some(key), false) => Position::Before(key),
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let anew = store.seek(&session.view, position, &mut key, &mut value);
        let mut found = Vec::new();
        let view = &session.view;
        let wanted = match self.steps / STEPS_OF_A_KIND % 4 {
            0 => Wanted::Items,
            1 => Wanted::Keys,
            2 => Wanted::AtHand,
            _ => Wanted::Lengths,
        };
        self.steps += 1;
        let from = (position, wanted);
        let ahead = store.seek_ahead(view, from, &mut self.ahead, &mut found, &mut self.value);
        assert_eq!(kind(&ahead), kind(&anew));
        let Ok(true) = ahead else {
            self.at = None;
            return None;
        };
        let expected = match wanted {
            Wanted::Items => Some(value.clone()),
            Wanted::Keys => None,
            Wanted::AtHand => self.ahead.has_value().then(|| value.clone()),
            Wanted::Lengths => Some((value.len() as u64).to_le_bytes().to_vec()),
        };
        let expected = expected.unwrap_or_default();
        assert_eq!((&found, &self.value), (&key, &expected));
        self.at = Some(found);
        Some(String::from_utf8_lossy(&value).into_owned())
    }
}

fn kind(result: &Result<bool>) -> std::result::Result<bool, heliumdb::ErrorKind> {
    result.as_ref().copied().map_err(heliumdb::Error::kind)
}

fn key(number: u32) -> String {
    format!("{number:04}")
}

fn fill(keeper: &Arc<Keeper>, store: &Datastore, keys: u32, value: &str) {
    let mut session = Session::begin(keeper, Snapshot);
    for number in 0..keys {
        session.put(store, &key(number), value).unwrap();
    }
    session.commit().unwrap();
}

/// A walker that has taken `steps` steps, so that more is read ahead.
fn walked(session: &mut Session, store: &Datastore, steps: u32) -> Walker {
    let mut walker = Walker::default();
    for _ in 0..steps {
        walker.step(session, store, true).unwrap();
    }
    walker
}

#[test]
fn read_committed_sees_what_is_committed_between_two_steps() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    fill(&keeper, &store, 100, "old");
    volume.settle(&*keeper);
    let mut reader = Session::begin(&keeper, ReadCommitted);
    let mut walker = walked(&mut reader, &store, 10);
    fill(&keeper, &store, 100, "new");
    assert_eq!(walker.step(&mut reader, &store, true).unwrap(), "new");

    let mut walker = walked(&mut reader, &store, 10);
    let mut writer = Session::begin(&keeper, ReadCommitted);
    writer.put(&store, "0009x", "between").unwrap();
    writer.remove(&store, "0010").unwrap();
    assert_eq!(walker.step(&mut reader, &store, true).unwrap(), "new");
    let mut walker = walked(&mut reader, &store, 10);
    writer.commit().unwrap();
    assert_eq!(walker.step(&mut reader, &store, true).unwrap(), "between");
    walker.step(&mut reader, &store, true).unwrap();
    assert_eq!(walker.at.as_deref(), Some(&b"0011"[..]));
}

#[test]
fn committed_in_the_store_but_not_yet_published_is_seen_when_it_is() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    fill(&keeper, &store, 100, "old");
    volume.settle(&*keeper);
    let mut writer = Session::begin(&keeper, Snapshot);
    writer.put(&store, "0020", "new").unwrap();
    writer.commit_unpublished().unwrap();
    let mut reader = Session::begin(&keeper, ReadCommitted);
    let mut walker = walked(&mut reader, &store, 15);
    writer.view.end();
    for _ in 15..20 {
        walker.step(&mut reader, &store, true).unwrap();
    }
    assert_eq!(walker.step(&mut reader, &store, true).unwrap(), "new");
}

#[test]
fn a_transaction_sees_its_own_writes_ahead_of_it_until_it_rolls_back() {
    for level in [ReadUncommitted, ReadCommitted, Snapshot] {
        let (_machine, volume, store) = store();
        let keeper = Keeper::new();
        fill(&keeper, &store, 100, "old");
        volume.settle(&*keeper);
        let mut session = Session::begin(&keeper, level);
        let mut walker = walked(&mut session, &store, 10);
        session.put(&store, "0010", "mine").unwrap();
        assert_eq!(walker.step(&mut session, &store, true).unwrap(), "mine");
        session.put(&store, "0011", "mine").unwrap();
        session.put(&store, "0011", "mine again").unwrap();
        assert_eq!(
            walker.step(&mut session, &store, true).unwrap(),
            "mine again"
        );
        let mut walker = walked(&mut session, &store, 10);
        session.abort();
        let mut next = Session::begin(&keeper, level);
        assert_eq!(walker.step(&mut next, &store, true).unwrap(), "old");
    }
}

#[test]
fn writes_outside_transactions_and_truncation_end_a_batch() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    fill(&keeper, &store, 100, "old");
    volume.settle(&*keeper);
    let mut reader = Session::begin(&keeper, Snapshot);
    let mut walker = walked(&mut reader, &store, 10);
    store.put(b"0010", b"direct").unwrap();
    assert_eq!(walker.step(&mut reader, &store, true).unwrap(), "direct");
    assert!(store.delete(b"0011").unwrap());
    walker.step(&mut reader, &store, true).unwrap();
    assert_eq!(walker.at.as_deref(), Some(&b"0012"[..]));
    volume.truncate_datastore(store.id()).unwrap();
    assert_eq!(walker.step(&mut reader, &store, true), None);
}

/// Sessions write, commit, prepare and roll back at random between the steps of walks at every
/// level and in both directions; each step is compared with a new look.
#[test]
fn every_step_is_what_a_new_look_finds() {
    for round in 0..60 {
        let mut rng = seed::rng(round);
        let (_machine, volume, store) = store();
        let keeper = Keeper::new();
        let mut others: Vec<Session> = Vec::new();
        let mut readers: Vec<(Session, Walker, bool)> = Vec::new();
        let level = |rng: &mut _| {
            let levels = [ReadUncommitted, ReadCommitted, Snapshot];
            *levels.choose(rng).unwrap_or(&Snapshot)
        };
        for _ in 0..600 {
            let name = key(rng.random_range(0..60));
            match rng.random_range(0..100) {
                0..30 => write(
                    &mut others,
                    &keeper,
                    level(&mut rng),
                    &store,
                    &name,
                    &mut rng,
                ),
                30..36 if !others.is_empty() => {
                    let at = rng.random_range(0..others.len());
                    end(others.swap_remove(at), &mut rng);
                }
                36..38 => drop(volume.settle(&*keeper)),
                38 => drop(store.put(name.as_bytes(), b"direct")),
                39 => drop(store.delete(name.as_bytes())),
                40..44 if readers.len() < 4 => {
                    let session = Session::begin(&keeper, level(&mut rng));
                    readers.push((session, Walker::default(), rng.random()));
                }
                44 if !readers.is_empty() => {
                    let at = rng.random_range(0..readers.len());
                    end(readers.swap_remove(at).0, &mut rng);
                }
                45..48 if !readers.is_empty() => {
                    let at = rng.random_range(0..readers.len());
                    // A conflict is as good as a write.
                    let _ = readers[at].0.put(&store, &name, "reader's own");
                }
                _ => {
                    for (session, walker, forward) in &mut readers {
                        if rng.random_bool(0.02) {
                            *forward = !*forward;
                        }
                        walker.step(session, &store, *forward);
                    }
                }
            };
        }
    }
}

fn write(
    others: &mut Vec<Session>,
    keeper: &Arc<Keeper>,
    level: Isolation,
    store: &Datastore,
    name: &str,
    rng: &mut impl Rng,
) {
    if others.len() < 4 {
        others.push(Session::begin(keeper, level));
    }
    let at = rng.random_range(0..others.len());
    // What is refused changes nothing.
    let _ = match rng.random_range(0..10) {
        0..6 => others[at].put(store, name, &rng.random_range(0..1000).to_string()),
        6..9 => others[at].remove(store, name),
        _ => others[at].reserve(store, name),
    };
}

fn end(mut session: Session, rng: &mut impl Rng) {
    match rng.random_range(0..10) {
        0..5 => drop(session.commit()),
        5..7 => session.abort(),
        7 => {
            session.view.prepare();
            session.abort();
        }
        _ => {
            if session.commit_unpublished().is_ok() {
                let _ = session.cancel();
            }
        }
    }
}

/// Each commit gives all items the next number. At read-committed the numbers of one walk never
/// fall, and a snapshot's are all the same.
#[test]
fn walks_beside_a_committing_thread_never_go_back() {
    const KEYS: u32 = 200;
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    fill(&keeper, &store, KEYS, "0");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..200 {
                fill(&keeper, &store, KEYS, &round.to_string());
                if round % 3 == 0 {
                    volume.settle(&*keeper);
                }
            }
            done.store(true, Ordering::Release);
        });
        for level in [ReadCommitted, Snapshot] {
            let (keeper, store, done) = (&keeper, &store, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    walk(keeper, store, level, KEYS);
                }
            });
        }
    });
}

fn walk(keeper: &Arc<Keeper>, store: &Datastore, level: Isolation, keys: u32) {
    let mut session = Session::begin(keeper, level);
    let mut ahead = ReadAhead::default();
    let (mut key, mut next, mut value) = (Vec::new(), Vec::new(), Vec::new());
    let (mut count, mut least, mut most) = (0, u64::MAX, 0);
    loop {
        session.view.operation();
        let position = match count {
            0 => Position::First,
            _ => Position::After(&key),
        };
        let view = &session.view;
        if !store
            .seek_ahead(
                view,
                (position, Wanted::Items),
                &mut ahead,
                &mut next,
                &mut value,
            )
            .unwrap()
        {
            break;
        }
        std::mem::swap(&mut key, &mut next);
        let number: u64 = String::from_utf8_lossy(&value).parse().unwrap();
        assert!(number >= most, "{number} after {most}");
        (least, most, count) = (least.min(number), number, count + 1);
    }
    assert_eq!(count, keys);
    assert!(level != Snapshot || least == most, "{least} to {most}");
}
