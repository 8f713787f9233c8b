//! The adaptive binary range decoder that carries the decisions of an LZMS chunk, and the probabilities
//! that it shares with the encoder.
//!
//! The stream is a sequence of 16-bit little-endian words read forwards; words past the end are
//! zeros. Each decision is coded with the probability of an entry of its own, which is nothing but
//! the share of zeros among the last 64 decisions made with that entry.

/// `N` adaptive probabilities (a power of two). Histories and shares lie apart, so that a number is
/// all that is needed to find either.
#[derive(Debug)]
pub(crate) struct Probabilities<const N: usize> {
    /// The last 64 decisions made with each, as the complement of each, the newest in bit 0.
    histories: [u64; N],
    /// The number of ones in the history, which is the probability of a 0 in 64ths; certainty is
    /// never claimed. Counted as soon as the history changes: whoever waits for the next decision,
    /// after a wrong guess of the processor, then has not to wait for the count.
    of_zero: [u32; N],
}

impl<const N: usize> Probabilities<N> {
    /// State at the start of a chunk: 48 of the 64 remembered decisions are 0.
    pub(crate) const INITIAL: Self = Self { histories: [!0x5555_5555; N], of_zero: [48; N] };

    /// The probability of a 0 with number `at`, in 64ths: 1 to 63.
    #[inline(always)]
    pub(crate) fn of_zero(&self, at: usize) -> u32 {
        self.of_zero[at & (N - 1)]
    }

    /// Number `at` has seen a decision.
    #[inline(always)]
    pub(crate) fn note(&mut self, at: usize, bit: bool) {
        // One load in place of four instructions to compare and choose.
        const CLAMPED: [u8; 65] = {
            let mut clamped = [1; 65];
            let mut ones = 2;
            while ones < 65 {
                clamped[ones] = if ones < 64 { ones as u8 } else { 63 };
                ones += 1;
            }
            clamped
        };
        let history = self.histories[at] << 1 | u64::from(!bit);
        self.histories[at] = history;
        self.of_zero[at] = CLAMPED[history.count_ones() as usize].into();
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

    /// Decodes one decision, whether it is 1, with number `context` % `N` of the probabilities, and
    /// teaches it to that.
    ///
    /// `range` stays at least 2^10: it is above 2^16 when it is split, and the smaller part of a
    /// split is 1/64. `code` may be as large as it likes in a corrupt stream.
    #[inline(always)]
    pub(crate) fn decide<const N: usize>(
        &mut self,
        probabilities: &mut Probabilities<N>,
        context: usize,
    ) -> bool {
        const { assert!(N.is_power_of_two()) };
        if self.range <= 0xFFFF {
            self.range <<= 16;
            self.code = self.code << 16 | self.next_word();
        }
        let at = context & (N - 1);
        let bound = (self.range >> 6) * probabilities.of_zero[at];
        if self.code < bound {
            self.range = bound;
            probabilities.note(at, false);
            false
        } else {
            self.range -= bound;
            self.code -= bound;
            probabilities.note(at, true);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_words_keep_the_range_alive(src: Vec<u8>) {
            let mut decoder = RangeDecoder::new(&src);
            let mut probabilities = Probabilities::<2>::INITIAL;
            let mut context = 0;
            for _ in 0..2000 {
                context = usize::from(decoder.decide(&mut probabilities, context));
                prop_assert!(decoder.range >= 1 << 10);
            }
        }
    }

    #[test]
    fn missing_words_are_zeros() {
        let mut decoder = RangeDecoder::new(&[]);
        let mut probabilities = Probabilities::<1>::INITIAL;
        assert!((0..1000).all(|_| !decoder.decide(&mut probabilities, 0)));
    }
}
