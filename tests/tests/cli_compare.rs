//! The same command line through wimlib-imagex and through wimx: the same lines on standard output
//! and the same exit code.
//!
//! The versions of wimlib-imagex in use (1.13.5 of Debian and 1.14.5) print the same for all that is
//! compared here. Where wimx differs on purpose, the case says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::child::{self, Finished};
use osupg_tests::{bins, tools};
use tempfile::TempDir;

/// A folder with archives of every kind, made by wimlib-imagex or copied from the test data.
struct Archives {
    folder: TempDir,
}

impl Archives {
    fn new() -> Self {
        let archives = Self { folder: TempDir::new().expect("a temporary folder") };
        let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/data/vectors");
        for vector in fs::read_dir(vectors).expect("test data") {
            let vector = vector.expect("test data").path();
            fs::copy(&vector, archives.path(&vector)).expect("copy a vector");
        }
        archives.make_tree();
        archives.wimlib("capture tree many.wim First Text --unix-data --boot --check");
        archives.wimlib("append tree/dir many.wim Second");
        archives.wimlib("export many.wim all pipable.wim --pipable");
        archives.wimlib("export many.wim all solid.esd --solid");
        archives.wimlib("export many.wim 1 stored.wim --compress=none");
        archives
    }

    /// Where a file of that name is in the folder.
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name.as_ref().file_name().expect("a name"))
    }

    fn make_tree(&self) {
        let tree = self.folder.path().join("tree");
        fs::create_dir_all(tree.join("dir/sub dir")).expect("directories");
        fs::create_dir(tree.join("empty")).expect("a directory");
        let files: [(&str, Vec<u8>); 9] = [
            ("a.txt", b"hello\n".to_vec()),
            ("dir/big.txt", b"text ".repeat(20_000)),
            ("dir/sub dir/binary", (0..50_000u32).map(|n| (n * n >> 7) as u8).collect()),
            ("empty.txt", Vec::new()),
            ("\u{fc}n\u{ef} \u{1d11e}.txt", b"name".to_vec()),
            ("back\\slash", b"b".to_vec()),
            ("star*[1].name", b"s".to_vec()),
            ("Case.txt", b"C".to_vec()),
            ("case.txt", b"c".to_vec()),
        ];
        for (name, data) in files {
            fs::write(tree.join(name), data).expect("a file");
        }
        fs::hard_link(tree.join("a.txt"), tree.join("dir/link.txt")).expect("a hard link");
        symlink("a.txt", tree.join("relative.lnk")).expect("a symbolic link");
        symlink("/usr/share/doc", tree.join("absolute.lnk")).expect("a symbolic link");
        symlink(tree.join("dir"), tree.join("inner.lnk")).expect("a symbolic link");
    }

    fn wimlib(&self, line: &str) {
        self.run(tools::wimlib(), &words(line)).success();
    }

    fn run(&self, mut command: Command, arguments: &[&str]) -> Finished {
        command.current_dir(self.folder.path()).args(arguments);
        child::run(&mut command)
    }

    /// Runs both and returns (wimlib-imagex's, wimx's) result.
    fn both(&self, line: &str) -> (Finished, Finished) {
        let arguments = words(line);
        (self.run(tools::wimlib(), &arguments), self.run(bins::wimx(), &arguments))
    }

    /// Both have to print the same and leave with the same code.
    #[track_caller]
    fn same(&self, line: &str) {
        let (theirs, ours) = self.both(line);
        assert_eq!(ours.code(), theirs.code(), "{line}\n{}", ours.stderr);
        assert_same_lines(line, &theirs.stdout, &ours.stdout);
    }

    /// Both have to fail with the same code, wimx with a message and nothing on standard output.
    #[track_caller]
    fn same_failure(&self, line: &str) {
        let (theirs, ours) = self.both(line);
        assert_ne!(theirs.code(), 0, "wimlib-imagex does it: {line}");
        assert_eq!(ours.code(), theirs.code(), "{line}\n{}\n{}", theirs.stderr, ours.stderr);
        assert!(ours.stdout.is_empty(), "{line}: {}", ours.text());
        let message = ours.stderr.lines().find(|line| line.starts_with("error: "));
        assert!(message.is_some(), "{line}: {}", ours.stderr);
    }
}

/// Splits at blanks; `""` stands for an empty word.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect()
}

#[track_caller]
fn assert_same_lines(line: &str, theirs: &[u8], ours: &[u8]) {
    let (theirs, ours) = (String::from_utf8_lossy(theirs), String::from_utf8_lossy(ours));
    for (number, (theirs, ours)) in (1..).zip(theirs.split('\n').zip(ours.split('\n'))) {
        assert_eq!(ours, theirs, "{line}: line {number}");
    }
    assert_eq!(ours.len(), theirs.len(), "{line}: one of them stops early");
}

const WHOLE: [&str; 11] = [
    "v1.wim",
    "v2lzms.wim",
    "v2lzx.wim",
    "v2xpress.wim",
    "v3.wim",
    "v4.wim",
    "v5.wim",
    "ntfs.wim",
    "editions.wim",
    "pipable.wim",
    "solid.esd",
];

#[test]
fn info_prints_the_same_lines() {
    let archives = Archives::new();
    for wim in WHOLE.into_iter().chain(["v5.swm", "v52.swm", "many.wim", "stored.wim"]) {
        archives.same(&format!("info {wim}"));
        archives.same(&format!("info {wim} 1"));
        archives.same(&format!("info {wim} --header"));
        archives.same(&format!("info {wim} --xml"));
        archives.same(&format!("info {wim} --header --xml"));
    }
    for line in [
        "info editions.wim 2",
        "info editions.wim 02",
        "info editions.wim all",
        "info editions.wim *",
        "info many.wim Second",
        "info --check many.wim",
        "info many.wim -head",
        "info many.wim 1 --extract-xml=xml",
        "info -- many.wim",
        "info many.wim --nocheck 2",
    ] {
        archives.same(line);
    }
}

/// wimlib-imagex lists blobs in the order of a hash table, wimx in that of the file's own table.
#[test]
fn blobs_are_the_same_in_another_order() {
    let archives = Archives::new();
    for wim in WHOLE.into_iter().chain(["v5.swm", "v52.swm", "many.wim", "stored.wim"]) {
        let line = format!("info {wim} --blobs");
        let (theirs, ours) = archives.both(&line);
        assert_eq!(ours.code(), theirs.code(), "{line}");
        let blobs = |finished: &Finished| {
            let text = finished.text();
            let mut blobs: Vec<_> = text.split("\n\n").map(str::to_owned).collect();
            blobs.sort();
            blobs
        };
        assert_eq!(blobs(&ours), blobs(&theirs), "{line}");
    }
}

#[test]
fn dir_prints_the_same_lines() {
    let archives = Archives::new();
    for wim in WHOLE.into_iter().chain(["v5.swm", "many.wim", "stored.wim"]) {
        archives.same(&format!("dir {wim} all"));
        archives.same(&format!("dir {wim} 1"));
        archives.same(&format!("dir {wim} 1 --one-file-only"));
        archives.same(&format!("dir {wim} 1 --path=/nope"));
        if wim != "ntfs.wim" {
            archives.same(&format!("dir {wim} all --detailed"));
        }
    }
    for line in [
        "dir v1.wim",
        "dir v1.wim --detailed --path=/c.lnk",
        "dir v5.swm 1 --detailed --ref=v5*.swm",
        "dir many.wim 1 --path=/dir",
        "dir many.wim 1 --path=dir/",
        "dir many.wim 1 -path \\dir\\link.txt -det",
        "dir many.wim First --path=/dir --one",
        "dir many.wim --one --path=/ 1",
        "dir many.wim 2 --path= --detailed",
        "dir solid.esd 1 --path=/dir//big.txt --detailed",
        "dir many.wim 1 --path=/CASE.TXT",
        "dir many.wim all --path=/big.txt",
    ] {
        archives.same(line);
    }
}

/// Of a reparse point that also has data, wimlib-imagex does not show the data.
#[test]
fn dir_shows_all_that_ntfs_keeps() {
    let archives = Archives::new();
    let (theirs, ours) = archives.both("dir ntfs.wim --detailed");
    let rule = "-".repeat(76);
    let (theirs, ours) = (theirs.text(), ours.text());
    let differing: Vec<_> = ours
        .split(&rule)
        .zip(theirs.split(&rule))
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, _)| ours)
        .collect();
    let [file] = differing[..] else { panic!("expected one file to differ: {differing:#?}") };
    assert!(file.contains("Full Path           = \"/reparse2\""), "{file}");
    assert!(file.contains("\tUnnamed data stream:\n"), "{file}");
}

#[test]
fn paths_ignore_case_where_asked_to() {
    let archives = Archives::new();
    for line in ["dir many.wim 1 --path=/DIR/BIG.TXT", "dir many.wim 1 --path=/CASE.txt"] {
        let run = |mut command: Command| {
            command.env("WIMLIB_IMAGEX_IGNORE_CASE", "1");
            archives.run(command, &words(line))
        };
        let (theirs, ours) = (run(tools::wimlib()), run(bins::wimx()));
        assert_eq!(ours.code(), 0, "{line}: {}", ours.stderr);
        assert_same_lines(line, &theirs.stdout, &ours.stdout);
    }
}

#[test]
fn wrong_files_have_the_same_codes() {
    let archives = Archives::new();
    let whole = fs::read(archives.path("v1.wim")).expect("a vector");
    fs::write(archives.path("empty.wim"), b"").expect("a file");
    fs::write(archives.path("text.wim"), b"no WIM").expect("a file");
    fs::write(archives.path("longtext.wim"), b"no WIM".repeat(100)).expect("a file");
    fs::write(archives.path("cut.wim"), &whole[..900]).expect("a file");
    // Offset in v1.wim and what is there: the byte is inverted.
    for (name, offset) in [
        ("header-size.wim", 0x08),
        ("version.wim", 0x0c),
        ("part.wim", 0x28),
        ("blob-table-size.wim", 0x30),
        ("metadata.wim", 300),
        ("integrity-table.wim", 1918),
        ("data.wim", 209),
    ] {
        let mut bytes = whole.clone();
        bytes[offset] = !bytes[offset];
        fs::write(archives.path(name), bytes).expect("a file");
    }
    for wim in [
        "nope.wim",
        "tree",
        "empty.wim",
        "text.wim",
        "longtext.wim",
        "cut.wim",
        "header-size.wim",
        "version.wim",
        "part.wim",
        "blob-table-size.wim",
        "nope/nope.wim",
    ] {
        archives.same_failure(&format!("info {wim}"));
        archives.same_failure(&format!("dir {wim} 1"));
    }
    archives.same_failure("dir metadata.wim 1");
    archives.same_failure("info metadata.wim --check");
    archives.same_failure("info data.wim --check");
    archives.same_failure("info integrity-table.wim --check");
    archives.same("info integrity-table.wim");
    archives.same_failure("dir v52.swm 1");
}

#[test]
fn wrong_operands_have_the_same_codes() {
    let archives = Archives::new();
    for line in [
        "info",
        "info many.wim 9",
        "info many.wim 0",
        "info many.wim nope",
        "info many.wim first",
        "info many.wim \"\"",
        "info many.wim --bogus",
        "info many.wim -1",
        "info many.wim 1 a b c",
        "info many.wim --xml=1",
        "info many.wim --extract-xml",
        "info many.wim --e",
        "dir",
        "dir many.wim",
        "dir many.wim 3",
        "dir many.wim 1 2",
        "dir many.wim 1 --path",
        "dir many.wim 1 --path=/nope",
        "dir many.wim 1 --path=/a.txt/b",
        "dir many.wim 1 --path=/dir*",
        "dir v5.swm 1 --ref=nope*.swm",
        "bogus",
        "--bogus",
    ] {
        archives.same_failure(line);
    }
}
