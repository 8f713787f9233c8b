//! The SHA-1 value by which WIM names its blobs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;

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

impl FromStr for Sha1Hash {
    type Err = NotSha1;

    /// Reads 40 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NotSha1> {
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NotSha1);
        let digits: &[u8; 40] = text.as_bytes().try_into().map_err(|_| NotSha1)?;
        let mut bytes = [0; 20];
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
            *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        Ok(Self(bytes))
    }
}

/// The text is not a SHA-1 value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 40 hexadecimal digits of a SHA-1")]
pub struct NotSha1;

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

/// A map by SHA-1, made for tables of many thousand blobs.
pub type Sha1Map<V> = HashMap<Sha1Hash, V, Sha1BuildHasher>;

/// A set of SHA-1 values.
pub type Sha1Set = HashSet<Sha1Hash, Sha1BuildHasher>;

/// Hashes SHA-1 values for [`Sha1Map`].
///
/// A SHA-1 is random already, unless somebody chose it to make our tables slow; so a random key is
/// mixed in by one multiplication a word.
#[derive(Debug, Clone, Copy)]
pub struct Sha1BuildHasher {
    key: u64,
}

impl Default for Sha1BuildHasher {
    fn default() -> Self {
        // The standard library has a random number for this very purpose.
        Self { key: RandomState::new().build_hasher().finish() }
    }
}

impl BuildHasher for Sha1BuildHasher {
    type Hasher = Sha1Hasher;

    fn build_hasher(&self) -> Sha1Hasher {
        Sha1Hasher { state: self.key }
    }
}

/// Made by [`Sha1BuildHasher`].
#[derive(Debug, Clone, Copy)]
pub struct Sha1Hasher {
    state: u64,
}

impl Hasher for Sha1Hasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        // The last four bytes of a SHA-1 add nothing to the sixteen before them.
        let needed = if words.is_empty() { rest } else { &[] };
        needed.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.state ^ word) * ODD;
        self.state = (product >> 64) as u64 ^ product as u64;
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_hexadecimal() {
        let mut bytes = [0; 20];
        bytes[0] = 0xab;
        let shown = format!("ab{}", "00".repeat(19));
        assert_eq!(Sha1Hash(bytes).to_string(), shown);
        assert_eq!(shown.parse(), Ok(Sha1Hash(bytes)));
        assert!("ab".parse::<Sha1Hash>().is_err());
        assert!("+b".repeat(20).parse::<Sha1Hash>().is_err());
        assert!("\u{e9}".repeat(20).parse::<Sha1Hash>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_map_by_sha1_is_a_map(hashes: Vec<[u8; 20]>) {
            let fast: Sha1Map<usize> =
                hashes.iter().enumerate().map(|(index, hash)| (Sha1Hash(*hash), index)).collect();
            for (index, hash) in hashes.iter().enumerate() {
                let last = hashes.iter().rposition(|other| other == hash);
                assert_eq!(fast.get(&Sha1Hash(*hash)).copied(), last, "{index}");
            }
        }
    }
}
