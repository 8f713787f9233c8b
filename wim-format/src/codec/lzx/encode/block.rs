//! Makes the codes of a block and writes it.

use super::super::tables::{
    ALIGNED_BITS, ALIGNED_SYMBOLS, DEFAULT_BLOCK_SIZE, FIRST_ALIGNED_SLOT, LENGTH_SYMBOLS,
    LITERALS, MAX_MAIN_SYMBOLS, MIN_ORDER, main_symbols,
};
use super::lengths::Part;
use super::matches::{Match, extra_bits};
use crate::codec::encode::bits::BitWriter;
use crate::codec::encode::prefix::{Builder, codewords};
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

    /// Counts what `matches` make of the bytes of `chunk` from `at` to `end`.
    pub(super) fn count(&mut self, chunk: &[u8], at: usize, end: usize, matches: &[Match]) {
        let mut at = at;
        for item in matches {
            self.literals(&chunk[at..item.at as usize]);
            self.main[item.main_symbol()] += 1;
            if let Some(symbol) = item.length_symbol() {
                self.length[symbol] += 1;
            }
            if usize::from(item.slot) >= FIRST_ALIGNED_SLOT {
                self.aligned[item.extra as usize % ALIGNED_SYMBOLS] += 1;
            }
            at = item.end();
        }
        self.literals(&chunk[at..end]);
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

    fn literals(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.main[usize::from(byte)] += 1);
    }
}

/// The three codes of a block.
#[derive(Debug)]
struct Codes {
    main: [u8; MAX_MAIN_SYMBOLS],
    length: [u8; LENGTH_SYMBOLS],
    aligned: [u8; ALIGNED_SYMBOLS],
    main_words: [u16; MAX_MAIN_SYMBOLS],
    length_words: [u16; LENGTH_SYMBOLS],
    aligned_words: [u16; ALIGNED_SYMBOLS],
}

/// Whether the last three bits of offsets are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verbatim = 1,
    Aligned = 2,
}

/// Writes the blocks of a chunk.
#[derive(Debug)]
pub(super) struct Blocks {
    order: u32,
    builder: Builder,
    codes: Codes,
    /// The lengths of the block before.
    old_main: [u8; MAX_MAIN_SYMBOLS],
    old_length: [u8; LENGTH_SYMBOLS],
    parts: [Part; 3],
}

impl Blocks {
    /// For chunks of 2^`order` bytes.
    pub(super) fn new(order: u32) -> Self {
        Self {
            order,
            builder: Builder::new(),
            codes: Codes {
                main: [0; MAX_MAIN_SYMBOLS],
                length: [0; LENGTH_SYMBOLS],
                aligned: [0; ALIGNED_SYMBOLS],
                main_words: [0; MAX_MAIN_SYMBOLS],
                length_words: [0; LENGTH_SYMBOLS],
                aligned_words: [0; ALIGNED_SYMBOLS],
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

    /// Writes a part of `chunk`, cut into `matches`, as a block.
    pub(super) fn write(
        &mut self,
        bits: &mut BitWriter<'_>,
        chunk: &[u8],
        Range { start: at, end }: Range<usize>,
        matches: &[Match],
        frequencies: &Frequencies,
    ) {
        let kind = self.make_codes(frequencies);
        bits.put(kind as u32, 3);
        if end - at == DEFAULT_BLOCK_SIZE {
            bits.put(1, 1);
        } else {
            bits.put(0, 1);
            bits.put((end - at) as u32, if self.order == MIN_ORDER { 16 } else { 24 });
        }
        self.write_codes(bits, kind);
        match kind {
            Kind::Verbatim => self.codes.write::<false>(bits, chunk, at, end, matches),
            Kind::Aligned => self.codes.write::<true>(bits, chunk, at, end, matches),
        }
        self.old_main = self.codes.main;
        self.old_length = self.codes.length;
    }

    fn make_codes(&mut self, frequencies: &Frequencies) -> Kind {
        let Self { builder, codes, .. } = self;
        let symbols = main_symbols(self.order);
        builder.lengths(&frequencies.main[..symbols], MAX_LENGTH, &mut codes.main[..symbols]);
        builder.lengths(&frequencies.length, MAX_LENGTH, &mut codes.length);
        builder.lengths(&frequencies.aligned, MAX_ALIGNED_LENGTH, &mut codes.aligned);
        codewords(&codes.main, &mut codes.main_words);
        codewords(&codes.length, &mut codes.length_words);
        codewords(&codes.aligned, &mut codes.aligned_words);
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

impl Codes {
    fn write<const ALIGNED: bool>(
        &self,
        bits: &mut BitWriter<'_>,
        chunk: &[u8],
        at: usize,
        end: usize,
        matches: &[Match],
    ) {
        let mut at = at;
        for item in matches {
            self.write_literals(bits, &chunk[at..item.at as usize]);
            let symbol = item.main_symbol();
            bits.put(self.main_words[symbol].into(), self.main[symbol].into());
            if let Some(symbol) = item.length_symbol() {
                bits.put(self.length_words[symbol].into(), self.length[symbol].into());
            }
            let slot = usize::from(item.slot);
            if ALIGNED && slot >= FIRST_ALIGNED_SLOT {
                bits.put(item.extra >> ALIGNED_BITS, extra_bits(slot) - ALIGNED_BITS);
                let symbol = item.extra as usize % ALIGNED_SYMBOLS;
                bits.put(self.aligned_words[symbol].into(), self.aligned[symbol].into());
            } else {
                bits.put(item.extra, extra_bits(slot));
            }
            at = item.end();
        }
        self.write_literals(bits, &chunk[at..end]);
    }

    #[inline(always)]
    fn write_literals(&self, bits: &mut BitWriter<'_>, bytes: &[u8]) {
        for &byte in bytes {
            let symbol = usize::from(byte);
            bits.put(self.main_words[symbol].into(), self.main[symbol].into());
        }
    }
}
