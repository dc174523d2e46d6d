//! Backup: a consistent copy of an open volume, while others read and write.
//!
//! Invariant: the copy is the state that one view sees, or that the log up to one position
//! makes: every batch below it wholly, and nothing behind it.

use crate::{
    Datastore, DatastoreInfo, Isolation, Item, Snapshot, Volume,
    catalog::{Descriptor, SeenDatastore},
    datastore::Items,
    error::{Error, ErrorKind, Result},
    format::{check, trees::tree_id},
    progress::{Phase, Progress, Reporter},
    salvage::{self, Rules, Source},
    version::View,
    volume::{
        filling::Filling,
        load::{self, Loader},
    },
    write::check as check_write,
};

/// Items between two reports of progress.
const STEP_ITEMS: u64 = 1024;

/// Which state is copied.
pub enum BackupFrom<'a> {
    /// Everything committed by the time that the copying begins. The log is read for it, and an
    /// index of its own is built; no segment is freed meanwhile. Commits under way are waited for.
    /// One that its [`WriteSet`](crate::host::WriteSet) could still take back after a second
    /// ([`crate::limits::BACKUP_WAIT_MS`]) is left out, unless a transaction that sees it has written to the volume since.
    Newest,
    /// What a snapshot view sees, which its keeper holds open until the backup is done. Writes
    /// outside transactions are seen as they come.
    View(&'a dyn View),
    /// What a snapshot of the volume's own sees.
    Snapshot(&'a Snapshot),
}

/// What a backup has copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Datastores.
    pub datastores: u64,
    /// Items.
    pub items: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Volume {
    /// Copies all datastores, with their ids, names and attributes, to `target`, which must
    /// hold none, and makes the copy durable. `progress` is called now and then, and ends it
    /// by returning false. From the first item on, and after an error, the target is a copy that is not
    /// finished: it gives no datastores, nothing opens it, and it is to be made again; see
    /// [`crate::VolumeOptions::receive_copy`].
    ///
    /// A target that was made with [`crate::VolumeOptions::copy_of`] has the volume's id, too, and what this one
    /// decided for other volumes that may still ask: from when it is opened the next time. Through a
    /// view that is not to be had: there is no such copy while something is owed
    /// ([`ErrorKind::InDoubt`]).
    pub fn backup(
        &self,
        from: BackupFrom<'_>,
        target: &Volume,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<BackupReport> {
        let _span = tracing::info_span!("backup", from = self.url(), to = target.url()).entered();
        self.shared().access.check_open()?;
        self.shared().access.check_whole()?;
        load::check_empty(target)?;
        if self.is_same(target) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a volume cannot be its own backup",
            ));
        }
        let mut reporter = Reporter::new(progress);
        let report = match from {
            BackupFrom::Newest => self.copy_log(target, &mut reporter),
            BackupFrom::View(view) => self.copy_view(view, target, &mut reporter),
            BackupFrom::Snapshot(snapshot) => {
                let eyes = snapshot.eyes_on(self.shared())?;
                self.copy_view(&eyes, target, &mut reporter)
            }
        }?;
        tracing::info!(items = report.items, bytes = report.bytes, "backed up");
        Ok(report)
    }

    /// Makes a datastore that another volume has, with its id, name and attributes, and fills it with `items`: for copies
    /// that come from another process. This volume must be new, and gives no ids below `next_id` any more
    /// ([`next_datastore_id`](crate::host::VolumeExt::next_datastore_id)). From the first one on it is a copy that is not finished, until
    /// [`Volume::finish_copy`] says that all are there; after an error it stays that.
    pub fn restore<E: From<Error>>(
        &self,
        info: &DatastoreInfo,
        next_id: u32,
        items: impl Iterator<Item = Result<Item, E>>,
    ) -> Result<BackupReport, E> {
        if !check::is_datastore_number(info.id.0) {
            let why = format!("{} is no id of a datastore", info.id.0);
            return Err(Error::new(ErrorKind::InvalidArgument, why).into());
        }
        let descriptor = Descriptor {
            tree: tree_id(info.id.0, info.unordered),
            name: info.name.clone(),
            attributes: info.attributes.clone(),
            compress: info.compress,
        };
        let filling = Filling::go_on(self)?;
        let restored = self.restore_datastore(info.id, &descriptor, next_id)?;
        let mut loader = Loader::new(&restored)?;
        let mut report = BackupReport {
            datastores: 1,
            ..BackupReport::default()
        };
        for item in items {
            let (key, value) = item?;
            check_write::lengths(&key, Some(&value))?;
            loader.put(&key, &value)?;
            report.items += 1;
            report.bytes += (key.len() + value.len()) as u64;
        }
        loader.finish()?;
        filling.pause();
        Ok(report)
    }

    fn copy_log(&self, target: &Volume, reporter: &mut Reporter<'_>) -> Result<BackupReport> {
        let hold = self.hold_log()?;
        let end = hold.end()?;
        let (told, records_end) = self.outcomes(&hold, end, reporter)?;
        let rules = Rules::below(end, records_end);
        let source = Source::of_open_volume(hold.volume(), hold.segment_bytes(), hold.devices());
        let mut scanned = salvage::scan(&source, &rules, &told, reporter)?;
        if scanned.unresolved_batches() > 0 {
            return Err(Error::new(
                ErrorKind::InDoubt,
                format!(
                    "{}: nothing here says whether a transaction over several volumes committed, so that a copy could \
                     not be whole; open the volume again, together with the others",
                    self.url()
                ),
            ));
        }
        // It may have given names in an epoch of which nothing is in the log.
        scanned.epoch = scanned.epoch.max(self.shared().log.epoch());
        let (copied, filling) = salvage::copy(&source, scanned, target, reporter)?;
        if !copied.is_lossless() {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!(
                    "{}: the log is damaged, so that the copy is not complete: verify says where, and salvage takes \
                     what is left",
                    self.url()
                ),
            ));
        }
        filling.finish()?;
        Ok(BackupReport {
            datastores: copied.datastores.len() as u64,
            items: copied.items,
            bytes: copied.bytes,
        })
    }

    fn copy_view(
        &self,
        view: &dyn View,
        target: &Volume,
        reporter: &mut Reporter<'_>,
    ) -> Result<BackupReport> {
        let keeps_id = self.id() == target.id();
        self.check_owes_nothing(keeps_id)?;
        let filling = Filling::begin(target, self.id(), self.shared().log.epoch())?;
        let next_id = self.coming_datastore_id();
        let mut report = BackupReport::default();
        // As the view sees them: whatever becomes of them while they are copied.
        let stores = self.datastores_seen_by(view);
        let total = stores.iter().map(|store| store.tree.index.len()).sum();
        for store in stores {
            self.copy_datastore(
                view,
                store,
                next_id,
                target,
                |report| reporter.at(Phase::Copying, report.items, total),
                &mut report,
            )?;
            report.datastores += 1;
        }
        // A snapshot does not see what was decided meanwhile.
        self.check_owes_nothing(keeps_id && view.isolation() != Isolation::Snapshot)?;
        filling.finish()?;
        Ok(report)
    }

    /// Refuses a copy that would have to keep decisions, where nothing says which of them it is to have.
    fn check_owes_nothing(&self, would_keep: bool) -> Result<()> {
        if !would_keep || !self.shared().owing.owes() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InDoubt,
            format!(
                "{}: other volumes may still ask what became of transactions that it decided, and a copy of what a view sees cannot tell; copy the newest state, or open it together with these volumes first",
                self.url()
            ),
        ))
    }

    fn copy_datastore(
        &self,
        view: &dyn View,
        seen: SeenDatastore,
        next_id: u32,
        target: &Volume,
        mut step: impl FnMut(&BackupReport) -> Result<()>,
        report: &mut BackupReport,
    ) -> Result<()> {
        let SeenDatastore {
            id,
            descriptor,
            tree,
        } = seen;
        let store = Datastore::of_tree(self.shared(), id, tree);
        let descriptor = Descriptor {
            tree: tree_id(id.0, descriptor.is_unordered()),
            ..descriptor
        };
        let restored = target.restore_datastore(id, &descriptor, next_id)?;
        let mut loader = Loader::new(&restored)?;
        for item in Items::of(&store, view) {
            let (key, value) = item?;
            loader.put(&key, &value)?;
            if report.items.is_multiple_of(STEP_ITEMS) {
                step(report)?;
            }
            report.items += 1;
            report.bytes += (key.len() + value.len()) as u64;
        }
        loader.finish()
    }
}
