//! Removals that nothing in the log needs any more, and what replay goes by all the same.

use super::*;
use crate::format::{
    Version,
    superblock::{Checkpoint, Start},
};

/// A checkpoint as good as any: what it says is nobody's business here.
fn take_checkpoint(log: &Log, start: Start) {
    log.note_checkpoint(Checkpoint {
        version: Version::CURRENT,
        number: 1,
        address: 0,
        bytes: 0,
        start,
        durable: log.reach.durable(),
    })
    .unwrap();
}

/// The last checkpoint may have what they removed: their segment stays for replay, which reads it, until there is a
/// newer one.
#[test]
fn what_was_forgotten_stays_until_the_next_checkpoint() {
    let log = create(&Disk::new("disk", 64 * MIB));
    take_checkpoint(&log, log.begin_checkpoint());
    let mut batch = Batch::new(BatchKind::Commit);
    batch.push(1, 1, false, b"key", None);
    log.append(&mut batch, true).unwrap();
    let others = (2..8).map(|seq| put(&log, seq, b"other", &[0; 200_000]).locations[0]);
    others.for_each(|at| log.mark_dead(at));
    let first = log.candidates()[0];
    assert!(first.tombstone_bytes > 0 && first.live_bytes == 0);
    log.forget_tombstones(&first);
    assert_eq!(log.candidates()[0].tombstone_bytes, 0);
    assert!(!log.has_dead());
    take_checkpoint(&log, log.begin_checkpoint());
    assert!(log.has_dead());
}
