//! Pipable archives: what they are made of, and reading them from the first byte to the last.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use support::{Found, found_in, noise};
use wim_extract::apply::{self, Outcome};
use wim_extract::archive::Wim;
use wim_extract::capture::{self, SourceTree};
use wim_extract::export::{self, Compression, IntegrityTable, Pipable, Recompress};
use wim_extract::piped::PipedWim;
use wim_extract::pipeline::Threads;
use wim_extract::source::{Access, MemorySource};
use wim_extract::{Cancel, Error, Silent, archive::OpenOptions, rebuild, verify};
use wim_format::Codec;
use wim_format::header::{HEADER_LEN, Header, Layout};
use wim_format::resource::{BLOB_HEADER_LEN, BlobHeader, ResourceHeader};

const CODINGS: [Compression; 5] = [
    Compression::Stored,
    Compression::Chunks { codec: Codec::Xpress, chunk_size: 4 << 10 },
    Compression::Chunks { codec: Codec::Xpress, chunk_size: 32 << 10 },
    Compression::Chunks { codec: Codec::Lzx, chunk_size: 32 << 10 },
    Compression::Chunks { codec: Codec::Lzx, chunk_size: 2 << 20 },
];

/// Gives a few bytes at a time, as pipes do.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 7 % 8191 + 1;
        let len = self.1.min(out.len());
        self.0.read(&mut out[..len])
    }
}

/// A tree with equal, empty, linked, incompressible and compressible files.
fn small_tree(root: &Path) {
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::write(root.join("text"), "a line of text, again and again\n".repeat(90)).unwrap();
    fs::write(root.join("d/same"), "a line of text, again and again\n".repeat(90)).unwrap();
    fs::write(root.join("noise"), noise(300, 1)).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::hard_link(root.join("noise"), root.join("d/e/linked")).unwrap();
    symlink("text", root.join("link")).unwrap();
}

fn stream(tree: &Path, compression: Compression) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    let options = capture::Options {
        name: "first".to_owned(),
        compression: Some(compression),
        ..Default::default()
    };
    let sources = [SourceTree::root(tree.to_owned())];
    let out = file.try_clone().unwrap();
    let done = capture::to_stream(&sources, out, &options, &Silent, &Cancel::new()).unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(done.len, bytes.len() as u64);
    bytes
}

fn apply_stream(bytes: &[u8], target: &Path) -> Result<Outcome, Error> {
    let cancel = Cancel::new();
    let wim = PipedWim::open(Dribble(bytes, 1), "a pipe", &cancel)?;
    let image = wim.resolve(None)?;
    let options = apply::Options { threads: Threads::new(2), ..Default::default() };
    apply::run_piped(wim, image, target, &options, &Silent, &cancel)
}

fn open(bytes: &[u8]) -> Wim {
    Wim::from_source(std::sync::Arc::new(MemorySource::new(bytes.to_vec(), "x.wim")), []).unwrap()
}

fn assert_sound(wim: &Wim, layout: Layout) {
    assert_eq!(wim.header().layout, layout);
    let found = verify::run(wim, &verify::Options::default(), &Silent, &Cancel::new()).unwrap();
    assert!(found.is_sound(), "{:?}", found.problems);
}

#[test]
fn a_stream_brings_back_what_was_captured() {
    let temp = tempfile::tempdir().unwrap();
    let tree = temp.path().join("tree");
    small_tree(&tree);
    // Several batches long, the one with and the other without repetitions.
    fs::write(tree.join("large"), noise(9 << 20, 5)).unwrap();
    fs::write(tree.join("regular"), noise(1 << 20, 6).repeat(11)).unwrap();
    fs::write(tree.join("d/again"), noise(1 << 20, 6).repeat(11)).unwrap();
    for (number, compression) in CODINGS.into_iter().enumerate() {
        let bytes = stream(&tree, compression);
        assert_sound(&open(&bytes), Layout::Pipable);
        let target = temp.path().join(format!("target{number}"));
        let outcome = apply_stream(&bytes, &target).unwrap();
        assert!(found_in(&tree) == found_in(&target), "{compression:?}");
        assert_eq!((outcome.files, outcome.hard_links, outcome.directories), (8, 1, 2));
        let sizes = 2 * 2880 + 300 + (9 << 20) + 2 * (11 << 20);
        assert_eq!(outcome.bytes, sizes);
    }
}

/// The item whose resource begins at `offset`.
fn item(bytes: &[u8], place: ResourceHeader) -> BlobHeader {
    let at = place.offset as usize - BLOB_HEADER_LEN;
    BlobHeader::parse(&bytes[at..]).unwrap()
}

#[test]
fn everything_is_where_it_belongs() {
    let temp = tempfile::tempdir().unwrap();
    small_tree(temp.path());
    for compression in CODINGS {
        let bytes = stream(temp.path(), compression);
        let first = Header::parse(&bytes).unwrap();
        let last = Header::parse(&bytes[bytes.len() - HEADER_LEN..]).unwrap();
        assert!(first.blob_table.is_zero() && first.xml.is_zero() && first.integrity.is_zero());
        let tables = Header { blob_table: first.blob_table, xml: first.xml, ..last.clone() };
        assert_eq!(first, tables, "the headers differ in the tables alone");

        let wim = open(&bytes);
        let mut places = vec![ResourceHeader { offset: 0, ..last.xml }];
        let leading = BlobHeader::parse(&bytes[HEADER_LEN..]).unwrap();
        places[0].offset = (HEADER_LEN + BLOB_HEADER_LEN) as u64;
        places[0].size = leading.uncompressed_size;
        let table = &wim.parts()[0].blobs;
        places.extend(table.metadata.iter().map(|entry| entry.resource));
        for (_, blob) in wim.blobs() {
            let wim_format::blob_table::BlobPlace::Resource(place) = blob.place else {
                panic!("solid")
            };
            let header = item(&bytes, place);
            assert_eq!((header.hash, header.uncompressed_size), (blob.hash, blob.size));
            assert_eq!(header.flags, place.flags);
            places.push(place);
        }
        places.extend([last.blob_table, last.xml]);
        // Without gaps, in this order.
        let mut at = HEADER_LEN as u64;
        for place in &places {
            assert_eq!(place.offset, at + BLOB_HEADER_LEN as u64);
            at = place.end();
        }
        assert_eq!(at, (bytes.len() - HEADER_LEN) as u64);
        for (place, has_one) in [(places[0], false), (last.xml, true)] {
            let xml = &bytes[place.offset as usize..place.end() as usize];
            let xml = wim_format::xml::WimXml::parse(xml).unwrap();
            assert_eq!(xml.total_bytes(), has_one.then_some(last.xml.offset));
        }
    }
}

/// What regular files hold.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = found_in(root).into_iter().filter_map(|(path, found)| match found {
        Found::File(bytes, _) => Some((path, bytes)),
        _ => None,
    });
    files.collect()
}

/// Nothing is beside the target, and no file in it is half there.
fn assert_only_whole_files(temp: &Path, expected: &BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let mut names: Vec<_> = fs::read_dir(temp).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.retain(|name| name != "target");
    assert!(names.is_empty(), "{what}: {names:?}");
    let target = temp.join("target");
    if !target.exists() {
        return;
    }
    for (path, bytes) in contents(&target) {
        assert!(expected.get(&path) == Some(&bytes), "{what}: {}", path.display());
    }
}

#[test]
fn a_stream_may_end_anywhere() {
    let tree = tempfile::tempdir().unwrap();
    small_tree(tree.path());
    let expected = contents(tree.path());
    let bytes = stream(tree.path(), CODINGS[3]);
    let data_end = open(&bytes).header().blob_table.offset as usize - BLOB_HEADER_LEN;
    for len in (0..bytes.len()).filter(|len| len % 3 == 0 || len.abs_diff(data_end) < 50) {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("target");
        match apply_stream(&bytes[..len], &target) {
            Ok(_) => {
                assert!(len >= data_end, "{len} of {data_end}");
                assert_eq!(contents(&target), expected);
            }
            Err(error) => {
                assert!(len < data_end, "{len}: {error}");
                assert_eq!(error.code(), 65, "{len}: {error}");
                assert!(error.to_string().contains(&format!("{len} bytes")), "{error}");
            }
        }
        assert_only_whole_files(temp.path(), &expected, &format!("{len} bytes"));
    }
}

#[test]
fn any_byte_may_be_wrong() {
    let tree = tempfile::tempdir().unwrap();
    small_tree(tree.path());
    let expected = contents(tree.path());
    for compression in [CODINGS[0], CODINGS[3]] {
        let bytes = stream(tree.path(), compression);
        let data_end = open(&bytes).header().blob_table.offset as usize - BLOB_HEADER_LEN;
        let mut refused = 0;
        for at in 0..data_end {
            let temp = tempfile::tempdir().unwrap();
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            let applied = apply_stream(&wrong, &temp.path().join("target"));
            refused += usize::from(applied.is_err());
            assert_only_whole_files(temp.path(), &expected, &format!("byte {at}"));
        }
        // Of the header some bytes mean nothing, and of the chunk tables none is needed.
        assert!(refused + 250 > data_end, "{refused} of {data_end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 4]>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let tree = tempfile::tempdir().unwrap();
        small_tree(tree.path());
        let mut bytes = stream(tree.path(), CODINGS[2]);
        for (at, new) in edits {
            let at = at.index(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&new);
        }
        bytes.truncate(bytes.len() / 2 + cut.index(bytes.len()));
        let temp = tempfile::tempdir().unwrap();
        let _ = apply_stream(&bytes, &temp.path().join("target"));
        assert_only_whole_files(temp.path(), &contents(tree.path()), "edited");
    }
}

/// A length that nothing stands behind takes neither memory nor room on the disk.
#[test]
fn sizes_are_not_believed() {
    let tree = tempfile::tempdir().unwrap();
    small_tree(tree.path());
    for compression in [CODINGS[0], CODINGS[3]] {
        let bytes = stream(tree.path(), compression);
        let wim = open(&bytes);
        let mut items = vec![HEADER_LEN];
        items.extend(
            wim.parts()[0]
                .blobs
                .metadata
                .iter()
                .map(|entry| entry.resource.offset as usize - BLOB_HEADER_LEN),
        );
        items.extend(wim.blobs().map(|(_, blob)| match blob.place {
            wim_format::blob_table::BlobPlace::Resource(place) => {
                place.offset as usize - BLOB_HEADER_LEN
            }
            wim_format::blob_table::BlobPlace::Solid { .. } => panic!("solid"),
        }));
        for at in items {
            for size in [0, 1, 1 << 20, 1 << 40, 1 << 62, u64::MAX] {
                let mut wrong = bytes.clone();
                wrong[at + 8..at + 16].copy_from_slice(&u64::to_le_bytes(size));
                let temp = tempfile::tempdir().unwrap();
                apply_stream(&wrong, &temp.path().join("target")).unwrap_err();
                assert_only_whole_files(temp.path(), &contents(tree.path()), "a wrong size");
            }
        }
    }
}

#[test]
fn what_is_no_stream_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    small_tree(&temp.path().join("tree"));
    let path = temp.path().join("normal.wim");
    let sources = [SourceTree::root(temp.path().join("tree"))];
    let options = capture::Options::default();
    capture::run(&sources, &path, &options, &Silent, &Cancel::new()).unwrap();
    let target = temp.path().join("target");
    let error = apply_stream(&fs::read(&path).unwrap(), &target).unwrap_err();
    assert_eq!(error.code(), 44, "{error}");
    assert_eq!(apply_stream(b"something else", &target).unwrap_err().code(), 65);
    assert_eq!(apply_stream(&[7; 1000], &target).unwrap_err().code(), 43);
    assert!(!target.exists());

    let refused = |pipable, integrity| {
        let options = capture::Options { pipable, integrity, ..Default::default() };
        let out = File::create(temp.path().join("out")).unwrap();
        capture::to_stream(&sources, out, &options, &Silent, &Cancel::new()).unwrap_err()
    };
    assert_eq!(refused(Pipable::No, IntegrityTable::Keep).code(), 24);
    assert_eq!(refused(Pipable::Keep, IntegrityTable::Write).code(), 24);
}

/// How data is cut into pieces on its way depends on the threads; what is written does not.
#[test]
fn threads_make_no_difference() {
    let temp = tempfile::tempdir().unwrap();
    let tree = temp.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for seed in 1..4 {
        fs::write(tree.join(seed.to_string()), noise(3_000_000, seed)).unwrap();
    }
    let path = temp.path().join("normal.wim");
    let options = capture::Options { compression: Some(Compression::Stored), ..Default::default() };
    let sources = [SourceTree::root(tree)];
    capture::run(&sources, &path, &options, &Silent, &Cancel::new()).unwrap();
    let wim = Wim::open(&path, &OpenOptions::default()).unwrap();
    let images: Vec<_> = wim.images().collect();
    // Batches of 8, 9 and 15 MiB.
    let written = [1, 3, 5].map(|threads| {
        let options = export::Options {
            threads: Threads::new(threads),
            guid: Some([7; 16]),
            compression: CODINGS[2],
            ..Default::default()
        };
        let out = temp.path().join("out.wim");
        let file = File::create(&out).unwrap();
        export::to_stream(&wim, &images, file, &options, &Silent, &Cancel::new()).unwrap();
        fs::read(out).unwrap()
    });
    assert!(written[0] == written[1] && written[0] == written[2]);
    assert_sound(&open(&written[0]), Layout::Pipable);
}

/// An export to a pipe has the bytes of one to a file, for any number of threads; and from one layout
/// to the other and back nothing is lost.
#[test]
fn layouts_are_converted() {
    let temp = tempfile::tempdir().unwrap();
    let tree = temp.path().join("tree");
    small_tree(&tree);
    fs::write(tree.join("large"), noise(100_000, 3)).unwrap();
    let open = |path: &Path| {
        let options = OpenOptions { access: Access::Read, ..Default::default() };
        Wim::open(path, &options).unwrap()
    };
    for (number, compression) in CODINGS.into_iter().enumerate() {
        let normal = temp.path().join(format!("{number}.wim"));
        let options = capture::Options { compression: Some(compression), ..Default::default() };
        let sources = [SourceTree::root(tree.clone())];
        capture::run(&sources, &normal, &options, &Silent, &Cancel::new()).unwrap();
        let wim = open(&normal);
        let images: Vec<_> = wim.images().collect();
        for recompress in [Recompress::WhenNeeded, Recompress::Always] {
            let mut written = Vec::new();
            for threads in [1, 3] {
                let options = export::Options {
                    threads: Threads::new(threads),
                    guid: Some([7; 16]),
                    pipable: Pipable::Yes,
                    recompress,
                    ..Default::default()
                };
                let (file, piped) = (temp.path().join("file.wim"), temp.path().join("piped.wim"));
                let _ = fs::remove_file(&file);
                export::run(&wim, &images, &file, &options, &Silent, &Cancel::new()).unwrap();
                let out = File::create(&piped).unwrap();
                export::to_stream(&wim, &images, out, &options, &Silent, &Cancel::new()).unwrap();
                written.extend([fs::read(file).unwrap(), fs::read(piped).unwrap()]);
            }
            assert!(written.windows(2).all(|pair| pair[0] == pair[1]), "{compression:?}");
            assert_sound(&self::open(&written[0]), Layout::Pipable);
        }
        for (pipable, layout) in [
            (Pipable::Keep, Layout::Normal),
            (Pipable::Yes, Layout::Pipable),
            (Pipable::Keep, Layout::Pipable),
            (Pipable::No, Layout::Normal),
        ] {
            let options = rebuild::Options { pipable, ..Default::default() };
            rebuild::run(&normal, &options, &Silent, &Cancel::new()).unwrap();
            assert_sound(&open(&normal), layout);
        }
        // Data that was not compressed again is as it was.
        let before: Vec<_> = wim.blobs().map(|(_, blob)| (blob.hash, blob.place)).collect();
        let after = open(&normal);
        for (hash, place) in before {
            let blob = *after.blob(after.find(&hash).unwrap());
            let size = |place| match place {
                wim_format::blob_table::BlobPlace::Resource(place) => place.size,
                wim_format::blob_table::BlobPlace::Solid { .. } => panic!("solid"),
            };
            assert_eq!(size(blob.place), size(place));
        }
    }
}
