//! Faults: what a disk may do instead of what it was asked for.

/// Which operations a fault counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Reads, cached and uncached.
    Read,
    /// Writes.
    Write,
    /// Syncs.
    Sync,
    /// Growing, and becoming shorter.
    Grow,
    /// Writes, syncs and growing.
    Change,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// EIO; nothing was done.
    Eio,
    /// ENOSPC; nothing was done.
    Enospc,
    /// EIO after a part was done: a write's first half, or what a sync reached.
    Short,
    /// A failed sync after which the cache keeps the new bytes and calls them clean: the disk
    /// has the old ones, and the next sync succeeds without writing them.
    SyncKeepsCache,
    /// A failed sync after which the cache shows the old bytes again.
    SyncRevertsCache,
    /// EIO although all of it was done.
    Late,
    /// Success, and nothing was done (a planted bug: a disk that does this keeps no promise).
    Lie,
    /// Success, with one bit of what was read flipped.
    FlippedBit,
}

/// A fault: the `nth` operation (from zero) of a kind on any disk of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operations are counted.
    pub on: On,
    /// The first that fails.
    pub nth: u64,
    /// Whether all later ones fail, too.
    pub for_ever: bool,
    /// How.
    pub kind: FaultKind,
}

impl On {
    pub(crate) fn counts(self, operation: On) -> bool {
        self == operation || (self == On::Change && operation != On::Read)
    }
}

/// A fault that was planned, and how many operations it has seen.
pub(crate) struct Planned {
    fault: Fault,
    seen: u64,
}

impl Planned {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, seen: 0 }
    }

    /// What happens to this operation, if this fault strikes it.
    pub(crate) fn strikes(&mut self, operation: On) -> Option<FaultKind> {
        if !self.fault.on.counts(operation) {
            return None;
        }
        let index = self.seen;
        self.seen += 1;
        let struck = index == self.fault.nth || (self.fault.for_ever && index > self.fault.nth);
        struck.then_some(self.fault.kind)
    }
}
