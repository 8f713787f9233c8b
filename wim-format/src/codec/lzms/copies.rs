//! The last stage: writing the output.
//!
//! Far from the end of the output, a copy takes more bytes than asked for: what is too much is
//! overwritten by what follows. Most runs of literals and most matches are then one load and one
//! store. What each sequence asks for is checked once, whoever made it.

use super::batch::{Batch, LITERAL_RUN, MAX_SYMBOLS, Sequence, Source};
use crate::codec::copy::{copy, repeat};

/// Bytes of a match copied at once.
const MATCH: usize = 32;
/// Bytes at the end of the output that wide copies keep away from.
const SLACK: usize = 64;

const _: () = assert!(LITERAL_RUN <= SLACK && MATCH <= SLACK);

impl Batch {
    /// Writes the sequences at `at`, as far as they lie within `dst`; returns the position after
    /// them.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn write(&self, dst: &mut [u8], mut at: usize) -> usize {
        for sequence in &self.sequences[..self.sequence_count] {
            let start = at + usize::from(sequence.literals);
            let end = start + sequence.length as usize;
            let is_near = sequence.source.distance as usize <= start;
            if end + SLACK <= dst.len() && sequence.source.span == 0 && is_near {
                // SAFETY: just checked: all of it, and SLACK bytes more, are within the output, and
                // so is the source.
                unsafe { write_wide(sequence, &self.literals, dst.as_mut_ptr().add(at)) };
            } else {
                let from = usize::from(sequence.first) % MAX_SYMBOLS;
                write_exact(sequence, &self.literals[from..], dst, at);
            }
            at = end;
        }
        at.min(dst.len())
    }
}

/// Writes an LZ sequence and some bytes more.
///
/// # Safety
/// The sequence's bytes and [`SLACK`] more may be written at `to`; if it is a match, its source
/// lies before its start and belongs to the same output.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn write_wide(sequence: &Sequence, literals: &[u8; MAX_SYMBOLS + LITERAL_RUN], to: *mut u8) {
    let run = usize::from(sequence.literals);
    let from = usize::from(sequence.first) % MAX_SYMBOLS;
    // SAFETY: behind MAX_SYMBOLS literals there are LITERAL_RUN bytes more.
    unsafe { copy::<LITERAL_RUN>(literals.as_ptr().add(from), to) };
    if run > LITERAL_RUN {
        let literals = &literals[from..][..run];
        // SAFETY: both have `run` bytes.
        unsafe { std::ptr::copy_nonoverlapping(literals.as_ptr(), to, run) };
    }
    let (length, distance) = (sequence.length as usize, sequence.source.distance as usize);
    // SAFETY: the source begins within the output; a copy starts within the match, whose end is
    // SLACK bytes before that of the output.
    unsafe {
        let to = to.add(run);
        let from = to.sub(distance);
        if distance < MATCH && distance < length {
            repeat(from, to, distance, length);
            return;
        }
        copy::<MATCH>(from, to);
        let mut copied = MATCH;
        while copied < length {
            copy::<MATCH>(from.add(copied), to.add(copied));
            copied += MATCH;
        }
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
