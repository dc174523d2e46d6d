//! The superblock: what the volume is and which devices it is made of. Two copies per
//! device, in blocks 0 and 1; the whole one with the higher generation counts.

use super::{
    Look, SEGMENTS_AT, Version, check, get, get_id, get_u16, get_u32, get_u64, hash_seeded,
    is_zero, item::ITEM_BYTES_MAX, put,
};
use crate::{
    id::VolumeId,
    limits::{BLOCK_BYTES, DEVICES_MAX, ITEM_ALIGN, SEGMENT_BYTES, VOLUME_BYTES_MAX},
    location::Lsn,
};

const MAGIC: [u8; 8] = *b"heliumdb";
const SEED: u64 = 0x6865_6c69_756d_6462;
const SECRET_AT: usize = 112;
const DEVICES_AT: usize = 128;
/// A place where a batch ends, from which the log can be read without what is before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Start {
    pub(crate) at: Lsn,
    /// Hash of the frame header before; 0 at the start of a segment, whose header says it.
    pub(crate) chain: u64,
    /// No frame before has a higher epoch.
    pub(crate) epoch: u64,
}

impl Start {
    /// Below this nothing of the log is needed; 0 if that is known for whole segments only.
    pub(crate) fn unneeded_below(&self) -> Lsn {
        if self.chain == 0 { 0 } else { self.at }
    }
}

/// What the first frame from a checkpoint's start on has to follow.
const START_AT: usize = DEVICES_AT + 24 * DEVICES_MAX;
/// Which version the checkpoint is of; zero in superblocks of version 1.
const CHECKPOINT_VERSION_AT: usize = START_AT + 16;
/// How many segments have a header; zero in superblocks of versions 1 and 2.
const HEADED_AT: usize = START_AT + 24;
const CHECKSUM_AT: usize = BLOCK_BYTES - 8;
/// Cancel records may be in the log: recovery looks for them before it delivers anything.
pub(crate) const MAY_HOLD_CANCELS: u32 = 1;

/// Items may be in the log twice, and out of order: without a checkpoint, recovery compares the
/// sequence numbers of all.
pub(crate) const MAY_HOLD_MOVES: u32 = 2;

/// A copy is being put into the volume, or was begun and not finished: what is there may be a part of it.
pub(crate) const IS_UNFINISHED_COPY: u32 = 4;

/// One of a volume's devices, as its superblocks know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    pub id: [u8; 16],
    /// Bytes of it that segments may use.
    pub bytes: u64,
    /// Whether it may be made longer.
    pub grows: bool,
}

/// Where the newest checkpoint is, and from where on the log has to be replayed on top of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checkpoint {
    /// What its items mean: it may be older than the superblock.
    pub version: Version,
    /// Counts the volume's checkpoints, from 1.
    pub number: u64,
    /// Its root: an item of the store's own.
    pub address: u64,
    /// Bytes of that item, header included.
    pub bytes: u32,
    /// Everything in the log below this position is in the checkpoint.
    pub start: Start,
    /// Everything below this position, the checkpoint too, was durable when this was written.
    pub durable: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    pub version: Version,
    pub flags: u32,
    pub generation: u64,
    pub volume: VolumeId,
    /// Which of the members the device it is read from is.
    pub device: u32,
    pub segment_bytes: u64,
    pub epoch: u64,
    pub members: Vec<Member>,
    pub checkpoint: Option<Checkpoint>,
    /// Segments below this number have a header, and those from it on were never used; 0 if nothing is
    /// known of that.
    pub headed: u64,
    /// What the keys of unordered datastores are hashed with; given once, like the id.
    pub secret: [u8; 16],
}

impl Superblock {
    /// Whether the volume is to hold a copy that is not finished.
    pub(crate) fn is_unfinished_copy(&self) -> bool {
        self.flags & IS_UNFINISHED_COPY != 0
    }

    /// The block that this generation is kept in.
    pub(crate) fn block(&self) -> usize {
        (self.generation % 2) as usize
    }

    pub(crate) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut out = [0; BLOCK_BYTES];
        let to = &mut out[..];
        put(to, 0, &MAGIC);
        put(to, 8, &self.version.number().to_le_bytes());
        put(to, 12, &self.flags.to_le_bytes());
        put(to, 16, &self.generation.to_le_bytes());
        put(to, 24, &self.volume.0);
        put(to, 40, &self.device.to_le_bytes());
        put(to, 44, &(self.members.len() as u32).to_le_bytes());
        put(to, 48, &self.segment_bytes.to_le_bytes());
        put(to, 56, &(BLOCK_BYTES as u32).to_le_bytes());
        put(to, 64, &self.epoch.to_le_bytes());
        let mut grows = 0u64;
        for (i, member) in self.members.iter().enumerate() {
            let at = DEVICES_AT + 24 * i;
            put(to, at, &member.id);
            put(to, at + 16, &member.bytes.to_le_bytes());
            grows |= u64::from(member.grows) << i;
        }
        put(to, 72, &grows.to_le_bytes());
        if let Some(checkpoint) = &self.checkpoint {
            put(to, 60, &checkpoint.bytes.to_le_bytes());
            put(to, 80, &checkpoint.number.to_le_bytes());
            put(to, 88, &checkpoint.address.to_le_bytes());
            put(to, 96, &checkpoint.start.at.to_le_bytes());
            put(to, 104, &checkpoint.durable.to_le_bytes());
            put(to, START_AT, &checkpoint.start.chain.to_le_bytes());
            put(to, START_AT + 8, &checkpoint.start.epoch.to_le_bytes());
            if self.version > Version::One {
                let version = checkpoint.version.number();
                put(to, CHECKPOINT_VERSION_AT, &version.to_le_bytes());
            }
        }
        put(to, SECRET_AT, &self.secret);
        if self.version > Version::Two {
            put(to, HEADED_AT, &self.headed.to_le_bytes());
        }
        let sum = hash_seeded(&to[..CHECKSUM_AT], SEED ^ self.block() as u64);
        put(to, CHECKSUM_AT, &sum.to_le_bytes());
        out
    }

    /// Decodes what is in block `block`.
    pub(crate) fn decode(bytes: &[u8], block: usize) -> Look<Self> {
        let Some(bytes) = bytes.get(..BLOCK_BYTES) else {
            return Look::Bad;
        };
        if is_zero(bytes) {
            return Look::Blank;
        }
        let sum = hash_seeded(&bytes[..CHECKSUM_AT], SEED ^ block as u64);
        if !has_magic(bytes) || get_u64(bytes, CHECKSUM_AT) != sum {
            return Look::Bad;
        }
        let version = match Version::of(get_u16(bytes, 8)) {
            Ok(version) => version,
            Err(look) => return look,
        };
        let count = get_u32(bytes, 44) as usize;
        let segment_bytes = get_u64(bytes, 48);
        let grows = get_u64(bytes, 72);
        let sound = (1..=DEVICES_MAX).contains(&count)
            && (get_u32(bytes, 40) as usize) < count
            && SEGMENT_BYTES.contains(&segment_bytes)
            && get_u32(bytes, 56) as usize == BLOCK_BYTES;
        if !sound {
            return Look::Bad;
        }
        let members: Vec<Member> = (0..count)
            .map(|i| Member {
                id: get(bytes, DEVICES_AT + 24 * i),
                bytes: get_u64(bytes, DEVICES_AT + 24 * i + 16),
                grows: grows >> i & 1 == 1,
            })
            .collect();
        let checkpoint = match decode_checkpoint(bytes, version, segment_bytes) {
            Look::Good(checkpoint) => checkpoint,
            Look::Newer(version) => return Look::Newer(version),
            Look::Early => return Look::Early,
            Look::Blank | Look::Bad => return Look::Bad,
        };
        let superblock = Self {
            version,
            flags: get_u32(bytes, 12),
            generation: get_u64(bytes, 16),
            volume: get_id(bytes, 24),
            device: get_u32(bytes, 40),
            segment_bytes,
            epoch: get_u64(bytes, 64),
            members,
            checkpoint,
            headed: match version {
                Version::One | Version::Two => 0,
                _ => get_u64(bytes, HEADED_AT),
            },
            secret: get(bytes, SECRET_AT),
        };
        let most = VOLUME_BYTES_MAX / count as u64 + SEGMENTS_AT;
        let small = superblock.members.iter().all(|m| m.bytes <= most);
        let fits = check::are_numbers([superblock.generation, superblock.epoch, superblock.headed]);
        if superblock.block() != block || !small || !fits {
            return Look::Bad;
        }
        Look::Good(superblock)
    }
}

/// Where a superblock of this version has the checkpoint, if there is one.
fn decode_checkpoint(
    bytes: &[u8],
    version: Version,
    segment_bytes: u64,
) -> Look<Option<Checkpoint>> {
    if get_u64(bytes, 80) == 0 {
        return Look::Good(None);
    }
    let own = match version {
        Version::One => Ok(version),
        _ => Version::of(get_u16(bytes, CHECKPOINT_VERSION_AT)),
    };
    let own = match own {
        Ok(own) => own,
        Err(look) => return look,
    };
    let checkpoint = Checkpoint {
        version: own,
        number: get_u64(bytes, 80),
        address: get_u64(bytes, 88),
        bytes: get_u32(bytes, 60),
        start: Start {
            at: get_u64(bytes, 96),
            chain: get_u64(bytes, START_AT),
            epoch: get_u64(bytes, START_AT + 8),
        },
        durable: get_u64(bytes, 104),
    };
    let sound = checkpoint.address < VOLUME_BYTES_MAX
        && checkpoint.address.is_multiple_of(ITEM_ALIGN as u64)
        && checkpoint.bytes as usize <= ITEM_BYTES_MAX
        && checkpoint.version <= version
        && checkpoint.start.at <= checkpoint.durable
        && check::are_numbers([
            checkpoint.number,
            checkpoint.start.epoch,
            checkpoint.durable,
        ]);
    // Only at a segment's start does its header say what comes before.
    let follows = checkpoint.start.chain != 0 || checkpoint.start.at.is_multiple_of(segment_bytes);
    match (sound, follows, version) {
        (true, true, _) => Look::Good(Some(checkpoint)),
        (true, false, Version::One) => Look::Early,
        _ => Look::Bad,
    }
}

/// Whether a block starts like a superblock, whole or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}
