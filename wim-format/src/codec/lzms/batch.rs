//! What the stages hand on to one another.

use super::items::Item;
use super::symbols::Kind;

/// Items decoded ahead at a time.
pub(super) const MAX_ITEMS: usize = 128;
/// Literals in a batch at most.
pub(super) const MAX_LITERALS: usize = 1024;

/// Room for kinds of symbols: a literal each, and of each match at most a power, an offset and a
/// length.
/// A power of two, so that masking an index is free of bounds checks.
pub(super) const MAX_SYMBOLS: usize = (MAX_LITERALS + 4 * MAX_ITEMS).next_power_of_two();

/// Literals may be read in runs this long, whatever their number is.
pub(super) const LITERAL_RUN: usize = 16;

/// All symbols of a batch as bytes, and room to read beyond them.
pub(super) type Literals = [u8; MAX_SYMBOLS + LITERAL_RUN];

/// Items whose symbols are still to be read, then matches ready to be copied.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: [Item; MAX_ITEMS],
    pub(super) item_count: usize,
    /// What symbols the items are made of, and how many.
    pub(super) kinds: [Kind; MAX_SYMBOLS],
    pub(super) symbol_count: usize,
    /// The symbols' values, and room to read beyond them.
    pub(super) values: [u32; MAX_SYMBOLS + 2],
    /// The matches of the items, so far as they have been located.
    pub(super) matches: [Located; MAX_ITEMS],
    pub(super) located: usize,
    /// The same as bytes, for literals.
    pub(super) literals: Literals,
}

/// A match whose place in the output is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    /// Length of the match; 0 for none.
    pub(super) length: u32,
    /// Where the match's bytes come from.
    pub(super) source: Source,
}

impl Located {
    /// No match.
    pub(super) const NONE: Self = Self { length: 0, source: Source { distance: 0, span: 0 } };
}

/// Where the bytes of a match come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// 1 up to the position of the match.
    pub(super) distance: u32,
    /// 0 for an LZ match. Otherwise differences from `distance` back are added to what lies `span`
    /// back, and both together stay within the output.
    pub(super) span: u32,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            items: [Item::NONE; MAX_ITEMS],
            item_count: 0,
            kinds: [Kind::Literal; MAX_SYMBOLS],
            symbol_count: 0,
            values: [0; MAX_SYMBOLS + 2],
            matches: [Located::NONE; MAX_ITEMS],
            located: 0,
            literals: [0; MAX_SYMBOLS + LITERAL_RUN],
        }
    }
}
