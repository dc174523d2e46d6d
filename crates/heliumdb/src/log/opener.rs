//! One opener at a time, under whatever name it has the volume's devices: who opens for writing leaves a mark on
//! the first device.
//!
//! Locks belong to what the kernel knows to be the same. Two nodes whose common bytes it does not know of, two
//! containers and two machines are told apart by the mark alone, which the bytes themselves carry.
//!
//! Invariant: nobody writes to a volume whose mark has another opener's nonce, but for what was on its way when the mark
//! changed; and nobody takes the mark of an opener that may be there without having asked it first, and waited
//! longer than it takes to answer.

use crate::{
    Error, ErrorKind, Result, clock,
    device::{Device, aligned::AlignedBuffer},
    format::{
        Look,
        opener::{OPENER_AT, Opener},
    },
    limits::{BLOCK_BYTES, OPENER_LOOKS_MS, OPENER_WAIT_MS},
    peers::{Process, Standing},
    process::Owner,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    io,
    time::{Duration, Instant},
};

/// A mark is read so often before it counts as destroyed: somebody may be writing it this moment.
const READ_ATTEMPTS: usize = 3;

/// Nonces of what this process has open: which of its own marks are left over, nobody else can tell it.
static OPEN: Mutex<BTreeSet<[u8; 16]>> = Mutex::new(BTreeSet::new());

/// The mark of a volume that is open for writing.
pub(super) struct Held {
    mark: Opener,
    owner: Owner,
    looked: Mutex<Instant>,
}

impl Held {
    /// Marks a volume by its first device, unless somebody else has it open. `None` if nobody else can have
    /// the device. `wait` lets time pass.
    pub(super) fn take(device: &dyn Device, wait: &dyn Fn(Duration)) -> Result<Option<Self>> {
        let Some(mut mark) = ask(device, wait)? else {
            return Ok(None);
        };
        mark.claims = false;
        let owner = Owner::here()?;
        // CRASH: the mark before, a torn one or this one: that of a process that is gone, or of nobody.
        write(device, &mark.encode())?;
        OPEN.lock().insert(mark.nonce);
        Ok(Some(Self {
            mark,
            owner,
            looked: Mutex::new(clock::now()),
        }))
    }

    /// Refuses to go on once the mark is another opener's. It is looked at now, or if that was some time ago.
    pub(super) fn check(&self, device: &dyn Device, now: bool) -> Result<()> {
        let mut looked = self.looked.lock();
        if !now && clock::since(*looked) < Duration::from_millis(OPENER_LOOKS_MS) {
            return Ok(());
        }
        let there = read(device)?;
        match &there {
            Some(mark) if mark.nonce == self.mark.nonce => {}
            // It waits for an answer.
            Some(mark) if mark.claims => {
                let who = mark.process.described(&self.mark.process);
                tracing::warn!(
                    device = device.name(),
                    who,
                    "somebody else wants to open the volume"
                );
                write(device, &self.mark.encode())?;
            }
            _ => return Err(self.taken(device, there.as_ref())),
        }
        *looked = clock::now();
        Ok(())
    }

    /// Takes the mark away, if it is still there.
    pub(super) fn let_go(&self, device: &dyn Device) -> Result<()> {
        let _looked = self.looked.lock();
        let is_own = read(device)?.is_some_and(|mark| mark.nonce == self.mark.nonce);
        if is_own {
            // CRASH: a mark of a process that is gone.
            write(device, &[0; BLOCK_BYTES])?;
        }
        Ok(())
    }

    fn taken(&self, device: &dyn Device, by: Option<&Opener>) -> Error {
        let by = match by {
            Some(mark) => format!("by {}", mark.process.described(&self.mark.process)),
            None => "and closed elsewhere".to_owned(),
        };
        Error::new(
            ErrorKind::VolumeInUse,
            format!(
                "{} was opened {by} while it was open here, perhaps by another name or on another machine: what was \
                 written here since the last sync may be lost; see that one program has it at a time, and open it again",
                device.name()
            ),
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // In a fork the mark is the parent's, and so may be the lock.
        if !self.owner.is_elsewhere() {
            OPEN.lock().remove(&self.mark.nonce);
        }
    }
}

/// Refuses a device whose volume somebody has open. Returns the mark that its next opener leaves; `None` if
/// nobody else can have the device.
pub(super) fn ask(device: &dyn Device, wait: &dyn Fn(Duration)) -> Result<Option<Opener>> {
    let Some(place) = device.place() else {
        return Ok(None);
    };
    let own = Opener {
        process: Process::here(),
        place,
        nonce: crate::chance::random()?,
        claims: true,
    };
    let Some(there) = read(device)? else {
        return Ok(Some(own));
    };
    match standing(&there, &own) {
        Standing::Gone => {}
        Standing::Alive => return Err(in_use(device, &there, &own)),
        Standing::Unknown => {
            let who = there.process.described(&own.process);
            tracing::warn!(
                device = device.name(),
                who,
                "the volume was not closed there: asking"
            );
            // CRASH: a claim of a process that is gone, or the mark before.
            write(device, &own.encode())?;
            wait(Duration::from_millis(OPENER_WAIT_MS));
            match read(device)? {
                Some(mark) if mark.nonce == own.nonce => {}
                mark => return Err(in_use(device, mark.as_ref().unwrap_or(&there), &own)),
            }
        }
    }
    Ok(Some(own))
}

/// Whether the one who left that mark still has the volume open.
fn standing(there: &Opener, own: &Opener) -> Standing {
    let is_same_kernel = there.process.boot == own.process.boot && there.process.boot != [0; 16];
    // Under one name locks tell who has it, and we have them. Two files of one kernel are not the same bytes:
    // this is a copy.
    if is_same_kernel && (there.place == own.place || there.place.is_file && own.place.is_file) {
        return Standing::Gone;
    }
    let is_this_process = there.process.is_same(&own.process);
    if is_this_process && !OPEN.lock().contains(&there.nonce) {
        return Standing::Gone;
    }
    there.process.standing(&own.process)
}

fn in_use(device: &dyn Device, there: &Opener, own: &Opener) -> Error {
    Error::new(
        ErrorKind::VolumeInUse,
        format!(
            "{} is in use by {}, which has it by another name: close it there first (if this is a copy that was made while it \
             was open there, salvage takes what is in it)",
            device.name(),
            there.process.described(&own.process)
        ),
    )
}

/// The mark on a device, if there is a whole one.
fn read(device: &dyn Device) -> Result<Option<Opener>> {
    if device.len() < OPENER_AT + BLOCK_BYTES as u64 {
        return Ok(None);
    }
    let mut block = AlignedBuffer::new(BLOCK_BYTES);
    for _ in 0..READ_ATTEMPTS {
        let read = device.read_at_uncached(&mut block, OPENER_AT);
        read.map_err(|e| failed("read", device, e))?;
        match Opener::decode(&block) {
            Look::Good(mark) => return Ok(Some(mark)),
            Look::Blank => return Ok(None),
            Look::Newer(version) => return Err(super::walk::newer(device.name(), version)),
            Look::Early | Look::Bad => {}
        }
    }
    Ok(None)
}

fn write(device: &dyn Device, block: &[u8; BLOCK_BYTES]) -> Result<()> {
    let written = device.write_at(block, OPENER_AT);
    let synced = written.and_then(|()| device.sync());
    synced.map_err(|e| failed("write", device, e))
}

fn failed(what: &str, device: &dyn Device, why: io::Error) -> Error {
    Error::io(
        format_args!("{what} the opener's mark of {}", device.name()),
        why,
    )
}
