//! Checking all items of a volume, or those of some of its datastores.

use super::Volume;
use crate::{
    checking::{Check, Damage, VerifyReport},
    error::Result,
    id::DatastoreId,
    progress::{Phase, Progress, Reporter},
};

impl Volume {
    /// Reads every item of all datastores, and the records that the volume keeps of them, and checks its
    /// place, checksum, datastore and key, and whether segments have their headers,
    /// while others read and write. Damage does not end it: [`VerifyReport::damaged`] counts, and
    /// [`Volume::damage`] lists what was found. `progress` ends it by returning false.
    pub fn verify(&self, progress: &mut dyn FnMut(&Progress) -> bool) -> Result<VerifyReport> {
        let mut checks = Vec::from(Check::of_records(self.shared().checking()));
        for info in self.datastores() {
            // It may have been removed meanwhile.
            checks.extend(Check::of_datastore(self.shared().checking(), info.id)?);
        }
        let mut report = self.verify_all_of(checks, progress)?;
        for (segment, error) in self.shared().log.lost_headers()? {
            report.damaged += 1;
            self.shared().damages.enter(Damage {
                datastore: None,
                key: format!("segment {segment}").into_bytes(),
                error,
            });
        }
        Ok(report)
    }

    /// As [`Volume::verify`], of some datastores only.
    pub fn verify_datastores(
        &self,
        ids: &[DatastoreId],
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<VerifyReport> {
        let mut checks = Vec::new();
        for id in ids {
            checks.extend(Check::of_datastore(self.shared().checking(), *id)?);
        }
        self.verify_all_of(checks, progress)
    }

    fn verify_all_of(
        &self,
        checks: Vec<Check<'_>>,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<VerifyReport> {
        let _span = tracing::info_span!("verify", url = self.url()).entered();
        let mut reporter = Reporter::new(progress);
        let mut report = VerifyReport::default();
        let total = checks.iter().map(Check::len).sum();
        for check in checks {
            let mut last: Option<Vec<u8>> = None;
            loop {
                reporter.at(Phase::Checking, report.items + report.records, total)?;
                self.shared().access.check_open()?;
                last = check.go_on(last.as_deref(), u64::MAX, &mut report)?;
                if last.is_none() {
                    break;
                }
            }
        }
        reporter.at(Phase::Checking, report.items + report.records, total)?;
        Ok(report)
    }
}
