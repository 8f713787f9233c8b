//! Sizes and offset slots of LZX.

/// Symbols of the main code that are literals.
pub(super) const LITERALS: usize = 256;
/// Length headers per offset slot.
pub(super) const LENGTH_HEADERS: usize = 8;
/// The length header that is followed by a symbol of the length code.
pub(super) const LONG_HEADER: usize = 7;
/// Shortest match.
pub(super) const MIN_MATCH: usize = 2;
/// Symbols of the length code.
pub(super) const LENGTH_SYMBOLS: usize = 249;
/// Symbols of the aligned-offset code.
pub(super) const ALIGNED_SYMBOLS: usize = 8;
/// Extra offset bits that a symbol of the aligned-offset code stands for.
pub(super) const ALIGNED_BITS: u32 = 3;
/// Symbols of the pretree.
pub(super) const PRETREE_SYMBOLS: usize = 20;
/// Offset slots of the largest window.
pub(super) const MAX_SLOTS: usize = 50;
/// Symbols of the main code with the largest window.
pub(super) const MAX_MAIN_SYMBOLS: usize = LITERALS + LENGTH_HEADERS * MAX_SLOTS;
/// Offset slots that stand for one of the three recent offsets.
pub(super) const RECENT_SLOTS: usize = 3;
/// The first offset slot whose last three extra bits are coded in aligned blocks.
pub(super) const FIRST_ALIGNED_SLOT: usize = 8;
/// Uncompressed size of a block whose header gives none.
pub(super) const DEFAULT_BLOCK_SIZE: usize = 32768;
/// Log2 of the smallest window; its block headers hold 16-bit sizes, those of all others 24 bits.
pub(super) const MIN_ORDER: u32 = 15;
/// Log2 of the largest window.
pub(super) const MAX_ORDER: u32 = 21;
/// Most extra bits of an offset slot.
pub(super) const MAX_EXTRA_BITS: u32 = 17;
/// The first offset slot that has them.
pub(super) const FIRST_WIDE_SLOT: usize = 36;

/// Number of offset slots for windows of 2^15 to 2^21 bytes.
const SLOTS: [usize; 7] = [30, 32, 34, 36, 38, 42, 50];

/// Log2 of the window for chunks of `chunk_size` bytes.
pub(super) fn window_order(chunk_size: u32) -> u32 {
    let window = chunk_size.clamp(1 << MIN_ORDER, 1 << MAX_ORDER).next_power_of_two();
    window.trailing_zeros()
}

/// Number of symbols of the main code with a window of 2^`order` bytes.
pub(super) fn main_symbols(order: u32) -> usize {
    LITERALS + LENGTH_HEADERS * SLOTS[(order.clamp(MIN_ORDER, MAX_ORDER) - MIN_ORDER) as usize]
}

/// Number of extra offset bits of each offset slot.
pub(super) const EXTRA_BITS: [u8; MAX_SLOTS] = {
    let mut extra = [0; MAX_SLOTS];
    let mut slot = 4;
    while slot < MAX_SLOTS {
        extra[slot] = if slot < FIRST_WIDE_SLOT { slot / 2 - 1 } else { MAX_EXTRA_BITS as usize };
        slot += 1;
    }
    let mut bytes = [0; MAX_SLOTS];
    slot = 0;
    while slot < MAX_SLOTS {
        bytes[slot] = extra[slot] as u8;
        slot += 1;
    }
    bytes
};

/// Smallest offset of each slot; the slots of recent offsets have no base of their own.
pub(super) const OFFSET_BASE: [u32; MAX_SLOTS] = {
    let mut base = [0; MAX_SLOTS];
    let mut slot = RECENT_SLOTS;
    let mut next = 1;
    while slot < MAX_SLOTS {
        base[slot] = next;
        next += 1 << EXTRA_BITS[slot];
        slot += 1;
    }
    base
};

const _: () = assert!(OFFSET_BASE[29] == 24574 && OFFSET_BASE[49] == 1_966_078);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_cover_each_window() {
        for order in 15..=21 {
            assert_eq!(window_order(1 << order), order);
            let last = (main_symbols(order) - LITERALS) / LENGTH_HEADERS - 1;
            let end = OFFSET_BASE[last] + (1 << EXTRA_BITS[last]);
            assert_eq!(end, (1 << order) - 2, "the offsets stop three short of the window");
        }
        assert_eq!(window_order(4096), 15);
    }
}
