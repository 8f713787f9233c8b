//! The decisions of an LZMS chunk: which kinds of items follow one another.
//!
//! Decisions depend on nothing but earlier decisions, never on symbols or output. They can
//! therefore be decoded well ahead of the items they belong to, even beyond the end of the chunk,
//! where the forward stream goes on with zeros.

use crate::codec::range::{Probabilities, RangeDecoder};

/// The place of what was in no queue before.
pub(super) const NEW: u8 = 4;

/// Probabilities of the decision between literal and match, of that between LZ and delta match, and of
/// each of the others.
pub(super) const MATCH_CONTEXTS: usize = 16;
pub(super) const DELTA_CONTEXTS: usize = 32;
pub(super) const OTHER_CONTEXTS: usize = 64;

/// One class of decisions: `N` probabilities (a power of two), chosen by the class's last
/// log2(`N`) decisions.
#[derive(Debug)]
struct Class<const N: usize>(Probabilities<N>);

impl<const N: usize> Class<N> {
    const START: Self = Self(Probabilities::INITIAL);

    /// Decodes a decision and appends it to `context`, the earlier ones with the newest in bit 0.
    #[inline(always)]
    fn decide(&mut self, context: &mut usize, range: &mut RangeDecoder<'_>) -> bool {
        let bit = range.decide(&mut self.0, *context);
        *context = *context << 1 | usize::from(bit);
        bit
    }
}

/// The kind of the item just decoded. The offset of a match enters its queue only after the item
/// that follows, so a repeat right after a match of its own kind counts from the second place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    Literal,
    Lz,
    Delta,
}

/// Earlier decisions of every class.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    is_match: usize,
    is_delta: usize,
    repeats: [usize; 2],
    places: [[usize; 2]; 2],
    pub(super) previous: Previous,
}

impl Contexts {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self {
        is_match: 0,
        is_delta: 0,
        repeats: [0; 2],
        places: [[0; 2]; 2],
        previous: Previous::Literal,
    };
}

/// The probabilities of every class.
#[derive(Debug)]
pub(super) struct Classes {
    is_match: Class<MATCH_CONTEXTS>,
    is_delta: Class<DELTA_CONTEXTS>,
    repeats: [Class<OTHER_CONTEXTS>; 2],
    places: [[Class<OTHER_CONTEXTS>; 2]; 2],
}

/// Classes of which there is one for LZ matches and one for delta matches.
const LZ: usize = 0;
const DELTA: usize = 1;

impl Classes {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self {
        is_match: Class::START,
        is_delta: Class::START,
        repeats: [Class::START; 2],
        places: [const { [Class::START; 2] }; 2],
    };

    /// Whether a match is next, not a literal.
    #[inline(always)]
    pub(super) fn is_match(&mut self, past: &mut Contexts, range: &mut RangeDecoder<'_>) -> bool {
        self.is_match.decide(&mut past.is_match, range)
    }

    /// Whether that is a delta match, not an LZ match.
    #[inline(always)]
    pub(super) fn is_delta(&mut self, past: &mut Contexts, range: &mut RangeDecoder<'_>) -> bool {
        self.is_delta.decide(&mut past.is_delta, range)
    }

    /// The place of an LZ match's offset in its queue, after a run of so many `literals`.
    #[inline(always)]
    pub(super) fn lz_place(
        &mut self,
        literals: usize,
        past: &mut Contexts,
        range: &mut RangeDecoder<'_>,
    ) -> u8 {
        self.place::<LZ>(Previous::Lz, literals, past, range)
    }

    /// The place of a delta match's source in its queue, after a run of so many `literals`.
    #[inline(always)]
    pub(super) fn delta_place(
        &mut self,
        literals: usize,
        past: &mut Contexts,
        range: &mut RangeDecoder<'_>,
    ) -> u8 {
        self.place::<DELTA>(Previous::Delta, literals, past, range)
    }

    /// [`NEW`], or which of the three visible entries of the queue of a match of this `own` kind, of
    /// which a match of that kind right before hides the first: three decisions at most.
    #[inline(always)]
    fn place<const KIND: usize>(
        &mut self,
        own: Previous,
        literals: usize,
        past: &mut Contexts,
        range: &mut RangeDecoder<'_>,
    ) -> u8 {
        let previous = std::mem::replace(&mut past.previous, own);
        let first = u8::from((previous == own) & (literals == 0));
        let (classes, contexts) = (&mut self.places[KIND], &mut past.places[KIND]);
        if !self.repeats[KIND].decide(&mut past.repeats[KIND], range) {
            NEW
        } else if !classes[0].decide(&mut contexts[0], range) {
            first
        } else if !classes[1].decide(&mut contexts[1], range) {
            first + 1
        } else {
            first + 2
        }
    }
}
