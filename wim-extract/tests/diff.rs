//! Comparing images: what counts as a difference, and how renamed files are found.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use support::{Image, ROOT, TIME};
use wim_extract::archive::Wim;
use wim_extract::diff::{self, Aspects, ChangeKind, Options, Outcome};
use wim_format::Sha1Hash;
use wim_format::metadata::{EntryId, FileAttributes, ImageBuilder, Inode, UnixData};
use wim_format::name::Utf16NameBuf;
use wim_format::time::FileTime;

fn compare(old: &Wim, new: &Wim, ignored: Aspects) -> Outcome {
    let image = |wim| diff::Image { wim, index: Wim::image(wim, 1).unwrap() };
    diff::run(image(old), image(new), &Options { ignored }).unwrap()
}

/// One line for each change: "M /path CONTENT | TIMES", "R /old /new".
fn lines(outcome: &Outcome) -> Vec<String> {
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    let names = |aspects: Aspects| {
        aspects.iter_names().map(|(name, _)| format!(" {name}")).collect::<String>()
    };
    let line = |change: &diff::Change| {
        let path = text(&change.path);
        match &change.kind {
            ChangeKind::Added => format!("A {path}"),
            ChangeKind::Removed => format!("D {path}"),
            ChangeKind::Changed(aspects) => format!("M {path}{}", names(*aspects)),
            ChangeKind::Renamed { from, aspects } => {
                format!("R {} {path}{}", text(from), names(*aspects))
            }
        }
    };
    outcome.changes.iter().map(line).collect()
}

fn differences(old: Image, new: Image) -> Vec<String> {
    lines(&compare(&old.open(), &new.open(), Aspects::empty()))
}

/// A few files and directories.
fn sample() -> Image {
    let mut image = Image::default();
    let d = image.dir(ROOT, "d");
    image.file(d, "a", b"1");
    image.file(d, "b", b"22");
    image.file(ROOT, "e", b"");
    image.symlink(ROOT, "l", "d/a");
    image
}

#[test]
fn an_image_is_the_same_as_itself() {
    let outcome = compare(&sample().open(), &sample().open(), Aspects::empty());
    assert_eq!(outcome, Outcome { changes: Vec::new(), same: 6 });
}

#[test]
fn what_only_one_has_is_added_or_removed_with_all_below() {
    let mut new = sample();
    let c = new.dir(ROOT, "c");
    let inner = new.dir(c, "inner");
    new.file(inner, "x", b"only here");
    new.file(ROOT, "z", b"z");
    let expected = ["A /c", "A /c/inner", "A /c/inner/x", "A /z"];
    let (old, new) = (sample().open(), new.open());
    let outcome = compare(&old, &new, Aspects::empty());
    assert_eq!(lines(&outcome), expected);
    assert_eq!(outcome.same, 6);
    let sizes: Vec<_> =
        outcome.changes.iter().map(|change| (change.old_size, change.new_size)).collect();
    assert_eq!(sizes[2..], [(None, Some(9)), (None, Some(1))]);
    let back = compare(&new, &old, Aspects::empty());
    assert_eq!(lines(&back), expected.map(|line| line.replace('A', "D")));
}

/// An image with a file and a link, edited.
fn edited(edit: impl FnOnce(&mut ImageBuilder, EntryId, EntryId)) -> Image {
    let mut image = Image::default();
    let descriptor = image.tree.add_security_descriptor(&[1, 0, 4, 128, 0, 0, 0, 0]).unwrap();
    let inode = Inode::file(Sha1Hash([1; 20])).at(TIME);
    let file = image.tree.add(ROOT, "f", Inode { security: Some(descriptor), ..inode }).unwrap();
    let link = image.symlink(ROOT, "l", "f");
    edit(&mut image.tree, file, link);
    image
}

#[test]
fn every_aspect_is_found_by_itself() {
    type Edit = fn(&mut ImageBuilder, EntryId, EntryId);
    let edits: [(&str, Edit); 9] = [
        ("M /f CONTENT", |tree, f, _| tree.inode_mut(f).data = Sha1Hash([2; 20])),
        ("M /f STREAMS", |tree, f, _| {
            tree.inode_mut(f).named.push((Utf16NameBuf::from("s"), Sha1Hash([3; 20])));
        }),
        ("M /f ATTRIBUTES", |tree, f, _| tree.inode_mut(f).attributes |= FileAttributes::HIDDEN),
        ("M /f TIMES", |tree, f, _| tree.inode_mut(f).creation_time = FileTime(5)),
        ("M /f TIMES", |tree, f, _| tree.inode_mut(f).write_time = FileTime(5)),
        ("M /f SECURITY", |tree, f, _| tree.inode_mut(f).security = None),
        ("M /f SHORT_NAME", |tree, f, _| tree.set_short_name(f, "F~1").unwrap()),
        ("M /f EXTRAS", |tree, f, _| {
            let unix = UnixData { uid: 1, gid: 2, mode: 0o644, rdev: 0 };
            tree.inode_mut(f).tagged.push_unix_data(unix);
        }),
        ("M /l TARGET", |tree, _, l| tree.inode_mut(l).reparse.hash = Sha1Hash([4; 20])),
    ];
    for (expected, edit) in edits {
        assert_eq!(differences(edited(|_, _, _| ()), edited(edit)), [expected]);
        assert_eq!(differences(edited(edit), edited(edit)), [""; 0]);
    }
    let accessed = edited(|tree, f, _| tree.inode_mut(f).access_time = FileTime(5));
    assert_eq!(differences(edited(|_, _, _| ()), accessed), [""; 0]);
    let linked = edited(|tree, f, _| {
        tree.link(ROOT, "g", f).unwrap();
    });
    assert_eq!(differences(edited(|_, _, _| ()), linked), ["M /f LINKS", "A /g"]);
}

#[test]
fn what_is_ignored_does_not_count() {
    let old = edited(|_, _, _| ()).open();
    let new = edited(|tree, f, _| {
        tree.inode_mut(f).write_time = FileTime(5);
        tree.inode_mut(f).security = None;
    });
    let new = new.open();
    assert_eq!(lines(&compare(&old, &new, Aspects::TIMES)), ["M /f SECURITY"]);
    let same = compare(&old, &new, Aspects::TIMES | Aspects::SECURITY);
    assert_eq!(same, Outcome { changes: Vec::new(), same: 3 });
}

#[test]
fn a_file_in_the_place_of_a_directory_is_one_change() {
    let mut new = Image::default();
    new.file(ROOT, "d", b"now a file");
    new.file(ROOT, "e", b"");
    new.symlink(ROOT, "l", "d/a");
    assert_eq!(differences(sample(), new), ["M /d KIND CONTENT ATTRIBUTES", "D /d/a", "D /d/b"]);
}

#[test]
fn the_same_data_under_another_path_was_renamed() {
    let mut new = Image::default();
    let d = new.dir(ROOT, "d");
    // One kept its name, the other has a new one too.
    new.file(ROOT, "a", b"1");
    new.file(d, "bb", b"22");
    new.file(ROOT, "e2", b"");
    new.symlink(ROOT, "l", "d/a");
    assert_eq!(
        differences(sample(), new),
        ["R /d/a /a", "R /d/b /d/bb", "D /e", "A /e2"],
        "files without data are all alike"
    );
}

/// Of many files with the same data, those are renamed first that kept their names; nothing is
/// renamed twice.
#[test]
fn copies_are_told_apart_by_their_names() {
    let (mut old, mut new) = (Image::default(), Image::default());
    let from = old.dir(ROOT, "from");
    let hash = old.blob(b"data");
    for name in ["x", "y", "z"] {
        old.tree.add(from, name, Inode::file(hash).at(TIME)).unwrap();
    }
    let to = new.dir(ROOT, "to");
    let hash = new.blob(b"data");
    for name in ["a", "x", "z", "zz"] {
        new.tree.add(to, name, Inode::file(hash).at(TIME)).unwrap();
    }
    assert_eq!(
        differences(old, new),
        ["D /from", "A /to", "R /from/y /to/a", "R /from/x /to/x", "R /from/z /to/z", "A /to/zz"]
    );
}

#[test]
fn names_that_differ_in_case_are_two() {
    let (mut old, mut new) = (Image::default(), Image::default());
    old.file(ROOT, "Name", b"1");
    new.file(ROOT, "name", b"1");
    assert_eq!(differences(old, new), ["R /Name /name"]);
}
