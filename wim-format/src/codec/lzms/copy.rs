//! Copies of LZ and delta matches within the output.

/// Copies `length` bytes from `distance` (1 to `at`) before `at`; source and destination may
/// overlap, so that a short distance repeats a pattern.
#[inline(always)]
pub(super) fn lz(dst: &mut [u8], at: usize, distance: usize, length: usize) {
    let from = at - distance;
    if distance >= length {
        dst.copy_within(from..from + length, at);
        return;
    }
    if distance == 1 {
        let byte = dst[from];
        dst[at..at + length].fill(byte);
        return;
    }
    // Each round doubles the repeated pattern that can be copied at once.
    let mut done = 0;
    while done < length {
        let span = (distance + done).min(length - done);
        dst.copy_within(from..from + span, at + done);
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
