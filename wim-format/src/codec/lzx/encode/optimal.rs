//! Cuts a block into the matches and literals that cost least, given what each costs.
//!
//! Positions are nodes, and every literal and match leads from one to another. The recent offsets at
//! a node are those of the cheapest way there. One more kind of step is a match, a literal and a
//! match at the same offset again: the way over the literal alone would often not be the cheapest
//! one, and be forgotten.

use super::super::tables::{MIN_MATCH, RECENT_SLOTS};
use super::costs::{Costs, LENGTH_SHIFT, ROWS};
use super::matches::{MAX_MATCH, Match, Recent, slot_of};
use crate::codec::encode::chains::Found;
use crate::codec::encode::matches::{Lists, Matches, unpack};
use crate::codec::encode::nodes::{Ahead, FAR, LANES, Row, is_high, lower, relax};
use crate::codec::encode::text::{Reach, Text, View};
use crate::codec::encode::walk::Walk;

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

impl<R: Reach> Walk for Cut<'_, R> {
    /// The recent offsets at the block's end.
    type Output = Recent;

    #[inline(always)]
    fn walk(mut self, ahead: impl Ahead) -> Recent {
        let start = self.range.start;
        let nodes = &mut self.ways.nodes[..self.range.len() + SLACK];
        nodes.fill(FAR);
        nodes[0] = 0;
        self.ways.recent[0] = self.recent;
        let mut forward = Forward {
            text: self.text.view(),
            found: self.found.lists(),
            costs: self.costs,
            nodes,
            recent: &mut self.ways.recent,
            start,
            end: self.range.end,
            nice: self.nice,
            gaps: self.gaps,
        };
        forward.run(ahead);
        self.collect()
    }
}

/// What the way forward needs, each a pointer away at most.
struct Forward<'a, R: Reach> {
    text: View<'a, R>,
    found: Lists<'a>,
    costs: &'a Costs,
    nodes: &'a mut [u32],
    recent: &'a mut [Recent; RING],
    start: usize,
    end: usize,
    nice: usize,
    gaps: Gaps,
}

impl<R: Reach> Forward<'_, R> {
    /// Finds the cheapest way to every node of the block.
    #[inline(always)]
    fn run(&mut self, mut ahead: impl Ahead) {
        let len = self.end - self.start;
        let mut node = 0;
        while node < len {
            let at = self.start + node;
            if is_high(self.nodes[node]) {
                ahead.flush(&mut self.nodes[node + 1..]);
                lower(&mut self.nodes[node..node + SLACK]);
            }
            let Some(nodes) = self.nodes[node..].first_chunk_mut::<SLACK>() else { return };
            let recent = recent_at(self.recent, self.found, nodes[0], node, at);
            self.recent[node % RING] = recent;
            let base = nodes[0] & !0xFFFF;
            let literal = base + self.costs.literal[usize::from(self.text.byte(at))];
            nodes[1] = nodes[1].min(ahead.advance()).min(literal + (1 << LENGTH_SHIFT));
            let mut place = Place {
                text: self.text,
                costs: self.costs,
                nodes,
                at,
                max: (self.end - at).min(MAX_MATCH),
                end: self.end,
                base,
                gaps: self.gaps,
            };
            // Those that were found depend on nothing before, so that they are looked at while the
            // recent offsets are still being worked out.
            let found = place.try_found(&mut ahead, self.found.at(at));
            let longest = found.max(place.try_recent(&mut ahead, recent));
            if longest < self.nice {
                node += 1;
            } else {
                ahead.flush(&mut self.nodes[node + MIN_MATCH..]);
                node += longest;
            }
        }
    }
}

/// The recent offsets at `node`, given the cheapest way there.
#[inline(always)]
fn recent_at(ring: &[Recent; RING], found: Lists<'_>, way: u32, node: usize, at: usize) -> Recent {
    let step = way & 0xFFFF;
    let back = (step >> LENGTH_SHIFT) as usize;
    let mut recent = ring[node.wrapping_sub(back) % RING];
    let kind = step % GAP;
    if kind >= FIRST_FOUND {
        recent.take(found.offset(at.wrapping_sub(back), (kind - FIRST_FOUND) as usize) as u32);
    } else if kind >= FIRST_RECENT {
        recent.take(recent.at((kind - FIRST_RECENT) as usize));
    }
    recent
}

/// A position, and what is the same for all matches there.
struct Place<'a, R: Reach> {
    text: View<'a, R>,
    costs: &'a Costs,
    /// The node and those ahead.
    nodes: &'a mut [u32; SLACK],
    at: usize,
    /// The longest that a match may be.
    max: usize,
    /// The block's end.
    end: usize,
    /// What the way here costs.
    base: u32,
    gaps: Gaps,
}

impl<R: Reach> Place<'_, R> {
    /// Tries the matches at recent offsets, and gives the length of the longest.
    #[inline(always)]
    fn try_recent(&mut self, ahead: &mut impl Ahead, recent: Recent) -> usize {
        let (at, max) = (self.at, self.max);
        // Everywhere else the recent offsets lead to what is in the chunk: they are from before.
        if max < MIN_MATCH || at == 0 {
            return 0;
        }
        // One branch for all three is seldom guessed wrongly.
        let text = self.text;
        let pair = text.pair(at);
        let starts_at =
            |offset: u32| u32::from(text.pair(at.wrapping_sub(offset as usize)) == pair);
        let [first, second, third] = recent.all().map(starts_at);
        let mut slots = first | second << 1 | third << 2;
        let mut longest = 0;
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let offset = recent.at(slot) as usize;
            let length = text.common(at - offset, at, MIN_MATCH, max);
            let step = self.base + FIRST_RECENT + slot as u32;
            self.try_match(ahead, length, slot, step);
            if self.gaps == Gaps::All || length > longest {
                self.try_gap(length, offset, slot, step);
            }
            longest = longest.max(length);
        }
        longest
    }

    /// Tries the matches found here, and gives the length of the longest.
    #[inline(always)]
    fn try_found(&mut self, ahead: &mut impl Ahead, found: &[u32]) -> usize {
        let mut longest = 0;
        let found = &found[..found.len().min(MOST)];
        for (i, &packed) in found.iter().enumerate() {
            let Found { length, offset } = unpack(packed);
            let length = length.min(self.max);
            if length < MIN_MATCH {
                break;
            }
            let slot = slot_of::<R>(offset);
            let step =
                (self.base + FIRST_FOUND + i as u32).wrapping_add(self.costs.aligned(slot, offset));
            self.try_match(ahead, length, slot, step);
            if self.gaps == Gaps::All || i + 1 == found.len() {
                self.try_gap(length, offset, slot, step);
            }
            longest = length;
        }
        longest
    }

    /// Tries all lengths of a match up to `length`.
    #[inline(always)]
    fn try_match(&mut self, ahead: &mut impl Ahead, length: usize, slot: usize, step: u32) {
        let Row(row) = &self.costs.rows[slot % ROWS];
        ahead.relax(&mut self.nodes[MIN_MATCH..], row, step, length - 1);
    }

    /// Tries a match, a literal and the match at the same offset that follows.
    #[inline(always)]
    fn try_gap(&mut self, length: usize, offset: usize, slot: usize, step: u32) {
        let again = self.at + length + 1;
        let text = self.text;
        if again + MIN_MATCH > self.end || text.pair(again) != text.pair(again - offset) {
            return;
        }
        let max = (self.end - again).min(MAX_MATCH);
        let more = text.common(again - offset, again, MIN_MATCH, max);
        let first = self.costs.rows[slot % ROWS].0[(length - MIN_MATCH) % (MAX_MATCH - 1)];
        let literal = self.costs.literal[usize::from(text.byte(again - 1))];
        let step =
            step.wrapping_add(first).wrapping_add(literal).wrapping_add(GAP + (1 << LENGTH_SHIFT));
        let nodes = &mut self.nodes[length + 1 + MIN_MATCH..];
        relax(nodes, &self.costs.rows[0].0, step, more - 1);
    }
}

impl<R: Reach> Cut<'_, R> {
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
                unpack(self.found.lists().at(self.range.start + from)[which as usize]).offset as u32
            }
            None => recent.at((kind % GAP - FIRST_RECENT) as usize),
        }
    }

    /// Adds the matches of the cheapest way, and gives the recent offsets behind them.
    #[inline(always)]
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
            let first = self.text.view().common(at - offset, at, MIN_MATCH, max);
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
            Some(which) => {
                unpack(self.found.lists().at(self.range.start + from)[which as usize]).length
            }
            None => MAX_MATCH,
        }
    }
}
