//! The LZMS encoder.
//!
//! ```text
//! chunk ──▶ x86 filter ──▶ matches ──▶ cheapest items ──▶ decisions and symbols
//!           [`x86`]        [`trees`]   [`parse`]          [`coder`]
//! ```
//!
//! The codes, the slots, the probabilities and the filter are the decoder's own.
//!
//! [`x86`]: super::x86

mod coder;
mod codes;
mod decisions;
mod deltas;
mod output;
mod parse;
mod range;
mod state;
#[cfg(test)]
mod tests;
mod trees;

use super::slots::POWERS;
use super::stages::ApplyX86;
use super::x86::TargetUsage;
use crate::codec::cpu::Cpu;
use crate::codec::encode::Level;
use crate::codec::encode::chains::Effort;
use coder::Coder;
use codes::Codes;
use deltas::Deltas;
use parse::{MAX_NICE, Parse, Parser, Plan};
use trees::{PAD, Trees};

impl Plan {
    const fn of(level: Level) -> Self {
        let (depth, nice, powers) = match level {
            Level::Fast => (6, 24, 3),
            Level::Balanced => (12, 48, 4),
            Level::Usual => (32, 128, POWERS),
            Level::Best => (64, 192, POWERS),
            Level::Smallest => (200, MAX_NICE, POWERS),
        };
        Self { effort: Effort { depth, lazy: depth, nice }, powers: powers as u32 }
    }
}

/// Encoder state.
#[derive(Debug)]
pub(crate) struct Encoder {
    plan: Plan,
    text: Vec<u8>,
    trees: Trees,
    deltas: Deltas,
    parser: Parser,
    codes: Box<Codes>,
    usage: TargetUsage,
}

impl Encoder {
    /// Makes an encoder for chunks of up to `chunk_size` bytes.
    pub(crate) fn new(chunk_size: u32, level: Level) -> Self {
        let chunk_size = chunk_size as usize;
        Self {
            plan: Plan::of(level),
            text: Vec::with_capacity(chunk_size + PAD),
            trees: Trees::new(chunk_size),
            deltas: Deltas::new(),
            parser: Parser::new(),
            codes: Codes::new(),
            usage: TargetUsage::new(),
        }
    }

    /// Encodes a chunk into `dst`; gives the size, if it fits.
    pub(crate) fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let Self { plan, text, trees, deltas, parser, codes, usage } = self;
        let cpu = Cpu::detect();
        text.clear();
        text.extend_from_slice(src);
        cpu.run(ApplyX86 { data: text, usage });
        text.extend_from_slice(&[0; PAD]);
        trees.reset(src.len());
        deltas.reset();
        let mut coder = Coder::new(codes, src.len(), dst);
        cpu.run(Parse { parser, trees, deltas, text, plan: *plan, coder: &mut coder });
        coder.finish()
    }
}
