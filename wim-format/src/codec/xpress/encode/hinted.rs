//! Cuts a chunk into matches and literals by the matches that it had in LZX.
//!
//! Where these were weighed, most of them are as good here. XPRESS pays more for what is at a recent offset or
//! short, so that another match is looked for where one begins, but none where there is none, and none is put
//! off. Of a long one the first positions are entered, which is where others begin as well. Against the
//! [`lazy`](super::lazy) choice this takes four fifths of the time and gives up to 0.6 % less (`NOTES.md`, "Hints").

use super::items::Items;
use super::lazy::{far_for_three, score};
use crate::codec::cpu::Stage;
use crate::codec::encode::chains::Found;
use crate::codec::encode::source::Source;
use crate::codec::encode::text::{Reach, Text};
use crate::codec::hints::Hints;
use crate::codec::xpress::MIN_MATCH;

/// Of the positions within a match so many are entered.
const ENTERED: usize = 16;

/// Cuts the chunk into `items`; where there is a match of `nice` bytes, no other is looked for.
#[derive(Debug)]
pub(super) struct Parse<'a, R: Reach, S: Source<R>> {
    pub(super) text: &'a Text<R>,
    pub(super) source: S,
    pub(super) nice: usize,
    pub(super) hints: &'a Hints,
    pub(super) items: &'a mut Items,
}

impl<R: Reach, S: Source<R>> Stage for Parse<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text, mut source, nice, hints, items } = self;
        parse(text, &mut source, nice, hints, items);
    }
}

#[inline(always)]
fn parse<R: Reach>(
    text: &Text<R>,
    source: &mut impl Source<R>,
    nice: usize,
    hints: &Hints,
    items: &mut Items,
) {
    let (len, far, text) = (text.len(), far_for_three(text), text.view());
    let rest = (hints.rest().min(len)..len, 0);
    let mut hints = hints.iter();
    let mut next = || hints.next().map_or(rest.clone(), |hint| (hint.range(), hint.offset()));
    let (mut range, mut offset) = next();
    let mut at = 0;
    while at + MIN_MATCH <= len {
        while range.end <= at {
            (range, offset) = next();
        }
        if at < range.start {
            source.skip(text, at, 1);
            items.literal(text.byte(at));
            at += 1;
            continue;
        }
        // Also what is left of it, behind another match or a translated call.
        let mut best = Found::default();
        if (1..=at).contains(&offset) {
            best = Found { length: text.common(at - offset, at, 0, len - at), offset };
        }
        if best.length < nice {
            let beyond = best.length.max(MIN_MATCH) - 1;
            let found = source.longest(text, at, beyond, len - at);
            if score(found, far) > score(best, far) {
                best = found;
            }
        } else {
            source.skip(text, at, 1);
        }
        if score(best, far) > 0 {
            items.matched(best.length, best.offset);
            source.skip(text, at + 1, (best.length - 1).min(ENTERED));
            at += best.length;
        } else {
            items.literal(text.byte(at));
            at += 1;
        }
    }
    items.literals(text, at..len);
}
