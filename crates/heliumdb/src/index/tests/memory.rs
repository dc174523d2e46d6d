//! The allocator.

use super::super::memory::{allocate, footprint, free};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{ptr::NonNull, thread};

#[test]
fn footprints_are_at_most_a_sixteenth_too_large() {
    for bytes in 1..40_000 {
        let slot = footprint(bytes);
        assert!(slot >= bytes && slot.is_multiple_of(16));
        assert!(slot - bytes <= (bytes / 16).max(24), "{bytes} take {slot}");
    }
}

#[test]
fn slots_do_not_overlap_and_are_used_again() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || take_and_give_back(SmallRng::seed_from_u64(seed + thread)));
        }
    });
}

/// Keeps a changing number of slots, each filled with a byte of its own.
fn take_and_give_back(mut rng: SmallRng) {
    let mut taken: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
    for step in 0..super::scaled(30_000) {
        let grows = step / 5_000 % 2 == 0;
        if taken.is_empty() || rng.random_range(0..100) < if grows { 70 } else { 30 } {
            let bytes = 1 << rng.random_range(0..15);
            let bytes = rng.random_range(bytes..=bytes * 2);
            let at = allocate(bytes);
            assert_eq!(at.as_ptr().addr() % 16, 0);
            let fill = rng.random();
            fill_with(at, bytes, fill);
            taken.push((at, bytes, fill));
        } else {
            let (at, bytes, fill) = taken.swap_remove(rng.random_range(0..taken.len()));
            check_and_free(at, bytes, fill);
        }
    }
    for (at, bytes, fill) in taken {
        check_and_free(at, bytes, fill);
    }
}

#[expect(unsafe_code, reason = "it is raw memory that is tested")]
fn fill_with(at: NonNull<u8>, bytes: usize, fill: u8) {
    // SAFETY: allocated with this size.
    unsafe { at.write_bytes(fill, bytes) }
}

#[expect(unsafe_code, reason = "it is raw memory that is tested")]
fn check_and_free(at: NonNull<u8>, bytes: usize, fill: u8) {
    // SAFETY: allocated with this size, filled, and not used any more.
    unsafe {
        let content = std::slice::from_raw_parts(at.as_ptr(), bytes);
        assert!(content.iter().all(|&byte| byte == fill));
        free(at, bytes);
    }
}
