//! The decisions that say what an item is: their contexts, what they cost, and how they are written.

use super::output::Output;
use super::range::RangeEncoder;
use crate::codec::encode::entropy::{BIT, log2};
use crate::codec::lzms::items::{DELTA_CONTEXTS, MATCH_CONTEXTS, OTHER_CONTEXTS};
use crate::codec::range::Probabilities;

/// Classes of decisions.
const IS_MATCH: usize = 0;
const IS_DELTA: usize = 1;
const LZ_REPEATS: usize = 2;
const LZ_PLACE: [usize; 2] = [3, 4];
const DELTA_REPEATS: usize = 5;
const DELTA_PLACE: [usize; 2] = [6, 7];
const CLASSES: usize = 8;

/// The last decisions of a class that choose a probability, as a mask.
const MASKS: [u8; CLASSES] = {
    let mut masks = [OTHER_CONTEXTS as u8 - 1; CLASSES];
    masks[IS_MATCH] = MATCH_CONTEXTS as u8 - 1;
    masks[IS_DELTA] = DELTA_CONTEXTS as u8 - 1;
    masks
};

/// What an item is, as far as decisions say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Literal,
    Lz,
    /// With the first, second, third of the recent offsets that can be seen.
    LzRepeat0,
    LzRepeat1,
    LzRepeat2,
    Delta,
    DeltaRepeat0,
    DeltaRepeat1,
    DeltaRepeat2,
}

/// Repeats by what they repeat.
pub(super) const LZ_REPEATS_OF: [Kind; 3] = [Kind::LzRepeat0, Kind::LzRepeat1, Kind::LzRepeat2];
pub(super) const DELTA_REPEATS_OF: [Kind; 3] =
    [Kind::DeltaRepeat0, Kind::DeltaRepeat1, Kind::DeltaRepeat2];

impl Kind {
    /// The decisions, in order.
    #[inline(always)]
    fn decisions(self) -> &'static [(usize, bool)] {
        const M: (usize, bool) = (IS_MATCH, true);
        const LZ: (usize, bool) = (IS_DELTA, false);
        const DELTA: (usize, bool) = (IS_DELTA, true);
        const LZ_AGAIN: (usize, bool) = (LZ_REPEATS, true);
        const DELTA_AGAIN: (usize, bool) = (DELTA_REPEATS, true);
        const L0: usize = LZ_PLACE[0];
        const L1: usize = LZ_PLACE[1];
        const D0: usize = DELTA_PLACE[0];
        const D1: usize = DELTA_PLACE[1];
        match self {
            Self::Literal => &[(IS_MATCH, false)],
            Self::Lz => &[M, LZ, (LZ_REPEATS, false)],
            Self::LzRepeat0 => &[M, LZ, LZ_AGAIN, (L0, false)],
            Self::LzRepeat1 => &[M, LZ, LZ_AGAIN, (L0, true), (L1, false)],
            Self::LzRepeat2 => &[M, LZ, LZ_AGAIN, (L0, true), (L1, true)],
            Self::Delta => &[M, DELTA, (DELTA_REPEATS, false)],
            Self::DeltaRepeat0 => &[M, DELTA, DELTA_AGAIN, (D0, false)],
            Self::DeltaRepeat1 => &[M, DELTA, DELTA_AGAIN, (D0, true), (D1, false)],
            Self::DeltaRepeat2 => &[M, DELTA, DELTA_AGAIN, (D0, true), (D1, true)],
        }
    }
}

/// The last decisions of every class, the newest in bit 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Contexts([u8; CLASSES]);

impl Contexts {
    /// Goes past an item.
    #[inline(always)]
    pub(super) fn pass(&mut self, kind: Kind) {
        for &(class, bit) in kind.decisions() {
            self.push(class, bit);
        }
    }

    #[inline(always)]
    fn push(&mut self, class: usize, bit: bool) {
        self.0[class] = (self.0[class] << 1 | u8::from(bit)) & MASKS[class];
    }
}

/// The probabilities of every class, and what the decisions take.
#[derive(Debug)]
pub(super) struct Decisions {
    classes: [Probabilities<OTHER_CONTEXTS>; CLASSES],
}

/// What the decisions of each kind of item take, in units of cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecisionCosts {
    pub(super) literal: u32,
    pub(super) lz: u32,
    pub(super) lz_repeats: [u32; 3],
    pub(super) delta: u32,
    pub(super) delta_repeats: [u32; 3],
}

/// What something with a probability of so many 64ths takes.
static COSTS: [u16; 64] = {
    let mut costs = [0; 64];
    let mut share = 1;
    while share < costs.len() {
        costs[share] = 6 * BIT as u16 - log2(share as u64);
        share += 1;
    }
    costs
};

impl Decisions {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self { classes: [Probabilities::INITIAL; CLASSES] };

    /// Writes the decisions of an item and goes past it.
    #[inline(always)]
    pub(super) fn put(
        &mut self,
        kind: Kind,
        contexts: &mut Contexts,
        range: &mut RangeEncoder,
        output: &mut Output<'_>,
    ) {
        for &(class, bit) in kind.decisions() {
            let at = usize::from(contexts.0[class]);
            let probabilities = &mut self.classes[class];
            range.put(probabilities.of_zero(at), bit, output);
            probabilities.note(at, bit);
            contexts.push(class, bit);
        }
    }

    /// What both outcomes of a decision take.
    #[inline(always)]
    fn both(&self, class: usize, contexts: Contexts) -> [u32; 2] {
        let of_zero = self.classes[class].of_zero(contexts.0[class].into()) as usize & 63;
        [COSTS[of_zero].into(), COSTS[(64 - of_zero) & 63].into()]
    }

    /// What the next item's decisions take, by its kind.
    #[inline(always)]
    pub(super) fn costs(&self, contexts: Contexts) -> DecisionCosts {
        let [literal, is_match] = self.both(IS_MATCH, contexts);
        let [lz, delta] = self.both(IS_DELTA, contexts).map(|cost| is_match + cost);
        let [lz_new, lz_again] = self.both(LZ_REPEATS, contexts).map(|cost| lz + cost);
        let [delta_new, delta_again] = self.both(DELTA_REPEATS, contexts).map(|cost| delta + cost);
        DecisionCosts {
            literal,
            lz: lz_new,
            lz_repeats: self.places(LZ_PLACE, contexts).map(|cost| lz_again + cost),
            delta: delta_new,
            delta_repeats: self.places(DELTA_PLACE, contexts).map(|cost| delta_again + cost),
        }
    }

    #[inline(always)]
    fn places(&self, classes: [usize; 2], contexts: Contexts) -> [u32; 3] {
        let [first, beyond] = self.both(classes[0], contexts);
        let [second, third] = self.both(classes[1], contexts).map(|cost| beyond + cost);
        [first, second, third]
    }

    /// What the decisions take of a repeat of the first recent offset, the next item.
    #[inline(always)]
    pub(super) fn cost_of_repeat(&self, contexts: Contexts) -> u32 {
        let first = |class| self.both(class, contexts);
        first(IS_MATCH)[1] + first(IS_DELTA)[0] + first(LZ_REPEATS)[1] + first(LZ_PLACE[0])[0]
    }
}
