//! Codes the lengths of a code as differences to those of the block before.

use super::super::tables::PRETREE_SYMBOLS;
use crate::codec::encode::bits::BitWriter;
use crate::codec::encode::prefix::{Builder, codewords};

/// Longest codeword of the pretree.
const MAX_PRETREE_LENGTH: usize = 15;
/// Zeros, 4 to 19 of them.
const ZEROS: u8 = 17;
/// Zeros, 20 to 51 of them.
const MANY_ZEROS: u8 = 18;
/// The same length 4 or 5 times.
const SAME: u8 = 19;

/// A symbol of the pretree and the raw bits behind it.
#[derive(Debug, Clone, Copy)]
struct Step {
    symbol: u8,
    extra: u8,
    bits: u8,
}

/// One part of the lengths, ready to be written.
#[derive(Debug)]
pub(super) struct Part {
    steps: Vec<Step>,
    lengths: [u8; PRETREE_SYMBOLS],
    words: [u16; PRETREE_SYMBOLS],
}

impl Part {
    pub(super) fn new() -> Self {
        Self {
            steps: Vec::with_capacity(crate::codec::encode::prefix::MAX_SYMBOLS),
            lengths: [0; PRETREE_SYMBOLS],
            words: [0; PRETREE_SYMBOLS],
        }
    }

    /// Prepares `new` where the block before had `old`, and gives the number of bits it takes.
    pub(super) fn prepare(&mut self, builder: &mut Builder, old: &[u8], new: &[u8]) -> u64 {
        self.steps.clear();
        let mut at = 0;
        while at < new.len() {
            at += match new[at..].first_chunk::<4>() {
                Some(&four) if four == [four[0]; 4] => self.run(old[at], &new[at..]),
                _ => {
                    let symbol = difference(old[at], new[at]);
                    self.steps.push(Step { symbol, extra: 0, bits: 0 });
                    1
                }
            };
        }
        let mut frequencies = [0u32; PRETREE_SYMBOLS];
        self.steps.iter().for_each(|step| frequencies[usize::from(step.symbol)] += 1);
        builder.lengths(&frequencies, MAX_PRETREE_LENGTH, &mut self.lengths);
        codewords(&self.lengths, &mut self.words);
        let steps = self.steps.iter();
        let bits = steps.map(|step| self.lengths[usize::from(step.symbol)] + step.bits);
        4 * PRETREE_SYMBOLS as u64 + bits.map(u64::from).sum::<u64>()
    }

    /// Adds the symbols for a run of at least four of the same length, the first of which was `old`, as
    /// many as they can say, and gives the number of these.
    fn run(&mut self, old: u8, new: &[u8]) -> usize {
        let length = new[0];
        let run = new.iter().take_while(|&&other| other == length).count();
        let mut add = |symbol, extra, bits| self.steps.push(Step { symbol, extra, bits });
        match (length, run) {
            (0, 20..) => {
                let run = run.min(51);
                add(MANY_ZEROS, run as u8 - 20, 5);
                run
            }
            (0, _) => {
                add(ZEROS, run as u8 - 4, 4);
                run
            }
            _ => {
                let run = run.min(5);
                add(SAME, run as u8 - 4, 1);
                add(difference(old, length), 0, 0);
                run
            }
        }
    }

    /// Writes what was prepared.
    pub(super) fn write(&self, bits: &mut BitWriter<'_>) {
        self.lengths.iter().for_each(|&length| bits.put(length.into(), 4));
        // Two fit between flushes.
        for steps in self.steps.chunks(2) {
            for step in steps {
                let symbol = usize::from(step.symbol);
                let word = u32::from(self.words[symbol]) << step.bits | u32::from(step.extra);
                bits.add(word, u32::from(self.lengths[symbol] + step.bits));
            }
            bits.flush();
        }
    }
}

/// The symbol for a length, given that of the block before.
fn difference(old: u8, new: u8) -> u8 {
    (old + 17 - new) % 17
}
