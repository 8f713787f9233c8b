//! Extracting chosen files: which paths mean what, and where they go. The expectations are what
//! `wimlib-imagex extract` does with the same tree.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::{fs, os::unix::fs::MetadataExt};

use support::{Heard, Image, ROOT, TIME_FOUND, names_in, noise, time_of};
use wim_extract::{
    Cancel, Error,
    apply::{self, Matching, Options, Selection, Structure, Unmatched},
    archive::Wim,
    pipeline::DamagedData,
};
use wim_format::{Codec, name::CaseSensitivity, testing::TinyWim};

fn sample() -> Wim {
    let mut image = Image::default();
    let d = image.dir(ROOT, "d");
    let e = image.dir(d, "e");
    let f = image.dir(e, "f");
    let other = image.dir(ROOT, "D2");
    let a = image.file(d, "a.txt", b"1\n");
    image.tree.link(other, "hard", a).unwrap();
    image.file(d, "b.txt", b"2\n");
    image.file(e, "c.txt", b"3\n");
    image.file(ROOT, "top.txt", b"4\n");
    image.file(ROOT, "Top.TXT", b"5\n");
    image.file(f, "a.txt", b"6\n");
    image.symlink(d, "lnk", "a.txt");
    image.open()
}

fn selection<'a>(paths: &[&'a str]) -> Selection<'a> {
    let paths = paths.iter().map(|path| path.as_bytes()).collect();
    Selection { paths, ..Selection::default() }
}

/// The paths that extracting gives, or the error.
fn extract(wim: &Wim, selection: &Selection<'_>) -> Result<(Vec<String>, Vec<String>), Error> {
    let temp = tempfile::tempdir().unwrap();
    let (heard, cancel) = (Heard::default(), Cancel::new());
    let (image, options) = (wim.image(1).unwrap(), Options::default());
    apply::extract(wim, image, selection, temp.path(), &options, &heard, &cancel)?;
    Ok((names_in(temp.path()), heard.warnings()))
}

fn names(selection: &Selection<'_>) -> Vec<String> {
    let (names, warnings) = extract(&sample(), selection).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    names
}

const BELOW_D: [&str; 8] =
    ["d", "d/a.txt", "d/b.txt", "d/e", "d/e/c.txt", "d/e/f", "d/e/f/a.txt", "d/lnk"];

#[test]
fn paths_go_to_the_destination_itself() {
    for (paths, expected) in [
        (vec!["/d"], BELOW_D.to_vec()),
        (vec!["/d/"], BELOW_D.to_vec()),
        (vec!["/d", "/d/e"], BELOW_D.to_vec()),
        (vec!["d/a.txt"], vec!["a.txt"]),
        (vec!["//d//a.txt"], vec!["a.txt"]),
        (vec![r"\d\e\c.txt"], vec!["c.txt"]),
        (vec!["/d/a.txt", "/d/b.txt"], vec!["a.txt", "b.txt"]),
        (vec!["/d/*.txt"], vec!["a.txt", "b.txt"]),
        (vec!["/d/?.txt"], vec!["a.txt", "b.txt"]),
        (vec!["/*/*.txt"], vec!["a.txt", "b.txt"]),
        (vec!["*.txt"], vec!["top.txt"]),
        (vec!["/d/lnk"], vec!["lnk"]),
        (vec![], vec![]),
    ] {
        assert_eq!(names(&selection(&paths)), expected, "{paths:?}");
    }
    for all in ["", "/", "*"] {
        assert_eq!(names(&selection(&[all])).len(), 12, "{all:?}");
    }
}

#[test]
fn paths_keep_their_place_when_asked_for() {
    let keep = |paths: &[&'static str]| {
        names(&Selection { structure: Structure::Preserve, ..selection(paths) })
    };
    assert_eq!(keep(&["/d"]), BELOW_D);
    assert_eq!(keep(&["/d/e/c.txt"]), ["d", "d/e", "d/e/c.txt"]);
    assert_eq!(keep(&["/d/*.txt", "top.txt"]), ["d", "d/a.txt", "d/b.txt", "top.txt"]);
    assert_eq!(keep(&["/d/e/f", "/d/e/f/a.txt", "/d/e"]).len(), 5);
}

#[test]
fn times_and_hard_links_are_kept() {
    let wim = sample();
    let temp = tempfile::tempdir().unwrap();
    let (heard, cancel) = (Heard::default(), Cancel::new());
    let (image, options) = (wim.image(1).unwrap(), Options::default());
    let both = selection(&["/d/a.txt", "/D2/hard"]);
    apply::extract(&wim, image, &both, temp.path(), &options, &heard, &cancel).unwrap();
    let metadata = fs::metadata(temp.path().join("a.txt")).unwrap();
    assert_eq!(metadata.ino(), fs::metadata(temp.path().join("hard")).unwrap().ino());
    assert_eq!(time_of(&temp.path().join("a.txt")), TIME_FOUND);
    let place = temp.path().join("sub");
    let deep = Selection { structure: Structure::Preserve, ..selection(&["/d/e/c.txt"]) };
    apply::extract(&wim, image, &deep, &place, &options, &heard, &cancel).unwrap();
    for path in ["", "d", "d/e", "d/e/c.txt"] {
        assert_eq!(time_of(&place.join(path)), TIME_FOUND, "{path:?}");
    }
}

#[test]
fn of_two_files_with_one_name_the_last_stays() {
    let wim = sample();
    let temp = tempfile::tempdir().unwrap();
    for (paths, content) in
        [(["/d/a.txt", "/d/e/f/a.txt"], b"6\n"), (["/d/e/f/a.txt", "/d/a.txt"], b"1\n")]
    {
        let (heard, cancel) = (Heard::default(), Cancel::new());
        let (image, options) = (wim.image(1).unwrap(), Options::default());
        let chosen = selection(&paths);
        apply::extract(&wim, image, &chosen, temp.path(), &options, &heard, &cancel).unwrap();
        assert_eq!(fs::read(temp.path().join("a.txt")).unwrap(), content);
        assert_eq!(heard.warnings().len(), 1);
        assert!(heard.warnings()[0].starts_with(paths[0]), "{:?}", heard.warnings());
    }
}

#[test]
fn paths_that_match_nothing() {
    let wim = sample();
    for path in ["/none", "/none*", "/d/./a.txt", "/d/../top.txt", "/d/a.txt/x", "D", "\u{0}"] {
        let error = extract(&wim, &selection(&["/d/b.txt", path])).unwrap_err();
        assert_eq!(error.code(), 49, "{path}: {error}");
        assert!(matches!(&error, Error::NoSuchPath { path: told, .. } if told == path));
        let lenient = Selection { unmatched: Unmatched::Warn, ..selection(&["/d/b.txt", path]) };
        let (names, warnings) = extract(&wim, &lenient).unwrap();
        assert_eq!((names, warnings.len()), (vec!["b.txt".to_owned()], 1));
    }
    let literal = Selection { matching: Matching::Literal, ..selection(&["/d/*.txt"]) };
    assert_eq!(extract(&wim, &literal).unwrap_err().code(), 49);
}

#[test]
fn case_matters_unless_told_otherwise() {
    let wim = sample();
    assert_eq!(extract(&wim, &selection(&["/TOP.txt"])).unwrap_err().code(), 49);
    let alike = |paths: &[&'static str], matching| {
        let case = CaseSensitivity::Insensitive;
        names(&Selection { case, matching, ..selection(paths) })
    };
    assert_eq!(alike(&["/TOP.txt"], Matching::Globs), ["Top.TXT", "top.txt"]);
    assert_eq!(alike(&["/top.*"], Matching::Globs), ["Top.TXT", "top.txt"]);
    assert_eq!(alike(&["/D/A.TXT"], Matching::Globs), ["a.txt"]);
    assert_eq!(alike(&["/TOP.txt"], Matching::Literal).len(), 1);
    assert_eq!(alike(&["/top.txt"], Matching::Literal), ["top.txt"]);
}

fn to_vec(wim: &Wim, paths: &[&str], options: &Options) -> (Result<(), Error>, Vec<u8>) {
    let (heard, cancel, mut out) = (Heard::default(), Cancel::new(), Vec::new());
    let (image, chosen) = (wim.image(1).unwrap(), selection(paths));
    let result = apply::to_writer(wim, image, &chosen, &mut out, options, &heard, &cancel);
    (result, out)
}

#[test]
fn data_goes_to_a_stream_in_the_order_of_the_paths() {
    let wim = sample();
    let run = |paths: &[&str]| to_vec(&wim, paths, &Options::default());
    assert_eq!(run(&["/d/a.txt"]).1, b"1\n");
    assert_eq!(run(&["/d/b.txt", "/d/a.txt", "top.txt"]).1, b"2\n1\n4\n");
    assert_eq!(run(&["/d/*.txt"]).1, b"1\n2\n");
    for path in ["/d", "/", "/d/lnk"] {
        let (result, out) = run(&["/d/a.txt", path]);
        let error = result.unwrap_err();
        assert_eq!((error.code(), out.len()), (42, 0), "{error}");
    }
}

#[test]
fn large_files_stream_in_order_on_any_number_of_threads() {
    let mut image = Image::new(TinyWim::new(Some(Codec::Lzx), 32768));
    let data = noise(5_000_000, 1);
    image.file(ROOT, "large", &data);
    image.file(ROOT, "empty", b"");
    let wim = image.open();
    for threads in [1, 2, 4] {
        let threads = wim_extract::pipeline::Threads::new(threads);
        let (result, out) =
            to_vec(&wim, &["empty", "large"], &Options { threads, ..Options::default() });
        result.unwrap();
        assert!(out == data);
    }
}

#[test]
fn a_damaged_file_is_an_error_in_a_stream_or_goes_on_with_a_warning() {
    let mut image = Image::default();
    let data = noise(300_000, 1);
    image.file(ROOT, "damaged", &data);
    image.file(ROOT, "sound", b"sound");
    let mut bytes = image.bytes();
    let at = bytes.windows(16).position(|window| window == &data[..16]).unwrap();
    bytes[at + 1000] ^= 1;
    let wim = support::open(bytes);
    let (result, _) = to_vec(&wim, &["damaged", "sound"], &Options::default());
    assert_eq!(result.unwrap_err().code(), 28);
    let deliver = Options { damaged: DamagedData::Deliver, ..Options::default() };
    let (result, out) = to_vec(&wim, &["damaged", "sound"], &deliver);
    result.unwrap();
    assert_eq!(out.len(), 300_005);
    assert!(out[..1000] == data[..1000] && out.ends_with(b"sound"));
}
