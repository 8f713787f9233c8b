//! Verifying.

use wim_extract::archive::{Integrity, OpenOptions, Wim};
use wim_extract::error::Damage;
use wim_extract::source::Access;
use wim_extract::verify::Problem;
use wim_format::Codec;
use wim_format::testing::{Chunks, TinyWim};

use crate::samples;

#[test]
fn what_wimlib_wrote_is_sound() {
    for name in samples::WHOLE {
        for access in [Access::Map, Access::Read] {
            let options = OpenOptions { access, integrity: Integrity::Check, ..<_>::default() };
            let wim = Wim::open(samples::path(name), &options).unwrap();
            for threads in [1, 2, 5] {
                let outcome = samples::verify(&wim, threads);
                assert!(outcome.is_sound(), "{name}: {:?}", outcome.problems);
                assert_eq!(outcome.code(), 0);
                assert_eq!(outcome.images, 1);
                assert!(outcome.warnings.is_empty() && wim.warnings().is_empty());
            }
        }
    }
}

#[test]
fn a_split_set_is_sound_as_a_whole_only() {
    assert!(samples::verify(&samples::open_split(), 2).is_sound());
    let outcome = samples::verify(&samples::open("v5.swm"), 2);
    assert_eq!(outcome.code(), 55);
    let missing: Vec<String> = outcome
        .problems
        .iter()
        .map(|problem| match problem {
            Problem::Missing { files, .. } => files[0].to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(missing, ["image 1: /r2.bin", "image 1: /rnd.bin"]);
    // A later part by itself has data only, and is sound as far as that goes.
    let second = samples::verify(&samples::open("v52.swm"), 2);
    assert!(second.is_sound());
    assert_eq!(second.images, 0);
}

#[test]
fn all_damage_is_listed_with_the_files_it_is_in() {
    let mut wim = TinyWim::new(Some(Codec::Lzx), 32768).with_integrity(4096);
    let blobs: Vec<_> = (0..6).map(|seed| samples::noise(20_000, seed)).collect();
    for blob in &blobs {
        wim.blob(blob, Chunks::Stored);
    }
    let lost = samples::noise(10, 99);
    wim.image("first", samples::image_of(blobs[1..].iter().chain([&lost])), Chunks::Stored);
    wim.image("second", samples::image_of(&blobs[..3]), Chunks::Stored);
    let mut bytes = wim.build();
    // Blobs 0 (in the second image only), 2 (in both) and 5.
    for blob in [0, 2, 5] {
        bytes[208 + blob * 20_000 + 10_000] ^= 1;
    }
    let expected = [
        "integrity 8400..12496",
        "integrity 49360..53456",
        "integrity 106704..110800",
        "missing image 1: /file05",
        "damaged image 2: /file00",
        "damaged image 1: /file01, image 2: /file02",
        "damaged image 1: /file04",
    ];
    let wim = samples::open_bytes(bytes);
    for threads in [1, 2, 4] {
        let outcome = samples::verify(&wim, threads);
        let found: Vec<String> = outcome.problems.iter().map(describe).collect();
        assert_eq!(found, expected);
        assert_eq!(outcome.code(), 13);
        assert_eq!(outcome.integrity_tables, 1);
    }
}

fn describe(problem: &Problem) -> String {
    let list = |files: &[wim_extract::verify::FileInImage]| {
        let files: Vec<_> = files.iter().map(ToString::to_string).collect();
        files.join(", ")
    };
    match problem {
        Problem::Integrity { range, .. } => format!("integrity {}..{}", range.start, range.end),
        Problem::Missing { files, .. } => format!("missing {}", list(files)),
        Problem::Damaged { files, damage: Damage::Hash { .. }, .. } => {
            format!("damaged {}", list(files))
        }
        other => format!("{other}"),
    }
}

#[test]
fn damaged_metadata_does_not_stop_the_rest() {
    let mut wim = TinyWim::new(None, 0);
    let blob = samples::noise(1000, 1);
    wim.blob(&blob, Chunks::Stored);
    wim.image("broken", samples::image_of([&blob]), Chunks::Stored);
    wim.image("whole", samples::image_of([&blob, &samples::noise(3, 2)]), Chunks::Stored);
    let mut bytes = wim.build();
    bytes[208 + 1000 + 60] ^= 0x80;
    bytes[208 + 500] ^= 0x80;
    let outcome = samples::verify(&samples::open_bytes(bytes), 2);
    let codes: Vec<u8> = outcome.problems.iter().map(Problem::code).collect();
    // wimlib calls it invalid metadata, whether hash or structure is wrong.
    assert_eq!(codes, [21, 55, 28]);
    let last = outcome.problems.last().unwrap();
    assert_eq!(describe(last), "damaged image 2: /file00");
}

#[test]
fn an_archive_that_differs_from_its_integrity_table_is_not_opened() {
    let mut bytes = samples::bytes("v1.wim");
    bytes[0xd0] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.wim");
    std::fs::write(&path, bytes).unwrap();
    let options = OpenOptions { integrity: Integrity::Check, ..OpenOptions::default() };
    let error = Wim::open(&path, &options).unwrap_err();
    assert_eq!(error.code(), 13, "{error}");
    assert!(error.to_string().contains("bytes 208..1093"), "{error}");
    assert!(Wim::open(&path, &OpenOptions::default()).is_ok());
}

/// Before the tables that it covers are looked at.
#[test]
fn the_integrity_is_checked_first() {
    let mut bytes = samples::bytes("v1.wim");
    let place = samples::open("v1.wim").header().blob_table;
    // A blob that is stored as it is and has two sizes.
    bytes[place.offset as usize + 50 + 16] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.wim");
    std::fs::write(&path, bytes).unwrap();
    let checked = OpenOptions { integrity: Integrity::Check, ..OpenOptions::default() };
    let codes = [OpenOptions::default(), checked]
        .map(|options| Wim::open(&path, &options).unwrap_err().code());
    assert_eq!(codes, [20, 13]);
}

#[test]
fn solid_damage_names_the_blobs_of_the_chunk() {
    let (bytes, blobs) = samples::solid(131_072);
    let wim = samples::open_bytes(bytes.clone());
    let offset = wim.parts()[0].blobs.solid[0].resource.offset as usize;
    let header = 16 + 4 * 3;
    let mut damaged = bytes;
    // Within the second of three chunks, in the blob that fills the end of it.
    damaged[offset + header + 131_072 + 100_000] ^= 1;
    for threads in [1, 3] {
        let outcome = samples::verify(&samples::open_bytes(damaged.clone()), threads);
        let [Problem::Damaged { hash, .. }] = &outcome.problems[..] else {
            panic!("{:?}", outcome.problems)
        };
        assert_eq!(*hash, samples::sha1(&blobs[4]));
    }
}
