//! From values of symbols to matches with known sources.

use super::batch::{Batch, Located, MAX_ITEMS, MAX_SYMBOLS, Source};
use super::items::{Item, Match, NEW};
use super::queue::Queue;
#[cfg(target_arch = "x86_64")]
use super::queue::Vector;
use crate::DecodeError;
use crate::codec::cpu::prefetch;

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

impl Recent {
    /// Locates the matches of the batch's items, or of fewer if an output of as many bytes as `dst` is
    /// full before. Position `at` is where the batch begins. All matches lie within the output, and so
    /// do their sources; only the last item's literals may go beyond the end.
    #[inline(always)]
    pub(super) fn locate<const MODERN: bool>(
        &mut self,
        batch: &mut Batch,
        dst: &[u8],
        at: usize,
    ) -> Result<(), DecodeError> {
        #[cfg(target_arch = "x86_64")]
        if MODERN {
            #[allow(unsafe_code)]
            // SAFETY: AVX2 is there.
            let mut queue = unsafe { Vector::new(self.lz) };
            let outcome = self.locate_by(&mut queue, batch, dst, at);
            self.lz = queue.to_array();
            return outcome;
        }
        let mut queue = self.lz;
        let outcome = self.locate_by(&mut queue, batch, dst, at);
        self.lz = queue;
        outcome
    }

    #[inline(always)]
    fn locate_by(
        &mut self,
        queue: &mut impl Queue<u32>,
        batch: &mut Batch,
        dst: &[u8],
        mut at: usize,
    ) -> Result<(), DecodeError> {
        let size = dst.len();
        let Batch { items, item_count, values, matches, located, .. } = batch;
        let count = (*item_count).min(MAX_ITEMS);
        *located = count;
        for i in 0..count {
            let item = &items[i];
            at += usize::from(item.literals);
            let own = usize::from(item.own) & (MAX_SYMBOLS - 1);
            let one = values[own];
            let new = usize::from(item.place == NEW);
            let (source, length);
            if (item.then as u8) < Match::Delta as u8 {
                source = Source { distance: queue.move_to_front(item.place, one), span: 0 };
                length = values[own + new];
            } else if item.then == Match::None {
                matches[i] = Located::NONE;
                continue;
            } else {
                source = self.delta_source(item, [one, values[own + 1]], at);
                length = values[own + 2 * new];
            }
            let end = at + length as usize;
            if source.distance as usize > at || end > size {
                if at >= size {
                    matches[i] = Located::NONE;
                    *located = i + 1;
                    break;
                } else if end > size {
                    return Err(DecodeError::Overrun);
                }
                return Err(DecodeError::OffsetBeforeStart);
            }
            prefetch(dst, at - source.distance as usize);
            at = end;
            matches[i] = Located { length, source };
        }
        Ok(())
    }

    /// Where a delta match at position `at` comes from; `own` are its power and offset, if any.
    #[cold]
    #[inline(never)]
    fn delta_source(&mut self, item: &Item, own: [u32; 2], at: usize) -> Source {
        let own = DeltaSource { power: own[0], offset: own[1] };
        self.delta.move_to_front(item.place, own).locate(at)
    }
}
