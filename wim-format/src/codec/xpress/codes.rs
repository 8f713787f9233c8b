//! The code of a chunk, and the table in which the symbol loop looks it up.

use super::{LITERALS, LONG_LENGTH, SYMBOLS, TABLE_LEN};
use crate::DecodeError;
use crate::codec::huffman::{Canonical, Empty, FILL};

/// Bits by which the table is indexed; longer codewords are found by comparison.
pub(super) const TABLE_BITS: usize = 11;

/// What the table says of a prefix. The fields of an entry are bytes so that each is one load.
///
/// | byte | literal | match | match with length bytes | not in the table |
/// |---|---|---|---|---|
/// | 0 | the literal | symbol − 256 | symbol − 256 | 0 |
/// | 1 | codeword length | 0 | 0 | 0 |
/// | 2, bits 0–5 | codeword length | codeword length | codeword length | 0 |
/// | 2, bit 6 | 0 | 1 | 1 | 1 |
/// | 2, bit 7 | 0 | 0 | 1 | 1 |
/// | 3 | codeword length | codeword length + offset bits | 0 | 0 |
pub(super) type Entry = [u8; 4];

/// In byte 2: a match.
pub(super) const IS_MATCH: u8 = 0x40;
/// In byte 2: the symbol loop cannot take this symbol in its stride.
pub(super) const MEND: u8 = 0x80;
/// In byte 2: the length of the codeword.
const LENGTH: u8 = 0x3F;

/// The code of the current chunk.
#[derive(Debug)]
pub(super) struct Codes {
    /// By the next bits: what symbol they start with.
    pub(super) main: [Entry; (1 << TABLE_BITS) + FILL],
    code: Canonical<SYMBOLS>,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self { main: [[0; 4]; (1 << TABLE_BITS) + FILL], code: Canonical::new() }
    }

    /// Reads the code that a chunk starts with and makes the table.
    #[inline(always)]
    pub(super) fn read(&mut self, src: &[u8]) -> Result<(), DecodeError> {
        let table = src.first_chunk::<TABLE_LEN>().ok_or(DecodeError::Truncated)?;
        let mut lengths = [0; SYMBOLS];
        for (pair, byte) in lengths.chunks_exact_mut(2).zip(table) {
            pair.copy_from_slice(&[byte & 15, byte >> 4]);
        }
        self.code.build(&lengths, Empty::Refused)?;
        let not_here = [0, 0, IS_MATCH | MEND, 0];
        self.code.fill::<TABLE_BITS, _, _>(&mut self.main, not_here, entry);
        Ok(())
    }

    /// The symbol that `bits` start with and the length of its codeword.
    pub(super) fn symbol(&self, bits: u64) -> (u16, u32) {
        let [low, _, kind, _] = self.main[(bits >> (64 - TABLE_BITS)) as usize];
        if kind & LENGTH != 0 {
            let match_symbol = if kind & IS_MATCH != 0 { LITERALS as u16 } else { 0 };
            return (u16::from(low) + match_symbol, u32::from(kind & LENGTH));
        }
        // The code is complete, so there is a symbol for all bits.
        self.code.decode((bits >> 48) as u16).unwrap_or_default()
    }
}

/// The entry of `symbol` with a codeword of `length` bits.
#[inline(always)]
fn entry(symbol: u16, length: usize) -> Entry {
    let length = length as u8;
    let low = symbol as u8;
    if usize::from(symbol) < LITERALS {
        [low, length, length, length]
    } else if low % 16 == LONG_LENGTH as u8 {
        [low, 0, length | IS_MATCH | MEND, 0]
    } else {
        [low, 0, length | IS_MATCH, length + low / 16]
    }
}
