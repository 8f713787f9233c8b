//! Undoing LZX's translation of x86 calls.
//!
//! Before it compresses a chunk, an LZX encoder replaces the relative target after each byte 0xE8
//! by an absolute one, so that calls to one place look alike. WIM does it in every chunk, with
//! positions counted from the chunk's start and an assumed file size of 12,000,000 bytes.

/// The file size that WIM's LZX assumes.
const FILE_SIZE: i32 = 12_000_000;
/// A call that starts within this many bytes of the chunk's end is left alone.
const TAIL: usize = 10;

/// Undoes the translation in one whole decoded chunk.
pub(crate) fn undo(chunk: &mut [u8]) {
    let end = chunk.len().saturating_sub(TAIL);
    let mut at = 0;
    while let Some(found) = chunk.get(at..end).and_then(|rest| rest.iter().position(|&b| b == 0xE8))
    {
        at += found;
        undo_call(chunk, at);
        at += 5;
    }
}

/// Undoes the translation of the call at `at`, which is at least `TAIL` bytes before the end.
fn undo_call(chunk: &mut [u8], at: usize) {
    let Some(operand) = chunk.get_mut(at + 1..).and_then(|rest| rest.first_chunk_mut::<4>()) else {
        return;
    };
    let absolute = i32::from_le_bytes(*operand);
    // Chunks are at most 2 MiB, so positions fit.
    let position = at as i32;
    let relative = match absolute {
        0..FILE_SIZE => absolute - position,
        _ if absolute < 0 && absolute >= -position => absolute + FILE_SIZE,
        _ => return,
    };
    *operand = relative.to_le_bytes();
}
