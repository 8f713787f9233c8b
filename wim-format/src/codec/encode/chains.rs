//! Finds earlier occurrences through hash chains: the latest of three bytes, and all of four.

use super::text::{Link, Reach, Text, View, boxed};

/// Log2 of the hashes of three bytes.
const THREES: u32 = 14;
/// Positions of a chain that are looked at in one go: only then is it asked whether there are more.
const STRIDE: u32 = 4;
/// Entries that are cleared in the time that it takes to find one by its hash.
const CLEARED_AT_ONCE: usize = 16;

/// The latest position of each hash of three and of four bytes, and for each position the one before
/// it with the same hash of four.
#[derive(Debug)]
pub(crate) struct Chains<R: Reach> {
    threes: Box<[R::Link; 1 << THREES]>,
    fours: Box<R::Roots>,
    before: Box<R::Links>,
    /// Whether there may be a position in a table.
    is_used: bool,
}

/// How much is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Positions that are looked at. For chains, a multiple of four, as is `lazy`.
    pub(crate) depth: u32,
    /// The same where there is a match a byte earlier.
    pub(crate) lazy: u32,
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
        Self { threes: boxed(), fours: R::roots(), before: R::links(), is_used: false }
    }

    /// Forgets everything, at the start of a chunk; chains that no head leads to need no clearing.
    pub(crate) fn clear(&mut self) {
        // The last position of the largest chunk shares a place with the end of all chains.
        self.before.as_mut().as_mut()[0] = R::Link::default();
        if self.is_used {
            self.threes.fill(R::Link::default());
            self.fours.as_mut().as_mut().fill(R::Link::default());
        }
        self.is_used = true;
    }

    /// Forgets the positions of `text`, all there are, if it is so short that this takes less time
    /// than clearing the tables.
    pub(crate) fn forget(&mut self, text: &Text<R>) {
        let Self { threes, fours, .. } = self;
        let fours = fours.as_mut().as_mut();
        if text.len() < fours.len() / CLEARED_AT_ONCE {
            let view = text.view();
            for word in (0..text.len()).map(|at| view.word(at)) {
                threes[hash3(word, THREES)] = R::Link::default();
                fours[hash4(word, R::HASHES)] = R::Link::default();
            }
            self.is_used = false;
        }
    }

    /// A search that looks at as many positions as `effort` says.
    #[inline(always)]
    pub(crate) fn search(&mut self, effort: Effort) -> Search<'_, R> {
        let Self { threes, fours, before, .. } = self;
        Search { threes, fours, before, effort }
    }
}

/// [`Chains`] with each table a pointer away, while a chunk is searched.
#[derive(Debug)]
pub(crate) struct Search<'a, R: Reach> {
    threes: &'a mut [R::Link; 1 << THREES],
    fours: &'a mut R::Roots,
    before: &'a mut R::Links,
    effort: Effort,
}

impl<R: Reach> Search<'_, R> {
    /// Enters `at`, and gives the places of the positions it follows: of three bytes, and of four.
    #[inline(always)]
    fn enter(&mut self, word: u32, own: R::Link) -> (usize, usize) {
        let three = &mut self.threes[hash3(word, THREES)];
        let four = &mut self.fours.as_mut()[hash4(word, R::HASHES)];
        let heads = (*three, *four);
        *three = own;
        *four = own;
        self.before.as_mut()[own.place() & (R::SIZE - 1)] = heads.1;
        (heads.0.place(), heads.1.place())
    }

    /// Enters `count` positions from `at` without looking for matches.
    #[inline(always)]
    pub(crate) fn skip(&mut self, text: View<'_, R>, at: usize, count: usize) {
        // One index serves for the text and the table.
        for own in (at..at + count).map(R::Link::to) {
            self.enter(text.word_ahead(own.place(), 0), own);
        }
    }

    /// The place of the position before that at `place` with the same hash. Places are as wide as a register:
    /// a link that is carried round a loop is widened again at each step (`xpress/encode/NOTES.md`).
    #[inline(always)]
    fn next(&self, place: usize) -> usize {
        self.before.as_ref()[place & (R::SIZE - 1)].place()
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
    ) -> Found {
        let word = text.word(at);
        let (three, four) = self.enter(word, R::Link::to(at));
        if max <= beyond {
            return Found::default();
        }
        let mut best = Best { length: beyond, place: 0 };
        if beyond < 3 {
            let is_same = (text.word_ahead(three, 0) ^ word) << 8 == 0;
            let place = std::hint::select_unpredictable(is_same, three, 0);
            best = Best { length: beyond + usize::from(place != 0), place };
        }
        let nice = self.effort.nice.min(max);
        // What has something already is searched for less.
        let depth = if beyond > 3 { self.effort.lazy } else { self.effort.depth };
        let here = Here { word, at, max, nice };
        if best.length > 3 {
            self.lengthen(text, here, four, depth, &mut best);
        } else if let Some(place) = self.first(text, word, four, depth)
            && !best.take(text, here, place)
        {
            self.lengthen(text, here, self.next(place), depth, &mut best);
        }
        if best.place == 0 {
            return Found::default();
        }
        Found { length: best.length, offset: at + 1 - best.place }
    }

    /// The first place from `place` on that has all four bytes.
    #[inline(always)]
    fn first(&self, text: View<'_, R>, word: u32, mut place: usize, depth: u32) -> Option<usize> {
        for _ in 0..depth / STRIDE {
            for _ in 0..STRIDE {
                if text.word_ahead(place, 0) == word {
                    return (place != 0).then_some(place);
                }
                place = self.next(place);
            }
            if place == 0 {
                return None;
            }
        }
        None
    }

    /// Looks from `place` on for matches that are longer than the best, which has at least three
    /// bytes.
    #[inline(always)]
    fn lengthen(
        &self,
        text: View<'_, R>,
        here: Here,
        mut place: usize,
        depth: u32,
        best: &mut Best,
    ) {
        let mut strides = depth / STRIDE;
        // Strides that end early count as well, so that no input makes this take long.
        for _ in 0..depth {
            // What has to be the same for a longer match, as one word.
            let tail = best.length - 3;
            let end = text.word(here.at + tail);
            'chain: loop {
                for _ in 0..STRIDE {
                    // Before the chunk, where a link that is none leads, is seldom what is sought.
                    if text.word_ahead(place, tail) == end && text.word_ahead(place, 0) == here.word
                    {
                        break 'chain;
                    }
                    place = self.next(place);
                }
                strides -= 1;
                if strides == 0 || place == 0 {
                    return;
                }
            }
            if place == 0 || best.take(text, here, place) {
                return;
            }
            place = self.next(place);
        }
    }
}

/// A position that matches are sought for.
#[derive(Clone, Copy)]
struct Here {
    /// The four bytes there.
    word: u32,
    at: usize,
    /// The longest that a match may be.
    max: usize,
    /// The length that is good enough.
    nice: usize,
}

/// The longest match so far, with its position plus one, which is 0 as long as there is none.
struct Best {
    length: usize,
    place: usize,
}

impl Best {
    /// Takes the match at `place`, four bytes of which are the same, if it is longer. Whether it is
    /// good enough.
    #[inline(always)]
    fn take<R: Reach>(&mut self, text: View<'_, R>, here: Here, place: usize) -> bool {
        let length = text.common(place - 1, here.at, 4, here.max);
        if length > self.length {
            *self = Self { length, place };
        }
        self.length >= here.nice
    }
}
