//! Which version of the format bytes are of.
//!
//! Invariant: nothing of a later version is on a device before all superblocks of the volume say
//! so. Superblocks, segment headers and frames each bear their own, which says what they and all in
//! them mean; what they lead to elsewhere is of no later one.

use super::Look;

/// A version that this program reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub(crate) enum Version {
    One = 1,
    Two = 2,
    Three = 3,
    Four = 4,
    Five = 5,
    Six = 6,
    Seven = 7,
}

impl Version {
    /// What is written.
    pub(crate) const CURRENT: Self = Self::Seven;

    /// What the number that something bears says; or else what that is.
    pub(super) fn of<T>(number: u16) -> Result<Self, Look<T>> {
        match number {
            0 => Err(Look::Bad),
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            4 => Ok(Self::Four),
            5 => Ok(Self::Five),
            6 => Ok(Self::Six),
            7 => Ok(Self::Seven),
            later => Err(Look::Newer(later)),
        }
    }

    pub(crate) fn number(self) -> u16 {
        self as u16
    }
}
