//! UDF file systems: any blocks, listed and read.
//!
//! An input is a list of blocks: number (2 bytes), length (2 bytes), then that many bytes; what is not
//! given is zero. Checksums of descriptors are made right first, or no mutation would get past them.
//! `fuzz/seeds.py` turns real images into this form.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use wim_extract::source::MemorySource;
use wim_extract::source::udf::{EntryKind, Iso};

const BLOCK: usize = 2048;

/// Images are at most this long; an anchor stands at block 256.
const BLOCKS: usize = 600;

/// Tags of file identifiers, several of which share a block.
const FILE_IDENTIFIER: u16 = 257;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let source = Arc::new(MemorySource::new(image(input), "input"));
    let Ok(iso) = Iso::from_source(source) else { return };
    let Ok(entries) = iso.entries() else { return };
    for entry in entries.iter().take(50) {
        let found = iso.find(&entry.path).expect("what was listed can be found");
        assert!(found.is_some(), "{} is listed but not found", entry.path);
        let Ok(file) = iso.source(entry) else { continue };
        assert_eq!(entry.kind, EntryKind::File);
        assert_eq!(file.len(), entry.size);
        let start = file.len().min(9999) as usize;
        let _ = file.bytes(0, start);
        let _ = file.bytes(file.len() - start as u64, start);
    }
}

/// The image that the input describes.
fn image(mut input: &[u8]) -> Vec<u8> {
    let mut image = Vec::new();
    while let [n0, n1, l0, l1, rest @ ..] = input {
        let number = usize::from(u16::from_le_bytes([*n0, *n1])) % BLOCKS;
        let len = usize::from(u16::from_le_bytes([*l0, *l1])).min(rest.len()).min(BLOCK);
        let (bytes, next) = rest.split_at(len);
        let start = number * BLOCK;
        if image.len() < start + BLOCK {
            image.resize(start + BLOCK, 0);
        }
        let block = &mut image[start..start + BLOCK];
        block[..len].copy_from_slice(bytes);
        seal_all(block);
        input = next;
    }
    image
}

/// Makes the checksums of the block's descriptors right.
fn seal_all(block: &mut [u8]) {
    let mut at = 0;
    loop {
        let descriptor = &mut block[at..];
        if descriptor.len() < 38 {
            return;
        }
        seal(descriptor);
        if u16::from_le_bytes([descriptor[0], descriptor[1]]) != FILE_IDENTIFIER {
            return;
        }
        let name = usize::from(descriptor[19]);
        let use_len = usize::from(u16::from_le_bytes([descriptor[36], descriptor[37]]));
        at += (38 + name + use_len).next_multiple_of(4);
        if at >= BLOCK {
            return;
        }
    }
}

/// Computes CRC and tag checksum of one descriptor.
fn seal(descriptor: &mut [u8]) {
    let covered = usize::from(u16::from_le_bytes([descriptor[10], descriptor[11]]));
    if let Some(bytes) = descriptor.get(16..16 + covered) {
        let crc = bytes.iter().fold(0u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            })
        });
        descriptor[8..10].copy_from_slice(&crc.to_le_bytes());
    }
    descriptor[4] = 0;
    descriptor[4] = descriptor[..16].iter().fold(0, |sum, byte| sum.wrapping_add(*byte));
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
