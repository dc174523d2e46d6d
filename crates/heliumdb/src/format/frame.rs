//! A frame: the unit in which the log is written, checked and chained.
//!
//! Its header's hash covers position, epoch, horizon and the header before it; its
//! payload hash covers the kind's prefix and every item.

use super::{Look, Salt, Version, get_id, get_u16, get_u32, get_u64, hash_seeded, is_zero, put};
use crate::{
    format::name::GlobalTxn,
    id::VolumeId,
    limits::{ITEM_ALIGN, MOVES_PER_BATCH_MAX, SPILL_SKIPS_MAX, VOLUMES_PER_TRANSACTION_MAX},
};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HEADER_BYTES: usize = 80;
const MAGIC: u32 = u32::from_le_bytes(*b"HeFr");
/// What a transaction had spilled when it committed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spilled {
    pub id: u64,
    /// How many batches.
    pub batches: u64,
    /// Ids of the first and of the last of them.
    pub first: u64,
    pub last: u64,
    /// Sequence numbers (from, below) whose items do not count.
    pub skipped: Vec<(u64, u64)>,
}

/// The batch's first frame.
pub(crate) const FIRST: u8 = 1;
/// The batch's last frame.
pub(crate) const LAST: u8 = 2;

/// Bytes before spilled items.
const SPILL_BYTES: usize = 16;
/// Bytes before the items of a commit that names spilled ones, and before its stretches.
const SPILLED_BYTES: usize = 48;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Commit = 1,
    Prepare = 2,
    Cancel = 3,
    Resolve = 4,
    Seal = 5,
    Move = 6,
    Spill = 7,
    CommitSpilled = 8,
    /// Items of a checkpoint: replay needs none of them.
    Checkpoint = 9,
}

impl Kind {
    fn from_u8(kind: u8) -> Option<Self> {
        [
            Self::Commit,
            Self::Prepare,
            Self::Cancel,
            Self::Resolve,
            Self::Seal,
            Self::Move,
            Self::Spill,
            Self::CommitSpilled,
            Self::Checkpoint,
        ]
        .into_iter()
        .find(|k| *k as u8 == kind)
    }
}

/// A frame's header. Its length on disk is [`HEADER_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    /// What it and its contents mean.
    pub version: Version,
    pub kind: Kind,
    pub flags: u8,
    pub payload_len: u32,
    pub item_count: u32,
    pub epoch: u64,
    pub lsn: u64,
    /// The highest position known durable when the frame was built.
    pub horizon: u64,
    pub batch_id: u64,
    pub payload_hash: u64,
    /// Hash of the header before this one.
    pub chain: u64,
}

impl FrameHeader {
    /// Encodes into the first bytes of `to`; returns the header's hash.
    pub(crate) fn encode(&self, to: &mut [u8; HEADER_BYTES], salt: Salt) -> u64 {
        *to = [0; HEADER_BYTES];
        put(to, 0, &MAGIC.to_le_bytes());
        put(to, 4, &self.version.number().to_le_bytes());
        to[6] = self.kind as u8;
        to[7] = self.flags;
        put(to, 8, &self.payload_len.to_le_bytes());
        put(to, 12, &self.item_count.to_le_bytes());
        put(to, 16, &self.epoch.to_le_bytes());
        put(to, 24, &self.lsn.to_le_bytes());
        put(to, 32, &self.horizon.to_le_bytes());
        put(to, 40, &self.batch_id.to_le_bytes());
        put(to, 48, &self.payload_hash.to_le_bytes());
        put(to, 56, &self.chain.to_le_bytes());
        let hash = hash_seeded(&to[..72], salt.0);
        put(to, 72, &hash.to_le_bytes());
        hash
    }

    /// Decodes and checks the header at the start of `bytes`: with its own hash.
    pub(crate) fn decode(bytes: &[u8], salt: Salt) -> Look<(Self, u64)> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return Look::Bad;
        };
        let hash = get_u64(bytes, 72);
        if get_u32(bytes, 0) == 0 {
            return Look::Blank;
        }
        if get_u32(bytes, 0) != MAGIC || hash_seeded(&bytes[..72], salt.0) != hash {
            return Look::Bad;
        }
        let version = match Version::of(get_u16(bytes, 4)) {
            Ok(version) => version,
            Err(look) => return look,
        };
        let Some(kind) = Kind::from_u8(bytes[6]) else {
            return Look::Bad;
        };
        if !is_zero(&bytes[64..72]) {
            return Look::Bad;
        }
        let header = Self {
            version,
            kind,
            flags: bytes[7],
            payload_len: get_u32(bytes, 8),
            item_count: get_u32(bytes, 12),
            epoch: get_u64(bytes, 16),
            lsn: get_u64(bytes, 24),
            horizon: get_u64(bytes, 32),
            batch_id: get_u64(bytes, 40),
            payload_hash: get_u64(bytes, 48),
            chain: get_u64(bytes, 56),
        };
        Look::Good((header, hash))
    }
}

/// Start of a payload's hash: that of what stands before its items.
pub(crate) fn prefix_hash(prefix: &[u8]) -> u64 {
    xxh3_64(prefix)
}

/// What stands before a prepared batch's items.
pub(crate) fn encode_prepare(global: GlobalTxn, participants: &[VolumeId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + 16 * participants.len());
    out.extend_from_slice(&global.decider.0);
    out.extend_from_slice(&global.number.to_le_bytes());
    out.extend_from_slice(&(participants.len() as u64).to_le_bytes());
    for id in participants {
        out.extend_from_slice(&id.0);
    }
    out
}

/// Decodes a prepared batch's prefix: with its length.
pub(crate) fn decode_prepare(payload: &[u8]) -> Option<(GlobalTxn, Vec<VolumeId>, usize)> {
    let n = get_u64(payload, 24);
    if payload.len() < 32 || n > VOLUMES_PER_TRANSACTION_MAX as u64 {
        return None;
    }
    let len = 32 + 16 * n as usize;
    if payload.len() < len {
        return None;
    }
    let participants = (0..n as usize)
        .map(|i| get_id(payload, 32 + 16 * i))
        .collect();
    Some((decode_global(payload), participants, len))
}

fn decode_global(payload: &[u8]) -> GlobalTxn {
    GlobalTxn {
        decider: get_id(payload, 0),
        number: get_u64(payload, 16),
    }
}

/// Bytes that stand before the items of a Move frame that has `items` of them.
pub(crate) fn move_prefix_bytes(items: usize) -> usize {
    (16 + 8 * items).next_multiple_of(ITEM_ALIGN)
}

/// What stands before moved items: a number below that of anything that may yet supersede one of
/// them, and the units of address space at which each was found.
pub(crate) fn encode_move(placed: u64, units: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let bytes = move_prefix_bytes(units.len());
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(&placed.to_le_bytes());
    out.extend_from_slice(&(units.len() as u64).to_le_bytes());
    for unit in units {
        out.extend_from_slice(&unit.to_le_bytes());
    }
    out.resize(bytes, 0);
    out
}

/// Decodes what stands before moved items: with its length.
pub(crate) fn decode_move(payload: &[u8]) -> Option<(u64, Vec<u64>, usize)> {
    let n = get_u64(payload, 8);
    if payload.len() < 16 || n > MOVES_PER_BATCH_MAX as u64 {
        return None;
    }
    let len = move_prefix_bytes(n as usize);
    if payload.len() < len || !is_zero(&payload[16 + 8 * n as usize..len]) {
        return None;
    }
    let units = (0..n as usize).map(|i| get_u64(payload, 16 + 8 * i));
    let units: Vec<u64> = units.collect();
    let sound = units.iter().all(|unit| *unit < 1 << 40);
    sound.then(|| (get_u64(payload, 0), units, len))
}

/// The payload of a Resolve frame.
pub(crate) fn encode_resolve(global: GlobalTxn, committed: bool) -> [u8; 32] {
    let mut out = [0; 32];
    put(&mut out, 0, &global.decider.0);
    put(&mut out, 16, &global.number.to_le_bytes());
    out[24] = u8::from(committed);
    out
}

/// Decodes a Resolve frame's payload.
pub(crate) fn decode_resolve(payload: &[u8]) -> Option<(GlobalTxn, bool)> {
    let sound = payload.len() == 32 && payload[24] <= 1 && is_zero(&payload[25..]);
    sound.then(|| (decode_global(payload), payload[24] == 1))
}

/// What stands before spilled items: the id, and the batch's number among those of the id.
pub(crate) fn encode_spill(id: u64, number: u64) -> Vec<u8> {
    [id.to_le_bytes(), number.to_le_bytes()].concat()
}

/// Decodes what stands before spilled items: with its length.
pub(crate) fn decode_spill(payload: &[u8]) -> Option<(u64, u64, usize)> {
    let whole = payload.len() >= SPILL_BYTES;
    whole.then(|| (get_u64(payload, 0), get_u64(payload, 8), SPILL_BYTES))
}

/// What stands before the items of a commit that names spilled ones.
pub(crate) fn encode_spilled(spilled: &Spilled) -> Vec<u8> {
    let mut out = Vec::with_capacity(SPILLED_BYTES + 16 * spilled.skipped.len());
    let stretches = spilled.skipped.len() as u64;
    let Spilled {
        id,
        batches,
        first,
        last,
        ..
    } = *spilled;
    for number in [id, stretches, batches, first, last, 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for (from, below) in &spilled.skipped {
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&below.to_le_bytes());
    }
    out
}

/// Decodes what stands before the items of a commit that names spilled ones: with its length.
pub(crate) fn decode_spilled(payload: &[u8]) -> Option<(Spilled, usize)> {
    let n = get_u64(payload, 8);
    if payload.len() < SPILLED_BYTES || n > SPILL_SKIPS_MAX as u64 {
        return None;
    }
    let len = SPILLED_BYTES + 16 * n as usize;
    if payload.len() < len || get_u64(payload, 40) != 0 {
        return None;
    }
    let stretch = |at| (get_u64(payload, at), get_u64(payload, at + 8));
    let spilled = Spilled {
        id: get_u64(payload, 0),
        batches: get_u64(payload, 16),
        first: get_u64(payload, 24),
        last: get_u64(payload, 32),
        skipped: (SPILLED_BYTES..len).step_by(16).map(stretch).collect(),
    };
    Some((spilled, len))
}

/// Length of what stands before a frame's items, or of all that a record says; `None` if it cannot be.
pub(crate) fn prefix_len(kind: Kind, payload: &[u8]) -> Option<usize> {
    match kind {
        Kind::Commit | Kind::Checkpoint => Some(0),
        Kind::Prepare => Some(decode_prepare(payload)?.2),
        Kind::Move => Some(decode_move(payload)?.2),
        Kind::Spill => Some(decode_spill(payload)?.2),
        Kind::CommitSpilled => Some(decode_spilled(payload)?.1),
        Kind::Cancel | Kind::Resolve | Kind::Seal => Some(payload.len()),
    }
}

/// Whether bytes start like a frame header, whole or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}
