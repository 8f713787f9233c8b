//! Cuts a chunk into matches and literals while it searches: each match is put off by a byte as long
//! as a better one starts there.

use super::matches::{MAX_MATCH, Match, Recent};
use super::split::Splitter;
use crate::codec::cpu::Stage;
use crate::codec::encode::source::Source;
use crate::codec::encode::text::{Reach, Text, View, is_text};
use std::hint::cold_path;

/// Three bytes from further away cost more than three literals.
const FAR_FOR_THREE: usize = 1 << 13;
/// The same for text, whose literals cost less.
const FAR_FOR_THREE_OF_TEXT: usize = 1 << 8;
/// A match at a recent offset of this length is good enough: no other is searched.
const GOOD_RECENT: usize = 12;
/// What each byte of a match saves, in bits.
const BYTE: i32 = 6;
/// How much better a match has to be than one that starts a byte earlier, in bits.
const MARGIN: i32 = 3;
/// Where a chunk has had no match for this long, it looks like noise, and less of it is searched: of each lap
/// that is, so many times as much is passed over, neither searched nor entered.
const PATIENCE: usize = 512;
const LAP: usize = 64;
const MAX_PASSED: usize = 4;
/// Shortest room for a match: offsets that reach the chunk's start from nearer to its end than this
/// have no slot.
const MIN_ROOM: usize = 3;

/// A match that might be taken.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// 0 says that there is none.
    length: usize,
    offset: usize,
    /// How good it is: the bits that it saves.
    score: i32,
}

/// The best match at `at` that is at a recent offset or longer than `beyond` bytes, at least 2; one
/// of three bytes is nearer than `far`.
#[inline(always)]
fn candidate<R: Reach>(
    text: View<'_, R>,
    len: usize,
    source: &mut impl Source<R>,
    recent: Recent,
    at: usize,
    beyond: usize,
    far: usize,
) -> Candidate {
    let max = (len - at).min(MAX_MATCH);
    let mut best = Candidate { length: 0, offset: 0, score: 0 };
    let word = text.word(at);
    let starts_at =
        |offset: u32| u32::from(text.pair(at.wrapping_sub(offset as usize)) == word as u16);
    let [first, second, third] = recent.all().map(starts_at);
    let mut slots = first | second << 1 | third << 2;
    let mut beyond = beyond;
    while slots != 0 {
        let slot = slots.trailing_zeros() as usize;
        slots &= slots - 1;
        let offset = recent.at(slot) as usize;
        if offset > at {
            continue;
        }
        let length = text.common(at - offset, at, 2, max);
        if length > best.length {
            best = Candidate { length, offset, score: BYTE * length as i32 };
            beyond = beyond.max(length);
        }
    }
    if best.length >= GOOD_RECENT {
        source.skip(text, at, 1);
        return best;
    }
    let found = source.longest(text, at, beyond, max);
    let is_worth = found.length > 3 || (found.length == 3 && found.offset < far);
    if is_worth {
        let score = BYTE * found.length as i32 - 2 - found.offset.ilog2() as i32;
        if best.score < score {
            return Candidate { length: found.length, offset: found.offset, score };
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
    /// What is told of all matches and literals.
    pub(super) splitter: &'a mut Splitter,
}

impl<R: Reach, S: Source<R>> Stage for Parse<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Self { text, mut source, nice, matches, splitter } = self;
        splitter.start(text.len());
        parse(text, &mut source, nice, matches, splitter);
    }
}

#[inline(always)]
fn parse<R: Reach, S: Source<R>>(
    text: &Text<R>,
    source: &mut S,
    nice: usize,
    matches: &mut Vec<Match>,
    splitter: &mut Splitter,
) {
    let (len, text) = (text.len(), text.view());
    let mut recent = Recent::START;
    let far = if is_text(text, len) { FAR_FOR_THREE_OF_TEXT } else { FAR_FOR_THREE };
    let mut at = 0;
    while at + MIN_ROOM <= len {
        let mut best = candidate(text, len, source, recent, at, 2, far);
        if best.length == 0 {
            at += 1;
            splitter.literal(text.byte(at - 1), at, matches.len());
            if S::SEARCHES && at % LAP == 0 {
                cold_path();
                let quiet = at - matches.last().map_or(0, Match::end);
                let passed = (quiet / PATIENCE).min(MAX_PASSED) * LAP;
                for _ in 0..passed.min(len - at) {
                    at += 1;
                    splitter.literal(text.byte(at - 1), at, matches.len());
                }
            }
            continue;
        }
        let mut entered = at + 1;
        while best.length < nice && at + 1 + MIN_ROOM <= len {
            let beyond = (best.length - 1).max(2);
            let next = candidate(text, len, source, recent, at + 1, beyond, far);
            entered = at + 2;
            if next.score <= best.score + MARGIN {
                break;
            }
            at += 1;
            best = next;
            splitter.literal(text.byte(at - 1), at, matches.len());
        }
        let item = recent.code(at, best.length, best.offset);
        matches.push(item);
        splitter.matched(&item, matches.len());
        let end = at + best.length;
        source.skip(text, entered, end.saturating_sub(entered));
        at = end;
    }
    for at in at..len {
        splitter.literal(text.byte(at), at + 1, matches.len());
    }
}
