//! Finds earlier occurrences through hash chains: the latest of three bytes, and all of four.

use super::text::{Link, Reach, View, boxed};

/// Log2 of the number of hashes of three bytes.
const THREES: u32 = 15;

/// The latest position of each hash of three and of four bytes, and for each position the one before
/// it with the same hash of four.
#[derive(Debug)]
pub(crate) struct Chains<R: Reach> {
    threes: Box<[R::Link; 1 << THREES]>,
    fours: Box<R::Roots>,
    before: Box<R::Links>,
}

/// How much is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Positions of a chain that are looked at.
    pub(crate) depth: u32,
    /// Length at which a match is good enough to look no further.
    pub(crate) nice: usize,
}

/// An earlier occurrence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Bytes in common; 0 says that there is none.
    pub(crate) length: usize,
    /// How far back.
    pub(crate) offset: usize,
}

/// The hash of the first three bytes of `word`.
#[inline(always)]
pub(crate) fn hash3(word: u32, order: u32) -> usize {
    ((word << 8).wrapping_mul(0x9E37_79B1) >> (32 - order)) as usize
}

/// The hash of all four bytes of `word`.
#[inline(always)]
pub(crate) fn hash4(word: u32, order: u32) -> usize {
    (word.wrapping_mul(0x9E37_79B1) >> (32 - order)) as usize
}

impl<R: Reach> Chains<R> {
    pub(crate) fn new() -> Self {
        Self { threes: boxed(), fours: R::roots(), before: R::links() }
    }

    /// Forgets everything; chains that no head leads to need no clearing.
    pub(crate) fn clear(&mut self) {
        self.threes.fill(R::Link::default());
        self.fours.as_mut().as_mut().fill(R::Link::default());
    }

    /// Enters `at`, and gives the positions it follows: of three bytes, and of four.
    #[inline(always)]
    fn enter(&mut self, word: u32, at: usize) -> (R::Link, R::Link) {
        let three = &mut self.threes[hash3(word, THREES)];
        let four = &mut self.fours.as_mut().as_mut()[hash4(word, R::HASHES)];
        let heads = (*three, *four);
        *three = R::Link::to(at);
        *four = R::Link::to(at);
        self.before.as_mut().as_mut()[at & (R::SIZE - 1)] = heads.1;
        heads
    }

    /// Enters `count` positions from `at` without looking for matches.
    #[inline(always)]
    pub(crate) fn skip(&mut self, text: View<'_, R>, at: usize, count: usize) {
        for at in at..at + count {
            self.enter(text.word(at), at);
        }
    }

    /// Enters `at` and gives the longest match that is longer than `beyond`, which is at least 2,
    /// and no longer than `max`; among equals the nearest.
    #[inline(always)]
    pub(crate) fn longest(
        &mut self,
        text: View<'_, R>,
        at: usize,
        beyond: usize,
        max: usize,
        effort: Effort,
    ) -> Found {
        let word = text.word(at);
        let (three, four) = self.enter(word, at);
        let mut best = Found { length: beyond, offset: 0 };
        if max <= beyond {
            return Found::default();
        }
        if beyond < 3
            && let Some(from) = three.get()
            && (text.word(from) ^ word) << 8 == 0
        {
            best = Found { length: 3, offset: at - from };
        }
        let nice = effort.nice.min(max);
        let mut link = four;
        for _ in 0..effort.depth {
            let Some(from) = link.get() else { break };
            // What has to be the same for a longer match, as one word.
            let tail = best.length.max(3) - 3;
            if text.word(from + tail) == text.word(at + tail) && text.word(from) == word {
                let length = text.common(from, at, 4, max);
                if length > best.length {
                    best = Found { length, offset: at - from };
                    if length >= nice {
                        break;
                    }
                }
            }
            link = self.before.as_ref().as_ref()[from & (R::SIZE - 1)];
        }
        if best.offset == 0 { Found::default() } else { best }
    }
}
