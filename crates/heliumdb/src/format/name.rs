//! How transactions over several volumes are called.
//!
//! Invariant: no name is given twice. A count alone would be: the decider gives it before anything that
//! bears it is durable there, so a crash makes it forget. Therefore the number has the decider's epoch in it,
//! which was raised durably since the volume was opened and before the number is given. All that is said of
//! a transaction (prepare, decision, resolve) is said of its name.

use crate::{
    Error, ErrorKind, Result,
    id::VolumeId,
    limits::{DECIDING_EPOCHS_MAX, DECISIONS_PER_EPOCH_MAX},
};

/// The name of a transaction over several volumes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct GlobalTxn {
    /// The volume that decides it.
    pub decider: VolumeId,
    /// Given by that volume, and never again.
    pub number: u64,
}

/// Names that version 1 gave are sequence numbers, which never get so high.
const WITH_EPOCH: u64 = 1 << 63;

impl GlobalTxn {
    /// The name of the transaction that is number `count` of those that `decider` decides in `epoch`.
    pub(crate) fn new(decider: VolumeId, epoch: u64, count: u64) -> Result<Self> {
        if epoch > DECIDING_EPOCHS_MAX || count >= DECISIONS_PER_EPOCH_MAX {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "volume {decider} has no name left for a transaction over several volumes: if it was not opened \
                     {DECIDING_EPOCHS_MAX} times, close it and open it again, else copy it to a new one"
                ),
            ));
        }
        let number = WITH_EPOCH | (epoch * DECISIONS_PER_EPOCH_MAX) | count;
        Ok(Self { decider, number })
    }

    /// The key under which the decider keeps its decision.
    pub(crate) fn decision_key(&self) -> [u8; 8] {
        self.number.to_be_bytes()
    }

    /// The epoch in which it was given; names of version 1 have none.
    pub(crate) fn epoch(&self) -> u64 {
        match self.number & WITH_EPOCH {
            0 => 0,
            _ => (self.number ^ WITH_EPOCH) / DECISIONS_PER_EPOCH_MAX,
        }
    }

    /// Whose decision `decider` keeps under a key; `None` if it is the key of none.
    pub(crate) fn of_decision(decider: VolumeId, key: &[u8]) -> Option<Self> {
        let number = u64::from_be_bytes(key.try_into().ok()?);
        Some(Self { decider, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_epoch_and_count_up_to_their_limits() {
        let decider = VolumeId([7; 16]);
        let (epoch, count) = (DECIDING_EPOCHS_MAX, DECISIONS_PER_EPOCH_MAX - 1);
        let mut numbers = std::collections::HashSet::new();
        for (epoch, count) in [(1, 0), (1, count), (2, 0), (epoch, 0), (epoch, count)] {
            let name = GlobalTxn::new(decider, epoch, count).unwrap();
            assert!(name.number >= WITH_EPOCH && numbers.insert(name.number));
            let key = name.decision_key();
            assert_eq!(GlobalTxn::of_decision(decider, &key), Some(name));
            assert_eq!(name.epoch(), epoch);
        }
        for (epoch, count) in [(epoch + 1, 0), (1, count + 1)] {
            let refused = GlobalTxn::new(decider, epoch, count).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(GlobalTxn::of_decision(decider, &[1; 9]), None);
    }
}
