//! For tests and fuzz targets: tiny WIMs made to measure, and what must hold of any bytes.

pub mod check;
pub mod hive;
pub mod streams;
#[cfg(test)]
mod tests;
mod tiny_wim;

pub use tiny_wim::{Chunks, Draft, TinyWim};

use crate::Sha1Hash;

/// SHA-1 of `bytes`.
#[must_use]
pub fn sha1(bytes: &[u8]) -> Sha1Hash {
    use sha1::Digest as _;
    Sha1Hash(sha1::Sha1::digest(bytes).into())
}
