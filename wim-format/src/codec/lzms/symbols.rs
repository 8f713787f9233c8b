//! The symbols of an LZMS chunk: literals, offsets, powers and lengths.

use super::adaptive::{AdaptiveCode, MAX_READ};
use super::batch::{Batch, MAX_SYMBOLS};
use super::bits::BackwardBits;
use super::items::Match;
use super::shape::Shaper;
use super::slots::{BYTES, LENGTHS, OFFSETS, POWERS, offset_symbols};
use crate::DecodeError;

/// What a symbol means, and hence which of the codes it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Literal,
    LzOffset,
    Length,
    DeltaPower,
    DeltaOffset,
}

/// The codes, by [`Kind`].
pub(super) const CODES: usize = 5;

/// The codes before the first chunk.
pub(super) fn codes() -> [AdaptiveCode; CODES] {
    [
        AdaptiveCode::new(1024, &BYTES),
        AdaptiveCode::new(1024, &OFFSETS),
        AdaptiveCode::new(512, &LENGTHS),
        AdaptiveCode::new(512, &BYTES),
        AdaptiveCode::new(1024, &OFFSETS),
    ]
}

/// How many symbols each code has in a chunk of `size` bytes.
pub(super) fn alphabets(size: usize) -> [usize; CODES] {
    let offsets = offset_symbols(size);
    [BYTES.len(), offsets, LENGTHS.len(), POWERS, offsets]
}

/// The five adaptive codes, and the bits they are read from.
#[derive(Debug)]
pub(super) struct Symbols {
    codes: Box<[AdaptiveCode; CODES]>,
    bits: BackwardBits,
    shaper: Shaper,
}

/// Symbols of each kind of match, and how many they are. What comes behind them is written as
/// well, as literals.
pub(super) const OF_MATCHES: [([Kind; 4], u16); 5] = {
    use Kind::{DeltaOffset, DeltaPower, Length, Literal, LzOffset};
    let mut of = [([Literal; 4], 0); 5];
    of[Match::Lz as usize] = ([LzOffset, Length, Literal, Literal], 2);
    of[Match::LzRepeat as usize] = ([Length, Literal, Literal, Literal], 1);
    of[Match::Delta as usize] = ([DeltaPower, DeltaOffset, Length, Literal], 3);
    of[Match::DeltaRepeat as usize] = ([Length, Literal, Literal, Literal], 1);
    of
};

impl Symbols {
    pub(super) fn new() -> Self {
        Self { codes: Box::new(codes()), bits: BackwardBits::new(), shaper: Shaper::new() }
    }

    /// Starts a chunk of `compressed` bytes that become `size`.
    pub(super) fn reset(&mut self, compressed: usize, size: usize) {
        self.bits.start(compressed);
        for (code, symbols) in self.codes.iter_mut().zip(alphabets(size)) {
            code.reset(symbols);
        }
    }

    /// Reads the symbols of the batch's items out of `src`, the chunk.
    ///
    /// Which kinds of symbols follow one another is as good as random, so the loop knows no kinds:
    /// it takes the code's number from a list, and reads every symbol the same way.
    #[inline(always)]
    pub(super) fn read(&mut self, src: &[u8], batch: &mut Batch) -> Result<(), DecodeError> {
        let count = batch.symbol_count.min(MAX_SYMBOLS);
        let Self { codes, bits, shaper } = self;
        let codes = &mut **codes;
        let Batch { kinds, values, literals, .. } = batch;
        let mut from = 0;
        while from < count {
            let to = count.min(from + MAX_READ);
            bits.refill(src);
            let mut reader = bits.reader();
            for i in from..to {
                let value = codes[kinds[i] as usize].decode(&mut reader, shaper);
                // Written as both; those of a run of literals lie side by side.
                literals[i] = value as u8;
                values[i] = value;
            }
            let position = reader.position;
            bits.set_position(position);
            from = to;
        }
        if shaper.has_failed() { Err(DecodeError::BadCode) } else { Ok(()) }
    }
}
