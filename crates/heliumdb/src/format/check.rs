//! What figures that were read from a device are held against, one place for all of them.
//!
//! Invariant: what passes leads to nothing outside the volume, and leaves room to go on: no sum or
//! product that is made of it wraps. A checksum says that bytes are as they were written, not that
//! whoever wrote them meant well.

use super::{
    SEGMENT_HEADER_BYTES, SEGMENTS_AT,
    frame::{self, FIRST, FrameHeader, Kind, LAST},
    item::{self, CHUNK, INDIRECT, ITEM_BYTES_MAX, ItemHeader, OVERTAKES, TOMBSTONE},
    segment::{SegmentHeader, State},
    superblock::Member,
};
use crate::{
    format::{
        frame::Spilled,
        trees::{CHECKPOINT_TREE, UNORDERED, USER_IDS_START, tree_number},
    },
    limits::{DATASTORES_MAX, LOG_BYTES_PER_TREE, NUMBERS_MAX, SEQUENCES_MAX, VOLUME_BYTES_MAX},
    location::Location,
};

/// Whether all of these leave room to count on.
pub(crate) fn are_numbers<const N: usize>(numbers: [u64; N]) -> bool {
    numbers.iter().all(|&number| number <= NUMBERS_MAX)
}

/// Whether segments of so many bytes may have this header.
pub(crate) fn is_segment(header: &SegmentHeader, segment_bytes: u64) -> bool {
    let SegmentHeader { sequence, end, .. } = *header;
    if sequence > SEQUENCES_MAX
        || !are_numbers([header.generation, header.epoch, header.horizon, end])
    {
        return false;
    }
    let start = sequence * segment_bytes;
    match header.state {
        State::InUse => sequence > 0,
        State::Ended => {
            let first = start + SEGMENT_HEADER_BYTES as u64;
            sequence > 0 && (first..=start + segment_bytes).contains(&end)
        }
        State::Free => true,
    }
}

/// Whether a number can be that of a tree of items.
pub(crate) fn is_tree(tree: u32) -> bool {
    tree <= CHECKPOINT_TREE || is_datastore_number(tree_number(tree))
}

/// Most trees that the log of a volume of so many bytes has items of, dropped ones too.
pub(crate) fn trees_max(volume_bytes: u64) -> usize {
    let made = usize::try_from(volume_bytes / LOG_BYTES_PER_TREE).unwrap_or(usize::MAX);
    made.saturating_add(DATASTORES_MAX + USER_IDS_START as usize)
}

/// Whether a datastore, or its tree, can have this number.
pub(crate) fn is_datastore_number(number: u32) -> bool {
    (USER_IDS_START..UNORDERED - 1).contains(&number)
}

/// Whether the header of a whole frame can be.
pub(crate) fn is_frame(header: &FrameHeader) -> bool {
    let &FrameHeader { kind, lsn, .. } = header;
    let is_whole = header.flags == FIRST | LAST;
    let batch = header.batch_id;
    let fits = match kind {
        Kind::Seal => is_whole && batch == 0 && header.payload_len == 0,
        Kind::Resolve => is_whole && batch == 0,
        Kind::Cancel => is_whole && batch < lsn && header.payload_len == 16,
        _ if header.flags & FIRST != 0 => batch == lsn,
        _ => batch < lsn,
    };
    // Only a batch that names others may have nothing of its own.
    let is_filled = match kind {
        Kind::Prepare | Kind::Spill | Kind::Move | Kind::Checkpoint => header.item_count > 0,
        Kind::Cancel | Kind::Resolve | Kind::Seal => header.item_count == 0,
        Kind::Commit | Kind::CommitSpilled => true,
    };
    are_numbers([lsn, header.epoch])
        && header.horizon <= lsn
        && header.flags & !(FIRST | LAST) == 0
        && fits
        && is_filled
}

/// Whether an item of this tree can be in a frame of this kind.
pub(crate) fn belongs(kind: Kind, header: &ItemHeader) -> bool {
    (kind == Kind::Checkpoint) == (header.tree == CHECKPOINT_TREE)
}

/// Whether a whole item can be.
pub(crate) fn is_item(header: &ItemHeader, bytes: &[u8]) -> bool {
    let flags = header.flags;
    let fits = if flags & CHUNK != 0 {
        flags == CHUNK && header.key_len == 0
    } else if flags & TOMBSTONE != 0 {
        flags & !OVERTAKES == TOMBSTONE && header.value_len == 0
    } else {
        flags & INDIRECT == 0 || item::decode_chunk_list(header.value(bytes)).is_some()
    };
    are_numbers([header.seq]) && is_tree(header.tree) && fits
}

/// Whether a commit at `lsn` can say this of what was spilled before it.
pub(crate) fn is_spilled(spilled: &Spilled, lsn: u64) -> bool {
    let Spilled { first, last, .. } = *spilled;
    let mut skipped = spilled.skipped.iter();
    are_numbers([spilled.id, spilled.batches])
        && first <= last
        && last < lsn
        && skipped.all(|&(from, below)| from <= below && are_numbers([below]))
}

/// Where places can be.
#[derive(Clone)]
pub(crate) struct Bounds {
    segment_bytes: u64,
    /// Segments of each device.
    segments: Vec<u64>,
    /// Segments of each that it may have had.
    once: Vec<u64>,
    /// The largest place that an item may take.
    class_bytes: usize,
}

impl Bounds {
    /// Of a volume with these devices.
    pub(crate) fn of(members: &[Member], segment_bytes: u64) -> Self {
        let segments = members.iter();
        let segments = segments.map(|m| m.bytes.saturating_sub(SEGMENTS_AT) / segment_bytes);
        let segments: Vec<u64> = segments.collect();
        let most = VOLUME_BYTES_MAX / segment_bytes / members.len().max(1) as u64;
        // A file that grows may have been longer.
        let once = members.iter().zip(&segments);
        let once = once.map(|(m, now)| if m.grows { most } else { *now });
        Self {
            segment_bytes,
            once: once.collect(),
            segments,
            class_bytes: Location::new(0, ITEM_BYTES_MAX).class_bytes(),
        }
    }

    /// Whether the volume has such a segment.
    pub(crate) fn has_segment(&self, segment: u64) -> bool {
        is_segment_of(&self.segments, segment)
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().sum::<u64>() * self.segment_bytes
    }

    /// Whether an item can be there.
    pub(crate) fn has_place(&self, at: Location) -> bool {
        self.has_segment(at.address() / self.segment_bytes) && self.fits(at)
    }

    /// Whether an item can have been there: what says so may be older than the end of the file.
    pub(crate) fn had_place(&self, at: Location) -> bool {
        is_segment_of(&self.once, at.address() / self.segment_bytes) && self.fits(at)
    }

    /// Whether an item can be there, in whatever segment.
    fn fits(&self, at: Location) -> bool {
        let within = at.address() % self.segment_bytes;
        let first = (SEGMENT_HEADER_BYTES + frame::HEADER_BYTES) as u64;
        let last = self.segment_bytes - item::HEADER_BYTES as u64;
        (first..=last).contains(&within)
            && (item::HEADER_BYTES..=self.class_bytes).contains(&at.class_bytes())
    }
}

/// Whether that is one of the segments of devices that have so many.
fn is_segment_of(segments: &[u64], segment: u64) -> bool {
    let n = segments.len() as u64;
    let device = segments.get((segment % n.max(1)) as usize);
    device.is_some_and(|&segments| segment / n < segments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Version;

    fn frame() -> FrameHeader {
        FrameHeader {
            version: Version::CURRENT,
            kind: Kind::Commit,
            flags: FIRST | LAST,
            payload_len: 32,
            item_count: 1,
            epoch: 1,
            lsn: 100,
            horizon: 100,
            batch_id: 100,
            payload_hash: 0,
            chain: 0,
        }
    }

    #[test]
    fn numbers_end_at_their_limit() {
        assert!(are_numbers([0, NUMBERS_MAX]));
        assert!(!are_numbers([NUMBERS_MAX + 1]) && !are_numbers([0, u64::MAX]));
        let at = |lsn| FrameHeader {
            lsn,
            horizon: lsn,
            batch_id: lsn,
            ..frame()
        };
        assert!(is_frame(&at(NUMBERS_MAX)) && !is_frame(&at(NUMBERS_MAX + 1)));
        let epoch = |epoch| FrameHeader { epoch, ..frame() };
        assert!(is_frame(&epoch(NUMBERS_MAX)) && !is_frame(&epoch(NUMBERS_MAX + 1)));
    }

    #[test]
    fn a_frame_speaks_of_what_is_before_it() {
        assert!(is_frame(&frame()));
        let wrong = [
            FrameHeader {
                horizon: 101,
                ..frame()
            },
            FrameHeader {
                batch_id: 99,
                ..frame()
            },
            FrameHeader {
                flags: LAST,
                ..frame()
            },
            FrameHeader {
                flags: 4 | FIRST | LAST,
                ..frame()
            },
            FrameHeader {
                kind: Kind::Seal,
                ..frame()
            },
            FrameHeader {
                kind: Kind::Cancel,
                ..frame()
            },
            FrameHeader {
                kind: Kind::Prepare,
                item_count: 0,
                ..frame()
            },
            FrameHeader {
                kind: Kind::Spill,
                item_count: 0,
                ..frame()
            },
            FrameHeader {
                kind: Kind::Move,
                item_count: 0,
                ..frame()
            },
        ];
        for header in wrong {
            assert!(!is_frame(&header), "{header:?}");
        }
    }

    #[test]
    fn segments_end_within_themselves() {
        let header = |state, sequence, end| SegmentHeader {
            state,
            generation: 1,
            volume: crate::VolumeId([1; 16]),
            segment: 0,
            sequence,
            epoch: 1,
            chain: 0,
            end,
            horizon: 0,
            written: true,
        };
        let bytes = 1 << 20;
        assert!(is_segment(&header(State::InUse, SEQUENCES_MAX, 0), bytes));
        assert!(!is_segment(
            &header(State::InUse, SEQUENCES_MAX + 1, 0),
            bytes
        ));
        assert!(!is_segment(&header(State::InUse, 0, 0), bytes));
        assert!(is_segment(&header(State::Free, 0, 0), bytes));
        for (end, fits) in [
            (2 * bytes, false),
            (2 * bytes + 8192, true),
            (3 * bytes, true),
        ] {
            assert_eq!(
                is_segment(&header(State::Ended, 2, end), bytes),
                fits,
                "{end}"
            );
        }
        assert!(!is_segment(&header(State::Ended, 2, 3 * bytes + 1), bytes));
    }

    #[test]
    fn places_are_where_items_can_be() {
        let member = |segments: u64| Member {
            id: [0; 16],
            bytes: SEGMENTS_AT + segments * (1 << 20),
            grows: false,
        };
        let bounds = Bounds::of(&[member(3), member(2)], 1 << 20);
        assert_eq!(bounds.bytes(), 5 << 20);
        let all: Vec<u64> = (0..8)
            .filter(|segment| bounds.has_segment(*segment))
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        let has = |address, bytes| bounds.has_place(Location::new(address, bytes));
        assert!(has(8192 + 80, 24) && has((1 << 20) - 32, 24));
        assert!(!has(8192 + 64, 24) && !has((1 << 20) - 16, 24));
        assert!(!has(8192 + 80, 8) && has(8192 + 80, ITEM_BYTES_MAX));
        assert!(!has(8192 + 80, 2 * ITEM_BYTES_MAX));
        assert!(!has((5 << 20) + 8192 + 80, 24));
    }

    #[test]
    fn what_is_said_of_the_past_may_lie_behind_the_end_of_a_file_that_grows() {
        let member = |grows: bool| Member {
            id: [0; 16],
            bytes: SEGMENTS_AT + (3 << 20),
            grows,
        };
        let bounds = Bounds::of(&[member(false), member(true)], 1 << 20);
        let at = |segment: u64| Location::new((segment << 20) + 8192 + 80, 24);
        let (last, behind) = (at(5), at(7));
        assert!(bounds.has_place(last) && bounds.had_place(last));
        assert!(!bounds.has_place(behind) && bounds.had_place(behind));
        // The other device never was longer, and no volume is.
        assert!(!bounds.had_place(at(6)));
        assert!(bounds.had_place(at((1 << 24) - 1)));
        let within = Location::new((7 << 20) + 8192, 24);
        assert!(!bounds.had_place(within));
    }

    #[test]
    fn trees_are_the_stores_own_or_datastores() {
        let sound = [
            0,
            1,
            2,
            USER_IDS_START,
            UNORDERED - 2,
            UNORDERED | USER_IDS_START,
        ];
        assert!(sound.into_iter().all(is_tree));
        let wrong = [
            3,
            USER_IDS_START - 1,
            UNORDERED - 1,
            UNORDERED,
            UNORDERED | 2,
            u32::MAX,
        ];
        assert!(!wrong.into_iter().any(is_tree));
    }
}
