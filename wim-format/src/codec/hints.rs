//! The matches of a chunk as it was encoded before, for who encodes it anew.

use std::ops::Range;

use super::recent::{NEW, Offsets, Recent};
use super::sequences::Sequences;

/// Larger chunks have no hints: places and offsets are kept in sixteen bits each.
pub(crate) const LARGEST: usize = 1 << 16;
/// Of so many matches one is a pair, at least, where an encoder has weighed what each costs.
const A_PAIR_IN: usize = 512;
/// What is so far behind a match is searched even if there was none: nothing says that all that can be found has
/// been.
const FAR: usize = 64;

/// Where the matches of a chunk began and how far back they led when it was encoded before.
///
/// A decoder of LZX finds them on its way ([`Decoder::decode_many_with_hints`]), and an encoder of
/// XPRESS begins with them instead of searching everything again
/// ([`Encoder::encode_with_hints`]). They are hints: what is encoded is what the bytes say.
///
/// [`Decoder::decode_many_with_hints`]: super::Decoder::decode_many_with_hints
/// [`Encoder::encode_with_hints`]: super::Encoder::encode_with_hints
#[derive(Debug, Clone, Default)]
pub struct Hints {
    matches: Vec<Hint>,
    /// How many of the matches have two bytes and an offset that is new.
    pairs: usize,
    /// How many may be kept, or none.
    most: usize,
    /// Where the last one ends.
    end: usize,
}

/// A match; at no distance a stretch far behind one, of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hint {
    place: u16,
    length: u16,
    offset: u16,
}

impl Hint {
    /// Where it begins and ends.
    #[inline(always)]
    pub(crate) fn range(self) -> Range<usize> {
        let place = usize::from(self.place);
        place..place + usize::from(self.length)
    }

    /// How far back it leads, or 0.
    #[inline(always)]
    pub(crate) fn offset(self) -> usize {
        self.offset.into()
    }
}

impl Hints {
    /// None.
    pub const NONE: &Self = &Self { matches: Vec::new(), pairs: 0, most: 0, end: 0 };

    /// Forgets all, for a chunk of `len` bytes. With a match for every four of them there is nothing to
    /// gain, and much to keep.
    pub(crate) fn clear(&mut self, len: usize) {
        self.matches.clear();
        (self.pairs, self.end) = (0, 0);
        self.most = len / 4;
    }

    /// Adds the first `matches` of a batch that was written from `at` on, with these recent offsets
    /// before it, in a chunk of no more than [`LARGEST`] bytes.
    pub(crate) fn extend(
        &mut self,
        sequences: &Sequences,
        matches: usize,
        mut at: usize,
        mut recent: Recent,
    ) {
        if self.matches.len() + matches > self.most {
            self.matches.clear();
            self.most = 0;
        }
        let matches = matches.min(self.most);
        // Of the literals, among which a match has a byte.
        let mut end = None;
        for i in 0..matches {
            let own = usize::from(sequences.ends[i]);
            let place = at + own - end.replace(own).map_or(0, |end| end + 1);
            if place > self.end + FAR {
                self.push(self.end + FAR..place, 0);
            }
            let (source, length) = (sequences.sources[i], sequences.lengths[i]);
            at = place + length as usize;
            self.push(place..at, recent.next(source, sequences.offsets[i]));
            self.pairs += usize::from(length == 2 && source == NEW);
            self.end = at;
        }
    }

    #[inline(always)]
    fn push(&mut self, range: Range<usize>, offset: u32) {
        let (place, length) = (range.start as u16, range.len() as u16);
        self.matches.push(Hint { place, length, offset: offset as u16 });
    }

    /// From where on there are none.
    pub(crate) fn rest(&self) -> usize {
        self.end + FAR
    }

    /// Whether an encoder that weighs what matches cost has chosen them. One that takes what is
    /// longest, and puts it off for what is longer, takes no pair with a new offset: neither do
    /// wimlib's levels up to 34 and our fast one. All others have, in 19 of 20 chunks, more than one
    /// in 450 matches.
    #[must_use]
    pub fn are_weighed(&self) -> bool {
        !self.matches.is_empty() && self.pairs * A_PAIR_IN >= self.matches.len()
    }

    /// These, of which so much may be wrong as there is.
    #[cfg(test)]
    pub(crate) fn of(matches: &[(u16, u16, u16)]) -> Self {
        let hint = |&(place, length, offset)| Hint { place, length, offset };
        let matches: Vec<Hint> = matches.iter().map(hint).collect();
        let end = matches.last().map_or(0, |hint| hint.range().end);
        Self { pairs: matches.len(), most: matches.len(), end, matches }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Hint> {
        self.matches.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_match_for_four_bytes_is_not_kept() {
        let mut sequences = Sequences::new();
        for match_ in 0..200 {
            sequences.ends[match_] = 2 * match_ as u16 + 1;
            sequences.lengths[match_] = 3;
            sequences.offsets[match_] = 1 + match_ as u32;
        }
        let mut hints = Hints::default();
        hints.clear(1600);
        hints.extend(&sequences, 200, 0, Recent::START);
        assert_eq!(hints.iter().count(), 200);
        let last = hints.iter().last().expect("the last");
        assert_eq!((last.range(), last.offset()), (797..800, 200));
        hints.extend(&sequences, 200, 800, Recent::START);
        assert_eq!(hints.iter().count(), 400);
        hints.extend(&sequences, 1, 1600, Recent::START);
        hints.extend(&sequences, 1, 1604, Recent::START);
        assert_eq!(hints.iter().count(), 0, "too many, then and later");
    }
}
