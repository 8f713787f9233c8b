//! Makes the codes of a block and writes it.

use super::super::tables::{
    ALIGNED_BITS, ALIGNED_SYMBOLS, DEFAULT_BLOCK_SIZE, EXTRA_BITS, FIRST_ALIGNED_SLOT,
    LENGTH_SYMBOLS, LITERALS, LONG_HEADER, MAX_EXTRA_BITS, MAX_MAIN_SYMBOLS, MAX_SLOTS, MIN_MATCH,
    MIN_ORDER, main_symbols,
};
use super::lengths::Part;
use super::matches::{MAX_MATCH, Match};
use crate::codec::cpu::{Cpu, Stage};
use crate::codec::encode::bits::{BitWriter, ROOM};
use crate::codec::encode::prefix::{Builder, packed_codewords};
use crate::codec::encode::text::{Reach, Text, View};
use std::hint::select_unpredictable;
use std::ops::Range;

/// Longest codeword of the main and the length code.
const MAX_LENGTH: usize = 16;
/// Longest codeword of the aligned-offset code.
const MAX_ALIGNED_LENGTH: usize = 7;

/// How often each symbol of a block occurs.
#[derive(Debug, Clone)]
pub(super) struct Frequencies {
    pub(super) main: [u32; MAX_MAIN_SYMBOLS],
    pub(super) length: [u32; LENGTH_SYMBOLS],
    pub(super) aligned: [u32; ALIGNED_SYMBOLS],
}

impl Frequencies {
    pub(super) const NONE: Self = Self {
        main: [0; MAX_MAIN_SYMBOLS],
        length: [0; LENGTH_SYMBOLS],
        aligned: [0; ALIGNED_SYMBOLS],
    };

    /// Counts a literal.
    #[inline(always)]
    pub(super) fn literal(&mut self, byte: u8) {
        self.main[usize::from(byte)] += 1;
    }

    /// Counts a match. What is not there is counted zero times, without a branch.
    #[inline(always)]
    pub(super) fn matched(&mut self, item: &Match) {
        self.main[usize::from(item.main)] += 1;
        let (symbol, is_long) = item.length_symbol();
        self.length[symbol] += u32::from(is_long);
        let is_aligned = item.slot() >= FIRST_ALIGNED_SLOT;
        self.aligned[item.extra as usize % ALIGNED_SYMBOLS] += u32::from(is_aligned);
    }

    /// Counts what `matches` make of the bytes of `chunk` from `at` to `end`.
    pub(super) fn count(&mut self, chunk: &[u8], at: usize, end: usize, matches: &[Match]) {
        let mut at = at;
        for item in matches {
            chunk[at..item.at as usize].iter().for_each(|&byte| self.literal(byte));
            self.matched(item);
            at = item.end();
        }
        chunk[at..end].iter().for_each(|&byte| self.literal(byte));
    }

    /// Adds those of another part.
    pub(super) fn add(&mut self, other: &Self) {
        let add = |own: &mut [u32], other: &[u32]| {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        };
        add(&mut self.main, &other.main);
        add(&mut self.length, &other.length);
        add(&mut self.aligned, &other.aligned);
    }
}

/// The lengths of the three codes of a block.
#[derive(Debug)]
struct Codes {
    main: [u8; MAX_MAIN_SYMBOLS],
    length: [u8; LENGTH_SYMBOLS],
    aligned: [u8; ALIGNED_SYMBOLS],
}

/// Codewords, each below its length: `length << 16 | word`. Zero stands for no bits.
#[derive(Debug)]
struct Words {
    main: [u32; MAX_MAIN_SYMBOLS],
    /// By the length of the match.
    length: [u32; MAX_MATCH + 1],
    aligned: [u32; ALIGNED_SYMBOLS],
}

/// Whether the last three bits of offsets are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verbatim = 1,
    Aligned = 2,
}

/// What the codes of a block are to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Its symbols, which takes least time.
    Symbols,
    /// Its symbols and the header with the codes.
    Block,
}

/// Writes the blocks of a chunk.
#[derive(Debug)]
pub(super) struct Blocks {
    order: u32,
    fit: Fit,
    builder: Builder,
    codes: Codes,
    words: Words,
    /// The lengths of the block before.
    old_main: [u8; MAX_MAIN_SYMBOLS],
    old_length: [u8; LENGTH_SYMBOLS],
    parts: [Part; 3],
}

impl Blocks {
    /// For chunks of 2^`order` bytes.
    pub(super) fn new(order: u32, fit: Fit) -> Self {
        Self {
            order,
            fit,
            builder: Builder::new(),
            codes: Codes {
                main: [0; MAX_MAIN_SYMBOLS],
                length: [0; LENGTH_SYMBOLS],
                aligned: [0; ALIGNED_SYMBOLS],
            },
            words: Words {
                main: [0; MAX_MAIN_SYMBOLS],
                length: [0; MAX_MATCH + 1],
                aligned: [0; ALIGNED_SYMBOLS],
            },
            old_main: [0; MAX_MAIN_SYMBOLS],
            old_length: [0; LENGTH_SYMBOLS],
            parts: std::array::from_fn(|_| Part::new()),
        }
    }

    /// Starts a chunk.
    pub(super) fn start(&mut self) {
        self.old_main.fill(0);
        self.old_length.fill(0);
    }

    /// Writes a part of the chunk, cut into `matches`, as a block.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn write<'b, R: Reach>(
        &mut self,
        cpu: Cpu,
        mut bits: BitWriter<'b>,
        text: &Text<R>,
        Range { start: at, end }: Range<usize>,
        matches: &[Match],
        frequencies: &Frequencies,
    ) -> BitWriter<'b> {
        let kind = self.make_codes(frequencies);
        bits.put(kind as u32, 3);
        if end - at == DEFAULT_BLOCK_SIZE {
            bits.put(1, 1);
        } else {
            bits.put(0, 1);
            bits.put((end - at) as u32, if self.order == MIN_ORDER { 16 } else { 24 });
        }
        self.write_codes(&mut bits, kind);
        let text = text.view();
        let Self { words, .. } = self;
        let bits = cpu.run(Body { words, kind, bits, text, range: at..end, matches });
        self.old_main = self.codes.main;
        self.old_length = self.codes.length;
        bits
    }

    fn make_codes(&mut self, frequencies: &Frequencies) -> Kind {
        let Self { fit, builder, codes, words, old_main, old_length, parts, .. } = self;
        let symbols = main_symbols(self.order);
        let main = &frequencies.main[..symbols];
        builder.lengths(main, MAX_LENGTH, &mut codes.main[..symbols]);
        builder.lengths(&frequencies.length, MAX_LENGTH, &mut codes.length);
        if *fit == Fit::Block {
            shorten(builder, main, &mut codes.main[..symbols], |builder, lengths| {
                let [first, second, _] = &mut *parts;
                first.prepare(builder, &old_main[..LITERALS], &lengths[..LITERALS])
                    + second.prepare(builder, &old_main[LITERALS..symbols], &lengths[LITERALS..])
            });
            shorten(builder, &frequencies.length, &mut codes.length, |builder, lengths| {
                parts[2].prepare(builder, old_length, lengths)
            });
        }
        builder.lengths(&frequencies.aligned, MAX_ALIGNED_LENGTH, &mut codes.aligned);
        packed_codewords(&codes.main, &mut words.main);
        packed_codewords(&codes.length, &mut words.length[MIN_MATCH + LONG_HEADER..]);
        packed_codewords(&codes.aligned, &mut words.aligned);
        let pairs = frequencies.aligned.iter().zip(&codes.aligned);
        let aligned: u32 = pairs.map(|(count, &length)| count * u32::from(length)).sum();
        let raw = ALIGNED_BITS * frequencies.aligned.iter().sum::<u32>();
        let lengths = ALIGNED_BITS * ALIGNED_SYMBOLS as u32;
        if aligned + lengths < raw { Kind::Aligned } else { Kind::Verbatim }
    }

    fn write_codes(&mut self, bits: &mut BitWriter<'_>, kind: Kind) {
        let Self { builder, codes, old_main, old_length, parts, .. } = self;
        if kind == Kind::Aligned {
            codes.aligned.iter().for_each(|&length| bits.put(length.into(), 3));
        }
        let symbols = main_symbols(self.order);
        let sides = [
            (&old_main[..LITERALS], &codes.main[..LITERALS]),
            (&old_main[LITERALS..symbols], &codes.main[LITERALS..symbols]),
            (&old_length[..], &codes.length[..]),
        ];
        for (part, (old, new)) in parts.iter_mut().zip(sides) {
            part.prepare(builder, old, new);
            part.write(bits);
        }
    }
}

/// Makes the longest codewords of a code shorter as long as that saves bits: the symbols take more, and
/// the `header` with the lengths, given these, less, since there are fewer different ones.
fn shorten(
    builder: &mut Builder,
    frequencies: &[u32],
    lengths: &mut [u8],
    mut header: impl FnMut(&mut Builder, &[u8]) -> u64,
) {
    let mut bits = |builder: &mut Builder, lengths: &[u8]| {
        let pairs = frequencies.iter().zip(lengths);
        let symbols = pairs.map(|(&count, &length)| u64::from(count) * u64::from(length));
        symbols.sum::<u64>() + header(builder, lengths)
    };
    let mut least = bits(builder, lengths);
    let used = frequencies.iter().filter(|&&count| count != 0).count();
    let mut longest = usize::from(lengths.iter().copied().max().unwrap_or_default());
    let mut others = [0; MAX_MAIN_SYMBOLS];
    let others = &mut others[..lengths.len()];
    // A code whose lengths are all about the same is not worth a try.
    while longest > 1 && 1 << (longest - 1) >= used + used / 2 {
        longest -= 1;
        builder.lengths(frequencies, longest, others);
        let fewer = bits(builder, others);
        if fewer >= least {
            return;
        }
        least = fewer;
        lengths.copy_from_slice(others);
    }
}

/// What slots leave open: the raw bits, and the bits below them that are coded.
#[derive(Debug, Clone, Copy)]
struct Open {
    raw: u8,
    coded: u8,
}

/// By slot, for each kind of block.
static OPEN: [[Open; MAX_SLOTS]; 2] = {
    let mut open = [[Open { raw: 0, coded: 0 }; MAX_SLOTS]; 2];
    let mut slot = 0;
    while slot < MAX_SLOTS {
        let bits = EXTRA_BITS[slot];
        open[0][slot].raw = bits;
        let coded = if slot < FIRST_ALIGNED_SLOT { 0 } else { ALIGNED_BITS as u8 };
        open[1][slot] = Open { raw: bits - coded, coded };
        slot += 1;
    }
    open
};

/// The symbols of a block, to be written.
struct Body<'a, 'b, R: Reach> {
    words: &'a Words,
    kind: Kind,
    bits: BitWriter<'b>,
    text: View<'a, R>,
    range: Range<usize>,
    matches: &'a [Match],
}

// Between flushes lie two literals and a symbol of the main code, or the rest of a match.
const _: () = assert!(3 * MAX_LENGTH <= ROOM as usize);
const _: () = assert!(MAX_LENGTH + MAX_EXTRA_BITS as usize + MAX_ALIGNED_LENGTH <= ROOM as usize);

impl<'b, R: Reach> Stage for Body<'_, 'b, R> {
    type Output = BitWriter<'b>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> BitWriter<'b> {
        let Self { words, kind, mut bits, text, range, matches } = self;
        let open = &OPEN[usize::from(kind == Kind::Aligned)];
        let mut at = range.start;
        for item in matches {
            // Most often there are none, one or two literals: which of these, takes no branch.
            let literals = item.at as usize - at;
            let word = |i: usize| words.main[usize::from(text.byte(at + i))];
            add(&mut bits, select_unpredictable(literals > 0, word(0), 0));
            add(&mut bits, select_unpredictable(literals > 1, word(1), 0));
            if literals > 2 {
                bits.flush();
                write_literals(words, &mut bits, text, at + 2..item.at as usize);
            }
            add(&mut bits, words.main[usize::from(item.main)]);
            let length = words.length[usize::from(item.length)];
            let Open { raw, coded } = open[item.slot()];
            let aligned = words.aligned[item.extra as usize % ALIGNED_SYMBOLS];
            let aligned = select_unpredictable(coded > 0, aligned, 0);
            bits.make_room((length >> 16) + u32::from(raw) + (aligned >> 16));
            add(&mut bits, length);
            bits.add(item.extra >> coded, raw.into());
            add(&mut bits, aligned);
            bits.flush();
            at = item.end();
        }
        write_literals(words, &mut bits, text, at..range.end);
        bits
    }
}

#[inline(always)]
fn add(bits: &mut BitWriter<'_>, word: u32) {
    bits.add(word & 0xFFFF, word >> 16);
}

#[inline(always)]
fn write_literals<R: Reach>(
    words: &Words,
    bits: &mut BitWriter<'_>,
    text: View<'_, R>,
    range: Range<usize>,
) {
    let Range { start: mut at, end } = range;
    while at < end {
        // Up to three at a time: what lies behind the last one takes no bits.
        let word = |i: usize| words.main[usize::from(text.byte(at + i))];
        add(bits, word(0));
        add(bits, select_unpredictable(end - at > 1, word(1), 0));
        add(bits, select_unpredictable(end - at > 2, word(2), 0));
        bits.flush();
        at += 3;
    }
}
