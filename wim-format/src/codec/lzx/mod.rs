//! LZX as WIM uses it, a relative of [MS-PATCH] LZX DELTA and of the LZX of cabinets.
//!
//! What differs from cabinets: nothing is carried from chunk to chunk, the block header holds its
//! size in 1, 17 or 25 bits, and calls are always translated (see [`super::e8`]), with no header
//! that says so.
//!
//! ```text
//! chunk     = block*
//! block     = type:3 size header body          type 1 verbatim, 2 aligned, 3 uncompressed
//! size      = 1:1                              32768 bytes
//!           | 0:1 size:16                      window of 32 KiB
//!           | 0:1 size:24                      larger windows
//! header    = [aligned lengths: 8 × 3]         aligned blocks only
//!             pretree lengths 0..256           main code, literals
//!             pretree lengths 256..            main code, matches
//!             pretree lengths 0..249           length code
//! match     = main symbol [length symbol] [extra offset bits] [aligned symbol]
//! ```

mod chunk;
mod codes;
mod encode;
mod offsets;
#[cfg(any(test, feature = "testing"))]
mod plain;
mod symbols;
mod tables;
#[cfg(test)]
mod tests;

use super::cpu::Cpu;
use super::hints::Hints;
use super::{e8, pair};
use crate::DecodeError;
use chunk::Stream;
pub(crate) use encode::Encoder;

/// Decoder state for chunks of one window size.
#[derive(Debug)]
pub struct Decoder {
    pair: [Stream; 2],
    cpu: Cpu,
}

impl Decoder {
    /// Makes a decoder for chunks of up to `chunk_size` uncompressed bytes (2^15 to 2^21). The
    /// window, and with it the main alphabet, follows from `chunk_size`.
    #[must_use]
    pub fn new(chunk_size: u32, cpu: Cpu) -> Self {
        Self { pair: [Stream::new(chunk_size, cpu), Stream::new(chunk_size, cpu)], cpu }
    }

    /// Decodes one chunk: `src` is all of its compressed bytes, `dst` exactly its uncompressed
    /// size. After an error the contents of `dst` are unspecified.
    ///
    /// # Errors
    /// [`DecodeError::BadSize`] when `dst` is larger than the chunk size; the others when the
    /// stream is invalid.
    pub fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        self.keep_hints(false);
        pair::decode(&mut self.pair[0], src, dst)?;
        self.cpu.run(e8::Undo { chunk: dst });
        Ok(())
    }

    /// Decodes many chunks, as calls of [`decode`](Self::decode) would, in less time; see
    /// [`codec::Decoder::decode_many`](crate::codec::Decoder::decode_many).
    pub fn decode_many<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(usize, Result<(), DecodeError>, &'a mut [u8]),
    ) {
        self.keep_hints(false);
        self.decode_pairs(chunks, |_, number, outcome, chunk| done(number, outcome, chunk));
    }

    /// Like [`decode_many`](Self::decode_many), with the matches of each chunk; see
    /// [`codec::Decoder::decode_many_with_hints`](crate::codec::Decoder::decode_many_with_hints).
    pub fn decode_many_with_hints<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(usize, Result<(), DecodeError>, &'a mut [u8], &Hints),
    ) {
        self.keep_hints(true);
        self.decode_pairs(chunks, |stream, number, outcome, chunk| {
            done(number, outcome, chunk, stream.hints());
        });
    }

    fn keep_hints(&mut self, keep: bool) {
        self.pair.iter_mut().for_each(|stream| stream.keep_hints(keep));
    }

    fn decode_pairs<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
        mut done: impl FnMut(&Stream, usize, Result<(), DecodeError>, &'a mut [u8]),
    ) {
        let Self { pair, cpu } = self;
        pair::decode_many(pair, chunks, |stream, number, outcome, chunk| {
            if outcome.is_ok() {
                cpu.run(e8::Undo { chunk: &mut *chunk });
            }
            done(stream, number, outcome, chunk);
        });
    }
}

/// Decodes one chunk the plain way.
#[cfg(any(test, feature = "testing"))]
pub(super) fn decode_plainly(
    chunk_size: u32,
    src: &[u8],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    plain::Plain::new(tables::window_order(chunk_size)).decode(src, dst)?;
    Cpu::PORTABLE.run(e8::Undo { chunk: dst });
    Ok(())
}
