//! The XPRESS encoder.

mod lazy;
mod optimal;
mod writer;

use super::{LITERALS, LONG_LENGTH, MIN_MATCH, SYMBOLS, TABLE_LEN};
use crate::codec::cpu::Cpu;
use crate::codec::encode::Level;
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::prefix::{Builder, codewords};
use crate::codec::encode::source::Search;
use crate::codec::encode::text::{Near, Text};
use lazy::Parse;
use optimal::Optimal;
use writer::Writer;

/// Longest codeword.
const MAX_LENGTH: usize = 15;
/// The symbol behind the last one, which Microsoft's decoders want to see.
const END: usize = LITERALS;
/// Chunks up to this size are left raw: the table alone is larger.
const MIN_CHUNK: usize = TABLE_LEN + 4;

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
    /// Times that the chunk is cut so that it costs least, each with the costs that the time before
    /// shows; with 0 matches are chosen as they are found.
    passes: usize,
}

impl Plan {
    const fn of(level: Level) -> Self {
        let (depth, nice, passes) = match level {
            Level::Fast => (12, 24, 0),
            Level::Balanced => (24, 48, 0),
            Level::Usual => (28, 64, 0),
            Level::Best => (20, 80, 1),
            Level::Smallest => (64, 256, 4),
        };
        Self { effort: Effort { depth, nice }, passes }
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
        let plan = Plan::of(level);
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
        match method {
            Method::Lazy(chains) => {
                chains.clear();
                let source = Search { chains, effort: plan.effort };
                cpu.run(Parse { text, source, nice: plan.effort.nice, matches });
            }
            Method::Optimal(optimal) => optimal.parse(*cpu, text, plan, matches),
        }
        let mut lengths = [0; SYMBOLS];
        builder.lengths(&count(src, matches), MAX_LENGTH, &mut lengths);
        write(src, matches, &lengths, dst)
    }
}

/// How often each symbol occurs, the end included.
fn count(chunk: &[u8], matches: &[Match]) -> [u32; SYMBOLS] {
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

/// Writes the table and the stream.
fn write(
    chunk: &[u8],
    matches: &[Match],
    lengths: &[u8; SYMBOLS],
    dst: &mut [u8],
) -> Option<usize> {
    let table = dst.get_mut(..TABLE_LEN)?;
    for (byte, pair) in table.iter_mut().zip(lengths.chunks_exact(2)) {
        *byte = pair[0] | pair[1] << 4;
    }
    let mut words = [0; SYMBOLS];
    codewords(lengths, &mut words);
    let mut writer = Writer::new(dst, TABLE_LEN);
    let put = |writer: &mut Writer<'_>, symbol: usize| {
        writer.put(words[symbol].into(), lengths[symbol].into());
    };
    let mut at = 0;
    for item in matches {
        for &byte in &chunk[at..item.at as usize] {
            put(&mut writer, byte.into());
        }
        put(&mut writer, item.symbol());
        write_length(&mut writer, item.length as usize - MIN_MATCH);
        let bits = item.offset_bits();
        writer.put(item.offset - (1 << bits), bits);
        at = item.end();
    }
    for &byte in &chunk[at..] {
        put(&mut writer, byte.into());
    }
    put(&mut writer, END);
    writer.finish()
}

/// Writes the bytes of a length (less the shortest) that does not fit into the symbol.
#[inline(always)]
fn write_length(writer: &mut Writer<'_>, length: usize) {
    let Some(rest) = length.checked_sub(LONG_LENGTH) else { return };
    if rest < 0xFF {
        writer.put_byte(rest as u8);
    } else {
        writer.put_byte(0xFF);
        writer.put_byte(length as u8);
        writer.put_byte((length >> 8) as u8);
    }
}
