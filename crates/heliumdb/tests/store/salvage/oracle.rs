//! What salvage must find, by the book: `docs/format.md`, read again for this test alone.
//!
//! The undamaged disks say what was where; the damaged blocks say what of it is lost.

use std::collections::{BTreeMap, BTreeSet};

use helium_sim::Image;

pub(crate) const BLOCK: u64 = 4096;
const SEGMENT: u64 = 1 << 20;
const SEGMENTS_AT: u64 = 1 << 20;

/// Damaged blocks: disk and offset.
pub(crate) type Damage = BTreeSet<(usize, u64)>;

/// Bytes on a disk.
#[derive(Clone, Debug)]
struct Stretch {
    disk: usize,
    from: u64,
    to: u64,
}

impl Stretch {
    fn is_intact(&self, damage: &Damage) -> bool {
        let blocks = self.from / BLOCK..self.to.div_ceil(BLOCK);
        blocks
            .into_iter()
            .all(|block| !damage.contains(&(self.disk, block * BLOCK)))
    }
}

#[derive(Debug)]
struct Item {
    tree: u32,
    sequence: u64,
    key: Vec<u8>,
    /// `None` is a tombstone.
    value: Option<Vec<u8>>,
    /// Where the pieces of a long value are.
    pieces: Vec<Stretch>,
}

#[derive(Debug, Default)]
struct Batch {
    id: u64,
    /// Of a prepared one: who decides, and which number it has there.
    prepared: Option<Vec<u8>>,
    frames: Vec<Stretch>,
    segments: BTreeSet<u64>,
    items: Vec<Item>,
    /// The first frame is here.
    begins: bool,
}

/// The log of one volume.
pub(crate) struct Oracle {
    batches: Vec<Batch>,
    cancels: Vec<(u64, Stretch)>,
    resolves: Vec<(Vec<u8>, bool, Stretch)>,
    /// Segment number to its header.
    headers: BTreeMap<u64, Stretch>,
    /// All that hold log: sequence to number.
    in_use: BTreeMap<u64, u64>,
}

/// A datastore's id to its name and items.
pub(crate) type Datastores = BTreeMap<u32, (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)>;

struct Reader<'a> {
    images: &'a [Image],
}

impl Reader<'_> {
    fn bytes(&self, segment: u64, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let place = self.stretch(segment, at, len as u64);
        self.images[place.disk].read(&mut bytes, place.from);
        bytes
    }

    fn stretch(&self, segment: u64, at: u64, len: u64) -> Stretch {
        let n = self.images.len() as u64;
        let from = SEGMENTS_AT + segment / n * SEGMENT + at;
        Stretch {
            disk: (segment % n) as usize,
            from,
            to: from + len,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Oracle {
    /// Reads undamaged disks of a volume, in their order.
    pub(crate) fn new(images: &[Image]) -> Self {
        let reader = Reader { images };
        let mut oracle = Self {
            batches: Vec::new(),
            cancels: Vec::new(),
            resolves: Vec::new(),
            headers: BTreeMap::new(),
            in_use: BTreeMap::new(),
        };
        let n = images.len() as u64;
        let mut segments = Vec::new();
        for (disk, image) in images.iter().enumerate() {
            for index in 0..(image.len() - SEGMENTS_AT) / SEGMENT {
                let segment = index * n + disk as u64;
                let slots = reader.bytes(segment, 0, 2 * BLOCK as usize);
                let (one, two) = slots.split_at(BLOCK as usize);
                let slot = if u64_at(one, 8) > u64_at(two, 8) {
                    one
                } else {
                    two
                };
                if &slot[..4] != b"HeSg" {
                    continue;
                }
                oracle
                    .headers
                    .insert(segment, reader.stretch(segment, 0, 2 * BLOCK));
                let end = match slot[6] {
                    1 => SEGMENT,
                    2 => u64_at(slot, 64) - u64_at(slot, 40) * SEGMENT,
                    _ => continue,
                };
                segments.push((u64_at(slot, 40), segment, end));
            }
        }
        segments.sort_unstable();
        let mut pending: Option<Batch> = None;
        for (sequence, segment, end) in segments {
            oracle.in_use.insert(sequence, segment);
            oracle.walk(&reader, (sequence, segment, end), &mut pending);
        }
        oracle
    }

    fn walk(
        &mut self,
        reader: &Reader<'_>,
        (sequence, segment, end): (u64, u64, u64),
        pending: &mut Option<Batch>,
    ) {
        let mut at = 2 * BLOCK;
        while at + 80 <= end {
            let frame = reader.bytes(segment, at, 80);
            let whole = &frame[..4] == b"HeFr" && u64_at(&frame, 24) == sequence * SEGMENT + at;
            if !whole {
                // Padding, or nothing more.
                at = (at + 1).next_multiple_of(BLOCK);
                continue;
            }
            let len = u64::from(u32_at(&frame, 8));
            let payload = reader.bytes(segment, at + 80, len as usize);
            let place = reader.stretch(segment, at, 80 + len);
            let id = u64_at(&frame, 40);
            match frame[6] {
                1 | 2 => {
                    if frame[7] & 1 != 0 || pending.as_ref().is_none_or(|p| p.id != id) {
                        *pending = Some(Batch {
                            id,
                            begins: frame[7] & 1 != 0,
                            ..Batch::default()
                        });
                    }
                    let batch = pending.as_mut().unwrap();
                    let mut prefix = 0;
                    if frame[6] == 2 {
                        prefix = 32 + 16 * u64_at(&payload, 24) as usize;
                        batch.prepared = Some(payload[..24].to_vec());
                    }
                    batch.frames.push(place);
                    batch.segments.insert(segment);
                    items(reader, &payload[prefix..], &mut batch.items);
                    if frame[7] & 2 != 0 {
                        self.batches.extend(pending.take());
                    }
                }
                // Moved items stand for themselves: each is a batch of its own.
                6 => {
                    let count = u64_at(&payload, 8) as usize;
                    let mut at = (16 + 8 * count).next_multiple_of(16);
                    while at < payload.len() {
                        let mut batch = Batch {
                            id,
                            begins: true,
                            segments: BTreeSet::from([segment]),
                            ..Batch::default()
                        };
                        let len = item_bytes(&payload[at..]);
                        items(reader, &payload[at..at + len], &mut batch.items);
                        let start = place.from + 80 + at as u64;
                        // The header says what it is.
                        batch.frames = vec![
                            Stretch {
                                to: place.from + 80,
                                ..place.clone()
                            },
                            Stretch {
                                from: start,
                                to: start + len as u64,
                                ..place.clone()
                            },
                        ];
                        self.batches.push(batch);
                        at += len;
                    }
                }
                3 => self.cancels.push((u64_at(&payload, 0), place)),
                4 => {
                    let (global, committed) = (payload[..24].to_vec(), payload[24] == 1);
                    self.resolves.push((global, committed, place));
                }
                5 => {
                    if let Some(batch) = pending {
                        batch.frames.push(place);
                    }
                    break;
                }
                // Checkpoints only repeat where other items are.
                9 => {}
                kind => panic!("frame kind {kind}"),
            }
            at += 80 + len;
        }
    }

    /// Blocks that hold log, headers included.
    pub(crate) fn blocks(&self) -> Vec<(usize, u64)> {
        let frames = self.batches.iter().flat_map(|batch| &batch.frames);
        let records = self.cancels.iter().map(|(_, place)| place);
        let records = records.chain(self.resolves.iter().map(|(.., place)| place));
        let in_use = self.in_use.values().map(|segment| &self.headers[segment]);
        let mut blocks = BTreeSet::new();
        for place in frames.chain(records).chain(in_use) {
            let range = place.from / BLOCK..place.to.div_ceil(BLOCK);
            blocks.extend(range.map(|block| (place.disk, block * BLOCK)));
        }
        blocks.into_iter().collect()
    }

    /// Blocks that hold log, and nothing that says what became of other batches.
    pub(crate) fn ordinary_blocks(&self) -> Vec<(usize, u64)> {
        let prepared = self.batches.iter().filter(|b| b.prepared.is_some());
        let records = self.cancels.iter().map(|(_, place)| place);
        let records = records.chain(self.resolves.iter().map(|(.., place)| place));
        let special: Vec<&Stretch> = records
            .chain(prepared.flat_map(|batch| &batch.frames))
            .collect();
        let mut blocks = self.blocks();
        blocks.retain(|block| {
            let damage = Damage::from([*block]);
            special.iter().all(|place| place.is_intact(&damage))
        });
        blocks
    }

    /// The blocks of one segment in use.
    pub(crate) fn segment_blocks(&self, nth: usize) -> Vec<(usize, u64)> {
        let number = self.in_use.values().nth(nth % self.in_use.len()).unwrap();
        let header = &self.headers[number];
        let blocks = (0..SEGMENT / BLOCK).map(|i| (header.disk, header.from + i * BLOCK));
        blocks.collect()
    }

    /// Whether the header of any segment is left.
    pub(crate) fn knows_any(&self, damage: &Damage) -> bool {
        self.headers
            .keys()
            .any(|segment| self.knows(*segment, damage))
    }

    /// Whether a header of the segment is left.
    fn knows(&self, segment: u64, damage: &Damage) -> bool {
        let header = &self.headers[&segment];
        let slots = [header.from, header.from + BLOCK];
        slots.iter().any(|at| !damage.contains(&(header.disk, *at)))
    }

    fn is_whole(&self, batch: &Batch, damage: &Damage) -> bool {
        let all_known = self.headers.keys().all(|s| self.knows(*s, damage));
        batch.segments.iter().all(|s| self.knows(*s, damage))
            && batch.frames.iter().all(|place| place.is_intact(damage))
            && (batch.begins || all_known)
    }

    /// What is left of the datastores: whole batches alone.
    pub(crate) fn survivors(&self, damage: &Damage) -> Datastores {
        let cancelled: BTreeSet<u64> = self
            .cancels
            .iter()
            .filter(|(_, place)| {
                let header = Stretch {
                    to: place.from + 80,
                    ..place.clone()
                };
                header.is_intact(damage) && self.is_known_at(place, damage)
            })
            .map(|(id, _)| *id)
            .collect();
        let resolved = |global: &[u8]| {
            self.resolves.iter().any(|(other, committed, place)| {
                other == global
                    && *committed
                    && place.is_intact(damage)
                    && self.is_known_at(place, damage)
            })
        };
        let mut newest: BTreeMap<(u32, &[u8]), &Item> = BTreeMap::new();
        for batch in &self.batches {
            let counts = self.is_whole(batch, damage)
                && !cancelled.contains(&batch.id)
                && batch.prepared.as_ref().is_none_or(|g| resolved(g));
            if !counts {
                continue;
            }
            for item in &batch.items {
                let slot = newest.entry((item.tree, &item.key)).or_insert(item);
                let is_intact = |item: &Item| item.pieces.iter().all(|p| p.is_intact(damage));
                let is_copy = slot.sequence == item.sequence;
                if slot.sequence < item.sequence || (is_copy && !is_intact(slot)) {
                    *slot = item;
                }
            }
        }
        let mut stores = Datastores::new();
        for ((_, key), record) in newest.range((0, &[][..])..(1, &[][..])) {
            let (Ok(id), Some(value)) = (<[u8; 4]>::try_from(*key), &record.value) else {
                continue;
            };
            let tree = u32_at(value, 4);
            let name = value[16..16 + u32_at(value, 12) as usize].to_vec();
            let items = newest.range((tree, &[][..])..(tree + 1, &[][..]));
            let items = items
                // A moved one may have lost a piece: nothing older stands in for it.
                .filter(|(_, item)| item.pieces.iter().all(|piece| piece.is_intact(damage)))
                .filter_map(|((_, key), item)| Some((key.to_vec(), item.value.clone()?)));
            stores.insert(u32::from_be_bytes(id), (name, items.collect()));
        }
        stores
    }

    fn is_known_at(&self, place: &Stretch, damage: &Damage) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(segment, header)| {
            header.disk == place.disk
                && (header.from..header.from + SEGMENT).contains(&place.from)
                && self.knows(*segment, damage)
        })
    }
}

/// Length of the item at the start of `bytes`, padding included.
fn item_bytes(bytes: &[u8]) -> usize {
    let key_len = u16_at(bytes, 16) + (usize::from(bytes[18]) << 16);
    let value_len = u16_at(bytes, 20) + (usize::from(bytes[22]) << 16);
    (24 + key_len + value_len).next_multiple_of(16)
}

fn items(reader: &Reader<'_>, payload: &[u8], items: &mut Vec<Item>) {
    let mut at = 0;
    while at < payload.len() {
        let item = &payload[at..];
        let key_len = u16_at(item, 16) + (usize::from(item[18]) << 16);
        let value_len = u16_at(item, 20) + (usize::from(item[22]) << 16);
        let flags = item[19];
        assert_eq!(item[23], 0, "a codec that this test does not know");
        let len = 24 + key_len + value_len;
        at += len.next_multiple_of(16);
        let value = &item[24 + key_len..len];
        if flags & 8 != 0 {
            continue;
        }
        let (value, pieces) = if flags & 4 != 0 {
            long_value(reader, value)
        } else {
            (value.to_vec(), Vec::new())
        };
        items.push(Item {
            tree: u32_at(item, 4),
            sequence: u64_at(item, 8),
            key: item[24..24 + key_len].to_vec(),
            pieces,
            value: (flags & 1 == 0).then_some(value),
        });
    }
}

fn long_value(reader: &Reader<'_>, list: &[u8]) -> (Vec<u8>, Vec<Stretch>) {
    let (mut value, mut pieces) = (Vec::new(), Vec::new());
    for piece in list[8..].chunks(12) {
        let address = u64_at(piece, 0) * 16;
        let len = u32_at(piece, 8) as usize;
        let (segment, at) = (address / SEGMENT, address % SEGMENT);
        value.extend(reader.bytes(segment, at + 24, len));
        pieces.push(reader.stretch(segment, at, 24 + len as u64));
    }
    (value, pieces)
}
