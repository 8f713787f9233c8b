//! The symbols of an LZMS chunk: literals, offsets, powers and lengths.

use super::adaptive::AdaptiveCode;
use super::batch::{Batch, MAX_LITERALS, Sequence, Source};
use super::bits::{BackwardBits, REFILLED};
use super::items::Match;
use super::shape::{MAX_CODE_LENGTH, Shaper};
use super::slots::{BYTES, Entry, LENGTHS, OFFSETS, Plain, Slot, offset_symbols};
use crate::DecodeError;
use crate::codec::cpu::prefetch;

/// The five adaptive codes and the offsets that can be repeated.
#[derive(Debug)]
pub(super) struct Symbols {
    recent: Recent,
    literal: AdaptiveCode<Plain, 256, 1024>,
    lz_offset: AdaptiveCode<Slot, 1024, 1024>,
    length: AdaptiveCode<Slot, 64, 512>,
    delta_offset: AdaptiveCode<Slot, 1024, 1024>,
    delta_power: AdaptiveCode<Plain, 8, 128>,
    shaper: Shaper,
}

/// Offsets of earlier matches, the latest first. Only three can be repeated at any time.
#[derive(Debug)]
struct Recent {
    lz: [u32; 4],
    delta: [DeltaSource; 4],
}

impl Recent {
    /// State at the start of a chunk.
    const START: Self = Self {
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
        let (span, distance) = (1 << self.power, u64::from(self.offset) << self.power);
        match u32::try_from(distance) {
            Ok(distance) if u64::from(span) + u64::from(distance) <= at as u64 => {
                Source { distance, span }
            }
            _ => Source { distance: u32::MAX, span },
        }
    }
}

/// Puts `value` in front of a queue; the last drops out.
#[inline(always)]
fn push_front<T: Copy>(queue: &mut [T; 4], value: T) {
    let [a, b, c, _] = *queue;
    *queue = [value, a, b, c];
}

/// Moves what is at `place` to the front of a queue and returns it.
#[inline(always)]
fn move_to_front<T: Copy>(queue: &mut [T; 4], place: u8) -> T {
    let [a, b, c, d] = *queue;
    *queue = match place {
        0 => return a,
        1 => [b, a, c, d],
        2 => [c, a, b, d],
        _ => [d, a, b, c],
    };
    queue[0]
}

/// Extra bits that a length may have without another refill after an offset's.
const FEW_EXTRA_BITS: u32 = 6;
/// One refill covers an offset symbol with up to 20 extra bits and a length symbol with few.
const _: () = assert!(2 * MAX_CODE_LENGTH as u32 + 20 + FEW_EXTRA_BITS <= REFILLED);
/// One refill covers a power symbol, an offset symbol and its extra bits.
const _: () = assert!(7 + MAX_CODE_LENGTH as u32 + 30 <= REFILLED);

impl Symbols {
    pub(super) fn new() -> Self {
        Self {
            recent: Recent::START,
            literal: AdaptiveCode::new(1024, &BYTES),
            lz_offset: AdaptiveCode::new(1024, &OFFSETS),
            length: AdaptiveCode::new(512, &LENGTHS),
            delta_offset: AdaptiveCode::new(1024, &OFFSETS),
            delta_power: AdaptiveCode::new(512, &BYTES),
            shaper: Shaper::new(),
        }
    }

    /// Starts a chunk of `size` uncompressed bytes.
    pub(super) fn reset(&mut self, size: usize) {
        let offsets = offset_symbols(size);
        self.recent = Recent::START;
        self.literal.reset(BYTES.len());
        self.lz_offset.reset(offsets);
        self.length.reset(LENGTHS.len());
        self.delta_offset.reset(offsets);
        self.delta_power.reset(8);
    }

    /// Reads the symbols of the batch's items, or of fewer if an output of `size` bytes is full
    /// before. Position `at` is where the batch begins. All sequences lie within the output, and
    /// so do their sources; only the last one's literals may go beyond the end.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        bits: &mut BackwardBits<'_>,
        batch: &mut Batch,
        dst: &[u8],
        mut at: usize,
    ) -> Result<(), DecodeError> {
        let size = dst.len();
        // A copy can live in registers.
        let mut reader = bits.clone();
        let mut literals = batch.literals[..MAX_LITERALS].iter_mut();
        let mut count = 0;
        for (item, sequence) in batch.items.iter().take(batch.item_count).zip(&mut batch.sequences)
        {
            let run = u32::from(item.literals);
            for literal in literals.by_ref().take(run as usize) {
                reader.refill();
                *literal = self.literal.decode(&mut reader, &mut self.shaper).symbol() as u8;
            }
            at += run as usize;
            count += 1;
            reader.refill();
            let mut source = Source { distance: 0, span: 0 };
            if item.then == Match::Lz {
                let entry = self.lz_offset.decode(&mut reader, &mut self.shaper);
                source.distance = entry.base() + reader.take(entry.extra_bits());
                if entry.extra_bits() > 20 {
                    reader.refill();
                }
                push_front(&mut self.recent.lz, source.distance);
            } else if item.then == Match::LzRepeat {
                source.distance = move_to_front(&mut self.recent.lz, item.place);
            } else if item.then == Match::None {
                *sequence = Sequence::literals(run);
                continue;
            } else {
                // The function gets a copy of its own: `reader` itself is never in memory.
                let mut copy = reader.clone();
                source = self.delta_source(item.then, item.place, at, &mut copy);
                reader = copy;
            }
            let entry = self.length.decode(&mut reader, &mut self.shaper);
            if entry.extra_bits() > FEW_EXTRA_BITS {
                reader.refill();
            }
            let length = entry.base() + reader.take(entry.extra_bits());
            if source.distance as usize > at || at + length as usize > size {
                if at >= size {
                    *sequence = Sequence::literals(run);
                    break;
                } else if at + length as usize > size {
                    return Err(DecodeError::Overrun);
                }
                return Err(DecodeError::OffsetBeforeStart);
            }
            prefetch(dst, at - source.distance as usize);
            at += length as usize;
            *sequence = Sequence { literals: run, length, source };
        }
        batch.sequence_count = count;
        *bits = reader;
        if self.shaper.has_failed() { Err(DecodeError::BadCode) } else { Ok(()) }
    }

    /// Reads where a delta match at position `at` comes from. Leaves the bits refilled.
    #[cold]
    #[inline(never)]
    fn delta_source(
        &mut self,
        kind: Match,
        place: u8,
        at: usize,
        bits: &mut BackwardBits<'_>,
    ) -> Source {
        if kind == Match::DeltaRepeat {
            return move_to_front(&mut self.recent.delta, place).locate(at);
        }
        let power = self.delta_power.decode(bits, &mut self.shaper).symbol() as u32;
        let entry = self.delta_offset.decode(bits, &mut self.shaper);
        let offset = entry.base() + bits.take(entry.extra_bits());
        bits.refill();
        push_front(&mut self.recent.delta, DeltaSource { power, offset });
        self.recent.delta[0].locate(at)
    }
}
