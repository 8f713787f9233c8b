//! Capturing trees.

use std::collections::BTreeMap;
use std::fs;

use wim_extract::capture::{self, SourceTree};
use wim_extract::export::Compression;
use wim_extract::hash::sha1;
use wim_extract::pipeline::Threads;
use wim_extract::{Cancel, Silent};
use wim_format::Sha1Hash;

use crate::samples;

/// Bytes that no two files have in common.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut bytes = Vec::with_capacity(len + 4);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Large files are read side by side where nothing is compressed. Two of them have one length, two are
/// the same file, and small ones stand between them.
#[test]
fn large_files_that_are_stored_as_they_are() {
    const MIB: usize = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("tree");
    fs::create_dir(&source).unwrap();
    let lengths =
        [9 * MIB, 8 * MIB + 1, 100, 17 * MIB + 77, 70_000, 11 * MIB, 11 * MIB, 8 * MIB, 9000];
    let mut expected = BTreeMap::new();
    for (number, len) in (0..).zip(lengths) {
        let bytes = noise(len, number);
        fs::write(source.join(format!("{number}")), &bytes).unwrap();
        if number == 3 {
            fs::write(source.join("5a"), &bytes).unwrap();
        }
        expected.insert(sha1(&bytes), bytes.len() as u64);
    }
    let written = [1, 2, 5].map(|threads| {
        let to = dir.path().join("to.wim");
        let options = capture::Options {
            threads: Threads::new(threads),
            compression: Some(Compression::Stored),
            guid: Some([1; 16]),
            ..Default::default()
        };
        let sources = [SourceTree::root(source.clone())];
        capture::run(&sources, &to, &options, &Silent, &Cancel::new()).unwrap();
        let wim = samples::open_file(&to);
        let found = samples::verify(&wim, 2);
        assert!(found.is_sound(), "{:?}", found.problems);
        let blobs: BTreeMap<Sha1Hash, u64> =
            wim.blobs().map(|(_, blob)| (blob.hash, blob.size)).collect();
        assert_eq!(blobs, expected);
        let blobs: Vec<_> = wim.blobs().map(|(_, blob)| *blob).collect();
        blobs
    });
    assert!(written.iter().all(|blobs| *blobs == written[0]), "threads make no difference");
}
