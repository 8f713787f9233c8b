//! The decisions of an LZMS chunk: which kinds of items follow one another.
//!
//! Decisions depend on nothing but earlier decisions, never on symbols or output. They can
//! therefore be decoded well ahead of the items they belong to, even beyond the end of the chunk,
//! where the forward stream goes on with zeros.

use super::batch::{Batch, MAX_LITERALS};
use super::symbols::{Kind, OF_MATCHES};
use crate::codec::range::{Probabilities, RangeDecoder};

/// What follows a run of literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Match {
    /// LZ match with its own offset. Kinds of LZ matches come before all others.
    Lz,
    /// LZ match with the recent offset at the item's place of the queue.
    LzRepeat,
    /// Delta match with its own power and offset.
    Delta,
    /// Delta match with the recent pair at the item's place of the queue.
    DeltaRepeat,
    /// Nothing yet: the run was cut to fit a batch.
    None,
}

/// The place of what was in no queue before.
pub(super) const NEW: u8 = 4;

/// A run of literals and the match after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Number of literals.
    pub(super) literals: u16,
    /// Number of the symbol after them, among those of the batch.
    pub(super) own: u16,
    /// What follows them.
    pub(super) then: Match,
    /// Place in a queue, 0 to 3, or [`NEW`].
    pub(super) place: u8,
}

impl Item {
    pub(super) const NONE: Self = Self { literals: 0, own: 0, then: Match::None, place: NEW };
}

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
enum Previous {
    Literal,
    Lz,
    Delta,
}

/// Earlier decisions of every class.
#[derive(Debug, Clone)]
struct Contexts {
    is_match: usize,
    is_delta: usize,
    lz_repeats: usize,
    lz_place: [usize; 2],
    delta_repeats: usize,
    delta_place: [usize; 2],
    previous: Previous,
}

/// The probabilities of every class.
#[derive(Debug)]
struct Classes {
    is_match: Class<MATCH_CONTEXTS>,
    is_delta: Class<DELTA_CONTEXTS>,
    lz_repeats: Class<OTHER_CONTEXTS>,
    lz_place: [Class<OTHER_CONTEXTS>; 2],
    delta_repeats: Class<OTHER_CONTEXTS>,
    delta_place: [Class<OTHER_CONTEXTS>; 2],
}

/// State of all decisions of a chunk.
#[derive(Debug)]
pub(super) struct Decisions {
    contexts: Contexts,
    classes: Classes,
}

impl Decisions {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self {
        contexts: Contexts {
            is_match: 0,
            is_delta: 0,
            lz_repeats: 0,
            lz_place: [0; 2],
            delta_repeats: 0,
            delta_place: [0; 2],
            previous: Previous::Literal,
        },
        classes: Classes {
            is_match: Class::START,
            is_delta: Class::START,
            lz_repeats: Class::START,
            lz_place: [Class::START; 2],
            delta_repeats: Class::START,
            delta_place: [Class::START; 2],
        },
    };

    /// Decodes items until the batch is full, and lists the kinds of their symbols.
    #[inline(always)]
    pub(super) fn plan(&mut self, range: &mut RangeDecoder<'_>, batch: &mut Batch) {
        // Copies can live in registers.
        let mut reader = range.clone();
        let mut contexts = self.contexts.clone();
        let mut room = MAX_LITERALS as u16;
        let mut count = 0;
        let mut symbols = 0;
        let Batch { items, kinds, .. } = batch;
        kinds.fill(Kind::Literal);
        for item in items {
            let next = self.classes.next_item(&mut contexts, room, &mut reader);
            symbols += next.literals;
            *item = Item { own: symbols, ..next };
            let (of_match, length) = OF_MATCHES[next.then as usize];
            if let Some(kinds) = kinds.get_mut(usize::from(symbols)..usize::from(symbols) + 4) {
                kinds.copy_from_slice(&of_match);
            }
            symbols += length;
            room -= next.literals;
            count += 1;
            if room == 0 {
                break;
            }
        }
        batch.item_count = count;
        batch.symbol_count = symbols.into();
        *range = reader;
        self.contexts = contexts;
    }
}

impl Classes {
    /// Decodes the kinds of the next run of at most `limit` literals and of the match after it.
    #[inline(always)]
    fn next_item(
        &mut self,
        contexts: &mut Contexts,
        limit: u16,
        range: &mut RangeDecoder<'_>,
    ) -> Item {
        let mut literals = 0;
        while !self.is_match.decide(&mut contexts.is_match, range) {
            contexts.previous = Previous::Literal;
            literals += 1;
            if literals == limit {
                return Item { literals, ..Item::NONE };
            }
        }
        let previous = contexts.previous;
        if self.is_delta.decide(&mut contexts.is_delta, range) {
            let (then, place) = self.delta(contexts, range);
            return Item { literals, own: 0, then, place };
        }
        contexts.previous = Previous::Lz;
        if !self.lz_repeats.decide(&mut contexts.lz_repeats, range) {
            return Item { literals, own: 0, then: Match::Lz, place: NEW };
        }
        let place = Self::place(&mut self.lz_place, &mut contexts.lz_place, range);
        let place = place + u8::from(previous == Previous::Lz);
        Item { literals, own: 0, then: Match::LzRepeat, place }
    }

    #[inline(always)]
    fn delta(&mut self, contexts: &mut Contexts, range: &mut RangeDecoder<'_>) -> (Match, u8) {
        let previous = std::mem::replace(&mut contexts.previous, Previous::Delta);
        if !self.delta_repeats.decide(&mut contexts.delta_repeats, range) {
            return (Match::Delta, NEW);
        }
        let place = Self::place(&mut self.delta_place, &mut contexts.delta_place, range);
        (Match::DeltaRepeat, place + u8::from(previous == Previous::Delta))
    }

    /// Which of the three visible entries of a queue: two decisions at most.
    #[inline(always)]
    fn place(
        classes: &mut [Class<OTHER_CONTEXTS>; 2],
        contexts: &mut [usize; 2],
        range: &mut RangeDecoder<'_>,
    ) -> u8 {
        if !classes[0].decide(&mut contexts[0], range) {
            0
        } else if !classes[1].decide(&mut contexts[1], range) {
            1
        } else {
            2
        }
    }
}
