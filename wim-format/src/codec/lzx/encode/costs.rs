//! What matches and literals of a block cost.

use super::super::tables::{
    ALIGNED_BITS, ALIGNED_SYMBOLS, FIRST_ALIGNED_SLOT, LENGTH_HEADERS, LENGTH_SYMBOLS, LITERALS,
    LONG_HEADER, MAX_MAIN_SYMBOLS, MAX_SLOTS, MIN_MATCH,
};
use super::block::Frequencies;
use super::matches::{MAX_MATCH, extra_bits};
use crate::codec::encode::entropy::{self, BIT};
use crate::codec::encode::nodes::{LANES, Row, STEP_BITS};
use crate::codec::encode::text::boxed;

/// Lengths 2 to 257 and lanes behind them.
pub(super) const ROW: usize = MAX_MATCH - 1 + LANES;
/// Rows: a power of two, of which [`MAX_SLOTS`] are used.
pub(super) const ROWS: usize = MAX_SLOTS.next_power_of_two();
/// Where the length is in a step.
pub(super) const LENGTH_SHIFT: u32 = 6;

/// What it is that shows how often symbols occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// A choice of matches made in a hurry.
    FirstChoice,
    /// The cheapest way by other costs.
    Ways,
}

/// Costs in the upper half of a number, as nodes have them.
#[derive(Debug)]
pub(super) struct Costs {
    /// Of each literal.
    pub(super) literal: [u32; LITERALS],
    /// By slot, then by length less two: the cost, and the length as part of a step.
    pub(super) rows: Box<[Row<ROW>; ROWS]>,
    /// Whether the last three bits of an offset have costs of their own.
    is_aligned: bool,
    /// Of the last three bits of an offset, less three bits.
    pub(super) aligned: [u32; 2 * ALIGNED_SYMBOLS],
}

impl Costs {
    pub(super) fn new() -> Self {
        Self {
            literal: [0; LITERALS],
            rows: boxed(),
            is_aligned: false,
            aligned: [0; 2 * ALIGNED_SYMBOLS],
        }
    }

    /// Takes the costs from how often symbols occur.
    pub(super) fn set(&mut self, frequencies: &Frequencies, symbols: usize, from: From) {
        let mut main = [0; MAX_MAIN_SYMBOLS];
        let mut length = [0; LENGTH_SYMBOLS];
        let mut expected = frequencies.main;
        if from == From::FirstChoice {
            expect(&mut expected[..symbols]);
        }
        entropy::costs(&expected[..symbols], 16, &mut main[..symbols]);
        entropy::costs(&frequencies.length, 16, &mut length);
        for (cost, &main) in self.literal.iter_mut().zip(&main) {
            *cost = u32::from(main) << STEP_BITS;
        }
        let slots = (symbols - LITERALS) / LENGTH_HEADERS;
        let mains = main[LITERALS..].chunks_exact(LENGTH_HEADERS);
        for (slot, (Row(row), main)) in self.rows.iter_mut().zip(mains).take(slots).enumerate() {
            set_row(row, main, &length, extra_bits(slot) * BIT);
        }
        self.set_aligned(frequencies);
    }

    fn set_aligned(&mut self, frequencies: &Frequencies) {
        let counts = &frequencies.aligned;
        let raw = u64::from(counts.iter().sum::<u32>() * ALIGNED_BITS * BIT);
        let header = u64::from(ALIGNED_BITS * BIT) * ALIGNED_SYMBOLS as u64;
        let mut own = [(ALIGNED_BITS * BIT) as u16; ALIGNED_SYMBOLS];
        self.is_aligned = entropy::total(counts.iter().copied()).0 + header < raw;
        if self.is_aligned {
            entropy::costs(counts, 7, &mut own);
        }
        // All offsets with coded bits have three raw bits in their rows, so this may be negative.
        for (cost, own) in self.aligned.iter_mut().zip(own) {
            *cost = u32::from(own).wrapping_sub(ALIGNED_BITS * BIT) << STEP_BITS;
        }
    }

    /// What the offset adds to the row of its slot.
    #[inline(always)]
    pub(super) fn aligned(&self, slot: usize, offset: usize) -> u32 {
        if !self.is_aligned {
            return 0;
        }
        // Without a branch: half of all offsets are that near.
        let none = usize::from(slot < FIRST_ALIGNED_SLOT) * ALIGNED_SYMBOLS;
        self.aligned[(offset + 2) % ALIGNED_SYMBOLS + none]
    }
}

/// Units of an expected symbol.
const ONE: u32 = 16;

/// Changes how often each symbol of the main code occurs after the first choice to how often it will
/// on the cheapest way, in parts of [`ONE`]: matches at recent offsets and near ones are chosen more
/// often, far ones less, and those of two bytes, of which the first choice takes only recent ones,
/// for the first time. The factors are what large trees of files have shown.
fn expect(main: &mut [u32]) {
    let (literals, matches) = main.split_at_mut(LITERALS);
    literals.iter_mut().for_each(|count| *count = *count * ONE + ONE / 4);
    let all: u32 = matches.iter().sum();
    for (slot, counts) in matches.chunks_exact_mut(LENGTH_HEADERS).enumerate() {
        let (factor, of_three, twos) = match slot {
            0 => (18, 21, 0),
            1..3 => (16, 18, 0),
            3..8 => (17, 23, all * 3 / 32),
            8..16 => (17, 21, all * 3 / 128),
            16..22 => (15, 15, 4),
            22..26 => (13, 13, 4),
            _ => (11, 11, 4),
        };
        counts.iter_mut().for_each(|count| *count = *count * factor + ONE / 2);
        counts[1] = counts[1] / factor * of_three + ONE / 2;
        counts[0] += twos;
    }
}

fn set_row(row: &mut [u32; ROW], main: &[u16], length: &[u16; LENGTH_SYMBOLS], extra: u32) {
    let (short, long) = row.split_at_mut(LONG_HEADER);
    for (i, (cost, &main)) in short.iter_mut().zip(main).enumerate() {
        *cost = (u32::from(main) + extra) << STEP_BITS | ((i + MIN_MATCH) as u32) << LENGTH_SHIFT;
    }
    let base = u32::from(main[LONG_HEADER]) + extra;
    for (i, (cost, &length)) in long.iter_mut().zip(length).enumerate() {
        let bytes = (i + MIN_MATCH + LONG_HEADER) as u32;
        *cost = (base + u32::from(length)) << STEP_BITS | bytes << LENGTH_SHIFT;
    }
}
