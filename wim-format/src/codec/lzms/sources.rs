//! From values of symbols to sequences of literals and matches with known sources.

use super::batch::{Batch, Sequence, Source};
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
        let mut queue = self.lz;
        let mut symbol = 0_usize;
        *sequence_count = 0;
        for (item, sequence) in items.iter().take(*item_count).zip(sequences) {
            let (literals, first) = (item.literals, symbol as u16);
            at += usize::from(literals);
            symbol += usize::from(literals);
            let Some(&[one, two, three]) = values.get(symbol..).and_then(<[u32]>::first_chunk) else {
                break;
            };
            *sequence_count += 1;
            let mut source = Source { distance: 0, span: 0 };
            let length;
            if matches!(item.then, Match::Lz | Match::LzRepeat) {
                source.distance = move_to_front(&mut queue, item.place, one);
                let new = item.place == NEW;
                length = select_unpredictable(new, two, one);
                symbol += 1 + usize::from(new);
            } else if item.then == Match::None {
                *sequence = Sequence::literals(literals, first);
                continue;
            } else {
                source = self.delta_source(item, [one, two], at);
                let new = item.place == NEW;
                length = if new { three } else { one };
                symbol += if new { 3 } else { 1 };
            }
            if source.distance as usize > at || at + length as usize > size {
                if at >= size {
                    *sequence = Sequence::literals(literals, first);
                    break;
                } else if at + length as usize > size {
                    return Err(DecodeError::Overrun);
                }
                return Err(DecodeError::OffsetBeforeStart);
            }
            prefetch(dst, at - source.distance as usize);
            at += length as usize;
            *sequence = Sequence { literals, first, length, source };
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
