//! The SHA-1 value by which WIM names its blobs.

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// SHA-1 of a blob's uncompressed bytes; all zero means "no blob" (an empty stream).
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct Sha1Hash(pub [u8; 20]);

impl Sha1Hash {
    /// The value stored for an empty stream, which has no blob.
    pub const ZERO: Self = Self([0; 20]);

    /// Whether this stands for "no blob".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Sha1Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha1Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha1Hash({self})")
    }
}

impl From<[u8; 20]> for Sha1Hash {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}
