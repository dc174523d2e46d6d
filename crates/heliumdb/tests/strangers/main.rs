//! Volumes from a stranger: whole by all their checksums, and saying what cannot be.
//!
//! Whatever they say, nothing panics, takes more memory than `limits.rs` has for it, or loses what was
//! acknowledged afterwards; and what was closed opens again.
#![expect(
    clippy::disallowed_methods,
    reason = "tests have files, threads and times of their own"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as tests do"
)]

#[path = "../store/common.rs"]
#[expect(dead_code, reason = "other tests need the rest of it")]
mod common;
mod crafted;
#[path = "../store/versions/kept.rs"]
#[expect(dead_code, reason = "nothing is kept here")]
mod kept;
#[path = "../store/versions/make.rs"]
mod make;
mod memory;
mod mutate;
mod tried;
mod volume;

/// What all tests here have taken is counted together: one at a time.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;
