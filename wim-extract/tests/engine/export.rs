//! Exporting to a new file.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::export::{
    self, Compression, IntegrityTable, Options, Outcome, Recompress, Verification,
};
use wim_extract::pipeline::Threads;
use wim_extract::progress::{Amount, Phase};
use wim_extract::{Cancel, Error, Progress, Silent};
use wim_format::Codec;
use wim_format::header::{Layout, Version};
use wim_format::testing::{Chunks, TinyWim};

use crate::samples;

pub(crate) fn all(wim: &Wim) -> Vec<ImageIndex> {
    wim.images().collect()
}

fn run(wim: &Wim, images: &[ImageIndex], to: &Path, options: &Options) -> Result<Outcome, Error> {
    let tally = Tally::default();
    let outcome = export::run(wim, images, to, options, &tally, &Cancel::new())?;
    let [total, done] = tally.0.map(AtomicU64::into_inner);
    assert_eq!(done, total, "bytes done and bytes promised, {options:?}");
    Ok(outcome)
}

/// Bytes promised and done of the phase in which the output is written.
#[derive(Default)]
struct Tally([AtomicU64; 2]);

impl Progress for Tally {
    fn begin(&self, phase: Phase, total: Amount) {
        let promised = if phase == Phase::Write { total.bytes } else { 0 };
        self.0[0].store(promised, Ordering::Relaxed);
        self.0[1].store(0, Ordering::Relaxed);
    }

    fn advance(&self, done: Amount) {
        self.0[1].fetch_add(done.bytes, Ordering::Relaxed);
    }
}

fn fixed() -> Options {
    Options { guid: Some([7; 16]), ..Options::default() }
}

/// What of an image has to survive an export: its tree, its data, and what the XML says of it.
fn contents(wim: &Wim) -> Vec<(Vec<u8>, String)> {
    wim.images()
        .map(|image| {
            let tree = wim.metadata(image).unwrap();
            let xml =
                format!("{:?}", wim.xml().image(image.get()).map(|xml| (xml.name, xml.flags)));
            (tree.bytes().to_vec(), xml)
        })
        .collect()
}

#[test]
fn every_layout_is_exported_in_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources: Vec<_> = samples::WHOLE.iter().map(|name| samples::open(name)).collect();
    sources.push(samples::open_split());
    sources.push(samples::open_bytes(samples::all_sizes(32768).0));
    sources.push(samples::open_bytes(samples::solid(32768).0));
    for (number, wim) in sources.iter().enumerate() {
        let mut lengths = Vec::new();
        for compression in [Compression::AsSource, Compression::Stored] {
            for integrity in [IntegrityTable::Keep, IntegrityTable::Write] {
                for verification in [Verification::Trust, Verification::Check] {
                    let options = Options { compression, integrity, verification, ..fixed() };
                    let path = dir.path().join("out.wim");
                    let outcome = run(wim, &all(wim), &path, &options).unwrap();
                    let copy = samples::open_file(&path);
                    let found = samples::verify(&copy, 2);
                    assert!(found.is_sound(), "{number} {options:?}: {:?}", found.problems);
                    assert_eq!(found.integrity_tables > 0, integrity == IntegrityTable::Write);
                    assert_eq!(contents(&copy), contents(wim));
                    assert_eq!(copy.header().layout, Layout::Normal);
                    assert_eq!(
                        copy.codec().is_none(),
                        compression == Compression::Stored || wim.codec().is_none()
                    );
                    assert_eq!(outcome.len, std::fs::metadata(&path).unwrap().len());
                    assert_eq!(copy.xml().total_bytes(), Some(copy.header().xml.offset));
                    lengths.push(outcome.len);
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
        // What is checked meanwhile makes no difference to the file.
        assert!(lengths.chunks(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn the_same_bytes_come_out_whatever_the_threads_and_whether_written_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let (sizes, _) = samples::all_sizes(32768);
    let on_disk = dir.path().join("sizes.wim");
    std::fs::write(&on_disk, &sizes).unwrap();
    for wim in [
        samples::open("v4.wim"),
        samples::open_split(),
        samples::open_file(&on_disk),
        samples::open_bytes(sizes),
        samples::open_bytes(samples::solid(32768).0),
    ] {
        for compression in [Compression::AsSource, Compression::Stored] {
            let mut files: Vec<Vec<u8>> = Vec::new();
            let integrity = IntegrityTable::Write;
            for threads in [1, 2, 5] {
                let threads = Threads::new(threads);
                let options = Options { compression, integrity, threads, ..fixed() };
                let path = dir.path().join("out.wim");
                run(&wim, &all(&wim), &path, &options).unwrap();
                files.push(std::fs::read(&path).unwrap());
                std::fs::remove_file(&path).unwrap();
                let plan = export::plan(&wim, &all(&wim), &options, &Cancel::new()).unwrap();
                assert_eq!(plan.len(), files[0].len() as u64);
                match plan.source("view", &Cancel::new()) {
                    Ok(view) => {
                        let len = view.len();
                        files.push(view.bytes(0, len as usize).unwrap().to_vec());
                        let pieces = (0..len).step_by(1000).flat_map(|at| {
                            let len = (len - at).min(1000) as usize;
                            view.bytes(at, len).unwrap().to_vec()
                        });
                        files.push(pieces.collect());
                        assert!(view.bytes(len, 1).is_err());
                    }
                    Err(error) => assert_eq!(compression, Compression::Stored, "{error}"),
                }
            }
            assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}

#[test]
fn an_export_of_a_normal_archive_changes_only_what_it_must() {
    // Exported whole, with the GUID of the source, nothing differs at all.
    let dir = tempfile::tempdir().unwrap();
    for name in ["v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim", "v5.wim"] {
        let wim = samples::open(name);
        let path = dir.path().join(name);
        let options = Options { guid: Some(wim.header().guid), ..Options::default() };
        run(&wim, &all(&wim), &path, &options).unwrap();
        assert!(std::fs::read(&path).unwrap() == samples::bytes(name), "{name}");
    }
}

#[test]
fn a_pipable_archive_becomes_what_a_normal_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("normal.wim");
    let wim = samples::open("v4.wim");
    run(&wim, &all(&wim), &path, &fixed()).unwrap();
    let (normal, twin) = (samples::open_file(&path), samples::open("v2lzx.wim"));
    let places = |wim: &Wim| -> Vec<_> {
        wim.blobs().map(|(_, blob)| (blob.hash, blob.size, blob.place)).collect()
    };
    let sizes = |wim: &Wim| -> Vec<_> {
        let mut sizes: Vec<_> = places(wim)
            .into_iter()
            .map(|(hash, _, place)| match place {
                wim_format::blob_table::BlobPlace::Resource(place) => {
                    (hash, place.size, place.flags, place.uncompressed_size)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        sizes.sort_by_key(|entry| entry.0);
        sizes
    };
    // The same files, captured by wimlib without --pipable.
    assert_eq!(sizes(&normal), sizes(&twin));
}

#[test]
fn of_a_solid_resource_only_the_chunks_in_use_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, blobs) = samples::solid(32768);
    let wim = samples::open_bytes(bytes);
    let path = dir.path().join("ends.wim");
    for (image, blobs) in [(2, [&blobs[0], &blobs[5]]), (3, [&blobs[3], &blobs[7]])] {
        let image = wim.image(image).unwrap();
        let outcome = run(&wim, &[image], &path, &fixed()).unwrap();
        let copy = samples::open_file(&path);
        assert!(samples::verify(&copy, 2).is_sound());
        assert_eq!(copy.blob_count(), 2);
        assert_eq!(copy.header().version, Version::Solid);
        let kept: u64 =
            copy.parts()[0].blobs.solid.iter().map(|s| s.header.uncompressed_size).sum();
        let used: usize = blobs.iter().map(|blob| blob.len()).sum();
        assert_eq!(outcome.carried, kept - used as u64);
        assert!(kept < 5 * 32768, "{kept} bytes kept for {used}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn names_descriptions_and_boot_marks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.wim");
    let wim = samples::open("v1.wim");
    let image = all(&wim);
    let cases = [
        (None, None, Some("NM"), Some("DESC")),
        (Some("new"), Some("other"), Some("new"), Some("other")),
        (Some(""), Some(""), None, None),
    ];
    for (name, description, expected_name, expected_description) in cases {
        let options = Options {
            name: name.map(str::to_owned),
            description: description.map(str::to_owned),
            boot: export::Boot::Mark,
            ..fixed()
        };
        let outcome = run(&wim, &image, &path, &options).unwrap();
        assert_eq!(outcome.images, [1]);
        let copy = samples::open_file(&path);
        let xml = copy.xml().image(1).unwrap();
        assert_eq!(xml.name.as_deref(), expected_name);
        assert_eq!(xml.description.as_deref(), expected_description);
        assert_eq!(copy.header().boot_image(), Some(1));
        let metadata = copy.metadata_entry(copy.image(1).unwrap()).unwrap().resource;
        assert_eq!(copy.header().boot_metadata, metadata);
        std::fs::remove_file(&path).unwrap();
    }
    // Without a mark none is booted, though the source boots it.
    assert_eq!(wim.header().boot_image(), Some(1));
    run(&wim, &image, &path, &fixed()).unwrap();
    assert_eq!(samples::open_file(&path).header().boot_image(), None);
}

#[test]
fn data_of_another_compression_is_compressed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.wim");
    for source in ["v1.wim", "v2lzx.wim", "v3.wim", "v4.wim"] {
        let wim = samples::open(source);
        for (codec, chunk_size) in [
            (Codec::Xpress, 32768),
            (Codec::Xpress, 4096),
            (Codec::Lzx, 65536),
            (Codec::Lzx, 32768),
            (Codec::Lzms, 131_072),
        ] {
            let compression = Compression::Chunks { codec, chunk_size };
            let once = |threads, recompress| {
                let threads = Threads::new(threads);
                let options = Options { compression, threads, recompress, ..fixed() };
                run(&wim, &all(&wim), &path, &options).unwrap();
                let written = std::fs::read(&path).unwrap();
                let out = samples::open_file(&path);
                assert_eq!(contents(&out), contents(&wim));
                assert!(samples::verify(&out, 2).is_sound());
                assert_eq!(out.codec(), Some(codec));
                assert_eq!(out.header().chunk_size, chunk_size);
                std::fs::remove_file(&path).unwrap();
                written
            };
            let always = once(1, Recompress::Always);
            assert_eq!(always, once(3, Recompress::Always));
            assert_eq!(once(1, Recompress::WhenNeeded), once(3, Recompress::WhenNeeded));
        }
        let large = Compression::Chunks { codec: Codec::Lzms, chunk_size: 128 << 20 };
        let options = Options { compression: large, recompress: Recompress::Always, ..fixed() };
        let error = run(&wim, &all(&wim), &path, &options).unwrap_err();
        assert_eq!(error.code(), 68, "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn damage_is_noticed_where_it_is_looked_for_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.wim");
    let mut wim = TinyWim::new(Some(Codec::Lzx), 32768);
    let blob = samples::noise(50_000, 1);
    wim.blob(&blob, Chunks::Raw);
    wim.image("one", samples::image_of([&blob]), Chunks::Stored);
    let mut bytes = wim.build();
    bytes[300] ^= 1;
    let wim = samples::open_bytes(bytes);
    let check = Options { verification: Verification::Check, ..fixed() };
    let stored = Options { compression: Compression::Stored, ..fixed() };
    for options in [check, stored] {
        let error = run(&wim, &all(&wim), &path, &options).unwrap_err();
        assert_eq!(error.code(), 28);
        assert!(error.to_string().contains("image 1: /file00"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    run(&wim, &all(&wim), &path, &fixed()).unwrap();
    assert_eq!(samples::verify(&samples::open_file(&path), 1).code(), 28);
}

#[test]
fn a_missing_blob_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let wim = samples::open("v5.swm");
    let error = run(&wim, &all(&wim), &dir.path().join("out.wim"), &fixed()).unwrap_err();
    assert_eq!(error.code(), 55);
    let text = error.to_string();
    assert!(text.contains("image 1: /r2.bin") && text.contains("--ref"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let wim = samples::open_bytes(samples::all_sizes(32768).0);
    for compression in [Compression::AsSource, Compression::Stored] {
        let cancel = Cancel::new();
        let options = Options { compression, ..fixed() };
        let plan = export::plan(&wim, &all(&wim), &options, &cancel).unwrap();
        cancel.cancel();
        let error = plan.write(&dir.path().join("out.wim"), &Silent, &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn counts_are_corrected_and_everything_else_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.wim");
    let mut tiny = TinyWim::new(None, 0);
    let blob = samples::noise(100, 1);
    tiny.blob(&blob, Chunks::Stored);
    tiny.image("one", samples::image_of([&blob]), Chunks::Stored);
    let text = "\u{feff}<WIM><TOTALBYTES>1</TOTALBYTES>\
                <IMAGE INDEX=\"1\" odd='x'><FILECOUNT>77</FILECOUNT><!-- kept --><NAME>a &amp; b</NAME>\
                <UNKNOWN><INNER/> text </UNKNOWN></IMAGE></WIM>";
    let bytes = tiny
        .build_with(|draft| draft.xml = text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    let wim = samples::open_bytes(bytes);
    run(&wim, &all(&wim), &path, &fixed()).unwrap();
    let copy = samples::open_file(&path);
    let xml = copy.xml().to_text();
    assert!(xml.contains("odd='x'><FILECOUNT>1</FILECOUNT><!-- kept --><NAME>a &amp; b</NAME>"));
    assert!(xml.contains("<UNKNOWN><INNER/> text </UNKNOWN>"), "{xml}");
    let image = copy.xml().image(1).unwrap();
    assert_eq!((image.dir_count, image.total_bytes), (Some(1), Some(100)));
}
