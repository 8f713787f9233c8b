//! The two streams of a chunk on their way into one buffer, from its two ends.

/// Zeros between the streams: 7-Zip calls some chunks without them damaged.
const SPARE: usize = 2;

/// Room for 16-bit words, filled from both ends. Words that do not fit are dropped, and remembered to
/// have been.
#[derive(Debug)]
pub(super) struct Output<'a> {
    dst: &'a mut [u8],
    /// Where the next word of the forward stream goes, and behind the next one of the backward stream.
    front: usize,
    back: usize,
    is_full: bool,
}

impl<'a> Output<'a> {
    /// Of `dst`, as many bytes as make whole words are used.
    pub(super) fn new(dst: &'a mut [u8]) -> Self {
        let back = dst.len() & !1;
        Self { dst, front: 0, back, is_full: false }
    }

    /// Whether there was not room for all words.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The room between the streams, if it is enough for a word.
    fn gap(&mut self) -> Option<&mut [u8]> {
        let gap = &mut self.dst[self.front..self.back];
        self.is_full |= gap.len() < 2;
        Some(gap).filter(|gap| gap.len() >= 2)
    }

    /// Appends a word to the forward stream.
    pub(super) fn put_front(&mut self, word: u16) {
        if let Some(slot) = self.gap().and_then(<[u8]>::first_chunk_mut) {
            *slot = word.to_le_bytes();
            self.front += 2;
        }
    }

    /// Puts a word before those of the backward stream.
    pub(super) fn put_back(&mut self, word: u16) {
        if let Some(slot) = self.gap().and_then(<[u8]>::last_chunk_mut) {
            *slot = word.to_le_bytes();
            self.back -= 2;
        }
    }

    /// Closes the gap between the streams down to [`SPARE`], or `least` bytes in all, and gives the length; nothing
    /// if something did not fit.
    pub(super) fn finish(self, least: usize) -> Option<usize> {
        let Self { dst, front, back, is_full } = self;
        let end = dst.len() & !1;
        let len = (front + end - back + SPARE).max(least);
        if is_full || len > end {
            return None;
        }
        let to = len - (end - back);
        dst.copy_within(back..end, to);
        dst[front..to].fill(0);
        Some(len)
    }
}

/// Bits of the backward stream: whole words, each spent from its most significant bit.
#[derive(Debug, Default)]
pub(super) struct Bits {
    /// The last `held` bits, fewer than 16 between calls.
    buffer: u64,
    held: u32,
}

impl Bits {
    /// Writes the lowest `count` bits of `bits`, all others of which are zero; at most 32.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32, output: &mut Output<'_>) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.held += count;
        while self.held >= 16 {
            self.held -= 16;
            output.put_back((self.buffer >> self.held) as u16);
        }
    }

    /// Writes what is held, with zeros behind it.
    pub(super) fn finish(mut self, output: &mut Output<'_>) {
        let padding = self.held.wrapping_neg() % 16;
        self.put(0, padding, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_meet_and_are_refused_beyond() {
        for room in 0..12 {
            let mut dst = vec![0xAA; room];
            let mut output = Output::new(&mut dst);
            output.put_front(0x0201);
            let mut bits = Bits::default();
            bits.put(0x60504, 20, &mut output);
            bits.finish(&mut output);
            assert_eq!(output.is_full(), room < 6);
            let len = output.finish(8);
            assert_eq!(len, (room >= 8).then_some(8), "{room}");
            if let Some(len) = len {
                assert_eq!(dst[..len], [1, 2, 0, 0, 0, 0x40, 0x50, 0x60]);
            }
        }
    }
}
