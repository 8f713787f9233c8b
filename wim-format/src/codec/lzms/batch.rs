//! What the stages hand on to one another, and the last stage: writing the output.

use super::items::Item;
use super::symbols::Kind;

/// Items decoded ahead at a time.
pub(super) const MAX_ITEMS: usize = 128;
/// Literals in a batch at most.
pub(super) const MAX_LITERALS: usize = 1024;

/// Room for kinds of symbols: a literal each, and of each match at most a power, an offset and a
/// length.
/// A power of two, so that masking an index is free of bounds checks.
pub(super) const MAX_SYMBOLS: usize = (MAX_LITERALS + 4 * MAX_ITEMS).next_power_of_two();

/// Bytes copied at once. Where the output has that many bytes left after a copy, it may write
/// beyond its end; what comes after overwrites them.
const WIDE: usize = 16;

/// Items whose symbols are still to be read, then sequences ready to be copied.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: [Item; MAX_ITEMS],
    pub(super) item_count: usize,
    /// What symbols the items are made of.
    pub(super) kinds: [Kind; MAX_SYMBOLS],
    /// The symbols' values, and room to read beyond them.
    pub(super) values: [u32; MAX_SYMBOLS + 2],
    pub(super) sequences: [Sequence; MAX_ITEMS],
    pub(super) sequence_count: usize,
    /// The same as bytes, for literals, and room to read beyond them.
    pub(super) literals: [u8; MAX_SYMBOLS + WIDE],
}

/// A run of literals and the match after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequence {
    /// Number of literals.
    pub(super) literals: u16,
    /// Number of the first literal among the symbols.
    pub(super) first: u16,
    /// Length of the match; 0 for none.
    pub(super) length: u32,
    /// Where the match's bytes come from.
    pub(super) source: Source,
}

impl Sequence {
    /// A run of literals that no match follows.
    pub(super) const fn literals(literals: u16, first: u16) -> Self {
        Self { literals, first, length: 0, source: Source { distance: 1, span: 0 } }
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
            kinds: [Kind::Literal; MAX_SYMBOLS],
            values: [0; MAX_SYMBOLS + 2],
            sequences: [Sequence::literals(0, 0); MAX_ITEMS],
            sequence_count: 0,
            literals: [0; MAX_SYMBOLS + WIDE],
        }
    }

    /// Writes the sequences at `at`, as far as they lie within `dst`; returns the position after
    /// them.
    #[inline(always)]
    pub(super) fn write(&self, dst: &mut [u8], mut at: usize) -> usize {
        for sequence in &self.sequences[..self.sequence_count] {
            let from = sequence.first as usize;
            let start = at + sequence.literals as usize;
            let end = start + sequence.length as usize;
            if end + WIDE <= dst.len() && sequence.source.span == 0 {
                copy(&self.literals, from, dst, at, start);
                copy_within(dst, start - sequence.source.distance as usize, start, end);
            } else {
                write_exact(sequence, &self.literals[from..], dst, at);
            }
            at = end;
        }
        at.min(dst.len())
    }
}

/// The [`WIDE`] bytes at `at`, for one comparison.
#[inline(always)]
fn wide(bytes: &[u8], at: usize) -> [u8; WIDE] {
    match bytes.len().checked_sub(WIDE) {
        Some(last) if at <= last => *bytes[at..at + WIDE].as_array().unwrap_or(&[0; WIDE]),
        _ => [0; WIDE],
    }
}

/// Replaces the [`WIDE`] bytes at `at`, for one comparison.
#[inline(always)]
fn set_wide(bytes: &mut [u8], at: usize, value: [u8; WIDE]) {
    match bytes.len().checked_sub(WIDE) {
        Some(last) if at <= last => bytes[at..at + WIDE].copy_from_slice(&value),
        _ => {}
    }
}

/// Copies from `from` in `src` to `at..end` in `dst`. Needs [`WIDE`] bytes after both.
#[inline(always)]
fn copy(src: &[u8], mut from: usize, dst: &mut [u8], mut at: usize, end: usize) {
    loop {
        set_wide(dst, at, wide(src, from));
        from += WIDE;
        at += WIDE;
        if at >= end {
            return;
        }
    }
}

/// Copies from `from` to `at..end`; a pattern shorter than the copy repeats. Needs [`WIDE`] bytes
/// after the end.
#[inline(always)]
fn copy_within(dst: &mut [u8], mut from: usize, mut at: usize, end: usize) {
    // While the pattern is shorter than a wide copy, each copy doubles it.
    while at - from < WIDE && at < end {
        set_wide(dst, at, wide(dst, from));
        at += at - from;
    }
    while at < end {
        set_wide(dst, at, wide(dst, from));
        from += WIDE;
        at += WIDE;
    }
}

/// Writes one sequence without touching what comes after it.
#[cold]
#[inline(never)]
fn write_exact(sequence: &Sequence, literals: &[u8], dst: &mut [u8], at: usize) {
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
