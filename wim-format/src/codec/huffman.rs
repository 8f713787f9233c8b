//! Canonical prefix codes: shorter codewords come first, equal lengths in the order of symbols.

use crate::DecodeError;

/// The longest codeword of any code here (LZX main and length codes).
pub(crate) const MAX_LENGTH: usize = 16;

/// What a code with codewords missing means to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    /// A code without any codeword may be declared, as long as no symbol of it is read.
    Allowed,
    /// Every code must be complete.
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
}

impl<const SYMBOLS: usize> Canonical<SYMBOLS> {
    pub(crate) const fn new() -> Self {
        Self { sorted: [0; SYMBOLS], limit: [0; MAX_LENGTH + 1], offset: [0; MAX_LENGTH + 1] }
    }

    /// Makes this the code whose symbols have codewords of `lengths` bits (0 = not used).
    ///
    /// # Errors
    /// [`DecodeError::BadCode`] when the code is over-full, or incomplete and not `empty`.
    pub(crate) fn build(&mut self, lengths: &[u8], empty: Empty) -> Result<(), DecodeError> {
        let mut count = [0u32; MAX_LENGTH + 1];
        for &length in lengths {
            *count.get_mut(usize::from(length)).ok_or(DecodeError::BadCode)? += 1;
        }
        count[0] = 0;
        let mut rank = [0u32; MAX_LENGTH + 2];
        let mut code = 0u32;
        for length in 1..=MAX_LENGTH {
            code <<= 1;
            self.offset[length] = rank[length].wrapping_sub(code);
            code += count[length];
            if code > 1 << length {
                return Err(DecodeError::BadCode);
            }
            rank[length + 1] = rank[length] + count[length];
            self.limit[length] = code << (MAX_LENGTH - length);
        }
        let complete = code == 1 << MAX_LENGTH;
        if !complete && (code != 0 || empty == Empty::Refused) {
            return Err(DecodeError::BadCode);
        }
        for (symbol, &length) in lengths.iter().enumerate() {
            if length != 0 {
                let slot = &mut rank[usize::from(length)];
                self.sorted[*slot as usize] = symbol as u16;
                *slot += 1;
            }
        }
        Ok(())
    }

    /// The symbol whose codeword starts `prefix`, and the codeword's length; `None` where there is
    /// no such codeword, which only the empty code knows.
    pub(crate) fn decode(&self, prefix: u16) -> Option<(u16, u32)> {
        let prefix = u32::from(prefix);
        let length = (1..=MAX_LENGTH).find(|&length| prefix < self.limit[length])?;
        let rank = (prefix >> (MAX_LENGTH - length)).wrapping_add(self.offset[length]);
        Some((*self.sorted.get(rank as usize)?, length as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codewords_follow_length_then_symbol() {
        let mut code = Canonical::<5>::new();
        code.build(&[3, 0, 2, 3, 1], Empty::Refused).unwrap();
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
        assert_eq!(code.build(&[17, 0, 0, 0], Empty::Allowed), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[0; 4], Empty::Refused), Err(DecodeError::BadCode));
        assert_eq!(code.build(&[0; 4], Empty::Allowed), Ok(()));
        assert_eq!(code.decode(0), None);
        assert_eq!(code.build(&[2, 2, 2, 2], Empty::Refused), Ok(()));
    }

    #[test]
    fn the_longest_codewords_are_found() {
        let mut lengths = [0u8; 17];
        for (symbol, length) in lengths.iter_mut().enumerate() {
            *length = (symbol as u8 + 1).min(16);
        }
        let mut code = Canonical::<17>::new();
        code.build(&lengths, Empty::Refused).unwrap();
        assert_eq!(code.decode(0xFFFE), Some((15, 16)));
        assert_eq!(code.decode(0xFFFF), Some((16, 16)));
        assert_eq!(code.decode(0x7FFF), Some((0, 1)));
    }
}
