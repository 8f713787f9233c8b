//! Cuts a chunk into matches and literals while it searches: each match is put off by a byte as long
//! as a better one starts there.

use super::items::Items;
use crate::codec::cpu::Stage;
use crate::codec::encode::chains::Found;
use crate::codec::encode::source::Source;
use crate::codec::encode::text::{Reach, Text, is_text};
use crate::codec::xpress::MIN_MATCH;

/// Three bytes from further away cost more than three literals.
const FAR_FOR_THREE: usize = 1 << 12;
/// The same for text, whose literals cost less.
const FAR_FOR_THREE_OF_TEXT: usize = 1 << 8;
/// What each byte of a match saves, in bits, without what a symbol takes.
const BYTE: i32 = 4;
/// How much better a match has to be than one that starts a byte earlier, in bits.
const MARGIN: i32 = 1;

/// How good a match is, in bits; 0 for none. One of three bytes is nearer than `far`.
#[inline(always)]
pub(super) fn score(found: Found, far: usize) -> i32 {
    if found.length < 3 || (found.length == 3 && found.offset >= far) {
        return 0;
    }
    BYTE * found.length as i32 - found.offset.ilog2() as i32
}

/// How near a match of three bytes of this chunk has to be.
pub(super) fn far_for_three<R: Reach>(text: &Text<R>) -> usize {
    if is_text(text.view(), text.len()) { FAR_FOR_THREE_OF_TEXT } else { FAR_FOR_THREE }
}

/// Cuts the chunk into `items`; matches of `nice` bytes are not put off.
#[derive(Debug)]
pub(super) struct Parse<'a, R: Reach, S: Source<R>> {
    pub(super) text: &'a Text<R>,
    pub(super) source: S,
    pub(super) nice: usize,
    pub(super) items: &'a mut Items,
}

impl<R: Reach, S: Source<R>> Stage for Parse<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text, mut source, nice, items } = self;
        parse(text, &mut source, nice, items);
    }
}

#[inline(always)]
fn parse<R: Reach>(text: &Text<R>, source: &mut impl Source<R>, nice: usize, items: &mut Items) {
    let (len, far, text) = (text.len(), far_for_three(text), text.view());
    let mut at = 0;
    while at + MIN_MATCH <= len {
        let mut best = source.longest(text, at, MIN_MATCH - 1, len - at);
        let mut best_score = score(best, far);
        if best_score == 0 {
            items.literal(text.byte(at));
            at += 1;
            continue;
        }
        let mut entered = at + 1;
        while best.length < nice && at + 1 + MIN_MATCH <= len {
            let beyond = best.length - 1;
            let next = source.longest(text, at + 1, beyond, len - at - 1);
            entered = at + 2;
            let next_score = score(next, far);
            if next_score <= best_score + MARGIN {
                break;
            }
            items.literal(text.byte(at));
            at += 1;
            best = next;
            best_score = next_score;
        }
        items.matched(best.length, best.offset);
        let end = at + best.length;
        source.skip(text, entered, end.saturating_sub(entered));
        at = end;
    }
    items.literals(text, at..len);
}
