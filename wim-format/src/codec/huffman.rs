//! Canonical prefix codes: shorter codewords come first, equal lengths in the order of symbols.

use crate::DecodeError;

/// The longest codeword of any code here (LZX main and length codes).
pub(crate) const MAX_LENGTH: usize = 16;

/// Whether a code without any codeword may be declared, as long as no symbol of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    Allowed,
    Refused,
}

/// A canonical code in the form that is decoded by comparing with the limit of each length.
#[derive(Debug, Clone)]
pub(crate) struct Canonical<const SYMBOLS: usize> {
    /// Symbols by codeword.
    sorted: [u16; SYMBOLS],
    /// For each length the first 16-bit prefix that is beyond its codewords.
    limit: [u32; MAX_LENGTH + 1],
    /// For each length the rank of its first codeword, less that codeword.
    offset: [u32; MAX_LENGTH + 1],
    /// For each length the rank of its first codeword, and at last the number of codewords.
    first: [u16; MAX_LENGTH + 2],
}

/// Symbols are counted and sorted in four parts at once: one by one, each would wait for the store
/// of the one before, as most lengths occur in a row.
const PARTS: usize = 4;
/// Room for a count of every length, in a number that needs no bounds checks.
const COUNTS: usize = 32;

impl<const SYMBOLS: usize> Canonical<SYMBOLS> {
    pub(crate) const fn new() -> Self {
        Self {
            sorted: [0; SYMBOLS],
            limit: [0; MAX_LENGTH + 1],
            offset: [0; MAX_LENGTH + 1],
            first: [0; MAX_LENGTH + 2],
        }
    }

    /// Makes this the code whose symbols have codewords of `lengths` bits (at most 16; 0 = not
    /// used). Their number is a multiple of four and at most `SYMBOLS`.
    ///
    /// # Errors
    /// [`DecodeError::BadCode`] when the code is over-full, or incomplete and not `empty`.
    pub(crate) fn build(&mut self, lengths: &[u8], empty: Empty) -> Result<(), DecodeError> {
        debug_assert!(lengths.len().is_multiple_of(PARTS) && lengths.len() <= SYMBOLS);
        let part = lengths.len() / PARTS;
        let parts: [&[u8]; PARTS] = std::array::from_fn(|p| &lengths[p * part..(p + 1) * part]);
        let mut ranks = [[0u16; COUNTS]; PARTS];
        for i in 0..part {
            for (ranks, lengths) in ranks.iter_mut().zip(parts) {
                ranks[usize::from(lengths[i]) % COUNTS] += 1;
            }
        }
        let mut code = 0u32;
        let mut rank = 0u16;
        for length in 1..=MAX_LENGTH {
            code <<= 1;
            self.first[length] = rank;
            self.offset[length] = u32::from(rank).wrapping_sub(code);
            for ranks in &mut ranks {
                let count = ranks[length];
                ranks[length] = rank;
                rank += count;
            }
            code += u32::from(rank - self.first[length]);
            if code > 1 << length {
                return Err(DecodeError::BadCode);
            }
            self.limit[length] = code << (MAX_LENGTH - length);
        }
        self.first[MAX_LENGTH + 1] = rank;
        let complete = code == 1 << MAX_LENGTH;
        if !complete && (code != 0 || empty == Empty::Refused) {
            return Err(DecodeError::BadCode);
        }
        // Symbols that are not used go where one that is will follow, or nothing is looked for.
        ranks.iter_mut().for_each(|ranks| ranks[0] = rank);
        for i in 0..part {
            for (p, (ranks, lengths)) in ranks.iter_mut().zip(parts).enumerate() {
                let length = usize::from(lengths[i]) % COUNTS;
                if let Some(slot) = self.sorted.get_mut(usize::from(ranks[length])) {
                    *slot = (p * part + i) as u16;
                }
                ranks[length] += u16::from(length != 0);
            }
        }
        Ok(())
    }

    /// The symbols whose codewords have `length` bits, in order.
    fn of_length(&self, length: usize) -> &[u16] {
        &self.sorted[usize::from(self.first[length])..usize::from(self.first[length + 1])]
    }

    /// Fills `table`, which is indexed by the next `BITS` bits, with the entries of the symbols
    /// whose codewords are no longer than that, and for all others with `long`.
    #[inline(always)]
    pub(crate) fn fill<const BITS: usize, const SIZE: usize, E: Copy>(
        &self,
        table: &mut [E; SIZE],
        long: E,
        mut entry: impl FnMut(u16, usize) -> E,
    ) {
        const { assert!(SIZE == (1 << BITS) + FILL) }
        let mut at = 0;
        for length in 1..=BITS {
            let count = 1 << (BITS - length);
            for &symbol in self.of_length(length) {
                let entry = entry(symbol, length);
                // Whole vectors: what is too much is overwritten by the entries that follow.
                for start in (at..at + count).step_by(FILL) {
                    table[start..start + FILL].copy_from_slice(&[entry; FILL]);
                }
                at += count;
            }
        }
        table[at..1 << BITS].fill(long);
    }

    /// The symbol whose codeword starts `prefix`, and the codeword's length; `None` where there is
    /// no such codeword, which only the empty code knows.
    pub(crate) fn decode(&self, prefix: u16) -> Option<(u16, u32)> {
        let prefix = u32::from(prefix);
        // Counting takes no branch that could be guessed wrongly.
        let beyond = self.limit[1..MAX_LENGTH].iter().map(|&limit| u32::from(prefix >= limit));
        let length = 1 + beyond.sum::<u32>() as usize;
        if prefix >= self.limit[length] {
            return None;
        }
        let rank = (prefix >> (MAX_LENGTH - length)).wrapping_add(self.offset[length]);
        Some((*self.sorted.get(rank as usize)?, length as u32))
    }
}

/// Entries that tables filled by [`Canonical::fill`] have beyond those that are looked up.
pub(crate) const FILL: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codewords_follow_length_then_symbol() {
        let mut code = Canonical::<8>::new();
        code.build(&[3, 0, 2, 3, 1, 0, 0, 0], Empty::Refused).unwrap();
        assert_eq!(code.decode(0b0111_1111_1111_1111), Some((4, 1)));
        assert_eq!(code.decode(0b1000_0000_0000_0000), Some((2, 2)));
        assert_eq!(code.decode(0b1101_1111_1111_1111), Some((0, 3)));
        assert_eq!(code.decode(0b1111_1111_1111_1111), Some((3, 3)));
    }

    #[test]
    fn only_complete_codes_and_the_empty_one_are_taken() {
        let mut code = Canonical::<4>::new();
        assert_eq!(code.build(&[1, 1, 1, 0], Empty::Allowed), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[1, 2, 0, 0], Empty::Allowed), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[1, 0, 0, 0], Empty::Allowed), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[0; 4], Empty::Refused), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[0; 4], Empty::Allowed), Ok(()));
        assert_eq!(code.decode(0), None);
        assert_eq!(code.build(&[2, 2, 2, 2], Empty::Refused), Ok(()));
    }

    #[test]
    fn the_longest_codewords_are_found() {
        let mut lengths = [0u8; 20];
        for (symbol, length) in lengths[..17].iter_mut().enumerate() {
            *length = (symbol as u8 + 1).min(16);
        }
        let mut code = Canonical::<20>::new();
        code.build(&lengths, Empty::Refused).unwrap();
        assert_eq!(code.decode(0xFFFE), Some((15, 16)));
        assert_eq!(code.decode(0xFFFF), Some((16, 16)));
        assert_eq!(code.decode(0x7FFF), Some((0, 1)));
    }

    #[test]
    fn tables_agree_with_the_code() {
        let mut lengths = [0u8; 20];
        for (symbol, length) in lengths[3..20].iter_mut().enumerate() {
            *length = (symbol as u8 + 1).min(16);
        }
        let mut code = Canonical::<20>::new();
        code.build(&lengths, Empty::Refused).unwrap();
        let mut table = [(9, 9); (1 << 5) + FILL];
        code.fill::<5, _, _>(&mut table, (99, 0), |symbol, length| (symbol, length as u32));
        for (index, &entry) in table[..32].iter().enumerate() {
            let decoded = code.decode((index as u16) << 11);
            let expected = decoded.filter(|&(_, length)| length <= 5).unwrap_or((99, 0));
            assert_eq!(entry, expected, "{index:05b}");
        }
    }
}
