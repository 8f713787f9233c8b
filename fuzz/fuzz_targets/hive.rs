//! Registry hives: any bytes. A walk of keys that go round in circles must end.
#![cfg_attr(fuzzing, no_main)]

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    wim_format::testing::check::hive(input);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
