//! Chunk tables of all kinds: a byte of choices (kind, chunk size), a resource header of 24
//! bytes, then any bytes as the table.
#![cfg_attr(fuzzing, no_main)]

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    wim_format::testing::check::chunk_table(input);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
