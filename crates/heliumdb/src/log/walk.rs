//! From one frame of a segment to the next.
//!
//! Invariant: a frame is handed out only after its position, epoch and chain, its hash and
//! that of its payload, and every item in it were checked.

use crate::{
    Error, ErrorKind, Result,
    format::{
        Look, SEGMENT_HEADER_BYTES, Salt, Version, check,
        early::Contents,
        frame::{self, FrameHeader, Kind},
        payload::{Payload, check_payload},
        segment::SegmentHeader,
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN},
};

/// What comes next in a segment.
pub(super) enum Step {
    Frame {
        header: FrameHeader,
        payload: std::ops::Range<usize>,
        prefix_len: usize,
    },
    /// The segment's log is complete.
    Sealed,
    /// No valid frame here.
    Broken { found: &'static str },
    /// A whole frame that says what cannot be: nothing that a crash leaves.
    Impossible { found: &'static str },
}

/// Walks the frames of one segment's image.
pub(super) struct Walk<'a> {
    pub(super) image: &'a [u8],
    pub(super) segment: &'a SegmentHeader,
    pub(super) salt: Salt,
    pub(super) at: usize,
    /// Hash of the frame header before `at`.
    pub(super) chain: u64,
    /// Epoch of the frame before `at`. It rises where a later session went on.
    pub(super) epoch: u64,
    /// What is below this position is known to have been durable.
    durable: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        image: &'a [u8],
        segment: &'a SegmentHeader,
        salt: Salt,
        durable: u64,
    ) -> Self {
        Self {
            image,
            segment,
            salt,
            at: SEGMENT_HEADER_BYTES,
            chain: segment.chain,
            epoch: segment.epoch,
            durable,
        }
    }

    /// Goes on at an offset: what follows there has to follow this frame header.
    pub(super) fn resume(&mut self, at: usize, chain: u64, epoch: u64) {
        self.at = at.min(self.image.len());
        self.chain = chain;
        self.epoch = epoch;
    }

    /// The position of `at`.
    pub(super) fn lsn(&self) -> u64 {
        self.segment.sequence * self.image.len() as u64 + self.at as u64
    }

    pub(super) fn next(&mut self) -> Result<Step> {
        if self.is_zero_to_block() {
            self.at = self.at.next_multiple_of(BLOCK_BYTES);
        }
        if self.image.len() - self.at < frame::HEADER_BYTES {
            return Ok(Step::Sealed);
        }
        let at = self.at;
        let broken = |found| Ok(Step::Broken { found });
        let (header, hash) = match FrameHeader::decode(&self.image[at..], self.salt) {
            Look::Good(good) => good,
            Look::Newer(version) => return Err(newer("a log frame", version)),
            Look::Blank => return broken("nothing"),
            Look::Bad | Look::Early => return broken("bytes that are no frame header"),
        };
        // A session goes on at a block, with a frame that chains like any other.
        let goes_on = header.epoch > self.epoch && at.is_multiple_of(BLOCK_BYTES);
        if header.lsn != self.lsn() || !(header.epoch == self.epoch || goes_on) {
            return broken("a frame from an earlier use of the place");
        }
        if header.chain != self.chain {
            return broken("a frame that does not follow the one before it");
        }
        if !check::is_frame(&header) {
            let found = "a frame with numbers that cannot be";
            return Ok(Step::Impossible { found });
        }
        let start = at + frame::HEADER_BYTES;
        let Some(payload) = self.image[start..].get(..header.payload_len as usize) else {
            return broken("a frame that is longer than its segment");
        };
        let address = self.segment.segment * self.image.len() as u64 + start as u64;
        // Replay needs none of it: that a page was destroyed costs the checkpoint, not the log.
        let prefix_len = if self.is_spare(&header, payload.len()) {
            payload.len()
        } else {
            match check_payload(&header, payload, self.salt, address, |_, _, _| {}) {
                Payload::Sound { prefix_len } => prefix_len,
                Payload::Impossible => {
                    let found = "a frame whose items cannot be";
                    return Ok(Step::Impossible { found });
                }
                Payload::Broken => return self.contents_differ(&header, payload, address),
            }
        };
        self.chain = hash;
        self.epoch = header.epoch;
        self.at = start + payload.len();
        if header.kind == Kind::Seal {
            return Ok(Step::Sealed);
        }
        Ok(Step::Frame {
            header,
            payload: start..self.at,
            prefix_len,
        })
    }

    fn contents_differ(&self, header: &FrameHeader, payload: &[u8], address: u64) -> Result<Step> {
        let contents = Contents {
            header,
            payload,
            salt: self.salt,
            address,
        };
        if contents.are_whole() {
            return Err(early("the log"));
        }
        let found = "a frame whose contents do not match their checksums";
        Ok(Step::Broken { found })
    }

    /// Whether the frame holds nothing that the log is needed for, and was there whole.
    fn is_spare(&self, header: &FrameHeader, payload_len: usize) -> bool {
        let end = header.lsn + (frame::HEADER_BYTES + payload_len) as u64;
        header.kind == Kind::Checkpoint && end <= self.durable
    }

    /// Whether a synced write was padded from here on.
    fn is_zero_to_block(&self) -> bool {
        let end = self.at.next_multiple_of(BLOCK_BYTES).min(self.image.len());
        self.at < end && self.image[self.at..end].iter().all(|&b| b == 0)
    }
}

/// Valid frame headers of this use of the segment from `at` on: what is said by frames
/// behind the log's end. Returns the highest horizon and the bytes of such frames.
pub(super) fn survivors(
    image: &[u8],
    segment: &SegmentHeader,
    salt: Salt,
    at: usize,
) -> (u64, u64) {
    let (mut horizon, mut bytes) = (0, 0);
    let base = segment.sequence * image.len() as u64;
    for at in (at.next_multiple_of(ITEM_ALIGN)..image.len()).step_by(ITEM_ALIGN) {
        if let Look::Good((header, _)) = FrameHeader::decode(&image[at..], salt)
            && header.lsn == base + at as u64
            && header.epoch >= segment.epoch
            && check::is_frame(&header)
        {
            horizon = horizon.max(header.horizon);
            bytes += frame::HEADER_BYTES as u64 + u64::from(header.payload_len);
        }
    }
    (horizon, bytes)
}

pub(crate) fn newer(what: &str, version: u16) -> Error {
    let known = Version::CURRENT.number();
    Error::new(
        ErrorKind::UnsupportedFormat,
        format!("{what} has format version {version}; this program knows {known}: use a newer one"),
    )
}

pub(crate) fn early(what: &str) -> Error {
    Error::new(
        ErrorKind::UnsupportedFormat,
        format!(
            "{what} is as a development version of Helium wrote it, which called its format version 1 before that was \
             settled: copy what is in it with the program that wrote it, or salvage what this one can read of it"
        ),
    )
}
