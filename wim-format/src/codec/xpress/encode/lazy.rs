//! Cuts a chunk into matches and literals while it searches: each match is put off by a byte as long
//! as a better one starts there.

use super::Match;
use crate::codec::cpu::Stage;
use crate::codec::encode::chains::Found;
use crate::codec::encode::source::Source;
use crate::codec::encode::text::{Reach, Text};
use crate::codec::xpress::MIN_MATCH;

/// Three bytes from further away cost more than three literals.
const FAR_FOR_THREE: usize = 1 << 12;

/// How good a match is, in quarters of a byte; 0 for none.
#[inline(always)]
fn score(found: Found) -> i32 {
    if found.length < 3 || (found.length == 3 && found.offset >= FAR_FOR_THREE) {
        return 0;
    }
    4 * found.length as i32 - found.offset.ilog2() as i32 / 2
}

/// Cuts the chunk into `matches`; those of `nice` bytes are not put off.
#[derive(Debug)]
pub(super) struct Parse<'a, R: Reach, S: Source<R>> {
    pub(super) text: &'a Text<R>,
    pub(super) source: S,
    pub(super) nice: usize,
    pub(super) matches: &'a mut Vec<Match>,
}

impl<R: Reach, S: Source<R>> Stage for Parse<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text, mut source, nice, matches } = self;
        parse(text, &mut source, nice, matches);
    }
}

#[inline(always)]
fn parse<R: Reach>(
    text: &Text<R>,
    source: &mut impl Source<R>,
    nice: usize,
    matches: &mut Vec<Match>,
) {
    let (len, text) = (text.len(), text.view());
    let mut at = 0;
    while at + MIN_MATCH <= len {
        let mut best = source.longest(text, at, MIN_MATCH - 1, len - at);
        let mut best_score = score(best);
        if best_score == 0 {
            at += 1;
            continue;
        }
        let mut entered = at + 1;
        while best.length < nice && at + 1 + MIN_MATCH <= len {
            let beyond = best.length - 1;
            let next = source.longest(text, at + 1, beyond, len - at - 1);
            entered = at + 2;
            let next_score = score(next);
            if next_score <= best_score + 1 {
                break;
            }
            at += 1;
            best = next;
            best_score = next_score;
        }
        let (length, offset) = (best.length as u32, best.offset as u32);
        matches.push(Match { at: at as u32, length, offset });
        let end = at + best.length;
        source.skip(text, entered, end.saturating_sub(entered));
        at = end;
    }
}
