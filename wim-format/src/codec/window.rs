//! A window on the input in which the next bits are one unaligned load away.
//!
//! The input is a row of 16-bit little-endian words, most significant bit first. With the words in
//! reverse order it is one long little-endian number whose top bits come first, so eight bytes
//! from anywhere in it are the next bits in order, and a position in it is a bit number that counts
//! down. A piece of the input at a time is laid out like this:
//!
//! ```text
//! bytes   0 0 0 … 0 | last word taken in … next word | words read …
//!         └ reach ┘                            ↑ position
//! ```
//!
//! The zeros below stand for what follows the input: past its end it goes on as zeros. A reader may
//! take [`REACH`] bytes between two calls of [`Window::refill`] and need not look at the end.

/// Bytes that may be read between two refills.
pub(crate) const REACH: usize = 2048;

/// Bytes of the number: as many as 16-bit bit numbers can address.
const BYTES: usize = 1 << 13;
/// Bit number of the lowest bit taken from the input.
const BOTTOM: u16 = 8 * REACH as u16;
/// Bytes of input that are taken in at once.
const CAPACITY: usize = BYTES - REACH;

/// The number, behind seven bytes that loads of its lowest bytes include.
pub(crate) type Number = [u8; 7 + BYTES];

/// The part of the input that is being read.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: Number,
    /// Number of the next bit to read; one less than `BOTTOM` when all has been read.
    position: u16,
    /// Bytes of the input before the ones to take in next.
    taken: usize,
}

/// The next bits of `bytes` from bit `position` down, at least 57 of them, first bit on top.
#[inline(always)]
pub(crate) fn peek(bytes: &Number, position: u16, seven: u16) -> u64 {
    let at = usize::from(position >> 3);
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word) << (!position & seven)
}

/// Writes the 16-bit words of `from` to `to`, last word first.
fn reverse_words(from: &[u8], to: &mut [u8]) {
    let (fours, rest) = from.as_chunks::<8>();
    let (last, first) = to.split_at_mut(rest.len());
    for (to, from) in first.as_chunks_mut().0.iter_mut().rev().zip(fours) {
        *to = words(from).to_le_bytes();
    }
    let last = last.rchunks_exact_mut(2);
    last.zip(rest.chunks_exact(2)).for_each(|(to, from)| to.copy_from_slice(from));
}

/// Four words as a number, the first on top.
#[inline(always)]
pub(crate) fn words(bytes: &[u8; 8]) -> u64 {
    let pairs = u64::from_le_bytes(*bytes).rotate_left(32);
    (pairs & 0x0000_FFFF_0000_FFFF) << 16 | pairs >> 16 & 0x0000_FFFF_0000_FFFF
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 7 + BYTES], position: BOTTOM - 1, taken: 0 }
    }

    /// Starts to read at byte `at` of the input; needs a refill.
    pub(crate) fn seek(&mut self, at: usize) {
        self.position = BOTTOM - 1;
        self.taken = at;
    }

    /// Makes sure of the next `REACH` bytes of `src`, the input, or of its end and zeros.
    pub(crate) fn refill(&mut self, src: &[u8]) {
        // Zeros have been read that are none of the input's: more of them follow.
        self.position = self.position.max(BOTTOM - 1);
        let left = usize::from(self.position - (BOTTOM - 1));
        if left >= 8 * REACH || self.taken >= src.len() {
            return;
        }
        // The word that is partly read, and those not read, are taken in again.
        let again = left.div_ceil(16) * 2;
        self.taken -= again;
        let rest = &src[self.taken..];
        let words = rest.len().min(CAPACITY) / 2;
        let odd = words < CAPACITY / 2 && rest.len() % 2 == 1;
        let start = 7 + REACH;
        let mut end = start;
        if odd {
            self.bytes[start..start + 2].copy_from_slice(&[rest[2 * words], 0]);
            end += 2;
        }
        end += 2 * words;
        reverse_words(&rest[..2 * words], &mut self.bytes[end - 2 * words..end]);
        self.taken += end - start;
        let read = again * 8 - left;
        self.position = (8 * (end - 7) - 1 - read) as u16;
    }

    /// The number and the place in it, to read with [`peek`]; afterwards [`set_position`].
    ///
    /// [`set_position`]: Self::set_position
    pub(crate) fn parts(&self) -> (&Number, u16) {
        (&self.bytes, self.position)
    }

    /// Goes on reading at bit `position`.
    pub(crate) fn set_position(&mut self, position: u16) {
        self.position = position;
    }

    /// At least the next 57 bits, without taking them.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        peek(&self.bytes, self.position, 7)
    }

    /// Drops `count` bits.
    #[inline(always)]
    pub(crate) fn consume(&mut self, count: u32) {
        self.position = self.position.wrapping_sub(count as u16);
    }

    /// The next `count` (0 to 32) bits as a number, first bit most significant.
    pub(crate) fn take(&mut self, count: u32) -> u32 {
        let value = (self.peek() >> 32 >> (32 - count)) as u32;
        self.consume(count);
        value
    }

    /// The byte of the input at which the next whole word starts. Where a word has just been
    /// finished that is one word further on. Beyond the input's end it is no byte of the input.
    pub(crate) fn next_word(&self) -> usize {
        let left = usize::from(self.position.max(BOTTOM - 1) - (BOTTOM - 1));
        (8 * self.taken - left) / 16 * 2 + 2
    }
}
