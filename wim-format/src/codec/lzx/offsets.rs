//! From records of match symbols to lengths and offsets, all of a batch at once.

use super::chunk::Stream;
use super::codes::HIGH_BIT;
use super::tables::{
    ALIGNED_BITS, FIRST_ALIGNED_SLOT, FIRST_WIDE_SLOT, LENGTH_HEADERS, MAX_EXTRA_BITS, MIN_MATCH,
    RECENT_SLOTS,
};
use crate::codec::cpu::Stage;
use crate::codec::sequences::ROUNDS;

/// Works out the matches of a batch. Its loops become vectors, so they use arithmetic where the
/// tables of [`super::tables`] would need a load for each match.
pub(super) struct Resolve<'a, const ALIGNED: bool, const WIDE: bool> {
    pub(super) stream: &'a mut Stream,
}

impl<const ALIGNED: bool, const WIDE: bool> Stage for Resolve<'_, ALIGNED, WIDE> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Stream { records, sequences, .. } = self.stream;
        let count = sequences.matches.min(ROUNDS);
        let symbols = &records.symbol[..count];
        let highs = &records.high[..count];
        let symbol = |i: usize| {
            let high = if WIDE { u32::from(highs[i] & HIGH_BIT) << 2 } else { 0 };
            u32::from(symbols[i]) | high
        };

        let length_symbols = &records.length[..count];
        let lengths = &mut sequences.lengths[..count];
        for i in 0..count {
            let header = symbol(i) % LENGTH_HEADERS as u32;
            lengths[i] = header + MIN_MATCH as u32 + u32::from(length_symbols[i] >> 8);
        }

        let sources = &mut sequences.sources[..count];
        for i in 0..count {
            sources[i] = (symbol(i) as u8 / LENGTH_HEADERS as u8).min(RECENT_SLOTS as u8);
            if WIDE && highs[i] & HIGH_BIT != 0 {
                sources[i] = RECENT_SLOTS as u8;
            }
        }

        let raws = &records.raw[..count];
        let aligned = &records.aligned[..count];
        let offsets = &mut sequences.offsets[..count];
        for i in 0..count {
            let slot = symbol(i) / LENGTH_HEADERS as u32;
            let (base, extra) = base_and_extra::<WIDE>(slot);
            let offset = if ALIGNED {
                let coded = u32::from(slot >= FIRST_ALIGNED_SLOT as u32);
                let high = take((raws[i] >> 32) as u32, extra - ALIGNED_BITS * coded);
                (high << (ALIGNED_BITS * coded)) + u32::from(aligned[i]) * coded
            } else {
                take((raws[i] >> 32) as u32, extra)
            };
            offsets[i] = base.wrapping_add(offset);
        }
    }
}

/// The first `count` (0 to 31) of `bits` as a number.
#[inline(always)]
fn take(bits: u32, count: u32) -> u32 {
    bits >> 1 >> (31 - count)
}

/// The smallest offset of a slot and the number of its extra bits. The slots of recent offsets have
/// no base that would mean anything.
#[inline(always)]
fn base_and_extra<const WIDE: bool>(slot: u32) -> (u32, u32) {
    let mut extra = (slot / 2).max(1) - 1;
    let mut multiple = 2 + slot % 2;
    if WIDE {
        extra = extra.min(MAX_EXTRA_BITS);
        multiple = multiple.max((slot + 2).saturating_sub(FIRST_WIDE_SLOT as u32));
    }
    ((multiple << extra).wrapping_sub(2), extra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::lzx::tables::{EXTRA_BITS, MAX_SLOTS, OFFSET_BASE};

    #[test]
    fn arithmetic_agrees_with_the_tables() {
        for slot in RECENT_SLOTS..MAX_SLOTS {
            let expected = (OFFSET_BASE[slot], u32::from(EXTRA_BITS[slot]));
            assert_eq!(base_and_extra::<true>(slot as u32), expected, "slot {slot}");
            if slot < 32 {
                assert_eq!(base_and_extra::<false>(slot as u32), expected, "slot {slot}");
            }
        }
        for slot in 0..RECENT_SLOTS {
            assert_eq!(base_and_extra::<true>(slot as u32).1, 0);
        }
    }
}
