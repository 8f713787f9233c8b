//! Writes bits into 16-bit little-endian words, the most significant bit of each word first.

/// Bits on their way into a slice. What does not fit is counted, not written.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    dst: &'a mut [u8],
    at: usize,
    /// The last `held` bits, at most [`REST`] after a flush.
    buffer: u64,
    held: u32,
}

/// Bits that a flush may leave.
const REST: u32 = 15;
/// Bits that may be added between flushes.
pub(crate) const ROOM: u32 = 63 - REST;

impl<'a> BitWriter<'a> {
    pub(crate) fn new(dst: &'a mut [u8]) -> Self {
        Self { dst, at: 0, buffer: 0, held: 0 }
    }

    /// Writes the lowest `count` bits of `bits`, all others of which are zero; at most 32.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u32, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// Like [`put`](Self::put), where `flush` follows before more than [`ROOM`] bits are added.
    #[inline(always)]
    pub(crate) fn add(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.held += count;
    }

    /// Flushes if `count` bits more might not fit. Seldom.
    #[inline(always)]
    pub(crate) fn make_room(&mut self, count: u32) {
        if self.held + count > 63 {
            self.flush();
        }
    }

    /// Stores all full words. No branch depends on how many there are, which is hard to guess: what
    /// lies behind them is written, too, and written again by the next flush.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        let bits = self.buffer << 1 << (63 - self.held);
        let halves = bits.rotate_left(32);
        let low = 0x0000_FFFF_0000_FFFF;
        self.store((halves >> 16 & low | (halves & low) << 16).to_le_bytes());
        self.at += (self.held / 16 * 2) as usize;
        self.held %= 16;
    }

    #[inline(always)]
    fn store(&mut self, bytes: [u8; 8]) {
        match self.dst.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut::<8>) {
            Some(slot) => *slot = bytes,
            None => self.store_last(&bytes),
        }
    }

    #[cold]
    fn store_last(&mut self, bytes: &[u8; 8]) {
        let rest = self.dst.get_mut(self.at..).unwrap_or_default();
        rest.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
    }

    /// Fills the last word with zeros and gives the number of bytes, if they all fit.
    pub(crate) fn finish(mut self) -> Option<usize> {
        self.flush();
        self.at += if self.held > 0 { 2 } else { 0 };
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
