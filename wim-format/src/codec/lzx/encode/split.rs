//! Cuts a chunk into blocks with codes of their own.

use super::super::tables::{ALIGNED_SYMBOLS, LENGTH_SYMBOLS};
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

/// Cuts a chunk: counts symbols while matches are chosen, and cuts at the ends of matches where a
/// segment is long enough.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Shortest segment.
    shortest: usize,
    /// Symbols of the main code.
    symbols: usize,
    segments: Vec<Segment>,
    /// Segments that are left, by their places in `segments`.
    left: Vec<usize>,
    /// The symbols since the last cut.
    frequencies: Frequencies,
    /// The positions where a segment may end after a match, and has to end.
    after_match: usize,
    anywhere: usize,
    len: usize,
}

impl Splitter {
    /// For chunks of `chunk_size` bytes, whose main code has `symbols`; blocks have at least
    /// `shortest` bytes.
    pub(super) fn new(chunk_size: usize, symbols: usize, shortest: usize) -> Self {
        let count = chunk_size / shortest + 1;
        Self {
            shortest,
            symbols,
            segments: Vec::with_capacity(count),
            left: Vec::with_capacity(count),
            frequencies: Frequencies::NONE,
            after_match: 0,
            anywhere: 0,
            len: 0,
        }
    }

    /// Starts a chunk of `len` bytes.
    pub(super) fn start(&mut self, len: usize) {
        self.segments.clear();
        self.len = len;
        self.start_segment(0);
    }

    fn start_segment(&mut self, at: usize) {
        self.frequencies = Frequencies::NONE;
        // The last segment is at least half as long as others are.
        let last = self.len.saturating_sub(self.shortest / 2);
        let after = |bytes: usize| if at + bytes <= last { at + bytes } else { usize::MAX };
        self.after_match = after(self.shortest);
        self.anywhere = after(2 * self.shortest);
    }

    /// Takes a literal that ends at `end`, after `matches`.
    #[inline(always)]
    pub(super) fn literal(&mut self, byte: u8, end: usize, matches: usize) {
        self.frequencies.literal(byte);
        if end >= self.anywhere {
            self.close(end, matches);
        }
    }

    /// Takes a match, the last of `matches`.
    #[inline(always)]
    pub(super) fn matched(&mut self, item: &Match, matches: usize) {
        self.frequencies.matched(item);
        if item.end() >= self.after_match {
            self.close(item.end(), matches);
        }
    }

    #[cold]
    fn close(&mut self, end: usize, matches: usize) {
        // Too little would be left.
        if self.len - end < self.shortest / 2 && end < self.len {
            (self.after_match, self.anywhere) = (usize::MAX, usize::MAX);
            return;
        }
        let cost = cost([&self.frequencies], self.symbols);
        let frequencies = self.frequencies.clone();
        self.segments.push(Segment { end, matches, frequencies, cost, gain: 0 });
        self.start_segment(end);
    }

    /// Ends the chunk behind `matches`, and gives its blocks.
    pub(super) fn split(&mut self, matches: usize) -> impl Iterator<Item = &Segment> {
        if self.segments.last().is_none_or(|last| last.end < self.len) {
            self.close(self.len, matches);
        }
        self.join();
        self.left.iter().map(|&i| &self.segments[i])
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
            segment.cost = segment.cost + next.cost - segment.gain as u64;
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
        let (first, second) = (&self.segments[a], &self.segments[b]);
        let apart = first.cost + second.cost;
        let together = cost([&first.frequencies, &second.frequencies], self.symbols);
        self.segments[a].gain = apart as i64 - together as i64;
    }
}

/// What a block with the symbols of all `parts` takes, in units of cost, less its raw bits.
fn cost<const N: usize>(parts: [&Frequencies; N], symbols: usize) -> u64 {
    let mains = parts.map(|part| &part.main[..symbols]);
    let (main, main_used) = entropy::total(together(mains, symbols));
    let lengths = parts.map(|part| &part.length[..]);
    let (length, length_used) = entropy::total(together(lengths, LENGTH_SYMBOLS));
    let aligned = || together(parts.map(|part| &part.aligned[..]), ALIGNED_SYMBOLS);
    let raw = u64::from(3 * BIT * aligned().sum::<u32>());
    let header = (BLOCK + HEADER * u64::from(main_used + length_used)) * u64::from(BIT);
    let aligned = raw.min(entropy::total(aligned()).0 + 24 * u64::from(BIT));
    main + length + aligned + header
}

/// The sums of counts of the same symbol, of which there are so many.
#[inline(always)]
fn together<const N: usize>(
    counts: [&[u32]; N],
    symbols: usize,
) -> impl Iterator<Item = u32> + Clone {
    let counts = counts.map(|counts| &counts[..symbols]);
    (0..symbols).map(move |symbol| counts.iter().map(|counts| counts[symbol]).sum())
}
