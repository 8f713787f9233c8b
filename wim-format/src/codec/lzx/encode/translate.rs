//! Translates x86 calls, so that calls to one place look alike.

/// The file size that WIM's LZX assumes.
const FILE_SIZE: i32 = 12_000_000;
/// A call that starts within this many bytes of the chunk's end is left alone.
const TAIL: usize = 10;
/// The byte that starts a call.
const CALL: u8 = 0xE8;
/// Bytes of a call.
const CALL_LEN: usize = 5;
/// Bytes that are looked at in one go.
const BLOCK: usize = 32;

/// Replaces the relative target of each call by an absolute one.
pub(super) fn translate(chunk: &mut [u8]) {
    let end = chunk.len().saturating_sub(TAIL);
    let mut at = 0;
    while at < end {
        if chunk[at..end].first_chunk::<BLOCK>().is_some_and(|block| !has_call(block)) {
            at += BLOCK;
        } else if chunk[at] == CALL {
            translate_call(chunk, at);
            at += CALL_LEN;
        } else {
            let block = &chunk[at..end.min(at + BLOCK)];
            at += block.iter().position(|&byte| byte == CALL).unwrap_or(block.len());
        }
    }
}

/// Whether a call starts in `block`, found without a branch for each byte.
fn has_call(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |found, &byte| found | (byte == CALL))
}

fn translate_call(chunk: &mut [u8], at: usize) {
    let Some(operand) = chunk.get_mut(at + 1..).and_then(|rest| rest.first_chunk_mut::<4>()) else {
        return;
    };
    let relative = i32::from_le_bytes(*operand);
    // Chunks are at most 2 MiB, so positions fit.
    let position = at as i32;
    if relative < -position || relative >= FILE_SIZE {
        return;
    }
    let absolute =
        if relative < FILE_SIZE - position { relative + position } else { relative - FILE_SIZE };
    *operand = absolute.to_le_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::cpu::Cpu;
    use crate::codec::e8::Undo;
    use crate::testing::streams::lzx::translate_calls;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn calls_are_translated_and_come_back(
            chunk in prop::collection::vec(prop_oneof![
                2 => Just(CALL), 5 => Just(0), 2 => Just(0xFF), 1 => any::<u8>()
            ], 0..300)
        ) {
            let mut translated = chunk.clone();
            translate(&mut translated);
            let mut expected = chunk.clone();
            translate_calls(&mut expected);
            prop_assert_eq!(&translated, &expected);
            Cpu::PORTABLE.run(Undo { chunk: &mut translated });
            prop_assert_eq!(&translated, &chunk);
        }
    }
}
