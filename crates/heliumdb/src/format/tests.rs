//! Whatever is encoded is decoded again, and no flipped bit goes unnoticed.

use super::{frame::*, item, segment::*, superblock::*, *};
use crate::limits::BLOCK_BYTES;
use proptest::prelude::*;

const SALT: Salt = Salt(0x1234_5678_9abc_def0);

/// One or the other.
fn version(bits: u8) -> Version {
    use Version::{Five, Four, One, Six, Three, Two};
    [One, Two, Three, Four, Five, Six][usize::from(bits % 6)]
}

fn flip(bytes: &mut [u8], bit: usize) {
    let at = bit / 8 % bytes.len();
    bytes[at] ^= 1 << (bit % 8);
}

proptest! {
    #[test]
    fn items_round_trip_and_notice_any_flipped_bit(
        tree: u32, seq: u64, flags in 0u8..16, codec in 0u8..2, unit in 0u64..1 << 40, bit: usize,
        key in prop::collection::vec(any::<u8>(), 0..200), value in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = Vec::new();
        let hash = item::encode_as(codec, &mut bytes, (tree, seq, flags), &key, &value);
        let sum = item::checksum(hash, SALT, unit * 16);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        let decoded = item::decode(&bytes, SALT, unit * 16);
        if codec != 0 && flags & (item::TOMBSTONE | item::INDIRECT) != 0 {
            prop_assert!(decoded.is_none());
            return Ok(());
        }
        let (header, again) = decoded.unwrap();
        prop_assert_eq!(again, hash);
        prop_assert_eq!((header.tree, header.seq, header.flags, header.codec), (tree, seq, flags, codec));
        prop_assert_eq!((header.key(&bytes), header.value(&bytes)), (&key[..], &value[..]));
        prop_assert!(item::decode(&bytes, SALT, (unit * 16) ^ 16).is_none());
        flip(&mut bytes, bit);
        prop_assert!(item::decode(&bytes, SALT, unit * 16).is_none());
    }

    #[test]
    fn frame_headers_round_trip_and_notice_any_flipped_bit(
        flags in 0u8..4, payload_len: u32, item_count: u32, numbers: [u64; 6], bit: usize,
    ) {
        let [epoch, lsn, horizon, batch_id, payload_hash, chain] = numbers;
        let header = FrameHeader {
            version: version(flags), kind: Kind::Prepare, flags, payload_len, item_count, epoch, lsn, horizon, batch_id, payload_hash, chain,
        };
        let mut bytes = [0; frame::HEADER_BYTES];
        let hash = header.encode(&mut bytes, SALT);
        prop_assert_eq!(FrameHeader::decode(&bytes, SALT), Look::Good((header, hash)));
        prop_assert_eq!(FrameHeader::decode(&bytes, Salt(1)), Look::Bad);
        flip(&mut bytes, bit);
        prop_assert!(!matches!(FrameHeader::decode(&bytes, SALT), Look::Good(_)));
    }

    #[test]
    fn segment_headers_round_trip_and_notice_any_flipped_bit(numbers: [u64; 7], bit: usize) {
        let [generation, segment, sequence, epoch, chain, end, horizon] = numbers;
        let segment = segment % (1 << 24);
        let header = SegmentHeader {
            state: State::Ended, generation, volume: VolumeId([7; 16]), segment, sequence, epoch, chain, end, horizon,
            written: bit.is_multiple_of(2),
        };
        let mut bytes = [0; BLOCK_BYTES];
        header.encode(&mut bytes, SALT, version(bit as u8));
        let slot = header.slot();
        prop_assert_eq!(SegmentHeader::decode(&bytes, SALT, segment, slot), Look::Good(header));
        prop_assert_eq!(SegmentHeader::decode(&bytes, SALT, segment, 1 - slot), Look::Bad);
        prop_assert_eq!(SegmentHeader::decode(&bytes, SALT, segment ^ 1, slot), Look::Bad);
        flip(&mut bytes, bit % (BLOCK_BYTES * 8));
        prop_assert_eq!(SegmentHeader::decode(&bytes, SALT, segment, slot), Look::Bad);
    }

    #[test]
    fn superblocks_round_trip_and_notice_any_flipped_bit(
        count in 1usize..=64, flags: u32, generation: u64, epoch: u64, grows: u64, bit: usize,
        checkpoint: Option<[u32; 4]>, secret: [u8; 16],
    ) {
        let superblock = Superblock {
            version: version(flags as u8), flags, generation: generation >> 2, volume: VolumeId([9; 16]),
            device: count as u32 - 1, segment_bytes: 8 << 20, epoch: epoch >> 2,
            members: (0..count)
                .map(|i| Member { id: [i as u8; 16], bytes: i as u64 * 77, grows: grows >> i & 1 == 1 })
                .collect(),
            checkpoint: checkpoint.map(|[number, address, start, durable]| Checkpoint {
                version: version(flags as u8),
                number: u64::from(number) + 1,
                address: u64::from(address) * 16,
                bytes: address % 1000,
                start: crate::format::superblock::Start { at: start.into(), chain: 7, epoch: address.into() },
                durable: u64::from(durable) + u64::from(start),
            }),
            headed: if version(flags as u8) > Version::Two { epoch >> 3 } else { 0 },
            secret,
        };
        let mut bytes = superblock.encode();
        let block = superblock.block();
        prop_assert_eq!(Superblock::decode(&bytes, block), Look::Good(superblock));
        prop_assert_eq!(Superblock::decode(&bytes, 1 - block), Look::Bad);
        flip(&mut bytes, bit % (BLOCK_BYTES * 8));
        prop_assert_eq!(Superblock::decode(&bytes, block), Look::Bad);
    }

    #[test]
    fn arbitrary_bytes_decode_to_nothing_and_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(item::decode(&bytes, SALT, 0).is_none());
        let _ = item::decode_chunk_list(&bytes);
        let _ = decode_prepare(&bytes);
        let _ = decode_resolve(&bytes);
        prop_assert!(!matches!(FrameHeader::decode(&bytes, SALT), Look::Good(_)));
    }
}

#[test]
fn a_later_version_is_told_from_damage() {
    let superblock = Superblock {
        version: Version::CURRENT,
        flags: 0,
        generation: 2,
        volume: VolumeId([9; 16]),
        device: 0,
        segment_bytes: 8 << 20,
        epoch: 1,
        members: vec![Member {
            id: [1; 16],
            bytes: 1,
            grows: true,
        }],
        checkpoint: None,
        headed: 16,
        secret: [0; 16],
    };
    let mut bytes = superblock.encode();
    let later = Version::CURRENT.number() + 1;
    bytes[8..10].copy_from_slice(&later.to_le_bytes());
    let sum = hash_seeded(&bytes[..BLOCK_BYTES - 8], 0x6865_6c69_756d_6462);
    bytes[BLOCK_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(Superblock::decode(&bytes, 0), Look::Newer(later));
}

/// A superblock with a checkpoint, of one version with a checkpoint of another.
fn with_checkpoint(version: Version, checkpoint: Version, at: u64, chain: u64) -> Superblock {
    Superblock {
        version,
        flags: 0,
        generation: 2,
        volume: VolumeId([9; 16]),
        device: 0,
        segment_bytes: 8 << 20,
        epoch: 1,
        members: vec![Member {
            id: [1; 16],
            bytes: 1,
            grows: true,
        }],
        checkpoint: Some(Checkpoint {
            version: checkpoint,
            number: 1,
            address: 4096,
            bytes: 100,
            start: crate::format::superblock::Start {
                at,
                chain,
                epoch: 1,
            },
            durable: 99 << 20,
        }),
        headed: 0,
        secret: [0; 16],
    }
}

#[test]
fn a_checkpoint_keeps_its_own_version() {
    use Version::{One, Three, Two};
    for (version, checkpoint) in [(One, One), (Two, One), (Two, Two), (Three, One)] {
        let superblock = with_checkpoint(version, checkpoint, 8 << 20, 0);
        let bytes = superblock.encode();
        assert_eq!(Superblock::decode(&bytes, 0), Look::Good(superblock));
    }
}

/// They did not say what the first frame has to follow, or in other places.
#[test]
fn checkpoints_of_development_versions_are_told_from_damage() {
    let early = with_checkpoint(Version::One, Version::One, (8 << 20) + 4096, 0);
    assert_eq!(Superblock::decode(&early.encode(), 0), Look::Early);
    let bad = with_checkpoint(Version::Two, Version::Two, (8 << 20) + 4096, 0);
    assert_eq!(Superblock::decode(&bad.encode(), 0), Look::Bad);
}

#[test]
fn prepare_and_resolve_payloads_round_trip() {
    let global = crate::format::name::GlobalTxn {
        decider: VolumeId([3; 16]),
        number: 77,
    };
    let participants = vec![VolumeId([1; 16]), VolumeId([2; 16])];
    let bytes = encode_prepare(global, &participants);
    assert_eq!(
        decode_prepare(&bytes),
        Some((global, participants, bytes.len()))
    );
    assert_eq!(decode_prepare(&bytes[..bytes.len() - 1]), None);
    assert_eq!(
        decode_resolve(&encode_resolve(global, true)),
        Some((global, true))
    );
    assert_eq!(
        decode_resolve(&encode_resolve(global, false)),
        Some((global, false))
    );
}
