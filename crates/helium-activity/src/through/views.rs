//! Through whose eyes readers look.

use std::sync::Arc;

use heliumdb::{Result, Volume, host::View};

/// Makes views for readers, where a program keeps the transactions of the volume itself.
pub trait Views: Send + Sync {
    /// A view of what is committed now, at snapshot isolation, which is used and dropped by the thread that asks. What it
    /// sees stays until it is dropped.
    fn begin(&self) -> Result<Box<dyn View>>;
}

/// How others may read a volume through the process that has it open.
#[derive(Clone)]
pub enum Reading {
    /// Through snapshots of the volume's own. Not for programs that keep its transactions themselves: there is one
    /// keeper.
    Snapshots,
    /// Through these.
    Through(Arc<dyn Views>),
    /// Not at all: only figures are told.
    Not,
}

impl Reading {
    /// A view of now; `None` if nobody may read.
    pub(crate) fn begin(&self, volume: &Volume) -> Option<Result<Box<dyn View>>> {
        match self {
            Self::Snapshots => Some(volume.snapshot().map(|snapshot| {
                let view: Box<dyn View> = Box::new(snapshot);
                view
            })),
            Self::Through(views) => Some(views.begin()),
            Self::Not => None,
        }
    }
}
