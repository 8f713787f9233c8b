//! Writing archives anew: the same bytes whatever the number of threads, and whatever the blob table
//! says of the blobs.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use support::noise;
use wim_extract::capture::{self, SourceTree};
use wim_extract::export::{Compression, IntegrityTable, Verification};
use wim_extract::pipeline::Threads;
use wim_extract::{Cancel, Silent, rebuild};
use wim_format::header::{HEADER_LEN, Header, HeaderFlags};

/// What is done to a blob table.
type Change = &'static dyn Fn(&mut Vec<u8>);

/// Bytes of an entry of the blob table, and where in it the number of references stands.
const ENTRY: usize = 50;
const REFCOUNT: usize = 26;

/// An archive of some megabytes. The first entry of its blob table is the metadata of its image.
fn archive(folder: &Path) -> Vec<u8> {
    let (tree, path) = (folder.join("tree"), folder.join("made.wim"));
    fs::create_dir(&tree).unwrap();
    for file in 0..40u32 {
        let len = 1000 + 7919 * file as usize;
        fs::write(tree.join(format!("file {file}")), noise(len, file + 1)).unwrap();
    }
    // Looking at their names takes as long as copying the data does.
    for file in 0..5000 {
        fs::File::create(tree.join(format!("empty {file}"))).unwrap();
    }
    let options = capture::Options {
        name: "first".to_owned(),
        compression: Some(Compression::Stored),
        ..Default::default()
    };
    capture::run(&[SourceTree::root(tree)], &path, &options, &Silent, &Cancel::new()).unwrap();
    fs::read(path).unwrap()
}

fn rebuilt(folder: &Path, archive: &[u8], threads: usize) -> Vec<u8> {
    let path = folder.join("rebuilt.wim");
    fs::write(&path, archive).unwrap();
    let options = rebuild::Options { threads: Threads::new(threads), ..Default::default() };
    rebuild::run(&path, &options, &Silent, &Cancel::new()).unwrap();
    let left = fs::read_dir(folder).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("partial")
    });
    assert_eq!(left.count(), 0);
    fs::read(path).unwrap()
}

/// The archive with another blob table, which lies behind all else.
fn with_table(archive: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = Header::parse(archive).unwrap();
    let place = header.blob_table;
    let mut table = archive[place.offset as usize..][..place.size as usize].to_vec();
    change(&mut table);
    header.blob_table.offset = archive.len() as u64;
    header.blob_table.size = table.len() as u64;
    header.blob_table.uncompressed_size = table.len() as u64;
    let mut changed = archive.to_vec();
    changed[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    changed.extend(table);
    changed
}

fn counts_nothing(table: &mut [u8], entry: usize) {
    table[entry * ENTRY + REFCOUNT..][..4].fill(0);
}

#[test]
fn a_wrong_blob_table_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let expected = rebuilt(folder.path(), &archive, 1);
    let tables: [(&str, Change); 5] = [
        ("right", &|_| {}),
        ("a blob that nothing is said to refer to", &|table| counts_nothing(table, 9)),
        ("none that anything is said to refer to", &|table| {
            (1..table.len() / ENTRY).for_each(|entry| counts_nothing(table, entry));
        }),
        ("blobs that nothing refers to, in front", &|table| {
            for number in 1..=200 {
                let mut entry = table[ENTRY..2 * ENTRY].to_vec();
                entry[ENTRY - 1] ^= number;
                table.extend(entry);
            }
        }),
        ("blobs that nothing refers to, behind all others", &|table| {
            for number in 1..=200 {
                let mut entry = table[table.len() - ENTRY..].to_vec();
                entry[ENTRY - 1] = entry[ENTRY - 1].wrapping_add(number);
                table.extend(entry);
            }
        }),
    ];
    for (what, change) in tables {
        let changed = with_table(&archive, change);
        for threads in [1, 2, 2, 2, 5] {
            let found = rebuilt(folder.path(), &changed, threads);
            assert!(found == expected, "{what}, {threads} threads");
        }
    }
}

#[test]
fn what_is_optimal_already_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let optimal = rebuilt(folder.path(), &archive, 2);
    let path = folder.path().join("again.wim");
    let rebuild = |archive: &[u8], options: &rebuild::Options| {
        fs::write(&path, archive).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        let outcome = rebuild::run(&path, options, &Silent, &Cancel::new()).unwrap();
        let is_same = fs::metadata(&path).unwrap().ino() == before;
        assert_eq!(outcome.is_unchanged, is_same);
        assert_eq!(outcome.after, fs::metadata(&path).unwrap().len());
        is_same
    };
    let plain = rebuild::Options::default();
    assert!(rebuild(&optimal, &plain));
    assert!(fs::read(&path).unwrap() == optimal);
    // What stands behind the end, and what the header says of a change that was interrupted, has to go.
    let longer = [&optimal[..], b"x"].concat();
    let mut header = Header::parse(&optimal).unwrap();
    header.flags |= HeaderFlags::WRITE_IN_PROGRESS;
    let marked = [&header.to_bytes()[..], &optimal[HEADER_LEN..]].concat();
    for other in [longer, marked, with_table(&archive, |_| {})] {
        assert!(!rebuild(&other, &plain));
        assert!(fs::read(&path).unwrap() == optimal);
    }
    // A table of hashes is made anew, data is looked at where it is asked for.
    let with_integrity =
        rebuild::Options { integrity: IntegrityTable::Write, ..rebuild::Options::default() };
    assert!(!rebuild(&optimal, &with_integrity));
    let checked =
        rebuild::Options { verification: Verification::Check, ..rebuild::Options::default() };
    assert!(!rebuild(&optimal, &checked));
    assert!(fs::read(&path).unwrap() == optimal);
}
