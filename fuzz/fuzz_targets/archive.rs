//! A whole archive of any bytes: opened, every image's metadata read, every blob decoded and hashed.
//!
//! The tables of a WIM are stored plainly or compressed, and the hashes of blobs are only compared
//! after decoding, so no checksum keeps the fuzzer out of the depths.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use wim_extract::archive::{Integrity, Wim};
use wim_extract::pipeline::Threads;
use wim_extract::source::MemorySource;
use wim_extract::{Cancel, Silent, verify};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let source = Arc::new(MemorySource::new(input.to_vec(), "input"));
    let Ok(wim) = Wim::from_source(source, []) else { return };
    for image in wim.images() {
        let Ok(tree) = wim.metadata(image) else { continue };
        let links = tree.hard_links();
        for id in tree.ids() {
            let path = tree.path(id);
            assert!(path.first() == Some(&b'/'), "a path begins at the root");
            assert!(links.first(id) <= id, "a file's first name is no later than the others");
        }
    }
    let options = verify::Options { threads: Threads::new(1), integrity: Integrity::Check };
    let outcome = verify::run(&wim, &options, &Silent, &Cancel::new()).expect("not cancelled");
    assert_eq!(outcome.is_sound(), outcome.code() == 0);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
