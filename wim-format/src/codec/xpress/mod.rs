//! XPRESS with Huffman coding, [MS-XCA] §2.1 and §2.2, "LZ77+Huffman".
//!
//! ```text
//! chunk   = table:256 bytes  stream
//! table   = 512 × 4-bit codeword lengths, even symbols in the low nibble
//! symbol  = 0..256             literal
//!         | 256 + 16·o + l     match: offset 2^o + o bits, length l + 3;
//!                              l = 15: 15 + next byte + 3; that byte 255: next 2 bytes + 3
//! ```
//!
//! Bits come in 16-bit words. The decoder holds 16 to 31 bits ahead before it reads a symbol and
//! again after it; length bytes lie in the input right behind the words held then.

mod chunk;
mod codes;
mod encode;
mod input;
#[cfg(any(test, feature = "testing"))]
mod plain;
mod symbols;
#[cfg(test)]
mod tests;

use super::cpu::Cpu;
use super::pair;
use crate::DecodeError;
use chunk::Stream;
pub(crate) use encode::Encoder;

/// Bytes of the table of codeword lengths.
const TABLE_LEN: usize = 256;
/// Symbols of the code.
const SYMBOLS: usize = 512;
/// Symbols that are literals.
const LITERALS: usize = 256;
/// Shortest match.
const MIN_MATCH: usize = 3;
/// The length in a symbol that says that bytes follow.
const LONG_LENGTH: usize = 15;
/// Uncompressed size of the largest chunk.
const MAX_CHUNK: usize = 1 << 16;

/// Decoder state.
#[derive(Debug)]
pub struct Decoder {
    pair: [Stream; 2],
}

impl Decoder {
    /// Makes a decoder.
    #[must_use]
    pub fn new(cpu: Cpu) -> Self {
        Self { pair: [Stream::new(cpu), Stream::new(cpu)] }
    }

    /// Decodes one chunk: `src` is all of its compressed bytes, `dst` exactly its uncompressed
    /// size, at most 64 KiB. After an error the contents of `dst` are unspecified.
    ///
    /// # Errors
    /// [`DecodeError::BadSize`] when `dst` is larger than 64 KiB; the others when the stream is
    /// invalid.
    pub fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        pair::decode(&mut self.pair[0], src, dst)
    }

    /// Decodes many chunks, as calls of [`decode`](Self::decode) would, in less time; see
    /// [`codec::Decoder::decode_many`](crate::codec::Decoder::decode_many).
    pub fn decode_many<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(usize, Result<(), DecodeError>, &'a mut [u8]),
    ) {
        pair::decode_many(&mut self.pair, chunks, |_, number, outcome, chunk| {
            done(number, outcome, chunk);
        });
    }
}

/// Decodes one chunk the plain way.
#[cfg(any(test, feature = "testing"))]
pub(super) fn decode_plainly(src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
    plain::Plain::new().decode(src, dst)
}
