//! The last stage: writing the output.
//!
//! Far from the end of the output, a copy takes more bytes than asked for: what is too much is
//! overwritten by what follows. Most runs of literals and most matches are then one load and one
//! store. What each item asks for is checked here, whoever made it.

use super::batch::{Batch, Item, LITERAL_RUN, Literals, MAX_ITEMS, MAX_LITERALS, Source};
use crate::codec::copy::{STRIDE, copy, repeat};

/// Bytes of a match copied at once.
const MATCH: usize = 32;
/// Bytes at the end of the output that wide copies keep away from.
const SLACK: usize = 64;

const _: () = assert!(LITERAL_RUN <= SLACK && MATCH <= SLACK);

impl Batch {
    /// Writes the items at `at`, as far as they lie within `dst`; returns the position after them.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn write(&self, dst: &mut [u8], mut at: usize) -> usize {
        let mut literals = 0;
        for item in &self.items[..self.count.min(MAX_ITEMS)] {
            let run = item.literals as usize;
            let start = at + run;
            let end = start + item.length as usize;
            let is_near = item.source.distance as usize <= start;
            if end + SLACK <= dst.len() && item.source.span == 0 && is_near {
                // SAFETY: just checked: all of it, and SLACK bytes more, are within the output, and
                // so is the source.
                unsafe {
                    let to = dst.as_mut_ptr().add(at);
                    write_literals(&self.literals, literals % MAX_LITERALS, to, run);
                    write_match(to.add(run), item);
                }
            } else {
                write_exact(item, &self.literals[literals..], dst, at);
            }
            literals += run;
            at = end;
        }
        at
    }
}

/// Writes `run` of the literals from number `first` on, and some bytes more.
///
/// # Safety
/// `run` bytes and [`SLACK`] more may be written at `to`; `first` is below [`MAX_LITERALS`].
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn write_literals(literals: &Literals, first: usize, to: *mut u8, run: usize) {
    // SAFETY: behind MAX_LITERALS literals there are LITERAL_RUN bytes more.
    unsafe { copy::<LITERAL_RUN>(literals.as_ptr().add(first), to) };
    if run > LITERAL_RUN {
        let literals = &literals[first..][..run];
        // SAFETY: both have `run` bytes.
        unsafe { std::ptr::copy_nonoverlapping(literals.as_ptr(), to, run) };
    }
}

/// Writes an LZ match and some bytes more.
///
/// # Safety
/// The match's bytes and [`SLACK`] more may be written at `to`, and the output has as many bytes
/// before it as the source is away.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn write_match(to: *mut u8, item: &Item) {
    let (length, distance) = (item.length as usize, item.source.distance as usize);
    // SAFETY: passed on to the caller; a copy starts within the match.
    unsafe {
        let from = to.sub(distance);
        if distance < MATCH && distance < length {
            repeat(to, distance, length, STRIDE);
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

/// Writes one item without touching what comes after it.
#[cold]
#[inline(never)]
fn write_exact(item: &Item, literals: &[u8], dst: &mut [u8], at: usize) {
    let run = item.literals as usize;
    dst[at..at + run].copy_from_slice(&literals[..run]);
    let (at, length) = (at + run, item.length as usize);
    let Source { distance, span } = item.source;
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
