//! Finds earlier occurrences in a window of any size, through binary search trees: for each hash of
//! four bytes a tree of the positions that have it, sorted by the bytes that follow, the latest at the
//! root. Entering a position rearranges its tree, and passes the nearest match of each length.

use crate::codec::cpu::prefetch;
use crate::codec::encode::chains::{Effort, Found, hash3, hash4};
use crate::codec::encode::text::boxed;

/// Bytes behind a chunk that may be read.
pub(super) const PAD: usize = 8;
/// Log2 of the most trees, and of the most hashes of three bytes.
const MAX_TREES: u32 = 22;
const MAX_THREES: u32 = 16;
/// How many positions ahead trees are asked for.
const AHEAD: usize = 2;
/// No position.
const NONE: u32 = 0;

/// The trees, and the latest position of each two and three bytes. Positions are stored plus one.
#[derive(Debug)]
pub(super) struct Trees {
    twos: Box<[u32; 1 << 16]>,
    threes: Vec<u32>,
    roots: Vec<u32>,
    /// For each position the subtrees of those that sort before and behind it. What no tree leads to
    /// needs no clearing.
    sides: Vec<[u32; 2]>,
    /// Log2 of how many of `roots` and of `threes` are in use.
    orders: [u32; 2],
}

/// The four bytes at `at`.
#[inline(always)]
pub(super) fn word(text: &[u8], at: usize) -> u32 {
    text[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes from `a` and from `b` on are the same, `known` of which are known to be; `a` is before
/// `b`, and at most `max` bytes are looked at.
#[inline(always)]
pub(super) fn common(text: &[u8], a: usize, b: usize, known: usize, max: usize) -> usize {
    let (a, b) = (&text[a..a + max + PAD], &text[b..b + max + PAD]);
    let mut length = known;
    while length < max {
        let (Some(x), Some(y)) = (a[length..].first_chunk(), b[length..].first_chunk()) else {
            return length;
        };
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return (length + difference.trailing_zeros() as usize / 8).min(max);
        }
        length += 8;
    }
    max
}

impl Trees {
    /// For chunks of up to `chunk_size` bytes.
    pub(super) fn new(chunk_size: usize) -> Self {
        let [trees, threes] = orders(chunk_size);
        Self {
            twos: boxed(),
            threes: vec![NONE; 1 << threes],
            roots: vec![NONE; 1 << trees],
            sides: vec![[NONE; 2]; chunk_size],
            orders: [trees, threes],
        }
    }

    /// Starts a chunk of `size` bytes.
    pub(super) fn reset(&mut self, size: usize) {
        self.orders = orders(size);
        self.twos.fill(NONE);
        self.roots[..1 << self.orders[0]].fill(NONE);
        self.threes[..1 << self.orders[1]].fill(NONE);
    }

    /// Enters `at` and sets `found` to the nearest match of each length, in ascending order, none
    /// longer than `max`.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        text: &[u8],
        at: usize,
        max: usize,
        effort: Effort,
        found: &mut Vec<Found>,
    ) {
        found.clear();
        if max < 4 {
            return;
        }
        let word = word(text, at);
        let (two, three) = self.enter_short(word, at);
        if two != NONE && two != three {
            found.push(Found { length: 2, offset: at + 1 - two as usize });
        }
        let mut best = 2;
        if three != NONE {
            let from = three as usize - 1;
            if (self::word(text, from) ^ word) << 8 == 0 {
                found.push(Found { length: 3, offset: at - from });
                best = 3;
            }
        }
        self.descend::<true>(text, at, word, max, best, effort, found);
    }

    /// Enters `at`, from which at most `max` bytes are looked at.
    #[inline(always)]
    pub(super) fn skip(
        &mut self,
        text: &[u8],
        at: usize,
        max: usize,
        effort: Effort,
        found: &mut Vec<Found>,
    ) {
        if max < 4 {
            return;
        }
        let word = word(text, at);
        self.enter_short(word, at);
        self.descend::<false>(text, at, word, max, 3, effort, found);
    }

    /// Enters `at` among the positions of two and of three bytes, and gives those before it.
    #[inline(always)]
    fn enter_short(&mut self, word: u32, at: usize) -> (u32, u32) {
        let here = at as u32 + 1;
        let three = &mut self.threes[hash3(word, self.orders[1])];
        let two = &mut self.twos[usize::from(word as u16)];
        (std::mem::replace(two, here), std::mem::replace(three, here))
    }

    /// Makes `at` the root of its tree, and what was in the tree its sides.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn descend<const RECORD: bool>(
        &mut self,
        text: &[u8],
        at: usize,
        word: u32,
        max: usize,
        mut best: usize,
        effort: Effort,
        found: &mut Vec<Found>,
    ) {
        let order = self.orders[0];
        let coming = self::word(text, (at + AHEAD).min(text.len() - PAD));
        prefetch(&self.roots, hash4(coming, order));
        let mut link = std::mem::replace(&mut self.roots[hash4(word, order)], at as u32 + 1);
        let sides = self.sides.as_flattened_mut();
        let nice = effort.nice.min(max);
        // Where the next position on either side goes, and the bytes it has in common with `at`.
        let (mut before, mut behind) = (2 * at, 2 * at + 1);
        let (mut known_before, mut known_behind) = (0, 0);
        for _ in 0..effort.depth {
            if link == NONE {
                break;
            }
            let from = link as usize - 1;
            prefetch(sides, 2 * from);
            let length = common(text, from, at, known_before.min(known_behind), nice);
            if length > best {
                best = length;
                if RECORD {
                    found.push(Found { length, offset: at - from });
                }
            }
            if length >= nice {
                sides[before] = sides[2 * from];
                sides[behind] = sides[2 * from + 1];
                return;
            }
            if text[from + length] < text[at + length] {
                sides[before] = link;
                before = 2 * from + 1;
                known_before = length;
                link = sides[before];
            } else {
                sides[behind] = link;
                behind = 2 * from;
                known_behind = length;
                link = sides[behind];
            }
        }
        sides[before] = NONE;
        sides[behind] = NONE;
    }
}

/// Log2 of how many trees, and how many hashes of three bytes, suit a chunk of `size` bytes.
fn orders(size: usize) -> [u32; 2] {
    let order = size.max(1).ilog2();
    [order.clamp(12, MAX_TREES), order.clamp(12, MAX_THREES)]
}
