//! The flags of `he_open`.

use std::ops::BitOr;

/// A set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u32);

impl Flags {
    pub const CREATE: Self = Self(1);
    pub const TRUNCATE: Self = Self(2);
    pub const VOLUME_CREATE: Self = Self(4);
    pub const VOLUME_TRUNCATE: Self = Self(8);
    pub const VOLUME_NOTRIM: Self = Self(16);
    pub const NOSORT: Self = Self(32);
    pub const SCAN: Self = Self(64);
    pub const CLEAN: Self = Self(128);
    pub const COMPRESS: Self = Self(256);
    pub const READONLY: Self = Self(512);
    pub const ERR_EXISTS: Self = Self(1024);
    /// Those here.
    const ALL: u32 = 2047;

    /// The flags of a caller; `None` if there are bits that mean nothing.
    pub fn from_bits(bits: i32) -> Option<Self> {
        let bits = bits as u32;
        (bits & !Self::ALL == 0).then_some(Self(bits))
    }

    /// Whether one of `any` is set.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
