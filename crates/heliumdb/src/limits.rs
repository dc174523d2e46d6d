//! Every limit of the store, in one place. Each is tested at the limit and one past it.

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 131_072;
/// Longest value, in bytes (he.h's limit).
pub const VALUE_BYTES_MAX: usize = 16_777_215;
/// Longest datastore name, in bytes.
pub const NAME_BYTES_MAX: usize = 65_535;
/// Most bytes of attributes that a datastore's owner may keep in the catalog.
pub const ATTRIBUTES_BYTES_MAX: usize = 16_384;
/// Most datastores in a volume. he.h promises 4,095.
pub const DATASTORES_MAX: usize = 65_536;
/// Most devices in a volume.
pub const DEVICES_MAX: usize = 64;
/// Smallest volume, in bytes, all devices together.
pub const VOLUME_BYTES_MIN: u64 = 64 << 20;
/// Largest volume, in bytes: what a 40-bit location counts in units of [`ITEM_ALIGN`].
pub const VOLUME_BYTES_MAX: u64 = ITEM_ALIGN as u64 * (1 << 40);
/// Bytes of a segment: of a volume smaller than 512 MiB, and of a larger one.
pub const SEGMENT_BYTES: [u64; 2] = [1 << 20, 8 << 20];
/// Highest number that is read: sequence numbers, positions, generations, epochs, ids of batches,
/// transactions and parts of a checkpoint. No volume gets there by counting: one that has any higher than half
/// of it opens, and is not written to.
pub const NUMBERS_MAX: u64 = 1 << 62;
/// Most segments that a volume fills in its life, so that positions stay below [`NUMBERS_MAX`]; the same
/// holds of half of it.
pub const SEQUENCES_MAX: u64 = 1 << 38;
/// Memory that reading a volume takes beside its caches, in bytes for each byte that its devices have, to
/// open, list, verify or salvage it, whatever the bytes are.
pub const READING_BYTES_PER_BYTE: u64 = 8;
/// A log has items of no more trees than one for so many bytes of the volume, and as many as there can be
/// datastores: each was made, or emptied, by a batch of the catalog.
pub const LOG_BYTES_PER_TREE: u64 = 1024;
/// Values longer than this are cut into chunks of this size, each logged as an item of its own.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Items start at multiples of this many bytes.
pub const ITEM_ALIGN: usize = 16;
/// The unit in which synced writes end.
pub const BLOCK_BYTES: usize = 4096;
/// Memory for unsettled versions of a volume unless configured otherwise, in bytes.
pub const VERSION_BUDGET_BYTES: u64 = 1 << 30;
/// Most often that a write waits for room.
pub const RETRIES_MAX: u32 = 1_000_000;
/// Longest single wait for room, in microseconds.
pub const RETRY_DELAY_US_MAX: u64 = 60_000_000;
/// How often who has a volume open for writing looks whether somebody else does, in milliseconds.
pub const OPENER_LOOKS_MS: u64 = 1_000;
/// How long who finds the mark of an opener of which nothing is known waits for it to answer, in milliseconds.
pub const OPENER_WAIT_MS: u64 = 5_000;
/// Segments that are kept for the cleaner, from checkpoints too, so that it can work on a full volume: what
/// it moves out of one always fits.
pub const CLEANER_SEGMENTS: u64 = 2;
/// Most items that the cleaner moves in one batch.
pub const MOVES_PER_BATCH_MAX: usize = 4096;
/// Deletes that a full volume still accepts.
pub const DELETES_WHEN_FULL: u64 = 4096;
/// Most volumes in one transaction.
pub const VOLUMES_PER_TRANSACTION_MAX: usize = 64;
/// Most times that a volume that decides about transactions over several volumes is opened and written to.
pub(crate) const DECIDING_EPOCHS_MAX: u64 = (1 << 23) - 1;
/// So many epochs after those of a volume begin those of a copy that has its id: what the volume goes on to
/// decide, or had decided where it is damaged, has other names.
pub(crate) const COPY_EPOCHS: u64 = 1 << 12;
/// Most transactions over several volumes that a volume decides while it is open once: a power of two.
pub(crate) const DECISIONS_PER_EPOCH_MAX: u64 = 1 << 40;
/// Memory for values that a transaction of the volume's own takes before it spills, unless
/// configured otherwise, in bytes.
pub const TRANSACTION_MEMORY_BYTES: usize = 64 << 20;
/// Most times that a transaction that has spilled may go back over what it spilled.
pub const SPILL_SKIPS_MAX: usize = 256;
/// How long a backup of the newest state waits for commits that somebody could still take back, in
/// milliseconds, before it leaves them out.
pub const BACKUP_WAIT_MS: u64 = 1_000;
/// Most times that [`crate::Volume::transact`] runs a transaction.
pub const TRANSACT_ATTEMPTS_MAX: u32 = 128;
/// Most times that [`crate::Datastore::update_fetch`] asks for a new value before it gives up.
pub const MERGE_ATTEMPTS_MAX: u32 = 1000;
/// Memory for log segments not yet (or just) written, in bytes: least and most.
pub const WRITE_CACHE_BYTES: [u64; 2] = [2 << 20, 64 << 30];
/// Memory for values read, in bytes: least and most.
pub const READ_CACHE_BYTES: [u64; 2] = [0, 1 << 40];
/// Memory for unsettled versions, in bytes: least and most.
pub const VERSION_BUDGET_BYTES_RANGE: [u64; 2] = [4096, 1 << 40];
/// How long what is only buffered may stay so, in milliseconds, unless configured otherwise.
pub const AUTO_COMMIT_PERIOD_MS: u64 = 10_000;
/// Shortest such time, in milliseconds; `u64::MAX` is never.
pub const AUTO_COMMIT_PERIOD_MS_MIN: u64 = 10;
