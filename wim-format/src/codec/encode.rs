//! Encoding chunks.

pub(crate) mod bits;
pub(crate) mod chains;
pub(crate) mod entropy;
pub(crate) mod matches;
pub(crate) mod nodes;
pub(crate) mod prefix;
#[cfg(target_arch = "x86_64")]
pub(crate) mod registers;
pub(crate) mod source;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod walk;
#[cfg(target_arch = "x86_64")]
pub(crate) mod wide;

use std::num::NonZeroU32;

use super::{Codec, Hints, lzms, lzx, xpress};
use thiserror::Error;

/// How hard an encoder tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// For speed: takes the matches that come first.
    Fast,
    /// Between `Fast` and `Usual`.
    Balanced,
    /// A good size in reasonable time.
    #[default]
    Usual,
    /// Smaller, at about half the speed of `Usual`.
    Best,
    /// As small as it gets, at about half the speed of `Best`.
    Smallest,
}

impl Level {
    /// All levels, the fastest first.
    pub const ALL: [Self; 5] =
        [Self::Fast, Self::Balanced, Self::Usual, Self::Best, Self::Smallest];

    /// Whether an encoder makes use of [`Hints`].
    #[must_use]
    pub fn takes_hints(self, codec: Codec) -> bool {
        codec == Codec::Xpress && self <= Self::Usual
    }

    /// The fastest level that gives files no larger than wimlib's compression level `number` does
    /// for `codec`; wimlib's usual level is 50.
    #[must_use]
    pub fn from_number(codec: Codec, number: NonZeroU32) -> Self {
        // wimlib's own parsers change above 34 (LZX) and from 30 and 60 on (XPRESS). Its level 59 is as
        // small as our usual one.
        let last = match codec {
            Codec::Lzx => [20, 35, 50, 100],
            Codec::Xpress => [29, 40, 55, 100],
            Codec::Lzms => [20, 35, 50, 100],
        };
        let at = last.iter().position(|&last| number.get() <= last);
        Self::ALL[at.unwrap_or(last.len())]
    }
}

/// No encoder can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The chunk size is not one of the codec's.
    #[error(
        "chunk size is {found} bytes, expected a power of two from {} to {} for {codec:?}",
        .codec.chunk_size_range().start(), .codec.chunk_size_range().end()
    )]
    ChunkSize {
        /// The codec.
        codec: Codec,
        /// The chunk size asked for.
        found: u32,
    },
    /// Chunks of this size are legal, but take too much memory to encode.
    #[error("{codec:?} chunks of {found} bytes take too much memory to write; use {limit} or less")]
    Memory {
        /// The codec.
        codec: Codec,
        /// The chunk size asked for.
        found: u32,
        /// The largest that is possible.
        limit: u32,
    },
}

/// The largest LZMS chunks that are written, 64 MiB: what wimlib and Microsoft use for solid resources.
/// An encoder takes some 9 bytes for each byte of the chunk, and 18 MiB.
pub const LZMS_LIMIT: u32 = 1 << 26;

/// Encoder state for chunks of one codec and chunk size. It allocates when made, never per chunk.
///
/// What it gives depends on nothing but the chunk, the chunk size, the level, and hints if there are any.
#[derive(Debug)]
pub struct Encoder {
    chunk_size: usize,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Xpress(Box<xpress::Encoder>),
    Lzx(Box<lzx::Encoder>),
    Lzms(Box<lzms::Encoder>),
}

impl Encoder {
    /// Makes an encoder for chunks of up to `chunk_size` bytes.
    ///
    /// # Errors
    /// [`EncodeError::ChunkSize`] when `chunk_size` is not legal for `codec`, and
    /// [`EncodeError::Memory`] when it is larger than [`LZMS_LIMIT`] for LZMS.
    pub fn new(codec: Codec, chunk_size: u32, level: Level) -> Result<Self, EncodeError> {
        if !codec.is_valid_chunk_size(chunk_size) {
            return Err(EncodeError::ChunkSize { codec, found: chunk_size });
        }
        let inner = match codec {
            Codec::Xpress => Inner::Xpress(Box::new(xpress::Encoder::new(chunk_size, level))),
            Codec::Lzx => Inner::Lzx(Box::new(lzx::Encoder::new(chunk_size, level))),
            Codec::Lzms if chunk_size > LZMS_LIMIT => {
                return Err(EncodeError::Memory { codec, found: chunk_size, limit: LZMS_LIMIT });
            }
            Codec::Lzms => Inner::Lzms(Box::new(lzms::Encoder::new(chunk_size, level))),
        };
        Ok(Self { chunk_size: chunk_size as usize, inner })
    }

    /// Uses these instructions, which change nothing but the speed.
    #[cfg(test)]
    fn set_cpu(&mut self, cpu: super::Cpu) {
        match &mut self.inner {
            Inner::Xpress(encoder) => encoder.set_cpu(cpu),
            Inner::Lzx(encoder) => encoder.set_cpu(cpu),
            Inner::Lzms(_) => {}
        }
    }

    /// Encodes one chunk of 1 to `chunk_size` bytes; `dst` is at least as long as `src`.
    ///
    /// Gives the number of bytes at the start of `dst` that hold the encoded chunk, fewer than
    /// `src` has; or `None` when the chunk does not get smaller and is to be stored as it is. The
    /// rest of `dst` is left with unspecified contents.
    ///
    /// # Panics
    /// When `src` is longer than a chunk, or `dst` shorter than `src`.
    pub fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        self.encode_with_hints(src, Hints::NONE, dst)
    }

    /// Like [`encode`](Self::encode), with the matches that the chunk had in another encoding. They
    /// may be any and of any chunk: what comes out decodes to `src`. With what an LZX encoder
    /// that weighs its choice has found, XPRESS takes four fifths of the time and gets smaller, at all
    /// levels up to [`Level::Usual`]; nothing else uses them.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_with_hints(
        &mut self,
        src: &[u8],
        hints: &Hints,
        dst: &mut [u8],
    ) -> Option<usize> {
        assert!(src.len() <= self.chunk_size, "{} bytes are more than a chunk", src.len());
        let dst = &mut dst[..src.len()];
        let (_, dst) = dst.split_last_mut()?;
        match &mut self.inner {
            Inner::Xpress(encoder) => encoder.encode(src, hints, dst),
            Inner::Lzx(encoder) => encoder.encode(src, dst),
            Inner::Lzms(encoder) => encoder.encode(src, dst),
        }
    }
}
