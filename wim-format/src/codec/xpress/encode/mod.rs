//! The XPRESS encoder.

mod hinted;
mod items;
mod lazy;
mod optimal;
mod writer;

use super::{LITERALS, LONG_LENGTH, SYMBOLS, TABLE_LEN};
use crate::codec::cpu::{Cpu, Stage};
use crate::codec::encode::Level;
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::prefix::{Builder, each_codeword};
use crate::codec::encode::text::{Near, Text};
use crate::codec::hints::Hints;
use items::{Item, Items, open_bits};
use optimal::Optimal;
use writer::Writer;

/// Longest codeword.
const MAX_LENGTH: usize = 15;
/// The symbol behind the last one, which Microsoft's decoders want to see.
const END: usize = LITERALS;
/// Chunks up to this size are left raw: the table alone is larger.
const MIN_CHUNK: usize = TABLE_LEN + 4;

/// How often each symbol occurs.
type Frequencies = [u32; SYMBOLS];

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
            Level::Best => (24, 112, 32, 1),
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
    items: Items,
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
            items: Items::new(),
            builder: Builder::new(),
        }
    }

    /// Uses these instructions.
    #[cfg(test)]
    pub(crate) fn set_cpu(&mut self, cpu: Cpu) {
        self.cpu = cpu;
    }

    /// Encodes a chunk into `dst`, with the matches of another encoding; `None` when it does not fit.
    pub(crate) fn encode(&mut self, src: &[u8], hints: &Hints, dst: &mut [u8]) -> Option<usize> {
        if src.len() < MIN_CHUNK {
            return None;
        }
        let Self { cpu, plan, text, method, items, builder } = self;
        text.set(src);
        items.clear();
        match method {
            Method::Lazy(chains) => {
                chains.clear();
                let (source, nice) = (chains.search(plan.effort), plan.effort.nice);
                match hints.are_weighed() {
                    true => cpu.run(hinted::Parse { text, source, nice, hints, items }),
                    false => cpu.run(lazy::Parse { text, source, nice, items }),
                }
                chains.forget(text);
            }
            Method::Optimal(optimal) => {
                optimal.parse(*cpu, text, plan, items);
            }
        }
        let mut lengths = [0; SYMBOLS];
        builder.lengths(&items.frequencies, MAX_LENGTH, &mut lengths);
        let table = dst.get_mut(..TABLE_LEN)?;
        for (byte, pair) in table.iter_mut().zip(lengths.chunks_exact(2)) {
            *byte = pair[0] | pair[1] << 4;
        }
        let mut words = [0; SYMBOLS];
        each_codeword(&lengths, |symbol, word| {
            let open = open_bits(symbol);
            let count = u32::from(lengths[symbol]) + open;
            words[symbol] = u64::from(count) << 32 | u64::from(word) << open;
        });
        let writer = Writer::new(dst, TABLE_LEN);
        cpu.run(Stream { words: &words, items, writer })
    }
}

/// The items of a chunk, to be written.
struct Stream<'a> {
    /// By symbol its codeword and zeros for the bits that it leaves open, below how many bits these are
    /// together: `count << 32 | bits`.
    words: &'a [u64; SYMBOLS],
    items: &'a Items,
    writer: Writer<'a>,
}

impl Stage for Stream<'_> {
    /// The bytes written, if all fit.
    type Output = Option<usize>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> Option<usize> {
        let Self { words, items, mut writer } = self;
        let mut rests = items.rests();
        let (threes, others) = items.all().as_chunks::<3>();
        for three in threes {
            if three.iter().any(|item| item.is_long()) {
                three.iter().for_each(|&item| write(words, &mut writer, &mut rests, item));
                continue;
            }
            for &item in three {
                let (bits, count) = bits(words, item);
                writer.make_room(count);
                writer.add(bits, count);
            }
            writer.flush();
        }
        others.iter().for_each(|&item| write(words, &mut writer, &mut rests, item));
        let end = words[END];
        writer.put(end as u32, (end >> 32) as u32);
        writer.finish()
    }
}

/// The bits of an item, and how many there are.
#[inline(always)]
fn bits(words: &[u64; SYMBOLS], item: Item) -> (u32, u32) {
    let word = words[item.symbol()];
    (word as u32 | item.open(), (word >> 32) as u32)
}

#[inline(always)]
fn write(
    words: &[u64; SYMBOLS],
    writer: &mut Writer<'_>,
    rests: &mut impl Iterator<Item = u16>,
    item: Item,
) {
    let (bits, count) = bits(words, item);
    if item.is_long() {
        let open = open_bits(item.symbol());
        writer.put(bits >> open, count - open);
        write_length(writer, rests.next().unwrap_or_default().into());
        writer.put(item.open(), open);
    } else {
        writer.put(bits, count);
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
