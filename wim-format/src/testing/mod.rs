//! For tests and fuzz targets: tiny WIMs made to measure, and what must hold of any bytes.

pub mod check;
pub mod streams;
#[cfg(test)]
mod tests;
mod tiny_wim;

pub use tiny_wim::{Chunks, Draft, TinyWim};

use crate::codec::Codec;
use crate::{DecodeError, Sha1Hash};

/// SHA-1 of `bytes`.
#[must_use]
pub fn sha1(bytes: &[u8]) -> Sha1Hash {
    use sha1::Digest as _;
    Sha1Hash(sha1::Sha1::digest(bytes).into())
}

/// Decodes one chunk of LZX or XPRESS the plain way: what the fast decoders are compared with.
///
/// # Errors
/// As [`crate::Decoder::new`] and [`crate::Decoder::decode`].
///
/// # Panics
/// LZMS has no plain decoder.
pub fn decode_plainly(
    codec: Codec,
    chunk_size: u32,
    src: &[u8],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    crate::codec::decode_plainly(codec, chunk_size, src, dst)
}
