//! Taking a commit back: while that goes on, the horizon does not pass the transaction.

use std::sync::Arc;

use super::Writing;
use crate::{
    access::Access,
    error::{Error, ErrorKind, Result},
    version::TxnId,
};

/// While this lives, its transaction is being cancelled on one volume.
pub(crate) struct Cancelling {
    writing: Arc<Writing>,
    owner: TxnId,
}

impl Cancelling {
    /// Refused when nobody below some higher id can be cancelled any more.
    pub(crate) fn begin(access: &Access, writing: &Arc<Writing>, owner: TxnId) -> Result<Self> {
        let begun = writing.certainty.begin_cancel(owner);
        begun.map_err(|below| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "transaction {owner} stays committed on {}: no transaction below {below} can be taken back any more",
                    access.url()
                ),
            )
        })?;
        Ok(Self {
            writing: writing.clone(),
            owner,
        })
    }
}

impl Drop for Cancelling {
    fn drop(&mut self) {
        self.writing.certainty.end_cancel(self.owner);
    }
}
