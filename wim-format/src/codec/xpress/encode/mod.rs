//! The XPRESS encoder.

mod lazy;
mod optimal;
mod writer;

use super::{LITERALS, LONG_LENGTH, MIN_MATCH, SYMBOLS, TABLE_LEN};
use crate::codec::cpu::{Cpu, Stage};
use crate::codec::encode::Level;
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::prefix::{Builder, packed_codewords};
use crate::codec::encode::text::{Near, Text, View};
use lazy::Parse;
use optimal::Optimal;
use std::hint::select_unpredictable;
use std::ops::Range;
use writer::Writer;

/// Longest codeword.
const MAX_LENGTH: usize = 15;
/// The symbol behind the last one, which Microsoft's decoders want to see.
const END: usize = LITERALS;
/// Chunks up to this size are left raw: the table alone is larger.
const MIN_CHUNK: usize = TABLE_LEN + 4;

/// How often each symbol occurs.
type Frequencies = [u32; SYMBOLS];

/// A match; what lies between it and the one before are literals.
#[derive(Debug, Clone, Copy)]
struct Match {
    at: u32,
    length: u32,
    offset: u32,
}

impl Match {
    fn end(&self) -> usize {
        (self.at + self.length) as usize
    }

    #[inline(always)]
    fn symbol(&self) -> usize {
        let length = (self.length as usize - MIN_MATCH).min(LONG_LENGTH);
        LITERALS + 16 * self.offset_bits() as usize + length
    }

    #[inline(always)]
    fn offset_bits(&self) -> u32 {
        self.offset.ilog2()
    }
}

/// How a level works.
#[derive(Debug, Clone, Copy)]
struct Plan {
    effort: Effort,
    /// Of the positions within a nice match, so many at its end are entered into the trees.
    entered: usize,
    /// Times that the chunk is cut so that it costs least, each with the costs that the time before
    /// shows; with 0 matches are chosen as they are found.
    passes: usize,
}

impl Plan {
    /// For chunks of this size. The more lies behind, the more there is to find.
    const fn of(level: Level, chunk_size: u32) -> Self {
        let common = if chunk_size <= 32 << 10 { 16 } else { 20 };
        let (depth, nice, entered, passes) = match level {
            Level::Fast => (4, 20, 0, 0),
            Level::Balanced => (common, 64, 0, 0),
            Level::Usual => (common, 256, 0, 0),
            Level::Best => (24, 128, 32, 1),
            Level::Smallest => (64, 256, usize::MAX, 4),
        };
        Self { effort: Effort { depth, lazy: 4, nice }, entered, passes }
    }
}

/// Encoder state.
#[derive(Debug)]
pub(crate) struct Encoder {
    cpu: Cpu,
    plan: Plan,
    text: Text<Near>,
    method: Method,
    matches: Vec<Match>,
    builder: Builder,
}

/// What finds matches, and with it how they are chosen.
#[derive(Debug)]
enum Method {
    Lazy(Chains<Near>),
    Optimal(Box<Optimal>),
}

impl Encoder {
    /// Makes an encoder for chunks of up to `chunk_size` bytes, at most 64 KiB.
    pub(crate) fn new(chunk_size: u32, level: Level) -> Self {
        let plan = Plan::of(level, chunk_size);
        let method = match plan.passes {
            0 => Method::Lazy(Chains::new()),
            _ => Method::Optimal(Box::new(Optimal::new(chunk_size as usize))),
        };
        Self {
            cpu: Cpu::detect(),
            plan,
            text: Text::new(),
            method,
            matches: Vec::with_capacity(chunk_size as usize / MIN_MATCH + 1),
            builder: Builder::new(),
        }
    }

    /// Uses these instructions.
    #[cfg(test)]
    pub(crate) fn set_cpu(&mut self, cpu: Cpu) {
        self.cpu = cpu;
    }

    /// Encodes a chunk into `dst`; `None` when it does not fit.
    pub(crate) fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        if src.len() < MIN_CHUNK {
            return None;
        }
        let Self { cpu, plan, text, method, matches, builder } = self;
        text.set(src);
        matches.clear();
        let mut frequencies = [0; SYMBOLS];
        frequencies[END] = 1;
        match method {
            Method::Lazy(chains) => {
                chains.clear();
                let (source, nice) = (chains.search(plan.effort), plan.effort.nice);
                cpu.run(Parse { text, source, nice, matches, frequencies: &mut frequencies });
                chains.forget(text);
            }
            Method::Optimal(optimal) => {
                optimal.parse(*cpu, text, plan, matches, &mut frequencies);
            }
        }
        let mut lengths = [0; SYMBOLS];
        builder.lengths(&frequencies, MAX_LENGTH, &mut lengths);
        let table = dst.get_mut(..TABLE_LEN)?;
        for (byte, pair) in table.iter_mut().zip(lengths.chunks_exact(2)) {
            *byte = pair[0] | pair[1] << 4;
        }
        let mut words = [0; SYMBOLS];
        packed_codewords(&lengths, &mut words);
        let writer = Writer::new(dst, TABLE_LEN);
        cpu.run(Stream { words: &words, text, matches, writer })
    }
}

/// How often each symbol occurs, the end included.
fn count(chunk: &[u8], matches: &[Match]) -> Frequencies {
    let mut frequencies = [0; SYMBOLS];
    let mut at = 0;
    for item in matches {
        for &byte in &chunk[at..item.at as usize] {
            frequencies[usize::from(byte)] += 1;
        }
        frequencies[item.symbol()] += 1;
        at = item.end();
    }
    for &byte in &chunk[at..] {
        frequencies[usize::from(byte)] += 1;
    }
    frequencies[END] += 1;
    frequencies
}

/// The symbols of a chunk, to be written.
struct Stream<'a> {
    /// Codewords below their lengths: `length << 16 | word`.
    words: &'a [u32; SYMBOLS],
    text: &'a Text<Near>,
    matches: &'a [Match],
    writer: Writer<'a>,
}

impl Stage for Stream<'_> {
    /// The bytes written, if all fit.
    type Output = Option<usize>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> Option<usize> {
        let Self { words, text, matches, mut writer } = self;
        let (len, text) = (text.len(), text.view());
        let mut at = 0;
        for item in matches {
            // Most often there are none, one or two literals: which of these, takes no branch.
            let literals = item.at as usize - at;
            let word = |i: usize| words[usize::from(text.byte(at + i))];
            add(&mut writer, select_unpredictable(literals > 0, word(0), 0));
            add(&mut writer, select_unpredictable(literals > 1, word(1), 0));
            if literals > 2 {
                writer.flush();
                write_literals(words, &mut writer, text, at + 2..item.at as usize);
            }
            add(&mut writer, words[item.symbol() % SYMBOLS]);
            if let Some(rest) = (item.length as usize - MIN_MATCH).checked_sub(LONG_LENGTH) {
                writer.flush();
                write_length(&mut writer, rest);
            }
            let bits = item.offset_bits();
            writer.make_room(bits);
            writer.put(item.offset - (1 << bits), bits);
            at = item.end();
        }
        write_literals(words, &mut writer, text, at..len);
        let end = words[END];
        writer.put(end & 0xFFFF, end >> 16);
        writer.finish()
    }
}

#[inline(always)]
fn add(writer: &mut Writer<'_>, word: u32) {
    writer.add(word & 0xFFFF, word >> 16);
}

#[inline(always)]
fn write_literals(
    words: &[u32; SYMBOLS],
    writer: &mut Writer<'_>,
    text: View<'_, Near>,
    range: Range<usize>,
) {
    let Range { start: mut at, end } = range;
    while at < end {
        // Up to three at a time: what lies behind the last one takes no bits.
        let word = |i: usize| words[usize::from(text.byte(at + i))];
        add(writer, word(0));
        add(writer, select_unpredictable(end - at > 1, word(1), 0));
        add(writer, select_unpredictable(end - at > 2, word(2), 0));
        writer.flush();
        at += 3;
    }
}

/// Writes the bytes of a length that does not fit into the symbol, by `rest`.
#[inline(always)]
fn write_length(writer: &mut Writer<'_>, rest: usize) {
    if rest < 0xFF {
        writer.put_byte(rest as u8);
    } else {
        let length = rest + LONG_LENGTH;
        writer.put_byte(0xFF);
        writer.put_byte(length as u8);
        writer.put_byte((length >> 8) as u8);
    }
}
