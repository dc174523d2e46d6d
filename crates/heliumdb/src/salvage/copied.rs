//! Whether devices may have been copied while somebody wrote to them.
//!
//! Such a copy has pages of many moments: it may lack segments in the middle of the log, and nothing in those that
//! are there would tell, as segments go when they are dead. So it is told by what only one who has the volume
//! open leaves behind: the opener's mark, which a close takes away and which names the place that was marked; and an
//! epoch in the log that the superblocks, copied earlier, do not know yet.
//!
//! Invariant: nothing that a volume's last opener has closed, nor what a crash has left in its own place, is taken for
//! such a copy.

use crate::{
    device::{Device, Place, aligned::AlignedBuffer},
    format::{
        Look,
        opener::{OPENER_AT, Opener},
        superblock::Superblock,
    },
    limits::BLOCK_BYTES,
    peers::Process,
};

/// Whether an opener has marked the device in another place than where it is now.
pub(super) fn was_open_elsewhere(device: &dyn Device) -> bool {
    let mut block = AlignedBuffer::new(BLOCK_BYTES);
    let Some(place) = device.place() else {
        return false;
    };
    let read = device.read_at(&mut block, OPENER_AT);
    match read.map(|()| Opener::decode(&block)) {
        Ok(Look::Good(mark)) => is_elsewhere(&mark, place, &Process::here()),
        _ => false,
    }
}

fn is_elsewhere(mark: &Opener, place: Place, here: &Process) -> bool {
    // When a kernel starts it may number its devices in another order.
    let is_numbered_alike = mark.process.boot == here.boot;
    (mark.place.is_file, mark.place.inode) != (place.is_file, place.inode)
        || is_numbered_alike && mark.place.device != place.device
}

/// The last epoch that the device's superblocks know of, if both are whole: with one of them destroyed, the other
/// may be from before.
pub(super) fn last_epoch(device: &dyn Device) -> Option<u64> {
    let mut block = AlignedBuffer::new(BLOCK_BYTES);
    let mut last = 0;
    for number in 0..2 {
        device
            .read_at(&mut block, (number * BLOCK_BYTES) as u64)
            .ok()?;
        match Superblock::decode(&block, number) {
            Look::Good(superblock) => last = superblock.epoch.max(last),
            _ => return None,
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_in_its_own_place_is_no_copy() {
        let file = |device, inode| Place {
            is_file: true,
            device,
            inode,
        };
        let here = Process::here();
        let mut before = Process::here();
        before.boot[0] ^= 1;
        let mut mark = Opener {
            process: here,
            place: file(3, 7),
            nonce: [9; 16],
            claims: false,
        };
        assert!(!is_elsewhere(&mark, file(3, 7), &here));
        assert!(is_elsewhere(&mark, file(4, 7), &here));
        assert!(is_elsewhere(&mark, file(3, 8), &here));
        mark.process = before;
        assert!(!is_elsewhere(&mark, file(4, 7), &here));
        assert!(is_elsewhere(&mark, file(4, 8), &here));
    }
}
