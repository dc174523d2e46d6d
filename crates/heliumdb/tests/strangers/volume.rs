//! The structures of a volume's bytes, by `docs/format.md`, read again for these tests: where each number
//! is, and the checksums of all, which are repaired after a change.

use std::collections::HashMap;

use helium_sim::Image;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(crate) const BLOCK: u64 = 4096;
pub(crate) const SEGMENT: u64 = 1 << 20;
const SEGMENTS_AT: u64 = 1 << 20;
const FRAME: u64 = 80;
pub(crate) const ITEM: u64 = 24;
const SUPERBLOCK_SEED: u64 = 0x6865_6c69_756d_6462;

/// A stretch of a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) disk: usize,
    pub(crate) at: u64,
    pub(crate) len: u64,
}

/// A field of some structure, whose name shows in what a test says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) place: Stretch,
}

#[derive(Clone)]
struct Item {
    place: Stretch,
    address: u64,
}

#[derive(Clone)]
struct Frame {
    place: Stretch,
    /// Bytes before the items.
    prefix: u64,
    items: Vec<Item>,
}

#[derive(Clone)]
struct Segment {
    slots: [Option<Stretch>; 2],
    frames: Vec<Frame>,
}

/// One volume's disks, understood.
#[derive(Clone)]
pub(crate) struct Volume {
    pub(crate) images: Vec<Image>,
    superblocks: Vec<Stretch>,
    segments: Vec<Segment>,
    salt: u64,
}

impl Volume {
    /// Undamaged disks, in their order.
    pub(crate) fn new(images: Vec<Image>) -> Self {
        let mut id = [0; 16];
        images[0].read(&mut id, 24);
        let mut volume = Self {
            superblocks: Vec::new(),
            segments: Vec::new(),
            salt: xxh3_64(&id),
            images,
        };
        for disk in 0..volume.images.len() {
            for block in 0..2 {
                let (at, len) = (block * BLOCK, BLOCK);
                volume.superblocks.push(Stretch { disk, at, len });
            }
        }
        let n = volume.images.len() as u64;
        let count = (volume.images[0].len() - SEGMENTS_AT) / SEGMENT;
        let mut found: Vec<(u64, Segment)> = (0..count * n)
            .filter_map(|segment| volume.read_segment(segment))
            .collect();
        found.sort_by_key(|(sequence, _)| *sequence);
        volume.segments = found.into_iter().map(|(_, segment)| segment).collect();
        volume
    }

    fn stretch(&self, segment: u64, at: u64, len: u64) -> Stretch {
        let n = self.images.len() as u64;
        Stretch {
            disk: (segment % n) as usize,
            at: SEGMENTS_AT + segment / n * SEGMENT + at,
            len,
        }
    }

    pub(crate) fn bytes(&self, place: Stretch) -> Vec<u8> {
        let mut bytes = vec![0; place.len as usize];
        self.images[place.disk].read(&mut bytes, place.at);
        bytes
    }

    pub(crate) fn write(&mut self, place: Stretch, bytes: &[u8]) {
        self.images[place.disk].write(bytes, place.at);
    }

    fn number(&self, place: Stretch, at: u64, len: u64) -> u64 {
        let mut bytes = [0; 8];
        let at = place.at + at;
        self.images[place.disk].read(&mut bytes[..len as usize], at);
        u64::from_le_bytes(bytes)
    }

    fn read_segment(&self, segment: u64) -> Option<(u64, Segment)> {
        let slots = [0, 1].map(|slot| {
            let place = self.stretch(segment, slot * BLOCK, BLOCK);
            (self.number(place, 0, 4) == u64::from(u32::from_le_bytes(*b"HeSg"))).then_some(place)
        });
        let known = slots.iter().flatten();
        let newest = *known.max_by_key(|place| self.number(**place, 8, 8))?;
        let sequence = self.number(newest, 40, 8);
        if sequence == 0 {
            // It was never used.
            return None;
        }
        let mut frames = Vec::new();
        if self.number(newest, 6, 1) != 3 {
            let end = match self.number(newest, 6, 1) {
                2 => self.number(newest, 64, 8) - sequence * SEGMENT,
                _ => SEGMENT,
            };
            let mut at = 2 * BLOCK;
            while at + FRAME <= end {
                let header = self.stretch(segment, at, FRAME);
                let is_frame = self.number(header, 0, 4) == u64::from(u32::from_le_bytes(*b"HeFr"))
                    && self.number(header, 24, 8) == sequence * SEGMENT + at;
                if !is_frame {
                    at = (at + 1).next_multiple_of(BLOCK);
                    continue;
                }
                let frame = self.read_frame(segment, at);
                at += frame.place.len;
                frames.push(frame);
            }
        }
        Some((sequence, Segment { slots, frames }))
    }

    fn read_frame(&self, segment: u64, at: u64) -> Frame {
        let header = self.stretch(segment, at, FRAME);
        let len = self.number(header, 8, 4);
        let place = self.stretch(segment, at, FRAME + len);
        let prefix = match self.number(header, 6, 1) {
            2 => 32 + 16 * self.number(place, FRAME + 24, 8),
            6 => (16 + 8 * self.number(place, FRAME + 8, 8)).next_multiple_of(16),
            7 => 16,
            8 => 48 + 16 * self.number(place, FRAME + 8, 8),
            3..=5 => len,
            _ => 0,
        };
        let mut items = Vec::new();
        let mut from = prefix;
        for _ in 0..self.number(header, 12, 4) {
            let within = at + FRAME + from;
            let header = self.stretch(segment, within, ITEM);
            let len = ITEM + self.number(header, 16, 3) + self.number(header, 20, 3);
            items.push(Item {
                place: self.stretch(segment, within, len),
                address: segment * SEGMENT + within,
            });
            from += len.next_multiple_of(16);
        }
        Frame {
            place,
            prefix,
            items,
        }
    }

    /// Every field of every structure, and every item's value as one more.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        for place in &self.superblocks {
            push(&mut fields, *place, &SUPERBLOCK);
        }
        for segment in &self.segments {
            for place in segment.slots.iter().flatten() {
                push(&mut fields, *place, &SLOT);
            }
            for frame in &segment.frames {
                push(&mut fields, frame.place, &FRAME_FIELDS);
                for at in (0..frame.prefix.min(128)).step_by(8) {
                    push(&mut fields, frame.place, &[("prefix", FRAME + at, 8)]);
                }
                for item in &frame.items {
                    push(&mut fields, item.place, &ITEM_FIELDS);
                    self.push_contents(&mut fields, item.place);
                }
            }
        }
        fields
    }

    /// Key and value: of the store's own, the first bytes of a value one by one.
    fn push_contents(&self, fields: &mut Vec<Field>, place: Stretch) {
        let (tree, key) = (self.number(place, 4, 4), self.number(place, 16, 3));
        if key > 0 {
            push(fields, place, &[("key", ITEM, key)]);
        }
        let value = place.len - ITEM - key;
        let name = match (tree, self.number(place, 19, 1)) {
            (0, _) => "catalog",
            (1, _) => "decision",
            (2, _) => "checkpoint",
            (_, flags) if flags & 4 != 0 => "pieces",
            _ => "value",
        };
        let each = if name == "value" { 2 } else { 400 };
        for at in 0..value.min(each) {
            let place = place_in(place, ITEM + key + at, 1);
            fields.push(Field { name, place });
        }
        if value > each {
            let place = place_in(place, ITEM + key + each, value - each);
            fields.push(Field { name, place });
        }
    }

    /// Makes all checksums right, and every chain what it was in the same places before.
    pub(crate) fn repair(&mut self) {
        let mut hashes: HashMap<u64, u64> = HashMap::new();
        for segment in self.segments.clone() {
            for frame in &segment.frames {
                let before = self.number(frame.place, 72, 8);
                let after = self.repair_frame(frame, &hashes);
                hashes.insert(before, after);
            }
            for (slot, place) in segment.slots.iter().enumerate() {
                let Some(place) = *place else { continue };
                self.rechain(place, 56, &hashes);
                let bytes = self.bytes(place);
                let sum = xxh3_64_with_seed(&bytes[..4088], self.salt ^ slot as u64);
                self.write(place_in(place, 4088, 8), &sum.to_le_bytes());
            }
        }
        for (number, place) in self.superblocks.clone().into_iter().enumerate() {
            self.rechain(place, 1664, &hashes);
            let bytes = self.bytes(place);
            let sum = xxh3_64_with_seed(&bytes[..4088], SUPERBLOCK_SEED ^ (number as u64 & 1));
            self.write(place_in(place, 4088, 8), &sum.to_le_bytes());
        }
    }

    fn rechain(&mut self, place: Stretch, at: u64, hashes: &HashMap<u64, u64>) {
        if let Some(hash) = hashes.get(&self.number(place, at, 8)) {
            self.write(place_in(place, at, 8), &hash.to_le_bytes());
        }
    }

    fn repair_frame(&mut self, frame: &Frame, hashes: &HashMap<u64, u64>) -> u64 {
        let prefix = self.bytes(place_in(frame.place, FRAME, frame.prefix));
        let mut sum = xxh3_64(&prefix);
        for item in &frame.items {
            let mut bytes = self.bytes(item.place);
            // It may have another length by now; what then lies behind is not its own.
            let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let len = ITEM + u64::from(number(16) & 0xff_ffff) + u64::from(number(20) & 0xff_ffff);
            let place = Stretch { len, ..item.place };
            if len != item.place.len && place.at + len <= self.images[place.disk].len() {
                bytes = self.bytes(place);
            }
            let hash = xxh3_64(&bytes[4..]);
            let checksum = mix(hash ^ mix(self.salt ^ item.address)) as u32;
            self.write(place_in(item.place, 0, 4), &checksum.to_le_bytes());
            sum = (sum.rotate_left(29) ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        self.write(place_in(frame.place, 48, 8), &sum.to_le_bytes());
        self.rechain(frame.place, 56, hashes);
        let header = self.bytes(place_in(frame.place, 0, 72));
        let hash = xxh3_64_with_seed(&header, self.salt);
        self.write(place_in(frame.place, 72, 8), &hash.to_le_bytes());
        hash
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

fn place_in(place: Stretch, at: u64, len: u64) -> Stretch {
    Stretch {
        at: place.at + at,
        len,
        ..place
    }
}

fn push(fields: &mut Vec<Field>, of: Stretch, all: &[(&'static str, u64, u64)]) {
    for &(name, at, len) in all {
        let place = place_in(of, at, len);
        fields.push(Field { name, place });
    }
}

const SUPERBLOCK: [(&str, u64, u64); 19] = [
    ("superblock version", 8, 2),
    ("superblock flags", 12, 4),
    ("superblock generation", 16, 8),
    ("superblock device", 40, 4),
    ("superblock devices", 44, 4),
    ("superblock segment bytes", 48, 8),
    ("superblock block bytes", 56, 4),
    ("superblock root bytes", 60, 4),
    ("superblock epoch", 64, 8),
    ("superblock grows", 72, 8),
    ("superblock checkpoint", 80, 8),
    ("superblock root", 88, 8),
    ("superblock start", 96, 8),
    ("superblock durable", 104, 8),
    ("superblock secret", 112, 16),
    ("superblock length", 144, 8),
    ("superblock chain", 1664, 8),
    ("superblock start's epoch", 1672, 8),
    ("superblock rest", 1680, 64),
];

const SLOT: [(&str, u64, u64); 10] = [
    ("segment version", 4, 2),
    ("segment state", 6, 1),
    ("segment written", 7, 1),
    ("segment generation", 8, 8),
    ("segment number", 32, 8),
    ("segment sequence", 40, 8),
    ("segment epoch", 48, 8),
    ("segment chain", 56, 8),
    ("segment end", 64, 8),
    ("segment horizon", 72, 8),
];

const FRAME_FIELDS: [(&str, u64, u64); 10] = [
    ("frame version", 4, 2),
    ("frame kind", 6, 1),
    ("frame flags", 7, 1),
    ("frame bytes", 8, 4),
    ("frame items", 12, 4),
    ("frame epoch", 16, 8),
    ("frame position", 24, 8),
    ("frame horizon", 32, 8),
    ("frame batch", 40, 8),
    ("frame chain", 56, 8),
];

const ITEM_FIELDS: [(&str, u64, u64); 6] = [
    ("item tree", 4, 4),
    ("item number", 8, 8),
    ("item key bytes", 16, 3),
    ("item flags", 19, 1),
    ("item value bytes", 20, 3),
    ("item codec", 23, 1),
];

/// An item, for tests that change a certain one.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) place: Stretch,
    pub(crate) tree: u64,
    pub(crate) flags: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Stretch,
}

impl Volume {
    /// All items, in the order of the log.
    pub(crate) fn items(&self) -> Vec<Known> {
        let frames = self.segments.iter().flat_map(|segment| &segment.frames);
        let items = frames.flat_map(|frame| &frame.items);
        let known = items.map(|item| {
            let key = self.number(item.place, 16, 3);
            Known {
                place: item.place,
                tree: self.number(item.place, 4, 4),
                flags: self.number(item.place, 19, 1),
                key: self.bytes(place_in(item.place, ITEM, key)),
                value: place_in(item.place, ITEM + key, item.place.len - ITEM - key),
            }
        });
        known.collect()
    }

    /// Writes a number into both slots of the segment that is `nth` in the log.
    pub(crate) fn set_in_slots(&mut self, nth: usize, at: u64, number: u64) {
        for place in self.segments[nth].slots.into_iter().flatten() {
            self.write(place_in(place, at, 8), &number.to_le_bytes());
        }
    }

    /// Writes a number into both superblocks of every device.
    pub(crate) fn set_in_superblocks(&mut self, at: u64, number: u64) {
        for place in self.superblocks.clone() {
            self.write(place_in(place, at, 8), &number.to_le_bytes());
        }
    }

    /// The number in the newest superblock.
    pub(crate) fn in_superblock(&self, at: u64) -> u64 {
        let newest = self
            .superblocks
            .iter()
            .max_by_key(|place| self.number(**place, 16, 8));
        self.number(*newest.unwrap(), at, 8)
    }

    /// Leaves nothing of the last frame, which has this kind, but its header and what stands before its
    /// items.
    pub(crate) fn empty_last_frame(&mut self, kind: u64) {
        let frames = self
            .segments
            .iter_mut()
            .flat_map(|segment| &mut segment.frames);
        let frame = frames.last().unwrap();
        frame.items.clear();
        frame.place.len = FRAME + frame.prefix;
        let (place, prefix) = (frame.place, frame.prefix as u32);
        assert_eq!(self.number(place, 6, 1), kind);
        self.write(place_in(place, 8, 4), &prefix.to_le_bytes());
        self.write(place_in(place, 12, 4), &[0; 4]);
    }

    /// Fills what follows the last frame of the log with what could each be the longest item.
    pub(crate) fn fill_behind(&mut self) {
        let segment = self.segments.last().unwrap();
        let last = segment.frames.last().unwrap().place;
        let start = (last.at + last.len).next_multiple_of(BLOCK) + BLOCK;
        let end = (last.at - SEGMENTS_AT) / SEGMENT * SEGMENT + SEGMENTS_AT + SEGMENT;
        // Key and value bytes of the header that begins sixteen bytes before.
        let header = [0, 0, 2, 0, 0, 0, 4, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        let pattern = header.repeat(((end - start) / 16) as usize);
        let (disk, at, len) = (last.disk, start, end - start);
        self.write(Stretch { disk, at, len }, &pattern);
    }
}
