//! Who has a volume open for writing, under another name of the same bytes, or on another machine.

use super::*;
use crate::{
    ErrorKind,
    device::{Device, MemoryDevice, Place},
    format::{
        Look,
        opener::{OPENER_AT, Opener},
    },
    limits::BLOCK_BYTES,
    log::opener::Held,
    peers::Process,
};
use std::{io, time::Duration};

const DISK: Place = Place {
    is_file: false,
    device: 7,
    inode: 0,
};
const LOOP: Place = Place { device: 8, ..DISK };
const FILE: Place = Place {
    is_file: true,
    device: 9,
    inode: 1,
};

/// The bytes of a device, by one of its names.
struct Named {
    bytes: Arc<MemoryDevice>,
    place: Place,
}

impl Device for Named {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_at(buffer, offset)
    }
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.bytes.write_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> u64 {
        self.bytes.len()
    }
    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.bytes.grow(bytes)
    }
    fn can_grow(&self) -> bool {
        false
    }
    fn place(&self) -> Option<Place> {
        Some(self.place)
    }
    fn name(&self) -> &str {
        "named"
    }
}

fn bytes() -> Arc<MemoryDevice> {
    Arc::new(MemoryDevice::new("bytes", 64 << 20).unwrap())
}

fn named(bytes: &Arc<MemoryDevice>, place: Place) -> Box<dyn Device> {
    let bytes = bytes.clone();
    Box::new(Named { bytes, place })
}

fn open(bytes: &Arc<MemoryDevice>, place: Place) -> Result<OpenLog> {
    let mut model = Model::default();
    let log = OpenLog::open_or_create(vec![named(bytes, place)], &quiet(), &mut model)?;
    log.set_live(&model.alive)?;
    Ok(log)
}

/// All that is on the device.
fn all(bytes: &MemoryDevice) -> Vec<u8> {
    let mut all = vec![0; bytes.len() as usize];
    bytes.read_at(&mut all, 0).unwrap();
    all
}

fn mark_on(bytes: &MemoryDevice) -> Look<Opener> {
    let mut block = [0; BLOCK_BYTES];
    bytes.read_at(&mut block, OPENER_AT).unwrap();
    Opener::decode(&block)
}

/// A mark of another process, of which this machine knows nothing.
fn stranger(nonce: u8) -> Opener {
    let mut name = [0; 64];
    name[..5].copy_from_slice(b"other");
    Opener {
        process: Process {
            host: [1; 16],
            boot: [2; 16],
            pid: 4242,
            name,
            ..Process::here()
        },
        place: LOOP,
        nonce: [nonce; 16],
        claims: false,
    }
}

fn leave(bytes: &MemoryDevice, mark: &Opener) {
    bytes.write_at(&mark.encode(), OPENER_AT).unwrap();
}

#[track_caller]
fn assert_in_use<T>(result: Result<T>, parts: &[&str]) {
    let why = result.map(|_| ()).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::VolumeInUse, "{why}");
    for part in parts {
        assert!(why.to_string().contains(part), "{why}");
    }
}

#[test]
fn a_second_opener_by_another_name_is_refused_whatever_it_wants() {
    let bytes = bytes();
    let log = open(&bytes, DISK).unwrap();
    put_synced(&log, 1, b"a", b"1");
    let before = all(&bytes);
    for place in [LOOP, FILE] {
        assert_in_use(open(&bytes, place), &["named", "this process"]);
        let devices = || vec![named(&bytes, place)];
        assert_in_use(
            OpenLog::create(devices(), &quiet()),
            &["close it there first"],
        );
        assert_in_use(OpenLog::erase(devices()), &["close it there first"]);
    }
    assert!(all(&bytes) == before, "it was written to");
    put_synced(&log, 2, b"b", b"2");
    log.close().unwrap();
    assert_eq!(mark_on(&bytes), Look::Blank);
    let log = open(&bytes, LOOP).unwrap();
    put_synced(&log, 3, b"c", b"3");
}

#[test]
fn what_nobody_has_open_any_more_is_opened_at_once() {
    let here = Process::here();
    // Above all numbers that the kernel gives.
    let pid = (1 << 22) + 1;
    let gone: [fn(&mut Opener, Process); 4] = [
        // It has ended; or another one has its number; or the machine was started again since.
        |_, _| {},
        |mark, here| (mark.process.pid, mark.process.started) = (here.pid, here.started + 1),
        |mark, here| (mark.process.host, mark.process.boot) = (here.host, [3; 16]),
        // This process had it, and let go of it without a word.
        |mark, here| mark.process = here,
    ];
    for (number, change) in gone.into_iter().enumerate() {
        let bytes = bytes();
        open(&bytes, DISK).unwrap().close().unwrap();
        let mut mark = stranger(1);
        mark.process = Process { pid, ..here };
        change(&mut mark, here);
        if number == 2 && here.host == [0; 16] {
            // A machine without an id.
            continue;
        }
        leave(&bytes, &mark);
        let device = named(&bytes, DISK);
        let took = Held::take(device.as_ref(), &|_| panic!("{number}: it waited"));
        assert!(took.unwrap().is_some(), "{number}");
    }
}

/// Locks tell who has a file under its own name; under two names of one kernel there are two files.
#[test]
fn files_have_their_locks_and_copies_are_their_own() {
    let bytes = bytes();
    let log = open(&bytes, FILE).unwrap();
    let copied = Arc::new(MemoryDevice::new("copy", 64 << 20).unwrap());
    copied.write_at(&all(&bytes), 0).unwrap();
    let other = Place { inode: 2, ..FILE };
    open(&copied, other).unwrap().close().unwrap();
    open(&copied, FILE).unwrap().close().unwrap();
    put_synced(&log, 1, b"a", b"1");
}

#[test]
fn an_opener_of_which_nothing_is_known_is_asked_and_answers_or_is_followed() {
    let bytes = bytes();
    open(&bytes, DISK).unwrap().close().unwrap();
    leave(&bytes, &stranger(1));
    let device = named(&bytes, DISK);
    // It answers by leaving its mark again.
    let answer = |_: Duration| {
        let Look::Good(claim) = mark_on(&bytes) else {
            panic!("nobody asks")
        };
        assert!(claim.claims);
        leave(&bytes, &stranger(1));
    };
    let refused = Held::take(device.as_ref(), &answer);
    assert_in_use(refused, &["process 4242 on other"]);
    assert_eq!(mark_on(&bytes), Look::Good(stranger(1)));
    // Two may ask at the same time: the last one gets it.
    let refused = Held::take(device.as_ref(), &|_| leave(&bytes, &stranger(2)));
    assert_in_use(refused, &[]);
    let taken = Held::take(device.as_ref(), &|_| {}).unwrap().unwrap();
    assert!(matches!(mark_on(&bytes), Look::Good(mark) if !mark.claims));
    taken.let_go(device.as_ref()).unwrap();
    assert_eq!(mark_on(&bytes), Look::Blank);
}

#[test]
fn who_has_a_volume_answers_whoever_asks() {
    let bytes = bytes();
    let device = named(&bytes, DISK);
    let held = Held::take(device.as_ref(), &|_| {}).unwrap().unwrap();
    let own = mark_on(&bytes);
    let mut asks = stranger(1);
    asks.claims = true;
    leave(&bytes, &asks);
    held.check(device.as_ref(), true).unwrap();
    assert_eq!(mark_on(&bytes), own);
    // What it finds of another's it leaves there.
    leave(&bytes, &stranger(1));
    assert_in_use(
        held.check(device.as_ref(), true),
        &["process 4242 on other"],
    );
    held.let_go(device.as_ref()).unwrap();
    assert_eq!(mark_on(&bytes), Look::Good(stranger(1)));
}

#[test]
fn who_finds_another_opener_writes_nothing_more() {
    let volume = || {
        let bytes = bytes();
        let log = open(&bytes, DISK).unwrap();
        put_synced(&log, 1, b"a", b"1");
        leave(&bytes, &stranger(1));
        (all(&bytes), bytes, log)
    };
    // Before a superblock, always.
    let (before, bytes, log) = volume();
    assert_in_use(
        log.superblocks
            .announce(&log.medium, crate::format::superblock::MAY_HOLD_MOVES),
        &["process 4242 on other"],
    );
    let mut batch = Batch::new(BatchKind::Commit);
    batch.push(1, 2, false, b"b", Some(b"2"));
    let refused = log.append(&mut batch, false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned);
    assert!(log.close().is_err());
    assert!(all(&bytes) == before, "it was written to");
    // Before anything else, soon.
    let (_, bytes, log) = volume();
    let mut batches = 2..;
    let refused = loop {
        let mut batch = Batch::new(BatchKind::Commit);
        let seq = batches.next().unwrap();
        batch.push(1, seq, false, b"b", Some(b"2"));
        if let Err(why) = log
            .append(&mut batch, false)
            .and_then(|at| log.sync_to(at.end))
        {
            break why;
        }
    };
    assert_in_use::<()>(Err(refused), &["process 4242 on other"]);
    assert_eq!(mark_on(&bytes), Look::Good(stranger(1)));
}

#[test]
fn who_only_reads_leaves_no_mark_and_who_is_refused_none_either() {
    let bytes = bytes();
    let log = open(&bytes, DISK).unwrap();
    put_synced(&log, 1, b"a", b"1");
    log.close().unwrap();
    let before = all(&bytes);
    let read_only = VolumeOptions {
        read_only: true,
        ..quiet()
    };
    let read = OpenLog::open(vec![named(&bytes, DISK)], &read_only, &mut Model::default());
    assert!(all(&bytes) == before);
    drop(read.unwrap());
    bytes.write_at(&[0; 8192], 1 << 20).unwrap();
    let before = all(&bytes);
    assert_eq!(
        open(&bytes, DISK).map(|_| ()).unwrap_err().kind(),
        ErrorKind::Damaged
    );
    assert!(all(&bytes) == before);
}
