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
    literals: [u8; BATCH_LITERALS],
}

/// A run of literals and the match after it, ready to be copied.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    literals: u32,
    length: u32,
    copy: Copy,
}

/// Where the bytes of a match come from.
#[derive(Debug, Clone, Copy)]
enum Copy {
    /// From `distance` back.
    Lz { distance: u32 },
    /// Differences from `distance` back, added to what lies `span` back.
    Delta { span: u32, distance: u32 },
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
                sequences: [Sequence { literals: 0, length: 0, copy: Copy::Lz { distance: 1 } };
                    BATCH],
                literals: [0; BATCH_LITERALS],
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
    fn plan(&mut self, decisions: &mut Decisions, range: &mut RangeDecoder<'_>) -> usize {
        let mut room = BATCH_LITERALS as u32;
        for (count, item) in (1..).zip(&mut self.items) {
            *item = decisions.next_item(room, range);
            room -= item.literals;
            if room == 0 {
                return count;
            }
        }
        BATCH
    }

    /// Writes the first `count` sequences at `at`; returns the position after them.
    fn write(&self, count: usize, dst: &mut [u8], mut at: usize) -> usize {
        let mut literals = &self.literals[..];
        for sequence in &self.sequences[..count] {
            let (run, rest) = literals.split_at(sequence.literals as usize);
            literals = rest;
            dst[at..at + run.len()].copy_from_slice(run);
            at += run.len();
            let length = sequence.length as usize;
            match sequence.copy {
                Copy::Lz { distance } => copy::lz(dst, at, distance as usize, length),
                Copy::Delta { span, distance } => {
                    copy::delta(dst, at, span as usize, distance as usize, length);
                }
            }
            at += length;
        }
        at
    }
}
