//! The counterpart of [`RangeDecoder`](crate::codec::range::RangeDecoder).

use super::output::Output;

/// Range encoder of one chunk.
#[derive(Debug)]
pub(super) struct RangeEncoder {
    /// Lower end of the range: 32 bits and one that may have been carried into.
    low: u64,
    range: u32,
    /// The word before `low`, and how many words of ones between the two: a carry changes all.
    held: Option<u16>,
    ones: u32,
}

impl RangeEncoder {
    pub(super) const START: Self = Self { low: 0, range: u32::MAX, held: None, ones: 0 };

    /// Encodes a decision whose probability to be 0 is `of_zero`, 1 to 63 64ths.
    #[inline(always)]
    pub(super) fn put(&mut self, of_zero: u32, bit: bool, output: &mut Output<'_>) {
        if self.range <= 0xFFFF {
            self.range <<= 16;
            self.shift(output);
        }
        let bound = (self.range >> 6) * of_zero;
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
    }

    /// Moves the top word of `low` out, or holds it back while a carry may still change it.
    fn shift(&mut self, output: &mut Output<'_>) {
        let top = (self.low >> 16) as u32;
        if top == 0xFFFF {
            self.ones += 1;
        } else {
            let carry = (top >> 16) as u16;
            if let Some(held) = self.held {
                output.put_front(held.wrapping_add(carry));
            }
            for _ in 0..std::mem::take(&mut self.ones) {
                output.put_front(0xFFFF_u16.wrapping_add(carry));
            }
            self.held = Some(top as u16);
        }
        self.low = (self.low & 0xFFFF) << 16;
    }

    /// Writes all that is held.
    pub(super) fn finish(mut self, output: &mut Output<'_>) {
        for _ in 0..3 {
            self.shift(output);
        }
    }
}
