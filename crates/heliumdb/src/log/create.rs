//! Making a volume of blank devices, and making devices blank.
//!
//! Invariant: from its first write on, a device says by a [`Mark`] that a volume is being made there,
//! until the volume is whole; so a creation that was cut short anywhere is made again, and never
//! taken for a volume, nor for something that is somebody else's.

use super::{Log, OpenLog, headed::FIRST_STEP, open::look_at, opener, walk::newer};
use crate::{
    Error, ErrorKind, Result,
    device::{Device, aligned::AlignedBuffer},
    format::{
        Look, SEGMENT_HEADER_BYTES, SEGMENTS_AT, Version,
        mark::{MARK_AT, MARKED_BYTES, Mark},
        opener::OPENER_AT,
        superblock::{IS_UNFINISHED_COPY, Member, Superblock},
    },
    id::VolumeId,
    limits::{self, BLOCK_BYTES},
    options::VolumeOptions,
};
use std::{io, thread};

impl OpenLog {
    /// Formats the devices, whatever they hold: ask [`OpenLog::probe`] first unless truncating.
    pub(crate) fn create(
        devices: Vec<Box<dyn Device>>,
        options: &VolumeOptions,
    ) -> Result<OpenLog> {
        if options.read_only {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "a volume cannot be formatted read-only",
            ));
        }
        let (superblock, marks) = plan(&devices, options)?;
        devices.iter().try_for_each(|device| ask(device.as_ref()))?;
        mark(&devices, &marks)?;
        for device in &devices {
            wipe(device.as_ref(), superblock.segment_bytes)?;
        }
        let log = Log::new(devices, superblock, options)?;
        // Files are as long as what a full volume keeps wants them: without superblocks, too, they are then long enough
        // for a volume. They have no blocks yet.
        lengthen(&log)?;
        log.keep_for_items(0, 0);
        let mut first = log.superblocks.all_segments(&log.medium);
        first.retain(|id| *id < FIRST_STEP);
        log.write_first_headers(&first)?;
        log.medium.sync_all()?;
        log.are_headed(&first);
        log.superblocks
            .all_segments(&log.medium)
            .into_iter()
            .for_each(|id| log.admit(id));
        // CRASH: with one superblock or none, whole or torn, the mark says that this is to be done
        // again. With both, the volume is there, and the mark says nothing.
        log.superblocks.update_twice(&log.medium, |_| {})?;
        unmark(log.medium.devices())?;
        log.medium.mark_opener()?;
        log.freeing.live_is_known();
        log.keep_for_live();
        let start = log.medium.segment_bytes();
        log.reach.begin_at(start);
        // A file gets its blocks when there is something to put there.
        let first = log.space.lock().raw.pop_first();
        if let Some(id) = first {
            log.make_ready(id, true)?;
        }
        Self::start(log)
    }
}

/// Makes devices blank that hold a whole volume: nothing of it can be found again.
pub(super) fn erase(devices: &[Box<dyn Device>], superblock: &Superblock) -> Result<()> {
    let erased = |i: usize| Mark {
        volume: superblock.volume,
        grows: superblock.members[i].grows,
        fresh: false,
        erased: true,
    };
    devices.iter().try_for_each(|device| ask(device.as_ref()))?;
    // A file that grows is to go on growing, whoever makes a volume there next.
    mark(devices, &(0..devices.len()).map(erased).collect::<Vec<_>>())?;
    for device in devices {
        wipe(device.as_ref(), superblock.segment_bytes)?;
        device
            .sync()
            .map_err(|e| failed("erase", device.as_ref(), e))?;
    }
    Ok(())
}

/// Refuses a device whose volume somebody has open.
fn ask(device: &dyn Device) -> Result<()> {
    opener::ask(device, &thread::sleep).map(|_| ())
}

/// The mark of a device, if it has one.
pub(super) fn mark_on(device: &dyn Device) -> Result<Option<Mark>> {
    if device.len() < MARKED_BYTES {
        return Ok(None);
    }
    let mut block = AlignedBuffer::new(BLOCK_BYTES);
    read_start(device, &mut block, MARK_AT)?;
    match Mark::decode(&block) {
        Look::Good(mark) => Ok(Some(mark)),
        Look::Newer(version) => Err(newer(device.name(), version)),
        Look::Blank | Look::Early | Look::Bad => begun(device),
    }
}

/// The mark of a file that got no further than to be made as long as one with nothing but a mark. What
/// the power left of the mark itself does not matter: no segment fits into the file, and all else of it
/// is zero.
fn begun(device: &dyn Device) -> Result<Option<Mark>> {
    if device.len() != MARKED_BYTES || !device.can_grow() {
        return Ok(None);
    }
    let mut start = AlignedBuffer::new(MARKED_BYTES as usize);
    read_start(device, &mut start, 0)?;
    let (before, mark) = start.split_at(MARK_AT as usize);
    let mut others = before.iter().chain(&mark[BLOCK_BYTES..]);
    Ok(others.all(|&byte| byte == 0).then_some(Mark {
        volume: VolumeId([0; 16]),
        grows: true,
        fresh: true,
        erased: false,
    }))
}

fn read_start(device: &dyn Device, buffer: &mut AlignedBuffer, offset: u64) -> Result<()> {
    let read = device.read_at_uncached(buffer, offset);
    read.map_err(|e| failed("read the start of", device, e))
}

/// Says durably, before anything else is done, that volumes are being made here.
fn mark(devices: &[Box<dyn Device>], marks: &[Mark]) -> Result<()> {
    for (device, mark) in devices.iter().zip(marks) {
        // CRASH: an empty file, or one as long as this and zero but for what is left of the mark. Where there
        // was a volume it is whole, and still there.
        device
            .grow(device.len().max(MARKED_BYTES))
            .and_then(|()| device.write_at(&mark.encode(), MARK_AT))
            .map_err(|e| failed("format", device.as_ref(), e))?;
    }
    devices.iter().try_for_each(|device| {
        let synced = device.sync();
        synced.map_err(|e| failed("format", device.as_ref(), e))
    })
}

/// The volume is whole: takes away what says that it is being made, before it is used.
pub(super) fn unmark(devices: &[Box<dyn Device>]) -> Result<()> {
    for device in devices {
        if mark_on(device.as_ref())?.is_some() {
            // CRASH: some sectors are left: they count for nothing beside a volume's superblocks, and
            // are taken away when it is opened.
            device
                .write_at(&[0; BLOCK_BYTES], MARK_AT)
                .and_then(|()| device.sync())
                .map_err(|e| failed("format", device.as_ref(), e))?;
        }
    }
    Ok(())
}

fn failed(what: &str, device: &dyn Device, why: io::Error) -> Error {
    let name = device.name();
    if is_full(&why) {
        let what = format_args!("{what} {name}: there is no room for a new volume");
        return Error::io(what, why).with_kind(ErrorKind::VolumeFull);
    }
    Error::io(format_args!("{what} {name}"), why)
}

/// Whether there was no room for what was to be written.
pub(super) fn is_full(why: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(why.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The superblock of the volume that these devices will be, and the marks that they get. Writes
/// nothing.
fn plan(devices: &[Box<dyn Device>], options: &VolumeOptions) -> Result<(Superblock, Vec<Mark>)> {
    if devices.is_empty() || devices.len() > limits::DEVICES_MAX {
        let message = format!(
            "a volume has 1 to {} devices, not {}",
            limits::DEVICES_MAX,
            devices.len()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let volume = match options.volume_id {
        Some(id) => id,
        None => VolumeId(options.chance.bytes()?),
    };
    let share = limits::VOLUME_BYTES_MAX / devices.len() as u64;
    let least = options.least_bytes.max(limits::VOLUME_BYTES_MIN);
    let limit = options.limit_bytes.unwrap_or(u64::MAX);
    let (mut members, mut marks) = (Vec::new(), Vec::new());
    let mut capacity = 0u64;
    for device in devices {
        let mark = plan_mark(device.as_ref(), volume);
        // What an earlier copy has left on a device would have the right checksums for this one.
        if options.volume_id.is_some() && !mark.fresh {
            let name = device.name();
            let message =
                format!("{name}: a copy that keeps its volume's id needs new or empty files");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let most = if mark.grows { limit } else { device.len() };
        if most < SEGMENTS_AT + (8 << 20) {
            return Err(too_small(device.name(), most, least));
        }
        capacity = capacity.saturating_add(most.min(share));
        members.push(Member {
            id: options.chance.bytes()?,
            bytes: if mark.grows {
                SEGMENTS_AT
            } else {
                most.min(share)
            },
            grows: mark.grows,
        });
        marks.push(mark);
    }
    if capacity < least {
        return Err(too_small(devices[0].name(), capacity, least));
    }
    let superblock = Superblock {
        version: Version::CURRENT,
        flags: match options.receive_copy {
            true => IS_UNFINISHED_COPY,
            false => 0,
        },
        generation: 0,
        volume,
        device: 0,
        segment_bytes: limits::SEGMENT_BYTES[usize::from(capacity >= 512 << 20)],
        epoch: 1,
        members,
        checkpoint: None,
        headed: FIRST_STEP,
        secret: options.chance.bytes()?,
    };
    Ok((superblock, marks))
}

/// What a device will say while `volume` is being made there.
fn plan_mark(device: &dyn Device, volume: VolumeId) -> Mark {
    let before = mark_on(device).ok().flatten();
    // A growing volume that is truncated goes on growing.
    let grew = look_at(device)
        .ok()
        .flatten()
        .is_some_and(|s| s.members[s.device as usize].grows);
    let is_empty = device.is_empty();
    let grows = is_empty || grew || before.is_some_and(|mark| mark.grows);
    Mark {
        volume,
        grows: grows && device.can_grow(),
        fresh: is_empty || before.is_some_and(|mark| mark.fresh),
        erased: false,
    }
}

fn too_small(name: &str, bytes: u64, least: u64) -> Error {
    Error::new(
        ErrorKind::VolumeTooSmall,
        format!(
            "{name} has {bytes} bytes: a volume needs {least}; make it larger, or if it is of no use remove it: a new \
             file grows by itself"
        ),
    )
}

/// Gives a new volume in files that grow what it cannot do without. No superblock counts it yet.
fn lengthen(log: &Log) -> Result<()> {
    let members = log.superblocks.members();
    let growing = members.iter().filter(|m| m.grows).count() as u64;
    if growing == 0 {
        return Ok(());
    }
    let fixed: u64 = members
        .iter()
        .filter(|m| !m.grows)
        .map(|m| log.medium.segments_in(m.bytes))
        .sum();
    let each = log
        .least_segments()
        .saturating_sub(fixed)
        .div_ceil(growing)
        .max(1);
    let bytes = SEGMENTS_AT + each * log.medium.segment_bytes();
    for (device, _) in log
        .medium
        .devices()
        .iter()
        .zip(&members)
        .filter(|(_, m)| m.grows)
    {
        device.grow(bytes).map_err(|why| match is_full(&why) {
            true => Error::new(
                ErrorKind::VolumeFull,
                format!("{}: there is no room for a new volume", device.name()),
            ),
            false => Error::io(format_args!("lengthen {}", device.name()), why),
        })?;
    }
    log.superblocks.begin_with(bytes);
    Ok(())
}

/// Makes a device blank wherever a superblock or a segment header will be looked for.
fn wipe(device: &dyn Device, segment_bytes: u64) -> Result<()> {
    let zeros = [0; SEGMENT_HEADER_BYTES];
    let failed = |e| failed("format", device, e);
    // CRASH: a volume that was here before is gone from its superblocks on, and the mark says that this
    // is what was asked for.
    device.write_at(&zeros, 0).map_err(failed)?;
    device
        .write_at(&[0; BLOCK_BYTES], OPENER_AT)
        .map_err(failed)?;
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
