//! Cuts a chunk into matches and literals while it searches: each match is put off by a byte as long
//! as a better one starts there.

use super::matches::{MAX_MATCH, Match, Recent};
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::text::{Reach, Text};

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

/// The best match at `at`, which is entered into `chains`.
#[inline(always)]
fn candidate<R: Reach>(
    text: &Text<R>,
    chains: &mut Chains<R>,
    recent: &Recent,
    at: usize,
    effort: Effort,
) -> Option<Candidate> {
    let max = (text.len() - at).min(MAX_MATCH);
    let mut best: Option<Candidate> = None;
    let word = text.word(at);
    for &offset in &recent.0 {
        let offset = offset as usize;
        if offset <= at && (text.word(at - offset) ^ word) as u16 == 0 {
            let length = text.common(at - offset, at, 2, max);
            if best.is_none_or(|best| best.length < length) {
                best = Some(Candidate { length, offset, score: 4 * length as i32 });
            }
        }
    }
    let beyond = best.map_or(2, |best| best.length);
    let found = chains.longest(text, at, beyond, max, effort);
    let is_worth = found.length > 3 || (found.length == 3 && found.offset < FAR_FOR_THREE);
    if is_worth {
        let score = 4 * found.length as i32 - 2 - found.offset.ilog2() as i32 / 2;
        if best.is_none_or(|best| best.score < score) {
            return Some(Candidate { length: found.length, offset: found.offset, score });
        }
    }
    best
}

/// Cuts the chunk into `matches`; `chains` is empty.
pub(super) fn parse<R: Reach>(
    text: &Text<R>,
    chains: &mut Chains<R>,
    effort: Effort,
    matches: &mut Vec<Match>,
) {
    let mut recent = Recent::START;
    let mut at = 0;
    while at + MIN_ROOM <= text.len() {
        let Some(mut best) = candidate(text, chains, &recent, at, effort) else {
            at += 1;
            continue;
        };
        let mut entered = at + 1;
        while best.length < effort.nice && at + 1 + MIN_ROOM <= text.len() {
            let next = candidate(text, chains, &recent, at + 1, effort);
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
        chains.skip(text, entered, end.saturating_sub(entered));
        at = end;
    }
}
