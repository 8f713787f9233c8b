//! LZMS, the codec of solid WIMs and ESDs: chunks of 32 KiB to 1 GiB.
//!
//! A chunk is two streams of 16-bit little-endian words in one buffer. Forward from the start runs
//! a binary range coder with the *decisions*: literal or match, LZ or delta, new or repeated
//! offset. Backward from the end run *symbols* of adaptive prefix codes and raw bits. Nothing marks
//! where the two meet, and both go on with zeros past their end. After all items, one pass over the
//! output undoes a filter for x86 code.
//!
//! ```text
//! decisions ─┬─▶ items (run of literals, match with its source)  [`parser`]: [`items`], [`queue`],
//! symbols ───┘                                                    [`adaptive`], [`bits`]
//! items ───────▶ output                                           [`copies`], then [`x86`]
//! ```
//!
//! Nothing that is read depends on the output, so the first stage runs ahead of the second by one
//! batch: then the sources of matches have been asked for when they are needed.

mod adaptive;
mod batch;
mod bits;
mod copies;
mod encode;
mod items;
mod parser;
mod queue;
mod shape;
mod slots;
mod stages;
mod symbols;
mod x86;

#[cfg(test)]
mod tests;

use crate::DecodeError;
use crate::codec::cpu::Cpu;
use crate::codec::range::RangeDecoder;
use batch::Batch;
pub(crate) use encode::Encoder;
use parser::Parser;
use stages::{Parse, UndoX86, Write};
use x86::TargetUsage;

/// Smallest chunk: two words of the forward stream.
const MIN_COMPRESSED: usize = 4;
/// Largest chunk size of the format, 1 GiB.
const MAX_UNCOMPRESSED: usize = 1 << 30;

/// Decoder state: about 350 KiB, allocated once. Decoding allocates nothing.
#[derive(Debug)]
pub struct Decoder {
    parser: Parser,
    batch: Batch,
    usage: TargetUsage,
    cpu: Cpu,
}

impl Decoder {
    /// Makes a decoder for chunks of any size.
    #[must_use]
    pub fn new(cpu: Cpu) -> Self {
        Self { parser: Parser::new(), batch: Batch::new(), usage: TargetUsage::new(), cpu }
    }

    /// Decodes one chunk: `src` is all of its compressed bytes, `dst` exactly its uncompressed
    /// size. After an error the contents of `dst` are unspecified.
    ///
    /// A corrupt chunk need not be noticed: nearly every bit pattern means something, and only the
    /// blob's SHA-1 tells.
    ///
    /// # Errors
    /// [`DecodeError::BadSize`] when `src` is odd or shorter than 4 bytes or `dst` is larger than
    /// 1 GiB; [`DecodeError::OffsetBeforeStart`] and [`DecodeError::Overrun`] for matches that
    /// leave `dst`.
    pub fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        if src.len() < MIN_COMPRESSED
            || !src.len().is_multiple_of(2)
            || dst.len() > MAX_UNCOMPRESSED
        {
            return Err(DecodeError::BadSize);
        }
        let Self { parser, batch, usage, cpu } = self;
        parser.start(src.len(), dst.len());
        let range = &mut RangeDecoder::new(src);
        let mut at = 0;
        while at < dst.len() {
            cpu.run(Parse { parser, src, range, batch, dst, at })?;
            at = cpu.run(Write { batch, dst, at });
        }
        cpu.run(UndoX86 { dst, usage });
        Ok(())
    }
}
