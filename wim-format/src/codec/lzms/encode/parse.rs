//! Cuts a chunk into items so that they take the least, by what everything takes at the moment.
//!
//! From a position on, the cheapest ways to all later ones are found in order, each with the recent
//! offsets and the contexts that it leads to. Where there is no way past a position, or the window is
//! full, or a match is long enough to be taken without thinking, the way there is written; the codes
//! and probabilities adapt to it, and the next window begins.

use super::coder::{Coder, Item};
use super::codes::PRICED_LENGTHS;
use super::decisions::{Contexts, DELTA_REPEATS_OF, DecisionCosts, Kind, LZ_REPEATS_OF};
use super::deltas::{self, Deltas, FoundDelta};
use super::state::State;
use super::trees::{PAD, Trees, common};
use crate::codec::cpu::Stage;
use crate::codec::encode::chains::{Effort, Found};
use crate::codec::lzms::symbols;

/// Positions of a window.
const WINDOW: usize = 1024;
/// Where there is an LZ match of this length, no delta match is looked for.
const CLEAR: usize = 8;
/// No way leads here yet.
const FAR: u32 = u32::MAX;
/// The longest match that is not taken without thinking.
pub(super) const MAX_NICE: usize = PRICED_LENGTHS - 1;
/// Within a long match, only so many of the last positions are entered into the trees.
const ENTERED: usize = 1 << 12;

/// The best way to a position that is known so far: its last step, and what all takes.
#[derive(Debug, Clone, Copy)]
struct Node {
    cost: u32,
    /// Positions that the step goes ahead: those of the item, and, if `again` is not 0, a literal and a
    /// repeat of the first recent offset over `again` positions. Of the item, none may be left.
    ahead: u32,
    again: u32,
    kind: Kind,
    length: u32,
    source: u32,
    /// The state here, once all ways to here are known.
    state: State,
}

/// Room for windows.
#[derive(Debug)]
pub(super) struct Parser {
    nodes: Vec<Node>,
    found: Vec<Found>,
    path: Vec<Item>,
}

/// How a level cuts chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) effort: Effort,
    /// Powers of delta matches that are looked for.
    pub(super) powers: u32,
}

impl Parser {
    pub(super) fn new() -> Self {
        let node = Node {
            cost: FAR,
            ahead: 0,
            again: 0,
            kind: Kind::Literal,
            length: 0,
            source: 0,
            state: State::start(),
        };
        Self { nodes: vec![node; WINDOW + 2 * MAX_NICE + 3], found: Vec::new(), path: Vec::new() }
    }
}

/// Cuts and writes a whole chunk.
pub(super) struct Parse<'a, 'c> {
    pub(super) parser: &'a mut Parser,
    pub(super) trees: &'a mut Trees,
    pub(super) deltas: &'a mut Deltas,
    /// The chunk and [`PAD`] bytes more.
    pub(super) text: &'a [u8],
    pub(super) plan: Plan,
    pub(super) coder: &'a mut Coder<'c>,
}

impl Stage for Parse<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(mut self) {
        let mut at = 0;
        while at < self.len() && !self.coder.is_full() {
            at = self.window(at);
        }
    }
}

impl Parse<'_, '_> {
    fn len(&self) -> usize {
        self.text.len() - PAD
    }

    /// Writes what lies ahead of `from`, as far as it is decided; gives where that ends.
    #[inline(always)]
    fn window(&mut self, from: usize) -> usize {
        let mut ways = Ways { nodes: &mut self.parser.nodes, last: 0 };
        ways.nodes[0].cost = 0;
        ways.nodes[0].state = self.coder.state;
        let effort = self.plan.effort;
        let end = self.text.len() - PAD;
        let mut here = 0;
        let long = loop {
            if here > 0 {
                ways.settle(here);
                if here == ways.last || here >= WINDOW {
                    break None;
                }
            }
            let at = from + here;
            let max = end - at;
            let found = &mut self.parser.found;
            self.trees.find(self.text, at, max, effort, found);
            let step = Step { text: self.text, coder: self.coder, here, at, max, effort };
            if let Some(long) = step.take(&mut ways, found) {
                break Some(long);
            }
            if self.plan.powers > 0 && found.last().is_none_or(|found| found.length < CLEAR) {
                step.take_deltas(&mut ways, self.deltas, self.plan.powers);
            }
            here += 1;
        };
        self.write(from, here);
        let at = from + here;
        long.map_or(at, |item| self.write_long(at, item))
    }

    /// Writes the way from `from` to its node `here`.
    fn write(&mut self, from: usize, here: usize) {
        let Parser { nodes, path, .. } = &mut *self.parser;
        path.clear();
        let mut to = here;
        while to > 0 {
            let Node { ahead, again, kind, length, source, .. } = nodes[to];
            let start = to - ahead as usize;
            if again > 0 {
                path.push(Item { kind: Kind::LzRepeat0, source: 0, length: again });
                path.push(Item::literal(self.text[from + start + length as usize]));
            }
            if length > 0 {
                let source =
                    if kind == Kind::Literal { self.text[from + start].into() } else { source };
                path.push(Item { kind, source, length });
            }
            to = start;
        }
        path.iter().rev().for_each(|&item| self.coder.put(item));
    }

    /// Writes a long match at `at`; gives its end.
    fn write_long(&mut self, at: usize, item: Item) -> usize {
        self.coder.put(item);
        let end = at + item.length as usize;
        for at in end.saturating_sub(ENTERED).max(at + 1)..end {
            let max = self.len() - at;
            self.trees.skip(self.text, at, max, self.plan.effort, &mut self.parser.found);
        }
        end
    }
}

/// The ways of a window.
struct Ways<'a> {
    nodes: &'a mut [Node],
    /// The last position that a way leads to.
    last: usize,
}

impl Ways<'_> {
    /// Finds the state of a position to which the best way is known.
    #[inline(always)]
    fn settle(&mut self, here: usize) {
        let Node { ahead, again, kind, length, source, .. } = self.nodes[here];
        let mut state = self.nodes[here - ahead as usize].state;
        if length > 0 {
            state.pass(kind, source);
        }
        if again > 0 {
            state.pass(Kind::Literal, 0);
            state.pass(Kind::LzRepeat0, 0);
        }
        self.nodes[here].state = state;
    }

    /// Makes sure that all nodes up to `to` are in use.
    #[inline(always)]
    fn reach(&mut self, to: usize) {
        while self.last < to {
            self.last += 1;
            self.nodes[self.last].cost = FAR;
        }
    }

    /// Takes an item of each length from `shortest` to `longest` from `here`, where that is cheaper.
    #[inline(always)]
    fn relax(
        &mut self,
        here: usize,
        (kind, source): (Kind, u32),
        base: u32,
        lengths: std::ops::RangeInclusive<usize>,
        costs: &[u16; PRICED_LENGTHS],
    ) {
        self.reach(here + lengths.end());
        for length in lengths {
            let cost = base + u32::from(costs[length]);
            let node = &mut self.nodes[here + length];
            if cost < node.cost {
                let length = length as u32;
                (node.cost, node.ahead, node.again) = (cost, length, 0);
                (node.kind, node.length, node.source) = (kind, length, source);
            }
        }
    }
}

/// All that can be done at one position.
struct Step<'a, 'c> {
    text: &'a [u8],
    coder: &'a Coder<'c>,
    /// The position in the window, in the chunk, and the bytes from there on.
    here: usize,
    at: usize,
    max: usize,
    effort: Effort,
}

impl Step<'_, '_> {
    /// Adds the ways from here on; or gives a match that is long enough.
    #[inline(always)]
    fn take(&self, ways: &mut Ways<'_>, found: &[Found]) -> Option<Item> {
        let Self { here, at, max, .. } = *self;
        let Node { cost, state, .. } = ways.nodes[here];
        let codes = &self.coder.codes;
        let of = self.coder.decisions.costs(state.contexts);
        let lengths = codes.length_costs();
        let nice = self.effort.nice.min(max);
        let mut long: Option<Item> = None;
        let mut repeats = [0; 3];
        let offsets = state.lz_repeats();
        for i in 0..3 {
            let offset = offsets[i] as usize;
            if offset > at || self.text[at] != self.text[at - offset] {
                continue;
            }
            repeats[i] = common(self.text, at - offset, at, 0, nice);
            if repeats[i] >= nice && nice == self.effort.nice {
                let length = self.extend(offset);
                if long.is_none_or(|long| length > long.length) {
                    long = Some(Item { kind: LZ_REPEATS_OF[i], source: 0, length });
                }
            }
        }
        if let Some(&Found { length, offset }) = found.last()
            && length >= self.effort.nice
            && long.is_none()
        {
            let length = self.extend(offset);
            long = Some(Item { kind: Kind::Lz, source: offset as u32, length });
        }
        if long.is_some() {
            return long;
        }
        self.literal(ways, cost, &state, &of);
        for i in 0..3 {
            if repeats[i] > 0 {
                let way = (LZ_REPEATS_OF[i], 0);
                ways.relax(here, way, cost + of.lz_repeats[i], 1..=repeats[i], lengths);
                let base = cost + of.lz_repeats[i] + u32::from(lengths[repeats[i]]);
                self.again(ways, way, repeats[i], offsets[i] as usize, base, state.contexts);
            }
        }
        let mut shortest = 2;
        for &Found { length, offset } in found {
            let way = (Kind::Lz, offset as u32);
            let base = cost + of.lz + codes.cost_of_offset(symbols::Kind::LzOffset, offset as u32);
            ways.relax(here, way, base, shortest..=length, lengths);
            let base = base + u32::from(lengths[length]);
            self.again(ways, way, length, offset, base, state.contexts);
            shortest = length + 1;
        }
        None
    }

    /// The same for delta matches.
    #[inline(always)]
    fn take_deltas(&self, ways: &mut Ways<'_>, deltas: &mut Deltas, powers: u32) {
        let Self { here, at, max, .. } = *self;
        let Node { cost, state, .. } = ways.nodes[here];
        let codes = &self.coder.codes;
        let of = self.coder.decisions.costs(state.contexts);
        let lengths = codes.length_costs();
        let nice = self.effort.nice.min(max);
        let mut beyond = 0;
        for (i, source) in state.delta_repeats().into_iter().enumerate() {
            let (span, distance) = deltas::place(source);
            if span + distance > at {
                continue;
            }
            let length = deltas::common(self.text, at, span, distance, nice);
            if length >= 2 {
                let way = (DELTA_REPEATS_OF[i], 0);
                ways.relax(here, way, cost + of.delta_repeats[i], 2..=length, lengths);
            }
            beyond = beyond.max(length);
        }
        if let Some(FoundDelta { length, source }) =
            deltas.find(self.text, at, powers, beyond, nice)
        {
            let base = cost
                + of.delta
                + codes.cost(symbols::Kind::DeltaPower, source as u8 & 7)
                + codes.cost_of_offset(symbols::Kind::DeltaOffset, source >> 3);
            let shortest = deltas::SHORTEST.max(beyond + 1);
            ways.relax(here, (Kind::Delta, source), base, shortest..=length, lengths);
        }
    }

    /// Whether the first two bytes differ from those `offset` before.
    #[inline(always)]
    fn differs(&self, at: usize, offset: usize) -> bool {
        self.text[at..at + 2] != self.text[at - offset..at - offset + 2]
    }

    /// The whole length of a match that is nice enough.
    fn extend(&self, offset: usize) -> u32 {
        common(self.text, self.at - offset, self.at, self.effort.nice, self.max) as u32
    }

    /// A literal, and a repeat after it.
    #[inline(always)]
    fn literal(&self, ways: &mut Ways<'_>, cost: u32, state: &State, of: &DecisionCosts) {
        let Self { here, at, .. } = *self;
        let byte = self.text[at];
        let literal = cost + of.literal + self.coder.codes.cost(symbols::Kind::Literal, byte);
        ways.reach(here + 1);
        let node = &mut ways.nodes[here + 1];
        if literal < node.cost {
            (node.cost, node.ahead, node.again) = (literal, 1, 0);
            (node.kind, node.length, node.source) = (Kind::Literal, 1, 0);
        }
        let mut state = *state;
        state.pass(Kind::Literal, 0);
        let offset = state.lz_repeats()[0] as usize;
        self.repeat(ways, (Kind::Literal, 0), 0, offset, literal, state.contexts);
    }

    /// After an item of `length`, of the offset given: a literal, and a repeat of that offset.
    #[inline(always)]
    fn again(
        &self,
        ways: &mut Ways<'_>,
        way: (Kind, u32),
        length: usize,
        offset: usize,
        base: u32,
        mut contexts: Contexts,
    ) {
        if length + 3 > self.max || self.differs(self.at + length + 1, offset) {
            return;
        }
        contexts.pass(way.0);
        let of = self.coder.decisions.costs(contexts);
        let byte = self.text[self.at + length];
        let base = base + of.literal + self.coder.codes.cost(symbols::Kind::Literal, byte);
        contexts.pass(Kind::Literal);
        self.repeat(ways, way, length, offset, base, contexts);
    }

    /// After an item of `length`, which may be 0, and a literal, a repeat of the first recent offset.
    #[inline(always)]
    fn repeat(
        &self,
        ways: &mut Ways<'_>,
        (kind, source): (Kind, u32),
        length: usize,
        offset: usize,
        base: u32,
        contexts: Contexts,
    ) {
        let start = self.at + length + 1;
        if length + 3 > self.max || offset > start || self.differs(start, offset) {
            return;
        }
        let max = self.effort.nice.min(self.max - length - 1);
        let again = common(self.text, start - offset, start, 2, max);
        let costs = self.coder.codes.length_costs();
        let cost = base + self.coder.decisions.cost_of_repeat(contexts) + u32::from(costs[again]);
        let ahead = length + 1 + again;
        ways.reach(self.here + ahead);
        let node = &mut ways.nodes[self.here + ahead];
        if cost < node.cost {
            (node.cost, node.ahead, node.again) = (cost, ahead as u32, again as u32);
            (node.kind, node.length, node.source) = (kind, length as u32, source);
        }
    }
}
