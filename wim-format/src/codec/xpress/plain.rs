//! The plain XPRESS decoder: one symbol, one copy at a time.

use super::{LITERALS, LONG_LENGTH, MIN_MATCH, SYMBOLS, TABLE_LEN};
use crate::DecodeError;
use crate::codec::bits::BitReader;
use crate::codec::huffman::Empty;
use crate::codec::naive::Code;

#[derive(Debug)]
pub(super) struct Plain {
    code: Code,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self { code: Code::default() }
    }

    /// Decodes one chunk.
    pub(super) fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        let table = src.first_chunk::<TABLE_LEN>().ok_or(DecodeError::Truncated)?;
        let lengths: [u8; SYMBOLS] =
            std::array::from_fn(|symbol| table[symbol / 2] >> (4 * (symbol % 2)) & 15);
        self.code.build(&lengths, Empty::Refused)?;
        let mut bits = BitReader::new(src, TABLE_LEN);
        let mut at = 0;
        while at < dst.len() {
            let symbol = self.code.read(&mut bits)?;
            // Length bytes lie behind the words that are in by now, so this load is due even
            // where no bit is wanted from it.
            bits.ensure(16);
            let Some(symbol) = usize::from(symbol).checked_sub(LITERALS) else {
                dst[at] = symbol as u8;
                at += 1;
                continue;
            };
            let length = read_length(&mut bits, symbol % 16);
            let offset_bits = (symbol / 16) as u32;
            let offset = (1 << offset_bits) + bits.take(offset_bits) as usize;
            let from = at.checked_sub(offset).ok_or(DecodeError::OffsetBeforeStart)?;
            if length > dst.len() - at {
                return Err(DecodeError::Overrun);
            }
            for i in 0..length {
                dst[at + i] = dst[from + i];
            }
            at += length;
        }
        Ok(())
    }
}

/// The length of a match, given its part in the symbol.
fn read_length(bits: &mut BitReader<'_>, nibble: usize) -> usize {
    let mut length = nibble;
    if nibble == LONG_LENGTH {
        let byte = bits.take_byte();
        length += usize::from(byte);
        if byte == 0xFF {
            length = usize::from(u16::from_le_bytes([bits.take_byte(), bits.take_byte()]));
        }
    }
    length + MIN_MATCH
}
