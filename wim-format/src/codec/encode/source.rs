//! Where parsers that choose as they go get their matches from.

use super::chains::{Chains, Effort, Found};
use super::matches::{Lists, unpack};
use super::text::{Reach, View};

/// Where matches come from.
pub(crate) trait Source<R: Reach> {
    /// The longest match at `at` that is longer than `beyond`, if there is one.
    fn longest(&mut self, text: View<'_, R>, at: usize, beyond: usize, max: usize) -> Found;
    /// Leaves out `count` positions from `at`.
    fn skip(&mut self, text: View<'_, R>, at: usize, count: usize);
}

/// Searches on the way.
#[derive(Debug)]
pub(crate) struct Search<'a, R: Reach> {
    pub(crate) chains: &'a mut Chains<R>,
    pub(crate) effort: Effort,
}

impl<R: Reach> Source<R> for Search<'_, R> {
    #[inline(always)]
    fn longest(&mut self, text: View<'_, R>, at: usize, beyond: usize, max: usize) -> Found {
        // What has something already is searched for less.
        let depth = if beyond > 3 { self.effort.depth / 2 } else { self.effort.depth };
        self.chains.longest(text, at, beyond, max, Effort { depth, ..self.effort })
    }

    #[inline(always)]
    fn skip(&mut self, text: View<'_, R>, at: usize, count: usize) {
        self.chains.skip(text, at, count);
    }
}

impl<R: Reach> Source<R> for Lists<'_> {
    #[inline(always)]
    fn longest(&mut self, _: View<'_, R>, at: usize, beyond: usize, _: usize) -> Found {
        let longest = self.at(at).last().map_or(Found::default(), |&packed| unpack(packed));
        if longest.length > beyond { longest } else { Found::default() }
    }

    #[inline(always)]
    fn skip(&mut self, _: View<'_, R>, _: usize, _: usize) {}
}
