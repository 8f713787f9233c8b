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
    /// The last `held` bits, at most 16 after a flush.
    buffer: u64,
    held: u32,
}

impl<'a> Writer<'a> {
    /// Starts at byte `at` of `dst`.
    pub(super) fn new(dst: &'a mut [u8], at: usize) -> Self {
        Self { dst, current: at, next: at + 2, at: at + 4, buffer: 0, held: 0 }
    }

    /// Writes the lowest `count` bits of `bits`, all others of which are zero; at most 32.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// Like [`put`](Self::put), where `flush` follows before more than 47 bits are added.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.held += count;
    }

    /// Flushes if `count` bits more might not fit. Seldom.
    #[inline(always)]
    pub(super) fn make_room(&mut self, count: u32) {
        if self.held + count > 63 {
            self.flush();
        }
    }

    /// Stores all full words, but one that is full to the brim. No branch depends on how many there
    /// are, which is hard to guess: those behind them are written, too, and written again later.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        let bits = self.buffer << 1 << (63 - self.held);
        let words = self.held.saturating_sub(1) / 16;
        self.held -= 16 * words;
        let forward = 2 * words as usize;
        let end = self.current + 8;
        if self.at == self.current + 4 && end <= self.dst.len() {
            // No bytes lie between the words.
            let halves = bits.rotate_left(32);
            let low = 0x0000_FFFF_0000_FFFF;
            let words = halves >> 16 & low | (halves & low) << 16;
            self.dst[self.current..end].copy_from_slice(&words.to_le_bytes());
            self.current += forward;
            self.next += forward;
            self.at += forward;
        } else {
            self.flush_around_bytes(bits, forward);
        }
    }

    #[inline(always)]
    fn flush_around_bytes(&mut self, bits: u64, forward: usize) {
        let (current, next, at) = (self.current, self.next, self.at);
        self.store(current, (bits >> 48) as u16);
        self.store(next, (bits >> 32) as u16);
        self.store(at, (bits >> 16) as u16);
        (self.current, self.next) = match forward {
            0 => (current, next),
            2 => (next, at),
            _ => (at + forward - 4, at + forward - 2),
        };
        self.at = at + forward;
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
        self.store(self.current, (self.buffer << 16 >> self.held) as u16);
        self.store(self.next, 0);
        (self.at <= self.dst.len()).then_some(self.at)
    }
}
