//! Damaged and malicious archives: an error or a warning, never a panic, a hang, or memory without
//! bound.

use std::sync::Arc;

use wim_extract::archive::Wim;
use wim_extract::export::{self, Compression, Options};
use wim_extract::source::MemorySource;
use wim_extract::verify::Outcome;
use wim_extract::{Cancel, Error};
use wim_format::Codec;
use wim_format::header::{HeaderFlags, Version};
use wim_format::testing::{Chunks, TinyWim};

use crate::samples;

/// Opens, verifies, and lays out an export of everything.
fn try_all(bytes: &[u8]) -> Result<Outcome, Error> {
    let source = MemorySource::new(bytes.to_vec(), "hostile");
    let wim = Wim::from_source(Arc::new(source), [])?;
    let outcome = samples::verify(&wim, 1);
    let images: Vec<_> = wim.images().collect();
    for compression in [Compression::AsSource, Compression::Stored] {
        let options = Options { compression, guid: Some([0; 16]), ..Options::default() };
        let Ok(plan) = export::plan(&wim, &images, &options, &Cancel::new()) else { continue };
        if let Ok(view) = plan.source("view", &Cancel::new())
            && view.len() < 10 * bytes.len() as u64 + 10_000
        {
            let copied = view.bytes(0, view.len() as usize).unwrap();
            let copy = Wim::from_source(Arc::new(MemorySource::new(copied, "copy")), []);
            let copy = copy.expect("what we write we can open");
            if outcome.is_sound() {
                assert!(samples::verify(&copy, 1).is_sound());
            }
        }
    }
    Ok(outcome)
}

#[test]
fn every_truncation_is_an_error() {
    for name in samples::WHOLE {
        let bytes = samples::bytes(name);
        let step = (bytes.len() / 2000).max(1);
        for len in (0..bytes.len()).step_by(step).chain(bytes.len() - 300..bytes.len()) {
            match try_all(&bytes[..len]) {
                Err(error) => assert_ne!(error.code(), 0),
                // The integrity table is the last thing in a file, which can be read without it.
                Ok(outcome) => {
                    assert_eq!(outcome.code(), 65, "{name} cut to {len} is taken for whole");
                    assert_eq!(outcome.problems.len(), 1, "{name} cut to {len}");
                }
            }
        }
    }
}

/// Flips bits of every byte; gives how many of the flips were noticed.
fn flip_each(bytes: &[u8], mask: impl Fn(usize) -> u8) -> usize {
    let mut noticed = 0;
    let mut flipped = bytes.to_vec();
    for at in 0..bytes.len() {
        flipped[at] ^= mask(at);
        match try_all(&flipped) {
            Err(error) => {
                assert_ne!(error.code(), 0, "{error}");
                noticed += 1;
            }
            Ok(outcome) => noticed += usize::from(!outcome.is_sound()),
        }
        flipped[at] = bytes[at];
    }
    noticed
}

#[test]
fn every_flipped_byte_is_an_error_a_warning_or_no_matter() {
    for name in ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim"] {
        let bytes = samples::bytes(name);
        let noticed = flip_each(&bytes, |at| if at % 2 == 0 { 0xff } else { 1 << (at / 2 % 8) });
        // What may change unnoticed: GUID, unused fields, reference counts, texts in the XML.
        let tables = 208 + bytes.len() - samples::open(name).header().blob_table.offset as usize;
        assert!(noticed + tables > bytes.len(), "{name}: {noticed} of {}", bytes.len());
    }
    // Of a pipable archive also what only a reader of pipes reads: first header, first XML, heads.
    let noticed = flip_each(&samples::bytes("v4.wim"), |_| 0xff);
    assert!(noticed > 3000 + 800, "{noticed}: its data and tables have so many bytes");
}

#[test]
fn data_is_never_changed_unnoticed() {
    for name in ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim"] {
        let bytes = samples::bytes(name);
        let end = samples::open(name).header().blob_table.offset as usize;
        for at in 208..end {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            if let Ok(outcome) = try_all(&flipped) {
                // LZX and the like have bits that do not matter: alignment, unused symbols.
                let wim = samples::open_bytes(flipped);
                assert!(!outcome.is_sound() || same_contents(&wim, name), "{name} at {at}");
            }
        }
    }
}

fn same_contents(wim: &Wim, name: &str) -> bool {
    let original = samples::open(name);
    wim.blobs().map(|(_, blob)| blob.hash).eq(original.blobs().map(|(_, blob)| blob.hash))
}

#[test]
fn sizes_beyond_the_file_are_refused() {
    let blob = samples::noise(100, 1);
    let mut tiny = TinyWim::new(Some(Codec::Lzx), 32768);
    tiny.blob(&blob, Chunks::Raw);
    tiny.image("one", samples::image_of([&blob]), Chunks::Stored);
    for size in [1 << 20, 1 << 40, (1 << 56) - 1, u64::MAX] {
        for field in [0, 8, 16] {
            let bytes = tiny.build_with(|draft| {
                // The blob's entry is the second: size and flags, offset, uncompressed size.
                let at = 50 + field;
                let width = if field == 0 { 7 } else { 8 };
                draft.blob_table[at..at + width].copy_from_slice(&size.to_le_bytes()[..width]);
            });
            if let Ok(outcome) = try_all(&bytes) {
                assert!(!outcome.is_sound());
                let wim = samples::open_bytes(bytes);
                assert!(!samples::verify(&wim, 3).is_sound(), "several threads find it too");
            }
        }
    }
}

#[test]
fn metadata_that_unpacks_to_far_too_much_is_refused() {
    let mut tiny = TinyWim::new(Some(Codec::Lzx), 32768);
    tiny.image("one", samples::image_of([]), Chunks::Raw);
    let bytes = tiny.build_with(|draft| {
        draft.blob_table[16..24].copy_from_slice(&(1u64 << 33).to_le_bytes());
    });
    let outcome = try_all(&bytes).unwrap();
    assert_eq!(outcome.problems.len(), 1);
    assert!(outcome.problems[0].to_string().contains("512 times"), "{}", outcome.problems[0]);
}

#[test]
fn solid_headers_that_lie() {
    let blobs: Vec<_> = (1..4).map(|seed| samples::noise(1000, seed)).collect();
    let build = || {
        let mut tiny = TinyWim::new(Some(Codec::Lzms), 131_072);
        let data: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        tiny.solid(Some(Codec::Lzms), 32768, &data, None);
        tiny.image("one", samples::image_of(&blobs), Chunks::Stored);
        tiny
    };
    assert!(try_all(&build().build()).unwrap().is_sound());
    // Uncompressed size, chunk size, format, size of the first chunk.
    let lies: [(usize, &[u8]); 7] = [
        (0, &[0xff; 8]),
        (0, &[0; 8]),
        (0, &(1u64 << 40).to_le_bytes()),
        (8, &(1u32 << 30).to_le_bytes()),
        (8, &[0; 4]),
        (12, &9u32.to_le_bytes()),
        (16, &[0xff; 4]),
    ];
    for (at, lie) in lies {
        let mut bytes = build().build();
        bytes[208 + at..208 + at + lie.len()].copy_from_slice(lie);
        if let Ok(outcome) = try_all(&bytes) {
            // A larger chunk size is no lie where everything is in one chunk.
            assert!(!outcome.is_sound() || at == 8, "{at}: {lie:?}");
            let wim = samples::open_bytes(bytes);
            assert_eq!(samples::verify(&wim, 3).code(), outcome.code());
        }
    }
}

#[test]
fn blobs_that_overlap_in_a_solid_resource_are_damaged() {
    let blobs: Vec<_> = (1..4).map(|seed| samples::noise(1000, seed)).collect();
    let mut tiny = TinyWim::new(Some(Codec::Lzms), 131_072);
    let data: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    tiny.solid(Some(Codec::Lzms), 32768, &data, None);
    tiny.image("one", samples::image_of(&blobs), Chunks::Stored);
    let bytes = tiny.build_with(|draft| {
        // Entries: metadata, solid resource, then the blobs. The second blob moves into the first.
        let offset = 3 * 50 + 8;
        draft.blob_table[offset..offset + 8].copy_from_slice(&500u64.to_le_bytes());
    });
    let outcome = try_all(&bytes).unwrap();
    assert_eq!(outcome.problems.len(), 1);
    assert_eq!(outcome.code(), 20);
    assert!(outcome.problems[0].to_string().contains("overlaps"), "{}", outcome.problems[0]);
}

#[test]
fn compressed_data_without_a_codec_is_damaged() {
    let blob = samples::noise(40_000, 1);
    let mut tiny = TinyWim::new(Some(Codec::Lzx), 32768);
    tiny.blob(&blob, Chunks::Raw);
    tiny.image("one", samples::image_of([&blob]), Chunks::Stored);
    let bytes = tiny.build_with(|draft| {
        draft.header.flags = HeaderFlags::empty();
        draft.header.chunk_size = 0;
        draft.header.version = Version::Normal;
    });
    assert!(!try_all(&bytes).unwrap().is_sound());
}

#[test]
fn what_is_no_archive_is_told() {
    for (bytes, code) in
        [(&b""[..], 65), (b"MSWIM\0\0\0", 65), (&[b'x'; 4000], 43), (b"<html>not found</html>", 65)]
    {
        let error = try_all(bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with("hostile: "), "{error}");
    }
}
