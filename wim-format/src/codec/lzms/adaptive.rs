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
//! symbols: the frequencies go through a histogram.

use super::bits::{INDEX_BITS, Reader};
use super::shape::{LengthCounts, MAX_CODE_LENGTH, Shaper};
use super::slots::{Entry, Slot};

/// Frequencies below this are sorted by counting.
const COUNTED: usize = 128;
/// Symbols that can reach [`COUNTED`]: before a build, frequencies sum up to less than
/// 2 × (symbols + period), at most 2 × (799 + 1024).
const MAX_FREQUENT: usize = 28;

/// Room for this many symbols: a power of two, so that masking a symbol is free of bounds checks.
const SYMBOLS: usize = 1024;
/// Codewords of up to [`INDEX_BITS`] are looked up.
const TABLE: usize = 1 << INDEX_BITS;
/// Entries written at once: what is too much is overwritten by those that follow.
const FILL: usize = 8;
/// The same for lengths.
const SPREAD: usize = 32;
/// Bits of a codeword and the extra bits after it.
pub(super) const MAX_BITS: u32 = MAX_CODE_LENGTH as u32 + 30;
const _: () = assert!(MAX_BITS + INDEX_BITS < 57);

/// One adaptive code.
#[derive(Debug)]
pub(super) struct AdaptiveCode {
    /// Uses left until the next build, and between two builds.
    left: u32,
    period: u32,
    /// Entries of the whole alphabet, and how many symbols of it this chunk uses.
    alphabet: &'static [Slot],
    symbols: usize,
    frequencies: [u16; SYMBOLS],
    /// Whether the chunk has built no code yet.
    is_new: bool,
    built: Built,
    /// The code before any symbol was counted, and how many symbols that has.
    first: Built,
    first_symbols: usize,
}

/// What symbols are looked up in.
#[derive(Debug, Clone)]
struct Built {
    table: [Entry; TABLE + FILL],
    /// Entries ordered by codeword.
    ordered: [Entry; SYMBOLS],
    long: [LongCodes; MAX_CODE_LENGTH + 1],
}

impl Built {
    const NONE: Self = Self {
        table: [Entry::MISSING; TABLE + FILL],
        ordered: [Entry::MISSING; SYMBOLS],
        long: [LongCodes { limit: 0, first_code: 0, first_place: 0 }; MAX_CODE_LENGTH + 1],
    };
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

impl AdaptiveCode {
    /// Makes a code that is rebuilt every `period` uses; [`reset`](Self::reset) it before use.
    pub(super) fn new(period: u32, alphabet: &'static [Slot]) -> Self {
        Self {
            left: 0,
            period,
            alphabet,
            symbols: 1,
            frequencies: [1; SYMBOLS],
            is_new: true,
            built: Built::NONE,
            first: Built::NONE,
            first_symbols: 0,
        }
    }

    /// Starts a chunk that uses the first `symbols` symbols of the alphabet, at least one.
    pub(super) fn reset(&mut self, symbols: usize) {
        self.symbols = symbols.clamp(1, SYMBOLS.min(self.alphabet.len()));
        self.frequencies[..self.symbols].fill(1);
        (self.left, self.is_new) = (0, true);
    }

    /// Reads one symbol and counts it, rebuilding the code first when that is due. Gives the entry
    /// of the symbol's codeword, still to be taken from `reader`.
    #[inline(always)]
    fn look_up(&mut self, reader: &Reader<'_>, shaper: &mut Shaper) -> Entry {
        let (left, used_up) = self.left.overflowing_sub(1);
        self.left = left;
        if used_up {
            self.rebuild(shaper);
        }
        let mut entry = self.built.table[reader.index()];
        if entry == Entry::MISSING {
            entry = self.long_code(reader.next_16());
        }
        let frequency = &mut self.frequencies[entry.symbol()];
        *frequency = frequency.wrapping_add(1);
        entry
    }

    /// Reads one symbol that has no extra bits.
    #[inline(always)]
    pub(super) fn symbol(&mut self, reader: &mut Reader<'_>, shaper: &mut Shaper) -> usize {
        let entry = self.look_up(reader, shaper);
        reader.take(entry);
        entry.symbol()
    }

    /// Reads the value of one symbol of the code's alphabet, `slots`, extra bits included.
    #[inline(always)]
    pub(super) fn value(
        &mut self,
        slots: &[Slot],
        reader: &mut Reader<'_>,
        shaper: &mut Shaper,
    ) -> u32 {
        let entry = self.look_up(reader, shaper);
        let bits = reader.take(entry);
        slots.get(entry.symbol()).map_or(0, |slot| slot.value(bits))
    }

    /// Finds a codeword longer than the table's index: the first length whose codewords go
    /// beyond `value`, the next 16 bits.
    #[cold]
    #[inline(never)]
    fn long_code(&self, value: u32) -> Entry {
        for (length, codes) in (0_u32..).zip(&self.built.long).skip(INDEX_BITS as usize + 1) {
            if value < codes.limit {
                let place = (value >> (16 - length)) - codes.first_code + codes.first_place;
                return self.built.ordered[place as usize & (SYMBOLS - 1)];
            }
        }
        // Not reached: the code is complete, so the last limit is 2^16.
        self.alphabet[0].with_length(1)
    }

    /// Counts a symbol that is written.
    #[inline(always)]
    pub(super) fn note(&mut self, symbol: usize) {
        let frequency = &mut self.frequencies[symbol & (SYMBOLS - 1)];
        *frequency = frequency.wrapping_add(1);
    }

    /// Uses between two builds.
    pub(super) fn period(&self) -> u32 {
        self.period
    }

    /// Every symbol with its codeword and the length of that, as the last build left them.
    pub(super) fn codewords(&self) -> impl Iterator<Item = (usize, u32, u32)> + '_ {
        (1..=MAX_CODE_LENGTH).flat_map(|length| {
            let LongCodes { first_code, first_place, .. } = self.built.long[length];
            let next = self.built.long.get(length + 1);
            let end = next.map_or(self.symbols, |next| next.first_place as usize);
            let slots = &self.built.ordered[first_place as usize..end];
            let numbered = (first_code..).zip(slots);
            numbered.map(move |(codeword, slot)| (slot.symbol(), codeword, length as u32))
        })
    }

    /// Builds the code from the frequencies, then ages them, and counts the use that it is for.
    /// Should no code be possible, the old one stays and `shaper` remembers.
    #[cold]
    #[inline(never)]
    pub(super) fn rebuild(&mut self, shaper: &mut Shaper) {
        self.left = self.period - 1;
        let is_first = std::mem::take(&mut self.is_new);
        if is_first && self.first_symbols == self.symbols {
            // All chunks of one size start with the same code.
            self.built.clone_from(&self.first);
            return;
        }
        let mut ranking = Ranking::new(&self.frequencies[..self.symbols], shaper);
        if let Some(counts) = shaper.length_counts() {
            self.order(&mut ranking, &counts);
            self.fill_table(&counts);
        }
        if is_first {
            self.first.clone_from(&self.built);
            self.first_symbols = self.symbols;
        }
        for frequency in &mut self.frequencies[..self.symbols] {
            *frequency = (*frequency >> 1) + 1;
        }
    }

    /// Deals out code lengths, the longest to the first in (frequency, symbol) order, and orders
    /// the symbols as the canonical code wants them: by length, then by number.
    fn order(&mut self, ranking: &mut Ranking, counts: &LengthCounts) {
        let built = &mut self.built;
        let mut length_at = [0_u8; SYMBOLS + SPREAD];
        let mut filled = 0;
        for (length, &count) in counts.iter().enumerate().rev() {
            let end = filled + usize::from(count);
            while filled < end {
                length_at[filled..filled + SPREAD].fill(length as u8);
                filled += SPREAD;
            }
            filled = end;
        }
        let mut places = [[0_u16; 2]; MAX_CODE_LENGTH + 1];
        let (mut code, mut place) = (0_u32, 0_u16);
        for (length, &count) in counts.iter().enumerate().skip(1) {
            code <<= 1;
            let (first_code, first_place) = (code, place.into());
            code += u32::from(count);
            built.long[length] =
                LongCodes { limit: code << (16 - length), first_code, first_place };
            places[length] = [place, place + count];
            place += count;
        }
        let frequencies = &self.frequencies[..self.symbols];
        let mut deal = |slot: Slot, rank: usize, end: usize| {
            let length = length_at[rank % SYMBOLS];
            let place = &mut places[usize::from(length) & MAX_CODE_LENGTH][end];
            *place = place.wrapping_sub(end as u16);
            built.ordered[usize::from(*place) % SYMBOLS] = slot.with_length(length.into());
            *place += 1 - end as u16;
        };
        // Each symbol waits for the one before of its frequency, and for that of its length: so they
        // are dealt out from both ends.
        let mut dealt = self.alphabet.iter().zip(frequencies);
        while let Some((&slot, &frequency)) = dealt.next() {
            deal(slot, ranking.next(slot.symbol(), frequency), 0);
            if let Some((&slot, &frequency)) = dealt.next_back() {
                deal(slot, ranking.next_back(slot.symbol(), frequency), 1);
            }
        }
    }

    fn fill_table(&mut self, counts: &LengthCounts) {
        let Built { table, ordered, .. } = &mut self.built;
        let mut entries = &ordered[..self.symbols];
        if let [only] = *entries {
            // A code of one symbol is incomplete; it owns the other half of the table too.
            table.fill(only);
            return;
        }
        let mut at = 0;
        for (length, &count) in counts.iter().enumerate().take(INDEX_BITS as usize + 1).skip(1) {
            let (now, longer) = entries.split_at(count.into());
            let span = TABLE >> length;
            if span <= FILL {
                for &entry in now {
                    table[at..at + FILL].fill(entry);
                    at += span;
                }
            } else {
                for &entry in now {
                    table[at..at + span].fill(entry);
                    at += span;
                }
            }
            entries = longer;
        }
        table[at..].fill(Entry::MISSING);
    }
}

/// Places of the symbols in (frequency, symbol) order.
struct Ranking {
    /// For each frequency the place of its first symbol that was not asked for yet.
    counted: [u16; COUNTED],
    /// The place after its last symbol that was not asked for yet.
    ends: [u16; COUNTED],
    /// Frequency << 16 | symbol, of the last symbols in order.
    frequent: [u32; MAX_FREQUENT],
    /// Place of the first of `frequent`.
    first_frequent: usize,
    frequent_count: usize,
}

impl Ranking {
    /// Ranks all symbols and adds them to an empty `shaper` as leaves.
    #[inline(always)]
    fn new(frequencies: &[u16], shaper: &mut Shaper) -> Self {
        let mut ranking = Self {
            counted: [0; COUNTED],
            ends: [0; COUNTED],
            frequent: [0; MAX_FREQUENT],
            first_frequent: 0,
            frequent_count: 0,
        };
        // Most frequencies are 1. An add that waits for the one before to the same counter is slow,
        // so neighbours count in different tables.
        let mut counts = [[0_u16; COUNTED]; 4];
        for (symbol, &frequency) in (0_u32..).zip(frequencies) {
            if usize::from(frequency) < COUNTED {
                counts[symbol as usize % 4][usize::from(frequency)] += 1;
            } else if let Some(slot) = ranking.frequent.get_mut(ranking.frequent_count) {
                *slot = u32::from(frequency) << 16 | symbol;
                ranking.frequent_count += 1;
            }
        }
        for (i, sum) in ranking.counted.iter_mut().enumerate() {
            *sum = counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i];
        }
        ranking.frequent[..ranking.frequent_count].sort_unstable();
        shaper.clear();
        let mut place = 0;
        for (half, mut seen) in seen(&ranking.counted).into_iter().enumerate() {
            while seen != 0 {
                let frequency = 64 * half + seen.trailing_zeros() as usize;
                let count = std::mem::replace(&mut ranking.counted[frequency], place);
                shaper.add(frequency as u32, count.into());
                place += count;
                ranking.ends[frequency] = place;
                seen &= seen - 1;
            }
        }
        ranking.first_frequent = place.into();
        for &frequent in &ranking.frequent[..ranking.frequent_count] {
            shaper.add(frequent >> 16, 1);
        }
        ranking
    }

    /// The place of a symbol: the first of its frequency that was not asked for.
    #[inline(always)]
    fn next(&mut self, symbol: usize, frequency: u16) -> usize {
        match self.counted.get_mut(usize::from(frequency)) {
            Some(place) => {
                *place += 1;
                usize::from(*place) - 1
            }
            None => self.of_frequent(symbol, frequency),
        }
    }

    /// The same for the last.
    #[inline(always)]
    fn next_back(&mut self, symbol: usize, frequency: u16) -> usize {
        match self.ends.get_mut(usize::from(frequency)) {
            Some(place) => {
                *place -= 1;
                usize::from(*place)
            }
            None => self.of_frequent(symbol, frequency),
        }
    }

    fn of_frequent(&self, symbol: usize, frequency: u16) -> usize {
        let wanted = u32::from(frequency) << 16 | symbol as u32;
        let frequent = &self.frequent[..self.frequent_count];
        self.first_frequent + frequent.iter().take_while(|&&other| other < wanted).count()
    }
}

/// Which of the counts, all below 2^15, are not 0, bit by bit: without a branch for each.
#[inline(always)]
fn seen(counts: &[u16; COUNTED]) -> [u64; COUNTED / 64] {
    let mut seen = [0; COUNTED / 64];
    let (fours, _) = counts.as_chunks::<4>();
    for (at, four) in fours.iter().enumerate() {
        let four = four.iter().rev().fold(0, |all, &count| all << 16 | u64::from(count));
        let signs = (four + 0x7FFF_7FFF_7FFF_7FFF) >> 15 & 0x0001_0001_0001_0001;
        // Bit 16i goes to bit 48 + i.
        let bits = signs.wrapping_mul(0x0001_0002_0004_0008) >> 48;
        seen[at / 16] |= (bits & 0xF) << (4 * (at % 16));
    }
    seen
}
