//! The manifest: where the pages are, and what else recovery needs of the log below the start.
//!
//! It is one stream of bytes, cut into pieces; the root says where these are. Invariant: every
//! count is checked against the bytes that are left before anything is made of it.

use super::{
    bytes::{Reader, put_bytes, put_location, put_varint},
    directory::{Directory, Page},
};
use crate::{
    format::{
        check::{self, Bounds},
        name::GlobalTxn,
        trees::USER_IDS_START,
    },
    id::VolumeId,
    limits::{
        CHUNK_BYTES, DATASTORES_MAX, KEY_BYTES_MAX, SEGMENT_BYTES, SEQUENCES_MAX, VALUE_BYTES_MAX,
    },
    location::Location,
    log::{LogState, SegmentState},
};

/// Bytes of a piece: less than a value that is cut into chunks.
pub(super) const PIECE_BYTES: usize = 240 << 10;

/// Most pieces of a long value.
const PIECES_MAX: usize = VALUE_BYTES_MAX.div_ceil(CHUNK_BYTES);
/// Most trees: of all datastores, and the store's own.
const TREES_MAX: usize = DATASTORES_MAX + USER_IDS_START as usize;
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

/// The key of a root.
pub(super) fn root_key(number: u64) -> [u8; 12] {
    let mut key = *b"root\0\0\0\0\0\0\0\0";
    key[4..].copy_from_slice(&number.to_le_bytes());
    key
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
            let follows = manifest.trees.last().is_none_or(|(last, _)| *last < tree);
            // A tree without entries takes memory, and next to nothing here.
            if !follows || !check::is_tree(tree) || manifest.trees.len() == TREES_MAX {
                return None;
            }
            let directory = decode_directory(&mut from, manifest.next_id)?;
            manifest.trees.push((tree, directory));
        }
        manifest.log = decode_log(&mut from)?;
        for _ in 0..from.count(6)? {
            manifest.tentative.push(Tentative::decode(&mut from)?);
        }
        for _ in 0..from.count(3)? {
            let (tree, key) = tree_and_key(&mut from)?;
            manifest.overtakers.push((tree, key, from.varint()?));
        }
        for _ in 0..from.count(8)? {
            manifest.decisions.push(Decision {
                key: from.bytes()?.to_vec(),
                at: from.location()?,
                batch: from.varint().filter(|batch| check::are_numbers([*batch]))?,
            });
        }
        (from.is_empty() && manifest.counts_on()).then_some(manifest)
    }

    /// Whether its numbers can be, and are below the next ones.
    fn counts_on(&self) -> bool {
        let next = self.next_sequence;
        check::are_numbers([self.next_id, next])
            && self.tentative.iter().all(|version| version.sequence < next)
            && self.overtakers.iter().all(|(_, _, number)| *number < next)
    }

    /// Whether all that it names, pages and pieces of the manifest among it, lies in the volume.
    pub(super) fn is_within(&self, bounds: &Bounds) -> bool {
        let has = |at: Location| bounds.has_place(at);
        let mut directories = self.trees.iter().map(|(_, directory)| directory);
        let mut pieces = self.log.chunks.iter().flat_map(|(_, places)| places);
        let mut tentative = self.tentative.iter();
        directories.all(|directory| directory.locations().all(has))
            && pieces.all(|at| has(*at))
            && tentative.all(|version| version.location.is_none_or(has))
            && self.decisions.iter().all(|decision| has(decision.at))
    }
}

fn decode_directory(from: &mut Reader<'_>, next_id: u64) -> Option<Directory> {
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
        if !follows || page.count == 0 || page.id >= next_id || page.low.len() > KEY_BYTES_MAX {
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
        let (tree, key) = tree_and_key(from)?;
        Some(Self {
            overtakes: flags & OVERTAKES != 0,
            tree,
            key,
            sequence: from.varint()?,
            batch: from.varint().filter(|batch| check::are_numbers([*batch]))?,
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

fn tree_and_key(from: &mut Reader<'_>) -> Option<(u32, Vec<u8>)> {
    let tree = u32::try_from(from.varint()?).ok()?;
    let key = from.bytes()?;
    let fits = check::is_tree(tree) && key.len() <= KEY_BYTES_MAX;
    fits.then(|| (tree, key.to_vec()))
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

/// Whether a segment's figures can be: everything in it, by its size class and with what moving it
/// adds, has less than twice its bytes.
fn is_possible(segment: &SegmentState) -> bool {
    let most = 2 * SEGMENT_BYTES[1];
    let counts = [
        segment.filled,
        segment.again,
        segment.spare,
        segment.tombstones,
    ];
    // Without items there is no lowest number.
    let lowest = segment.min_placed;
    segment.sequence <= SEQUENCES_MAX
        && counts.iter().all(|&bytes| bytes <= most)
        && check::are_numbers([segment.max_tombstone, segment.max_overtaking])
        && (lowest == u64::MAX || check::are_numbers([lowest]))
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
        let (last, before) = log.segments.split_last()?;
        let follows = before.last().is_none_or(|b| b.sequence < last.sequence);
        if !follows || !is_possible(last) {
            return None;
        }
    }
    for _ in 0..from.count(2)? {
        log.homes.push((from.varint()?, from.varint()?));
    }
    for _ in 0..from.count(2)? {
        let batch = from.varint().filter(|batch| check::are_numbers([*batch]))?;
        let sequences = (0..from.count(1)?).map(|_| from.varint());
        log.spans.push((batch, sequences.collect::<Option<_>>()?));
    }
    for _ in 0..from.count(18)? {
        let global = global(from)?;
        let batch = from.varint().filter(|batch| check::are_numbers([*batch]))?;
        log.prepared.push((global, batch));
    }
    for _ in 0..from.count(2)? {
        let item = from.varint()?;
        let count = from.count(6).filter(|&count| count <= PIECES_MAX)?;
        let places = (0..count).map(|_| from.location());
        log.chunks.push((item, places.collect::<Option<_>>()?));
    }
    Some(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest with these trees, none of which has a page.
    fn with_trees(trees: impl Iterator<Item = u32>) -> Manifest {
        Manifest {
            next_id: 9,
            next_sequence: 9,
            trees: trees.map(|tree| (tree, Directory::default())).collect(),
            ..Manifest::default()
        }
    }

    fn decodes(manifest: &Manifest) -> bool {
        Manifest::decode(&manifest.encode()).is_some()
    }

    #[test]
    fn trees_come_in_order_and_not_more_than_a_volume_has() {
        let most = TREES_MAX as u32 - 3;
        let own = [0, 1, 2].into_iter();
        let up_to = |last| with_trees(own.clone().chain(USER_IDS_START..=last));
        assert!(decodes(&up_to(USER_IDS_START + most - 1)));
        assert!(!decodes(&up_to(USER_IDS_START + most)));
        assert!(!decodes(&with_trees([17, 16].into_iter())));
        assert!(!decodes(&with_trees([16, 16].into_iter())));
        assert!(!decodes(&with_trees([3].into_iter())));
    }

    #[test]
    fn numbers_are_below_the_next_ones() {
        let overtaker = |number, next_sequence| Manifest {
            overtakers: vec![(16, b"key".to_vec(), number)],
            next_sequence,
            ..with_trees([0].into_iter())
        };
        assert!(decodes(&overtaker(8, 9)) && !decodes(&overtaker(9, 9)));
        let most = crate::limits::NUMBERS_MAX;
        assert!(decodes(&overtaker(8, most)) && !decodes(&overtaker(8, most + 1)));
    }

    #[test]
    fn figures_of_a_segment_are_no_more_than_it_holds() {
        let most = 2 * SEGMENT_BYTES[1];
        let with = |sequence, filled| {
            let segment = SegmentState {
                sequence,
                filled,
                again: 0,
                spare: 0,
                tombstones: 0,
                max_tombstone: 0,
                max_overtaking: 0,
                min_placed: u64::MAX,
                indirect: false,
                outcomes: false,
            };
            let mut manifest = with_trees([0].into_iter());
            manifest.log.segments.push(segment);
            manifest
        };
        assert!(decodes(&with(1, most)) && !decodes(&with(1, most + 1)));
        assert!(decodes(&with(SEQUENCES_MAX, 0)) && !decodes(&with(SEQUENCES_MAX + 1, 0)));
        let mut twice = with(1, 0);
        twice.log.segments.push(twice.log.segments[0]);
        assert!(!decodes(&twice));
    }
}
