//! The backward bit stream of an LZMS chunk: symbols and raw bits.
//!
//! The format takes 16-bit little-endian words from the end of the chunk towards its start and
//! spends each from its most significant bit. That is the same as one long little-endian number
//! whose top bits come first, and the chunk's bytes in their order are that number. A piece of it
//! at a time is in a window, behind zeros that stand for what follows past the start of the chunk:
//!
//! ```text
//! bytes   0 0 0 … 0 | part of the chunk, read from its end
//!         └ reach ┘                      ↑ position
//! ```
//!
//! A position is 16 bits, so the next bits are one load that needs no check.

use super::slots::Entry;
use crate::codec::window::Number;

/// Bits of the table index that is ready for the next symbol.
pub(super) const INDEX_BITS: u32 = 10;
/// Bits that may be read between two refills.
pub(super) const REACH_BITS: usize = 8 * REACH;

/// Bytes of the same.
const REACH: usize = 2720;
/// Number of the lowest bit taken from the chunk.
const BOTTOM: u16 = 8 * REACH as u16;
/// Bytes before the number, which loads of its lowest bytes include.
const MARGIN: usize = 7;
/// Bytes of the chunk that are taken in at once.
const CAPACITY: usize = size_of::<Number>() - MARGIN - REACH;

/// The part of the stream that is being read.
#[derive(Debug)]
pub(super) struct BackwardBits {
    bytes: Number,
    /// Number of the next bit to read; one less than [`BOTTOM`] when all has been read.
    position: u16,
    /// Bytes of the chunk that have not been taken in.
    left: usize,
}

impl BackwardBits {
    pub(super) fn new() -> Self {
        Self { bytes: [0; size_of::<Number>()], position: BOTTOM - 1, left: 0 }
    }

    /// Starts a chunk of `size` bytes; needs a refill.
    pub(super) fn start(&mut self, size: usize) {
        (self.position, self.left) = (BOTTOM - 1, size);
    }

    /// Makes sure of the next [`REACH_BITS`] of `src`, the chunk, or of its start and zeros.
    pub(super) fn refill(&mut self, src: &[u8]) {
        // Zeros have been read that are none of the chunk's: more of them follow.
        self.position = self.position.max(BOTTOM - 1);
        let unread = usize::from(self.position - (BOTTOM - 1));
        if unread >= REACH_BITS || self.left == 0 {
            return;
        }
        // A byte that is partly read, and those not read, are taken in again.
        let again = unread.div_ceil(8);
        let end = self.left + again;
        let start = end.saturating_sub(CAPACITY);
        let taken = &src[start..end];
        self.bytes[MARGIN + REACH..][..taken.len()].copy_from_slice(taken);
        self.left = start;
        self.position = (8 * (REACH + taken.len()) - 1 - (8 * again - unread)) as u16;
    }

    /// A reader for the next bits; afterwards [`set_position`](Self::set_position).
    #[inline(always)]
    pub(super) fn reader(&self) -> Reader<'_> {
        let mut reader = Reader { bytes: &self.bytes, position: self.position, word: 0, index: 0 };
        reader.load();
        reader.index = reader.next_16() as usize >> (16 - INDEX_BITS);
        reader
    }

    #[inline(always)]
    pub(super) fn set_position(&mut self, position: u16) {
        self.position = position;
    }
}

/// Reads symbols, at most [`REACH_BITS`] in all.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a Number,
    pub(super) position: u16,
    /// Bits around the next one, which is bit 56 + `position` % 8; those above have been read.
    word: u64,
    /// The next [`INDEX_BITS`] bits: so looking up a symbol need not wait for `word`.
    index: usize,
}

impl Reader<'_> {
    #[inline(always)]
    fn load(&mut self) {
        let at = usize::from(self.position >> 3);
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        self.word = u64::from_le_bytes(word);
    }

    /// The next [`INDEX_BITS`] bits.
    #[inline(always)]
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The next 16 bits.
    #[inline(always)]
    pub(super) fn next_16(&self) -> u32 {
        (self.word << (!self.position & 7) >> 48) as u32
    }

    /// Takes a codeword, which is that of `entry`, and its extra bits; gives bits that end with the
    /// latter.
    #[inline(always)]
    pub(super) fn take(&mut self, entry: Entry) -> u32 {
        let shifted = entry.shift_out(self.word, self.position & 7);
        self.index = shifted as usize & ((1 << INDEX_BITS) - 1);
        self.position = entry.advance(self.position);
        self.load();
        (shifted >> INDEX_BITS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::lzms::slots::Slot;
    use proptest::prelude::*;

    proptest! {
        /// The same bits as reading words from the end, each from its top, with zeros after.
        #[test]
        fn equals_reading_words_backwards(
            words in proptest::collection::vec(any::<u16>(), 0..12_000),
            takes in proptest::collection::vec((1..=15_u32, 0..=30_u32), 0..3000),
        ) {
            let src: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut naive = words
                .iter()
                .rev()
                .flat_map(|word| (0..16).rev().map(move |bit| u64::from(word >> bit & 1)))
                .chain(std::iter::repeat(0));
            let mut bits = BackwardBits::new();
            bits.start(src.len());
            for (codeword, extra) in takes {
                bits.refill(&src);
                let mut reader = bits.reader();
                let mut next = |count| naive.by_ref().take(count).fold(0, |v, b| v << 1 | b);
                let expected = next(codeword as usize);
                prop_assert_eq!(u64::from(reader.next_16() >> (16 - codeword)), expected);
                let slot = Slot::new(0, extra, 5);
                let taken = reader.take(slot.with_length(codeword as u16));
                prop_assert_eq!(u64::from(slot.value(taken)), 5 + next(extra as usize));
                bits.set_position(reader.position);
            }
        }
    }
}
