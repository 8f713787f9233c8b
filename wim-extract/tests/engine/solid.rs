//! Solid resources: written, added to, taken apart, put together again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wim_extract::archive::{OpenOptions, Wim};
use wim_extract::capture::{self, SourceTree};
use wim_extract::export::{
    self, Compression, Existing, Grouping, IntegrityTable, Pipable, Recompress, Solid, SolidOrder,
};
use wim_extract::pipeline::Threads;
use wim_extract::{Cancel, Error, Silent, rebuild, split};
use wim_format::blob_table::BlobPlace;
use wim_format::header::Version;
use wim_format::testing::{Chunks, TinyWim};
use wim_format::{Codec, Level, Sha1Hash};

use crate::export::all;
use crate::samples;

const LZX: Compression = Compression::Chunks { codec: Codec::Lzx, chunk_size: 32 << 10 };
const LZMS: Compression = Compression::Chunks { codec: Codec::Lzms, chunk_size: 128 << 10 };

/// Solid resources of small chunks, so that there are many.
fn solid(codec: Codec, chunk_size: u32) -> Solid {
    Solid { codec, chunk_size, level: Level::Fast, order: SolidOrder::Name }
}

fn kinds() -> [Solid; 4] {
    [
        solid(Codec::Xpress, 4 << 10),
        solid(Codec::Lzx, 64 << 10),
        solid(Codec::Lzms, 32 << 10),
        // Larger than a thread's share of a batch.
        solid(Codec::Lzms, 16 << 20),
    ]
}

/// Files of sizes around the borders of chunks, one twice, some alike, and an empty one.
fn tree(at: &Path) {
    fs::create_dir_all(at.join("deep/er")).unwrap();
    for (seed, (name, size)) in [
        ("z.bin", 0),
        ("b.txt", 1),
        ("deep/a.txt", 40_000),
        ("c.DLL", 65_536),
        ("deep/er/b.dll", 65_537),
        ("README", 300_000),
        ("a.bin", (9 << 20) + 3),
    ]
    .into_iter()
    .enumerate()
    {
        let noise = samples::noise(usize::min(size, 30_000), seed as u64);
        let data: Vec<u8> = noise.into_iter().cycle().take(size).collect();
        fs::write(at.join(name), &data).unwrap();
        fs::write(at.join(format!("deep/er/again{seed}")), &data).unwrap();
    }
}

fn capture_to(source: &Path, to: &Path, options: &capture::Options) -> Result<u64, Error> {
    let sources = [SourceTree::root(source.to_owned())];
    let options = capture::Options { guid: Some([1; 16]), level: Level::Fast, ..options.clone() };
    capture::run(&sources, to, &options, &Silent, &Cancel::new()).map(|outcome| outcome.stored)
}

/// The data of every blob.
fn data(wim: &Wim) -> BTreeMap<Sha1Hash, Vec<u8>> {
    wim.blobs().map(|(id, blob)| (blob.hash, samples::read(wim, id))).collect()
}

fn require_sound(wim: &Wim) {
    let found = samples::verify(wim, 2);
    assert!(found.is_sound(), "{:?}", found.problems);
}

/// How many blobs lie in solid resources, and how many do not.
fn counts(wim: &Wim) -> (usize, usize) {
    let is_solid = |place| matches!(place, BlobPlace::Solid { .. });
    let (solid, single): (Vec<_>, Vec<_>) = wim.blobs().partition(|(_, blob)| is_solid(blob.place));
    (solid.len(), single.len())
}

/// The codec and chunk size of every solid resource.
fn codings(wim: &Wim) -> Vec<(Option<Codec>, u32)> {
    let headers = wim.parts().iter().flat_map(|part| &part.blobs.solid);
    headers.map(|solid| (solid.header.codec, solid.header.chunk_size)).collect()
}

#[test]
fn captured_solid_it_is_the_same_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let (source, single) = (dir.path().join("tree"), dir.path().join("single.wim"));
    tree(&source);
    capture_to(&source, &single, &capture::Options::default()).unwrap();
    let expected = data(&samples::open_file(&single));
    for kind in kinds() {
        let written = [1, 3].map(|threads| {
            let to = dir.path().join(format!("{threads}.esd"));
            let options = capture::Options {
                threads: Threads::new(threads),
                compression: Some(LZMS),
                integrity: IntegrityTable::Write,
                grouping: Grouping::Solid(kind),
                ..Default::default()
            };
            let stored = capture_to(&source, &to, &options).unwrap();
            let wim = samples::open_file(&to);
            require_sound(&wim);
            assert_eq!(wim.header().version, Version::Solid);
            assert_eq!(counts(&wim), (expected.len(), 0));
            assert_eq!(codings(&wim), [(Some(kind.codec), kind.chunk_size)]);
            assert_eq!(stored, wim.parts()[0].blobs.solid[0].resource.size);
            assert!(data(&wim) == expected);
            fs::read(&to).unwrap()[208..208 + stored as usize].to_vec()
        });
        assert!(written[0] == written[1], "{kind:?}");
    }
}

#[test]
fn blobs_are_put_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.esd"));
    fs::create_dir_all(source.join("d")).unwrap();
    for name in ["b.txt", "a.dll", "d/a.TXT", "d/b.dll", "a"] {
        fs::write(source.join(name), name).unwrap();
    }
    let names = |wim: &Wim| {
        let mut blobs: Vec<_> = wim.blobs().collect();
        blobs.sort_by_key(|(_, blob)| match blob.place {
            BlobPlace::Solid { offset, .. } => offset,
            BlobPlace::Resource(resource) => resource.offset,
        });
        let data = blobs.iter().map(|(id, _)| samples::read(wim, *id));
        data.map(|data| String::from_utf8(data).unwrap()).collect::<Vec<_>>()
    };
    let by_name = ["a", "a.dll", "d/b.dll", "d/a.TXT", "b.txt"];
    let as_found = ["a", "a.dll", "b.txt", "d/a.TXT", "d/b.dll"];
    for (order, expected) in [(SolidOrder::Name, by_name), (SolidOrder::Source, as_found)] {
        let kind = Solid { order, ..solid(Codec::Lzx, 32 << 10) };
        let grouping = Grouping::Solid(kind);
        capture_to(&source, &to, &capture::Options { grouping, ..Default::default() }).unwrap();
        assert_eq!(names(&samples::open_file(&to)), expected);
        capture_to(&source, &to, &capture::Options::default()).unwrap();
        let options = rebuild::Options { grouping, ..Default::default() };
        rebuild::run(&to, &options, &Silent, &Cancel::new()).unwrap();
        assert_eq!(names(&samples::open_file(&to)), expected, "rebuilt");
    }
}

#[test]
fn an_image_without_data_has_no_solid_resource() {
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.esd"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("empty"), "").unwrap();
    let grouping = Grouping::Solid(Solid::ESD);
    capture_to(&source, &to, &capture::Options { grouping, ..Default::default() }).unwrap();
    let wim = samples::open_file(&to);
    assert!(codings(&wim).is_empty());
    require_sound(&wim);
}

#[test]
fn what_is_added_to_a_solid_archive_goes_into_another_solid_resource() {
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.esd"));
    tree(&source);
    let kind = solid(Codec::Lzms, 64 << 10);
    let grouping = Grouping::Solid(kind);
    let options = capture::Options { grouping, compression: Some(LZMS), ..Default::default() };
    capture_to(&source, &to, &options).unwrap();
    fs::write(source.join("new.txt"), samples::noise(100_000, 77)).unwrap();
    fs::write(source.join("other.txt"), samples::noise(5, 78)).unwrap();
    let into = capture::Into::Existing;
    for (number, existing) in [Existing::Append, Existing::Rebuild].into_iter().enumerate() {
        let name = format!("image {number}");
        fs::write(source.join("last"), samples::noise(70_000, 80 + number as u64)).unwrap();
        let options = capture::Options { into, existing, name, ..Default::default() };
        capture_to(&source, &to, &options).unwrap();
        let wim = samples::open_file(&to);
        require_sound(&wim);
        assert_eq!(counts(&wim).1, 0, "{existing:?}");
        let expected = (Some(kind.codec), kind.chunk_size);
        assert_eq!(codings(&wim), vec![expected; 2 + number]);
    }
    let before = data(&samples::open_file(&to));
    let options = rebuild::Options { recompress: Recompress::Always, ..Default::default() };
    rebuild::run(&to, &options, &Silent, &Cancel::new()).unwrap();
    let wim = samples::open_file(&to);
    assert_eq!(codings(&wim), [(Some(kind.codec), kind.chunk_size)], "all in one again");
    assert!(data(&wim) == before);
    require_sound(&wim);
}

#[test]
fn every_archive_becomes_a_solid_one_and_is_taken_apart_again() {
    let dir = tempfile::tempdir().unwrap();
    let (esd, wim_path) = (dir.path().join("x.esd"), dir.path().join("x.wim"));
    let mut sources: Vec<_> = samples::WHOLE.iter().map(|name| samples::open(name)).collect();
    sources.push(samples::open_split());
    sources.push(samples::open_bytes(samples::all_sizes(32768).0));
    sources.push(samples::open_bytes(samples::solid(32768).0));
    for source in &sources {
        let before = data(source);
        // Much data in one fast way, little in all.
        let is_large = before.values().map(Vec::len).sum::<usize>() > 1 << 20;
        for kind in kinds().into_iter().take(if is_large { 1 } else { 4 }) {
            let once = |threads| {
                let threads = Threads::new(threads);
                let grouping = Grouping::Solid(kind);
                let guid = Some([7; 16]);
                let options = export::Options {
                    threads,
                    compression: LZX,
                    grouping,
                    guid,
                    ..Default::default()
                };
                let images = all(source);
                export::run(source, &images, &esd, &options, &Silent, &Cancel::new()).unwrap();
                let bytes = fs::read(&esd).unwrap();
                let solid = samples::open_file(&esd);
                require_sound(&solid);
                assert!(data(&solid) == before);
                assert_eq!(counts(&solid), (before.len(), 0));
                fs::remove_file(&esd).unwrap();
                bytes
            };
            let bytes = once(1);
            assert!(bytes == once(3), "{kind:?}");
            fs::write(&esd, bytes).unwrap();
            let solid = samples::open_file(&esd);
            // Copied as it is where it has the coding that is asked for.
            let again = dir.path().join("again.esd");
            let options = export::Options {
                compression: LZX,
                grouping: Grouping::Solid(kind),
                ..Default::default()
            };
            let done = export::run(&solid, &all(&solid), &again, &options, &Silent, &Cancel::new());
            assert_eq!(done.unwrap().decoded, 0);
            assert!(data(&samples::open_file(&again)) == before);
            let options = export::Options {
                compression: LZX,
                grouping: Grouping::Single,
                ..Default::default()
            };
            export::run(&solid, &all(&solid), &wim_path, &options, &Silent, &Cancel::new())
                .unwrap();
            let apart = samples::open_file(&wim_path);
            assert_eq!(counts(&apart), (0, before.len()));
            assert_eq!(apart.header().version, Version::Normal);
            assert!(data(&apart) == before);
            require_sound(&apart);
            for path in [&esd, &again, &wim_path] {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// Dealt out while it is compressed: as full as parts may be, the same for any number of threads.
#[test]
fn a_solid_archive_is_split_into_compressed_parts() {
    let dir = tempfile::tempdir().unwrap();
    let (source, esd) = (dir.path().join("tree"), dir.path().join("out.esd"));
    tree(&source);
    // Longer than a batch, and hardly smaller when compressed: its length is known at its end.
    fs::write(source.join("deep/noise"), samples::noise(9 << 20, 5)).unwrap();
    fs::write(source.join("deep/zz"), samples::noise(50_000, 6)).unwrap();
    let grouping = Grouping::Solid(solid(Codec::Xpress, 64 << 10));
    capture_to(&source, &esd, &capture::Options { grouping, ..Default::default() }).unwrap();
    let wim = samples::open_file(&esd);
    let before = data(&wim);
    for (compression, codec, part_size) in [
        (Compression::AsSource, Some(Codec::Lzx), 100_000),
        (Compression::AsSource, Some(Codec::Lzx), 9_600_000),
        (Compression::AsSource, Some(Codec::Lzx), 1 << 40),
        (Compression::Stored, None, 1_000_000),
        (Compression::Chunks { codec: Codec::Xpress, chunk_size: 4096 }, Some(Codec::Xpress), 1),
    ] {
        let sets = [1, 3].map(|threads| {
            let options = split::Options {
                threads: Threads::new(threads),
                integrity: IntegrityTable::Write,
                guid: Some([3; 16]),
                compression,
                level: Level::Fast,
                ..Default::default()
            };
            let first = dir.path().join("p.swm");
            let done = split::run(&wim, &first, part_size, &options, &Silent, &Cancel::new());
            let parts = done.unwrap().parts;
            let references = vec![dir.path().join("p*.swm").display().to_string()];
            let options = OpenOptions { references, ..OpenOptions::default() };
            let set = Wim::open(&first, &options).unwrap();
            require_sound(&set);
            assert_eq!((set.codec(), counts(&set).0), (codec, 0));
            assert!(data(&set) == before);
            let mut used = vec![0; parts.len()];
            for (part, of) in set.parts().iter().zip(&parts) {
                let number = usize::from(part.header.part_number) - 1;
                let sizes = part.blobs.blobs.iter().map(|blob| match blob.place {
                    BlobPlace::Resource(resource) => resource.size,
                    BlobPlace::Solid { .. } => unreachable!("parts have none"),
                });
                let images = part.blobs.metadata.iter().map(|image| image.resource.size);
                used[number] = sizes.chain(images).sum::<u64>();
                assert!(used[number] <= part_size || part.blobs.blobs.len() <= 1, "{used:?}");
                assert_eq!(of.blobs, parts[number].blobs);
            }
            let bytes: Vec<_> = parts.iter().map(|part| fs::read(&part.path).unwrap()).collect();
            assert_eq!(
                bytes.iter().map(|bytes| bytes.len() as u64).collect::<Vec<_>>(),
                parts.iter().map(|part| part.len).collect::<Vec<_>>()
            );
            parts.iter().for_each(|part| fs::remove_file(&part.path).unwrap());
            bytes
        });
        assert!(sets[0] == sets[1], "{compression:?}, {part_size}");
        // Two parts that could have been one are one.
        assert_eq!(sets[0].len() == 1, part_size == 1 << 40);
    }
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 2, "nothing is left");
}

#[test]
fn a_pipable_archive_has_no_solid_resources() {
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.wim"));
    tree(&source);
    let (pipable, grouping) = (Pipable::Yes, Grouping::Solid(Solid::ESD));
    let options = capture::Options { pipable, grouping, ..Default::default() };
    let error = capture_to(&source, &to, &options).unwrap_err();
    assert_eq!(error.code(), 24, "{error}");
    let wim = samples::open("v3.wim");
    let options = export::Options { pipable, grouping, ..Default::default() };
    let error = export::run(&wim, &all(&wim), &to, &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 24, "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn chunks_that_cannot_be_made_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.wim"));
    tree(&source);
    for (codec, chunk_size, code) in
        [(Codec::Lzms, 128 << 20, 68), (Codec::Lzx, 4096, 68), (Codec::Xpress, 100, 68)]
    {
        let grouping = Grouping::Solid(solid(codec, chunk_size));
        let options = capture::Options { grouping, ..Default::default() };
        let error = capture_to(&source, &to, &options).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn damage_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, _) = samples::solid(32768);
    bytes[60_000] ^= 1;
    let wim = samples::open_bytes(bytes);
    let to = dir.path().join("out.esd");
    let grouping = Grouping::Solid(solid(Codec::Lzms, 128 << 10));
    let options = export::Options { compression: LZX, grouping, ..Default::default() };
    let error = export::run(&wim, &all(&wim), &to, &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 28, "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Room for tables is left before any data is seen; what an archive claims costs no memory.
#[test]
fn sizes_that_are_only_claimed_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out.esd");
    let (small, large) = (samples::noise(100, 1), samples::noise(400_000, 2));
    let mut tiny = TinyWim::new(Some(Codec::Lzms), 1 << 30);
    tiny.blob(&small, Chunks::Raw);
    tiny.blob(&large, Chunks::Raw);
    tiny.image("one", samples::image_of([&small, &large]), Chunks::Stored);
    let bytes = tiny.build_with(|draft| {
        // The third entry; there is a byte of the file for each chunk.
        draft.blob_table[2 * 50 + 16..][..8].copy_from_slice(&(1u64 << 45).to_le_bytes());
    });
    let wim = samples::open_bytes(bytes);
    assert!(!samples::verify(&wim, 1).is_sound());
    for grouping in [Grouping::Solid(solid(Codec::Xpress, 4096)), Grouping::Single] {
        let compression = Compression::Chunks { codec: Codec::Xpress, chunk_size: 4096 };
        let options = export::Options { compression, grouping, ..Default::default() };
        let done = export::run(&wim, &all(&wim), &to, &options, &Silent, &Cancel::new());
        let code = done.unwrap_err().code();
        assert!([2, 72].contains(&code), "{grouping:?}: {code}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
