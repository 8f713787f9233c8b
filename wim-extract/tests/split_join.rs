//! Splitting and joining: what the parts hold, and what parts that lie do.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use support::{Heard, Image, ROOT, noise};
use wim_extract::archive::{OpenOptions, Wim};
use wim_extract::export::IntegrityTable;
use wim_extract::source::{MemorySource, Source};
use wim_extract::{Cancel, Error, Silent, join, split, verify};
use wim_format::testing::{Chunks, TinyWim};
use wim_format::{Codec, Sha1Hash};

const SIZES: [usize; 6] = [3000, 70_000, 11, 5000, 40_000, 900];

/// One image with a file of each of [`SIZES`].
fn sample(wim: TinyWim, chunks: &Chunks) -> Vec<u8> {
    let mut image = Image::new(wim);
    for (seed, &size) in SIZES.iter().enumerate() {
        let data = noise(size, seed as u32 + 1);
        let hash = image.wim.blob(&data, chunks.clone());
        let inode = wim_format::metadata::Inode::file(hash);
        image.tree.add(ROOT, format!("{seed}").as_str(), inode).unwrap();
    }
    image.bytes()
}

fn split_at(bytes: Vec<u8>, first: &Path, size: u64) -> Result<split::Outcome, Error> {
    let options = split::Options { guid: Some([7; 16]), ..Default::default() };
    split::run(&support::open(bytes), first, size, &options, &Silent, &Cancel::new())
}

fn sources(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<Arc<dyn Source>> {
    let named = (1..).zip(parts).map(|(number, bytes)| -> Arc<dyn Source> {
        Arc::new(MemorySource::new(bytes, format!("given{number}.swm")))
    });
    named.collect()
}

fn read(outcome: &split::Outcome) -> Vec<Vec<u8>> {
    outcome.parts.iter().map(|part| fs::read(&part.path).unwrap()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Hash, size and references of every blob.
fn blobs(wim: &Wim) -> BTreeMap<Sha1Hash, (u64, u32)> {
    wim.blobs().map(|(_, blob)| (blob.hash, (blob.size, blob.refcount))).collect()
}

fn assert_sound(wim: &Wim) {
    let found = verify::run(wim, &verify::Options::default(), &Silent, &Cancel::new()).unwrap();
    assert!(found.is_sound(), "{:?}", found.problems);
}

fn join_to(parts: Vec<Vec<u8>>, destination: &Path) -> Result<join::Outcome, Error> {
    let wim = join::open(sources(parts))?;
    join::run(&wim, destination, &join::Options::default(), &Silent, &Cancel::new())
}

#[test]
fn parts_are_named_before_the_last_dot() {
    for (first, second) in [
        ("a/b.swm", "a/b2.swm"),
        ("a.b/c", "a.b/c2"),
        (".hid", "2.hid"),
        ("a.b.c", "a.b2.c"),
        ("end.", "end2."),
    ] {
        assert_eq!(split::part_path(Path::new(first), 2), PathBuf::from(second));
        assert_eq!(split::part_path(Path::new(first), 1), PathBuf::from(first));
    }
    assert_eq!(split::part_path(Path::new("x.swm"), 12), PathBuf::from("x12.swm"));
}

#[test]
fn a_part_is_opened_when_a_blob_does_not_fit() {
    let bytes = sample(TinyWim::new(None, 0), &Chunks::Stored);
    let metadata = support::open(bytes.clone()).parts()[0].blobs.metadata[0].resource.size;
    let blobs_of = |size| {
        let dir = tempfile::tempdir().unwrap();
        let outcome = split_at(bytes.clone(), &dir.path().join("x.swm"), size).unwrap();
        let wim = join::open(sources(read(&outcome))).unwrap();
        assert_sound(&wim);
        outcome.parts.iter().map(|part| part.blobs).collect::<Vec<_>>()
    };
    let all: u64 = SIZES.iter().map(|&size| size as u64).sum();
    assert_eq!(blobs_of(u64::MAX), [6]);
    assert_eq!(blobs_of(all + metadata), [6]);
    assert_eq!(blobs_of(all + metadata - 1), [5, 1]);
    assert_eq!(blobs_of(73_011 + metadata), [3, 3], "the metadata counts in the first part");
    assert_eq!(blobs_of(73_010 + metadata), [2, 4]);
    assert_eq!(blobs_of(10_000), [1, 1, 2, 1, 1], "one part is too large");
    assert_eq!(blobs_of(1), [0, 1, 1, 1, 1, 1, 1], "and the metadata is by itself");
}

#[test]
fn every_layout_comes_back_whole() {
    let lzx = || TinyWim::new(Some(Codec::Lzx), 32 << 10);
    let mut solid = Image::new(TinyWim::new(Some(Codec::Lzx), 32 << 10));
    let datas = SIZES.map(|size| noise(size, size as u32));
    let slices: Vec<&[u8]> = datas.iter().map(Vec::as_slice).collect();
    for (index, hash) in
        solid.wim.solid(Some(Codec::Lzx), 1 << 15, &slices, None).into_iter().enumerate()
    {
        let inode = wim_format::metadata::Inode::file(hash);
        solid.tree.add(ROOT, format!("{index}").as_str(), inode).unwrap();
    }
    for (name, bytes) in [
        ("stored", sample(TinyWim::new(None, 0), &Chunks::Stored)),
        ("chunks", sample(lzx(), &Chunks::Raw)),
        ("pipable", sample(lzx().pipable(), &Chunks::Raw)),
        ("integrity", sample(lzx().with_integrity(5000), &Chunks::Raw)),
        ("solid", solid.bytes()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let original = support::open(bytes.clone());
        let outcome = split_at(bytes, &dir.path().join("x.swm"), 45_000).unwrap();
        assert!(outcome.parts.len() > 2, "{name}");
        let mut parts = read(&outcome);
        for (part, bytes) in outcome.parts.iter().zip(&parts) {
            assert_eq!(part.len, bytes.len() as u64, "{name}");
        }
        parts.reverse();
        let whole = dir.path().join("whole.wim");
        let joined = join_to(parts, &whole).unwrap();
        assert_eq!(usize::from(joined.parts), outcome.parts.len());
        let wim = Wim::open(&whole, &OpenOptions::default()).unwrap();
        assert_sound(&wim);
        assert_eq!(blobs(&wim), blobs(&original), "{name}");
        assert_eq!(wim.header().guid, [7; 16]);
        assert_eq!(wim.header().layout, original.header().layout, "{name}");
        let had_table = original.header().integrity.size > 0;
        assert_eq!(wim.header().integrity.size > 0, had_table, "{name}");
        assert_eq!(wim.image_count(), 1);
    }
}

#[test]
fn blobs_that_nobody_refers_to_are_kept() {
    let mut image = Image::default();
    image.file(ROOT, "a", b"referred to");
    image.blob(b"left over");
    let bytes = image.bytes();
    let dir = tempfile::tempdir().unwrap();
    let outcome = split_at(bytes.clone(), &dir.path().join("x.swm"), 1).unwrap();
    let whole = dir.path().join("whole.wim");
    join_to(read(&outcome), &whole).unwrap();
    let wim = Wim::open(&whole, &OpenOptions::default()).unwrap();
    let hashes = |wim: &Wim| blobs(wim).into_keys().collect::<Vec<_>>();
    assert_eq!(hashes(&wim), hashes(&support::open(bytes)));
}

#[test]
fn an_archive_without_images_has_one_part() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = split_at(TinyWim::new(None, 0).build(), &dir.path().join("x.swm"), 1).unwrap();
    assert_eq!(outcome.parts.len(), 1);
    join_to(read(&outcome), &dir.path().join("y.wim")).unwrap();
}

#[test]
fn the_boot_image_stays_only_where_there_is_one_part() {
    let mut image = Image::default();
    image.file(ROOT, "a", &noise(1000, 1));
    let metadata = image.tree.to_bytes().unwrap();
    image.wim.image("image", metadata, Chunks::Stored);
    let bytes = image.wim.build_with(|draft| draft.header.boot_index = 1);
    for (size, parts, boot) in [(100_000, 1, 1), (500, 2, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let outcome = split_at(bytes.clone(), &dir.path().join("x.swm"), size).unwrap();
        assert_eq!(outcome.parts.len(), parts);
        let first = support::open(read(&outcome).swap_remove(0));
        assert_eq!(first.header().boot_index, boot);
        assert_eq!(first.header().boot_metadata.size > 0, boot > 0);
    }
}

#[test]
fn what_cannot_be_split_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("x.swm");
    let refused = |bytes: Vec<u8>, size, code| {
        let error = split_at(bytes, &first, size).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(names(dir.path()), [""; 0]);
    };
    let whole = sample(TinyWim::new(None, 0), &Chunks::Stored);
    refused(whole.clone(), 0, 24);
    let mut part = whole.clone();
    part[0x2a] = 2;
    refused(part, 1000, 68);
    let mut delta = Image::default();
    let elsewhere = wim_format::metadata::Inode::file(Sha1Hash([9; 20]));
    delta.tree.add(ROOT, "a", elsewhere).unwrap();
    refused(delta.bytes(), 1000, 68);
    let mut damaged = whole;
    let at = damaged.windows(8).rposition(|window| window == [0; 8]).unwrap();
    // Beyond all resources: the file is cut off in the middle of its tables.
    damaged.truncate(at.min(100_000));
    assert!(Wim::from_source(Arc::new(MemorySource::new(damaged, "cut")), []).is_err());
}

/// A blob that claims bytes beyond the end of the file stops the whole set.
#[test]
fn a_resource_outside_of_the_file_is_refused() {
    let mut image = Image::default();
    image.file(ROOT, "a", &noise(1000, 1));
    image.file(ROOT, "b", &noise(2000, 2));
    let metadata = image.tree.to_bytes().unwrap();
    image.wim.image("image", metadata, Chunks::Stored);
    let bytes = image.wim.build_with(|draft| {
        let entry = draft.blob_table.chunks_exact_mut(50).last().unwrap();
        entry[8..16].copy_from_slice(&(1u64 << 40).to_le_bytes());
    });
    let dir = tempfile::tempdir().unwrap();
    let error = split_at(bytes, &dir.path().join("x.swm"), 1500).unwrap_err();
    assert_eq!(error.code(), 65, "{error}");
    assert_eq!(names(dir.path()), [""; 0]);
}

/// More than 65535 parts cannot be numbered.
#[test]
fn too_many_parts_are_refused() {
    let mut image = Image::default();
    for number in 0..65_536u32 {
        image.blob(&number.to_le_bytes());
    }
    let dir = tempfile::tempdir().unwrap();
    let error = split_at(image.bytes(), &dir.path().join("x.swm"), 1).unwrap_err();
    assert_eq!(error.code(), 24, "{error}");
}

#[test]
fn a_failure_in_the_last_part_leaves_old_files_and_no_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.swm"), "old").unwrap();
    // A directory where the fourth part is to be.
    fs::create_dir(dir.path().join("x4.swm")).unwrap();
    let bytes = sample(TinyWim::new(None, 0), &Chunks::Stored);
    let error = split_at(bytes, &dir.path().join("x.swm"), 10_000).unwrap_err();
    assert!(error.to_string().contains("x4.swm"), "{error}");
    assert_eq!(names(dir.path()), ["x.swm", "x4.swm"]);
    assert_eq!(fs::read(dir.path().join("x.swm")).unwrap(), b"old");
}

#[test]
fn cancelled_it_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let wim = support::open(sample(TinyWim::new(None, 0), &Chunks::Stored));
    let cancel = Cancel::new();
    cancel.cancel();
    let options = split::Options::default();
    let error = split::run(&wim, &dir.path().join("x.swm"), 9000, &options, &Silent, &cancel);
    assert!(matches!(error, Err(Error::Cancelled)));
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn parts_of_an_older_set_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let wim = support::open(sample(TinyWim::new(None, 0), &Chunks::Stored));
    fs::write(dir.path().join("x6.swm"), "old").unwrap();
    let heard = Heard::default();
    let options = split::Options::default();
    let first = dir.path().join("x.swm");
    split::run(&wim, &first, 10_000, &options, &heard, &Cancel::new()).unwrap();
    let warnings = heard.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("x6.swm"), "{warnings:?}");
}

#[test]
fn neither_takes_the_place_of_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(TinyWim::new(None, 0), &Chunks::Stored);
    let path = dir.path().join("x2.swm");
    fs::write(&path, &bytes).unwrap();
    let wim = Wim::open(&path, &OpenOptions::default()).unwrap();
    let first = dir.path().join("x.swm");
    let options = split::Options::default();
    let error = split::run(&wim, &first, 10_000, &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 255, "{error}");
    let options = join::Options::default();
    let error = join::run(&wim, &path, &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 255, "{error}");
    assert_eq!(names(dir.path()), ["x2.swm"]);
    assert_eq!(fs::read(path).unwrap(), bytes);
}

/// Parts 1 to 5 of [`sample`].
fn set() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(TinyWim::new(Some(Codec::Lzx), 32 << 10), &Chunks::Raw);
    let set = read(&split_at(bytes, &dir.path().join("x.swm"), 10_000).unwrap());
    assert_eq!(set.len(), 5);
    set
}

#[test]
fn a_set_that_is_not_whole_is_refused_and_said_why() {
    let refused = |parts: Vec<Vec<u8>>, expected: &str| {
        let error = join::open(sources(parts)).unwrap_err();
        assert_eq!(error.code(), 62, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let without = |numbers: &[usize]| {
        let set = (1..).zip(set()).filter(|(number, _)| !numbers.contains(number));
        set.map(|(_, part)| part).collect::<Vec<_>>()
    };
    refused(without(&[3]), "part 3 is missing");
    refused(without(&[1]), "part 1 is missing");
    refused(without(&[2, 5]), "parts 2 and 5 are missing");
    refused([set(), vec![set().swap_remove(3)]].concat(), "is part 4 of 5, and so is given4.swm");
    let spoiled = |part: usize, at: usize, byte: u8| {
        let mut set = set();
        set[part - 1][at] = byte;
        set
    };
    refused(spoiled(2, 0x18, 1), "another GUID");
    refused(spoiled(2, 0x28, 3), "and so is");
    refused(spoiled(3, 0x2a, 6), "says 6 parts in all");
    refused(spoiled(3, 0x2c, 9), "says 9 images");
    refused(spoiled(3, 0x12, 2), "is not compressed as given1.swm is");
    refused(spoiled(3, 0x15, 0), "says 0 bytes in a chunk");
    assert!(matches!(join::open([]), Err(Error::Usage(_))));
}

/// Two parts that have exchanged their numbers look like a whole set; but the entries of their
/// tables are not theirs.
#[test]
fn parts_that_lie_about_their_numbers_lose_no_data_in_silence() {
    let mut set = set();
    set[1][0x28] = 3;
    set[2][0x28] = 2;
    let dir = tempfile::tempdir().unwrap();
    let error = join_to(set, &dir.path().join("x.wim")).unwrap_err();
    assert_eq!(error.code(), 55, "{error}");
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Blobs that share bytes, or are in two parts, are copied as what they say they are.
#[test]
fn blobs_that_overlap_stay_what_they_are() {
    let mut image = Image::default();
    let data = noise(3000, 1);
    image.file(ROOT, "whole", &data);
    image.file(ROOT, "piece", &data[1000..2000]);
    let metadata = image.tree.to_bytes().unwrap();
    image.wim.image("image", metadata, Chunks::Stored);
    let bytes = image.wim.build_with(|draft| {
        // The piece is found inside the whole.
        let entry = draft.blob_table.chunks_exact_mut(50).last().unwrap();
        assert_eq!(entry[..2], 1000u16.to_le_bytes());
        entry[8..16].copy_from_slice(&(208u64 + 1000).to_le_bytes());
    });
    let dir = tempfile::tempdir().unwrap();
    let outcome = split_at(bytes, &dir.path().join("x.swm"), 1).unwrap();
    let whole = dir.path().join("whole.wim");
    join_to(read(&outcome), &whole).unwrap();
    assert_sound(&Wim::open(&whole, &OpenOptions::default()).unwrap());
}

#[test]
fn a_blob_in_two_parts_is_taken_once() {
    let mut set = set();
    let table = |part: &[u8]| {
        let at = u64::from_le_bytes(part[0x38..0x40].try_into().unwrap()) as usize;
        (at, part[0x30] as usize)
    };
    // Part 3 gets the hash of the blob in part 2; its own is then nowhere.
    let (at, len) = table(&set[1]);
    let hash = set[1][at + len - 20..at + len].to_vec();
    let (at, _) = table(&set[2]);
    set[2][at + 30..at + 50].copy_from_slice(&hash);
    let dir = tempfile::tempdir().unwrap();
    let error = join_to(set, &dir.path().join("x.wim")).unwrap_err();
    assert_eq!(error.code(), 55, "{error}");
}

#[test]
fn an_integrity_table_comes_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let wim = support::open(sample(TinyWim::new(None, 0), &Chunks::Stored));
    let integrity = IntegrityTable::Write;
    let options = split::Options { integrity, ..Default::default() };
    let first = dir.path().join("x.swm");
    let outcome = split::run(&wim, &first, 10_000, &options, &Silent, &Cancel::new()).unwrap();
    let wim = join::open(sources(read(&outcome))).unwrap();
    assert!(wim.parts().iter().all(|part| part.header.integrity.size > 0));
    let options = join::Options { integrity: IntegrityTable::Omit, ..Default::default() };
    let whole = dir.path().join("whole.wim");
    join::run(&wim, &whole, &options, &Silent, &Cancel::new()).unwrap();
    let whole = Wim::open(&whole, &OpenOptions::default()).unwrap();
    assert_eq!(whole.header().integrity.size, 0);
    assert_sound(&wim);
    assert_sound(&whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn splitting_and_joining_keeps_every_blob(
        sizes in proptest::collection::vec(1usize..20_000, 0..12),
        part_size in 1u64..60_000,
        stored: bool,
    ) {
        let mut image = Image::new(TinyWim::new(Some(Codec::Xpress), 4096));
        let chunks = if stored { Chunks::Stored } else { Chunks::Raw };
        for (seed, &size) in sizes.iter().enumerate() {
            let hash = image.wim.blob(&noise(size, seed as u32 + 1), chunks.clone());
            let inode = wim_format::metadata::Inode::file(hash);
            image.tree.add(ROOT, format!("{seed}").as_str(), inode).unwrap();
        }
        let bytes = image.bytes();
        let original = support::open(bytes.clone());
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("x.swm");
        let outcome = split_at(bytes, &first, part_size).unwrap();
        for part in &outcome.parts {
            let wim = Wim::open(&part.path, &OpenOptions::default()).unwrap();
            let size: u64 = wim.blobs().map(|(_, blob)| match blob.place {
                wim_format::blob_table::BlobPlace::Resource(resource) => resource.size,
                wim_format::blob_table::BlobPlace::Solid { .. } => unreachable!("never solid"),
            }).sum();
            prop_assert!(size <= part_size || part.blobs == 1);
        }
        let whole = dir.path().join("whole.wim");
        join_to(read(&outcome), &whole).unwrap();
        let wim = Wim::open(&whole, &OpenOptions::default()).unwrap();
        assert_sound(&wim);
        prop_assert_eq!(blobs(&wim), blobs(&original));
        // And once more: the same blobs go to the same parts.
        let again = split_at(fs::read(&whole).unwrap(), &dir.path().join("y.swm"), part_size);
        let counts = |outcome: &split::Outcome| {
            outcome.parts.iter().map(|part| part.blobs).collect::<Vec<_>>()
        };
        prop_assert_eq!(counts(&again.unwrap()), counts(&outcome));
    }
}
