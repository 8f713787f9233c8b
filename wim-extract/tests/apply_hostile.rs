//! Images made to write outside their target, or to exhaust whoever applies them.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::prelude::*;
use support::{Found, Image, ROOT, TIME, apply, apply_cleanly, found_in, names_in};
use wim_extract::apply::{InvalidNames, LinkTargets, Options};
use wim_format::metadata::{EntryId, Inode};

/// A target with a neighbour that nothing may touch.
struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("target")).unwrap();
        fs::create_dir(temp.path().join("outside")).unwrap();
        fs::write(temp.path().join("outside/secret"), "secret").unwrap();
        Place { temp }
    }

    fn target(&self) -> PathBuf {
        self.temp.path().join("target")
    }

    fn outside(&self) -> PathBuf {
        self.temp.path().join("outside")
    }

    /// Makes sure that nothing beside the target was made or changed.
    fn assert_untouched(&self) {
        let outside = found_in(&self.outside());
        assert_eq!(outside.len(), 1, "{outside:?}");
        assert_eq!(outside[Path::new("secret")], Found::File(b"secret".to_vec(), 1));
        assert_eq!(fs::read_dir(self.temp.path()).unwrap().count(), 2);
    }
}

/// Every way to handle names and links.
fn all_options() -> [Options; 2] {
    let escape = Options {
        invalid_names: InvalidNames::Escape,
        links: LinkTargets::Fix,
        ..Options::default()
    };
    [Options::default(), escape]
}

// In names, U+F02F stands for `/`, U+F05C for `\`, U+F02E for `.` and U+F000 for NUL.
const NAMES: [&str; 13] = [
    "\u{f02e}\u{f02e}",
    "\u{f02e}",
    "\u{f02e}\u{f02e}\u{f02f}outside\u{f02f}secret",
    "\u{f02e}\u{f02e}\u{f02f}new",
    "\u{f02f}etc\u{f02f}new",
    "\u{f02f}",
    "a\u{f02f}\u{f02e}\u{f02e}\u{f02f}\u{f02e}\u{f02e}\u{f02f}new",
    "\u{f02e}\u{f02e}\u{f05c}new",
    "\u{f000}",
    "secret\u{f000}",
    "a\u{f02f}",
    "C:\u{f05c}new",
    "con",
];

#[test]
fn names_that_lead_elsewhere() {
    for options in all_options() {
        let place = Place::new();
        for as_directory in [false, true] {
            let mut image = Image::default();
            for name in NAMES {
                match as_directory {
                    true => {
                        let dir = image.dir(ROOT, name);
                        image.file(dir, "secret", b"evil");
                        image.file(dir, "new", b"evil");
                    }
                    false => drop(image.file(ROOT, name, b"evil")),
                }
            }
            let target = place.target().join(as_directory.to_string());
            let (result, warnings) = apply(&image.open(), &target, &options);
            result.unwrap();
            assert!(warnings.len() >= 7, "{warnings:?}");
            assert!(target.join(r"..\new").exists(), "a backslash is a character like others");
            assert!(!target.join("secret").is_file() && !target.join("new").exists());
        }
        place.assert_untouched();
    }
}

#[test]
fn a_link_of_the_image_is_never_followed() {
    for options in all_options() {
        let place = Place::new();
        let mut image = Image::default();
        let outside = place.outside();
        let outside = outside.to_str().unwrap().replace('/', "\\");
        // Links that files of the same image would be written through, if they were followed.
        image.symlink(ROOT, "link", "..\\outside");
        image.symlink(ROOT, "LINK2", &outside);
        let dir = image.dir(ROOT, "link2");
        image.file(dir, "secret", b"evil");
        image.file(ROOT, "link\u{f02f}secret", b"evil");
        image.symlink(ROOT, "secret", "..\\outside\\secret");
        let mut tree = image;
        // A hard link to a symbolic link must not reach what that leads to.
        let file = tree.file(ROOT, "Secret", b"evil");
        tree.tree.link(ROOT, "SECRET", file).unwrap();
        let (result, _) = apply(&tree.open(), &place.target(), &options);
        result.unwrap();
        assert_eq!(fs::read(place.target().join("link2/secret")).unwrap(), b"evil");
        place.assert_untouched();
    }
}

#[test]
fn two_entries_of_one_name_do_not_combine() {
    // A link, then a directory of exactly its name: the reader of the image keeps one of them.
    for link_first in [true, false] {
        let place = Place::new();
        let mut image = Image::default();
        // U+F02E becomes `.`, which makes the two names one in the finished metadata.
        let names = if link_first { ["a.b", "a\u{f02e}b"] } else { ["a\u{f02e}b", "a.b"] };
        image.symlink(ROOT, names[0], "..\\outside");
        let dir = image.dir(ROOT, names[1]);
        image.file(dir, "secret", b"evil");
        image.file(dir, "new", b"evil");
        let (result, warnings) = apply(&image.open(), &place.target(), &Options::default());
        result.unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        place.assert_untouched();
    }
}

#[test]
fn a_link_that_was_there_before_is_never_followed() {
    let mut image = Image::default();
    let dir = image.dir(ROOT, "dir");
    let sub = image.dir(dir, "sub");
    let file = image.file(sub, "secret", b"evil");
    image.tree.link(dir, "secret", file).unwrap();
    image.file(dir, "new", b"evil");
    let wim = image.open();

    // In place of a directory: refused.
    for obstacle in ["dir", "dir/sub"] {
        let place = Place::new();
        let obstacle = place.target().join(obstacle);
        fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
        symlink(place.outside(), &obstacle).unwrap();
        let error = apply(&wim, &place.target(), &Options::default()).0.unwrap_err();
        assert_eq!(error.code(), 37, "{error}");
        assert!(error.to_string().contains(obstacle.to_str().unwrap()), "{error}");
        place.assert_untouched();
    }
    // In place of a file: replaced.
    let place = Place::new();
    fs::create_dir_all(place.target().join("dir/sub")).unwrap();
    for path in ["dir/sub/secret", "dir/secret"] {
        symlink(place.outside().join("secret"), place.target().join(path)).unwrap();
    }
    symlink(place.outside().join("new"), place.target().join("dir/new")).unwrap();
    apply_cleanly(&wim, &place.target(), &Options::default());
    let found = found_in(&place.target());
    assert_eq!(found[Path::new("dir/sub/secret")], Found::File(b"evil".to_vec(), 2));
    assert_eq!(found[Path::new("dir/new")], Found::File(b"evil".to_vec(), 1));
    place.assert_untouched();
}

#[test]
fn names_that_windows_reserves_are_plain_names_here() {
    let mut image = Image::default();
    let names = ["CON", "nul.txt", "aux", "a:b", "trailing. ", "x\u{1}y", "*?\"<>|", "COM1"];
    for name in names {
        image.file(ROOT, name, b"x");
    }
    // Names that differ in case alone are two files.
    image.file(ROOT, "con", b"y");
    let temp = tempfile::tempdir().unwrap();
    apply_cleanly(&image.open(), temp.path(), &Options::default());
    assert_eq!(names_in(temp.path()).len(), names.len() + 1);
    assert_eq!(fs::read(temp.path().join("CON")).unwrap(), b"x");
    assert_eq!(fs::read(temp.path().join("con")).unwrap(), b"y");
}

#[test]
fn directories_nested_as_deep_as_the_format_allows() {
    const DEPTH: usize = 16_382;
    let mut image = Image::default();
    let mut here: EntryId = ROOT;
    for _ in 0..DEPTH {
        here = image.tree.add(here, "d", Inode::directory().at(TIME)).unwrap();
    }
    image.file(here, "bottom", b"bottom");
    let wim = image.open();
    // In memory where that is possible: removing such a tree from a disk takes long.
    let memory = Path::new("/dev/shm");
    let temp = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let target = temp.path().join("target");
    let outcome = apply_cleanly(&wim, &target, &Options::default());
    assert_eq!((outcome.directories, outcome.files), (DEPTH as u64, 1));
    // Deeper than a path can name, so this goes level by level.
    let find = Command::new("find").arg(&target).args(["-name", "bottom", "-size", "6c"]).output();
    assert!(!find.unwrap().stdout.is_empty());
    let removed = Command::new("rm").arg("-rf").arg(&target).status().unwrap();
    assert!(removed.success());
}

#[test]
fn many_directories_do_not_use_up_the_open_files() {
    // More than the 1024 files that a process may usually have open.
    let mut image = Image::default();
    for i in 0..3000 {
        let dir = image.dir(ROOT, &format!("d{i}"));
        image.file(dir, "file", format!("{}", i % 7).as_bytes());
    }
    let temp = tempfile::tempdir().unwrap();
    let outcome = apply_cleanly(&image.open(), temp.path(), &Options::default());
    assert_eq!((outcome.directories, outcome.files), (3000, 3000));
    assert_eq!(found_in(temp.path()).len(), 6000);
}

fn hostile_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
        2 => proptest::sample::select(vec!["a", "A", "b", "secret", "outside", "new"])
            .prop_map(str::to_owned),
        1 => proptest::collection::vec(
            proptest::sample::select(vec!['\u{f02f}', '\u{f02e}', '\u{f05c}', '\u{f000}', 'a']), 1..6)
            .prop_map(|chars| chars.into_iter().collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Random trees of hostile names, links and files, applied twice over each other.
    #[test]
    fn nothing_is_ever_written_outside(
        entries in proptest::collection::vec(
            (hostile_name(), 0u8..4, any::<prop::sample::Index>()), 1..24),
        escape: bool,
    ) {
        let place = Place::new();
        let mut image = Image::default();
        let mut dirs = vec![ROOT];
        let mut files = Vec::new();
        let mut used = std::collections::HashSet::new();
        for (name, kind, parent) in entries {
            let parent = *parent.get(&dirs);
            if !used.insert((parent, name.clone())) {
                continue;
            }
            match kind {
                0 => dirs.push(image.dir(parent, &name)),
                1 => files.push(image.file(parent, &name, b"evil")),
                2 => drop(image.symlink(parent, &name, "..\\outside")),
                _ if !files.is_empty() => {
                    image.tree.link(parent, name.as_str(), files[0]).unwrap();
                }
                _ => drop(image.absolute(parent, &name, r"\??\C:\..\outside\secret", 0)),
            }
        }
        let wim = image.open();
        let [plain, escaping] = all_options();
        let options = if escape { escaping } else { plain };
        for _ in 0..2 {
            // It may fail where links and directories collide, but never reach outside.
            let _ = apply(&wim, &place.target(), &options);
        }
        place.assert_untouched();
    }
}
