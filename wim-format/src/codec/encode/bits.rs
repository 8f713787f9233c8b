//! Writes bits into 16-bit little-endian words, the most significant bit of each word first.

/// Bits on their way into a slice. What does not fit is counted, not written.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    dst: &'a mut [u8],
    at: usize,
    /// The last `held` bits, fewer than 32 between calls.
    buffer: u64,
    held: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(dst: &'a mut [u8]) -> Self {
        Self { dst, at: 0, buffer: 0, held: 0 }
    }

    /// Writes the lowest `count` bits of `bits`, all others of which are zero; at most 32.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.held += count;
        if self.held >= 32 {
            self.held -= 32;
            let words = ((self.buffer >> self.held) as u32).rotate_left(16);
            self.store(words.to_le_bytes());
        }
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(slot) = self.dst.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut::<N>) {
            *slot = bytes;
        }
        self.at += N;
    }

    /// Fills the last word with zeros and gives the number of bytes, if they all fit.
    pub(crate) fn finish(mut self) -> Option<usize> {
        while self.held > 0 {
            let word = (self.buffer << 16 >> self.held) as u16;
            self.store(word.to_le_bytes());
            self.held = self.held.saturating_sub(16);
        }
        (self.at <= self.dst.len()).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::BitReader;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(values in prop::collection::vec((any::<u32>(), 0u32..=32), 0..200)) {
            let cut = |value: u32, count: u32| (u64::from(value) & ((1 << count) - 1)) as u32;
            let mut dst = [0; 1000];
            let mut writer = BitWriter::new(&mut dst);
            values.iter().for_each(|&(value, count)| writer.put(cut(value, count), count));
            let len = writer.finish().unwrap();
            let bits: u32 = values.iter().map(|&(_, count)| count).sum();
            prop_assert_eq!(len, bits.div_ceil(16) as usize * 2);
            let mut reader = BitReader::new(&dst[..len], 0);
            for &(value, count) in &values {
                prop_assert_eq!(reader.take(count), cut(value, count));
            }
            let mut short = vec![0; len.saturating_sub(1)];
            let mut writer = BitWriter::new(&mut short);
            values.iter().for_each(|&(value, count)| writer.put(cut(value, count), count));
            prop_assert_eq!(writer.finish(), (len == 0).then_some(0));
        }
    }
}
