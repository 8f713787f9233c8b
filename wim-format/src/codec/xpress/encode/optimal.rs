//! Cuts a chunk into the matches and literals that cost least, given what each costs.

use super::items::Items;
use super::lazy::Parse;
use super::{Frequencies, Plan};
use crate::codec::cpu::Cpu;
use crate::codec::encode::chains::Found;
use crate::codec::encode::entropy::{self, BIT};
use crate::codec::encode::matches::{Fill, Lists, MAX_LENGTH, Matches, unpack};
use crate::codec::encode::nodes::{Ahead, FAR, LANES, Row, STEP_BITS, is_high, lower};
use crate::codec::encode::text::{Near, Text, View, boxed};
use crate::codec::encode::tree::Trees;
use crate::codec::encode::walk::{Walk, Walking};
use crate::codec::xpress::{LITERALS, LONG_LENGTH, MIN_MATCH, SYMBOLS};

/// Lengths 3 to 511 and lanes behind them.
const ROW: usize = MAX_LENGTH - MIN_MATCH + 1 + LANES;
/// Numbers of bits that offsets leave open.
const ROWS: usize = 16;
/// Nodes behind the last.
const SLACK: usize = MAX_LENGTH + LANES;
/// Where the length is in a step; below it is 0 for a literal, or the number of the match.
const LENGTH_SHIFT: u32 = 6;
/// Matches of a position that are looked at.
const MOST: usize = (1 << LENGTH_SHIFT) - 1;

/// A match; what lies between it and the one before are literals.
#[derive(Debug, Clone, Copy)]
struct Match {
    at: u32,
    length: u32,
    offset: u32,
}

/// All that is needed to find the cheapest way.
#[derive(Debug)]
pub(super) struct Optimal {
    trees: Trees<Near>,
    found: Matches,
    costs: Costs,
    nodes: Vec<u32>,
    matches: Vec<Match>,
}

/// Costs in the upper half of a number, as nodes have them.
#[derive(Debug)]
struct Costs {
    literal: [u32; LITERALS],
    /// By the bits that the offset leaves open, then by length less three: the cost, and the length
    /// as part of a step.
    rows: Box<[Row<ROW>; ROWS]>,
}

impl Optimal {
    pub(super) fn new(chunk_size: usize) -> Self {
        Self {
            trees: Trees::new(),
            found: Matches::new(chunk_size),
            costs: Costs { literal: [0; LITERALS], rows: boxed() },
            nodes: vec![FAR; chunk_size + SLACK],
            matches: Vec::with_capacity(chunk_size / MIN_MATCH + 1),
        }
    }

    /// Cuts the chunk into `items`.
    pub(super) fn parse(&mut self, cpu: Cpu, text: &Text<Near>, plan: &Plan, items: &mut Items) {
        let Self { trees, found, costs, nodes, matches } = self;
        let effort = plan.effort;
        cpu.run(Fill {
            text,
            trees,
            shortest: MIN_MATCH,
            longest: MAX_LENGTH,
            effort,
            entered: plan.entered,
            matches: found,
        });
        let (source, nice) = (found.lists(), effort.nice);
        cpu.run(Parse { text, source, nice, items });
        for pass in 0..plan.passes {
            if pass == 0 {
                expect(&mut items.frequencies);
            }
            costs.set(&items.frequencies);
            let nodes = &mut nodes[..text.len() + SLACK];
            let found = found.lists();
            cpu.run(Walking(Forward { text: text.view(), found, costs, nodes, nice: effort.nice }));
            matches.clear();
            collect(found, nodes, text.len(), matches);
            items.clear();
            take(text.view(), text.len(), matches, items);
        }
    }
}

impl Costs {
    /// Takes the costs from how often symbols occur.
    fn set(&mut self, frequencies: &Frequencies) {
        let mut symbols = [0; SYMBOLS];
        entropy::costs(frequencies, 15, &mut symbols);
        let (literals, matches) = symbols.split_at(LITERALS);
        for (cost, &own) in self.literal.iter_mut().zip(literals) {
            *cost = u32::from(own) << STEP_BITS;
        }
        let rows = self.rows.iter_mut().zip(matches.chunks_exact(LONG_LENGTH + 1));
        for (offset_bits, (Row(row), symbols)) in rows.enumerate() {
            let lengths = row[..=MAX_LENGTH - MIN_MATCH].iter_mut().enumerate();
            for (length, cost) in lengths {
                let own = u32::from(symbols[length.min(LONG_LENGTH)]);
                let bits = offset_bits as u32 + length_bits(length);
                let bytes = (length + MIN_MATCH) as u32;
                *cost = (own + bits * BIT) << STEP_BITS | bytes << LENGTH_SHIFT;
            }
        }
    }
}

/// Changes how often each symbol occurs after the first choice to how often it will on the cheapest
/// way, in parts of [`ONE`]: near matches are chosen more often, far ones less, and those that need
/// a byte for their length are cut where that saves it. The factors are what large trees of files
/// have shown.
fn expect(frequencies: &mut Frequencies) {
    const ONE: u32 = 16;
    /// By the bits that offsets leave open.
    const FACTORS: [u32; ROWS] = [18, 18, 18, 18, 18, 18, 18, 17, 16, 16, 15, 14, 14, 12, 10, 9];
    /// For matches of three bytes.
    const OF_THREE: [u32; ROWS] = [18, 18, 18, 21, 22, 21, 20, 18, 17, 15, 13, 11, 2, 1, 1, 1];
    let (literals, matches) = frequencies.split_at_mut(LITERALS);
    literals.iter_mut().for_each(|count| *count = *count * ONE + ONE / 4);
    let factors = FACTORS.iter().zip(OF_THREE);
    for (counts, (&factor, of_three)) in matches.chunks_exact_mut(LONG_LENGTH + 1).zip(factors) {
        counts[0] *= of_three;
        counts[1..].iter_mut().for_each(|count| *count *= factor);
        counts[LONG_LENGTH - 1] += counts[LONG_LENGTH - 1] * 3 / 4;
        counts[LONG_LENGTH] -= counts[LONG_LENGTH] / 8;
        counts.iter_mut().for_each(|count| *count += ONE / 2);
    }
}

/// Bits of the bytes that follow for a length, less the shortest.
fn length_bits(length: usize) -> u32 {
    match length {
        0..LONG_LENGTH => 0,
        LONG_LENGTH..270 => 8,
        _ => 24,
    }
}

/// Finds the cheapest way to every node.
struct Forward<'a> {
    text: View<'a, Near>,
    found: Lists<'a>,
    costs: &'a Costs,
    nodes: &'a mut [u32],
    /// The length that is taken without a look at anything else.
    nice: usize,
}

impl Walk for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn walk(self, mut ahead: impl Ahead) {
        let Self { text, found, costs, nodes, nice } = self;
        let rows = &*costs.rows;
        nodes.fill(FAR);
        nodes[0] = 0;
        let len = nodes.len() - SLACK;
        let mut at = 0;
        while at < len {
            if is_high(nodes[at]) {
                ahead.flush(&mut nodes[at + MIN_MATCH - 1..]);
                lower(&mut nodes[at..at + SLACK]);
            }
            let base = nodes[at] & !0xFFFF;
            let literal = base + costs.literal[usize::from(text.byte(at))] + (1 << LENGTH_SHIFT);
            nodes[at + 1] = nodes[at + 1].min(literal);
            nodes[at + MIN_MATCH - 1] = nodes[at + MIN_MATCH - 1].min(ahead.advance());
            let found = found.at(at);
            let mut longest = 1;
            for (i, &packed) in found.iter().take(MOST).enumerate() {
                let Found { length, offset } = unpack(packed);
                let bits = (offset | 1).ilog2() as usize % ROWS;
                longest = length;
                // A longer match with as many bits does as well.
                if let Some(&next) = found.get(i + 1)
                    && (unpack(next).offset | 1).ilog2() as usize == bits
                {
                    continue;
                }
                let step = base + 1 + i as u32;
                let nodes = &mut nodes[at + MIN_MATCH..];
                ahead.relax(nodes, &rows[bits].0, step, length + 1 - MIN_MATCH);
            }
            if longest < nice {
                at += 1;
            } else {
                ahead.flush(&mut nodes[at + MIN_MATCH..]);
                at += longest;
            }
        }
    }
}

/// Adds the matches of the cheapest way; those that go on with the same offset become one.
fn collect(found: Lists<'_>, nodes: &[u32], len: usize, matches: &mut Vec<Match>) {
    let mut node = len;
    while node > 0 {
        let step = nodes[node] & 0xFFFF;
        let from = node - (step >> LENGTH_SHIFT) as usize;
        if let Some(which) = (step % (1 << LENGTH_SHIFT)).checked_sub(1) {
            let offset = unpack(found.at(from)[which as usize]).offset as u32;
            let mut length = (node - from) as u32;
            if let Some(next) = matches.last()
                && (next.at as usize, next.offset) == (node, offset)
            {
                length += next.length;
                matches.pop();
            }
            matches.push(Match { at: from as u32, length, offset });
        }
        node = from;
    }
    matches.reverse();
}

/// Takes all that `matches` cut a text of `len` bytes into.
fn take(text: View<'_, Near>, len: usize, matches: &[Match], items: &mut Items) {
    let mut at = 0;
    for item in matches {
        items.literals(text, at..item.at as usize);
        items.matched(item.length as usize, item.offset as usize);
        at = (item.at + item.length) as usize;
    }
    items.literals(text, at..len);
}
