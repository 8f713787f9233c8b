//! Slots of LZMS offsets and lengths: a symbol stands for a base value plus some extra raw bits.

/// Number of offset slots; a chunk uses only as many as its size can need.
pub(super) const OFFSET_SLOTS: usize = 799;
/// Number of length slots.
pub(super) const LENGTH_SLOTS: usize = 54;

/// How many offset slots have each number of extra bits: `(slots, extra bits)`, in order.
const OFFSET_RUNS: [(usize, u8); 21] = [
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
];

/// How many length slots have each number of extra bits: `(slots, extra bits)`, in order.
const LENGTH_RUNS: [(usize, u8); 13] = [
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
];

/// A value's slots: each base, and the number of raw bits added to it.
#[derive(Debug)]
pub(super) struct Slots<const N: usize> {
    /// Smallest value of each slot, ascending from 1.
    pub(super) bases: [u32; N],
    /// Raw bits that follow the symbol of each slot, 0 to 30.
    pub(super) extra_bits: [u8; N],
}

impl<const N: usize> Slots<N> {
    const fn new<const RUNS: usize>(runs: [(usize, u8); RUNS]) -> Self {
        let mut slots = Self { bases: [0; N], extra_bits: [0; N] };
        let (mut base, mut slot, mut run) = (1_u32, 0, 0);
        while run < RUNS {
            let (count, extra) = runs[run];
            let end = slot + count;
            while slot < end {
                slots.bases[slot] = base;
                slots.extra_bits[slot] = extra;
                base += 1 << extra;
                slot += 1;
            }
            run += 1;
        }
        assert!(slot == N, "the runs make up exactly N slots");
        slots
    }
}

/// Slots of LZ offsets and of delta offsets.
pub(super) static OFFSETS: Slots<OFFSET_SLOTS> = Slots::new(OFFSET_RUNS);
/// Slots of match lengths.
pub(super) static LENGTHS: Slots<LENGTH_SLOTS> = Slots::new(LENGTH_RUNS);

/// Number of offset symbols in the codes of a chunk of `size` uncompressed bytes: up to the slot
/// of the largest offset, which is `size - 1`, and at least one.
pub(super) fn offset_symbols(size: usize) -> usize {
    OFFSETS.bases.partition_point(|&base| (base as usize) < size).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_match_known_values() {
        for (slot, base) in [(0, 1), (8, 9), (16, 41), (17, 45), (24, 101), (34, 261), (49, 741)] {
            assert_eq!(OFFSETS.bases[slot], base);
        }
        assert_eq!(OFFSETS.bases[798], 106_685_605);
        for (slot, base) in [(0, 1), (26, 27), (30, 35), (36, 59), (40, 91), (45, 171), (47, 235)] {
            assert_eq!(LENGTHS.bases[slot], base);
        }
        assert_eq!((LENGTHS.bases[52], LENGTHS.bases[53]), (2219, 67755));
    }

    #[test]
    fn alphabets_reach_the_largest_offset() {
        assert_eq!([0, 1, 2, 3, 365].map(offset_symbols), [1, 1, 1, 2, 38]);
        assert_eq!(offset_symbols(1 << 30), OFFSET_SLOTS);
    }
}
