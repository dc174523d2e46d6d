//! Reading the source's log: once for the records that speak of others, once for the items.
//!
//! Invariant: a segment that a whole header calls free is not looked at, nor is anything behind
//! the end of an ended one.

use std::collections::{BTreeSet, HashSet};

use super::{
    Rules,
    batches::{Batches, Counts, Order, Records},
    copy::append,
    newest::Newest,
    source::{HeaderLook, Source},
    walk::{Piece, Walk},
};
use crate::{
    device::aligned::AlignedBuffer,
    error::Result,
    format::{
        Look, check,
        frame::FrameHeader,
        name::GlobalTxn,
        segment::{SegmentHeader, State},
        trees::DECISIONS_TREE,
    },
    id::VolumeId,
    limits::ITEM_ALIGN,
    location::Lsn,
    log::{early, epoch_chain},
    progress::{Phase, Reporter},
    volume::outcomes::Told,
};

/// A key and its value.
type Record = (Vec<u8>, Vec<u8>);

/// A segment that holds log.
struct Segment {
    id: u64,
    sequence: u64,
    /// Bytes up to the end of its log, at most.
    end: usize,
    /// `None` if it is destroyed.
    header: Option<SegmentHeader>,
}

/// What the log of a volume came to.
pub(crate) struct Scanned {
    pub(super) newest: Newest,
    pub(super) named: HashSet<u32>,
    pub(super) counts: Counts,
    pub(super) segments: u64,
    pub(super) lost_segments: u64,
    /// It has an epoch that superblocks know nothing of.
    pub(super) is_ahead: bool,
    /// No epoch of it is above this one.
    pub(crate) epoch: u64,
    /// Of a volume whose catalog is whole: items of trees that it does not name are nobody's.
    pub(super) is_sound: bool,
}

pub(crate) fn scan(
    source: &Source,
    rules: &Rules,
    told: &Told,
    reporter: &mut Reporter<'_>,
) -> Result<Scanned> {
    let more = rules.records_below;
    let with_records = more.map(|below| segments(source, rules, Some(below)).0);
    let (segments, lost, horizon) = segments(source, rules, rules.below);
    let order = Order {
        in_use: segments.iter().map(|segment| segment.sequence).collect(),
        incomplete: !lost.is_empty() || source.missing_devices() > 0,
        segment_bytes: source.segment_bytes,
    };
    let mut records = Records::of(told);
    let mut durable = horizon.max(source.durable);
    let mut last_epoch = 0;
    let mut pass = Pass::new(
        source,
        with_records.as_ref().unwrap_or(&segments),
        Phase::Records,
    );
    pass.run(reporter, |event| {
        if let Event::Piece(piece) = event {
            if let Piece::Frame { header, .. } = &piece {
                durable = durable.max(header.horizon);
                last_epoch = last_epoch.max(header.epoch);
            }
            records.piece(&piece);
        }
    })?;
    let mut batches = Batches::new(source.volume, rules, &records, told, &order);
    let bytes = segments.len() as u64 * source.segment_bytes;
    batches.newest.trees_max = check::trees_max(bytes);
    let mut pass = Pass::new(source, &segments, Phase::Items);
    pass.durable = Some(durable);
    let mut end = 0;
    pass.takes_gaps = rules.doubtful;
    pass.run(reporter, |event| match event {
        Event::Segment(segment) => {
            let header = segment.header.as_ref();
            let starts_epoch = header.is_some_and(|h| h.chain == epoch_chain(h.epoch));
            batches.segment(segment.sequence, header.map(|h| h.chain), starts_epoch);
        }
        Event::Piece(piece) => batches.piece(piece),
        Event::End { complete, at } => {
            end = end.max(at);
            batches.end_segment(complete);
        }
    })?;
    // More was durable than is here: a copy that was made while someone wrote, say.
    // (A session that has not written yet calls the start of its first segment durable.)
    let is_more = durable > end && !durable.is_multiple_of(source.segment_bytes);
    let is_cut = rules.below.is_none() && is_more;
    batches.finish(is_cut);
    Ok(Scanned {
        newest: batches.newest,
        named: batches.named,
        counts: batches.counts,
        segments: segments.len() as u64,
        lost_segments: lost.len() as u64,
        epoch: segments
            .iter()
            .filter_map(|segment| segment.header.as_ref())
            .map(|header| header.epoch)
            .fold(last_epoch.max(source.epoch), u64::max),
        is_ahead: source.last_epoch.is_some_and(|known| known < last_epoch),
        is_sound: rules.below.is_some(),
    })
}

impl Scanned {
    /// Prepared batches of which nothing says what became of them.
    pub(crate) fn unresolved_batches(&self) -> u64 {
        self.counts.unresolved_batches
    }

    /// What this volume decided about others' prepared batches.
    pub(super) fn decisions(&self, source: &Source) -> Vec<(GlobalTxn, VolumeId)> {
        let mut decisions = Vec::new();
        for (key, participants) in self.decision_records(source).0 {
            if let Some(global) = GlobalTxn::of_decision(source.volume, &key) {
                let ids = participants.as_chunks().0.iter();
                decisions.extend(ids.map(|id| (global, VolumeId(*id))));
            }
        }
        decisions
    }

    /// The records of decisions that others may still ask for, and how many of them cannot be read.
    pub(super) fn decision_records(&self, source: &Source) -> (Vec<Record>, u64) {
        let (mut records, mut lost) = (Vec::new(), 0);
        let mut bytes = Vec::new();
        self.newest.each(DECISIONS_TREE, |key, at| {
            let Some(at) = at else { return };
            let mut value = Vec::new();
            let found = source.item(at, &mut bytes);
            let found = found.filter(|h| h.tree == DECISIONS_TREE && h.key(&bytes) == key);
            match found.is_some_and(|header| append(&header, &bytes, &mut value)) {
                true => records.push((key.to_vec(), value)),
                false => lost += 1,
            }
        });
        (records, lost)
    }
}

/// The segments that hold log, by sequence, those of which nobody knows, and the highest position that a
/// header calls durable. With doubtful
/// things asked for, a segment without a header is what the newest of its frames says.
fn segments(source: &Source, rules: &Rules, below: Option<Lsn>) -> (Vec<Segment>, Vec<u64>, Lsn) {
    let mut known: Vec<Segment> = Vec::new();
    let mut lost = Vec::new();
    let mut blank = Vec::new();
    let (mut highest, mut horizon) = (0, 0);
    let mut sequences = BTreeSet::new();
    let bytes = source.segment_bytes as usize;
    for id in source.segments() {
        let look = source.header(id);
        if let HeaderLook::Known(header) = &look
            && !header.is_never_used()
            && check::is_segment(header, source.segment_bytes)
        {
            highest = highest.max(id);
            sequences.insert(header.sequence);
            horizon = horizon.max(header.horizon);
        }
        match look {
            HeaderLook::Blank => blank.push(id),
            HeaderLook::Lost => lost.push(id),
            HeaderLook::Known(header) if !check::is_segment(&header, source.segment_bytes) => {
                lost.push(id);
            }
            HeaderLook::Known(header) if header.state == State::Free => {}
            HeaderLook::Known(header) => {
                let start = header.sequence * source.segment_bytes;
                let end = match header.state {
                    State::Ended => header.end,
                    State::InUse | State::Free => u64::MAX,
                };
                let end = end.min(below.unwrap_or(u64::MAX));
                if end > start {
                    known.push(Segment {
                        id,
                        sequence: header.sequence,
                        end: (end - start).min(bytes as u64) as usize,
                        header: Some(header),
                    });
                }
            }
        }
    }
    // Segments are used for the first time more or less in order: where a sequence is missing, a
    // blank one before a used one may have been zeroed. An open volume knows better.
    let all_known = sequences.last().copied().unwrap_or(0) == sequences.len() as u64;
    if !all_known && below.is_none() {
        lost.extend(blank.into_iter().filter(|id| *id < highest));
    }
    if rules.doubtful {
        let taken: BTreeSet<u64> = known.iter().map(|segment| segment.sequence).collect();
        let found = lost.iter().filter_map(|&id| {
            let sequence = newest_use(source, id).filter(|sequence| !taken.contains(sequence))?;
            Some(Segment {
                id,
                sequence,
                end: bytes,
                header: None,
            })
        });
        known.extend(found);
    }
    known.sort_by_key(|segment| segment.sequence);
    drop_doubles(source, &mut known, &mut lost);
    (known, lost, horizon)
}

/// Of segments that say that they are the same part of the log one stays: the first that has frames of it.
fn drop_doubles(source: &Source, known: &mut Vec<Segment>, lost: &mut Vec<u64>) {
    let mut kept: Vec<Segment> = Vec::new();
    for segment in known.drain(..) {
        match kept.last_mut() {
            Some(last) if last.sequence == segment.sequence => {
                let is_last = newest_use(source, last.id) == Some(last.sequence);
                let dropped = if is_last {
                    segment
                } else {
                    std::mem::replace(last, segment)
                };
                tracing::warn!(
                    segment = dropped.id,
                    sequence = dropped.sequence,
                    "another segment says that it is the same part of the log"
                );
                lost.push(dropped.id);
            }
            _ => kept.push(segment),
        }
    }
    *known = kept;
}

/// The highest sequence that any frame in the segment names.
fn newest_use(source: &Source, id: u64) -> Option<u64> {
    let mut image = AlignedBuffer::new(source.segment_bytes as usize);
    source.read_image(id, &mut image);
    let places = (0..image.len()).step_by(ITEM_ALIGN);
    let sequences = places.filter_map(|at| match FrameHeader::decode(&image[at..], source.salt) {
        Look::Good((header, _)) if header.lsn % source.segment_bytes == at as u64 => {
            Some(header.lsn / source.segment_bytes)
        }
        _ => None,
    });
    sequences.max()
}

/// What a pass over the log meets.
enum Event<'a> {
    Segment(&'a Segment),
    Piece(Piece<'a>),
    End {
        complete: bool,
        /// The position up to which the log was found.
        at: Lsn,
    },
}

struct Pass<'a> {
    source: &'a Source,
    segments: &'a [Segment],
    phase: Phase,
    image: AlignedBuffer,
    /// Up to where the log is known to have been durable, once that was found out.
    durable: Option<u64>,
    /// Items between frames are wanted.
    takes_gaps: bool,
}

impl<'a> Pass<'a> {
    fn new(source: &'a Source, segments: &'a [Segment], phase: Phase) -> Self {
        Self {
            source,
            segments,
            phase,
            image: AlignedBuffer::new(source.segment_bytes as usize),
            durable: None,
            takes_gaps: false,
        }
    }

    fn run(&mut self, reporter: &mut Reporter<'_>, mut f: impl FnMut(Event<'_>)) -> Result<()> {
        let total = self.segments.len() as u64 * self.source.segment_bytes;
        for (i, segment) in self.segments.iter().enumerate() {
            reporter.at(self.phase, i as u64 * self.source.segment_bytes, total)?;
            self.source.read_image(segment.id, &mut self.image);
            f(Event::Segment(segment));
            let mut walk = Walk::new(
                &self.image,
                self.source.salt,
                segment.id,
                segment.sequence,
                segment.end,
            )
            .take_gaps(self.takes_gaps);
            if let Some(durable) = self.durable.filter(|_| i + 1 == self.segments.len()) {
                walk = walk.ends_here(durable, segment.header.map(|header| header.horizon));
            }
            while let Some(piece) = walk.next() {
                f(Event::Piece(piece));
            }
            if walk.is_early() {
                return Err(early("the log"));
            }
            let complete = walk.is_complete();
            let at = segment.sequence * self.source.segment_bytes + walk.reached() as u64;
            f(Event::End { complete, at });
        }
        reporter.at(self.phase, total, total)
    }
}
