//! Every limit of the C interface, in one place: `he.h` states the first four.

/// Most datastores in a volume.
pub const DATASTORES_MAX: usize = 4095;
/// Longest key, in bytes; also the longest URL and the longest name.
pub const KEY_BYTES_MAX: usize = 65_535;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16_777_215;
/// Smallest volume on devices that do not grow, in bytes.
pub const VOLUME_BYTES_MIN: u64 = 1 << 30;
/// Most handles of a process, of all kinds together.
pub const HANDLES_MAX: usize = 1 << 20;
/// Most bytes that one transaction may queue.
pub const TRANSACTION_BYTES_MAX: usize = 1 << 30;
/// Most times that the function of one `he_merge` is called.
pub const MERGE_ATTEMPTS_MAX: u32 = 1000;
