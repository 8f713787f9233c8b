//! The backward bit stream of an LZMS chunk: symbols and raw bits.
//!
//! The format takes 16-bit little-endian words from the end of the chunk towards its start and
//! spends each from its most significant bit. That is the same as taking *bytes* from the end
//! towards the start, so the last eight bytes read as one little-endian `u64` are the next 64
//! bits in order, and a refill is one load, one shift and one `or`. Past the start of the chunk
//! the stream goes on with zeros.

/// Bits that [`BackwardBits::refill`] guarantees.
pub(super) const REFILLED: u32 = 56;

/// Reader of the backward stream.
#[derive(Debug, Clone)]
pub(super) struct BackwardBits<'a> {
    /// Bytes not yet in `buffer` as whole bytes; consumed from the end.
    rest: &'a [u8],
    /// The next bits, the first in the most significant position.
    buffer: u64,
    /// Its low six bits say how many of `buffer`'s bits count as held. Below them lie zeros or the
    /// true next bits, which the next refill writes again. Its other bits mean nothing.
    held: u32,
}

impl<'a> BackwardBits<'a> {
    /// Starts at the last byte of `src`, refilled.
    pub(super) fn new(src: &'a [u8]) -> Self {
        let mut bits = Self { rest: src, buffer: 0, held: 0 };
        bits.refill();
        bits
    }

    /// Makes at least [`REFILLED`] bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        // At most 7, so what is left after a whole word needs no check.
        let taken = (63 - (self.held & 63) as usize) / 8;
        let word = if let Some(word) = self.rest.last_chunk() {
            self.rest = &self.rest[..self.rest.len() - taken];
            u64::from_le_bytes(*word)
        } else {
            let word = last_bytes(self.rest);
            self.rest = &self.rest[..self.rest.len().saturating_sub(taken)];
            word
        };
        self.buffer |= word >> (self.held & 63);
        self.held |= REFILLED;
    }

    /// The bits to come, the next in the most significant position.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.buffer
    }

    /// Drops as many bits as the low six bits of `count` say; since the last refill at most
    /// [`REFILLED`] in all.
    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        debug_assert!(count & 63 <= self.held & 63);
        self.buffer <<= count & 63;
        self.held = self.held.wrapping_sub(count);
    }

    /// Takes `count` bits, at most 32, as a number.
    #[cfg(test)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = (self.buffer >> 1) >> (!count & 63);
        self.consume(count);
        value as u32
    }
}

/// The fewer than eight bytes left, followed by zeros.
#[cold]
#[inline(never)]
fn last_bytes(rest: &[u8]) -> u64 {
    rest.iter().fold(0, |word, &byte| word >> 8 | u64::from(byte) << 56)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same bits as reading words from the end, each from its top, with zeros after.
        #[test]
        fn equals_reading_words_backwards(
            words: Vec<u16>,
            takes in proptest::collection::vec(0..=32_u32, 0..200),
        ) {
            let src: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut naive = words
                .iter()
                .rev()
                .flat_map(|word| (0..16).rev().map(move |bit| u32::from(word >> bit & 1)))
                .chain(std::iter::repeat(0));
            let mut bits = BackwardBits::new(&src);
            for count in takes {
                bits.refill();
                let expected = naive.by_ref().take(count as usize).fold(0_u64, |v, b| v << 1 | u64::from(b));
                prop_assert_eq!(u64::from(bits.take(count)), expected);
            }
        }
    }
}
