//! All matches of a chunk, found once and looked at as often as needed.

use super::chains::{Effort, Found};
use super::text::{Reach, Text};
use super::tree::Trees;
use crate::codec::cpu::Stage;

/// Bits of a length.
const LENGTH_BITS: u32 = 9;
/// The longest match that is kept as it is.
pub(crate) const MAX_LENGTH: usize = (1 << LENGTH_BITS) - 1;
/// Room for matches, for each position.
const ROOM: usize = 8;
/// Most matches of one position.
const MOST: usize = 64;

/// For each position the nearest match of each length, in ascending order.
#[derive(Debug)]
pub(crate) struct Matches {
    /// Where those of a position start, and those of the one before end.
    starts: Vec<u32>,
    /// `offset << 9 | length`.
    packed: Vec<u32>,
    used: usize,
}

/// A match of [`Matches`].
#[inline(always)]
pub(crate) fn unpack(packed: u32) -> Found {
    Found { length: packed as usize & MAX_LENGTH, offset: (packed >> LENGTH_BITS) as usize }
}

impl Matches {
    /// For chunks of up to `chunk_size` bytes.
    pub(crate) fn new(chunk_size: usize) -> Self {
        Self { starts: vec![0; chunk_size + 1], packed: vec![0; chunk_size * ROOM + MOST], used: 0 }
    }

    /// Adds a match of the current position if it `is` one, unless there is no room. It is written
    /// in any case: whether it counts takes no branch, which would be guessed wrongly too often.
    #[inline(always)]
    pub(crate) fn push(&mut self, is: bool, length: usize, offset: usize) {
        if let Some(slot) = self.packed.get_mut(self.used) {
            *slot = (offset << LENGTH_BITS | length) as u32;
            self.used += usize::from(is);
        }
    }

    /// The matches of each position.
    #[inline(always)]
    pub(crate) fn lists(&self) -> Lists<'_> {
        Lists { starts: &self.starts, packed: &self.packed }
    }
}

/// The matches of each position, to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists<'a> {
    starts: &'a [u32],
    packed: &'a [u32],
}

impl<'a> Lists<'a> {
    /// The matches at `at`.
    #[inline(always)]
    pub(crate) fn at(self, at: usize) -> &'a [u32] {
        &self.packed[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Finds all matches of a chunk of `shortest` to `longest` bytes. Within a match that is nice enough,
/// positions have the rest of that match and no other.
pub(crate) struct Fill<'a, R: Reach> {
    pub(crate) text: &'a Text<R>,
    pub(crate) trees: &'a mut Trees<R>,
    pub(crate) shortest: usize,
    pub(crate) longest: usize,
    pub(crate) effort: Effort,
    pub(crate) matches: &'a mut Matches,
}

impl<R: Reach> Stage for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text: chunk, trees, shortest, longest, effort, matches } = self;
        trees.clear();
        matches.used = 0;
        let len = chunk.len();
        let text = chunk.view();
        let mut at = 0;
        while at < len {
            matches.starts[at] = matches.used as u32;
            let max = (len - at).min(longest);
            let length =
                if max < 3 { 0 } else { trees.find(text, at, max, shortest, effort, matches) };
            at += 1;
            if length < effort.nice {
                continue;
            }
            let Some(&packed) = matches.packed[..matches.used].last() else { continue };
            let offset = unpack(packed).offset;
            for rest in (1..length).rev() {
                matches.starts[at] = matches.used as u32;
                let max = (len - at).min(longest);
                if max >= 3 {
                    trees.skip(text, at, max, effort, matches);
                }
                matches.push(rest >= shortest, rest, offset);
                at += 1;
            }
        }
        matches.starts[len] = matches.used as u32;
    }
}
