//! From one trace of the log to the next, within one segment.
//!
//! Invariant: a frame is handed out as whole only if its position, its header's hash, its
//! payload's hash and each of its items' checksums are right; an item of a damaged frame only
//! if its own checksum is.

use crate::{
    format::{
        Look, SEGMENT_HEADER_BYTES, Salt, check,
        early::Contents,
        frame::{self, FrameHeader, Kind},
        item::{self, ItemHeader},
        payload::{Payload, check_payload},
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN},
};

/// Bytes that may be hashed, for each place at which an item could begin, to see whether it does.
const HASHED_PER_PLACE: usize = 1024;
/// And so many more, so that long items are found as well.
const HASHED_AT_LEAST: usize = 4 << 20;

/// A stretch of a segment's image.
pub(super) enum Piece<'a> {
    /// A valid frame.
    Frame {
        header: FrameHeader,
        /// Hash of its header.
        hash: u64,
        /// What stands before its items.
        prefix: &'a [u8],
        items: Vec<Found<'a>>,
    },
    /// A frame with a whole header and damaged contents: what is readable of them.
    Damaged {
        header: FrameHeader,
        hash: u64,
        /// `None` if it is damaged itself.
        prefix: Option<&'a [u8]>,
        items: Vec<Found<'a>>,
    },
    /// No frame header: items are whatever has a right checksum there.
    Gap { bytes: u64, items: Vec<Found<'a>> },
}

/// An item with the right checksum.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) address: u64,
    pub(super) header: ItemHeader,
    pub(super) bytes: &'a [u8],
}

/// Walks through a segment's image.
pub(super) struct Walk<'a> {
    image: &'a [u8],
    salt: Salt,
    /// Address of the image's first byte.
    base: u64,
    sequence: u64,
    /// Where its log ends at the latest.
    end: usize,
    at: usize,
    /// Where the last frame ends, if it is whole and nothing is known to be missing.
    last_end: usize,
    sealed: bool,
    /// Items between frames are looked for.
    takes_gaps: bool,
    /// A frame is whole as a development version made it, and cannot be read.
    is_early: bool,
    /// If it is the log's last segment: the position up to which the log is known to have been
    /// durable.
    last: Option<u64>,
    /// Where the newest slot of the segment's header says that the log ends.
    marked: Option<u64>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        image: &'a [u8],
        salt: Salt,
        segment: u64,
        sequence: u64,
        end: usize,
    ) -> Self {
        Self {
            image,
            salt,
            base: segment * image.len() as u64,
            sequence,
            end: end.min(image.len()),
            at: SEGMENT_HEADER_BYTES,
            last_end: 0,
            sealed: false,
            takes_gaps: false,
            is_early: false,
            last: None,
            marked: None,
        }
    }

    /// Looks for items between frames, if they are wanted.
    pub(super) fn take_gaps(mut self, wanted: bool) -> Self {
        self.takes_gaps = wanted;
        self
    }

    /// The log ends in this segment, and nothing says that more than up to `durable` was durable.
    /// The segment's header may mark that position.
    pub(super) fn ends_here(mut self, durable: u64, marked: Option<u64>) -> Self {
        self.last = Some(durable);
        self.marked = marked;
        self
    }

    /// Whether the log goes up to where it should, by what was walked through.
    pub(super) fn is_complete(&self) -> bool {
        let rest = self.end - self.last_end.next_multiple_of(BLOCK_BYTES).min(self.end);
        self.sealed || rest < frame::HEADER_BYTES
    }

    /// Whether what was walked through has frames that are whole and cannot be read.
    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    /// Where the log that was walked through ends: with its segment, if it is complete.
    pub(super) fn reached(&self) -> usize {
        if self.is_complete() {
            self.image.len()
        } else {
            self.last_end.next_multiple_of(BLOCK_BYTES)
        }
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Piece<'a>> {
        self.skip_zeros();
        // What stands behind a seal is nothing.
        if self.sealed || self.end.saturating_sub(self.at) < frame::HEADER_BYTES {
            return None;
        }
        match self.header_at(self.at) {
            Some((header, hash)) => Some(self.frame(header, hash)),
            None => self.gap(),
        }
    }

    /// A synced write is padded with zeros to the end of its block; what was never written is
    /// zeros, too.
    fn skip_zeros(&mut self) {
        while self.at < self.end {
            let end = (self.at + 1).next_multiple_of(BLOCK_BYTES).min(self.end);
            if self.image[self.at..end].iter().any(|&b| b != 0) {
                return;
            }
            self.at = end;
        }
    }

    /// A frame header of this use of the segment.
    fn header_at(&self, at: usize) -> Option<(FrameHeader, u64)> {
        let position = self.sequence * self.image.len() as u64 + at as u64;
        match FrameHeader::decode(self.image.get(at..)?, self.salt) {
            Look::Good((header, hash)) if header.lsn == position && check::is_frame(&header) => {
                Some((header, hash))
            }
            _ => None,
        }
    }

    fn frame(&mut self, header: FrameHeader, hash: u64) -> Piece<'a> {
        let start = self.at + frame::HEADER_BYTES;
        let end = (start + header.payload_len as usize).min(self.image.len());
        let payload = &self.image[start..end];
        // The header is whole, so its length leads to the next frame.
        self.at = end;
        self.last_end = end;
        self.sealed = header.kind == Kind::Seal;
        let whole = end - start == header.payload_len as usize;
        if whole && let Some((prefix, items)) = self.check(&header, start, payload) {
            return Piece::Frame {
                header,
                hash,
                prefix,
                items,
            };
        }
        let contents = Contents {
            header: &header,
            payload,
            salt: self.salt,
            address: self.base + start as u64,
        };
        self.is_early |= whole && contents.have_long_items();
        let prefix = frame::prefix_len(header.kind, payload).and_then(|len| payload.get(..len));
        let from = prefix.map_or(0, <[u8]>::len);
        Piece::Damaged {
            header,
            hash,
            prefix,
            items: self.items(start + from, end),
        }
    }

    fn check(
        &self,
        header: &FrameHeader,
        start: usize,
        payload: &'a [u8],
    ) -> Option<(&'a [u8], Vec<Found<'a>>)> {
        let address = self.base + start as u64;
        let mut items = Vec::new();
        let take = |at, header, bytes| {
            items.push(Found {
                address: address + at as u64,
                header,
                bytes,
            });
        };
        match check_payload(header, payload, self.salt, address, take) {
            Payload::Sound { prefix_len } => Some((&payload[..prefix_len], items)),
            Payload::Broken | Payload::Impossible => None,
        }
    }

    /// To the next frame header, or the end. `None`: behind the log's end is what the segment held
    /// before it was used again, or whatever else where the end is marked, as recovery has it, too.
    fn gap(&mut self) -> Option<Piece<'a>> {
        let from = self.at;
        let mut was_used_before = false;
        let found_more = loop {
            self.at += ITEM_ALIGN;
            if self.end.saturating_sub(self.at) < frame::HEADER_BYTES {
                break false;
            }
            match self.sequence_at(self.at) {
                Some(sequence) if sequence == self.sequence => break true,
                Some(sequence) => was_used_before |= sequence < self.sequence,
                None => {}
            }
        };
        let position = self.sequence * self.image.len() as u64 + from as u64;
        let ended = self.last.is_some_and(|durable| durable <= position);
        let is_marked = self.marked == Some(position);
        if ended && (was_used_before || is_marked) && !found_more {
            return None;
        }
        let to = self.at.min(self.end);
        Some(Piece::Gap {
            bytes: (to - from) as u64,
            items: if self.takes_gaps {
                self.items(from, to)
            } else {
                Vec::new()
            },
        })
    }

    /// Of which use of the segment there is a frame header.
    fn sequence_at(&self, at: usize) -> Option<u64> {
        let bytes = self.image.len() as u64;
        match FrameHeader::decode(self.image.get(at..)?, self.salt) {
            Look::Good((header, _)) if header.lsn % bytes == at as u64 => Some(header.lsn / bytes),
            _ => None,
        }
    }

    /// Whatever has the right checksum for where it is.
    ///
    /// Every place of a stretch can say that it is a long item, and has to be hashed to see that it is
    /// none: no more bytes than so many times the stretch. Short items are looked for in any case.
    fn items(&self, from: usize, to: usize) -> Vec<Found<'a>> {
        let mut items = Vec::new();
        let mut at = from.next_multiple_of(ITEM_ALIGN);
        let mut hashed = HASHED_AT_LEAST;
        while at < to {
            hashed += HASHED_PER_PLACE;
            let address = self.base + at as u64;
            let bytes = &self.image[at..to];
            let len = ItemHeader::decode(bytes).map_or(0, |header| header.len());
            let found = if len > 0 && len <= hashed {
                item::decode(bytes, self.salt, address)
            } else {
                None
            };
            match found.filter(|(header, _)| check::is_item(header, &bytes[..header.len()])) {
                Some((header, _)) => {
                    items.push(Found {
                        address,
                        header,
                        bytes: &bytes[..header.len()],
                    });
                    at += header.padded_len();
                }
                None => {
                    hashed = hashed.saturating_sub(len);
                    at += ITEM_ALIGN;
                }
            }
        }
        items
    }
}
