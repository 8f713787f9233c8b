//! Writing literals and matches with wide copies, some bytes more than asked for each time.
//!
//! What is too much lies ahead in the output and is overwritten by what follows, so a copy is one
//! load and one store and the length of most is never looked at. This is the one loop of the LZX
//! and XPRESS decoders that does without bounds checks: `far_from_end` has looked at all lengths of
//! the batch before, and only offsets are checked in the loop itself.
//!
//! Its careful twin is `Sequences::write_rest`.

use super::cpu::Stage;
use super::recent::Offsets;
use super::sequences::{LITERALS, MAX_LITERALS, ROUNDS, Sequences};
use crate::DecodeError;

/// Bytes at the end of the output, and of the literals, that wide copies keep away from.
pub(crate) const SLACK: usize = 64;
/// Literals copied at once, and bytes of a match that is longer than its offset.
pub(crate) const STRIDE: usize = 16;
/// Bytes of other matches copied at once.
const MATCH: usize = 2 * STRIDE;

// A run ends at most STRIDE bytes too far, a match MATCH bytes; both start within the batch's output.
const _: () = assert!(MATCH <= SLACK && MAX_LITERALS + SLACK <= LITERALS);

/// Writes the matches of a batch that are far from the end, and the literals before each.
pub(crate) struct Wide<'a, O> {
    pub(crate) sequences: &'a Sequences,
    /// The output, up to where the batch has to end.
    pub(crate) dst: &'a mut [u8],
    /// Where the batch starts in it.
    pub(crate) at: usize,
    pub(crate) offsets: &'a mut O,
}

impl<O: Offsets> Stage for Wide<'_, O> {
    /// The number of matches written and the end of the output so far.
    type Output = Result<(usize, usize), DecodeError>;

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<const MODERN: bool>(self) -> Self::Output {
        let room = self.dst.len() - self.at;
        let count = far_from_end(self.sequences, room);
        let at = if MODERN {
            // SAFETY: the processor is modern, and this is compiled for it.
            let mut offsets = unsafe { self.offsets.into_modern() };
            // SAFETY: see `far_from_end`.
            let at = unsafe { write(self.sequences, count, self.dst, self.at, &mut offsets) };
            *self.offsets = O::from_modern(offsets);
            at?
        } else {
            // SAFETY: see `far_from_end`.
            unsafe { write(self.sequences, count, self.dst, self.at, self.offsets) }?
        };
        Ok((count, at))
    }
}

/// How many of the matches may be written with wide copies to an output with `room` bytes left:
///
/// * their places among the literals ascend and are at most `MAX_LITERALS`,
/// * they and the literals before them take at most `room - SLACK` bytes.
#[inline(always)]
fn far_from_end(sequences: &Sequences, room: usize) -> usize {
    let count = sequences.matches.min(ROUNDS);
    let ends = &sequences.ends[..=count];
    let lengths = &sequences.lengths[..count];
    // Both loops become vectors, so they do not stop early.
    let ascending = ends.windows(2).fold(true, |so_far, two| so_far & (two[0] < two[1]));
    let sum: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    let literals = usize::from(ends[count]);
    let (Some(room), true) = (room.checked_sub(SLACK), ascending && literals <= MAX_LITERALS)
    else {
        return 0;
    };
    if sum + literals as u64 <= room as u64 {
        return count;
    }
    let mut used = 0u64;
    lengths
        .iter()
        .zip(ends)
        .enumerate()
        .position(|(i, (&length, &end))| {
            used += u64::from(length);
            // Each match before this one has a place among the literals, too.
            used + u64::from(end) - i as u64 > room as u64
        })
        .unwrap_or(count)
}

/// Writes the first `count` matches and the literals before each to `dst` from `at`; gives the end.
///
/// # Safety
/// `count` is at most what [`far_from_end`] gives for `dst.len() - at`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn write(
    sequences: &Sequences,
    count: usize,
    dst: &mut [u8],
    at: usize,
    offsets: &mut impl Offsets,
) -> Result<usize, DecodeError> {
    let Sequences { literals, ends, lengths, offsets: new, sources, .. } = sequences;
    let start = dst.as_mut_ptr();
    // A stride that the compiler does not know keeps it from unrolling the rare loops, and one for
    // all of them keeps registers free for what is not rare.
    let stride = std::hint::black_box(STRIDE);
    let mut literal = 0;
    // SAFETY: `at` is at most the length of `dst`.
    let mut to = unsafe { start.add(at) };
    for i in 0..count {
        // SAFETY: `count <= ROUNDS`.
        let (end, length, source, offset) = unsafe {
            (
                usize::from(*ends.get_unchecked(i)),
                *lengths.get_unchecked(i) as usize,
                *sources.get_unchecked(i),
                *new.get_unchecked(i),
            )
        };
        let run = end - literal;
        // SAFETY: `ends` ascends, so `literal <= end <= MAX_LITERALS`, and both slices have SLACK
        // bytes more than the run.
        unsafe {
            let from = literals.as_ptr().add(literal);
            copy::<STRIDE>(from, to);
            let mut copied = STRIDE;
            while copied < run {
                copy::<STRIDE>(from.add(copied), to.add(copied));
                copied += stride;
            }
            to = to.add(run);
        }
        literal = end + 1;
        let offset = offsets.next(source, offset) as usize;
        if offset > to as usize - start as usize {
            return Err(DecodeError::OffsetBeforeStart);
        }
        // SAFETY: there are `offset` bytes before `to`, and `dst` has SLACK bytes more than the
        // match.
        unsafe {
            if length > offset {
                repeat(to, offset, length, stride);
            } else {
                let from = to.sub(offset);
                copy::<MATCH>(from, to);
                let mut copied = MATCH;
                while copied < length {
                    copy::<MATCH>(from.add(copied), to.add(copied));
                    copied += 2 * stride;
                }
            }
            to = to.add(length);
        }
    }
    Ok(to as usize - start as usize)
}

/// Writes a match that is longer than its offset: the bytes before it, over and over. `stride` is
/// [`STRIDE`].
///
/// # Safety
/// There are `offset` bytes before `to`, and from it on `length + SLACK` bytes may be written.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) unsafe fn repeat(to: *mut u8, offset: usize, length: usize, stride: usize) {
    // SAFETY: every round starts less than `length` bytes after `to` and has at most 16 bytes. Eight
    // bytes may be read where the pattern starts, as they may be written from `to` on.
    unsafe {
        let from = to.sub(offset);
        let mut copied = 0;
        if let Some(pattern) = PATTERNS.get(offset) {
            let bytes = u64::from_le(from.cast::<u64>().read_unaligned()) & pattern.mask;
            let bytes = bytes.wrapping_mul(pattern.factor).to_le();
            while copied < length {
                to.add(copied).cast::<u64>().write_unaligned(bytes);
                copied += pattern.stride;
            }
        } else if offset < STRIDE {
            while copied < length {
                copy::<8>(from.add(copied), to.add(copied));
                copy::<8>(from.add(copied + 8), to.add(copied + 8));
                copied += stride;
            }
        } else {
            while copied < length {
                copy::<STRIDE>(from.add(copied), to.add(copied));
                copied += stride;
            }
        }
    }
}

/// How the bytes of a short offset are repeated.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    /// All bits of so many bytes.
    mask: u64,
    /// What repeats them when they are multiplied.
    factor: u64,
    /// How many bytes the whole repetitions have that fit into eight.
    stride: usize,
}

/// By offset. Zero is not an offset; nothing sensible comes of it, as with the careful twin.
static PATTERNS: [Pattern; 8] = {
    let mut patterns = [Pattern { mask: 0, factor: 0, stride: 8 }; 8];
    let mut offset = 1;
    while offset < 8 {
        let mut factor = 0;
        let mut bit = 0;
        while bit < 64 {
            factor |= 1 << bit;
            bit += 8 * offset;
        }
        let mask = (1 << (8 * offset)) - 1;
        patterns[offset] = Pattern { mask, factor, stride: 8 - 8 % offset };
        offset += 1;
    }
    patterns
};

/// Copies `N` bytes.
///
/// # Safety
/// `from` and `to` are valid for `N` bytes.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) unsafe fn copy<const N: usize>(from: *const u8, to: *mut u8) {
    // SAFETY: passed on to the caller; all are loaded before any is stored, so they may overlap.
    unsafe { to.cast::<[u8; N]>().write_unaligned(from.cast::<[u8; N]>().read_unaligned()) }
}
