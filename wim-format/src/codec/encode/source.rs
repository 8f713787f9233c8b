//! Where parsers that choose as they go get their matches from.

use super::chains::{Found, Search};
use super::matches::{Lists, unpack};
use super::text::{Reach, View};

/// Where matches come from.
pub(crate) trait Source<R: Reach> {
    /// Whether matches are sought when they are asked for, which takes time.
    const SEARCHES: bool;

    /// The longest match at `at` that is longer than `beyond`, if there is one.
    fn longest(&mut self, text: View<'_, R>, at: usize, beyond: usize, max: usize) -> Found;
    /// Leaves out `count` positions from `at`.
    fn skip(&mut self, text: View<'_, R>, at: usize, count: usize);
}

impl<R: Reach> Source<R> for Search<'_, R> {
    const SEARCHES: bool = true;

    #[inline(always)]
    fn longest(&mut self, text: View<'_, R>, at: usize, beyond: usize, max: usize) -> Found {
        Search::longest(self, text, at, beyond, max)
    }

    #[inline(always)]
    fn skip(&mut self, text: View<'_, R>, at: usize, count: usize) {
        Search::skip(self, text, at, count);
    }
}

impl<R: Reach> Source<R> for Lists<'_> {
    const SEARCHES: bool = false;

    #[inline(always)]
    fn longest(&mut self, _: View<'_, R>, at: usize, beyond: usize, _: usize) -> Found {
        let longest = self.at(at).last().map_or(Found::default(), |&packed| unpack(packed));
        if longest.length > beyond { longest } else { Found::default() }
    }

    #[inline(always)]
    fn skip(&mut self, _: View<'_, R>, _: usize, _: usize) {}
}
