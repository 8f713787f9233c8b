//! Trees to be captured.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use osupg_tests::corpus::{noise, text};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// Writes files, with the folders they need.
pub(crate) fn write(root: &Path, files: &[(&str, &[u8])]) {
    fs::create_dir_all(root).expect("a folder");
    for (name, data) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, data).expect("a file");
    }
    settle(root);
}

/// Gives everything times that reading does not change: Linux leaves times of access alone that
/// are later than the last change.
pub(crate) fn settle(path: &Path) {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("a listing") {
            settle(&entry.expect("an entry").path());
        }
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 3_000_000_000, tv_nsec: 987_654_300 },
        last_modification: Timespec { tv_sec: 1_000_000_000, tv_nsec: 123_456_700 },
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("times can be set");
}

/// Lengths around the borders of chunks, for data with and without redundancy; some files are equal,
/// some are equally long only.
pub(crate) fn small_sizes(root: &Path) {
    fs::create_dir_all(root).expect("a folder");
    for size in [0, 1, 2, 4095, 4096, 4097, 32767, 32768, 32769, 65535, 65536, 65537, 131_073] {
        fs::write(root.join(format!("{size}.text")), text(size, 1)).expect("a file");
        fs::write(root.join(format!("{size}.noise")), noise(size, 2)).expect("a file");
        fs::write(root.join(format!("{size}.zeros")), vec![0; size]).expect("a file");
        fs::write(root.join(format!("{size}.same")), text(size, 1)).expect("a file");
        fs::write(root.join(format!("{size}.other")), text(size, 3)).expect("a file");
    }
    fs::write(root.join("2.1M.text"), text(2_100_000, 4)).expect("a file");
    fs::write(root.join("2.1M.noise"), noise(2_100_000, 5)).expect("a file");
    settle(root);
}

/// Lengths around the border of what is read at once, and beyond it.
pub(crate) fn large_sizes(root: &Path) {
    const BATCH: usize = 8 << 20;
    fs::create_dir_all(root).expect("a folder");
    for size in [BATCH - 1, BATCH, BATCH + 1] {
        fs::write(root.join(format!("{size}.text")), text(size, 1)).expect("a file");
        fs::write(root.join(format!("{size}.noise")), noise(size, 2)).expect("a file");
    }
    // Equal, and of the same length with another first, middle or last byte.
    let long = text(20_000_000, 3);
    for name in ["long", "long.same", "nested/long.same"] {
        fs::create_dir_all(root.join("nested")).expect("a folder");
        fs::write(root.join(name), &long).expect("a file");
    }
    for at in [0, long.len() / 2, long.len() - 1] {
        let mut other = long.clone();
        other[at] ^= 1;
        fs::write(root.join(format!("long.other at {at}")), other).expect("a file");
    }
    fs::write(root.join("noise"), noise(20_000_000, 6)).expect("a file");
    settle(root);
}

/// Names that file systems allow and images have to keep.
pub(crate) fn odd_names(root: &Path) {
    fs::create_dir_all(root).expect("a folder");
    let names = [
        "back\\slash".to_owned(),
        "trailing dots...".to_owned(),
        "trailing blank ".to_owned(),
        " ".to_owned(),
        "...".to_owned(),
        "star* question? quote\" less< more> pipe|".to_owned(),
        "line\nfeed\ttab\u{1}".to_owned(),
        "CON".to_owned(),
        "aux.txt".to_owned(),
        "a:stream".to_owned(),
        "Case".to_owned(),
        "case".to_owned(),
        "cASE".to_owned(),
        "e\u{301} decomposed".to_owned(),
        "\u{e9} composed".to_owned(),
        "\u{1d11e}\u{10ffff}".to_owned(),
        "\u{ffff}\u{fffd}\u{feff}".to_owned(),
        "\u{e000} after \u{1f600} in UTF-8 only".to_owned(),
        "x".repeat(255),
        "\u{fc}".repeat(127),
        "\u{1f600}".repeat(63),
    ];
    for name in names {
        fs::write(root.join(&name), &name).expect("a file");
        let folder = root.join("folders").join(&name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(&name), "in a folder").expect("a file");
    }
    settle(root);
}

/// Links of both kinds.
pub(crate) fn links(root: &Path) {
    fs::create_dir_all(root.join("a/b/c")).expect("folders");
    fs::write(root.join("a/file"), "a file of several names").expect("a file");
    for name in ["a/name 2", "name 3", "a/b/c/name 4"] {
        fs::hard_link(root.join("a/file"), root.join(name)).expect("a hard link");
    }
    fs::write(root.join("empty"), "").expect("a file");
    fs::hard_link(root.join("empty"), root.join("a/empty 2")).expect("a hard link");
    fs::write(root.join("own"), "own").expect("a file");
    fs::hard_link(root.join("own"), root.join("z")).expect("a hard link");
    for (target, name) in [
        ("a/file", "relative"),
        ("./a//b/../file", "with detours"),
        ("../../file", "a/b/c/up"),
        ("a", "to a folder"),
        (".", "to itself"),
        ("..", "out of it"),
        ("nowhere/at all", "dangling"),
        ("/usr/share/doc", "absolute"),
        ("/", "to the root"),
        ("/nowhere/at all", "absolute and dangling"),
        ("loop", "loop"),
        ("relative", "to a link"),
        ("\u{1d11e} \u{fc}", "not ASCII"),
        ("trailing/", "to a name with a slash behind"),
    ] {
        symlink(target, root.join(name)).expect("a symbolic link");
    }
    symlink("x/".repeat(1500), root.join("long")).expect("a symbolic link");
    symlink(root.join("a/b"), root.join("a/inside")).expect("a symbolic link");
    symlink(root, root.join("a/to the top")).expect("a symbolic link");
    for (behind, name) in [("/", "top/"), ("//", "top//"), ("/a/b/", "a/b/"), ("//a/./b", "a./b")] {
        let target = format!("{}{behind}", root.display());
        symlink(target, root.join(format!("absolute {}", name.replace('/', "-")))).expect("a link");
    }
    settle(root);
}

/// Files with holes: at the begin, in the middle, at the end, and nothing else.
pub(crate) fn holes(root: &Path, len: u64) {
    fs::create_dir_all(root).expect("a folder");
    for (name, at) in
        [("all", None), ("end", Some(0)), ("both", Some(len / 2)), ("begin", Some(len))]
    {
        let file = File::create(root.join(name)).expect("a file");
        file.set_len(len).expect("a length");
        if let Some(at) = at {
            file.write_all_at(b"here is something", at).expect("it can be written");
        }
    }
    settle(root);
}

/// A folder in a folder in a folder, with a file at each.
pub(crate) fn deep(root: &Path, levels: usize) {
    let mut path = root.to_owned();
    for level in 0..levels {
        path.push("d");
        fs::create_dir_all(&path).expect("a folder");
        fs::write(path.join("f"), format!("{level}")).expect("a file");
    }
    settle(root);
}

/// As many files as asked for, mostly with contents of their own.
pub(crate) fn many(root: &Path, count: usize) {
    for number in 0..count {
        let folder = root.join(format!("{}", number % 97));
        if number < 97 {
            fs::create_dir_all(&folder).expect("a folder");
        }
        fs::write(folder.join(format!("{number}.txt")), text(number % 700, number as u64 / 2))
            .expect("a file");
    }
    settle(root);
}
