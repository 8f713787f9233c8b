//! Metadata resources: any bytes. What parses must be the same when written and read again.
#![cfg_attr(fuzzing, no_main)]

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    wim_format::testing::check::metadata(input);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
