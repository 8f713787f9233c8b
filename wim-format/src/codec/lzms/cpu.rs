//! The stages compiled twice: for any processor, and for those with AVX2, BMI and POPCNT.
//!
//! The code is the same; only the instructions differ that the compiler may choose. Probabilities
//! are population counts, bit buffers shift by variable counts, and the x86 filter compares whole
//! vectors. Each stage stays a function of its own, with the registers to itself.

use super::Batch;
use super::bits::BackwardBits;
use super::items::Decisions;
use super::symbols::Symbols;
use super::x86::{self, TargetUsage};
use crate::DecodeError;
use crate::codec::range::RangeDecoder;

/// The stages of decoding as one kind of processor runs them.
pub(super) trait Stages: Copy {
    /// [`Decisions::plan`].
    fn plan(self, decisions: &mut Decisions, range: &mut RangeDecoder<'_>, batch: &mut Batch);

    /// [`Symbols::read`].
    fn read(
        self,
        symbols: &mut Symbols,
        bits: &mut BackwardBits<'_>,
        batch: &mut Batch,
        dst: &[u8],
        at: usize,
    ) -> Result<(), DecodeError>;

    /// [`Batch::write`].
    fn write(self, batch: &Batch, dst: &mut [u8], at: usize) -> usize;

    /// [`x86::undo`].
    fn undo_x86(self, dst: &mut [u8], usage: &mut TargetUsage);
}

/// Any processor that the program was compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Stages for Portable {
    fn plan(self, decisions: &mut Decisions, range: &mut RangeDecoder<'_>, batch: &mut Batch) {
        decisions.plan(range, batch);
    }

    fn read(
        self,
        symbols: &mut Symbols,
        bits: &mut BackwardBits<'_>,
        batch: &mut Batch,
        dst: &[u8],
        at: usize,
    ) -> Result<(), DecodeError> {
        symbols.read(bits, batch, dst, at)
    }

    fn write(self, batch: &Batch, dst: &mut [u8], at: usize) -> usize {
        batch.write(dst, at)
    }

    fn undo_x86(self, dst: &mut [u8], usage: &mut TargetUsage) {
        x86::undo(dst, usage);
    }
}

/// Asks for the cache line at `at` to be loaded; nothing more happens, wherever that is.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

#[cfg(target_arch = "x86_64")]
pub(super) use modern::Modern;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod modern {
    use super::*;

    /// Proof that the processor has AVX2, BMI1, BMI2, LZCNT and POPCNT.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Modern(());

    impl Modern {
        /// Present if this processor has them all.
        pub(in super::super) fn detect() -> Option<Self> {
            let modern = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            modern.then_some(Self(()))
        }
    }

    impl Stages for Modern {
        fn plan(self, decisions: &mut Decisions, range: &mut RangeDecoder<'_>, batch: &mut Batch) {
            // SAFETY: `self` proves that the processor has the function's features.
            unsafe { plan(decisions, range, batch) }
        }

        fn read(
            self,
            symbols: &mut Symbols,
            bits: &mut BackwardBits<'_>,
            batch: &mut Batch,
            dst: &[u8],
            at: usize,
        ) -> Result<(), DecodeError> {
            // SAFETY: `self` proves that the processor has the function's features.
            unsafe { read(symbols, bits, batch, dst, at) }
        }

        fn write(self, batch: &Batch, dst: &mut [u8], at: usize) -> usize {
            // SAFETY: `self` proves that the processor has the function's features.
            unsafe { write(batch, dst, at) }
        }

        fn undo_x86(self, dst: &mut [u8], usage: &mut TargetUsage) {
            // SAFETY: `self` proves that the processor has the function's features.
            unsafe { undo_x86(dst, usage) }
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn plan(decisions: &mut Decisions, range: &mut RangeDecoder<'_>, batch: &mut Batch) {
        decisions.plan(range, batch);
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn read(
        symbols: &mut Symbols,
        bits: &mut BackwardBits<'_>,
        batch: &mut Batch,
        dst: &[u8],
        at: usize,
    ) -> Result<(), DecodeError> {
        symbols.read(bits, batch, dst, at)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn write(batch: &Batch, dst: &mut [u8], at: usize) -> usize {
        batch.write(dst, at)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn undo_x86(dst: &mut [u8], usage: &mut TargetUsage) {
        x86::undo(dst, usage);
    }
}
