//! Whole operations on a small WIM that is made here: open, metadata, verify, export, apply, extract.
//!
//! ```text
//! cargo bench -p osupg-benches --bench operations                     # uncompressed
//! WIM=install.wim cargo bench -p osupg-benches --bench operations     # your own, image 1
//! ```
//!
//! The WIM made here is uncompressed, so that what is measured is everything but the codecs, which have
//! groups of their own. Files are read and written in a temporary folder (`TMPDIR`; best a tmpfs). For
//! figures beside other programs see the command `compare`.

use std::fs;
use std::path::{Path, PathBuf};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use wim_extract::archive::{ImageIndex, OpenOptions, Wim};
use wim_extract::pipeline::Threads;
use wim_extract::write::{Options, WimWriter};
use wim_extract::{Cancel, Silent, apply, export, verify};
use wim_format::metadata::{ImageBuilder, Inode};
use wim_format::time::FileTime;

/// Folders of the WIM, and files in each.
const FOLDERS: usize = 100;
const FILES: usize = 40;
/// Every so many files one is large.
const LARGE_EVERY: usize = 200;
/// Bytes of a large file, and most bytes of the others.
const LARGE: usize = 1 << 20;
const SMALL: usize = 1 << 14;

fn operations(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = match std::env::var_os("WIM") {
        Some(path) => PathBuf::from(path),
        None => make_wim(&folder.path().join("made.wim")),
    };
    let open = || Wim::open(&path, &OpenOptions::default()).expect("a sound WIM");
    let wim = open();
    let image = wim.image(1).expect("an image");
    let bytes: u64 = wim.blobs().map(|(_, blob)| blob.size).sum();

    let mut group = criterion.benchmark_group("operations");
    group.sample_size(10);
    group.bench_function("open", |bencher| bencher.iter(open));
    group.bench_function("metadata", |bencher| {
        // The tree is kept once it has been read, so every turn needs an archive of its own.
        let read = |wim: Wim| wim.metadata(image).map(|tree| tree.len()).expect("a sound tree");
        bencher.iter_batched(open, read, BatchSize::PerIteration);
    });
    group.bench_function("extract one file", |bencher| {
        let file = some_file(&wim, image);
        let selection = apply::Selection {
            paths: vec![&file],
            matching: apply::Matching::Literal,
            ..apply::Selection::default()
        };
        let options = apply::Options::default();
        bencher.iter_batched(
            || (open(), fresh()),
            |(wim, target)| {
                let (target, cancel) = (target.path(), Cancel::new());
                apply::extract(&wim, image, &selection, target, &options, &Silent, &cancel)
                    .expect("a sound file");
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Bytes(bytes));
    for (name, threads) in [("all threads", Threads::default()), ("one thread", Threads::ONE)] {
        group.bench_function(format!("verify, {name}"), |bencher| {
            let options = verify::Options { threads, ..verify::Options::default() };
            bencher.iter(|| {
                let outcome = verify::run(&wim, &options, &Silent, &Cancel::new());
                assert!(outcome.expect("nothing fails").is_sound());
            });
        });
        group.bench_function(format!("apply, {name}"), |bencher| {
            let options = apply::Options { threads, ..apply::Options::default() };
            bencher.iter_batched(
                fresh,
                |target| {
                    let target = target.path().join("tree");
                    apply::run(&wim, image, &target, &options, &Silent, &Cancel::new())
                        .expect("nothing fails");
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("export, raw copy", |bencher| {
        let options = export::Options::default();
        bencher.iter_batched(
            || (open(), fresh()),
            |(wim, target)| {
                let target = target.path().join("exported.wim");
                export::run(&wim, &[image], &target, &options, &Silent, &Cancel::new())
                    .expect("nothing fails");
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A folder of its own for the output of one turn; removed outside the measured time.
fn fresh() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The path of a file from the middle of the image.
fn some_file(wim: &Wim, image: ImageIndex) -> Vec<u8> {
    let tree = wim.metadata(image).expect("a sound tree");
    let files: Vec<_> =
        tree.ids().filter(|&id| wim.find(&tree.dentry(id).data_hash()).is_some()).collect();
    tree.path(*files.get(files.len() / 2).expect("a file"))
}

/// Writes a WIM of many small files and a few large ones.
fn make_wim(path: &Path) -> PathBuf {
    let mut writer = WimWriter::create(path, &Options::default()).expect("a new file");
    let mut image = ImageBuilder::new(Inode::directory());
    let mut number = 0;
    for folder in 0..FOLDERS {
        let name = format!("folder {folder}");
        let parent =
            image.add(ImageBuilder::ROOT, name.as_str(), Inode::directory()).expect("a new name");
        for file in 0..FILES {
            number += 1;
            let len = if number % LARGE_EVERY == 0 { LARGE } else { number * 97 % SMALL };
            let hash = writer.add_blob(&content(number, len)).expect("room for a blob");
            let inode = Inode::file(hash);
            let name = format!("file {file}");
            image.add(parent, name.as_str(), inode).expect("a new name");
        }
    }
    let image = image.to_bytes().expect("a small tree");
    writer.add_image("made", image, FileTime(0)).expect("an image");
    writer.finish(&Silent, &Cancel::new()).expect("a whole file");
    fs::canonicalize(path).expect("the file is there")
}

/// Bytes that differ from file to file.
fn content(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (((i + seed) * (i ^ seed)) >> 5) as u8).collect()
}

criterion_group!(benches, operations);
criterion_main!(benches);
