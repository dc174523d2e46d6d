//! Checking the items of one datastore.

use super::Datastore;
use crate::{
    checking::{Check, VerifyReport},
    error::Result,
};

impl Datastore {
    /// Reads every item and checks its order, place, checksum, datastore and key. `progress` is
    /// called now and then with the number of items checked so far.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        self.shared.access.check_open()?;
        let check = Check::new(self.shared.checking(), self.tree()?, self.id());
        let mut report = VerifyReport::default();
        let mut last: Option<Vec<u8>> = None;
        while let Some(key) = check.step(last.as_deref(), &mut report)? {
            last = Some(key);
            progress(report.items);
        }
        progress(report.items);
        Ok(report)
    }
}
