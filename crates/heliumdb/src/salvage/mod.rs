//! Salvage: what can be read of a damaged volume, copied to another one.
//!
//! Nothing is trusted but checksums: [`geometry`] finds out what the devices were, from
//! superblocks or, where these are destroyed, from segment headers; [`walk`] finds the frames
//! of each segment, chained or not; [`batches`] keeps what is whole and counts; [`newest`]
//! keeps the highest sequence number per key; [`datastores`] says which trees are whose; and
//! [`mod@copy`] writes it all, in key order, to the target.
//!
//! Invariant: nothing is ever written to the source, and what was deleted, truncated, dropped
//! or cancelled comes back only if what says so is itself destroyed.

mod batches;
mod copied;
mod copy;
mod datastores;
mod geometry;
mod newest;
mod scan;
mod source;
mod spills;
mod trouble;
mod walk;

use crate::{
    Volume,
    device::{self, Device},
    error::{Error, ErrorKind, Result},
    id::{DatastoreId, VolumeId},
    location::Lsn,
    options::VolumeOptions,
    progress::{Progress, Reporter},
    volume::{load, outcomes::Told},
};
pub(crate) use copy::copy;
pub(crate) use scan::scan;
pub(crate) use source::Source;

/// What becomes of a prepared batch whose outcome nothing that is left tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unresolved {
    /// It is left out, like a transaction that never committed.
    #[default]
    Drop,
    /// It is taken for committed.
    Keep,
}

/// A damaged volume, and how it is to be salvaged.
pub struct Salvage {
    devices: Vec<Box<dyn Device>>,
    deciders: Vec<Vec<Box<dyn Device>>>,
    rules: Rules,
}

/// What is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// What of the log is looked at, if not all: for items, and for records that speak of them.
    below: Option<Lsn>,
    records_below: Option<Lsn>,
    volume: Option<VolumeId>,
    partial: bool,
    doubtful: bool,
    unresolved: Unresolved,
}

impl Rules {
    /// What a sound volume holds below a position, of which what is logged below another one says
    /// what became of it.
    pub(crate) fn below(end: Lsn, records_end: Lsn) -> Self {
        Self {
            below: Some(end),
            records_below: Some(records_end),
            ..Self::default()
        }
    }
}

/// A datastore that was salvaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedDatastore {
    /// Its id, in the source and in the target.
    pub id: DatastoreId,
    /// Its name.
    pub name: Vec<u8>,
    /// Whether the name was made up, because the catalog's record of it is lost (or another
    /// datastore has the name).
    pub renamed: bool,
    /// Items copied.
    pub items: u64,
    /// Items of which only the place is known: their bytes could not be read when it came to
    /// copying them.
    pub lost_items: u64,
}

/// What was found, what was copied, and what is lost.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The volume's id.
    pub volume: Option<VolumeId>,
    /// Devices that the volume had.
    pub devices: u64,
    /// Those of them that were not given, or not recognised.
    pub missing_devices: u64,
    /// Devices without a whole superblock.
    pub lost_superblocks: u64,
    /// The devices were copied while somebody had the volume open for writing, or after whoever had it open was
    /// killed. Nobody can tell which, nor whether such a copy has all that was in the volume.
    pub copied_while_open: bool,
    /// The volume is itself a copy that was not finished.
    pub unfinished_copy: bool,
    /// Segments that hold log.
    pub segments: u64,
    /// Segments of which no header is left: left out unless doubtful things are taken.
    pub lost_segments: u64,
    /// Bytes that the devices refused to read.
    pub unreadable_bytes: u64,
    /// Stretches of log that are not valid frames, or are missing between them.
    pub gaps: u64,
    /// Bytes of those that are there. (Those overwritten with zeros do not show.)
    pub gap_bytes: u64,
    /// Frames whose contents are damaged.
    pub damaged_frames: u64,
    /// Valid frames.
    pub frames: u64,
    /// Batches that are not whole, prepared ones too.
    pub broken_batches: u64,
    /// Items of such batches that were readable and left out.
    pub dropped_items: u64,
    /// Cancelled batches that were met.
    pub cancelled_batches: u64,
    /// Prepared batches whose outcome nothing told.
    pub unresolved_batches: u64,
    /// Datastores, or the items of such, that have no place in a volume: there are too many, or
    /// two have the same items.
    pub lost_datastores: u64,
    /// Decisions about transactions over several volumes that could not be read, where the copy was to keep
    /// them.
    pub lost_decisions: u64,
    /// The datastores, by id.
    pub datastores: Vec<SalvagedDatastore>,
    /// Items copied.
    pub items: u64,
    /// Bytes of keys and values copied.
    pub bytes: u64,
}

impl SalvageReport {
    /// Whether it is certain that nothing at all was damaged or missing.
    pub fn is_lossless(&self) -> bool {
        let lost = [
            self.missing_devices,
            self.lost_segments,
            self.unreadable_bytes,
            self.gaps,
            self.damaged_frames,
            self.broken_batches,
            self.lost_datastores,
            self.lost_decisions,
            self.unresolved_batches,
        ];
        lost.iter().all(|&count| count == 0)
            && !self.copied_while_open
            && !self.unfinished_copy
            && self
                .datastores
                .iter()
                .all(|store| store.lost_items == 0 && !store.renamed)
    }
}

impl Salvage {
    /// The volume that `url` names. Its devices are opened read-only.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::on_devices(open_source(url)?))
    }

    /// The volume on devices of the caller's own making, in any order.
    pub fn on_devices(devices: Vec<Box<dyn Device>>) -> Self {
        Self {
            devices,
            deciders: Vec::new(),
            rules: Rules::default(),
        }
    }

    /// Which volume, if the devices hold the remains of several. Without it, the one of which
    /// most is left.
    pub fn volume(mut self, id: VolumeId) -> Self {
        self.rules.volume = Some(id);
        self
    }

    /// Takes items of batches (and so of transactions) that are not whole any more (default
    /// false). (A transaction that outgrew its memory is several batches.)
    pub fn partial_batches(mut self, partial: bool) -> Self {
        self.rules.partial = partial;
        self
    }

    /// Takes items of which the frame's or the segment's header is destroyed (default false).
    /// What was deleted, rolled back, truncated or dropped may come back.
    pub fn doubtful_items(mut self, doubtful: bool) -> Self {
        self.rules.doubtful = doubtful;
        self
    }

    /// What becomes of prepared batches whose outcome nothing tells.
    pub fn unresolved(mut self, unresolved: Unresolved) -> Self {
        self.rules.unresolved = unresolved;
        self
    }

    /// Asks another volume, damaged or not, for what it decided about prepared batches.
    pub fn decider(self, url: &str) -> Result<Self> {
        Ok(self.decider_devices(open_source(url)?))
    }

    /// Does for devices of the caller's own making what [`Salvage::decider`] does for a URL.
    pub fn decider_devices(mut self, devices: Vec<Box<dyn Device>>) -> Self {
        self.deciders.push(devices);
        self
    }

    /// Copies what is left to `target`, which must hold no datastores. Datastores keep their
    /// ids, names and attributes. `progress` is called now and then, and ends it by returning false.
    ///
    /// The copy is another volume, and keeps no decisions for others: of these the damaged one is still the
    /// [`Salvage::decider`]. One that was made with [`VolumeOptions::copy_of`] keeps them; if anything is lost,
    /// it does not say of a transaction whose decision may be lost too that it did not commit.
    ///
    /// After an error the target is a copy that is not finished: nothing opens it, and what it holds is
    /// got by salvage alone.
    pub fn run(
        self,
        target: &Volume,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<SalvageReport> {
        let _span = tracing::info_span!("salvage", target = target.url()).entered();
        load::check_empty(target)?;
        let mut reporter = Reporter::new(progress);
        let mut told = Told::default();
        for devices in self.deciders {
            let source = Source::identify(devices, None)?;
            let scanned = scan(&source, &self.rules, &told, &mut reporter)?;
            told.decided.extend(scanned.decisions(&source));
        }
        let source = Source::identify(self.devices, self.rules.volume)?;
        let scanned = scan(&source, &self.rules, &told, &mut reporter)?;
        let (report, filling) = copy(&source, scanned, target, &mut reporter)?;
        filling.finish()?;
        tracing::info!(
            volume = %source.volume,
            items = report.items,
            lossless = report.is_lossless(),
            "salvaged"
        );
        Ok(report)
    }
}

fn open_source(url: &str) -> Result<Vec<Box<dyn Device>>> {
    let options = VolumeOptions {
        create: false,
        read_only: true,
        ..VolumeOptions::default()
    };
    device::open_url(url, &options)
}

fn nothing_left(devices: &[Box<dyn Device>]) -> Error {
    let names: Vec<_> = devices.iter().map(|device| device.name()).collect();
    Error::new(
        ErrorKind::NotAVolume,
        format!(
            "{}: neither a superblock nor a segment header of a Helium volume is left",
            names.join(", ")
        ),
    )
}
