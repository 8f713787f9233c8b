//! From values of symbols to sequences of literals and matches with known sources.

use super::batch::{Batch, MAX_ITEMS, MAX_SYMBOLS, Sequence, Source};
use super::items::{Item, Match, NEW};
use crate::DecodeError;
use crate::codec::cpu::prefetch;
use std::hint::select_unpredictable;

/// Offsets of earlier matches, the latest first. Only three can be repeated at any time.
#[derive(Debug)]
pub(super) struct Recent {
    lz: [u32; 4],
    delta: [DeltaSource; 4],
}

impl Recent {
    /// State at the start of a chunk.
    pub(super) const START: Self = Self {
        lz: [1, 2, 3, 4],
        delta: [
            DeltaSource { power: 0, offset: 1 },
            DeltaSource { power: 0, offset: 2 },
            DeltaSource { power: 0, offset: 3 },
            DeltaSource { power: 0, offset: 4 },
        ],
    };
}

/// A delta match's source: bytes `1 << power` apart, `offset << power` back.
#[derive(Debug, Clone, Copy)]
struct DeltaSource {
    power: u32,
    offset: u32,
}

impl DeltaSource {
    /// The source in bytes for a match at `at`. If it begins before the output, it becomes one
    /// that any position rejects.
    fn locate(self, at: usize) -> Source {
        let (span, distance) = (1 << (self.power & 31), u64::from(self.offset) << self.power);
        match u32::try_from(distance) {
            Ok(distance) if u64::from(span) + u64::from(distance) <= at as u64 => {
                Source { distance, span }
            }
            _ => Source { distance: u32::MAX, span },
        }
    }
}

/// Moves what is at `place` to the front of a queue, or puts `new` there and drops the last, and
/// returns it. There are no branches: places are as good as random.
#[inline(always)]
fn move_to_front<T: Copy>(queue: &mut [T; 4], place: u8, new: T) -> T {
    let [a, b, c, d] = *queue;
    let old = select_unpredictable(place == 0, a, select_unpredictable(place == 1, b, c));
    let last = select_unpredictable(place == 3, d, new);
    let front = select_unpredictable(place < 3, old, last);
    *queue = [
        front,
        select_unpredictable(place == 0, b, a),
        select_unpredictable(place < 2, c, b),
        select_unpredictable(place < 3, d, c),
    ];
    front
}

impl Recent {
    /// Makes sequences of the batch's items, or of fewer if an output of as many bytes as `dst` is
    /// full before. Position `at` is where the batch begins. All sequences lie within the output,
    /// and so do their sources; only the last one's literals may go beyond the end.
    #[inline(always)]
    pub(super) fn locate(
        &mut self,
        batch: &mut Batch,
        dst: &[u8],
        mut at: usize,
    ) -> Result<(), DecodeError> {
        let size = dst.len();
        let Batch { items, item_count, values, sequences, sequence_count, .. } = batch;
        let count = (*item_count).min(MAX_ITEMS);
        let mut queue = self.lz;
        let mut symbol = 0;
        *sequence_count = count;
        for i in 0..count {
            let item = &items[i];
            let (literals, first) = (item.literals, symbol as u16);
            at += usize::from(literals);
            symbol += usize::from(literals);
            let own = symbol & (MAX_SYMBOLS - 1);
            let (one, two) = (values[own], values[own + 1]);
            let new = item.place == NEW;
            let (source, length);
            if (item.then as u8) < Match::Delta as u8 {
                let distance = move_to_front(&mut queue, item.place, one);
                source = Source { distance, span: 0 };
                length = select_unpredictable(new, two, one);
                symbol += 1 + usize::from(new);
            } else if item.then == Match::None {
                sequences[i] = Sequence::literals(literals, first);
                continue;
            } else {
                source = self.delta_source(item, [one, two], at);
                length = if new { values[own + 2] } else { one };
                symbol += if new { 3 } else { 1 };
            }
            let end = at + length as usize;
            if source.distance as usize > at || end > size {
                if at >= size {
                    sequences[i] = Sequence::literals(literals, first);
                    *sequence_count = i + 1;
                    break;
                } else if end > size {
                    return Err(DecodeError::Overrun);
                }
                return Err(DecodeError::OffsetBeforeStart);
            }
            prefetch(dst, at - source.distance as usize);
            at = end;
            sequences[i] = Sequence { literals, first, length, source };
        }
        self.lz = queue;
        Ok(())
    }

    /// Where a delta match at position `at` comes from; `own` are its power and offset, if any.
    #[cold]
    #[inline(never)]
    fn delta_source(&mut self, item: &Item, own: [u32; 2], at: usize) -> Source {
        let own = DeltaSource { power: own[0], offset: own[1] };
        move_to_front(&mut self.delta, item.place, own).locate(at)
    }
}
