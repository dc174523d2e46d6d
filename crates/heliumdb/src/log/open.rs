//! Which devices make up a volume, and making one of blank devices.
//!
//! Invariant: nothing that is not ours or blank is written to, unless truncation asks for it.

use super::{
    Core, Found, Log, Replay, background, recovery,
    walk::{early, newer},
};
use crate::{
    Error, ErrorKind, Result, VolumeId, VolumeOptions,
    device::{Device, aligned::AlignedBuffer},
    format::{
        Look, SEGMENT_HEADER_BYTES, SEGMENTS_AT, Version,
        superblock::{MAY_HOLD_CANCELS, MAY_HOLD_MOVES, Member, Superblock, has_magic},
    },
    limits::{self, BLOCK_BYTES},
};
use std::{cmp::Ordering, fs::File, io::Read, sync::Arc};

impl Log {
    /// Blank, ours, or an error (foreign bytes, mixed devices, damage).
    pub(crate) fn probe(devices: &[Box<dyn Device>]) -> Result<Found> {
        match load(devices)? {
            None => Ok(Found::Blank),
            Some(_) => Ok(Found::Volume),
        }
    }

    /// Probe, then create or open as the options say.
    pub(crate) fn open_or_create(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
        sink: &mut dyn Replay,
    ) -> Result<Arc<Log>> {
        if options.truncate {
            return Self::create(devices, options);
        }
        let devices = in_order(devices)?;
        match Self::probe(&devices)? {
            Found::Volume => Self::open(devices, options, sink),
            Found::Blank if options.create && !options.read_only => Self::create(devices, options),
            Found::Blank => Err(not_ours(&devices, "blank, and was not to be formatted")),
        }
    }

    /// Recovers. With `read_only` writes nothing.
    pub(crate) fn open(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
        sink: &mut dyn Replay,
    ) -> Result<Arc<Log>> {
        let devices = in_order(devices)?;
        let superblock = load(&devices)?.ok_or_else(|| not_ours(&devices, "blank"))?;
        let core = Core::new(devices, superblock.clone(), options);
        recovery::recover(&core, sink)?;
        // Only now: what is refused is left as it was.
        if !options.read_only {
            catch_up(&core.devices, &superblock)?;
        }
        Self::start(core)
    }

    /// Formats the devices, whatever they hold: ask [`Log::probe`] first unless truncating.
    pub(crate) fn create(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
    ) -> Result<Arc<Log>> {
        if options.read_only {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "a volume cannot be formatted read-only",
            ));
        }
        let superblock = plan(&devices, options)?;
        let grows = superblock.members.iter().any(|m| m.grows);
        for device in &devices {
            wipe(device.as_ref(), superblock.segment_bytes)?;
        }
        let core = Core::new(devices, superblock, options);
        core.sync_all()?;
        core.space.lock().raw.extend(core.all_segments());
        if grows && let Err(why) = lengthen(&core) {
            // It has written superblocks, and what is too small is not to look like a volume. That it
            // is too small is what has to be said, whatever becomes of the attempt.
            for device in &core.devices {
                let _ = wipe(device.as_ref(), core.segment_bytes);
            }
            return Err(why);
        }
        // CRASH: one superblock or none: `look_at` takes a device with a torn first one for
        // blank. With both, the volume is there.
        core.update_superblock(|_| {})?;
        if core.superblock.lock().generation < 2 {
            core.update_superblock(|_| {})?;
        }
        core.live_known
            .store(true, std::sync::atomic::Ordering::Release);
        let start = core.segment_bytes;
        core.end.store(start, std::sync::atomic::Ordering::Release);
        core.durable
            .store(start, std::sync::atomic::Ordering::Release);
        let first = core.space.lock().raw.pop_front();
        if let Some(id) = first {
            core.make_ready(id)?;
        }
        Self::start(core)
    }

    /// Makes devices blank that hold a whole volume: nothing of it can be found again.
    pub(crate) fn erase(devices: Vec<Box<dyn Device>>) -> Result<()> {
        let devices = in_order(devices)?;
        let superblock = load(&devices)?.ok_or_else(|| not_ours(&devices, "blank"))?;
        for device in &devices {
            wipe(device.as_ref(), superblock.segment_bytes)?;
            device
                .sync()
                .map_err(|e| Error::io(format_args!("erase {}", device.name()), e))?;
        }
        Ok(())
    }

    fn start(core: Core) -> Result<Arc<Log>> {
        let core = Arc::new(core);
        let worker = background::spawn(&core)?;
        Ok(Arc::new(Log::new(core, worker)))
    }
}

impl Core {
    /// Makes it durable that cancel records may follow.
    pub(super) fn announce_cancels(&self) -> Result<()> {
        self.announce(MAY_HOLD_CANCELS)
    }

    /// Makes it durable that items may have been moved.
    pub(super) fn announce_moves(&self) -> Result<()> {
        self.announce(MAY_HOLD_MOVES)
    }

    fn announce(&self, flag: u32) -> Result<()> {
        if self.superblock.lock().flags & flag == 0 {
            self.update_superblock(|next| next.flags |= flag)?;
        }
        Ok(())
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

/// The volume's newest superblock; `None` if all devices are blank.
fn load(devices: &[Box<dyn Device>]) -> Result<Option<Superblock>> {
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
    let Some(newest) = looks.iter().flatten().max_by_key(|s| s.generation) else {
        return Ok(None);
    };
    // Formatting that was cut short: no device was ever in use.
    if newest.generation == 1 && looks.iter().any(Option::is_none) {
        return Ok(None);
    }
    for (i, (device, look)) in devices.iter().zip(&looks).enumerate() {
        check_member(i, devices, look.as_ref(), newest)?;
        check_length(device.as_ref(), newest.members[i].bytes)?;
    }
    if devices.len() < newest.members.len() {
        return Err(missing(devices, newest, devices.len()));
    }
    Ok(Some(newest.clone()))
}

fn check_member(
    i: usize,
    devices: &[Box<dyn Device>],
    look: Option<&Superblock>,
    newest: &Superblock,
) -> Result<()> {
    let name = devices[i].name();
    let Some(look) = look else {
        return Err(mismatch(format!(
            "{name} is blank, while other devices named with it hold a volume: name the volume's own device instead, \
             or salvage without it"
        )));
    };
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

/// What one device says of itself; `None` if it is blank.
fn look_at(device: &dyn Device) -> Result<Option<Superblock>> {
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
    } else if looks == [Look::Blank, Look::Blank] || unfinished {
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

/// The superblock of the volume that these devices will be.
fn plan(devices: &[Box<dyn Device>], options: &VolumeOptions) -> Result<Superblock> {
    if devices.is_empty() || devices.len() > limits::DEVICES_MAX {
        let message = format!(
            "a volume has 1 to {} devices, not {}",
            limits::DEVICES_MAX,
            devices.len()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    // What an earlier copy has left on a device would have the right checksums for this one.
    if options.volume_id.is_some() && devices.iter().any(|device| !device.is_empty()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{}: a copy that keeps its volume's id needs new or empty files",
                devices[0].name()
            ),
        ));
    }
    let share = limits::VOLUME_BYTES_MAX / devices.len() as u64;
    let mut members = Vec::new();
    for device in devices {
        // A growing volume that is truncated goes on growing.
        let grew = look_at(device.as_ref())
            .ok()
            .flatten()
            .is_some_and(|s| s.members[s.device as usize].grows);
        let grows = device.can_grow() && (device.is_empty() || grew);
        let bytes = if grows {
            SEGMENTS_AT
        } else {
            device.len().min(share)
        };
        if !grows && bytes < SEGMENTS_AT + (8 << 20) {
            let least = options.least_bytes.max(limits::VOLUME_BYTES_MIN);
            return Err(too_small(device.name(), device.len(), least));
        }
        members.push(Member {
            id: random()?,
            bytes,
            grows,
        });
    }
    let capacity = if members.iter().any(|m| m.grows) {
        options.limit_bytes.unwrap_or(u64::MAX)
    } else {
        members.iter().map(|m| m.bytes).sum()
    };
    let least = options.least_bytes.max(limits::VOLUME_BYTES_MIN);
    if capacity < least {
        return Err(too_small(devices[0].name(), capacity, least));
    }
    for (device, member) in devices.iter().zip(&members).filter(|(_, m)| m.grows) {
        let result = device.grow(member.bytes);
        result.map_err(|e| Error::io(format_args!("lengthen {}", device.name()), e))?;
    }
    Ok(Superblock {
        version: Version::CURRENT,
        flags: 0,
        generation: 0,
        volume: match options.volume_id {
            Some(id) => id,
            None => VolumeId(random()?),
        },
        device: 0,
        segment_bytes: limits::SEGMENT_BYTES[usize::from(capacity >= 512 << 20)],
        epoch: 1,
        members,
        checkpoint: None,
        secret: random()?,
    })
}

fn too_small(name: &str, bytes: u64, least: u64) -> Error {
    Error::new(
        ErrorKind::VolumeTooSmall,
        format!("{name} has {bytes} bytes: a volume needs {least}"),
    )
}

fn random() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut id))
        .map_err(|e| Error::io("read /dev/urandom", e))?;
    Ok(id)
}

/// Gives a new volume in files that grow what it cannot do without.
fn lengthen(core: &Core) -> Result<()> {
    let least = core.reserve_bytes() + 2 * core.usable();
    while core.space.lock().free_segments() * core.usable() < least {
        if !core.grow()? {
            return Err(Error::new(
                ErrorKind::VolumeFull,
                "there is no room for a new volume",
            ));
        }
    }
    Ok(())
}

/// Makes a device blank wherever a superblock or a segment header will be looked for.
fn wipe(device: &dyn Device, segment_bytes: u64) -> Result<()> {
    let zeros = [0; SEGMENT_HEADER_BYTES];
    let failed = |e| Error::io(format_args!("format {}", device.name()), e);
    // CRASH: a volume that was here before is gone from its superblocks on; its segments
    // are wiped by the formatting that will be asked for again.
    device.write_at(&zeros, 0).map_err(failed)?;
    device.sync().map_err(failed)?;
    let mut header = AlignedBuffer::new(SEGMENT_HEADER_BYTES);
    let mut offset = SEGMENTS_AT;
    while offset + segment_bytes <= device.len() {
        device
            .read_at_uncached(&mut header, offset)
            .map_err(failed)?;
        if header.iter().any(|&b| b != 0) {
            // CRASH: as above.
            device.write_at(&zeros, offset).map_err(failed)?;
        }
        offset += segment_bytes;
    }
    Ok(())
}
