//! What the stages hand on to one another, and the last stage: writing the output.

use super::items::Item;

/// Items decoded ahead at a time.
pub(super) const MAX_ITEMS: usize = 128;
/// Literals in a batch at most.
pub(super) const MAX_LITERALS: usize = 1024;

/// Bytes copied at once. Where the output has that many bytes left after a copy, it may write
/// beyond its end; what comes after overwrites them.
const WIDE: usize = 16;

/// Items whose symbols are still to be read, then sequences ready to be copied.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: [Item; MAX_ITEMS],
    pub(super) item_count: usize,
    pub(super) sequences: [Sequence; MAX_ITEMS],
    pub(super) sequence_count: usize,
    /// The literals of all sequences one after the other, and room to read beyond them.
    pub(super) literals: [u8; MAX_LITERALS + WIDE],
}

/// A run of literals and the match after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequence {
    /// Number of literals.
    pub(super) literals: u32,
    /// Length of the match; 0 for none.
    pub(super) length: u32,
    /// Where the match's bytes come from.
    pub(super) source: Source,
}

impl Sequence {
    /// A run of literals that no match follows.
    pub(super) const fn literals(literals: u32) -> Self {
        Self { literals, length: 0, source: Source { distance: 1, span: 0 } }
    }
}

/// Where the bytes of a match come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// 1 up to the position of the match.
    pub(super) distance: u32,
    /// 0 for an LZ match. Otherwise differences from `distance` back are added to what lies `span`
    /// back, and both together stay within the output.
    pub(super) span: u32,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            items: [Item::NONE; MAX_ITEMS],
            item_count: 0,
            sequences: [Sequence::literals(0); MAX_ITEMS],
            sequence_count: 0,
            literals: [0; MAX_LITERALS + WIDE],
        }
    }

    /// Writes the sequences at `at`, as far as they lie within `dst`; returns the position after
    /// them.
    #[inline(always)]
    pub(super) fn write(&self, dst: &mut [u8], mut at: usize) -> usize {
        let mut literals = &self.literals[..];
        for sequence in self.sequences.iter().take(self.sequence_count) {
            let run = sequence.literals as usize;
            let start = at + run;
            let end = start + sequence.length as usize;
            if sequence.source.span == 0 && end + WIDE <= dst.len() {
                copy_literals(dst, at, literals, run);
                copy_fast(dst, start - sequence.source.distance as usize, start, end);
            } else {
                write_exact(sequence, dst, at, literals);
            }
            at = end;
            literals = &literals[run..];
        }
        at.min(dst.len())
    }
}

/// Copies the first `length` bytes of `literals` to `at`. Needs [`WIDE`] bytes after both.
#[inline(always)]
fn copy_literals(dst: &mut [u8], at: usize, literals: &[u8], length: usize) {
    let mut done = 0;
    loop {
        let wide: [u8; WIDE] = *literals[done..].first_chunk().unwrap_or(&[0; WIDE]);
        dst[at + done..at + done + WIDE].copy_from_slice(&wide);
        done += WIDE;
        if done >= length {
            return;
        }
    }
}

/// Copies from `from` to `start..end`; a pattern shorter than the copy repeats. Needs [`WIDE`]
/// bytes after the end.
#[inline(always)]
fn copy_fast(dst: &mut [u8], mut from: usize, mut start: usize, end: usize) {
    // While the pattern is shorter than a wide copy, each copy doubles it.
    let pattern = from;
    while start - from < WIDE && start < end {
        let distance = start - from;
        copy_wide(dst, from, start);
        start += distance;
        from = pattern;
    }
    while start < end {
        copy_wide(dst, from, start);
        from += WIDE;
        start += WIDE;
    }
}

/// Copies [`WIDE`] bytes, all read before any is written.
#[inline(always)]
fn copy_wide(dst: &mut [u8], from: usize, to: usize) {
    let mut wide = [0; WIDE];
    wide.copy_from_slice(&dst[from..from + WIDE]);
    dst[to..to + WIDE].copy_from_slice(&wide);
}

/// Writes one sequence without touching what comes after it.
#[cold]
#[inline(never)]
fn write_exact(sequence: &Sequence, dst: &mut [u8], at: usize, literals: &[u8]) {
    let run = (sequence.literals as usize).min(dst.len() - at);
    dst[at..at + run].copy_from_slice(&literals[..run]);
    let (at, length) = (at + run, sequence.length as usize);
    let Source { distance, span } = sequence.source;
    if span == 0 {
        copy_exact(dst, at, distance as usize, length);
    } else {
        copy_delta(dst, at, span as usize, distance as usize, length);
    }
}

/// Copies `length` bytes from `distance` before `at`; a pattern shorter than the copy repeats.
fn copy_exact(dst: &mut [u8], at: usize, distance: usize, length: usize) {
    if length == 0 {
        return;
    }
    let window = &mut dst[at - distance..at + length];
    // Each round doubles the repeated pattern that can be copied at once.
    let mut done = 0;
    while done < length {
        let span = (distance + done).min(length - done);
        window.copy_within(..span, distance + done);
        done += span;
    }
}

/// Adds to the byte `span` before each output byte the difference of the two bytes that lie
/// `distance` before them. `span + distance` is at most `at`.
fn copy_delta(dst: &mut [u8], at: usize, span: usize, distance: usize, length: usize) {
    let window = &mut dst[at - distance - span..at + length];
    for i in distance + span..window.len() {
        window[i] = window[i - span]
            .wrapping_add(window[i - distance])
            .wrapping_sub(window[i - distance - span]);
    }
}
