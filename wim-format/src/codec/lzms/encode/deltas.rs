//! Finds earlier places where bytes change as they do here: for each span the latest position of each
//! four differences between bytes that lie a span apart.

use super::state::DeltaSource;
use super::trees::{PAD, word};
use crate::codec::encode::chains::hash4;
use crate::codec::encode::text::boxed;
use crate::codec::lzms::slots::POWERS;

/// Log2 of the number of hashes.
const ORDER: u32 = 16;
/// Shorter matches cost more than they save.
pub(super) const SHORTEST: usize = 4;

/// The latest positions, plus one.
#[derive(Debug)]
pub(super) struct Deltas {
    latest: Box<[u32; 1 << ORDER]>,
}

/// An earlier place.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundDelta {
    pub(super) length: usize,
    pub(super) source: DeltaSource,
}

/// Joins the two parts of a delta match's source.
#[inline(always)]
pub(super) const fn join(power: u32, offset: u32) -> DeltaSource {
    offset << 3 | power
}

/// The span of a source, and how many bytes it is back.
#[inline(always)]
pub(super) fn place(source: DeltaSource) -> (usize, usize) {
    let power = source & 7;
    (1 << power, (source as usize >> 3) << power)
}

/// Subtracts byte by byte.
#[inline(always)]
const fn subtract(a: u64, b: u64) -> u64 {
    const TOPS: u64 = 0x8080_8080_8080_8080;
    ((a | TOPS) - (b & !TOPS)) ^ ((a ^ !b) & TOPS)
}

/// Eight differences of bytes a span apart.
#[inline(always)]
fn differences(text: &[u8], at: usize, span: usize) -> u64 {
    let long = |at: usize| text[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    subtract(long(at), long(at - span))
}

/// How many bytes from `at` on change as those `distance` before, both a span apart; at most `max`.
#[inline(always)]
pub(super) fn common(text: &[u8], at: usize, span: usize, distance: usize, max: usize) -> usize {
    let mut length = 0;
    while length < max {
        let here = differences(text, at + length, span);
        let unlike = here ^ differences(text, at + length - distance, span);
        if unlike != 0 {
            return (length + unlike.trailing_zeros() as usize / 8).min(max);
        }
        length += 8;
    }
    max
}

impl Deltas {
    pub(super) fn new() -> Self {
        Self { latest: boxed() }
    }

    /// Starts a chunk.
    pub(super) fn reset(&mut self) {
        self.latest.fill(0);
    }

    /// Enters `at`, and gives the longest delta match there of a power below `powers`
    /// that is longer than `beyond`.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        text: &[u8],
        at: usize,
        powers: u32,
        beyond: usize,
        max: usize,
    ) -> Option<FoundDelta> {
        if max < SHORTEST {
            return None;
        }
        let mut best = None;
        let mut longest = beyond.max(SHORTEST - 1);
        let latest = self.enter(text, at, powers);
        for (power, latest) in (0..).zip(latest) {
            let Some(from) = (latest as usize).checked_sub(1) else { continue };
            let (span, distance) = (1 << power, at - from);
            if from < span || distance == 0 || distance & (span - 1) != 0 {
                continue;
            }
            let length = common(text, at, span, distance, max);
            if length > longest {
                longest = length;
                best = Some(FoundDelta { length, source: join(power, (distance >> power) as u32) });
            }
        }
        best
    }

    /// Enters `at` for each power below `powers`, and gives the positions before it. All are asked for
    /// before any is looked at, so that waiting for them overlaps.
    #[inline(always)]
    fn enter(&mut self, text: &[u8], at: usize, powers: u32) -> [u32; POWERS] {
        let here = word(text, at);
        let mut latest = [0; POWERS];
        for (power, latest) in (0..powers).zip(&mut latest) {
            let span = 1 << power;
            if span > at {
                break;
            }
            let changes = subtract(here.into(), word(text, at - span).into()) as u32;
            let phase = power + (at & (span - 1)) as u32 * POWERS as u32;
            let hash = hash4(changes ^ phase.wrapping_mul(0x85EB_CA6B), ORDER);
            let before = std::mem::replace(&mut self.latest[hash], at as u32 + 1);
            // Where nothing changes, an LZ match does as well.
            *latest = if changes == 0 { 0 } else { before };
        }
        latest
    }
}

const _: () = assert!(PAD >= 8);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_subtracted_one_by_one(a: [u8; 8], b: [u8; 8]) {
            let mut expected = [0; 8];
            for i in 0..8 {
                expected[i] = a[i].wrapping_sub(b[i]);
            }
            let difference = subtract(u64::from_le_bytes(a), u64::from_le_bytes(b));
            prop_assert_eq!(difference.to_le_bytes(), expected);
        }
    }
}
