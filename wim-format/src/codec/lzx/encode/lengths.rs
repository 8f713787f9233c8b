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
            let same = new[at..].iter().take_while(|&&other| other == new[at]).count();
            self.run(&old[at..at + same], new[at]);
            at += same;
        }
        let mut frequencies = [0u32; PRETREE_SYMBOLS];
        self.steps.iter().for_each(|step| frequencies[usize::from(step.symbol)] += 1);
        builder.lengths(&frequencies, MAX_PRETREE_LENGTH, &mut self.lengths);
        codewords(&self.lengths, &mut self.words);
        let steps = self.steps.iter();
        let bits = steps.map(|step| self.lengths[usize::from(step.symbol)] + step.bits);
        4 * PRETREE_SYMBOLS as u64 + bits.map(u64::from).sum::<u64>()
    }

    /// Adds the symbols for a run of `length`.
    fn run(&mut self, mut old: &[u8], length: u8) {
        let mut add = |symbol, extra, bits| self.steps.push(Step { symbol, extra, bits });
        let difference = |old: u8| (old + 17 - length) % 17;
        while old.len() >= 4 {
            let taken = match (length, old.len()) {
                (0, 20..) => {
                    let taken = old.len().min(51);
                    add(MANY_ZEROS, taken as u8 - 20, 5);
                    taken
                }
                (0, taken) => {
                    add(ZEROS, taken as u8 - 4, 4);
                    taken
                }
                (_, run) => {
                    let taken = run.min(5);
                    add(SAME, taken as u8 - 4, 1);
                    add(difference(old[0]), 0, 0);
                    taken
                }
            };
            old = &old[taken..];
        }
        old.iter().for_each(|&old| add(difference(old), 0, 0));
    }

    /// Writes what was prepared.
    pub(super) fn write(&self, bits: &mut BitWriter<'_>) {
        self.lengths.iter().for_each(|&length| bits.put(length.into(), 4));
        for step in &self.steps {
            let symbol = usize::from(step.symbol);
            let word = u32::from(self.words[symbol]) << step.bits | u32::from(step.extra);
            bits.put(word, u32::from(self.lengths[symbol] + step.bits));
        }
    }
}
