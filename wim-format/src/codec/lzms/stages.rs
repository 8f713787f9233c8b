//! The stages of decoding, and the first of encoding, each to be compiled for all kinds of processors: see [`Cpu`].
//!
//! Probabilities are population counts, bit buffers shift by variable counts, and the x86 filter
//! compares whole vectors. Each stage stays a function of its own, with the registers to itself.
//!
//! [`Cpu`]: crate::codec::cpu::Cpu

use super::batch::Batch;
use super::parser::Parser;
use super::x86::{self, TargetUsage};
use crate::DecodeError;
use crate::codec::cpu::Stage;
use crate::codec::range::RangeDecoder;

/// [`Parser::parse`].
pub(super) struct Parse<'a, 'src> {
    pub(super) parser: &'a mut Parser,
    pub(super) src: &'src [u8],
    pub(super) range: &'a mut RangeDecoder<'src>,
    pub(super) batch: &'a mut Batch,
    pub(super) dst: &'a [u8],
    pub(super) at: usize,
}

impl Stage for Parse<'_, '_> {
    type Output = Result<(), DecodeError>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> Self::Output {
        self.parser.parse::<MODERN>(self.src, self.range, self.batch, self.dst, self.at)
    }
}

/// [`Batch::write`].
pub(super) struct Write<'a> {
    pub(super) batch: &'a Batch,
    pub(super) dst: &'a mut [u8],
    pub(super) at: usize,
}

impl Stage for Write<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> usize {
        self.batch.write(self.dst, self.at)
    }
}

/// [`x86::undo`].
pub(super) struct UndoX86<'a> {
    pub(super) dst: &'a mut [u8],
    pub(super) usage: &'a mut TargetUsage,
}

impl Stage for UndoX86<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        x86::undo::<MODERN>(self.dst, self.usage);
    }
}

/// [`x86::apply`].
pub(super) struct ApplyX86<'a> {
    pub(super) data: &'a mut [u8],
    pub(super) usage: &'a mut TargetUsage,
}

impl Stage for ApplyX86<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        x86::apply::<MODERN>(self.data, self.usage);
    }
}
