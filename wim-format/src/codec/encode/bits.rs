//! Writes bits into 16-bit little-endian words, the most significant bit of each word first.

/// Bits on their way into a slice. What does not fit is not written.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    /// What is not written yet.
    rest: &'a mut [u8],
    /// Bytes in all.
    room: usize,
    /// Whether something did not fit.
    is_full: bool,
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
        Self { room: dst.len(), rest: dst, is_full: false, buffer: 0, held: 0 }
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
        // Where none are held, what is written means nothing, as behind the last full word.
        let bits = self.buffer.wrapping_shl(64 - self.held);
        let halves = bits.rotate_left(32);
        let low = 0x0000_FFFF_0000_FFFF;
        let bytes = &(halves >> 16 & low | (halves & low) << 16).to_le_bytes();
        let full = (self.held >> 3 & 6) as usize;
        self.held %= 16;
        if let Some(slot) = self.rest.first_chunk_mut::<8>() {
            slot.copy_from_slice(bytes);
            self.rest = &mut std::mem::take(&mut self.rest)[full..];
        } else {
            self.store_last(bytes, full);
        }
    }

    #[cold]
    fn store_last(&mut self, bytes: &[u8], full: usize) {
        let rest = std::mem::take(&mut self.rest);
        rest.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
        let fits = full.min(rest.len());
        self.is_full |= fits < full;
        self.rest = &mut rest[fits..];
    }

    /// Fills the last word with zeros and gives the number of bytes, if they all fit.
    pub(crate) fn finish(mut self) -> Option<usize> {
        self.flush();
        let last = if self.held > 0 { 2 } else { 0 };
        let fits = !self.is_full && last <= self.rest.len();
        fits.then(|| self.room - self.rest.len() + last)
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
