//! The first stage: from the two streams of a chunk to runs of literals and matches with known
//! sources.
//!
//! Decisions come from one stream and symbols from the other, and neither has to wait for the other:
//! while the processor finds out that it guessed a decision wrongly, it still works at the symbols
//! before.

use super::adaptive::{AdaptiveCode, MAX_BITS};
use super::batch::{Batch, Item, MAX_ITEMS, MAX_LITERALS, Source};
use super::bits::{BackwardBits, REACH_BITS};
use super::items::{Classes, Contexts, NEW, Previous};
use super::queue::Queue;
#[cfg(target_arch = "x86_64")]
use super::queue::Vector;
use super::shape::{MAX_CODE_LENGTH, Shaper};
use super::slots::{LENGTHS, OFFSETS};
use super::symbols::{CODES, alphabets, codes};
use crate::DecodeError;
use crate::codec::cpu::prefetch;
use crate::codec::range::RangeDecoder;

/// All symbols of a batch, the literals, and of each match at most a power, an offset and a length,
/// are read without a refill.
const _: () = assert!(
    MAX_LITERALS * MAX_CODE_LENGTH + MAX_ITEMS * (MAX_CODE_LENGTH + 2 * MAX_BITS as usize)
        <= REACH_BITS
);

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
        let (span, distance) = (1 << (self.power & 31), u64::from(self.offset) << self.power);
        match u32::try_from(distance) {
            Ok(distance) if u64::from(span) + u64::from(distance) <= at as u64 => {
                Source { distance, span }
            }
            _ => Source { distance: u32::MAX, span },
        }
    }
}

/// The state of both streams.
#[derive(Debug)]
pub(super) struct Parser {
    contexts: Contexts,
    recent: Recent,
    bits: BackwardBits,
    classes: Classes,
    codes: [AdaptiveCode; CODES],
    shaper: Shaper,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self {
            contexts: Contexts::START,
            recent: Recent::START,
            bits: BackwardBits::new(),
            classes: Classes::START,
            codes: codes(),
            shaper: Shaper::new(),
        }
    }

    /// Starts a chunk of `compressed` bytes that become `size`.
    pub(super) fn start(&mut self, compressed: usize, size: usize) {
        self.contexts = Contexts::START;
        self.recent = Recent::START;
        self.bits.start(compressed);
        self.classes = Classes::START;
        for (code, symbols) in self.codes.iter_mut().zip(alphabets(size)) {
            code.reset(symbols);
        }
    }

    /// Reads items of the chunk `src` until the batch or the output is full. `dst` is all of the
    /// output, and `at` where the batch begins, before its end. All items lie within the output, and
    /// so do the sources of matches.
    #[inline(always)]
    pub(super) fn parse<const MODERN: bool>(
        &mut self,
        src: &[u8],
        range: &mut RangeDecoder<'_>,
        batch: &mut Batch,
        dst: &[u8],
        at: usize,
    ) -> Result<(), DecodeError> {
        self.bits.refill(src);
        #[cfg(target_arch = "x86_64")]
        if MODERN {
            #[allow(unsafe_code)]
            // SAFETY: AVX2 is there.
            let mut queue = unsafe { Vector::new(self.recent.lz) };
            let outcome = self.parse_by(&mut queue, range, batch, dst, at);
            self.recent.lz = queue.to_array();
            return outcome;
        }
        let mut queue = self.recent.lz;
        let outcome = self.parse_by(&mut queue, range, batch, dst, at);
        self.recent.lz = queue;
        outcome
    }

    #[inline(always)]
    fn parse_by(
        &mut self,
        queue: &mut impl Queue<u32>,
        range: &mut RangeDecoder<'_>,
        batch: &mut Batch,
        dst: &[u8],
        mut at: usize,
    ) -> Result<(), DecodeError> {
        let Self { contexts, recent, bits, classes, codes, shaper } = self;
        let [literals, offsets, lengths, powers, delta_offsets] = codes;
        // Copies can live in registers.
        let mut past = contexts.clone();
        let mut decisions = range.clone();
        let mut reader = bits.reader();
        let Batch { items, literals: room, count } = batch;
        let mut room = room[..MAX_LITERALS.min(dst.len() - at)].iter_mut();
        let mut items = items.iter_mut();
        for item in items.by_ref() {
            let before = room.len();
            while room.len() > 0 && !classes.is_match(&mut past, &mut decisions) {
                if let Some(literal) = room.next() {
                    *literal = literals.symbol(&mut reader, shaper) as u8;
                }
            }
            let run = before - room.len();
            if room.len() == 0 {
                // No decision was made on what follows the run.
                *item = Item::run(run.min(dst.len() - at));
                if run > 0 {
                    past.previous = Previous::Literal;
                }
                break;
            }
            let start = at + run;
            let source;
            if !classes.is_delta(&mut past, &mut decisions) {
                let place = classes.lz_place(run, &mut past, &mut decisions);
                let new = match place {
                    NEW => offsets.value(&OFFSETS, &mut reader, shaper),
                    _ => 0,
                };
                source = Source { distance: queue.move_to_front(place, new), span: 0 };
            } else {
                let place = classes.delta_place(run, &mut past, &mut decisions);
                let mut new = DeltaSource { power: 0, offset: 0 };
                if place == NEW {
                    new.power = powers.symbol(&mut reader, shaper) as u32;
                    new.offset = delta_offsets.value(&OFFSETS, &mut reader, shaper);
                }
                source = recent.delta.move_to_front(place, new).locate(start);
            }
            let length = lengths.value(&LENGTHS, &mut reader, shaper);
            *item = Item { literals: run as u32, length, source };
            let end = start + length as usize;
            if source.distance as usize > start || end >= dst.len() {
                if start >= dst.len() {
                    *item = Item::run(dst.len() - at);
                } else if end > dst.len() {
                    return Err(DecodeError::Overrun);
                } else if source.distance as usize > start {
                    return Err(DecodeError::OffsetBeforeStart);
                }
                if end >= dst.len() {
                    break;
                }
            }
            prefetch(dst, start - source.distance as usize);
            at = end;
        }
        *count = MAX_ITEMS - items.len();
        *contexts = past;
        *range = decisions;
        let position = reader.position;
        bits.set_position(position);
        if shaper.has_failed() { Err(DecodeError::BadCode) } else { Ok(()) }
    }
}
