//! Adaptive prefix codes of LZMS: rebuilt from symbol frequencies after a fixed number of uses.
//!
//! Every frequency starts at 1. Each decoded symbol adds 1 to its own. After a fixed number of
//! uses the code is built anew from the frequencies, and they are then aged: `f / 2 + 1`. Ageing
//! leaves ones as they are, so a code that starts "used up" builds its first table on its first
//! use and never if the chunk has no use for it.
//!
//! The lengths are those of Huffman's algorithm over the symbols sorted by (frequency, symbol)
//! with ties in favour of leaves; the code is canonical. Since only the *number* of codewords of
//! each length matters until the symbols are dealt out, nothing is sorted but the few frequent
//! symbols: the frequencies go through a histogram, and [`shape`](super::shape) merges whole runs
//! of equal weights at once.

use super::bits::BackwardBits;
use super::shape::{self, LengthCounts, MAX_CODE_LENGTH, WeightRun};
use crate::DecodeError;

/// Frequencies below this are sorted by counting. At most 28 symbols can reach it: frequencies
/// sum up to less than 2 × (799 + 1024).
const COUNTED: usize = 128;

/// What a table look-up gives: code length in bits 0–7 (0 for "longer than the table's index"),
/// number of extra bits in bits 8–15, symbol in bits 16–31.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry(u32);

impl Entry {
    #[inline(always)]
    fn new(symbol: u16, extra_bits: u8, length: u32) -> Self {
        Self(u32::from(symbol) << 16 | u32::from(extra_bits) << 8 | length)
    }

    /// Length of the codeword in bits.
    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0 & 0xFF
    }

    /// Number of raw bits that follow the codeword.
    #[inline(always)]
    pub(super) fn extra_bits(self) -> u32 {
        self.0 >> 8 & 0xFF
    }

    /// The symbol.
    #[inline(always)]
    pub(super) fn symbol(self) -> usize {
        (self.0 >> 16) as usize
    }
}

/// One adaptive code: up to `SYMBOLS` symbols (a power of two, so that masking a symbol is free of
/// bounds checks) and a table of `ENTRIES` (a power of two) for codewords of up to log2 of that.
#[derive(Debug)]
pub(super) struct AdaptiveCode<const SYMBOLS: usize, const ENTRIES: usize> {
    /// Symbols in use in this chunk.
    symbols: usize,
    /// Extra raw bits of each symbol; empty when no symbol has any.
    extra_bits: &'static [u8],
    /// Uses between two builds, and uses left until the next.
    period: u32,
    left: u32,
    frequencies: [u16; SYMBOLS],
    table: [Entry; ENTRIES],
    /// Entries ordered by codeword; only those too long for `table` are kept up to date.
    ordered: [Entry; SYMBOLS],
    long: [LongCodes; MAX_CODE_LENGTH + 1],
}

/// The codewords of one length.
#[derive(Debug, Clone, Copy, Default)]
struct LongCodes {
    /// First 16-bit left-aligned value past the codewords of this length.
    limit: u32,
    /// First codeword, and its place in `ordered`.
    first_code: u32,
    first_place: u32,
}

impl<const SYMBOLS: usize, const ENTRIES: usize> AdaptiveCode<SYMBOLS, ENTRIES> {
    const INDEX_BITS: u32 = {
        assert!(SYMBOLS.is_power_of_two() && ENTRIES.is_power_of_two());
        ENTRIES.trailing_zeros()
    };

    /// Makes a code that is rebuilt every `period` uses; [`reset`](Self::reset) it before use.
    pub(super) fn new(period: u32, extra_bits: &'static [u8]) -> Self {
        Self {
            symbols: 0,
            extra_bits,
            period,
            left: 0,
            frequencies: [1; SYMBOLS],
            table: [Entry::default(); ENTRIES],
            ordered: [Entry::default(); SYMBOLS],
            long: [LongCodes::default(); MAX_CODE_LENGTH + 1],
        }
    }

    /// Starts a chunk that uses the first `symbols` symbols (1 to `SYMBOLS`).
    pub(super) fn reset(&mut self, symbols: usize) {
        self.symbols = symbols.clamp(1, SYMBOLS);
        self.frequencies = [1; SYMBOLS];
        self.left = 0;
    }

    /// Decodes one symbol and counts it, rebuilding the code first when that is due. Consumes the
    /// codeword but not the extra bits. Needs 15 bits in `bits`.
    #[inline(always)]
    pub(super) fn decode(&mut self, bits: &mut BackwardBits<'_>) -> Result<Entry, DecodeError> {
        if self.left == 0 {
            self.rebuild()?;
        }
        self.left -= 1;
        Ok(self.next(bits))
    }

    /// Decodes as many symbols as `bytes` is long, each below 256, with no extra bits.
    #[inline(always)]
    pub(super) fn decode_run<'a>(
        &mut self,
        bytes: &mut [u8],
        mut bits: BackwardBits<'a>,
    ) -> Result<BackwardBits<'a>, DecodeError> {
        let run = bytes.len() as u32;
        if run > self.left {
            return self.decode_run_and_rebuild(bytes, bits);
        }
        self.left -= run;
        for byte in bytes {
            bits.refill();
            *byte = self.next(&mut bits).symbol() as u8;
        }
        Ok(bits)
    }

    #[cold]
    #[inline(never)]
    fn decode_run_and_rebuild<'a>(
        &mut self,
        bytes: &mut [u8],
        mut bits: BackwardBits<'a>,
    ) -> Result<BackwardBits<'a>, DecodeError> {
        for byte in bytes {
            bits.refill();
            *byte = self.decode(&mut bits)?.symbol() as u8;
        }
        Ok(bits)
    }

    #[inline(always)]
    fn next(&mut self, bits: &mut BackwardBits<'_>) -> Entry {
        let index = (bits.peek() >> (u64::BITS - Self::INDEX_BITS)) as usize;
        let mut entry = self.table[index & (ENTRIES - 1)];
        if entry.length() == 0 {
            entry = self.long_code(bits.peek());
        }
        bits.consume(entry.length());
        let frequency = &mut self.frequencies[entry.symbol() & (SYMBOLS - 1)];
        *frequency = frequency.wrapping_add(1);
        entry
    }

    /// Finds a codeword longer than the table's index: the first length whose codewords go
    /// beyond the value at hand.
    #[cold]
    #[inline(never)]
    fn long_code(&self, peek: u64) -> Entry {
        let value = (peek >> 48) as u32;
        for (length, codes) in (0_u32..).zip(&self.long).skip(Self::INDEX_BITS as usize + 1) {
            if value < codes.limit {
                let place = (value >> (16 - length)) - codes.first_code + codes.first_place;
                return self.ordered[place as usize & (SYMBOLS - 1)];
            }
        }
        // Not reached: the code is complete, so the last limit is 2^16.
        Entry::new(0, 0, 1)
    }

    /// Builds the code from the frequencies, then ages them.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self) -> Result<(), DecodeError> {
        let mut lengths = [0; SYMBOLS];
        let counts = self.code_lengths(&mut lengths)?;
        self.fill_table(&lengths, &counts);
        for frequency in &mut self.frequencies[..self.symbols] {
            *frequency = (*frequency >> 1) + 1;
        }
        self.left = self.period;
        Ok(())
    }

    /// Gives every symbol its code length: the longest to the first in (frequency, symbol) order.
    fn code_lengths(&self, lengths: &mut [u8; SYMBOLS]) -> Result<LengthCounts, DecodeError> {
        let frequencies = &self.frequencies[..self.symbols];
        let mut rank_of = [0_u16; COUNTED];
        let mut frequent = [(0_u16, 0_u16); SYMBOLS];
        let mut frequent_count = 0;
        for (symbol, &frequency) in (0_u16..).zip(frequencies) {
            if let Some(count) = rank_of.get_mut(usize::from(frequency)) {
                *count += 1;
            } else {
                frequent[frequent_count] = (frequency, symbol);
                frequent_count += 1;
            }
        }
        let frequent = &mut frequent[..frequent_count];
        frequent.sort_unstable();

        // Counts become ranks: the place of the first symbol of that frequency.
        let mut runs = [WeightRun::default(); SYMBOLS];
        let mut run_count = 0;
        let mut rank = 0;
        for (weight, slot) in (0_u32..).zip(&mut rank_of) {
            let count = *slot;
            *slot = rank;
            rank += count;
            if count > 0 {
                runs[run_count] = WeightRun { weight, count: count.into() };
                run_count += 1;
            }
        }
        for &(frequency, _) in frequent.iter() {
            runs[run_count] = WeightRun { weight: frequency.into(), count: 1 };
            run_count += 1;
        }

        let counts = shape::length_counts::<SYMBOLS>(&runs[..run_count])?;
        let mut length_at = [0_u8; SYMBOLS];
        let mut filled = 0;
        for (length, &count) in counts.iter().enumerate().rev() {
            length_at[filled..][..usize::from(count)].fill(length as u8);
            filled += usize::from(count);
        }
        for (length, &frequency) in lengths.iter_mut().zip(frequencies) {
            if let Some(rank) = rank_of.get_mut(usize::from(frequency)) {
                *length = length_at[usize::from(*rank) & (SYMBOLS - 1)];
                *rank += 1;
            }
        }
        for (&(_, symbol), &length) in frequent.iter().zip(&length_at[usize::from(rank)..]) {
            lengths[usize::from(symbol)] = length;
        }
        Ok(counts)
    }

    /// Lays out the canonical code: shorter codewords first, symbols in order within a length.
    fn fill_table(&mut self, lengths: &[u8; SYMBOLS], counts: &LengthCounts) {
        let mut places = [0_u16; MAX_CODE_LENGTH + 1];
        let (mut code, mut place) = (0_u32, 0_u16);
        for (length, &count) in counts.iter().enumerate().skip(1) {
            places[length] = place;
            code <<= 1;
            self.long[length] = LongCodes { limit: 0, first_code: code, first_place: place.into() };
            code += u32::from(count);
            self.long[length].limit = code << (16 - length);
            place += count;
        }
        for (symbol, &length) in (0_u16..).zip(&lengths[..self.symbols]) {
            let extra_bits = self.extra_bits.get(usize::from(symbol)).copied().unwrap_or(0);
            let place = &mut places[usize::from(length) & MAX_CODE_LENGTH];
            self.ordered[usize::from(*place) & (SYMBOLS - 1)] =
                Entry::new(symbol, extra_bits, length.into());
            *place += 1;
        }
        let mut index = 0;
        for &entry in &self.ordered[..self.symbols] {
            let Some(spare) = Self::INDEX_BITS.checked_sub(entry.length()) else { break };
            // A code of one symbol is incomplete; it owns the other half of the table too.
            let span = if self.symbols == 1 { ENTRIES } else { 1 << spare };
            self.table[index..index + span].fill(entry);
            index += span;
        }
        self.table[index..].fill(Entry::default());
    }
}
