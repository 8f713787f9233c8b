//! XPRESS streams with Huffman codes.

use super::{Token, codewords, lengths_for};

/// Lengths of matches that XPRESS has.
pub const MATCH_LENGTHS: std::ops::RangeInclusive<usize> = 3..=65538;

/// A chunk in the making, after its table of code lengths.
///
/// Words are written where a decoder will look for them: it always holds one word more than the one
/// that it reads from, so two places are kept open, and bytes go behind both.
#[derive(Debug, Clone)]
pub struct XpressWriter {
    bytes: Vec<u8>,
    /// Where the words go that are not full yet.
    open: [usize; 2],
    word: u32,
    held: u32,
}

impl XpressWriter {
    /// Starts with the table of `lengths` for 512 symbols.
    #[must_use]
    pub fn new(lengths: &[u8]) -> Self {
        let mut bytes: Vec<u8> = lengths.chunks(2).map(|two| two[0] | two[1] << 4).collect();
        let open = [bytes.len(), bytes.len() + 2];
        bytes.extend([0; 4]);
        Self { bytes, open, word: 0, held: 0 }
    }

    /// Writes the lowest `count` (up to 16) bits of `value`, the highest of them first.
    pub fn put(&mut self, value: u64, count: u32) {
        for bit in (0..count).rev() {
            // A word is written when the next one begins, not when it is full.
            if self.held == 16 {
                self.write_word();
                self.open = [self.open[1], self.bytes.len()];
                self.bytes.extend([0; 2]);
                (self.word, self.held) = (0, 0);
            }
            self.word = self.word << 1 | (value >> bit & 1) as u32;
            self.held += 1;
        }
    }

    fn write_word(&mut self) {
        let word = (self.word << (16 - self.held)) as u16;
        self.bytes[self.open[0]..self.open[0] + 2].copy_from_slice(&word.to_le_bytes());
    }

    /// Writes bytes between the words.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The chunk.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.write_word();
        self.bytes
    }
}

/// The symbol of a token, and of a match its offset bits and length bytes.
fn symbol(token: Token) -> (usize, (u64, u32), Vec<u8>) {
    match token {
        Token::Literal(byte) => (byte.into(), (0, 0), Vec::new()),
        Token::Match { length, offset } => {
            let bits = offset.ilog2();
            let rest = length - 3;
            let bytes = match rest {
                0..15 => Vec::new(),
                15..270 => vec![(rest - 15) as u8],
                _ => vec![0xFF, rest as u8, (rest >> 8) as u8],
            };
            let symbol = 256 + 16 * bits as usize + rest.min(15);
            (symbol, ((offset - (1 << bits)) as u64, bits), bytes)
        }
    }
}

/// Writes a chunk with a code made for its tokens, and the end symbol that decoders of Microsoft
/// look for.
#[must_use]
pub fn write(tokens: &[Token]) -> Vec<u8> {
    let mut frequencies = vec![0; 512];
    tokens.iter().for_each(|&token| frequencies[symbol(token).0] += 1);
    frequencies[256] += 1;
    let lengths = lengths_for(&frequencies, 15);
    let codes = codewords(&lengths);
    let mut writer = XpressWriter::new(&lengths);
    for &token in tokens {
        let (symbol, offset, bytes) = symbol(token);
        writer.put(codes[symbol], lengths[symbol].into());
        writer.put_bytes(&bytes);
        writer.put(offset.0, offset.1);
    }
    writer.put(codes[256], lengths[256].into());
    writer.finish()
}

/// Compresses a chunk.
#[must_use]
pub fn compress(chunk: &[u8]) -> Vec<u8> {
    write(&super::parse(chunk, MATCH_LENGTHS))
}
