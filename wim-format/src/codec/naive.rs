//! Prefix codes as the book has them, for the plain decoders that the fast ones are tested against.

use super::bits::BitReader;
use super::huffman::Empty;
use crate::DecodeError;

/// A canonical code.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Length, codeword and symbol of each codeword, in order.
    codewords: Vec<(u32, u32, u16)>,
}

impl Code {
    /// Makes this the code whose symbols have codewords of `lengths` bits (0 = not used).
    pub(super) fn build(&mut self, lengths: &[u8], empty: Empty) -> Result<(), DecodeError> {
        self.codewords.clear();
        let mut next = 0;
        for length in 1..=16u8 {
            next <<= 1;
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, own)| **own == length) {
                self.codewords.push((length.into(), next, symbol as u16));
                next += 1;
            }
        }
        let complete = next == 1 << 16;
        let sum: u64 = self.codewords.iter().map(|&(length, _, _)| 1 << (16 - length)).sum();
        let fine =
            (complete && sum == 1 << 16) || (self.codewords.is_empty() && empty == Empty::Allowed);
        if fine { Ok(()) } else { Err(DecodeError::BadCode) }
    }

    /// Reads a symbol.
    pub(super) fn read(&self, bits: &mut BitReader<'_>) -> Result<u16, DecodeError> {
        let prefix = u32::from(bits.peek16());
        let starts =
            |&&(length, codeword, _): &&(u32, u32, u16)| prefix >> (16 - length) == codeword;
        let &(length, _, symbol) =
            self.codewords.iter().find(starts).ok_or(DecodeError::BadCode)?;
        bits.consume(length);
        Ok(symbol)
    }
}
