//! The adaptive codes as an encoder sees them: a codeword for each symbol, and what it takes.

use super::output::{Bits, Output};
use crate::codec::encode::entropy::BIT;
use crate::codec::lzms::adaptive::AdaptiveCode;
use crate::codec::lzms::shape::Shaper;
use crate::codec::lzms::slots::{LENGTHS, OFFSETS, Slot};
use crate::codec::lzms::symbols::{self, CODES, Kind};

/// Lengths below this are written as they are priced, one by one.
pub(super) const PRICED_LENGTHS: usize = 512;

/// A codeword and how many bits it has.
#[derive(Debug, Clone, Copy, Default)]
struct Codeword {
    bits: u16,
    length: u16,
}

/// One code with its codewords. A decoder builds it just before the use that needs it; here that is
/// done right after the use before, since prices are asked for in between.
#[derive(Debug)]
struct Code {
    model: AdaptiveCode,
    /// Uses left until the next build.
    left: u32,
    codewords: [Codeword; 1024],
}

impl Code {
    fn rebuild(&mut self, shaper: &mut Shaper) {
        self.model.rebuild(shaper);
        self.left = self.model.period();
        for (symbol, bits, length) in self.model.codewords() {
            let codeword = Codeword { bits: bits as u16, length: length as u16 };
            self.codewords[symbol % self.codewords.len()] = codeword;
        }
    }

    #[inline(always)]
    fn codeword(&self, symbol: usize) -> Codeword {
        self.codewords[symbol % self.codewords.len()]
    }
}

/// All codes of a chunk.
#[derive(Debug)]
pub(super) struct Codes {
    codes: [Code; CODES],
    shaper: Shaper,
    /// What each length takes, in units of cost.
    length_costs: [u16; PRICED_LENGTHS],
}

impl Codes {
    pub(super) fn new() -> Box<Self> {
        let code = |model| Code { model, left: 0, codewords: [Codeword::default(); 1024] };
        Box::new(Self {
            codes: symbols::codes().map(code),
            shaper: Shaper::new(),
            length_costs: [0; PRICED_LENGTHS],
        })
    }

    /// Starts a chunk of `size` bytes.
    pub(super) fn reset(&mut self, size: usize) {
        let Self { codes, shaper, .. } = self;
        for (code, symbols) in codes.iter_mut().zip(symbols::alphabets(size)) {
            code.model.reset(symbols);
            code.rebuild(shaper);
        }
        self.price_lengths();
    }

    fn price_lengths(&mut self) {
        let code = &self.codes[Kind::Length as usize];
        let ends = LENGTHS[1..].iter().map(|slot| slot.base() as usize);
        let mut at = 1;
        for (slot, end) in LENGTHS.iter().zip(ends) {
            let end = end.min(PRICED_LENGTHS);
            let bits = u32::from(code.codeword(slot.symbol()).length) + slot.extra_bits();
            self.length_costs[at..end].fill((bits * BIT) as u16);
            at = end;
        }
    }

    /// Writes a symbol of a code.
    #[inline(always)]
    fn put_symbol(&mut self, kind: Kind, symbol: usize, bits: &mut Bits, output: &mut Output<'_>) {
        let Self { codes, shaper, .. } = self;
        let code = &mut codes[kind as usize];
        let codeword = code.codeword(symbol);
        bits.put(codeword.bits.into(), codeword.length.into(), output);
        code.model.note(symbol);
        code.left -= 1;
        if code.left == 0 {
            code.rebuild(shaper);
            if kind == Kind::Length {
                self.price_lengths();
            }
        }
    }

    /// Writes a literal or a power.
    #[inline(always)]
    pub(super) fn put(&mut self, kind: Kind, symbol: u8, bits: &mut Bits, output: &mut Output<'_>) {
        self.put_symbol(kind, symbol.into(), bits, output);
    }

    /// Writes an offset, of the given kind.
    #[inline(always)]
    pub(super) fn put_offset(
        &mut self,
        kind: Kind,
        offset: u32,
        bits: &mut Bits,
        output: &mut Output<'_>,
    ) {
        self.put_slot(kind, OFFSETS[offset_slot(offset)], offset, bits, output);
    }

    /// Writes a length.
    #[inline(always)]
    pub(super) fn put_length(&mut self, length: u32, bits: &mut Bits, output: &mut Output<'_>) {
        let slot = LENGTHS[LENGTHS.partition_point(|slot| slot.base() <= length) - 1];
        self.put_slot(Kind::Length, slot, length, bits, output);
    }

    #[inline(always)]
    fn put_slot(
        &mut self,
        kind: Kind,
        slot: Slot,
        value: u32,
        bits: &mut Bits,
        output: &mut Output<'_>,
    ) {
        self.put_symbol(kind, slot.symbol(), bits, output);
        bits.put(value - slot.base(), slot.extra_bits(), output);
    }

    /// What a literal or a power takes.
    #[inline(always)]
    pub(super) fn cost(&self, kind: Kind, symbol: u8) -> u32 {
        u32::from(self.codes[kind as usize].codeword(symbol.into()).length) * BIT
    }

    /// What an offset takes, of the given kind.
    #[inline(always)]
    pub(super) fn cost_of_offset(&self, kind: Kind, offset: u32) -> u32 {
        let slot = offset_slot(offset);
        let codeword = self.codes[kind as usize].codeword(slot);
        (u32::from(codeword.length) + OFFSETS[slot].extra_bits()) * BIT
    }

    /// What each length below [`PRICED_LENGTHS`] takes.
    #[inline(always)]
    pub(super) fn length_costs(&self) -> &[u16; PRICED_LENGTHS] {
        &self.length_costs
    }
}

/// Slots that have the same number of extra bits.
#[derive(Debug, Clone, Copy)]
struct Run {
    base: u32,
    first: u16,
    extra_bits: u16,
}

/// Numbers of extra bits that offsets have.
const RUNS: usize = 21;

/// All runs of [`OFFSETS`], and one behind the last.
static OFFSET_RUNS: [Run; RUNS + 1] = {
    let mut runs = [Run { base: u32::MAX, first: 0, extra_bits: 0 }; RUNS + 1];
    let (mut run, mut slot) = (0, 0);
    while slot < OFFSETS.len() {
        if slot == 0 || OFFSETS[slot].extra_bits() != OFFSETS[slot - 1].extra_bits() {
            let extra_bits = OFFSETS[slot].extra_bits() as u16;
            runs[run] = Run { base: OFFSETS[slot].base(), first: slot as u16, extra_bits };
            run += 1;
        }
        slot += 1;
    }
    assert!(run == RUNS);
    runs
};

/// The run in which each power of two lies.
static RUN_OF_POWER: [u8; 32] = {
    let mut of_power = [0; 32];
    let (mut power, mut run) = (0, 0);
    while power < of_power.len() {
        while run + 1 < RUNS && OFFSET_RUNS[run + 1].base <= 1 << power {
            run += 1;
        }
        of_power[power] = run as u8;
        power += 1;
    }
    of_power
};

/// The slot of an offset, which is at least 1.
#[inline(always)]
fn offset_slot(offset: u32) -> usize {
    let mut run = usize::from(RUN_OF_POWER[offset.max(1).ilog2() as usize]);
    // Hardly ever more than once.
    while run < RUNS && offset >= OFFSET_RUNS[run + 1].base {
        run += 1;
    }
    let Run { base, first, extra_bits } = OFFSET_RUNS[run];
    usize::from(first) + ((offset - base) >> extra_bits) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_is_in_its_slot() {
        let all = OFFSETS.iter().flat_map(|slot| slot.base()..slot.base() + 2);
        let ends = OFFSETS[1..].iter().map(|slot| slot.base() - 1);
        for offset in (1..5000).chain(all).chain(ends).chain([1 << 26, 1 << 30]) {
            let expected = OFFSETS.partition_point(|slot| slot.base() <= offset) - 1;
            assert_eq!(offset_slot(offset), expected, "{offset}");
        }
    }
}
