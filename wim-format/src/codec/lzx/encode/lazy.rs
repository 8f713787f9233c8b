//! Cuts a chunk into matches and literals while it searches: each match is put off by a byte as long
//! as a better one starts there.

use super::matches::{MAX_MATCH, Match, Recent};
use crate::codec::cpu::Stage;
use crate::codec::encode::source::Source;
use crate::codec::encode::text::{Reach, Text, View};

/// Three bytes from further away cost more than three literals.
const FAR_FOR_THREE: usize = 1 << 12;
/// Shortest room for a match: offsets that reach the chunk's start from nearer to its end than this
/// have no slot.
const MIN_ROOM: usize = 3;

/// A match that might be taken.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    length: usize,
    offset: usize,
    /// How good it is, in quarters of a byte.
    score: i32,
}

/// The best match at `at` that is at a recent offset or longer than `beyond` bytes, at least 2.
#[inline(always)]
fn candidate<R: Reach>(
    text: View<'_, R>,
    len: usize,
    source: &mut impl Source<R>,
    recent: &Recent,
    at: usize,
    beyond: usize,
) -> Option<Candidate> {
    let max = (len - at).min(MAX_MATCH);
    let mut best: Option<Candidate> = None;
    let word = text.word(at);
    for offset in recent.all() {
        let offset = offset as usize;
        if offset <= at && (text.word(at - offset) ^ word) as u16 == 0 {
            let length = text.common(at - offset, at, 2, max);
            if best.is_none_or(|best| best.length < length) {
                best = Some(Candidate { length, offset, score: 4 * length as i32 });
            }
        }
    }
    let beyond = best.map_or(beyond, |best| best.length.max(beyond));
    let found = source.longest(text, at, beyond, max);
    let is_worth = found.length > 3 || (found.length == 3 && found.offset < FAR_FOR_THREE);
    if is_worth {
        let score = 4 * found.length as i32 - 2 - found.offset.ilog2() as i32 / 2;
        if best.is_none_or(|best| best.score < score) {
            return Some(Candidate { length: found.length, offset: found.offset, score });
        }
    }
    best
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
    let mut recent = Recent::START;
    let mut at = 0;
    while at + MIN_ROOM <= len {
        let Some(mut best) = candidate(text, len, source, &recent, at, 2) else {
            at += 1;
            continue;
        };
        let mut entered = at + 1;
        while best.length < nice && at + 1 + MIN_ROOM <= len {
            let next = candidate(text, len, source, &recent, at + 1, (best.length - 1).max(2));
            entered = at + 2;
            match next {
                Some(next) if next.score > best.score => {
                    at += 1;
                    best = next;
                }
                _ => break,
            }
        }
        matches.push(recent.code(at, best.length, best.offset));
        let end = at + best.length;
        source.skip(text, entered, end.saturating_sub(entered));
        at = end;
    }
}
