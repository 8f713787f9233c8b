//! Adding to archives that are there.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use wim_extract::archive::Wim;
use wim_extract::export::{
    self, Compression, Existing, IntegrityTable, Options, Outcome, Verification,
};
use wim_extract::{Cancel, Error, Silent};
use wim_format::Codec;
use wim_format::header::{HEADER_LEN, Header, HeaderFlags};

use crate::export::all;
use crate::samples;

/// A copy of a vector that may be changed.
fn copy_of(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dest.wim");
    std::fs::copy(samples::path(name), &path).unwrap();
    (dir, path)
}

fn add(wim: &Wim, to: &Path, options: &Options) -> Result<Outcome, Error> {
    export::run(wim, &all(wim), to, options, &Silent, &Cancel::new())
}

fn named(name: &str) -> Options {
    Options { name: Some(name.to_owned()), ..Options::default() }
}

fn check(path: &Path, images: u32) -> Wim {
    let wim = samples::open_file(path);
    let outcome = samples::verify(&wim, 2);
    assert!(outcome.is_sound(), "{:?}", outcome.problems);
    assert!(wim.warnings().is_empty());
    assert_eq!(wim.image_count(), images);
    wim
}

#[test]
fn images_are_appended_and_blobs_shared() {
    for existing in [Existing::Append, Existing::Rebuild] {
        let (_dir, path) = copy_of("v2lzx.wim");
        let old = samples::open_file(&path);
        let options = Options { existing, ..named("two") };
        let outcome = add(&samples::open("v5.wim"), &path, &options).unwrap();
        assert_eq!((outcome.blobs, outcome.shared, outcome.images), (2, 3, vec![2]));
        let outcome = add(&samples::open("v4.wim"), &path, &Options { existing, ..named("three") });
        assert_eq!(outcome.unwrap().blobs, 0);
        let new = check(&path, 3);
        assert_eq!(new.header().guid, old.header().guid);
        assert_eq!(new.blob_count(), 5);
        let refcounts: u32 = new.blobs().map(|(_, blob)| blob.refcount).sum();
        assert_eq!(refcounts, 3 + 5 + 3);
        let names: Vec<_> = new.xml().images().into_iter().filter_map(|image| image.name).collect();
        assert_eq!(names, ["NM", "two", "three"]);
    }
}

#[test]
fn a_rebuilt_archive_has_no_dead_space() {
    let (_dir, path) = copy_of("v2lzx.wim");
    add(&samples::open("v5.wim"), &path, &named("two")).unwrap();
    let appended = std::fs::metadata(&path).unwrap().len();
    let options = Options { existing: Existing::Rebuild, ..named("three") };
    add(&samples::open("v4.wim"), &path, &options).unwrap();
    let wim = check(&path, 3);
    assert!(wim.header().xml.end() < appended);
    assert_eq!(wim.header().xml.end(), std::fs::metadata(&path).unwrap().len());
}

#[test]
fn an_integrity_table_is_kept_made_or_dropped() {
    let (_dir, path) = copy_of("v1.wim");
    let wim = samples::open("v1.wim");
    let tables = |path: &Path| samples::verify(&samples::open_file(path), 1).integrity_tables;
    let cases = [
        ("a", IntegrityTable::Keep, 1),
        ("b", IntegrityTable::Omit, 0),
        ("c", IntegrityTable::Keep, 0),
        ("d", IntegrityTable::Write, 1),
    ];
    for (name, integrity, expected) in cases {
        add(&wim, &path, &Options { integrity, ..named(name) }).unwrap();
        assert_eq!(tables(&path), expected, "{name}");
    }
    check(&path, 5);
}

#[test]
fn hashes_of_old_pieces_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dest.wim");
    let mut tiny = wim_format::testing::TinyWim::new(None, 0).with_integrity(4096);
    let blob = samples::noise(20_000, 1);
    tiny.blob(&blob, wim_format::testing::Chunks::Stored);
    tiny.image("old", samples::image_of([&blob]), wim_format::testing::Chunks::Stored);
    std::fs::write(&path, tiny.build()).unwrap();
    let (wim, options) = (samples::open("v1.wim"), named("new"));
    add(&wim, &path, &Options { verification: Verification::Check, ..options }).unwrap();
    check(&path, 2);
    let table = samples::open_file(&path);
    let bytes = std::fs::read(&path).unwrap();
    let integrity = table.header().integrity;
    assert_eq!(&bytes[integrity.offset as usize + 8..][..4], 4096u32.to_le_bytes());
}

#[test]
fn what_has_another_compression_is_compressed_anew() {
    for (to, from) in [
        ("v2lzx.wim", "v2xpress.wim"),
        ("v1.wim", "v2lzx.wim"),
        ("v2xpress.wim", "v1.wim"),
        ("v2lzms.wim", "v2lzx.wim"),
        ("v4.wim", "v2lzx.wim"),
    ] {
        let (_dir, path) = copy_of(to);
        let (coding, layout) = (samples::open(to).codec(), samples::open(to).header().layout);
        add(&samples::open(from), &path, &named("x")).unwrap();
        let added = check(&path, 2);
        assert_eq!((added.codec(), added.header().layout), (coding, layout));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    let lzx = Compression::Chunks { codec: Codec::Lzx, chunk_size: 32768 };
    let cases = [
        ("v2lzx.wim", "v2lzx.wim", Options::default(), 11),
        ("v2xpress.wim", "v2lzx.wim", Options { compression: lzx, ..named("x") }, 255),
        ("v1.wim", "v2lzx.wim", Options { compression: lzx, ..named("x") }, 255),
        ("v5.swm", "v2lzx.wim", named("x"), 71),
    ];
    for (to, from, options, code) in cases {
        let (dir, path) = copy_of(to);
        let error = add(&samples::open(from), &path, &options).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(std::fs::read(&path).unwrap() == samples::bytes(to));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_read_only_archive_is_not_touched() {
    let (_dir, path) = copy_of("v2lzx.wim");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut header = Header::parse(&bytes).unwrap();
    header.flags |= HeaderFlags::READONLY;
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = add(&samples::open("v5.wim"), &path, &named("x")).unwrap_err();
    assert_eq!(error.code(), 71);
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_locked_archive_is_left_alone() {
    let (_dir, path) = copy_of("v2lzx.wim");
    let other = OpenOptions::new().write(true).open(&path).unwrap();
    other.lock().unwrap();
    let error = add(&samples::open("v5.wim"), &path, &named("x")).unwrap_err();
    assert_eq!(error.code(), 1, "{error}");
    drop(other);
    add(&samples::open("v5.wim"), &path, &named("x")).unwrap();
    check(&path, 2);
}

#[test]
fn a_failure_halfway_leaves_the_old_archive() {
    // The source's data is damaged, which shows only while it is copied.
    let mut bytes = samples::bytes("v5.wim");
    let wim = samples::open_bytes(bytes.clone());
    let (_, blob) = wim.blobs().find(|(_, blob)| blob.size == 40_000).unwrap();
    let wim_format::blob_table::BlobPlace::Resource(place) = blob.place else { panic!() };
    bytes[place.end() as usize - 1] ^= 1;
    let damaged = samples::open_bytes(bytes);
    let old = samples::bytes("v2lzx.wim");
    for existing in [Existing::Append, Existing::Rebuild] {
        let (dir, path) = copy_of("v2lzx.wim");
        let verification = Verification::Check;
        let options = Options { verification, existing, ..named("x") };
        let error = add(&damaged, &path, &options).unwrap_err();
        assert_eq!(error.code(), 28, "{error}");
        assert!(std::fs::read(&path).unwrap() == old);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn an_interrupted_append_is_a_whole_archive_and_the_next_one_clears_it() {
    let (_dir, path) = copy_of("v2lzx.wim");
    add(&samples::open("v5.wim"), &path, &named("x")).unwrap();
    let finished = std::fs::read(&path).unwrap();
    let old = samples::bytes("v2lzx.wim");
    let mut header = Header::parse(&old).unwrap();
    header.flags |= HeaderFlags::WRITE_IN_PROGRESS;
    // Killed when this much was on the disk, the header still the old one.
    for written in (old.len()..finished.len() + 5000).step_by(1777) {
        let mut left = finished.clone();
        left.resize(written, 0xee);
        left[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        std::fs::write(&path, &left).unwrap();
        let wim = samples::open_file(&path);
        assert_eq!(wim.image_count(), 1);
        assert!(samples::verify(&wim, 1).is_sound());
        assert!(wim.warnings()[0].contains("interrupted"), "{:?}", wim.warnings());
        drop(wim);
        add(&samples::open("v5.wim"), &path, &named("x")).unwrap();
        assert!(std::fs::read(&path).unwrap() == finished, "{written}");
    }
}

#[test]
fn flags_and_boot_index_are_merged() {
    let (_dir, path) = copy_of("v1.wim");
    let wim = samples::open("v1.wim");
    add(&wim, &path, &named("second")).unwrap();
    assert_eq!(check(&path, 2).header().boot_image(), Some(1), "the old one stays");
    add(&wim, &path, &Options { boot: export::Boot::Mark, ..named("third") }).unwrap();
    let new = check(&path, 3);
    assert_eq!(new.header().boot_image(), Some(3));
    let third = new.metadata_entry(new.image(3).unwrap()).unwrap().resource;
    assert_eq!(new.header().boot_metadata, third);
    assert!(new.header().flags.contains(HeaderFlags::RP_FIX));
}
