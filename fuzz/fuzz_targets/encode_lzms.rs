//! LZMS, there and back: two bytes of choices, then any bytes as two chunks.
#![cfg_attr(fuzzing, no_main)]

use wim_format::Codec;
use wim_format::testing::check;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    check::encoded_chunks(Codec::Lzms, &[1 << 15, 1 << 16, 1 << 17], input);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
