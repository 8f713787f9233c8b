//! Writes bits into words, with bytes between the words.
//!
//! A decoder has taken in between 16 and 31 bits when it reads the bytes of a length, so two words
//! are always open: the one being filled and the one after it.

/// Bits and bytes on their way into a slice. What does not fit is counted, not written.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    dst: &'a mut [u8],
    /// Where the word being filled goes.
    current: usize,
    /// Where the word after it goes.
    next: usize,
    /// Where bytes go, and after them the third word.
    at: usize,
    /// The last `held` bits, at most 16 between calls.
    buffer: u32,
    held: u32,
}

impl<'a> Writer<'a> {
    /// Starts at byte `at` of `dst`.
    pub(super) fn new(dst: &'a mut [u8], at: usize) -> Self {
        Self { dst, current: at, next: at + 2, at: at + 4, buffer: 0, held: 0 }
    }

    /// Writes the lowest `count` bits of `bits`, all others of which are zero; at most 16.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | bits;
        self.held += count;
        if self.held > 16 {
            self.held -= 16;
            self.store(self.current, (self.buffer >> self.held) as u16);
            self.current = self.next;
            self.next = self.at;
            self.at += 2;
        }
    }

    /// Writes a byte behind the open words.
    pub(super) fn put_byte(&mut self, byte: u8) {
        if let Some(slot) = self.dst.get_mut(self.at) {
            *slot = byte;
        }
        self.at += 1;
    }

    #[inline(always)]
    fn store(&mut self, at: usize, word: u16) {
        if let Some(slot) = self.dst.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
            *slot = word.to_le_bytes();
        }
    }

    /// Fills both open words with zeros and gives the end of the output, if it all fits.
    pub(super) fn finish(mut self) -> Option<usize> {
        self.store(self.current, (u64::from(self.buffer) << 16 >> self.held) as u16);
        self.store(self.next, 0);
        (self.at <= self.dst.len()).then_some(self.at)
    }
}
