//! The bit order that XPRESS and LZX share.
//!
//! Input is a row of 16-bit little-endian words; bits are taken from the most significant end of
//! each word. Past its end the input goes on as zeros, for ever: wimlib reads it so, and a decoder
//! that knows how much it has to write cannot run away on them.
//!
//! ```text
//! bytes   2A 8C | C0 9E | ..        words  8C2A | 9EC0 | ..
//! bits    1000110000101010 1001111011000000 ..
//! ```

/// Reads bits from a row of 16-bit words, and bytes from between the words.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    src: &'a [u8],
    /// Bytes of `src` taken into `buffer`; beyond its end it counts the zeros read.
    position: usize,
    /// Unread bits, the next one on top; below the `held` bits all is zero.
    buffer: u64,
    held: u32,
}

impl<'a> BitReader<'a> {
    /// Starts at byte `position` of `src`.
    pub(crate) fn new(src: &'a [u8], position: usize) -> Self {
        Self { src, position, buffer: 0, held: 0 }
    }

    fn next_byte(&mut self) -> u8 {
        let byte = self.src.get(self.position).copied().unwrap_or(0);
        self.position = self.position.saturating_add(1);
        byte
    }

    fn next_word(&mut self) -> u16 {
        u16::from_le_bytes([self.next_byte(), self.next_byte()])
    }

    /// Takes words in while fewer than `bits` (at most 32) are held, so never more than needed.
    pub(crate) fn ensure(&mut self, bits: u32) {
        debug_assert!(bits <= 32);
        while self.held < bits {
            self.buffer |= u64::from(self.next_word()) << (48 - self.held);
            self.held += 16;
        }
    }

    /// The next 16 bits, without taking them.
    pub(crate) fn peek16(&mut self) -> u16 {
        self.ensure(16);
        (self.buffer >> 48) as u16
    }

    /// Drops `count` of the bits that a previous call made sure are held.
    pub(crate) fn consume(&mut self, count: u32) {
        debug_assert!(count <= self.held);
        self.buffer <<= count;
        self.held -= count;
    }

    /// The next `count` (0 to 32) bits as a number, first bit most significant.
    pub(crate) fn take(&mut self, count: u32) -> u32 {
        self.ensure(count);
        let value = (u64::from((self.buffer >> 32) as u32) >> (32 - count)) as u32;
        self.consume(count);
        value
    }

    /// The next byte of the input beyond the words taken in so far.
    pub(crate) fn take_byte(&mut self) -> u8 {
        self.next_byte()
    }

    /// Drops the rest of the current word, or a whole word where one has just been finished, and
    /// gives the input that follows.
    pub(crate) fn align_to_word(&mut self) {
        self.ensure(1);
        self.position -= (self.held as usize - 1) / 16 * 2;
        self.buffer = 0;
        self.held = 0;
    }

    /// Takes `len` bytes of the input beyond the words taken in so far; `None` where it ends first.
    pub(crate) fn take_bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.src.get(self.position..)?.get(..len)?;
        self.position += len;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_little_endian_and_bits_come_from_the_top() {
        let mut bits = BitReader::new(&[0x2A, 0x8C, 0xC0, 0x9E, 0xFF], 0);
        assert_eq!(bits.take(3), 0b100);
        assert_eq!(bits.take(0), 0);
        assert_eq!(bits.take(15), 0b011_0000_1010_1010);
        assert_eq!(bits.take_byte(), 0xFF);
        assert_eq!(bits.take(14), 0b01_1110_1100_0000);
        assert_eq!(bits.take(32), 0, "zeros follow the end");
    }

    #[test]
    fn aligning_on_a_boundary_drops_a_whole_word() {
        let src = [1, 0, 2, 0, 3, 0, 4, 0];
        let mut bits = BitReader::new(&src, 0);
        bits.take(16);
        bits.align_to_word();
        assert_eq!(bits.take_bytes(1), Some(&src[4..5]));
        let mut bits = BitReader::new(&src, 0);
        bits.take(4);
        bits.ensure(32);
        bits.align_to_word();
        assert_eq!(bits.take_bytes(6), Some(&src[2..]));
        assert_eq!(bits.take_bytes(1), None);
    }
}
