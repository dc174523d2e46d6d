//! A frame's contents, checked.
//!
//! Invariant: contents are sound only if the frame's hash of them is right, each item's checksum is, and each item is one that
//! can be and that belongs in a frame of that kind. Who replays the log and who salvages it ask here.

use super::{
    Salt, check, fold,
    frame::{self, FrameHeader},
    item::{self, ItemHeader},
};

/// What a frame's contents are.
pub(crate) enum Payload {
    Sound {
        /// Length of what stands before the items.
        prefix_len: usize,
    },
    /// They do not match their checksums.
    Broken,
    /// They do, and are none.
    Impossible,
}

/// Checks the contents of a frame at `address`, and hands out its items, each with where it is in them: they count only if
/// all that follows turns out to be sound, too.
pub(crate) fn check_payload<'a>(
    header: &FrameHeader,
    payload: &'a [u8],
    salt: Salt,
    address: u64,
    mut each: impl FnMut(usize, ItemHeader, &'a [u8]),
) -> Payload {
    let prefix = frame::prefix_len(header.kind, payload)
        .and_then(|length| Some((length, payload.get(..length)?)));
    let Some((prefix_len, prefix)) = prefix else {
        return Payload::Broken;
    };
    let mut sum = frame::prefix_hash(prefix);
    let mut at = prefix_len;
    let mut are_items = true;
    for _ in 0..header.item_count {
        let Some(rest) = payload.get(at..) else {
            return Payload::Broken;
        };
        let Some((item, hash)) = item::decode(rest, salt, address + at as u64) else {
            return Payload::Broken;
        };
        let bytes = &rest[..item.len()];
        are_items &= check::is_item(&item, bytes) && check::belongs(header.kind, &item);
        sum = fold(sum, hash);
        each(at, item, bytes);
        at += item.padded_len();
    }
    match at == payload.len() && sum == header.payload_hash {
        true if are_items => Payload::Sound { prefix_len },
        true => Payload::Impossible,
        false => Payload::Broken,
    }
}
