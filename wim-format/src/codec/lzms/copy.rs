//! Copies of literals and of LZ and delta matches to the output.

/// Bytes copied at once. Where the output has at least [`SLACK`] bytes left after a copy, it may
/// write beyond its end; what comes after overwrites them.
const WIDE: usize = 16;
/// Bytes after a sequence that the fast copies may overwrite.
pub(super) const SLACK: usize = WIDE;

/// Copies the first `length` bytes of `literals` to `at`. Needs [`SLACK`] in both.
#[inline(always)]
pub(super) fn literals_fast(dst: &mut [u8], at: usize, literals: &[u8], length: usize) {
    let to = &mut dst[at..at + length + WIDE];
    let from = &literals[..length + WIDE];
    to[..WIDE].copy_from_slice(&from[..WIDE]);
    let mut done = WIDE;
    while done < length {
        to[done..done + WIDE].copy_from_slice(&from[done..done + WIDE]);
        done += WIDE;
    }
}

/// Like [`lz`]; needs [`SLACK`] after the match.
#[inline(always)]
pub(super) fn lz_fast(dst: &mut [u8], at: usize, distance: usize, length: usize) {
    let window = &mut dst[at - distance..at + length + WIDE];
    let end = distance + length;
    let mut done = distance;
    // While the pattern is shorter than a wide copy, each copy doubles it.
    while done < WIDE.min(end) {
        wide(window, 0, done);
        done *= 2;
    }
    let pattern = done;
    while done < end {
        wide(window, done - pattern, done);
        done += WIDE;
    }
}

/// Copies [`WIDE`] bytes, all read before any is written.
#[inline(always)]
fn wide(window: &mut [u8], from: usize, to: usize) {
    let mut bytes = [0; WIDE];
    bytes.copy_from_slice(&window[from..from + WIDE]);
    window[to..to + WIDE].copy_from_slice(&bytes);
}

/// Copies `length` bytes from `distance` (1 to `at`) before `at`; source and destination may
/// overlap, so that a short distance repeats a pattern.
pub(super) fn lz(dst: &mut [u8], at: usize, distance: usize, length: usize) {
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
pub(super) fn delta(dst: &mut [u8], at: usize, span: usize, distance: usize, length: usize) {
    let window = &mut dst[at - distance - span..at + length];
    for i in distance + span..window.len() {
        window[i] = window[i - span]
            .wrapping_add(window[i - distance])
            .wrapping_sub(window[i - distance - span]);
    }
}
