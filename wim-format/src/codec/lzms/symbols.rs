//! The symbols of an LZMS chunk: literals, offsets, powers and lengths.

use super::adaptive::AdaptiveCode;
use super::bits::{BackwardBits, REFILLED};
use super::items::Match;
use super::shape::MAX_CODE_LENGTH;
use super::slots::{LENGTHS, OFFSETS, Slots, offset_symbols};
use super::{Batch, Copy, Sequence, Window};
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

/// Puts `value` in front of a queue that loses what is at `place`.
#[inline(always)]
fn to_front<T: std::marker::Copy>(queue: &mut [T; 4], place: usize, value: T) {
    queue.copy_within(0..place, 1);
    queue[0] = value;
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

    /// Reads the symbols of the first `items` items of the batch, or fewer if the output is full
    /// before; returns the number of sequences. Every sequence lies within `window.size` and
    /// every match begins within the output.
    pub(super) fn read(
        &mut self,
        items: usize,
        batch: &mut Batch,
        mut window: Window,
        recent: &mut Recent,
        bits: &mut BackwardBits<'_>,
    ) -> Result<usize, DecodeError> {
        let mut literals = &mut batch.literals[..];
        for (index, (item, sequence)) in
            batch.items[..items].iter().zip(&mut batch.sequences).enumerate()
        {
            let run = (item.literals as usize).min(window.size - window.at);
            let (now, later) = std::mem::take(&mut literals).split_at_mut(run);
            literals = later;
            for literal in now {
                bits.refill();
                *literal = self.literal.decode(bits)?.symbol() as u8;
            }
            window.at += run;
            let none = Sequence { literals: run as u32, length: 0, copy: Copy::Lz { distance: 1 } };
            *sequence = none;
            if window.at == window.size {
                return Ok(index + 1);
            }
            if item.then == Match::None {
                continue;
            }
            sequence.copy = self.source(item.then, window.at, recent, bits)?;
            bits.refill();
            sequence.length = slotted(&mut self.length, &LENGTHS, bits)?;
            if sequence.length as usize > window.size - window.at {
                return Err(DecodeError::Overrun);
            }
            window.at += sequence.length as usize;
            if window.at == window.size {
                return Ok(index + 1);
            }
        }
        Ok(items)
    }

    /// Reads where a match at position `at` comes from.
    #[inline(always)]
    fn source(
        &mut self,
        kind: Match,
        at: usize,
        recent: &mut Recent,
        bits: &mut BackwardBits<'_>,
    ) -> Result<Copy, DecodeError> {
        bits.refill();
        match kind {
            Match::None | Match::Lz => {
                let distance = slotted(&mut self.lz_offset, &OFFSETS, bits)?;
                to_front(&mut recent.lz, 3, distance);
                lz_source(distance, at)
            }
            Match::LzRepeat(place) => {
                let place = usize::from(place) & 3;
                let distance = recent.lz[place];
                to_front(&mut recent.lz, place, distance);
                lz_source(distance, at)
            }
            Match::Delta => {
                let power = self.delta_power.decode(bits)?.symbol() as u32;
                let offset = slotted(&mut self.delta_offset, &OFFSETS, bits)?;
                let source = DeltaSource { power, offset };
                to_front(&mut recent.delta, 3, source);
                delta_source(source, at)
            }
            Match::DeltaRepeat(place) => {
                let place = usize::from(place) & 3;
                let source = recent.delta[place];
                to_front(&mut recent.delta, place, source);
                delta_source(source, at)
            }
        }
    }
}

#[inline(always)]
fn lz_source(distance: u32, at: usize) -> Result<Copy, DecodeError> {
    if distance as usize > at {
        Err(DecodeError::OffsetBeforeStart)
    } else {
        Ok(Copy::Lz { distance })
    }
}

fn delta_source(source: DeltaSource, at: usize) -> Result<Copy, DecodeError> {
    let span = 1_u64 << source.power;
    let distance = u64::from(source.offset) << source.power;
    if span + distance > at as u64 {
        return Err(DecodeError::OffsetBeforeStart);
    }
    Ok(Copy::Delta { span: span as u32, distance: distance as u32 })
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
