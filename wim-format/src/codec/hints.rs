//! The matches of a chunk as it was encoded before, for who encodes it anew.

use std::ops::Range;

use super::recent::{NEW, Offsets, Recent};
use super::sequences::Sequences;

/// Larger chunks have no hints: places and offsets are kept in sixteen bits each.
pub(crate) const LARGEST: usize = 1 << 16;
/// Of so many matches one is a pair, at least, where an encoder has weighed what each costs.
const A_PAIR_IN: usize = 512;

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
}

/// A match.
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

    /// How far back it leads.
    #[inline(always)]
    pub(crate) fn offset(self) -> usize {
        self.offset.into()
    }
}

impl Hints {
    /// None.
    pub const NONE: &Self = &Self { matches: Vec::new(), pairs: 0, most: 0 };

    /// Forgets all, for a chunk of `len` bytes. With a match for every four of them there is nothing to
    /// gain, and much to keep.
    pub(crate) fn clear(&mut self, len: usize) {
        self.matches.clear();
        self.pairs = 0;
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
        let mut end = None;
        let ends = &sequences.ends[..matches];
        let sources = sequences.sources[..matches].iter().zip(&sequences.offsets[..matches]);
        let hints = ends.iter().zip(&sequences.lengths[..matches]).zip(sources);
        self.matches.extend(hints.map(|((&own, &length), (&source, &offset))| {
            // A match has a byte among the literals.
            let before = end.replace(usize::from(own)).map_or(0, |end| end + 1);
            let place = at + usize::from(own) - before;
            at = place + length as usize;
            self.pairs += usize::from(length == 2 && source == NEW);
            let offset = recent.next(source, offset);
            Hint { place: place as u16, length: length as u16, offset: offset as u16 }
        }));
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
        Self { pairs: matches.len(), most: matches.len(), matches }
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
