//! Writes items, and keeps all that adapts to them.

use super::codes::Codes;
use super::decisions::{Decisions, Kind};
use super::output::{Bits, Output};
use super::range::RangeEncoder;
use super::state::State;
use crate::codec::lzms::symbols;

/// Smallest chunk that 7-Zip reads.
const LEAST: usize = 8;

/// A literal or a match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// The byte of a literal; the offset or delta source of a match that repeats none.
    pub(super) source: u32,
    pub(super) length: u32,
}

impl Item {
    pub(super) fn literal(byte: u8) -> Self {
        Self { kind: Kind::Literal, source: byte.into(), length: 1 }
    }
}

/// A chunk on its way out.
#[derive(Debug)]
pub(super) struct Coder<'a> {
    pub(super) decisions: Box<Decisions>,
    pub(super) codes: &'a mut Codes,
    pub(super) state: State,
    range: RangeEncoder,
    bits: Bits,
    output: Output<'a>,
}

impl<'a> Coder<'a> {
    /// Starts a chunk of `size` bytes that is to fit `dst`.
    pub(super) fn new(codes: &'a mut Codes, size: usize, dst: &'a mut [u8]) -> Self {
        codes.reset(size);
        Self {
            decisions: Box::new(Decisions::START),
            codes,
            state: State::start(),
            range: RangeEncoder::START,
            bits: Bits::default(),
            output: Output::new(dst),
        }
    }

    /// Whether the chunk is too large already.
    pub(super) fn is_full(&self) -> bool {
        self.output.is_full()
    }

    /// Writes one item.
    #[inline(always)]
    pub(super) fn put(&mut self, item: Item) {
        let Self { decisions, codes, state, range, bits, output } = self;
        let Item { kind, source, length } = item;
        decisions.put(kind, &mut state.contexts, range, output);
        state.pass_source(kind, source);
        match kind {
            Kind::Literal => return codes.put(symbols::Kind::Literal, source as u8, bits, output),
            Kind::Lz => codes.put_offset(symbols::Kind::LzOffset, source, bits, output),
            Kind::Delta => {
                codes.put(symbols::Kind::DeltaPower, source as u8 & 7, bits, output);
                codes.put_offset(symbols::Kind::DeltaOffset, source >> 3, bits, output);
            }
            _ => {}
        }
        codes.put_length(length, bits, output);
    }

    /// Ends the chunk and gives its size, if it fits.
    pub(super) fn finish(self) -> Option<usize> {
        let Self { range, bits, mut output, .. } = self;
        range.finish(&mut output);
        bits.finish(&mut output);
        output.finish(LEAST)
    }
}
