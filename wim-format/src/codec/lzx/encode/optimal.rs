//! Cuts a block into the matches and literals that cost least, given what each costs.
//!
//! Positions are nodes, and every literal and match leads from one to another. The recent offsets at
//! a node are those of the cheapest way there. One more kind of step is a match, a literal and a
//! match at the same offset again: the way over the literal alone would often not be the cheapest
//! one, and be forgotten.

use super::super::tables::{MIN_MATCH, RECENT_SLOTS};
use super::costs::{Costs, LENGTH_SHIFT};
use super::matches::{MAX_MATCH, Match, Recent, slot_of};
use crate::codec::cpu::Stage;
use crate::codec::encode::matches::{Matches, unpack};
use crate::codec::encode::nodes::{FAR, LANES, lower, relax};
use crate::codec::encode::text::{Reach, Text};

/// The furthest that a step leads.
const REACH: usize = 2 * MAX_MATCH + 1;
/// Nodes behind the last.
pub(super) const SLACK: usize = REACH + LANES;
/// Room for the recent offsets of all nodes that steps lead from.
const RING: usize = 1024;
const _: () = assert!(REACH < RING);

/// In a step: which match it is, below the length: 0 for a literal.
const KINDS: u32 = 1 << LENGTH_SHIFT;
/// The first of the matches at recent offsets.
const FIRST_RECENT: u32 = 1;
/// The first of the other matches.
const FIRST_FOUND: u32 = FIRST_RECENT + RECENT_SLOTS as u32;
/// Added where a literal and a match at the same offset follow.
const GAP: u32 = KINDS / 2;
/// Matches of a position that are looked at.
const MOST: usize = (GAP - FIRST_FOUND) as usize;

/// Which steps are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// Match, literal and match only after the longest.
    Longest,
    /// After all.
    All,
}

/// Room for the ways.
#[derive(Debug)]
pub(super) struct Ways {
    nodes: Vec<u32>,
    recent: Box<[Recent; RING]>,
    /// The nodes of the cheapest way, the last one first.
    back: Vec<u32>,
}

impl Ways {
    pub(super) fn new(chunk_size: usize) -> Self {
        Self {
            nodes: vec![FAR; chunk_size + SLACK],
            recent: Box::new([Recent::START; RING]),
            back: Vec::with_capacity(chunk_size + 1),
        }
    }
}

/// One block to be cut.
#[derive(Debug)]
pub(super) struct Cut<'a, R: Reach> {
    pub(super) text: &'a Text<R>,
    pub(super) found: &'a Matches,
    pub(super) costs: &'a Costs,
    pub(super) ways: &'a mut Ways,
    /// The block.
    pub(super) range: std::ops::Range<usize>,
    /// The recent offsets at its start.
    pub(super) recent: Recent,
    /// The length that is taken without a look at anything else.
    pub(super) nice: usize,
    pub(super) gaps: Gaps,
    /// Where the matches are added.
    pub(super) matches: &'a mut Vec<Match>,
}

impl<R: Reach> Stage for Cut<'_, R> {
    /// The recent offsets at the block's end.
    type Output = Recent;

    #[inline(always)]
    fn run<const MODERN: bool>(mut self) -> Recent {
        self.go_forward();
        self.collect()
    }
}

impl<R: Reach> Cut<'_, R> {
    /// Finds the cheapest way to every node of the block.
    #[inline(always)]
    fn go_forward(&mut self) {
        let (start, end) = (self.range.start, self.range.end);
        let len = end - start;
        self.ways.nodes[..len + SLACK].fill(FAR);
        self.ways.nodes[0] = 0;
        self.ways.recent[0] = self.recent;
        let mut node = 0;
        while node < len {
            let at = start + node;
            let max = (end - at).min(MAX_MATCH);
            lower(&mut self.ways.nodes[node..node + SLACK]);
            let recent = if node == 0 { self.recent } else { self.recent_at(node) };
            self.ways.recent[node % RING] = recent;
            let base = self.ways.nodes[node] & !0xFFFF;
            let literal = base + self.costs.literal[usize::from(self.text.byte(at))];
            let next = &mut self.ways.nodes[node + 1];
            *next = (*next).min(literal + (1 << LENGTH_SHIFT));
            let longest = self.try_recent(node, at, max, base, &recent);
            if longest >= self.nice {
                node += longest;
                continue;
            }
            node += match self.try_found(node, at, max, base) {
                longest if longest >= self.nice => longest,
                _ => 1,
            };
        }
    }

    /// Tries the matches at recent offsets, and gives the length of the longest.
    #[inline(always)]
    fn try_recent(
        &mut self,
        node: usize,
        at: usize,
        max: usize,
        base: u32,
        recent: &Recent,
    ) -> usize {
        let word = self.text.word(at);
        let mut longest = 1;
        for (slot, &offset) in recent.0.iter().enumerate() {
            let offset = offset as usize;
            if offset > at || (self.text.word(at - offset) ^ word) as u16 != 0 || max < 2 {
                continue;
            }
            let length = self.text.common(at - offset, at, 2, max);
            let step = base + FIRST_RECENT + slot as u32;
            relax(
                &mut self.ways.nodes[node + MIN_MATCH..],
                &self.costs.rows[slot],
                step,
                length - 1,
            );
            if self.gaps == Gaps::All || length > longest {
                self.try_gap(node, at, length, offset, step, slot);
            }
            longest = longest.max(length);
        }
        longest
    }

    /// Tries the other matches, and gives the length of the longest.
    #[inline(always)]
    fn try_found(&mut self, node: usize, at: usize, max: usize, base: u32) -> usize {
        let found = self.found.at(at);
        let mut longest = 0;
        for (i, &packed) in found.iter().take(MOST).enumerate() {
            let found_here = unpack(packed);
            let offset = found_here.offset;
            let length = found_here.length.min(max);
            if length < 2 {
                continue;
            }
            let slot = slot_of(offset);
            let step =
                (base + FIRST_FOUND + i as u32).wrapping_add(self.costs.aligned(slot, offset));
            relax(
                &mut self.ways.nodes[node + MIN_MATCH..],
                &self.costs.rows[slot],
                step,
                length - 1,
            );
            if self.gaps == Gaps::All || i + 1 == found.len() {
                self.try_gap(node, at, length, offset, step, slot);
            }
            longest = length;
        }
        longest
    }

    /// Tries a match, a literal and the match at the same offset that follows.
    #[inline(always)]
    fn try_gap(
        &mut self,
        node: usize,
        at: usize,
        length: usize,
        offset: usize,
        step: u32,
        slot: usize,
    ) {
        let again = at + length + 1;
        if again + 2 > self.range.end
            || (self.text.word(again) ^ self.text.word(again - offset)) as u16 != 0
        {
            return;
        }
        let max = (self.range.end - again).min(MAX_MATCH);
        let more = self.text.common(again - offset, again, 2, max);
        let literal = self.costs.literal[usize::from(self.text.byte(again - 1))];
        let first = self.costs.rows[slot][length - MIN_MATCH];
        let step =
            step.wrapping_add(first).wrapping_add(literal).wrapping_add(GAP + (1 << LENGTH_SHIFT));
        let nodes = &mut self.ways.nodes[node + length + 1 + MIN_MATCH..];
        relax(nodes, &self.costs.rows[0], step, more - 1);
    }

    /// The step that the cheapest way to `node` ends with: where it starts and its kind.
    #[inline(always)]
    fn step_to(&self, node: usize) -> (usize, u32) {
        let step = self.ways.nodes[node] & 0xFFFF;
        (node - (step >> LENGTH_SHIFT) as usize, step % KINDS)
    }

    /// The offset of a step of a kind that is not a literal, given the recent ones where it starts.
    #[inline(always)]
    fn offset(&self, from: usize, kind: u32, recent: &Recent) -> u32 {
        match (kind % GAP).checked_sub(FIRST_FOUND) {
            Some(which) => {
                unpack(self.found.at(self.range.start + from)[which as usize]).offset as u32
            }
            None => recent.0[(kind % GAP - FIRST_RECENT) as usize],
        }
    }

    /// The recent offsets at `node`.
    #[inline(always)]
    fn recent_at(&self, node: usize) -> Recent {
        let (from, kind) = self.step_to(node);
        let mut recent = self.ways.recent[from % RING];
        if kind != 0 {
            recent.take(self.offset(from, kind, &recent));
        }
        recent
    }

    /// Adds the matches of the cheapest way, and gives the recent offsets behind them.
    fn collect(&mut self) -> Recent {
        let mut back = std::mem::take(&mut self.ways.back);
        back.clear();
        let mut node = self.range.len();
        while node > 0 {
            back.push(node as u32);
            node = self.step_to(node).0;
        }
        let mut recent = self.recent;
        for &node in back.iter().rev() {
            let node = node as usize;
            let (from, kind) = self.step_to(node);
            if kind == 0 {
                continue;
            }
            let at = self.range.start + from;
            let offset = self.offset(from, kind, &recent) as usize;
            if kind < GAP {
                self.matches.push(recent.code(at, node - from, offset));
                continue;
            }
            let max = (self.range.end - at).min(self.longest(from, kind));
            let first = self.text.common(at - offset, at, MIN_MATCH, max);
            self.matches.push(recent.code(at, first, offset));
            let second = node - from - first - 1;
            self.matches.push(recent.code(at + first + 1, second, offset));
        }
        self.ways.back = back;
        recent
    }

    /// The longest that the first match of a step with two may be.
    fn longest(&self, from: usize, kind: u32) -> usize {
        match (kind % GAP).checked_sub(FIRST_FOUND) {
            Some(which) => unpack(self.found.at(self.range.start + from)[which as usize]).length,
            None => MAX_MATCH,
        }
    }
}
