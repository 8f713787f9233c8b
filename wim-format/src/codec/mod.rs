//! The three codecs of WIM chunks.
//!
//! A chunk is one independent stream: it has no header and no checksum of its own, and its exact
//! uncompressed size is known from outside. A [`Decoder`] is the reusable state of one thread.

#[cfg(any(test, feature = "testing"))]
mod bits;
mod copy;
pub mod cpu;
mod e8;
pub mod encode;
mod hints;
mod huffman;
pub mod lzms;
pub mod lzx;
#[cfg(any(test, feature = "testing"))]
mod naive;
mod pair;
mod range;
mod recent;
mod sequences;
mod window;
pub mod xpress;

use crate::DecodeError;
pub use cpu::Cpu;
pub use encode::{EncodeError, Encoder, LZMS_LIMIT, Level};
pub use hints::Hints;

/// A compression method. Numbers in the comments are the header flags of [`crate::header`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// XPRESS with Huffman coding, [MS-XCA] §2.1 (0x20000).
    Xpress,
    /// LZX as WIM uses it (0x40000).
    Lzx,
    /// LZMS (0x80000).
    Lzms,
}

impl Codec {
    /// Smallest and largest legal chunk size; every legal size is a power of two.
    #[must_use]
    pub const fn chunk_size_range(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Xpress => 1 << 12..=1 << 16,
            Self::Lzx => 1 << 15..=1 << 21,
            Self::Lzms => 1 << 15..=1 << 30,
        }
    }

    /// Whether a WIM may use `size` as the chunk size of this codec.
    #[must_use]
    pub fn is_valid_chunk_size(self, size: u32) -> bool {
        size.is_power_of_two() && self.chunk_size_range().contains(&size)
    }
}

/// Decoder state for chunks of one codec and chunk size. It allocates when made, never per chunk.
#[derive(Debug)]
pub struct Decoder(Inner);

#[derive(Debug)]
enum Inner {
    Xpress(Box<xpress::Decoder>),
    Lzx(Box<lzx::Decoder>),
    Lzms(Box<lzms::Decoder>),
}

impl Decoder {
    /// Makes a decoder for chunks of up to `chunk_size` uncompressed bytes.
    ///
    /// # Errors
    /// [`DecodeError::BadSize`] when `chunk_size` is not legal for `codec`.
    pub fn new(codec: Codec, chunk_size: u32) -> Result<Self, DecodeError> {
        Self::with_cpu(codec, chunk_size, Cpu::detect())
    }

    /// Makes a decoder that uses no other instructions than `cpu` says.
    ///
    /// # Errors
    /// [`DecodeError::BadSize`] when `chunk_size` is not legal for `codec`.
    pub fn with_cpu(codec: Codec, chunk_size: u32, cpu: Cpu) -> Result<Self, DecodeError> {
        if !codec.is_valid_chunk_size(chunk_size) {
            return Err(DecodeError::BadSize);
        }
        Ok(Self(match codec {
            Codec::Xpress => Inner::Xpress(Box::new(xpress::Decoder::new(cpu))),
            Codec::Lzx => Inner::Lzx(Box::new(lzx::Decoder::new(chunk_size, cpu))),
            Codec::Lzms => Inner::Lzms(Box::new(lzms::Decoder::new(cpu))),
        }))
    }

    /// Decodes one whole chunk: `src` is all of its compressed bytes, `dst` exactly its
    /// uncompressed size. After an error the contents of `dst` are unspecified.
    ///
    /// # Errors
    /// See [`DecodeError`]; hostile input never panics and never reads or writes out of bounds.
    pub fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        match &mut self.0 {
            Inner::Xpress(d) => d.decode(src, dst),
            Inner::Lzx(d) => d.decode(src, dst),
            Inner::Lzms(d) => d.decode(src, dst),
        }
    }

    /// Decodes many chunks, given by their compressed bytes and the places of the decoded ones. Where
    /// the codec gains from it, two of them are on their way at any time and their latencies overlap,
    /// which is faster than calls of [`decode`](Self::decode); the outcomes are the same.
    ///
    /// `done` is told of each chunk as it ends, in any order: its number in `chunks` (from 0), the
    /// outcome, and its place, whose contents are unspecified after an error.
    pub fn decode_many<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(usize, Result<(), DecodeError>, &'a mut [u8]),
    ) {
        match &mut self.0 {
            Inner::Xpress(d) => d.decode_many(chunks, done),
            Inner::Lzx(d) => d.decode_many(chunks, done),
            Inner::Lzms(d) => {
                for (number, (src, dst)) in chunks.into_iter().enumerate() {
                    done(number, d.decode(src, dst), dst);
                }
            }
        }
    }

    /// Like [`decode_many`](Self::decode_many), and `done` is given the matches of each chunk, which
    /// make it faster to encode it anew. Only LZX has any, and only chunks of up to 64 KiB; after an error
    /// they are those up to there. They are of the chunk before calls are translated back.
    pub fn decode_many_with_hints<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(usize, Result<(), DecodeError>, &'a mut [u8], &Hints),
    ) {
        match &mut self.0 {
            Inner::Lzx(d) => d.decode_many_with_hints(chunks, done),
            Inner::Xpress(_) | Inner::Lzms(_) => {
                self.decode_many(chunks, |number, outcome, chunk| {
                    done(number, outcome, chunk, Hints::NONE);
                });
            }
        }
    }

    /// Decodes two chunks, as [`decode_many`](Self::decode_many) does.
    pub fn decode_two(
        &mut self,
        a: (&[u8], &mut [u8]),
        b: (&[u8], &mut [u8]),
    ) -> [Result<(), DecodeError>; 2] {
        let mut outcomes = [Ok(()); 2];
        self.decode_many([a, b], |number, outcome, _| outcomes[number] = outcome);
        outcomes
    }
}

/// Decodes one chunk the plain way: LZX or XPRESS symbol by symbol and byte by byte, LZMS as any
/// processor can. This is what the fast decoders are tested against.
///
/// # Errors
/// As [`Decoder::new`] and [`Decoder::decode`].
#[cfg(any(test, feature = "testing"))]
pub(crate) fn decode_plainly(
    codec: Codec,
    chunk_size: u32,
    src: &[u8],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    if !codec.is_valid_chunk_size(chunk_size) || dst.len() > chunk_size as usize {
        return Err(DecodeError::BadSize);
    }
    match codec {
        Codec::Xpress => xpress::decode_plainly(src, dst),
        Codec::Lzx => lzx::decode_plainly(chunk_size, src, dst),
        Codec::Lzms => lzms::Decoder::new(Cpu::PORTABLE).decode(src, dst),
    }
}
