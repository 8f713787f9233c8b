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
/// Room for the matches of one position, a power of two: more than the deepest search comes by.
const MOST: usize = 128;

/// For each position the nearest match of each length, in ascending order.
#[derive(Debug)]
pub(crate) struct Matches {
    /// Where those of a position start, and those of the one before end.
    starts: Vec<u32>,
    /// `offset << 9 | length`.
    packed: Vec<u32>,
}

#[inline(always)]
fn pack(length: usize, offset: usize) -> u32 {
    (offset << LENGTH_BITS | length) as u32
}

/// A match of [`Matches`].
#[inline(always)]
pub(crate) fn unpack(packed: u32) -> Found {
    Found { length: packed as usize & MAX_LENGTH, offset: (packed >> LENGTH_BITS) as usize }
}

impl Matches {
    /// For chunks of up to `chunk_size` bytes.
    pub(crate) fn new(chunk_size: usize) -> Self {
        Self { starts: vec![0; chunk_size + 1], packed: vec![0; chunk_size * ROOM + MOST] }
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

    /// The offset of match number `which` at `at`; some number where there are fewer.
    #[inline(always)]
    pub(crate) fn offset(self, at: usize, which: usize) -> usize {
        let packed = self.packed.get(self.starts[at] as usize + which);
        unpack(packed.copied().unwrap_or_default()).offset
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
    /// Of the positions within a nice match, so many at its end are entered into the trees: what
    /// starts at the others has been entered where the match comes from.
    pub(crate) entered: usize,
    pub(crate) matches: &'a mut Matches,
}

impl<R: Reach> Stage for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text: chunk, trees, shortest, longest, effort, entered, matches } = self;
        trees.clear();
        let len = chunk.len();
        let text = chunk.view();
        let packed = &mut matches.packed[..];
        let starts = &mut matches.starts[..=len];
        // Behind this there is room for those of one position more, which do not count.
        let limit = packed.len() - MOST;
        let mut used = 0;
        let mut at = 0;
        while at < len {
            starts[at] = used as u32;
            let max = (len - at).min(longest);
            let Some(room) = packed[used..].first_chunk_mut() else { break };
            let mut room = Room { packed: room, used: 0 };
            trees.expect(text, at);
            if max >= 3 {
                trees.find(text, at, max, shortest, effort, &mut room);
            }
            at += 1;
            let Found { length, offset } = room.last();
            used = (used + room.used).min(limit);
            if length < effort.nice {
                continue;
            }
            for rest in (1..length).rev() {
                starts[at] = used as u32;
                // How much longer a match is than nice is of no use here.
                let max = (len - at).min(effort.nice);
                if max >= 3 && rest <= entered {
                    trees.skip(text, at, max, effort);
                }
                if rest >= shortest && used < limit {
                    packed[used] = pack(rest, offset);
                    used += 1;
                }
                at += 1;
            }
        }
        starts[len] = used as u32;
    }
}

/// Room for the matches of one position.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    packed: &'a mut [u32; MOST],
    used: usize,
}

impl Room<'_> {
    /// Adds a match if it `is` one. It is written in any case: whether it counts takes no branch,
    /// which would be guessed wrongly too often.
    #[inline(always)]
    pub(crate) fn push(&mut self, is: bool, length: usize, offset: usize) {
        self.packed[self.used % MOST] = pack(length, offset);
        self.used += usize::from(is);
    }

    /// The last match, or one of no length.
    #[inline(always)]
    fn last(&self) -> Found {
        match self.used {
            0 => Found::default(),
            used => unpack(self.packed[(used - 1) % MOST]),
        }
    }
}
