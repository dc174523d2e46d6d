//! Which devices make up a volume.
//!
//! Invariant: nothing that is not ours or blank is written to, unless truncation asks for it.

use super::{
    Found, Log, OpenLog, Replay, background, blank,
    create::{self, mark_on, unmark},
    recovery,
    unfinished::UNFINISHED_COPY,
    walk::{early, newer},
};
use crate::{
    Error, ErrorKind, Result,
    device::{Device, aligned::AlignedBuffer},
    format::{
        Look,
        mark::Mark,
        superblock::{Superblock, has_magic},
    },
    limits::BLOCK_BYTES,
    options::VolumeOptions,
};
use std::{cmp::Ordering, sync::Arc};

const UNFINISHED: &str = "a volume whose making was cut short, which holds nothing: open it with leave to create, to make it again";

impl OpenLog {
    /// Blank, ours, or an error (foreign bytes, mixed devices, damage).
    pub(crate) fn probe(devices: &[Box<dyn Device>]) -> Result<Found> {
        Ok(match load(devices)? {
            Loaded::Blank => Found::Blank,
            Loaded::Unfinished => Found::Unfinished,
            Loaded::Volume(found) if found.is_unfinished_copy() => Found::UnfinishedCopy,
            Loaded::Volume(_) => Found::Volume,
        })
    }

    /// Probe, then create or open as the options say.
    pub(crate) fn open_or_create(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
        sink: &mut dyn Replay,
    ) -> Result<OpenLog> {
        if options.truncate {
            return Self::create(devices, options);
        }
        let devices = in_order(devices)?;
        match Self::probe(&devices)? {
            Found::Volume => Self::open(devices, options, sink),
            Found::UnfinishedCopy if !options.remakes_copies() => {
                Err(not_ours(&devices, UNFINISHED_COPY))
            }
            _ if options.create && !options.read_only => Self::create(devices, options),
            Found::UnfinishedCopy => Err(not_ours(&devices, UNFINISHED_COPY)),
            Found::Blank => Err(not_ours(&devices, "blank, and was not to be formatted")),
            Found::Unfinished => Err(not_ours(&devices, UNFINISHED)),
        }
    }

    /// Recovers. With `read_only` writes nothing.
    pub(crate) fn open(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
        sink: &mut dyn Replay,
    ) -> Result<OpenLog> {
        let devices = in_order(devices)?;
        let superblock = load(&devices)?.volume(&devices)?;
        if superblock.is_unfinished_copy() {
            return Err(not_ours(&devices, UNFINISHED_COPY));
        }
        let log = Log::new(devices, superblock.clone(), options)?;
        log.medium.mark_opener()?;
        let recovered = recovery::recover(&log, sink).and_then(|()| {
            // Only now: what is refused is left as it was.
            if !options.read_only {
                catch_up(log.medium.devices(), &superblock)?;
                unmark(log.medium.devices())?;
            }
            Ok(())
        });
        if let Err(why) = recovered {
            log.medium.unmark_opener();
            return Err(why);
        }
        Self::start(log)
    }

    /// Makes devices blank that hold a whole volume: nothing of it can be found again.
    pub(crate) fn erase(devices: Vec<Box<dyn Device>>) -> Result<()> {
        let devices = in_order(devices)?;
        let superblock = load(&devices)?.volume(&devices)?;
        create::erase(&devices, &superblock)
    }

    pub(super) fn start(log: Log) -> Result<OpenLog> {
        let log = Arc::new(log);
        let worker = background::spawn(&log)?;
        Ok(OpenLog::new(log, worker))
    }
}

fn not_ours(devices: &[Box<dyn Device>], what: &str) -> Error {
    let name = devices.first().map_or("the volume", |d| d.name());
    Error::new(ErrorKind::NotAVolume, format!("{name} is {what}"))
}

/// The devices as their superblocks count them: in which order they are named does not matter.
fn in_order(devices: Vec<Box<dyn Device>>) -> Result<Vec<Box<dyn Device>>> {
    let mut numbered = Vec::with_capacity(devices.len());
    for device in devices {
        let number = look_at(device.as_ref())?.map_or(u32::MAX, |own| own.device);
        numbered.push((number, device));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().map(|(_, device)| device).collect())
}

/// What a set of devices holds.
enum Loaded {
    Blank,
    Unfinished,
    /// With its newest superblock.
    Volume(Superblock),
}

impl Loaded {
    fn volume(self, devices: &[Box<dyn Device>]) -> Result<Superblock> {
        match self {
            Self::Blank => Err(not_ours(devices, "blank")),
            Self::Unfinished => Err(not_ours(devices, UNFINISHED)),
            Self::Volume(superblock) => Ok(superblock),
        }
    }
}

/// The volume's newest superblock, if the devices hold one.
fn load(devices: &[Box<dyn Device>]) -> Result<Loaded> {
    if devices.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "a volume needs a device",
        ));
    }
    let looks: Vec<Option<Superblock>> = devices
        .iter()
        .map(|d| look_at(d.as_ref()))
        .collect::<Result<_>>()?;
    let marks = devices.iter().map(|d| mark_on(d.as_ref()));
    let marks: Vec<Option<Mark>> = marks.collect::<Result<_>>()?;
    let is_unfinished = marks.iter().flatten().any(|mark| !mark.erased);
    let nothing = if is_unfinished {
        Loaded::Unfinished
    } else {
        Loaded::Blank
    };
    let blank = || -> Result<()> {
        let mut each = devices.iter().zip(looks.iter().zip(&marks));
        // What has a mark was looked at when it got it.
        each.try_for_each(|(device, known)| match known {
            (None, None) => blank::check(device.as_ref()),
            _ => Ok(()),
        })
    };
    let Some(newest) = looks.iter().flatten().max_by_key(|s| s.generation) else {
        return blank().map(|()| nothing);
    };
    // Formatting that was cut short: no device was ever in use, or all were to be blank.
    let first = newest.generation == 1 && (is_unfinished || looks.iter().any(Option::is_none));
    let each = || looks.iter().zip(&marks);
    let wiped = each().any(|(look, mark)| look.is_none() && mark.is_some());
    if first || wiped && each().all(|(look, mark)| look.is_none() || mark.is_some()) {
        return blank().map(|()| nothing);
    }
    let members: Vec<&Superblock> = looks.iter().flatten().collect();
    if let Some(blank) = looks.iter().position(Option::is_none) {
        return Err(one_blank(devices[blank].name(), &members, newest));
    }
    for (i, (device, look)) in devices.iter().zip(members).enumerate() {
        check_member(i, devices, look, newest)?;
        check_length(device.as_ref(), newest.members[i].bytes)?;
    }
    if devices.len() < newest.members.len() {
        return Err(missing(devices, newest, devices.len()));
    }
    Ok(Loaded::Volume(newest.clone()))
}

fn one_blank(name: &str, others: &[&Superblock], newest: &Superblock) -> Error {
    let mut numbers = 0..newest.members.len();
    let is_missing = |number: &usize| others.iter().all(|other| other.device as usize != *number);
    let which = match numbers.find(is_missing) {
        Some(number) => format!("the {} of the volume's is missing", ordinal(number + 1)),
        None => "the volume has all of its own".to_owned(),
    };
    mismatch(format!(
        "{name} is blank, while other devices named with it hold a volume: {which}; name the volume's own devices, or \
         salvage without it"
    ))
}

fn check_member(
    i: usize,
    devices: &[Box<dyn Device>],
    look: &Superblock,
    newest: &Superblock,
) -> Result<()> {
    let name = devices[i].name();
    if look.volume != newest.volume || look.members.len() != newest.members.len() {
        return Err(mismatch(format!(
            "{name} belongs to another volume than the devices named with it: name the devices of one volume"
        )));
    }
    // A change reaches all devices before the next one starts.
    if look.generation + 1 < newest.generation {
        return Err(mismatch(format!(
            "{name} is from an earlier time than the devices named with it: bring back the volume's devices as they \
             were, all from the same time, or salvage copies what is left to another volume"
        )));
    }
    let ours = look.device as usize;
    if look.members[ours].id != newest.members[ours].id {
        return Err(mismatch(format!(
            "{name} belongs to another volume than the devices named with it: name the devices of one volume"
        )));
    }
    match ours.cmp(&i) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(missing(devices, newest, i)),
        Ordering::Less => Err(mismatch(format!(
            "{} and {name} are both device {} of one volume: name each device once, and no copies",
            devices[i - 1].name(),
            ours + 1
        ))),
    }
}

fn missing(devices: &[Box<dyn Device>], newest: &Superblock, number: usize) -> Error {
    let named: Vec<_> = devices.iter().map(|device| device.name()).collect();
    mismatch(format!(
        "the volume on {} has {} devices: the {} of them is missing, name it too",
        named.join(", "),
        newest.members.len(),
        ordinal(number + 1),
    ))
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn check_length(device: &dyn Device, bytes: u64) -> Result<()> {
    if device.len() < bytes {
        return Err(mismatch(format!(
            "{} was truncated: it has {} bytes of {bytes}; bring back the whole of it, or salvage what is left",
            device.name(),
            device.len()
        )));
    }
    Ok(())
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::DeviceMismatch, message)
}

/// What one device says of itself; `None` if it is blank, or a volume was being made there.
pub(super) fn look_at(device: &dyn Device) -> Result<Option<Superblock>> {
    let len = device.len().min(2 * BLOCK_BYTES as u64) as usize;
    let mut bytes = AlignedBuffer::new(2 * BLOCK_BYTES);
    let read = if len == bytes.len() {
        device.read_at_uncached(&mut bytes, 0)
    } else {
        device.read_at(&mut bytes[..len], 0)
    };
    read.map_err(|e| Error::io(format_args!("read superblock of {}", device.name()), e))?;
    let looks = [0, 1].map(|block| Superblock::decode(&bytes[block * BLOCK_BYTES..], block));
    let mut best: Option<Superblock> = None;
    for look in &looks {
        match look {
            Look::Newer(version) => return Err(newer(device.name(), *version)),
            Look::Early => return Err(early(device.name())),
            Look::Good(s) if best.as_ref().is_none_or(|b| b.generation < s.generation) => {
                best = Some(s.clone())
            }
            _ => {}
        }
    }
    let unfinished = looks[0] == Look::Blank && has_magic(&bytes[BLOCK_BYTES..]);
    if best.is_some() {
        Ok(best)
    } else if looks == [Look::Blank, Look::Blank] || unfinished || mark_on(device)?.is_some() {
        Ok(None)
    } else if has_magic(&bytes) || has_magic(&bytes[BLOCK_BYTES..]) {
        let name = device.name();
        Err(Error::new(
            ErrorKind::Damaged,
            format!(
                "{name} is damaged at offset 0: neither copy of its superblock is whole; salvage copies what is left to \
                 another volume"
            ),
        ))
    } else {
        let name = device.name();
        Err(Error::new(
            ErrorKind::NotAVolume,
            format!(
                "{name} holds something that is not a Helium volume, and was left alone: name another device, or ask \
                 for truncation to overwrite it"
            ),
        ))
    }
}

/// Gives the newest superblock to devices that an interrupted change left behind: the next
/// change goes where the newest's predecessor is, which there may be the only whole copy.
fn catch_up(devices: &[Box<dyn Device>], newest: &Superblock) -> Result<()> {
    for (i, device) in devices.iter().enumerate() {
        if look_at(device.as_ref())?.is_some_and(|own| own.generation == newest.generation) {
            continue;
        }
        let own = Superblock {
            device: i as u32,
            ..newest.clone()
        };
        let offset = (own.block() * BLOCK_BYTES) as u64;
        // CRASH: torn, and the device still has the one before in its other block.
        device
            .write_at(&own.encode(), offset)
            .and_then(|()| device.sync())
            .map_err(|e| Error::io(format_args!("write superblock of {}", device.name()), e))?;
    }
    Ok(())
}
