//! LZX's translation of x86 calls.
//!
//! Before it compresses a chunk, an LZX encoder replaces the relative target after each byte 0xE8
//! by an absolute one, so that calls to one place look alike. WIM does it in every chunk, with
//! positions counted from the chunk's start and an assumed file size of 12,000,000 bytes.

use super::cpu::Stage;
use std::hint::select_unpredictable;

/// The file size that WIM's LZX assumes.
const FILE_SIZE: i32 = 12_000_000;
/// A call that starts within this many bytes of the chunk's end is left alone.
const TAIL: usize = 10;
/// The byte that starts a call.
const CALL: u8 = 0xE8;
/// Bytes of a call, which hold no other.
const CALL_LEN: usize = 5;
/// Bytes that are looked at in one go.
const BLOCK: usize = 32;

/// Replaces the relative target of each call in a chunk by an absolute one.
pub(crate) struct Translate<'a> {
    pub(crate) chunk: &'a mut [u8],
}

impl Stage for Translate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        each_call::<MODERN>(self.chunk, absolute);
    }
}

/// Undoes the translation in one whole decoded chunk.
pub(crate) struct Undo<'a> {
    pub(crate) chunk: &'a mut [u8],
}

impl Stage for Undo<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        each_call::<MODERN>(self.chunk, relative);
    }
}

/// Replaces the target of each call by what `other` makes of it and the call's position.
#[inline(always)]
fn each_call<const MODERN: bool>(chunk: &mut [u8], other: impl Fn(i32, i32) -> i32) {
    // Chunks are at most 2 MiB, so positions fit.
    let replace = |chunk: &mut [u8], at: usize| {
        let operand = chunk.get_mut(at + 1..).and_then(|rest| rest.first_chunk_mut::<4>());
        if let Some(operand) = operand {
            *operand = other(i32::from_le_bytes(*operand), at as i32).to_le_bytes();
        }
    };
    let end = chunk.len().saturating_sub(TAIL);
    let mut at = 0;
    while let Some(block) = chunk.get(at..end).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let mut calls = calls_in::<MODERN>(block);
        let mut next = at + BLOCK;
        while calls != 0 {
            let call = calls.trailing_zeros() as usize;
            replace(chunk, at + call);
            next = next.max(at + call + CALL_LEN);
            // What the call's operand holds is no call.
            calls &= u32::MAX.checked_shl((call + CALL_LEN) as u32).unwrap_or(0);
        }
        at = next;
    }
    while at < end {
        if chunk[at] == CALL {
            replace(chunk, at);
            at += CALL_LEN;
        } else {
            at += 1;
        }
    }
}

/// The bytes of `block` that start a call, as bits.
#[inline(always)]
#[allow(unsafe_code)]
fn calls_in<const MODERN: bool>(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if MODERN {
        use std::arch::x86_64::{
            _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
        };
        // SAFETY: `MODERN` says that this runs where AVX2 is; the load is of all of `block`.
        return unsafe {
            let bytes = _mm256_loadu_si256(block.as_ptr().cast());
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(CALL as i8))) as u32
        };
    }
    if !block.contains(&CALL) {
        return 0;
    }
    block.iter().rev().fold(0, |calls, &byte| calls << 1 | u32::from(byte == CALL))
}

// Half of what looks like a call is none, so nothing here is a branch.

/// The target as it is coded.
#[inline(always)]
fn absolute(relative: i32, position: i32) -> i32 {
    let is_coded = (-position..FILE_SIZE).contains(&relative);
    let is_near = relative < FILE_SIZE - position;
    let moved = select_unpredictable(is_near, position, -FILE_SIZE);
    relative.wrapping_add(select_unpredictable(is_coded, moved, 0))
}

/// The target as it was.
#[inline(always)]
fn relative(absolute: i32, position: i32) -> i32 {
    // Where the first sum overflows it is not taken, and nor is the second.
    let backward = absolute.wrapping_add(FILE_SIZE);
    let forward = absolute.wrapping_sub(position);
    let is_backward = (-position..0).contains(&absolute);
    let is_forward = (0..FILE_SIZE).contains(&absolute);
    let relative = select_unpredictable(is_backward, backward, absolute);
    select_unpredictable(is_forward, forward, relative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::cpu::Cpu;
    use crate::testing::streams::lzx::translate_calls;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => Just(CALL), 5 => Just(0), 2 => Just(0xFF), 1 => any::<u8>()];
        prop::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn calls_are_translated_and_come_back(
            chunk in bytes()
        ) {
            let mut expected = chunk.clone();
            translate_calls(&mut expected);
            for cpu in Cpu::choices() {
                let mut translated = chunk.clone();
                cpu.run(Translate { chunk: &mut translated });
                prop_assert_eq!(&translated, &expected);
                cpu.run(Undo { chunk: &mut translated });
                prop_assert_eq!(&translated, &chunk);
            }
        }

        #[test]
        fn what_nobody_translated_is_undone_in_one_way(chunk in bytes()) {
            let mut expected = chunk.clone();
            let mut at = 0;
            while at + TAIL < chunk.len() {
                if expected[at] == CALL {
                    let operand = expected[at + 1..].first_chunk_mut::<4>().expect("a tail");
                    *operand = relative(i32::from_le_bytes(*operand), at as i32).to_le_bytes();
                    at += 4;
                }
                at += 1;
            }
            for cpu in Cpu::choices() {
                let mut chunk = chunk.clone();
                cpu.run(Undo { chunk: &mut chunk });
                prop_assert_eq!(&chunk, &expected);
            }
        }
    }
}
