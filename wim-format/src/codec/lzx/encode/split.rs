//! Cuts a chunk into blocks with codes of their own.

use super::block::Frequencies;
use super::matches::Match;
use crate::codec::encode::entropy::{self, BIT};

/// What the codeword length of one symbol costs in a block's header, in bits.
const HEADER: u64 = 7;
/// What a block costs beside its symbols and their lengths, in bits: three pretrees, and codes that
/// fit what was expected less well the shorter the block is.
const BLOCK: u64 = 250;

/// A part of the chunk.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The first position behind it.
    pub(super) end: usize,
    /// The first match behind it.
    pub(super) matches: usize,
    /// The symbols in it.
    pub(super) frequencies: Frequencies,
    /// What it takes as a block of its own.
    cost: u64,
    /// How much less that it takes together with the next one.
    gain: i64,
}

/// Cuts a chunk.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Shortest segment.
    shortest: usize,
    segments: Vec<Segment>,
    /// Segments that are left, by their places in `segments`.
    left: Vec<usize>,
}

impl Splitter {
    /// For chunks of `chunk_size` bytes; blocks have at least `shortest` bytes.
    pub(super) fn new(chunk_size: usize, shortest: usize) -> Self {
        let count = chunk_size / shortest + 1;
        Self { shortest, segments: Vec::with_capacity(count), left: Vec::with_capacity(count) }
    }

    /// Cuts `chunk`, which is cut into `matches`, where it pays.
    pub(super) fn split(
        &mut self,
        chunk: &[u8],
        matches: &[Match],
    ) -> impl Iterator<Item = &Segment> {
        self.cut(chunk, matches);
        self.join();
        self.left.iter().map(|&i| &self.segments[i])
    }

    /// Cuts at the ends of matches where a segment is long enough.
    fn cut(&mut self, chunk: &[u8], matches: &[Match]) {
        self.segments.clear();
        let (mut start, mut first) = (0, 0);
        // Where the match before ends: near the end of the chunk, nothing was cut there.
        let mut covered = 0;
        for (i, item) in matches.iter().enumerate() {
            // A long run of literals is cut, too.
            while item.at as usize >= start + 2 * self.shortest {
                let end = covered.max(start + self.shortest);
                self.add(chunk, start, end, &matches[first..i], i);
                (start, first) = (end, i);
            }
            let end = item.end();
            covered = end;
            if end - start >= self.shortest && chunk.len() - end >= self.shortest / 2 {
                self.add(chunk, start, end, &matches[first..=i], i + 1);
                (start, first) = (end, i + 1);
            }
        }
        self.add(chunk, start, chunk.len(), &matches[first..], matches.len());
    }

    fn add(&mut self, chunk: &[u8], start: usize, end: usize, matches: &[Match], next: usize) {
        let mut frequencies = Frequencies::NONE;
        frequencies.count(chunk, start, end, matches);
        let cost = cost(&frequencies);
        self.segments.push(Segment { end, matches: next, frequencies, cost, gain: 0 });
    }

    /// Joins neighbours, those first that gain most.
    fn join(&mut self) {
        self.left.clear();
        self.left.extend(0..self.segments.len());
        for place in 1..self.left.len() {
            self.weigh(place - 1);
        }
        while self.left.len() > 1 {
            let gain = |place: usize| self.segments[self.left[place]].gain;
            let Some(place) = (0..self.left.len() - 1).max_by_key(|&place| gain(place)) else {
                return;
            };
            if gain(place) <= 0 {
                return;
            }
            let next = self.left.remove(place + 1);
            let (head, tail) = self.segments.split_at_mut(next);
            let (segment, next) = (&mut head[self.left[place]], &tail[0]);
            segment.end = next.end;
            segment.matches = next.matches;
            segment.frequencies.add(&next.frequencies);
            segment.cost = cost(&segment.frequencies);
            if place > 0 {
                self.weigh(place - 1);
            }
            if place + 1 < self.left.len() {
                self.weigh(place);
            }
        }
    }

    /// Sets the gain of the segment at `place` among those left.
    fn weigh(&mut self, place: usize) {
        let (a, b) = (self.left[place], self.left[place + 1]);
        let mut both = self.segments[a].frequencies.clone();
        both.add(&self.segments[b].frequencies);
        let apart = self.segments[a].cost + self.segments[b].cost;
        self.segments[a].gain = apart as i64 - cost(&both) as i64;
    }
}

/// What a block with these symbols takes, in units of cost, less its raw bits.
fn cost(frequencies: &Frequencies) -> u64 {
    let Frequencies { main, length, aligned } = frequencies;
    let used = |counts: &[u32]| counts.iter().map(|&count| u64::from(count != 0)).sum::<u64>();
    let raw = u64::from(3 * BIT * aligned.iter().sum::<u32>());
    let header = (BLOCK + HEADER * (used(main) + used(length))) * u64::from(BIT);
    let aligned = raw.min(entropy::total(aligned) + 24 * u64::from(BIT));
    entropy::total(main) + entropy::total(length) + aligned + header
}
