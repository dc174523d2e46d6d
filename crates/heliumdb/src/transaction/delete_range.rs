//! Deleting the items of a range in a transaction.
//!
//! Invariant: what goes are the items that the transaction sees, each as by a single delete; no value is read.

use std::ops::RangeBounds;

use super::WriteSet;
use crate::{
    datastore::Datastore,
    error::Result,
    version::{Change, Mode, View},
    write::check::is_done,
};

impl WriteSet {
    /// Removes the items in `bounds` that `view` sees; how many that were. Each conflicts, and marks the transaction as
    /// failed, as [`WriteSet::write`] does. It takes a version for each of them, within the volume's budget for
    /// them.
    pub fn delete_range<K: AsRef<[u8]>>(
        &mut self,
        datastore: &Datastore,
        view: &dyn View,
        bounds: impl RangeBounds<K>,
    ) -> Result<u64> {
        self.check_active()?;
        datastore.check_handle()?;
        let mut removed = 0;
        let done = datastore.each_key(Some(view), bounds, &mut |key| {
            let written = self.write(datastore, view, key, Change::Remove, Mode::Present);
            removed += u64::from(is_done(written)?);
            Ok(())
        });
        // Of a range all goes or nothing.
        done.inspect_err(|why| self.fail(why.clone()))?;
        Ok(removed)
    }
}
