//! The symbols of an LZMS chunk: literals, offsets, powers and lengths.

use super::adaptive::AdaptiveCode;
use super::bits::{BackwardBits, REFILLED};
use super::items::Match;
use super::shape::MAX_CODE_LENGTH;
use super::slots::{LENGTHS, OFFSETS, Slots, offset_symbols};
use super::{Batch, Sequence, Source, Window};
use crate::DecodeError;

/// Offsets of earlier matches, the latest first. Only three can be repeated at any time.
#[derive(Debug)]
pub(super) struct Recent {
    lz: [u32; 4],
    delta: [DeltaSource; 4],
}

/// A delta match's source: bytes `1 << power` apart, `offset << power` back.
#[derive(Debug, Clone, Copy)]
struct DeltaSource {
    power: u32,
    offset: u32,
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

/// The five adaptive codes.
#[derive(Debug)]
pub(super) struct Symbols {
    literal: AdaptiveCode<256, 1024>,
    lz_offset: AdaptiveCode<1024, 1024>,
    length: AdaptiveCode<64, 512>,
    delta_offset: AdaptiveCode<1024, 1024>,
    delta_power: AdaptiveCode<8, 128>,
}

/// Refilled bits cover a power symbol, an offset symbol and its extra bits.
const _: () = assert!(7 + MAX_CODE_LENGTH as u32 + 30 <= REFILLED);

impl Symbols {
    pub(super) fn new() -> Self {
        Self {
            literal: AdaptiveCode::new(1024, &[]),
            lz_offset: AdaptiveCode::new(1024, &OFFSETS.extra_bits),
            length: AdaptiveCode::new(512, &LENGTHS.extra_bits),
            delta_offset: AdaptiveCode::new(1024, &OFFSETS.extra_bits),
            delta_power: AdaptiveCode::new(512, &[]),
        }
    }

    /// Starts a chunk of `size` uncompressed bytes.
    pub(super) fn reset(&mut self, size: usize) {
        let offsets = offset_symbols(size);
        self.literal.reset(256);
        self.lz_offset.reset(offsets);
        self.length.reset(LENGTHS.bases.len());
        self.delta_offset.reset(offsets);
        self.delta_power.reset(8);
    }

    #[inline(never)]
    /// Reads the symbols of the first `items` items of the batch, or fewer if the output is full
    /// before; returns the number of sequences. Every sequence lies within `window.size` and
    /// every match begins within the output.
    #[inline(never)]
    pub(super) fn read(
        &mut self,
        items: usize,
        batch: &mut Batch,
        window: Window,
        recent: &mut Recent,
        bits: &mut BackwardBits<'_>,
    ) -> Result<usize, DecodeError> {
        // A copy can live in registers.
        let mut reader = bits.clone();
        let Window { mut at, size } = window;
        let mut literals = &mut batch.literals[..];
        let mut count = 0;
        for (item, sequence) in batch.items[..items].iter().zip(&mut batch.sequences) {
            let run = usize::from(item.literals).min(size - at);
            let (now, later) = std::mem::take(&mut literals).split_at_mut(run);
            literals = later;
            if run > 0 {
                reader = self.literal.decode_run(now, reader)?;
                at += run;
            }
            *sequence = Sequence { literals: run as u32, ..Sequence::NONE };
            count += 1;
            let source = match item.then {
                Match::Lz => {
                    reader.refill();
                    let distance = slotted(&mut self.lz_offset, &OFFSETS, &mut reader)?;
                    push_front(&mut recent.lz, distance);
                    Source { distance, span: 0 }
                }
                Match::LzRepeat(place) => {
                    Source { distance: move_to_front(&mut recent.lz, place), span: 0 }
                }
                Match::None => continue,
                Match::Delta | Match::DeltaRepeat(_) => {
                    let source;
                    (source, reader) = self.delta_source(item.then, recent, reader)?;
                    source
                }
            };
            reader.refill();
            let length = slotted(&mut self.length, &LENGTHS, &mut reader)?;
            if length as usize > size - at || u64::from(source.distance) + u64::from(source.span) > at as u64 {
                if at == size {
                    break;
                }
                return Err(if length as usize > size - at { DecodeError::Overrun } else { DecodeError::OffsetBeforeStart });
            }
            *sequence = Sequence { literals: run as u32, length, source };
            at += length as usize;
        }
        *bits = reader;
        Ok(count)
    }

    /// Reads where a delta match comes from.
    #[cold]
    #[inline(never)]
    fn delta_source<'a>(
        &mut self,
        kind: Match,
        recent: &mut Recent,
        mut bits: BackwardBits<'a>,
    ) -> Result<(Source, BackwardBits<'a>), DecodeError> {
        let source = if let Match::DeltaRepeat(place) = kind {
            move_to_front(&mut recent.delta, place)
        } else {
            bits.refill();
            let power = self.delta_power.decode(&mut bits)?.symbol() as u32;
            let offset = slotted(&mut self.delta_offset, &OFFSETS, &mut bits)?;
            push_front(&mut recent.delta, DeltaSource { power, offset });
            recent.delta[0]
        };
        Ok((source.locate(), bits))
    }
}

impl DeltaSource {
    /// The source in bytes, as far away as can be expressed if it is farther than that.
    fn locate(self) -> Source {
        let distance = u64::from(self.offset) << self.power;
        Source { span: 1 << self.power, distance: distance.try_into().unwrap_or(u32::MAX) }
    }
}

/// Reads a symbol and its extra bits; at most 45 bits.
#[inline(always)]
fn slotted<const SYMBOLS: usize, const ENTRIES: usize, const N: usize>(
    code: &mut AdaptiveCode<SYMBOLS, ENTRIES>,
    slots: &Slots<N>,
    bits: &mut BackwardBits<'_>,
) -> Result<u32, DecodeError> {
    let entry = code.decode(bits)?;
    let extra = bits.take(entry.extra_bits());
    Ok(slots.bases.get(entry.symbol()).copied().unwrap_or(1) + extra)
}
