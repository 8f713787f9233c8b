//! The LZX encoder.

mod block;
mod costs;
mod lazy;
mod lengths;
mod matches;
mod optimal;
mod split;

use super::tables::{MIN_MATCH, main_symbols, window_order};
use crate::codec::cpu::Cpu;
use crate::codec::e8::Translate;
use crate::codec::encode::Level;
use crate::codec::encode::bits::BitWriter;
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::matches::{Fill, Matches};
use crate::codec::encode::text::{Far, Near, Reach, Text};
use crate::codec::encode::tree::Trees;
use crate::codec::encode::walk::Walking;
use block::{Blocks, Fit, Frequencies};
use costs::{Costs, From};
use lazy::Parse;
use matches::{MAX_MATCH, Match, Recent};
use optimal::{Cut, Gaps, Ways};
use split::{Segment, Splitter};
use std::ops::Range;

/// Chunks up to this size are left raw: no code for them is worth its lengths.
const MIN_CHUNK: usize = 64;

/// Encoder state for chunks of one size.
#[derive(Debug)]
pub(crate) struct Encoder(Inner);

#[derive(Debug)]
enum Inner {
    Near(Engine<Near>),
    Far(Engine<Far>),
}

impl Encoder {
    /// Makes an encoder for chunks of up to `chunk_size` bytes (2^15 to 2^21).
    pub(crate) fn new(chunk_size: u32, level: Level) -> Self {
        Self(if chunk_size as usize <= Near::SIZE {
            Inner::Near(Engine::new(chunk_size, level))
        } else {
            Inner::Far(Engine::new(chunk_size, level))
        })
    }

    /// Uses these instructions.
    #[cfg(test)]
    pub(crate) fn set_cpu(&mut self, cpu: Cpu) {
        match &mut self.0 {
            Inner::Near(engine) => engine.cpu = cpu,
            Inner::Far(engine) => engine.cpu = cpu,
        }
    }

    /// Encodes a chunk into `dst`; `None` when it does not fit.
    pub(crate) fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        if src.len() < MIN_CHUNK {
            return None;
        }
        match &mut self.0 {
            Inner::Near(engine) => engine.encode(src, dst),
            Inner::Far(engine) => engine.encode(src, dst),
        }
    }
}

/// All positions within a nice match are entered.
const ALL: usize = usize::MAX;

/// How a level works.
#[derive(Debug, Clone, Copy)]
struct Plan {
    effort: Effort,
    /// Of the positions within a nice match, so many at its end are entered into the trees.
    entered: usize,
    /// Times that blocks are cut, each with the costs that the time before shows; at least 1.
    passes: usize,
    gaps: Gaps,
    /// Shortest block.
    shortest_block: usize,
}

impl Plan {
    /// For chunks of this size, which fit `R`. The more lies behind, the more there is to find.
    fn of<R: Reach>(level: Level, chunk_size: u32) -> Self {
        let doublings = (chunk_size >> 14).max(2).ilog2();
        let (depth, nice, entered, passes, gaps, shortest_block) = match level {
            Level::Fast => (8 * doublings, 128, ALL, 0, Gaps::Longest, 8192),
            Level::Balanced if R::SIZE == Near::SIZE => (8, 22, 8, 1, Gaps::Longest, 2048),
            Level::Balanced => (12, 28, 16, 1, Gaps::Longest, 2048),
            Level::Usual if R::SIZE == Near::SIZE => (12, 54, 16, 1, Gaps::Longest, 2048),
            Level::Usual => (20, 80, 64, 1, Gaps::Longest, 2048),
            Level::Best => (48, 257, ALL, 2, Gaps::All, 2048),
            Level::Smallest => (32, 257, ALL, 5, Gaps::All, 2048),
        };
        let effort = Effort { depth, lazy: 4, nice };
        Self { effort, entered, passes, gaps, shortest_block }
    }
}

#[derive(Debug)]
struct Engine<R: Reach> {
    cpu: Cpu,
    plan: Plan,
    text: Text<R>,
    method: Method<R>,
    matches: Vec<Match>,
    splitter: Splitter,
    blocks: Blocks,
}

/// What finds matches, and with it how they are chosen.
#[derive(Debug)]
enum Method<R: Reach> {
    Lazy(Chains<R>),
    Optimal(Box<Optimal<R>>),
}

/// All that is needed to cut blocks so that they cost least.
#[derive(Debug)]
struct Optimal<R: Reach> {
    trees: Trees<R>,
    found: Matches,
    costs: Costs,
    ways: Ways,
    /// The matches chosen in a block.
    chosen: Vec<Match>,
    symbols: usize,
}

impl<R: Reach> Engine<R> {
    fn new(chunk_size: u32, level: Level) -> Self {
        let plan = Plan::of::<R>(level, chunk_size);
        let order = window_order(chunk_size);
        let chunk_size = chunk_size as usize;
        let fit = if plan.passes == 0 { Fit::Symbols } else { Fit::Block };
        let method = match plan.passes {
            0 => Method::Lazy(Chains::new()),
            _ => Method::Optimal(Box::new(Optimal {
                trees: Trees::new(),
                found: Matches::new(chunk_size),
                costs: Costs::new(),
                ways: Ways::new(chunk_size),
                chosen: Vec::with_capacity(chunk_size / 2 + 1),
                symbols: main_symbols(order),
            })),
        };
        Self {
            cpu: Cpu::detect(),
            plan,
            text: Text::new(),
            method,
            matches: Vec::with_capacity(chunk_size / 2 + 1),
            splitter: Splitter::new(chunk_size, main_symbols(order), plan.shortest_block),
            blocks: Blocks::new(order, fit),
        }
    }

    fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let Self { cpu, plan, text, method, matches, splitter, blocks } = self;
        let cpu = *cpu;
        text.set(src);
        cpu.run(Translate { chunk: text.chunk_mut() });
        matches.clear();
        match method {
            Method::Lazy(chains) => {
                chains.clear();
                let source = chains.search(plan.effort);
                cpu.run(Parse { text, source, nice: plan.effort.nice, matches, splitter });
                chains.forget(text);
            }
            Method::Optimal(optimal) => optimal.seed(cpu, text, plan, matches, splitter),
        }
        let mut bits = BitWriter::new(dst);
        blocks.start();
        let (mut at, mut first) = (0, 0);
        let mut recent = Recent::START;
        for segment in splitter.split(matches.len()) {
            let block = at..segment.end;
            match method {
                Method::Lazy(_) => {
                    let matches = &matches[first..segment.matches];
                    bits = blocks.write(cpu, bits, text, block, matches, &segment.frequencies);
                }
                Method::Optimal(optimal) => {
                    let frequencies;
                    (recent, frequencies) = optimal.cut(cpu, text, plan, &block, recent, segment);
                    bits = blocks.write(cpu, bits, text, block, &optimal.chosen, &frequencies);
                }
            }
            (at, first) = (segment.end, segment.matches);
        }
        bits.finish()
    }
}

impl<R: Reach> Optimal<R> {
    /// Finds all matches, and makes a first choice of them that shows what symbols cost.
    fn seed(
        &mut self,
        cpu: Cpu,
        text: &Text<R>,
        plan: &Plan,
        matches: &mut Vec<Match>,
        splitter: &mut Splitter,
    ) {
        let Self { trees, found, .. } = self;
        cpu.run(Fill {
            text,
            trees,
            shortest: MIN_MATCH,
            longest: MAX_MATCH,
            effort: plan.effort,
            entered: plan.entered,
            matches: found,
        });
        let (source, nice) = (found.lists(), plan.effort.nice);
        cpu.run(Parse { text, source, nice, matches, splitter });
    }

    /// Chooses the matches of a block, and gives the recent offsets behind it and how often each
    /// symbol occurs.
    fn cut(
        &mut self,
        cpu: Cpu,
        text: &Text<R>,
        plan: &Plan,
        block: &Range<usize>,
        recent: Recent,
        segment: &Segment,
    ) -> (Recent, Frequencies) {
        let mut frequencies = segment.frequencies.clone();
        let mut behind = recent;
        for pass in 0..plan.passes {
            let from = if pass == 0 { From::FirstChoice } else { From::Ways };
            self.costs.set(&frequencies, self.symbols, from);
            self.chosen.clear();
            behind = cpu.run(Walking(Cut {
                text,
                found: &self.found,
                costs: &self.costs,
                ways: &mut self.ways,
                range: block.clone(),
                recent,
                nice: plan.effort.nice,
                gaps: plan.gaps,
                matches: &mut self.chosen,
            }));
            frequencies = Frequencies::NONE;
            frequencies.count(text.chunk(), block.start, block.end, &self.chosen);
        }
        (behind, frequencies)
    }
}
