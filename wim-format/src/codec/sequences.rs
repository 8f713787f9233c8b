//! Literals and matches in the order of a stream, on their way from the symbols to the output.
//!
//! LZX and XPRESS are decoded in batches: first the symbols of a batch, without a branch that
//! depends on them, then, from what is collected here, its bytes. A batch may run past the end of
//! its block (or chunk): symbols that follow the end mean nothing and are not carried out.

use super::copy::{SLACK, Wide};
use super::cpu::Cpu;
use super::recent::{NEW, Offsets};
use crate::DecodeError;

/// How many times the symbol loop goes round for one batch; each time it reads at most three
/// symbols, at most one of them a match.
pub(crate) const ROUNDS: usize = 256;
/// The most literals of a batch, matches counted as one.
pub(crate) const MAX_LITERALS: usize = 3 * ROUNDS;
/// Room for literals, and what wide copies read beyond the last.
pub(crate) const LITERALS: usize = MAX_LITERALS + SLACK;

/// The literals and matches of one batch.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// Literals, with one byte of no meaning in the place of each match.
    pub(crate) literals: [u8; LITERALS],
    /// For each match its place in `literals`; at last the number of bytes used there.
    pub(crate) ends: [u16; ROUNDS + 1],
    /// For each match its length.
    pub(crate) lengths: [u32; ROUNDS],
    /// For each match its offset if it is a new one.
    pub(crate) offsets: [u32; ROUNDS],
    /// For each match the source of its offset.
    pub(crate) sources: [u8; ROUNDS],
    /// Number of matches.
    pub(crate) matches: usize,
}

/// Where carrying out a batch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Bytes of the output that are done.
    pub(crate) at: usize,
    /// Matches carried out.
    pub(crate) matches: usize,
    /// Literals written after the last of them.
    pub(crate) literals: usize,
}

impl Sequences {
    pub(crate) fn new() -> Self {
        Self {
            literals: [0; LITERALS],
            ends: [0; ROUNDS + 1],
            lengths: [0; ROUNDS],
            offsets: [0; ROUNDS],
            sources: [NEW; ROUNDS],
            matches: 0,
        }
    }

    /// Writes the batch to `dst` from `at`, up to the end of `dst` at most.
    ///
    /// # Errors
    /// [`DecodeError::OffsetBeforeStart`], and [`DecodeError::Overrun`] when a match would pass the
    /// end.
    pub(crate) fn write(
        &self,
        cpu: Cpu,
        dst: &mut [u8],
        at: usize,
        offsets: &mut impl Offsets,
    ) -> Result<Outcome, DecodeError> {
        let wide = Wide { sequences: self, dst: &mut *dst, at, offsets: &mut *offsets };
        let (done, at) = cpu.run(wide)?;
        self.write_rest(done, dst, at, offsets)
    }

    /// Carries out what follows the first `done` matches, byte by byte.
    fn write_rest(
        &self,
        done: usize,
        dst: &mut [u8],
        mut at: usize,
        offsets: &mut impl Offsets,
    ) -> Result<Outcome, DecodeError> {
        let mut matches = done;
        for i in done..self.matches.min(ROUNDS) {
            let run = self.run_before(i);
            if run.len() >= dst.len() - at {
                break;
            }
            dst[at..at + run.len()].copy_from_slice(run);
            at += run.len();
            let offset = offsets.next(self.sources[i], self.offsets[i]);
            at = copy_match(dst, at, offset as usize, self.lengths[i] as usize)?;
            matches += 1;
        }
        let run = self.run_before(matches);
        let run = &run[..run.len().min(dst.len() - at)];
        dst[at..at + run.len()].copy_from_slice(run);
        Ok(Outcome { at: at + run.len(), matches, literals: run.len() })
    }

    /// The literals before match `i`, or after the last.
    fn run_before(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { usize::from(self.ends[i - 1]) + 1 };
        self.literals.get(start..usize::from(self.ends[i])).unwrap_or_default()
    }
}

/// Copies `length` bytes to `at` from `offset` bytes before it, the ones just written included;
/// gives the place after them.
pub(crate) fn copy_match(
    dst: &mut [u8],
    at: usize,
    offset: usize,
    length: usize,
) -> Result<usize, DecodeError> {
    let from = at.checked_sub(offset).ok_or(DecodeError::OffsetBeforeStart)?;
    let rest = dst.get_mut(from..at + length).ok_or(DecodeError::Overrun)?;
    for i in 0..length {
        rest[offset + i] = rest[i];
    }
    Ok(at + length)
}
