//! How a volume is opened.

/// Options of [`crate::Volume::open`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// Format the devices if they are blank (default true).
    pub create: bool,
    /// Format the devices whatever they hold, unless they are in use.
    pub truncate: bool,
    /// Write nothing.
    pub read_only: bool,
    /// Largest size a file may grow to, in bytes; `None` leaves it to the file system.
    pub limit_bytes: Option<u64>,
    /// Memory for log segments not yet (or just) written, in bytes.
    pub write_cache_bytes: u64,
    /// Memory for values read, in bytes. Accepted; takes effect with the read cache.
    pub read_cache_bytes: u64,
    /// Memory for unsettled versions, in bytes.
    pub version_budget_bytes: u64,
    /// Bytes of items that the background thread reads each second to find damage; 0 (the
    /// default) reads none.
    pub scrub_bytes_per_second: u64,
    /// Refuse the volume if this process has it open already; otherwise it is shared.
    pub exclusive: bool,
    /// The id that a new volume gets; a random one by default.
    pub(crate) volume_id: Option<crate::VolumeId>,
    /// Do background work in a thread of the volume's own (default true). A simulation that
    /// steps the work itself turns it off.
    #[doc(hidden)]
    pub background_thread: bool,
}

impl VolumeOptions {
    /// For a new volume that is to hold a backup of the volume `id`, or what was salvaged of
    /// it, and be known by the same id to those who keep it elsewhere. Its files must be new or
    /// empty. The two are not to be opened as parts of one set of volumes.
    pub fn copy_of(mut self, id: crate::VolumeId) -> Self {
        self.volume_id = Some(id);
        self
    }
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self {
            create: true,
            truncate: false,
            read_only: false,
            limit_bytes: None,
            write_cache_bytes: 256 << 20,
            read_cache_bytes: 1 << 30,
            version_budget_bytes: crate::limits::VERSION_BUDGET_BYTES,
            scrub_bytes_per_second: 0,
            exclusive: false,
            volume_id: None,
            background_thread: true,
        }
    }
}
