//! What the first stage hands on to the second.

/// Items read ahead at a time.
pub(super) const MAX_ITEMS: usize = 128;
/// Literals in a batch at most: a power of two, so that masking an index is free of bounds checks.
pub(super) const MAX_LITERALS: usize = 512;

/// Literals may be read in runs this long, whatever their number is.
pub(super) const LITERAL_RUN: usize = 16;

/// The literals of a batch, and room to read beyond them.
pub(super) type Literals = [u8; MAX_LITERALS + LITERAL_RUN];

/// Items ready to be written.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: [Item; MAX_ITEMS],
    pub(super) count: usize,
    /// The literals of all items, one after the other.
    pub(super) literals: Literals,
}

/// A run of literals and the match after it, whose place in the output is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Number of literals.
    pub(super) literals: u32,
    /// Length of the match; 0 for none.
    pub(super) length: u32,
    /// Where the match's bytes come from.
    pub(super) source: Source,
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

impl Item {
    /// A run of literals without a match.
    #[inline(always)]
    pub(super) const fn run(literals: usize) -> Self {
        Self { literals: literals as u32, length: 0, source: Source { distance: 0, span: 0 } }
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            items: [Item::run(0); MAX_ITEMS],
            count: 0,
            literals: [0; MAX_LITERALS + LITERAL_RUN],
        }
    }
}
