//! How a volume is opened.
//!
//! Invariant: what an open volume has of them is within the limits, and can be read.

use crate::{chance::Chance, clock::Clock, id::VolumeId, limits};

/// A method for each of the fields of options, which sets it: they can be chained.
macro_rules! setters {
    ($type:ident { $($name:ident: $kind:ty),* $(,)? }) => {
        impl $type {
            $(
                #[doc = concat!("With this [`", stringify!($name), "`](field@Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}
pub(crate) use setters;

/// Options of [`crate::Volume::open`].
///
/// ```
/// use heliumdb::VolumeOptions;
/// let options = VolumeOptions::new()
///     .limit_bytes(10 << 30)
///     .read_cache_bytes(256 << 20);
/// assert!(options.create);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// Format the devices if they are blank, or if the making of a volume on them was cut short
    /// (default true).
    pub create: bool,
    /// Format the devices whatever they hold, unless they are in use.
    pub truncate: bool,
    /// With leave to create, make a new volume also where a copy was begun and not finished (default
    /// false); what there is of it is gone.
    pub remake_copy: bool,
    /// The volume is for [`crate::Volume::backup`] or [`crate::upkeep::Salvage::run`] to fill (default false).
    /// One that is made for it counts as a copy that is not finished, which does not open, until that
    /// has succeeded; and such a copy is made again as for `remake_copy`.
    pub receive_copy: bool,
    /// Write nothing.
    pub read_only: bool,
    /// Largest size that each file may grow to, in bytes; `None` leaves it to the file system.
    pub limit_bytes: Option<u64>,
    /// Smallest volume that is made, in bytes, where its devices do not grow; the store's own
    /// limit ([`crate::limits::VOLUME_BYTES_MIN`]) holds anyway.
    pub least_bytes: u64,
    /// Memory for log segments not yet (or just) written, in bytes: at most a quarter of what
    /// the machine has available, and two segments at least. Those that were written also stay in
    /// what the read cache does not use of its own. What the cleaner works on comes out of it.
    pub write_cache_bytes: u64,
    /// Memory for items that were read from a device, in bytes: at most a half of what the
    /// machine has available. With less than a megabyte there is no read cache. Memory is only
    /// taken as it fills; until then the log's youngest segments stay in it, and make room as
    /// it does.
    pub read_cache_bytes: u64,
    /// Memory for unsettled versions, in bytes. Who would use more, in a transaction or outside while a snapshot is
    /// in use, gets [`crate::ErrorKind::VersionBudget`], and what it would have written is not.
    pub version_budget_bytes: u64,
    /// After how many milliseconds, at most, buffered updates are made durable in the background;
    /// `u64::MAX` leaves that to [`crate::Volume::flush`]. Without a background thread nothing
    /// does it.
    pub auto_commit_period_ms: u64,
    /// Bytes of items that the background thread reads each second to find damage; 0 (the
    /// default) reads none.
    pub scrub_bytes_per_second: u64,
    /// Segments of which more than this part is live are left alone while nobody needs their room,
    /// in per cent (default 60; from 1 to 100). When room is short, whatever gives room is cleaned.
    pub clean_util_pct: u32,
    /// Cleaning starts by itself when this part of what is in use is dead, in per cent (default 20;
    /// from 1 to 100, which is never). When room is short, it starts whatever this says.
    pub clean_dirty_pct: u32,
    /// Pause between two rounds of such cleaning, in milliseconds (default 2,000).
    pub auto_clean_period_ms: u64,
    /// How often a write that finds the volume full waits for room, as long as any is to be expected
    /// (default 500); with 0 it is refused at once. Before a volume is full, writers are slowed to
    /// what the cleaner makes room for, each write by 20 milliseconds at most.
    pub retry_count: u32,
    /// How long it waits each time, in microseconds, unless a segment comes free before (default
    /// 20,000).
    pub retry_delay_us: u64,
    /// Do not tell devices which of their space holds nothing any more.
    pub no_trim: bool,
    /// A checkpoint is taken when recovery would have to replay so many bytes of log; `None`
    /// stands for 256 MiB, or a quarter of the volume if that is less, but no less than twice the
    /// size of the last checkpoint. `u64::MAX` turns them off, those at a close too.
    pub checkpoint_log_bytes: Option<u64>,
    /// Make no use of the checkpoint at the open: read all of the log, as if there were none. What is
    /// found is the same; it takes longer.
    pub scan: bool,
    /// Refuse the volume if this process has it open already; otherwise it is shared, with the options
    /// that it was opened with: who asks for others gets [`crate::ErrorKind::VolumeInUse`].
    pub exclusive: bool,
    /// The id that a new volume gets; a random one by default.
    pub(crate) volume_id: Option<crate::VolumeId>,
    /// Do background work in a thread of the volume's own (default true). A simulation that
    /// steps the work itself turns it off.
    #[doc(hidden)]
    pub background_thread: bool,
    /// The time, of a simulation or of the system.
    #[doc(hidden)]
    pub clock: Clock,
    /// Where ids and secrets come from.
    #[doc(hidden)]
    pub chance: Chance,
}

setters!(VolumeOptions {
    create: bool,
    truncate: bool,
    remake_copy: bool,
    receive_copy: bool,
    read_only: bool,
    least_bytes: u64,
    write_cache_bytes: u64,
    read_cache_bytes: u64,
    version_budget_bytes: u64,
    auto_commit_period_ms: u64,
    scrub_bytes_per_second: u64,
    clean_util_pct: u32,
    clean_dirty_pct: u32,
    auto_clean_period_ms: u64,
    retry_count: u32,
    retry_delay_us: u64,
    no_trim: bool,
    scan: bool,
    exclusive: bool,
});

impl VolumeOptions {
    /// Those by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this [`limit_bytes`](field@Self::limit_bytes).
    #[must_use]
    pub fn limit_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.limit_bytes = bytes.into();
        self
    }

    /// With this [`checkpoint_log_bytes`](field@Self::checkpoint_log_bytes).
    #[must_use]
    pub fn checkpoint_log_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.checkpoint_log_bytes = bytes.into();
        self
    }

    /// The same, with every number brought into its range: none is refused.
    pub(crate) fn clamped(&self) -> Self {
        let within = |value: u64, [least, most]: [u64; 2]| value.clamp(least, most);
        Self {
            write_cache_bytes: within(self.write_cache_bytes, limits::WRITE_CACHE_BYTES),
            read_cache_bytes: within(self.read_cache_bytes, limits::READ_CACHE_BYTES),
            version_budget_bytes: within(
                self.version_budget_bytes,
                limits::VERSION_BUDGET_BYTES_RANGE,
            ),
            auto_commit_period_ms: self
                .auto_commit_period_ms
                .max(limits::AUTO_COMMIT_PERIOD_MS_MIN),
            clean_util_pct: self.clean_util_pct.clamp(1, 100),
            clean_dirty_pct: self.clean_dirty_pct.clamp(1, 100),
            retry_count: self.retry_count.min(limits::RETRIES_MAX),
            retry_delay_us: self.retry_delay_us.min(limits::RETRY_DELAY_US_MAX),
            ..self.clone()
        }
    }

    /// Why these cannot be had where the volume `is`, a copy that may be unfinished, is open already, if so: they count when it is opened,
    /// and hold for all who share it. What is left as it is by default is content with anything.
    pub(crate) fn refused_beside(
        &self,
        open: &Self,
        is: VolumeId,
        is_unfinished: bool,
    ) -> Option<String> {
        let default = Self::default().clamped();
        if self.exclusive || open.exclusive {
            return Some(String::new());
        }
        if self.truncate {
            return Some(", and cannot be truncated: close it first".to_owned());
        }
        if self.read_only != open.read_only {
            let how = if open.read_only {
                "read-only"
            } else {
                "for writing"
            };
            return Some(format!(
                ", {how}, and cannot be opened otherwise: close it first"
            ));
        }
        if is_unfinished && !self.receive_copy {
            return Some(", and holds a copy that is not finished".to_owned());
        }
        if self.volume_id.is_some_and(|id| id != is) {
            return Some(", and cannot become the copy of another one".to_owned());
        }
        macro_rules! first_refused {
            ($($option:ident),*) => {
                [$((
                    stringify!($option),
                    self.$option != default.$option && self.$option != open.$option,
                )),*]
                .into_iter()
                .find_map(|(name, is_refused)| is_refused.then_some(name))
            };
        }
        let name = first_refused!(
            limit_bytes,
            write_cache_bytes,
            read_cache_bytes,
            version_budget_bytes,
            auto_commit_period_ms,
            scrub_bytes_per_second,
            clean_util_pct,
            clean_dirty_pct,
            auto_clean_period_ms,
            retry_count,
            retry_delay_us,
            no_trim,
            checkpoint_log_bytes,
            scan,
            background_thread
        )?;
        Some(format!(
            ", with another {name}, which cannot change while it is open: leave it as it is by default, or close the volume first"
        ))
    }

    /// For a new volume that is to hold a backup of the volume `id`, or what was salvaged of
    /// it, and be known by the same id to those who keep it elsewhere. Its files must be new or
    /// empty. The two are not to be opened as parts of one set of volumes. Implies `receive_copy`.
    pub fn copy_of(mut self, id: crate::VolumeId) -> Self {
        self.volume_id = Some(id);
        self.receive_copy = true;
        self
    }

    /// Whether a volume is made where a copy was not finished.
    pub(crate) fn remakes_copies(&self) -> bool {
        self.remake_copy || self.receive_copy
    }
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self {
            create: true,
            truncate: false,
            remake_copy: false,
            receive_copy: false,
            read_only: false,
            limit_bytes: None,
            least_bytes: crate::limits::VOLUME_BYTES_MIN,
            write_cache_bytes: 256 << 20,
            read_cache_bytes: 1 << 30,
            version_budget_bytes: limits::VERSION_BUDGET_BYTES,
            auto_commit_period_ms: limits::AUTO_COMMIT_PERIOD_MS,
            scrub_bytes_per_second: 0,
            clean_util_pct: 60,
            clean_dirty_pct: 20,
            auto_clean_period_ms: 2_000,
            retry_count: 500,
            retry_delay_us: 20_000,
            no_trim: false,
            checkpoint_log_bytes: None,
            scan: false,
            exclusive: false,
            volume_id: None,
            background_thread: true,
            clock: Clock::default(),
            chance: Chance::default(),
        }
    }
}
