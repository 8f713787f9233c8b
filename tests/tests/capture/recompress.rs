//! Exports to another compression from every kind of archive.

use std::fs;

use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::corpus;
use wim_format::blob_table::{Blob, BlobPlace};

use crate::{Scratch, seen};

const TARGETS: [&str; 7] = [
    "--compress=none",
    "--compress=xpress",
    "--compress=xpress:1 --chunk-size=4K",
    "--compress=lzx:20",
    "--compress=lzx:20 --chunk-size=1M",
    "--recompress --compress=lzx:20 --chunk-size=32K",
    "--recompress --compress=lzms:20",
];

fn captures(scratch: &Scratch) -> Captures {
    let sources = corpus::made(&scratch.path("trees"));
    Captures::new(scratch.path("made"), sources, Effort::Low)
}

#[test]
fn every_kind_to_every_compression() {
    let scratch = Scratch::new();
    let captures = captures(&scratch);
    let trees = captures.sources().iter().map(|source| seen(&source.root)).collect::<Vec<_>>();
    fs::copy(captures.wim(Kind::None), scratch.path("none.wim")).expect("a copy");
    let metadata = [1, 2].map(|image| scratch.metadata("none.wim", image));
    let blobs = scratch.blobs("none.wim");
    for kind in Kind::ALL {
        let source = captures.wim(kind);
        let references = kind.references(&source).unwrap_or_else(|| "--quiet".to_owned());
        for target in TARGETS {
            let what = format!("{kind:?} {target}");
            let _ = fs::remove_file(scratch.path("out.wim"));
            let line = format!("export {} all out.wim {target} {references}", source.display());
            scratch.wimx(&line).ok();
            scratch.accepted("out.wim");
            for (image, metadata) in (1..).zip(&metadata) {
                assert!(scratch.metadata("out.wim", image) == *metadata, "{what}: metadata");
            }
            assert!(scratch.blobs("out.wim") == blobs, "{what}: blobs");
        }
        // wimlib verifies hashes; that the tree is right is shown once for each kind.
        scratch.holds("out.wim", 2, &trees[1]);
    }
}

/// An image into an archive of other chunks takes that archive's.
#[test]
fn into_archives_of_other_chunks() {
    let scratch = Scratch::new();
    let captures = captures(&scratch);
    let trees = captures.sources().iter().map(|source| seen(&source.root)).collect::<Vec<_>>();
    for (from, to) in [
        (Kind::Xpress, Kind::Xpress4K),
        (Kind::Xpress4K, Kind::Xpress64K),
        (Kind::Lzx, Kind::Lzx2M),
        (Kind::Lzx2M, Kind::Lzx),
    ] {
        let out = scratch.path("out.wim");
        fs::copy(captures.wim(to), &out).expect("a copy");
        let header = scratch.open("out.wim").header().clone();
        scratch
            .wimx(&format!("export {} 1 out.wim third --quiet", captures.wim(from).display()))
            .ok();
        scratch.accepted("out.wim");
        let after = scratch.open("out.wim").header().clone();
        assert_eq!((after.flags, after.chunk_size), (header.flags, header.chunk_size), "{from:?}");
        for (image, tree) in [(1, &trees[0]), (2, &trees[1]), (3, &trees[0])] {
            scratch.holds("out.wim", image, tree);
        }
    }
}

/// The same with any number of threads.
#[test]
fn recompressing_is_reproducible() {
    let scratch = Scratch::new();
    let captures = captures(&scratch);
    for (kind, target) in [
        (Kind::Lzx, "--compress=xpress"),
        (Kind::LzmsSolid, "--compress=lzx:20"),
        (Kind::Xpress, "--compress=lzms --chunk-size=32K"),
        (Kind::Pipable, "--compress=none"),
    ] {
        let source = captures.wim(kind);
        let all = ["1", "2", "5"].map(|threads| {
            let guid = "--guid=00112233-4455-6677-8899-aabbccddeeff";
            let options = format!("{target} {guid} --threads={threads} --check --quiet");
            let line = format!("export {} all out.wim {options}", source.display());
            scratch.wimx(&line).ok();
            let bytes = scratch.read("out.wim");
            fs::remove_file(scratch.path("out.wim")).expect("it can be removed");
            bytes
        });
        assert!(all.iter().all(|bytes| *bytes == all[0]), "{kind:?} differs");
    }
}

/// To an ESD and back, by way of XPRESS: everything but the compression stays.
#[test]
fn conversions_keep_everything_else() {
    let scratch = Scratch::new();
    let captures = captures(&scratch);
    fs::copy(captures.wim(Kind::Lzx), scratch.path("0.wim")).expect("a copy");
    for line in [
        "info 0.wim 2 --boot --check",
        "info 0.wim 1 --image-property FLAGS=Professional",
        "info 0.wim 2 --image-property ODD/THING=kept",
    ] {
        scratch.wimlib(line).ok();
    }
    let facts = |wim: &str| {
        let wim = scratch.open(wim);
        let mut xml = wim.xml().clone();
        xml.remove_total_bytes();
        let header = wim.header();
        (xml.to_text(), header.boot_index, header.integrity.size > 0, wim.image_count())
    };
    let (before, blobs) = (facts("0.wim"), scratch.blobs("0.wim"));
    let metadata = [1, 2].map(|image| scratch.metadata("0.wim", image));
    for (line, compression, solid) in [
        ("0.wim 1.esd --compress=lzms:1", "LZMS", true),
        ("1.esd 2.wim --compress=xpress", "XPRESS", false),
        ("2.wim 3.wim --compress=lzx:20", "LZX", false),
        ("3.wim 4.any --to=esd --compress=lzx:20 --chunk-size=1M", "LZMS", true),
        ("4.any 5.esd --to=wim --compress=none", "None", false),
        ("5.esd 6.wim --compress=lzms:1", "LZMS", false),
    ] {
        scratch.wimx(&format!("convert {line} --quiet")).ok();
        let to = line.split(' ').nth(1).expect("a destination");
        scratch.accepted(to);
        assert_eq!(facts(to), before, "{line}");
        assert!(scratch.blobs(to) == blobs, "{line}: blobs");
        for (image, metadata) in (1..).zip(&metadata) {
            assert!(scratch.metadata(to, image) == *metadata, "{line}: metadata");
        }
        let info = scratch.wimlib(&format!("info {to}")).ok().text();
        let found = info.lines().find_map(|line| line.strip_prefix("Compression:"));
        assert_eq!(found.map(str::trim), Some(compression), "{line}");
        let has_solid = !scratch.open(to).parts()[0].blobs.solid.is_empty();
        assert_eq!(has_solid, solid, "{line}");
    }
    let tree = seen(&captures.sources()[1].root);
    scratch.holds("6.wim", 2, &tree);
    for (line, code) in [
        ("convert 0.wim 1.esd", 255),
        ("convert 0.wim 0.wim", 255),
        ("convert none.wim 9.wim", 47),
        ("convert 0.wim 9.esd --compress=none", 16),
        ("convert 0.wim 9.esd --chunk-size=5", 15),
        ("convert 0.wim 9.wim --compress=none --chunk-size=32K", 15),
        ("convert 0.wim 9.wim --check --nocheck", 24),
        ("convert 0.wim 9.wim --to=zip", 255),
        ("convert 0.wim 9.esd --for=boot", 24),
    ] {
        assert_eq!(scratch.wimx(line).code(), code, "{line}");
    }
    assert!(!scratch.names().iter().any(|name| name.starts_with('9')));
}

#[test]
fn damaged_sources_make_no_archive() {
    let scratch = Scratch::new();
    let captures = captures(&scratch);
    for kind in [Kind::None, Kind::Lzx, Kind::LzmsSolid] {
        let mut bytes = fs::read(captures.wim(kind)).expect("it was made");
        let middle = bytes.len() / 3;
        for byte in &mut bytes[middle..middle + 64] {
            *byte = !*byte;
        }
        fs::write(scratch.path("damaged.wim"), bytes).expect("it can be written");
        let done = scratch.wimx("export damaged.wim all out.wim --compress=xpress --recompress");
        assert!([2, 28].contains(&done.code()), "{kind:?}: {} {}", done.code(), done.stderr);
        assert!(done.stderr.contains("damaged.wim"), "{}", done.stderr);
        assert_eq!(scratch.names(), ["damaged.wim", "made", "trees"], "{kind:?}");
    }
}

/// Words, and noise in every fifth stretch.
fn content(seed: u64, len: usize) -> Vec<u8> {
    const STRETCH: usize = 100_000;
    let mut bytes = corpus::text(len, seed);
    for stretch in bytes.chunks_mut(STRETCH).skip(4).step_by(5) {
        stretch.copy_from_slice(&corpus::noise(stretch.len(), seed));
    }
    bytes
}

/// Chunks that stay as long as they are are decoded and encoded by the same threads, with what an encoder
/// has found before.
#[test]
fn blobs_of_every_length_keep_their_chunks() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    fs::create_dir(&tree).expect("a directory");
    const KIB: usize = 1 << 10;
    let lengths =
        [1, 300, 32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 200 * KIB, 256 * KIB, 256 * KIB + 1];
    let large = [700 * KIB, 3000 * KIB, 4096 * KIB, 4096 * KIB + 1, 9000 * KIB + 17];
    for (seed, len) in (1..).zip(lengths.into_iter().chain(large)) {
        fs::write(tree.join(format!("file {len}")), content(seed, len)).expect("a file");
    }
    // A chunk of these saves some 300 bytes, and the table takes more: in no batch are they worth it.
    for seed in 99..102 {
        let mut noise = corpus::noise(3 << 20, seed);
        noise[5000..5580].fill(0);
        fs::write(tree.join(format!("noise {seed}")), noise).expect("a file");
    }
    let seen_tree = seen(&tree);
    scratch.wimx("capture tree none.wim --compress=none --quiet").ok();
    scratch.wimx("export none.wim 1 searched.wim --compress=xpress --quiet").ok();
    let searched = scratch.read("searched.wim").len();
    for (source, target) in [
        ("lzx", "xpress"),
        ("lzx --pipable", "xpress"),
        ("lzx", "xpress --pipable"),
        ("lzx:20", "xpress"),
        ("lzx --chunk-size=64K", "xpress --chunk-size=64K"),
        ("xpress", "lzx:20"),
        ("lzms --chunk-size=32K", "xpress --chunk-size=32K"),
    ] {
        let what = format!("{source} to {target}");
        scratch.wimx(&format!("capture tree in.wim --compress={source} --quiet")).ok();
        let outputs = [1, 2, 7].map(|threads| {
            let guid = "--guid=00112233-4455-6677-8899-aabbccddeeff";
            let line =
                format!("export in.wim 1 out.wim --compress={target} --threads={threads} {guid}");
            scratch.wimx(&format!("{line} --quiet")).ok();
            // 7-Zip reads no pipable archives.
            scratch.verifies("out.wim");
            let bytes = scratch.read("out.wim");
            scratch.holds("out.wim", 1, &seen_tree);
            if target == "xpress" && !source.contains("pipable") {
                let wim = scratch.open("out.wim");
                let blobs = wim.parts()[0].blobs.blobs.iter().filter(|blob| blob.size == 3 << 20);
                let is_raw = |blob: &Blob| match blob.place {
                    BlobPlace::Resource(resource) => !resource.is_compressed(),
                    BlobPlace::Solid { .. } => false,
                };
                assert_eq!(blobs.map(is_raw).collect::<Vec<_>>(), [true; 3], "{what}");
            }
            fs::remove_file(scratch.path("out.wim")).expect("it can be removed");
            bytes
        });
        assert!(outputs.iter().all(|bytes| *bytes == outputs[0]), "{what}: threads matter");
        if (source, target) == ("lzx", "xpress") {
            let hinted = outputs[0].len();
            assert!(hinted < searched, "{hinted} bytes by hints, {searched} without");
        }
        let mut damaged = fs::read(scratch.path("in.wim")).expect("it was made");
        for eighth in [2, 5, 7] {
            let at = damaged.len() * eighth / 8;
            damaged[at] = !damaged[at];
            fs::write(scratch.path("damaged.wim"), &damaged).expect("it can be written");
            damaged[at] = !damaged[at];
            let line = format!("export damaged.wim 1 out.wim --compress={target}");
            let done = scratch.wimx(&line);
            assert!([2, 28].contains(&done.code()), "{what}, {eighth}: {}", done.stderr);
            let names = ["damaged.wim", "image 1: /file ", "image 1: /noise"];
            let named = names.map(|name| done.stderr.contains(name));
            assert!(named[0] && (named[1] || named[2]), "{what}, {eighth}: {}", done.stderr);
        }
        fs::remove_file(scratch.path("in.wim")).expect("it can be removed");
    }
    assert!(!scratch.names().contains(&"out.wim".to_owned()));
}
