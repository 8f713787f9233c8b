//! LZMS, the codec of solid WIMs and ESDs: chunks of 32 KiB to 1 GiB.
//!
//! A chunk is two streams of 16-bit little-endian words in one buffer. Forward from the start runs
//! a binary range coder with the *decisions*: literal or match, LZ or delta, new or repeated
//! offset. Backward from the end run *symbols* of adaptive prefix codes and raw bits. Nothing marks
//! where the two meet, and both go on with zeros past their end. After all items, one pass over the
//! output undoes a filter for x86 code.
//!
//! ```text
//! decisions ──▶ items (run of literals + kind of match)      [`items`], [`super::range`]
//! symbols ────▶ literals, offsets, lengths = sequences       [`symbols`], [`adaptive`], [`bits`]
//! sequences ──▶ output                                       [`copy`], then [`x86`]
//! ```
//!
//! Decisions never depend on symbols, nor symbols on output, so each stage runs ahead of the next
//! by one batch: three short loops with their state in registers instead of one long one.

mod adaptive;
mod bits;
mod copy;
mod items;
mod shape;
mod slots;
mod symbols;
mod x86;

#[cfg(test)]
mod tests;

use crate::DecodeError;
use crate::codec::range::RangeDecoder;
use bits::BackwardBits;
use items::{Decisions, Item, Match};
use symbols::{Recent, Symbols};
use x86::TargetUsage;

/// Items decoded ahead at a time.
const BATCH: usize = 128;
/// Literals in a batch at most.
const BATCH_LITERALS: usize = 1024;

/// Smallest chunk: two words of the forward stream.
const MIN_COMPRESSED: usize = 4;
/// Largest chunk size of the format, 1 GiB.
const MAX_UNCOMPRESSED: usize = 1 << 30;

/// Decoder state. About 600 KiB, allocated once; decoding allocates nothing.
#[derive(Debug)]
pub struct Decoder {
    symbols: Symbols,
    batch: Batch,
    usage: TargetUsage,
}

/// What the stages hand on: items whose symbols are still to be read, then sequences.
#[derive(Debug)]
struct Batch {
    items: [Item; BATCH],
    sequences: [Sequence; BATCH],
    literals: [u8; BATCH_LITERALS + copy::SLACK],
}

/// A run of literals and the match after it, ready to be copied.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    /// Number of literals, at most [`BATCH_LITERALS`].
    literals: u32,
    /// Length of the match; 0 for none.
    length: u32,
    source: Source,
}

/// Where the bytes of a match come from: 1 up to the position of the match back.
#[derive(Debug, Clone, Copy)]
struct Source {
    distance: u32,
    /// 0 for an LZ match. Otherwise differences from `distance` back are added to what lies `span`
    /// back, and both together stay within the output.
    span: u32,
}

impl Sequence {
    const NONE: Self = Self { literals: 0, length: 0, source: Source { distance: 1, span: 0 } };
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Makes a decoder for chunks of any size.
    #[must_use]
    pub fn new() -> Self {
        Self {
            symbols: Symbols::new(),
            batch: Batch {
                items: [Item { literals: 0, then: Match::None }; BATCH],
                sequences: [Sequence::NONE; BATCH],
                literals: [0; BATCH_LITERALS + copy::SLACK],
            },
            usage: TargetUsage::new(),
        }
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
        self.symbols.reset(dst.len());
        let mut recent = Recent::START;
        let mut decisions = Decisions::START;
        let mut range = RangeDecoder::new(src);
        let mut bits = BackwardBits::new(src);
        let mut at = 0;
        while at < dst.len() {
            let items = self.batch.plan(&mut decisions, &mut range);
            let window = Window { at, size: dst.len() };
            let sequences =
                self.symbols.read(items, &mut self.batch, window, &mut recent, &mut bits)?;
            at = self.batch.write(sequences, dst, at);
        }
        x86::undo(dst, &mut self.usage);
        Ok(())
    }
}

/// Position in the output.
#[derive(Debug, Clone, Copy)]
struct Window {
    at: usize,
    size: usize,
}

impl Batch {
    /// Decodes decisions until the batch is full; returns the number of items.
    #[inline(never)]
    fn plan(&mut self, decisions: &mut Decisions, range: &mut RangeDecoder<'_>) -> usize {
        // A copy can live in registers.
        let mut reader = range.clone();
        let mut room = BATCH_LITERALS as u16;
        let mut count = 0;
        for item in &mut self.items {
            *item = decisions.next_item(room, &mut reader);
            room -= item.literals;
            count += 1;
            if room == 0 {
                break;
            }
        }
        *range = reader;
        count
    }

    /// Writes the first `count` sequences at `at`; returns the position after them.
    #[inline(never)]
    fn write(&self, count: usize, dst: &mut [u8], mut at: usize) -> usize {
        let mut literals = &self.literals[..];
        for sequence in &self.sequences[..count] {
            let (run, length) = (sequence.literals as usize, sequence.length as usize);
            let Source { distance, span } = sequence.source;
            let (distance, span) = (distance as usize, span as usize);
            if dst.len() - at > run + length + copy::SLACK && span == 0 {
                copy::literals_fast(dst, at, literals, run);
                copy::lz_fast(dst, at + run, distance, length);
            } else {
                dst[at..at + run].copy_from_slice(&literals[..run]);
                if span == 0 {
                    copy::lz(dst, at + run, distance, length);
                } else {
                    copy::delta(dst, at + run, span, distance, length);
                }
            }
            at += run + length;
            literals = &literals[run..];
        }
        at
    }
}
