//! Matches as LZX codes them: an offset slot and the bits it leaves open.

use super::super::tables::{
    EXTRA_BITS, FIRST_WIDE_SLOT, LENGTH_HEADERS, LITERALS, LONG_HEADER, MAX_EXTRA_BITS, MIN_MATCH,
    OFFSET_BASE, RECENT_SLOTS,
};
use crate::codec::encode::text::{Far, Reach};

/// Longest match.
pub(super) const MAX_MATCH: usize = 257;

/// A match; what lies between it and the one before are literals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Match {
    /// Where it starts in the chunk.
    pub(super) at: u32,
    /// The offset less the base of its slot.
    pub(super) extra: u32,
    /// 2 to 257 bytes.
    pub(super) length: u16,
    /// Its symbol of the main code.
    pub(super) main: u16,
}

impl Match {
    /// The first position behind it.
    pub(super) fn end(&self) -> usize {
        self.at as usize + usize::from(self.length)
    }

    /// The offset slot.
    #[inline(always)]
    pub(super) fn slot(&self) -> usize {
        usize::from(self.main).wrapping_sub(LITERALS) / LENGTH_HEADERS
    }

    /// Its symbol of the length code, and whether it has one.
    #[inline(always)]
    pub(super) fn length_symbol(&self) -> (usize, bool) {
        let symbol = usize::from(self.length).saturating_sub(MIN_MATCH + LONG_HEADER);
        (symbol, usize::from(self.length) >= MIN_MATCH + LONG_HEADER)
    }
}

/// Number of bits that a slot leaves open.
#[inline(always)]
pub(super) fn extra_bits(slot: usize) -> u32 {
    u32::from(EXTRA_BITS[slot])
}

/// The slot of an offset that is not one of the recent.
#[inline(always)]
pub(super) fn slot_of<R: Reach>(offset: usize) -> usize {
    let value = offset as u32 + 2;
    let wide = (value >> MAX_EXTRA_BITS) as usize;
    // No offset of a small chunk reaches that far.
    if R::SIZE >= 2 << MAX_EXTRA_BITS && wide >= 2 {
        return FIRST_WIDE_SLOT - 2 + wide;
    }
    let order = value.ilog2();
    (2 * order + (value >> (order - 1) & 1)) as usize
}

/// Bits of an offset: the largest window is 2^21 bytes.
const OFFSET_BITS: u32 = 21;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// The three recent offsets, the latest in the lowest bits, so that they are stored and loaded at
/// once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recent(u64);

impl Recent {
    /// Those at the start of a chunk.
    pub(super) const START: Self = Self(1 | 1 << OFFSET_BITS | 1 << (2 * OFFSET_BITS));

    /// All three.
    #[inline(always)]
    pub(super) fn all(self) -> [u32; RECENT_SLOTS] {
        [0, 1, 2].map(|place| (self.0 >> (place * OFFSET_BITS) & OFFSET_MASK) as u32)
    }

    /// The one at `place`.
    #[inline(always)]
    pub(super) fn at(self, place: usize) -> u32 {
        (self.0 >> (place as u32 * OFFSET_BITS) & OFFSET_MASK) as u32
    }

    /// Makes the one at `place` the latest, which trades places with it.
    #[inline(always)]
    fn swap(&mut self, place: usize) {
        let shift = place as u32 * OFFSET_BITS;
        let difference = (self.0 ^ self.0 >> shift) & OFFSET_MASK;
        self.0 ^= difference | difference << shift;
    }

    /// Makes `offset` the latest, and gives its place if it was one of the recent.
    #[inline(always)]
    pub(super) fn take(&mut self, offset: u32) -> Option<usize> {
        let [first, second, third] = self.all();
        if (offset == first) | (offset == second) | (offset == third) {
            let place = if offset == first { 0 } else { 1 + usize::from(offset != second) };
            self.swap(place);
            return Some(place);
        }
        let all = (1 << (3 * OFFSET_BITS)) - 1;
        self.0 = (self.0 << OFFSET_BITS & all) | u64::from(offset);
        None
    }

    /// The match of `length` bytes at `at` from `offset` bytes back, which becomes the latest.
    #[inline(always)]
    pub(super) fn code(&mut self, at: usize, length: usize, offset: usize) -> Match {
        let (slot, extra) = match self.take(offset as u32) {
            Some(slot) => (slot, 0),
            None => {
                let slot = slot_of::<Far>(offset);
                (slot, offset as u32 - OFFSET_BASE[slot])
            }
        };
        let header = (length - MIN_MATCH).min(LONG_HEADER);
        let main = (LITERALS + LENGTH_HEADERS * slot + header) as u16;
        Match { at: at as u32, extra, length: length as u16, main }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::lzx::tables::MAX_SLOTS;

    #[test]
    fn an_offset_that_is_recent_twice_is_the_later_one() {
        let mut recent = Recent::START;
        assert_eq!(recent.take(5), None);
        assert_eq!(recent.all(), [5, 1, 1]);
        assert_eq!(recent.take(1), Some(1));
        assert_eq!(recent.all(), [1, 5, 1]);
        assert_eq!((recent.take(1), recent.all()), (Some(0), [1, 5, 1]));
        assert_eq!(recent.take((1 << 21) - 1), None);
        assert_eq!((recent.take(5), recent.all()), (Some(2), [5, 1, (1 << 21) - 1]));
    }

    #[test]
    fn slots_agree_with_the_tables() {
        for slot in RECENT_SLOTS..MAX_SLOTS {
            let base = OFFSET_BASE[slot] as usize;
            assert_eq!(slot_of::<Far>(base), slot);
            assert_eq!(slot_of::<Far>(base + (1 << EXTRA_BITS[slot]) - 1), slot);
        }
    }
}
