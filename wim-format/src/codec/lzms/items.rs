//! The decisions of an LZMS chunk: which kinds of items follow one another.
//!
//! Decisions depend on nothing but earlier decisions, never on symbols or output. They can
//! therefore be decoded well ahead of the items they belong to, even beyond the end of the chunk,
//! where the forward stream goes on with zeros.

use crate::codec::range::{Probability, RangeDecoder};

/// What follows a run of literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// LZ match with its own offset.
    Lz,
    /// LZ match with the recent offset at this place of the queue, 0 to 3.
    LzRepeat(u8),
    /// Delta match with its own power and offset.
    Delta,
    /// Delta match with the recent pair at this place of the queue, 0 to 3.
    DeltaRepeat(u8),
    /// Nothing yet: the run was cut to fit a batch.
    None,
}

/// A run of literals and the match after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) literals: u16,
    pub(super) then: Match,
}

/// One class of decisions: `N` probabilities (a power of two), chosen by the class's last
/// log2(`N`) decisions.
#[derive(Debug)]
struct Decision<const N: usize> {
    /// Earlier decisions, the newest in bit 0.
    context: usize,
    entries: [Probability; N],
}

impl<const N: usize> Decision<N> {
    const START: Self = Self { context: 0, entries: [Probability::INITIAL; N] };

    #[inline(always)]
    fn decide(&mut self, range: &mut RangeDecoder<'_>) -> bool {
        const { assert!(N.is_power_of_two()) };
        let bit = range.decide(&mut self.entries[self.context & (N - 1)]);
        self.context = self.context << 1 | usize::from(bit);
        bit
    }

    /// Which of the three visible entries of a queue: two decisions at most.
    #[inline(always)]
    fn place(of: &mut [Self; 2], range: &mut RangeDecoder<'_>) -> u8 {
        let [first, second] = of;
        if !first.decide(range) {
            0
        } else if !second.decide(range) {
            1
        } else {
            2
        }
    }
}

/// The kind of the item just decoded. The offset of a match enters its queue only after the item
/// that follows, so a repeat right after a match of its own kind counts from the second place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    Literal,
    Lz,
    Delta,
}

/// All decision classes of a chunk.
#[derive(Debug)]
pub(super) struct Decisions {
    is_match: Decision<16>,
    is_delta: Decision<32>,
    lz_repeats: Decision<64>,
    lz_place: [Decision<64>; 2],
    delta_repeats: Decision<64>,
    delta_place: [Decision<64>; 2],
    previous: Previous,
}

impl Decisions {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self {
        is_match: Decision::START,
        is_delta: Decision::START,
        lz_repeats: Decision::START,
        lz_place: [Decision::START; 2],
        delta_repeats: Decision::START,
        delta_place: [Decision::START; 2],
        previous: Previous::Literal,
    };

    /// Decodes the kinds of the next run of at most `limit` literals and of the match after it.
    #[inline(always)]
    pub(super) fn next_item(&mut self, limit: u16, range: &mut RangeDecoder<'_>) -> Item {
        let mut literals = 0;
        while !self.is_match.decide(range) {
            literals += 1;
            if literals == limit {
                self.previous = Previous::Literal;
                return Item { literals, then: Match::None };
            }
        }
        if literals > 0 {
            self.previous = Previous::Literal;
        }
        Item { literals, then: self.next_match(range) }
    }

    #[inline(always)]
    fn next_match(&mut self, range: &mut RangeDecoder<'_>) -> Match {
        let previous = self.previous;
        if !self.is_delta.decide(range) {
            self.previous = Previous::Lz;
            if !self.lz_repeats.decide(range) {
                return Match::Lz;
            }
            let place = Decision::place(&mut self.lz_place, range);
            Match::LzRepeat(place + u8::from(previous == Previous::Lz))
        } else {
            self.previous = Previous::Delta;
            if !self.delta_repeats.decide(range) {
                return Match::Delta;
            }
            let place = Decision::place(&mut self.delta_place, range);
            Match::DeltaRepeat(place + u8::from(previous == Previous::Delta))
        }
    }
}
