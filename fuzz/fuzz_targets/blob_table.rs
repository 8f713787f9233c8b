//! Blob tables: a byte of choices (version, part), a byte for the number of images, then any
//! bytes as the table. Headers of solid resources are read from the table itself.
#![cfg_attr(fuzzing, no_main)]

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    wim_format::testing::check::blob_table(input);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
