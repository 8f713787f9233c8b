//! Alphabets of LZMS. The symbols of offsets and lengths are *slots*: a base value to which some
//! extra raw bits are added. Those of literals and powers are slots of one value, so that one loop
//! reads all kinds.

use super::bits::INDEX_BITS;

/// A slot: its [`Entry`] without a codeword in bits 0 to 15, number of its extra bits in bits 16 to
/// 23, base in bits 32 to 63.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot(u64);

/// What the table of a code says of a codeword: [`SHIFT`] less the number of all its bits, codeword
/// and extra, in bits 0 to 5, symbol in bits 6 to 15. Being small, the tables of all codes fit the
/// nearest cache, and little is written when a code is rebuilt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry(u16);

/// How far a word whose bit 56 comes next is shifted down to leave [`INDEX_BITS`] of those to come.
const SHIFT: u32 = 57 - INDEX_BITS;

impl Slot {
    pub(super) const fn new(symbol: usize, extra_bits: u32, base: u32) -> Self {
        let entry = symbol << 6 | (SHIFT - extra_bits) as usize;
        Self((base as u64) << 32 | (extra_bits as u64) << 16 | entry as u64)
    }

    /// Smallest value of the slot.
    #[inline(always)]
    pub(super) const fn base(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Number of raw bits, 0 to 30, that follow the symbol and are added to the base.
    #[inline(always)]
    pub(super) const fn extra_bits(self) -> u32 {
        (self.0 >> 16) as u32 & 0xFF
    }

    /// The entry of its symbol with a codeword of `length` bits, at most 15.
    #[inline(always)]
    pub(super) const fn with_length(self, length: u16) -> Entry {
        Entry(self.0 as u16 - length)
    }

    /// The value, out of bits that end with the extra bits.
    #[inline(always)]
    pub(super) fn value(self, bits: u32) -> u32 {
        self.base() + (bits & !(u32::MAX << (self.extra_bits() & 31)))
    }

    /// The symbol's number.
    #[inline(always)]
    pub(super) const fn symbol(self) -> usize {
        Entry(self.0 as u16).symbol()
    }
}

impl Entry {
    /// Stands for codewords that the table has no entry for, since they are too long.
    pub(super) const MISSING: Self = Self(0);

    /// Shifts a word down, whose bit 56 + `above` comes next, so that there are no bits left behind
    /// those of the slot but [`INDEX_BITS`]. What the word has above stays there.
    #[inline(always)]
    pub(super) fn shift_out(self, word: u64, above: u16) -> u64 {
        word >> (self.0.wrapping_add(above) & 63)
    }

    /// The position after the slot's bits.
    #[inline(always)]
    pub(super) fn advance(self, position: u16) -> u16 {
        position.wrapping_add(self.0 & 63).wrapping_sub(SHIFT as u16)
    }

    /// The symbol's number, below 1024.
    #[inline(always)]
    pub(super) const fn symbol(self) -> usize {
        (self.0 >> 6) as usize
    }
}

/// Powers that a delta match can have.
pub(super) const POWERS: usize = 8;

/// All bytes: slots of one value. The powers of delta matches are the first [`POWERS`].
pub(super) static BYTES: [Slot; 256] = {
    let mut bytes = [Slot(0); 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = Slot::new(byte, 0, byte as u32);
        byte += 1;
    }
    bytes
};

/// Slots of LZ offsets and of delta offsets; a chunk uses only as many as its size can need.
pub(super) static OFFSETS: [Slot; 799] = slots([
    (8, 0),
    (9, 2),
    (7, 3),
    (10, 4),
    (15, 5),
    (15, 6),
    (20, 7),
    (20, 8),
    (30, 9),
    (33, 10),
    (40, 11),
    (42, 12),
    (45, 13),
    (60, 14),
    (73, 15),
    (80, 16),
    (85, 17),
    (95, 18),
    (105, 19),
    (6, 20),
    (1, 30),
]);

/// Slots of match lengths.
pub(super) static LENGTHS: [Slot; 54] = slots([
    (26, 0),
    (4, 1),
    (6, 2),
    (4, 3),
    (5, 4),
    (2, 5),
    (1, 6),
    (1, 7),
    (1, 8),
    (1, 9),
    (1, 10),
    (1, 16),
    (1, 30),
]);

/// Slots from runs of `(slots, extra bits)`: each begins where the one before ends, the first at 1.
const fn slots<const N: usize, const RUNS: usize>(runs: [(usize, u32); RUNS]) -> [Slot; N] {
    let mut slots = [Slot(0); N];
    let (mut base, mut symbol, mut run) = (1, 0, 0);
    while run < RUNS {
        let (count, extra_bits) = runs[run];
        let end = symbol + count;
        while symbol < end {
            slots[symbol] = Slot::new(symbol, extra_bits, base);
            base += 1 << extra_bits;
            symbol += 1;
        }
        run += 1;
    }
    assert!(symbol == N, "the runs make up exactly N slots");
    slots
}

/// Number of offset symbols in the codes of a chunk of `size` uncompressed bytes: up to the slot
/// of the largest offset, which is `size - 1`, and at least one.
pub(super) fn offset_symbols(size: usize) -> usize {
    OFFSETS.partition_point(|slot| (slot.base() as usize) < size).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_match_known_values() {
        for (slot, base) in [(0, 1), (8, 9), (16, 41), (17, 45), (24, 101), (34, 261), (49, 741)] {
            assert_eq!(OFFSETS[slot].base(), base);
        }
        assert_eq!(OFFSETS[798].base(), 106_685_605);
        assert_eq!((OFFSETS[798].symbol(), OFFSETS[798].extra_bits()), (798, 30));
        for (slot, base) in [(0, 1), (26, 27), (30, 35), (36, 59), (40, 91), (45, 171), (47, 235)] {
            assert_eq!(LENGTHS[slot].base(), base);
        }
        assert_eq!((LENGTHS[52].base(), LENGTHS[53].base()), (2219, 67755));
    }

    #[test]
    fn alphabets_reach_the_largest_offset() {
        assert_eq!([0, 1, 2, 3, 365].map(offset_symbols), [1, 1, 1, 2, 38]);
        assert_eq!(offset_symbols(1 << 30), OFFSETS.len());
    }
}
