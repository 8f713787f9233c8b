//! Solid archives, written by one tool and read, added to and taken apart by the other.

use std::fs;

use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::tools::wimlib;
use osupg_tests::{bins, corpus};
use wim_format::blob_table::BlobPlace;
use wim_format::header::Version;

use crate::{Scratch, seen};

/// Two trees of every kind of thing.
fn scene() -> Scratch {
    let scratch = Scratch::new();
    corpus::made(scratch.folder.path());
    scratch
}

impl Scratch {
    /// How many blobs are in solid resources, and how many are not.
    fn places(&self, wim: &str) -> (usize, usize) {
        let wim = self.open(wim);
        let is_solid = |place| matches!(place, BlobPlace::Solid { .. });
        let solid = wim.blobs().filter(|(_, blob)| is_solid(blob.place)).count();
        (solid, wim.blob_count() as usize - solid)
    }

    /// Lengths of the blobs in the order of the solid resource, but for those of links, which wimlib puts
    /// in front.
    fn order(&self, wim: &str) -> Vec<u64> {
        let wim = self.open(wim);
        let mut blobs: Vec<_> = wim
            .blobs()
            .filter_map(|(_, blob)| match blob.place {
                BlobPlace::Solid { offset, .. } => Some((offset, blob.size)),
                BlobPlace::Resource(_) => None,
            })
            .collect();
        blobs.sort_unstable();
        let lengths = blobs.into_iter().map(|(_, size)| size);
        lengths.filter(|size| !(3..100).contains(size)).collect()
    }
}

#[test]
fn what_we_write_is_read_by_all() {
    let scratch = scene();
    let trees = ["first", "second"].map(|name| seen(&scratch.path(name)));
    for (options, version, chunk_size) in [
        ("--solid --solid-compress=lzms:1", Version::Solid, 131_072),
        ("--solid --solid-compress=lzms:1 --solid-chunk-size=128K", Version::Solid, 131_072),
        ("--solid --compress=lzx:20 --solid-compress=lzx:20", Version::Solid, 32_768),
        ("--solid --compress=xpress --solid-compress=xpress --check", Version::Solid, 32_768),
        ("--solid --compress=none --solid-compress=lzx:20 --no-solid-sort", Version::Solid, 0),
        ("--solid-compress=xpress --compress=lzx:20", Version::Normal, 32_768),
    ] {
        scratch.wimx(&format!("capture first x.wim one --quiet {options}")).ok();
        scratch.accepted("x.wim");
        let header = scratch.open("x.wim").header().clone();
        assert_eq!((header.version, header.chunk_size), (version, chunk_size), "{options}");
        let is_solid = scratch.places("x.wim").1 == 0;
        assert_eq!(is_solid, version == Version::Solid, "{options}");
        // The second image goes where the first is.
        scratch.wimx("append second x.wim two --quiet").ok();
        scratch.accepted("x.wim");
        assert_eq!(scratch.places("x.wim").1 == 0, is_solid, "{options}");
        for (image, tree) in (1..).zip(&trees) {
            scratch.holds("x.wim", image, tree);
        }
    }
}

#[test]
fn blobs_are_in_the_order_that_wimlib_gives_them() {
    let scratch = scene();
    let options = "--solid --solid-compress=xpress --quiet";
    scratch.wimx(&format!("capture first ours.esd name {options}")).ok();
    scratch.wimlib(&format!("capture first theirs.esd name {options}")).ok();
    let sorted = scratch.order("ours.esd");
    assert_eq!(sorted, scratch.order("theirs.esd"));
    // What is solid is copied as it is; what is apart is sorted.
    scratch.wimx(&format!("capture first unsorted.esd name {options} --no-solid-sort")).ok();
    assert_ne!(scratch.order("unsorted.esd"), sorted);
    scratch.wimx(&format!("export unsorted.esd 1 copied.esd {options} --compress=none")).ok();
    assert_ne!(scratch.order("copied.esd"), sorted);
    scratch.wimx("convert unsorted.esd apart.wim --compress=none").ok();
    scratch.wimx("convert apart.wim again.esd --compress=xpress").ok();
    assert_eq!(scratch.order("again.esd"), sorted);
}

#[test]
fn each_goes_on_with_what_the_other_made() {
    let scratch = scene();
    let trees = ["first", "second"].map(|name| seen(&scratch.path(name)));
    fs::write(scratch.path("more"), corpus::text(70_000, 99)).expect("a file");
    let tools = [("ours", bins::wimx as fn() -> _), ("theirs", wimlib as fn() -> _)];
    for (a, maker) in tools {
        for (b, changer) in tools {
            let what = format!("made by {a}, changed by {b}");
            let run = |tool: fn() -> std::process::Command, line: &str| {
                osupg_tests::child::run(&mut scratch.command(tool(), line)).ok();
                scratch.accepted("x.esd");
            };
            run(maker, "capture first x.esd one --solid --solid-compress=lzx:20 --quiet");
            run(changer, "append second x.esd two --quiet");
            assert_eq!(scratch.places("x.esd").1, 0, "{what}");
            scratch.holds("x.esd", 1, &trees[0]);
            scratch.holds("x.esd", 2, &trees[1]);
            scratch.update(changer(), "update x.esd 2", "add more more");
            scratch.accepted("x.esd");
            assert_eq!(scratch.places("x.esd").1, 0, "{what}");
            let solids = scratch.open("x.esd").parts()[0].blobs.solid.len();
            assert_eq!(solids, 3, "{what}");
            run(changer, "optimize x.esd --recompress --quiet");
            assert_eq!(scratch.open("x.esd").parts()[0].blobs.solid.len(), 1, "{what}");
            scratch.holds("x.esd", 1, &trees[0]);
            run(changer, "optimize x.esd --compress=lzx:20 --quiet");
            assert_eq!(scratch.places("x.esd").0, 0, "{what}");
            assert_eq!(scratch.open("x.esd").header().version, Version::Normal, "{what}");
            scratch.holds("x.esd", 1, &trees[0]);
        }
    }
}

/// From every kind of archive to a solid one, and the same bytes for any number of threads.
#[test]
fn every_kind_becomes_solid() {
    let scratch = Scratch::new();
    let sources = corpus::made(&scratch.path("trees"));
    let captures = Captures::new(scratch.path("made"), sources, Effort::Low);
    fs::copy(captures.wim(Kind::None), scratch.path("none.wim")).expect("a copy");
    let metadata = [1, 2].map(|image| scratch.metadata("none.wim", image));
    let blobs = scratch.blobs("none.wim");
    for kind in Kind::ALL {
        let source = captures.wim(kind);
        let references = kind.references(&source).unwrap_or_else(|| "--quiet".to_owned());
        let codec = if kind == Kind::Lzx { "lzms:1" } else { "xpress" };
        let all = ["1", "3"].map(|threads| {
            let _ = fs::remove_file(scratch.path("out.esd"));
            let line = format!(
                "export {} all out.esd --solid --solid-compress={codec} --solid-chunk-size=64K \
                 --guid=00112233445566778899aabbccddeeff --threads={threads} {references}",
                source.display()
            );
            scratch.wimx(&line).ok();
            scratch.read("out.esd")
        });
        assert!(all[0] == all[1], "{kind:?} differs");
        scratch.accepted("out.esd");
        assert_eq!(scratch.places("out.esd"), (blobs.len(), 0), "{kind:?}");
        assert!(scratch.blobs("out.esd") == blobs, "{kind:?}: blobs");
        for (image, metadata) in (1..).zip(&metadata) {
            assert!(scratch.metadata("out.esd", image) == *metadata, "{kind:?}: metadata");
        }
    }
}

#[test]
fn the_same_is_refused_with_the_same_code() {
    let scratch = scene();
    for (line, code) in [
        ("capture first x.wim --solid --solid-compress=none", 16),
        ("capture first x.wim --solid --solid-chunk-size=100", 15),
        ("capture first x.wim --solid --solid-compress=lzx --solid-chunk-size=64M", 15),
        ("capture first x.wim --solid --solid-compress=xpress --solid-chunk-size=2K", 15),
        ("capture first x.wim --solid --pipable", 24),
        ("capture first x.wim --solid --solid-compress=zip", 255),
    ] {
        for done in [scratch.wimlib(line), scratch.wimx(line)] {
            assert_eq!(done.code(), code, "{line}: {}", done.stderr);
        }
        assert!(!scratch.path("x.wim").exists(), "{line}");
    }
}
