//! Finds earlier occurrences through binary search trees: for each hash of four bytes a tree of the
//! positions that have it, sorted by the bytes that follow, the latest position at the root.
//!
//! Entering a position rearranges its tree, and passes the nearest match of each length on the way.

use super::chains::{Effort, hash3, hash4};
use super::matches::Room;
use super::text::{Link, Reach, View, boxed};
use crate::codec::cpu::prefetch;

/// Log2 of the number of hashes of two bytes.
const TWOS: u32 = 13;
/// Log2 of the number of hashes of three bytes.
const THREES: u32 = 15;
/// Two bytes from further away cost more than two literals.
const FAR_FOR_TWO: usize = 1 << 11;

/// The latest position of each two and three bytes, and the trees.
#[derive(Debug)]
pub(crate) struct Trees<R: Reach> {
    twos: Box<[R::Link; 1 << TWOS]>,
    threes: Box<[R::Link; 1 << THREES]>,
    roots: Box<R::Roots>,
    /// For each position the subtrees of those that sort before and behind it.
    sides: Box<R::Pairs>,
}

impl<R: Reach> Trees<R> {
    pub(crate) fn new() -> Self {
        Self { twos: boxed(), threes: boxed(), roots: R::roots(), sides: R::pairs() }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.twos.fill(R::Link::default());
        self.threes.fill(R::Link::default());
        self.roots.as_mut().as_mut().fill(R::Link::default());
    }

    /// Enters `at` and adds to `room`, for each length that there is up to `max`, the nearest
    /// match, in ascending order.
    #[inline(always)]
    pub(crate) fn find(
        &mut self,
        text: View<'_, R>,
        at: usize,
        max: usize,
        shortest: usize,
        effort: Effort,
        room: &mut Room<'_>,
    ) {
        let word = text.word(at);
        let two = &mut self.twos[hash3(word << 8 & 0xFF_FFFF, TWOS)];
        let three = &mut self.threes[hash3(word, THREES)];
        let (from_two, from_three) = (two.get(), three.get());
        *two = R::Link::to(at);
        *three = R::Link::to(at);
        // Where there is none, the position itself is looked at, and is at no distance.
        let (from_two, from_three) = (from_two.unwrap_or(at), from_three.unwrap_or(at));
        let is_two = shortest == 2
            && (from_two != from_three)
                & (at.wrapping_sub(from_two).wrapping_sub(1) < FAR_FOR_TWO - 1)
                & ((text.word(from_two) ^ word) as u16 == 0);
        room.push(is_two, 2, at.wrapping_sub(from_two));
        let is_three = (from_three != at) & ((text.word(from_three) ^ word) << 8 == 0);
        room.push(is_three, 3, at.wrapping_sub(from_three));
        let mut best = 3;
        self.descend(text, at, word, max, effort, |length, offset| {
            room.push(length > best, length, offset);
            best = best.max(length);
        });
    }

    /// Asks for what entering the two positions behind `at` will read first: the tables are larger
    /// than the first-level cache, and whenever a branch is guessed wrongly, what comes next waits.
    #[inline(always)]
    pub(crate) fn expect(&self, text: View<'_, R>, at: usize) {
        let word = text.word(at + 2);
        prefetch(self.roots.as_ref().as_ref(), hash4(word, R::HASHES));
        prefetch(&self.threes[..], hash3(word, THREES));
        let link = self.roots.as_ref().as_ref()[hash4(text.word(at + 1), R::HASHES)];
        prefetch(self.sides.as_ref().as_ref(), link.place().wrapping_sub(1));
    }

    /// Enters `at`.
    #[inline(always)]
    pub(crate) fn skip(&mut self, text: View<'_, R>, at: usize, max: usize, effort: Effort) {
        let word = text.word(at);
        self.twos[hash3(word << 8 & 0xFF_FFFF, TWOS)] = R::Link::to(at);
        self.threes[hash3(word, THREES)] = R::Link::to(at);
        self.descend(text, at, word, max, effort, |_, _| ());
    }

    /// Makes `at` the root of its tree, and what was in the tree its sides. The length and the offset
    /// of each match on the way are `found`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn descend(
        &mut self,
        text: View<'_, R>,
        at: usize,
        word: u32,
        max: usize,
        effort: Effort,
        mut found: impl FnMut(usize, usize),
    ) {
        let mask = R::SIZE - 1;
        let root = &mut self.roots.as_mut().as_mut()[hash4(word, R::HASHES)];
        let mut link = *root;
        *root = R::Link::to(at);
        let sides = self.sides.as_mut().as_mut().as_flattened_mut();
        let sides = &mut sides[..2 * R::SIZE];
        let nice = effort.nice.min(max);
        // Where the next position on either side goes, and the bytes it has in common with `at`.
        let (mut before, mut behind) = (2 * (at & mask), 2 * (at & mask) + 1);
        let (mut known_before, mut known_behind) = (0, 0);
        let mut depth = effort.depth;
        loop {
            let Some(from) = link.get().filter(|_| depth > 0) else {
                sides[before] = R::Link::default();
                sides[behind] = R::Link::default();
                return;
            };
            depth -= 1;
            let from = from & mask;
            let known = known_before.min(known_behind);
            let (length, is_before) = text.compare(from, at, known, max);
            found(length, at.wrapping_sub(from));
            if length >= nice {
                sides[before] = sides[2 * from];
                sides[behind] = sides[2 * from + 1];
                return;
            }
            if is_before {
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
    }
}
