//! The manifest: where the pages are, and what else recovery needs of the log below the start.
//!
//! It is one stream of bytes, cut into pieces; the root says where these are. Invariant: every
//! count is checked against the bytes that are left before anything is made of it.

use super::{
    bytes::{Reader, put_bytes, put_location, put_varint},
    directory::{Directory, Page},
};
use crate::{
    location::Location,
    log::{GlobalTxn, LogState, SegmentState},
    volume::VolumeId,
};

/// Bytes of a piece: less than a value that is cut into chunks.
pub(super) const PIECE_BYTES: usize = 240 << 10;

const TOMBSTONE: u64 = 1;
const OVERTAKES: u64 = 2;
const PREPARED: u64 = 4;

/// A version that may still be cancelled, or of which only the decider knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tentative {
    pub(crate) tree: u32,
    pub(crate) key: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) overtakes: bool,
    pub(crate) location: Option<Location>,
    pub(crate) batch: u64,
    pub(crate) prepared: Option<GlobalTxn>,
}

/// A decision about a transaction over several volumes; counts unless `batch` is cancelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    pub(crate) key: Vec<u8>,
    pub(crate) at: Location,
    /// 0 if it cannot be cancelled.
    pub(crate) batch: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Manifest {
    pub(super) next_id: u64,
    pub(super) next_sequence: u64,
    pub(super) trees: Vec<(u32, Directory)>,
    pub(super) log: LogState,
    pub(super) tentative: Vec<Tentative>,
    /// Keys with the sequence of a version below which others may follow in the log.
    pub(super) overtakers: Vec<(u32, Vec<u8>, u64)>,
    pub(super) decisions: Vec<Decision>,
}

/// The root: the key of the first piece and the places of all.
pub(super) fn encode_root(first: u64, pieces: &[Location]) -> Vec<u8> {
    let mut to = Vec::new();
    put_varint(&mut to, first);
    put_varint(&mut to, pieces.len() as u64);
    pieces.iter().for_each(|at| put_location(&mut to, *at));
    to
}

pub(super) fn decode_root(root: &[u8]) -> Option<(u64, Vec<Location>)> {
    let mut from = Reader(root);
    let first = from.varint()?;
    let count = from.count(6)?;
    let pieces = (0..count).map(|_| from.location()).collect::<Option<_>>()?;
    from.is_empty().then_some((first, pieces))
}

impl Manifest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put_varint(&mut to, self.next_id);
        put_varint(&mut to, self.next_sequence);
        put_varint(&mut to, self.trees.len() as u64);
        for (tree, directory) in &self.trees {
            put_varint(&mut to, u64::from(*tree));
            let pages = directory
                .pages
                .iter()
                .filter_map(|page| Some((page, page.at?)));
            put_varint(&mut to, pages.clone().count() as u64);
            for (page, at) in pages {
                put_bytes(&mut to, &page.low);
                put_varint(&mut to, page.id);
                put_varint(&mut to, page.count);
                put_location(&mut to, at);
            }
        }
        encode_log(&mut to, &self.log);
        put_varint(&mut to, self.tentative.len() as u64);
        for version in &self.tentative {
            version.encode(&mut to);
        }
        put_varint(&mut to, self.overtakers.len() as u64);
        for (tree, key, sequence) in &self.overtakers {
            put_varint(&mut to, u64::from(*tree));
            put_bytes(&mut to, key);
            put_varint(&mut to, *sequence);
        }
        put_varint(&mut to, self.decisions.len() as u64);
        for decision in &self.decisions {
            put_bytes(&mut to, &decision.key);
            put_location(&mut to, decision.at);
            put_varint(&mut to, decision.batch);
        }
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let mut manifest = Self {
            next_id: from.varint()?,
            next_sequence: from.varint()?,
            ..Self::default()
        };
        for _ in 0..from.count(2)? {
            let tree = u32::try_from(from.varint()?).ok()?;
            manifest.trees.push((tree, decode_directory(&mut from)?));
        }
        manifest.log = decode_log(&mut from)?;
        for _ in 0..from.count(6)? {
            manifest.tentative.push(Tentative::decode(&mut from)?);
        }
        for _ in 0..from.count(3)? {
            let tree = u32::try_from(from.varint()?).ok()?;
            let key = from.bytes()?.to_vec();
            manifest.overtakers.push((tree, key, from.varint()?));
        }
        for _ in 0..from.count(8)? {
            manifest.decisions.push(Decision {
                key: from.bytes()?.to_vec(),
                at: from.location()?,
                batch: from.varint()?,
            });
        }
        from.is_empty().then_some(manifest)
    }
}

fn decode_directory(from: &mut Reader<'_>) -> Option<Directory> {
    let mut pages: Vec<Page> = Vec::new();
    for _ in 0..from.count(9)? {
        let page = Page {
            low: from.bytes()?.to_vec(),
            id: from.varint()?,
            count: from.varint()?,
            at: Some(from.location()?),
            stale: false,
        };
        let follows = match pages.last() {
            Some(before) => before.low < page.low,
            None => page.low.is_empty(),
        };
        if !follows || page.count == 0 {
            return None;
        }
        pages.push(page);
    }
    if pages.is_empty() {
        pages.push(Page::empty());
    }
    Some(Directory { pages })
}

impl Tentative {
    fn encode(&self, to: &mut Vec<u8>) {
        let flags = if self.overtakes { OVERTAKES } else { 0 }
            | if self.location.is_none() {
                TOMBSTONE
            } else {
                0
            }
            | if self.prepared.is_some() { PREPARED } else { 0 };
        put_varint(to, flags);
        put_varint(to, u64::from(self.tree));
        put_bytes(to, &self.key);
        put_varint(to, self.sequence);
        put_varint(to, self.batch);
        if let Some(at) = self.location {
            put_location(to, at);
        }
        if let Some(global) = &self.prepared {
            put_global(to, global);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let flags = from.varint()?;
        Some(Self {
            overtakes: flags & OVERTAKES != 0,
            tree: u32::try_from(from.varint()?).ok()?,
            key: from.bytes()?.to_vec(),
            sequence: from.varint()?,
            batch: from.varint()?,
            location: match flags & TOMBSTONE {
                0 => Some(from.location()?),
                _ => None,
            },
            prepared: match flags & PREPARED {
                0 => None,
                _ => Some(global(from)?),
            },
        })
    }
}

fn put_global(to: &mut Vec<u8>, global: &GlobalTxn) {
    to.extend_from_slice(&global.decider.0);
    put_varint(to, global.number);
}

fn global(from: &mut Reader<'_>) -> Option<GlobalTxn> {
    Some(GlobalTxn {
        decider: VolumeId(from.take(16)?.try_into().ok()?),
        number: from.varint()?,
    })
}

fn encode_log(to: &mut Vec<u8>, log: &LogState) {
    put_varint(to, log.segments.len() as u64);
    for segment in &log.segments {
        put_varint(to, segment.sequence);
        put_varint(to, segment.filled);
        put_varint(to, segment.again);
        put_varint(to, segment.spare);
        put_varint(to, segment.tombstones);
        put_varint(to, segment.max_tombstone);
        put_varint(to, segment.max_overtaking);
        put_varint(to, segment.min_placed);
        put_varint(
            to,
            u64::from(segment.indirect) | u64::from(segment.outcomes) << 1,
        );
    }
    put_varint(to, log.homes.len() as u64);
    for (segment, home) in &log.homes {
        put_varint(to, *segment);
        put_varint(to, *home);
    }
    put_varint(to, log.spans.len() as u64);
    for (batch, sequences) in &log.spans {
        put_varint(to, *batch);
        put_varint(to, sequences.len() as u64);
        sequences.iter().for_each(|s| put_varint(to, *s));
    }
    put_varint(to, log.prepared.len() as u64);
    for (global, batch) in &log.prepared {
        put_global(to, global);
        put_varint(to, *batch);
    }
    put_varint(to, log.chunks.len() as u64);
    for (item, places) in &log.chunks {
        put_varint(to, *item);
        put_varint(to, places.len() as u64);
        places.iter().for_each(|at| put_location(to, *at));
    }
}

fn decode_log(from: &mut Reader<'_>) -> Option<LogState> {
    let mut log = LogState::default();
    for _ in 0..from.count(9)? {
        let (sequence, filled) = (from.varint()?, from.varint()?);
        let (again, spare) = (from.varint()?, from.varint()?);
        let tombstones = from.varint()?;
        let (max_tombstone, max_overtaking) = (from.varint()?, from.varint()?);
        let (min_placed, flags) = (from.varint()?, from.varint()?);
        log.segments.push(SegmentState {
            sequence,
            filled,
            again,
            spare,
            tombstones,
            max_tombstone,
            max_overtaking,
            min_placed,
            indirect: flags & 1 != 0,
            outcomes: flags & 2 != 0,
        });
    }
    for _ in 0..from.count(2)? {
        log.homes.push((from.varint()?, from.varint()?));
    }
    for _ in 0..from.count(2)? {
        let batch = from.varint()?;
        let sequences = (0..from.count(1)?).map(|_| from.varint());
        log.spans.push((batch, sequences.collect::<Option<_>>()?));
    }
    for _ in 0..from.count(18)? {
        let global = global(from)?;
        log.prepared.push((global, from.varint()?));
    }
    for _ in 0..from.count(2)? {
        let item = from.varint()?;
        let places = (0..from.count(6)?).map(|_| from.location());
        log.chunks.push((item, places.collect::<Option<_>>()?));
    }
    Some(log)
}
