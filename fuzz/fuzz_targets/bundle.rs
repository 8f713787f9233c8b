//! A bundle of any bytes: header and frames; or the index that is signed in it. Checksums are made right
//! first: they are no obstacle to whoever forges one.
#![cfg_attr(fuzzing, no_main)]

use std::io::Cursor;

use osupg::bundle::cipher::Cipher;
use osupg::bundle::frame::{FrameReader, HEAD, Kind, MAX_BODY};
use osupg::bundle::header;
use osupg::bundle::index::Index;
use osupg::trust::Envelope;

/// CRC-32 as in zip files.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// Makes the checksums of the header and of every frame right.
fn mend(bundle: &mut [u8]) {
    let Some((header, mut frames)) = bundle.split_at_mut_checked(header::SIZE) else { return };
    let (start, crc) = header.split_at_mut(header::SIZE - 4);
    crc.copy_from_slice(&crc32(start).to_le_bytes());
    while frames.len() >= HEAD {
        let length = u32::from_le_bytes([frames[4], frames[5], frames[6], frames[7]]) as usize;
        let Some((frame, rest)) = frames.split_at_mut_checked(HEAD + length) else { return };
        let checked = [&frame[..8], &frame[HEAD..]].concat();
        frame[8..HEAD].copy_from_slice(&crc32(&checked).to_le_bytes());
        frames = rest;
    }
}

/// An index that is read can be written, and is then the same.
fn read_index(bytes: &[u8]) {
    let Ok(index) = Index::read(bytes, None) else { return };
    let written = index.to_bytes().expect("what was read can be written");
    let again = Index::read(&written, None).expect("what was written can be read");
    assert_eq!(index.pieces, again.pieces);
    assert_eq!(index.documents, again.documents);
    let _ = (index.size(), index.size_in_file(true), index.size_in_file(false));
}

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    read_index(input);
    let mut bundle = input.to_vec();
    mend(&mut bundle);
    let mut from = &bundle[..];
    if header::read(&mut from).is_err() {
        return;
    }
    let mut frames = FrameReader::new(Cursor::new(from), Cipher::none());
    let (mut index, mut passed) = (Vec::new(), 0);
    while let Ok((kind, content)) = frames.read() {
        assert!(content.len() <= MAX_BODY);
        passed += HEAD + content.len();
        assert!(passed <= from.len(), "no more is given than there is");
        if kind == Kind::Index && index.len() <= MAX_BODY {
            index.extend_from_slice(&content);
        }
    }
    if let Some(json) = index.get(8..) {
        let _ = Envelope::from_json(json);
    }
    // Whatever an index announces, nothing is allocated for it that is not there.
    for size in [0, 1, u64::MAX / 2, u64::MAX] {
        let mut frames = FrameReader::new(Cursor::new(from), Cipher::none());
        let _ = frames.skip(size);
        let _ = frames.read();
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
