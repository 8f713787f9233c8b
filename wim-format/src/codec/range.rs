//! The adaptive binary range decoder that carries the decisions of an LZMS chunk.
//!
//! The stream is a sequence of 16-bit little-endian words read forwards; words past the end are
//! zeros. Each decision is coded with the probability of an entry of its own, which is nothing but
//! the share of zeros among the last 64 decisions made with that entry.

/// Decisions an entry remembers; a probability is counted in this many parts.
const HISTORY_BITS: u32 = u64::BITS;

/// Adaptive probability: the last 64 decisions, the newest in bit 0, and how many were 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probability {
    history: u64,
    zeros: u32,
}

impl Probability {
    /// State at the start of a chunk: 48 of the 64 remembered decisions are 0.
    pub(crate) const INITIAL: Self = {
        let history = 0x5555_5555_u64;
        Self { history, zeros: history.count_zeros() }
    };

    /// Probability of a 0 in 64ths; certainty is never claimed.
    #[inline(always)]
    fn of_zero(self) -> u32 {
        self.zeros.clamp(1, HISTORY_BITS - 1)
    }

    #[inline(always)]
    fn learn(&mut self, bit: u32) {
        let forgotten = (self.history >> (HISTORY_BITS - 1)) as u32;
        self.zeros = self.zeros + forgotten - bit;
        self.history = self.history << 1 | u64::from(bit);
    }
}

/// Range decoder over one chunk.
#[derive(Debug, Clone)]
pub(crate) struct RangeDecoder<'a> {
    words: std::slice::Iter<'a, [u8; 2]>,
    range: u32,
    code: u32,
}

impl<'a> RangeDecoder<'a> {
    /// Starts at the first word of `src`.
    pub(crate) fn new(src: &'a [u8]) -> Self {
        let words = src.as_chunks().0.iter();
        let mut decoder = Self { words, range: u32::MAX, code: 0 };
        let high = decoder.next_word();
        decoder.code = high << 16 | decoder.next_word();
        decoder
    }

    #[inline(always)]
    fn next_word(&mut self) -> u32 {
        self.words.next().map_or(0, |&word| u16::from_le_bytes(word).into())
    }

    /// Decodes one decision, whether it is 1, and teaches it to `entry`.
    ///
    /// `range` stays at least 2^10: it is above 2^16 when it is split, and the smaller part of a
    /// split is 1/64. `code` may be as large as it likes in a corrupt stream.
    #[inline(always)]
    pub(crate) fn decide(&mut self, entry: &mut Probability) -> bool {
        if self.range <= 0xFFFF {
            self.range <<= 16;
            self.code = self.code << 16 | self.next_word();
        }
        let bound = (self.range >> 6) * entry.of_zero();
        if self.code < bound {
            self.range = bound;
            entry.learn(0);
            false
        } else {
            self.range -= bound;
            self.code -= bound;
            entry.learn(1);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The running count of zeros always equals the count over the remembered decisions.
        #[test]
        fn zeros_follow_the_history(bits in proptest::collection::vec(0..2_u32, 0..300)) {
            let mut entry = Probability::INITIAL;
            for bit in bits {
                entry.learn(bit);
                prop_assert_eq!(entry.zeros, entry.history.count_zeros());
            }
        }

        #[test]
        fn arbitrary_words_keep_the_range_alive(src: Vec<u8>) {
            let mut decoder = RangeDecoder::new(&src);
            let mut entries = [Probability::INITIAL; 2];
            let mut context = 0;
            for _ in 0..2000 {
                context = usize::from(decoder.decide(&mut entries[context]));
                prop_assert!(decoder.range >= 1 << 10);
            }
        }
    }

    #[test]
    fn missing_words_are_zeros() {
        let mut decoder = RangeDecoder::new(&[]);
        let mut entry = Probability::INITIAL;
        assert!((0..1000).all(|_| !decoder.decide(&mut entry)));
    }
}
