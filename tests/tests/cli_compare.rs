//! The same command line through wimlib-imagex and through wimx: the same lines on standard output
//! and the same exit code.
//!
//! The versions of wimlib-imagex in use (1.13.5 of Debian and 1.14.5) print the same for all that is
//! compared here. Where wimx differs on purpose, the case says so.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::child::{self, Finished};
use osupg_tests::tree::{self, Times};
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
            ("dir/sub dir/binary", (0..50_000u32).map(|n| ((n * n) >> 7) as u8).collect()),
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
        self.run(tools::wimlib(), &words(line)).ok();
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

    /// Both have to print the same and leave with the same code; else says what differs.
    fn same(&self, line: &str) -> Option<String> {
        let (theirs, ours) = self.both(line);
        let Finished { stderr, .. } = &ours;
        if ours.code() != theirs.code() {
            let (ours, theirs) = (ours.code(), theirs.code());
            return Some(format!("{line}: code {ours}, expected {theirs}\n{stderr}"));
        }
        let differing = differing_line(&theirs.stdout, &ours.stdout)?;
        Some(format!("{line}: {differing}\n{stderr}"))
    }

    /// Both have to fail with the same code, wimx with a message and nothing on standard output;
    /// else says what is not so.
    fn same_failure(&self, line: &str) -> Option<String> {
        let (theirs, ours) = self.both(line);
        let Finished { stderr, stdout, .. } = &ours;
        let problem = if theirs.code() == 0 {
            "wimlib-imagex does not fail".to_owned()
        } else if ours.code() != theirs.code() {
            format!("code {}, expected {}: {}", ours.code(), theirs.code(), theirs.stderr)
        } else if !stdout.is_empty() {
            format!("prints {}", ours.text())
        } else if !stderr.lines().any(|line| line.starts_with("error: ")) {
            "has no message".to_owned()
        } else {
            return None;
        };
        Some(format!("{line}: {problem}\n{stderr}"))
    }
}

/// Fails with all of `differences`.
#[track_caller]
fn none(differences: impl IntoIterator<Item = Option<String>>) {
    let differences: Vec<_> = differences.into_iter().flatten().collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Splits at blanks; `""` stands for an empty word.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect()
}

/// The first line that is not the same in both.
fn differing_line(theirs: &[u8], ours: &[u8]) -> Option<String> {
    let (theirs, ours) = (String::from_utf8_lossy(theirs), String::from_utf8_lossy(ours));
    let mut pairs = (1..).zip(theirs.split('\n').zip(ours.split('\n')));
    match pairs.find(|(_, (theirs, ours))| theirs != ours) {
        Some((number, (theirs, ours))) => {
            Some(format!("line {number} is {ours:?}, expected {theirs:?}"))
        }
        None if ours.len() != theirs.len() => Some("one of them stops early".to_owned()),
        None => None,
    }
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
        let options = ["", " 1", " --header", " --xml", " --header --xml"];
        none(options.map(|options| archives.same(&format!("info {wim}{options}"))));
    }
    let lines = [
        "info editions.wim 2",
        "info editions.wim 02",
        "info editions.wim all",
        "info editions.wim *",
        "info many.wim Second",
        "info --quiet --check many.wim",
        "info many.wim -head",
        "info many.wim 1 --extract-xml=xml",
        "info -- many.wim",
        "info many.wim --nocheck 2",
        "info many.wim --nocheck --nocheck --header --header",
    ];
    none(lines.map(|line| archives.same(line)));
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
        let operands = ["all", "1", "1 --one-file-only", "1 --path=/nope"];
        none(operands.map(|operands| archives.same(&format!("dir {wim} {operands}"))));
        if wim != "ntfs.wim" {
            none([archives.same(&format!("dir {wim} all --detailed"))]);
        }
    }
    let lines = [
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
        "dir many.wim 1 --path=/nope --path=/dir --detailed -det",
    ];
    none(lines.map(|line| archives.same(line)));
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
        none([differing_line(&theirs.stdout, &ours.stdout)]);
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
        ("blob-table-offset.wim", 0x3a),
        ("metadata.wim", 300),
        ("integrity-table.wim", 1918),
        ("data.wim", 209),
    ] {
        let mut bytes = whole.clone();
        bytes[offset] = !bytes[offset];
        fs::write(archives.path(name), bytes).expect("a file");
    }
    let files = [
        "nope.wim",
        "tree",
        "empty.wim",
        "text.wim",
        "longtext.wim",
        "cut.wim",
        "header-size.wim",
        "version.wim",
        "part.wim",
        "blob-table-offset.wim",
        "nope/nope.wim",
    ];
    none(files.map(|wim| archives.same_failure(&format!("info {wim}"))));
    none(files.map(|wim| archives.same_failure(&format!("dir {wim} 1"))));
    let lines = [
        "dir metadata.wim 1",
        "info metadata.wim --check",
        "info data.wim --check",
        "info integrity-table.wim --check",
        "dir v52.swm 1",
    ];
    none(lines.map(|line| archives.same_failure(line)));
    none([archives.same("info integrity-table.wim")]);
}

#[test]
fn wrong_operands_have_the_same_codes() {
    let archives = Archives::new();
    let lines = [
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
        "info many.wim --extract-xml=nope/xml",
        "info many.wim --extract-xml=tree",
        "apply many.wim 1 out --compact=nope",
        "apply many.wim 1 out --compact=lzx",
        "extract many.wim 1 --dest-dir=out --compact=nope",
        "split many.wim many.swm 1x",
        "optimize many.wim --unsafe-compact --recompress",
        "optimize many.wim --unsafe-compact --compress=lzx",
        "optimize many.wim --solid-compress=none",
        "capture tree new.wim --update-of=many.wim:1 --update-of=many.wim:2",
        "update many.wim 1 --command=a --command=b",
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
        // Only `apply` knows standard input.
        "info -",
        "dir -",
        "verify -",
        "bogus",
        "--bogus",
    ];
    none(lines.map(|line| archives.same_failure(line)));
}

#[test]
fn what_is_not_unicode_is_no_image() {
    let archives = Archives::new();
    let commands: [(&str, &[&str]); 8] = [
        ("info", &[]),
        ("info", &["new name"]),
        ("dir", &[]),
        ("apply", &["out"]),
        ("extract", &["/a.txt"]),
        ("export", &["out.wim"]),
        ("update", &["--command=delete /a.txt"]),
        ("delete", &[]),
    ];
    for (command, behind) in commands {
        let [theirs, ours] = [tools::wimlib(), bins::wimx()].map(|mut line| {
            line.arg(command).arg("many.wim").arg(OsStr::from_bytes(b"b\xff\xfed"));
            archives.run(line, behind)
        });
        assert_eq!(ours.code(), theirs.code(), "{command}: {}", ours.stderr);
        assert_eq!(ours.code(), 18, "{command}: {}", ours.stderr);
    }
}

#[test]
fn info_changes_the_same() {
    let archives = Archives::new();
    for vector in ["v1.wim", "v3.wim", "ntfs.wim"] {
        // One copy for each tool, of the same name, so that the lines printed can be the same.
        for folder in ["theirs", "ours"] {
            let folder = archives.folder.path().join(folder);
            fs::create_dir_all(&folder).expect("a folder");
            fs::copy(archives.path(vector), folder.join("x.wim")).expect("a copy");
            // The vectors may be read-only.
            let mut permissions = fs::metadata(folder.join("x.wim")).expect("a file").permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
            fs::set_permissions(folder.join("x.wim"), permissions).expect("permissions");
        }
        for line in [
            "info x.wim 1 A~new~name Text",
            "info x.wim 1 A~new~name",
            "info x.wim 1 \"\"",
            "info x.wim --boot",
            "info x.wim --boot",
            "info x.wim 0 --boot",
            "info x.wim 0 --boot",
            "info x.wim 0 --boot name",
            "info x.wim 1 --image-property WINDOWS/VERSION/MAJOR=10 --image-property A/B[1]=<&>\"'",
            "info x.wim 1 --image-property A/B[2]=2 --include-integrity",
            "info x.wim 1 --image-property A/B[4]=2",
            "info x.wim 1 --image-property /=2",
            "info x.wim 1 --image-property A",
            "info x.wim 1 --image-property A/B=",
            "info x.wim 1 Longer~than~all~names~before --check",
            "info x.wim 1 --image-property NAME=short --nocheck",
            "info x.wim 2 name",
            "info x.wim 1 a --include-integrity --nocheck",
            "info x.wim 1 b --nocheck --check",
        ] {
            let line = line.replace('~', "\u{a0}");
            let run = |mut command: Command, folder: &str| {
                command.current_dir(archives.folder.path().join(folder)).args(words(&line));
                child::run(command.arg("--quiet"))
            };
            let theirs = run(tools::wimlib(), "theirs");
            let ours = run(bins::wimx(), "ours");
            assert_eq!(ours.code(), theirs.code(), "{line}\n{}", ours.stderr);
            let state = |folder: &str| {
                let folder = archives.folder.path().join(folder);
                let show = |line: &str| {
                    let mut command = tools::wimlib();
                    child::run(command.current_dir(&folder).args(words(line))).ok().text()
                };
                // wimlib-imagex 1.13.5 ends the XML with a line feed, which shifts what follows.
                let shifts =
                    |line: &&str| line.starts_with("XML Data") || line.contains("y Offset");
                let header = show("info x.wim --header");
                let header: Vec<_> = header.lines().filter(|line| !shifts(line)).collect();
                let xml = show("info x.wim --xml").replace("\n\0", "");
                (show("info x.wim"), header.join("\n"), xml)
            };
            assert_eq!(state("ours"), state("theirs"), "{line}");
            let mut verify = tools::wimlib();
            let ours = archives.folder.path().join("ours");
            child::run(verify.current_dir(ours).args(["verify", "x.wim"])).ok();
        }
    }
}

#[test]
fn changes_are_refused_with_the_same_codes() {
    let archives = Archives::new();
    let mut read_only = fs::read(archives.path("v1.wim")).expect("a vector");
    read_only[0x10] |= 4;
    fs::write(archives.path("read-only.wim"), read_only).expect("a file");
    let lines = [
        "info v5.swm 1 name",
        "info read-only.wim 1 name",
        "info many.wim 1 Second",
        "info many.wim name",
        "info many.wim all name",
        "info many.wim --boot",
        "info many.wim all --boot",
        "info many.wim --image-property A=B",
    ];
    none(lines.map(|line| archives.same_failure(line)));
    // As 1.14.5; 1.13.5 writes XML that nobody can read.
    let control_character = archives.run(bins::wimx(), &["info", "many.wim", "1", "a\u{1}b"]);
    assert_eq!(control_character.code(), 24, "{}", control_character.stderr);
}

/// wimlib-imagex stops at the first problem, wimx names all of them; the code is that of the first.
#[test]
fn verify_has_the_same_codes() {
    let archives = Archives::new();
    let whole = fs::read(archives.path("v2lzx.wim")).expect("a vector");
    // In v2lzx.wim: data of /a.txt, chunks of /big.txt, data of /rnd.bin, the metadata.
    for offset in [210, 300, 400, 3000, 3600] {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x55;
        fs::write(archives.path(format!("flip{offset}.wim")), bytes).expect("a file");
    }
    let lines = [
        "verify flip210.wim",
        "verify flip300.wim",
        "verify flip400.wim",
        "verify flip3000.wim",
        "verify flip3600.wim",
        "verify v5.swm",
        "verify nope.wim",
        "verify",
        "verify v1.wim v3.wim",
        "verify v1.wim --check",
    ];
    none(lines.map(|line| archives.same_failure(line)));
    for wim in WHOLE.into_iter().chain(["v52.swm", "many.wim", "stored.wim"]) {
        none([archives.same(&format!("verify {wim} --quiet"))]);
    }
    none([archives.same("verify v5.swm --ref=v5*.swm --quiet")]);
    let (_, ours) = archives.both("verify v5.swm");
    assert!(ours.stderr.contains("image 1: /r2.bin"), "{}", ours.stderr);
    let (theirs, ours) = archives.both("verify v3.wim");
    let last = |finished: &Finished| finished.text().lines().last().map(str::to_owned);
    assert_eq!(last(&ours), last(&theirs));
}

/// Runs both with `--quiet` in copies of one folder, and compares codes and what they extracted.
impl Archives {
    fn same_extraction(&self, line: &str) -> Option<String> {
        let arguments = words(line);
        let extract = |command: Command, name: &str| {
            let target = self.folder.path().join(name);
            let _ = fs::remove_dir_all(&target);
            let arguments: Vec<_> =
                arguments.iter().map(|word| word.replace("OUT", name)).collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let finished = self.run(command, &arguments);
            let found = target.exists().then(|| tree::describe(&target, Times::Compare));
            (finished, found.transpose().expect("a readable tree"))
        };
        // Of the same length, since targets of links that are fixed up hold the name.
        let (theirs, their_tree) = extract(tools::wimlib(), "out1");
        let (ours, our_tree) = extract(bins::wimx(), "out2");
        if ours.code() != theirs.code() {
            let (ours, theirs, said) = (ours.code(), theirs.code(), ours.stderr);
            return Some(format!("{line}: code {ours}, expected {theirs}\n{said}"));
        }
        if ours.code() != 0 {
            return None;
        }
        if let Some(differing) = differing_line(&theirs.stdout, &ours.stdout)
            && arguments.contains(&"--to-stdout")
        {
            return Some(format!("{line}: {differing}"));
        }
        let differences = match (their_tree, our_tree) {
            (Some(mut theirs), Some(mut ours)) => {
                // The time of the target is that of the run, unless the root itself goes there.
                for tree in [&mut theirs, &mut ours] {
                    tree.get_mut(&b""[..]).expect("a root").modified = (0, 0);
                }
                tree::differences(&theirs, &ours)
            }
            (None, None) => Vec::new(),
            _ => vec!["only one of them made a directory".to_owned()],
        };
        (!differences.is_empty()).then(|| format!("{line}: {differences:#?}"))
    }
}

#[test]
fn apply_has_the_same_results_and_codes() {
    let archives = Archives::new();
    let lines = [
        "apply v1.wim OUT",
        "apply v2lzms.wim 1 OUT",
        "apply v3.wim 1 OUT",
        "apply v4.wim 1 OUT",
        "apply v5.swm 1 OUT --ref=v5*.swm",
        "apply editions.wim all OUT",
        "apply v1.wim all OUT",
        "apply ntfs.wim OUT",
        "apply ntfs.wim OUT --no-acls --no-attributes --include-invalid-names",
        "apply many.wim First OUT --norpfix",
        "apply many.wim 1 OUT --unix-data --norpfix --check",
        "apply pipable.wim 2 OUT",
        "apply solid.esd 2 OUT --quiet",
        "apply solid.esd 2 OUT --verbose --strict-acls",
        "apply many.wim OUT",
        "apply many.wim 3 OUT",
        "apply many.wim 1 OUT 2",
        "apply many.wim",
        "apply many.wim 1 nope/OUT",
        "apply v5.swm 1 OUT",
        "apply v52.swm 1 OUT",
        "apply v1.wim OUT --rpfix --norpfix",
        "apply v1.wim OUT --no-acls --strict-acls",
        "apply ntfs.wim OUT --strict-acls",
        "apply v1.wim OUT --compact=lzx",
        "apply v1.wim OUT --wimboot",
        "apply nope.wim OUT",
    ];
    none(lines.map(|line| archives.same_extraction(line)));
}

#[test]
fn extract_has_the_same_results_and_codes() {
    let archives = Archives::new();
    let list = "; a list\n/a.txt\n\n# more\n  \\dir\\sub dir  \n\"/empty\"\n";
    fs::write(archives.path("list"), list).expect("a list");
    let utf16: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(archives.path("list16"), utf16).expect("a list");
    let lines = [
        "extract many.wim 1 --dest-dir=OUT",
        "extract many.wim 1 / --dest-dir=OUT",
        "extract many.wim 1 \"\" --dest-dir=OUT",
        "extract many.wim 1 /a.txt --dest-dir=OUT",
        "extract many.wim 1 /dir /a.txt --dest-dir OUT",
        "extract many.wim 1 dir\\big.txt --dest-dir=OUT --preserve-dir-structure",
        "extract many.wim 1 /*.txt --dest-dir=OUT",
        "extract many.wim 1 /dir/*/* --dest-dir=OUT",
        "extract many.wim 1 /?.txt /nope* --nullglob --dest-dir=OUT",
        "extract many.wim 1 /star*[1].name --no-globs --dest-dir=OUT",
        "extract many.wim 1 /star*[1].name --no-wild --dest-dir=OUT",
        "extract many.wim 1 @list --dest-dir=OUT",
        "extract many.wim 1 @list16 --dest-dir=OUT",
        "extract many.wim 1 /dir/big.txt @list /dir/link.txt --dest-dir=OUT",
        "extract many.wim 1 /inner.lnk /absolute.lnk --dest-dir=OUT",
        "extract many.wim 1 /a.txt /dir/link.txt --dest-dir=OUT --unix-data",
        "extract ntfs.wim 1 /Program* --dest-dir=OUT --no-acls",
        "extract v5.swm 1 /r2.bin --ref=v5*.swm --dest-dir=OUT",
        "extract solid.esd First /dir --check --dest-dir=OUT",
        "extract many.wim 1 /a.txt /dir/big.txt --to-stdout",
        "extract many.wim 1 /empty.txt --to-stdout",
        "extract many.wim 1 /*t --to-stdout",
        "extract many.wim 1 /dir --to-stdout",
        "extract many.wim 1 /relative.lnk --to-stdout",
        "extract many.wim 1 --to-stdout",
        "extract many.wim 1 /nope --dest-dir=OUT",
        "extract many.wim 1 /nope --no-globs --dest-dir=OUT",
        "extract many.wim 1 /nope* --dest-dir=OUT",
        "extract many.wim 1 /nope --nullglob --no-globs --dest-dir=OUT",
        "extract many.wim 1 @nope --dest-dir=OUT",
        "extract many.wim all /a.txt --dest-dir=OUT",
        "extract v1.wim all /a.txt --dest-dir=OUT",
        "extract many.wim 7 /a.txt --dest-dir=OUT",
        "extract many.wim",
        "extract many.wim 1 /a.txt --dest-dir=OUT/a/b",
        "extract v5.swm 1 /r2.bin --dest-dir=OUT",
    ];
    none(lines.map(|line| archives.same_extraction(line)));
}

/// wimlib-imagex says on standard output that it reads the list, in the middle of the data.
#[test]
fn a_list_is_read_from_standard_input() {
    let archives = Archives::new();
    let list = fs::File::open({
        let list = archives.path("list");
        fs::write(&list, "/a.txt\n# not this one: /dir/big.txt\n").expect("a list");
        list
    });
    let mut command = bins::wimx();
    command.current_dir(archives.folder.path()).stdin(list.expect("a list"));
    command.args(["extract", "many.wim", "1", "@-", "--to-stdout"]);
    let output = command.output().expect("wimx starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"hello\n");
}

/// wimlib-imagex takes a file or disk for an NTFS volume, where it was built for that.
#[test]
fn a_target_that_is_a_file_is_refused() {
    let archives = Archives::new();
    let before = fs::read(archives.path("many.wim")).expect("a file");
    for line in ["apply v1.wim many.wim", "extract v1.wim 1 --dest-dir=many.wim"] {
        let finished = archives.run(bins::wimx(), &words(line));
        assert_eq!(finished.code(), 68, "{line}: {}", finished.stderr);
        assert!(finished.stderr.contains("many.wim is not a directory"), "{}", finished.stderr);
    }
    assert_eq!(fs::read(archives.path("many.wim")).expect("a file"), before);
}

#[test]
fn damaged_data_is_extracted_only_when_asked_for() {
    let archives = Archives::new();
    let mut bytes = fs::read(archives.path("v2lzx.wim")).expect("a vector");
    bytes[210] ^= 0x55;
    bytes[300] ^= 0x55;
    fs::write(archives.path("damaged.wim"), bytes).expect("a file");
    let lines = [
        "extract damaged.wim 1 /a.txt --dest-dir=OUT",
        "extract damaged.wim 1 /a.txt --dest-dir=OUT --recover-data",
        "extract damaged.wim 1 /rnd.bin --dest-dir=OUT",
        "extract damaged.wim 1 /a.txt --to-stdout --recover-data",
        "apply damaged.wim OUT",
    ];
    none(lines.map(|line| archives.same_extraction(line)));
}

impl Archives {
    /// Exports with both, each to a file of its own that begins as a copy of `existing`, and
    /// compares the codes, then what wimlib-imagex says of the two files.
    fn same_export(&self, existing: Option<&str>, line: &str) -> Option<String> {
        let export = |command: Command, name: &str| {
            let file = self.path(name);
            let _ = fs::remove_file(&file);
            if let Some(existing) = existing {
                fs::copy(self.path(existing), &file).expect("a copy");
            }
            let before = fs::read(&file).ok();
            let arguments: Vec<_> =
                words(line).iter().map(|word| word.replace("OUT", name)).collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let finished = self.run(command, &arguments);
            let untouched = fs::read(&file).ok() == before;
            (finished, untouched)
        };
        let (theirs, _) = export(tools::wimlib(), "out1.wim");
        let (ours, untouched) = export(bins::wimx(), "out2.wim");
        if ours.code() != theirs.code() {
            let (ours, theirs, said) = (ours.code(), theirs.code(), ours.stderr);
            return Some(format!("{line}: code {ours}, expected {theirs}\n{said}"));
        }
        if ours.code() != 0 {
            return (!untouched).then(|| format!("{line}: failed, but left another file behind"));
        }
        let (theirs, ours) = (self.facts("out1.wim"), self.facts("out2.wim"));
        (ours != theirs).then(|| format!("{line}: is {ours:#?}, expected {theirs:#?}"))
    }

    /// What wimlib-imagex says of a file: all but where things lie and the GUID of a new file.
    fn facts(&self, name: &str) -> (Vec<String>, String) {
        let show = |line: &str| self.run(tools::wimlib(), &words(line)).ok().text();
        show(&format!("verify {name}"));
        let info = show(&format!("info {name}"));
        let varies =
            |line: &&str| ["Path:", "GUID:", "Size:"].iter().any(|key| line.starts_with(key));
        let info = info.lines().filter(|line| !varies(line)).map(str::to_owned).collect();
        (info, show(&format!("dir {name} all")))
    }
}

#[test]
fn export_has_the_same_results_and_codes() {
    let archives = Archives::new();
    archives.wimlib("info v5.wim 1 --image-property WINDOWS/ARCH=9 --boot");
    let new = [
        "export v1.wim 1 OUT",
        "export v2lzms.wim 1 OUT",
        "export v3.wim 1 OUT",
        "export v4.wim 1 OUT",
        "export v5.swm 1 OUT --ref=v5*.swm",
        "export editions.wim 2 OUT",
        "export editions.wim 2 OUT New~name Text",
        "export editions.wim 2 OUT \"\" \"\"",
        "export editions.wim all OUT --boot",
        "export editions.wim 3 OUT --boot --check",
        "export many.wim Second OUT --include-integrity",
        "export many.wim all OUT --nocheck --threads=2",
        "export solid.esd 2 OUT",
        "export pipable.wim 1 OUT",
        "export editions.wim 1 OUT --compress=none",
        "export editions.wim 1 OUT --compress=Maximum:30",
        "export v5.wim 1 OUT --chunk-size=32K",
        "export v3.wim 1 OUT --compress=none --boot",
        "export ntfs.wim 1 OUT --rebuild --not-pipable",
        "export editions.wim 1 OUT --no-solid-sort --solid-compress=lzms:9 --solid-chunk-size=4M",
        "export editions.wim all OUT --solid",
        "export editions.wim all OUT --solid --compress=LZX",
        "export editions.wim 2 OUT --solid --solid-compress=XPRESS --solid-chunk-size=4K",
        "export editions.wim 2 OUT --solid --no-solid-sort --solid-compress=lzms:9",
        "export editions.wim 1 OUT --solid --solid-compress=none",
        "export editions.wim 1 OUT --solid --solid-chunk-size=100",
        "export solid.esd all OUT --recompress",
        "export solid.esd 1 OUT --compress=LZX",
        "export solid.esd 1 OUT --compress=LZMS",
        "export",
        "export editions.wim 1",
        "export editions.wim 9 OUT",
        "export editions.wim 0 OUT",
        "export editions.wim all OUT Name",
        "export v1.wim all OUT Name",
        "export v4.wim all OUT --boot",
        "export nope.wim 1 OUT",
        "export v5.swm 1 OUT",
        "export v52.swm 1 OUT",
        "export editions.wim 1 nope/OUT",
        "export editions.wim 1 OUT --compress=foo",
        "export editions.wim 1 OUT --compress=lzx:0",
        "export editions.wim 1 OUT --chunk-size=x",
        "export editions.wim 1 OUT --chunk-size=100",
        "export editions.wim 1 OUT --chunk-size=4M",
        "export editions.wim 1 OUT --compress=none --chunk-size=32K",
        "export editions.wim 1 OUT --threads=-1",
        "export editions.wim 1 OUT --check --nocheck",
        "export editions.wim 1 OUT --pipable --not-pipable",
        "export editions.wim 1 OUT --unsafe-compact",
        "export editions.wim 1 tree",
        "export editions.wim 1 OUT --solid-compress=none",
        "export editions.wim 1 OUT --solid-chunk-size=3",
        "export editions.wim 1 OUT --solid-compress=xpress --solid-chunk-size=128K",
        // The last one counts.
        "export v1.wim 1 OUT --compress=none --compress=XPRESS --chunk-size=64K --chunk-size=32K",
        "export editions.wim 2 OUT --check --check --boot --boot --solid --solid",
    ];
    none(new.map(|line| archives.same_export(None, line)));
    let existing = [
        ("v5.wim", "export editions.wim 2 OUT"),
        ("v5.wim", "export editions.wim 2 OUT --boot --compress=LZX"),
        ("v5.wim", "export editions.wim all OUT --rebuild --check"),
        ("editions.wim", "export editions.wim 2 OUT Again"),
        ("editions.wim", "export editions.wim 3 OUT"),
        ("editions.wim", "export editions.wim 2 OUT"),
        ("editions.wim", "export editions.wim all OUT"),
        ("editions.wim", "export editions.wim 1 OUT x --compress=XPRESS"),
        ("many.wim", "export editions.wim 1 OUT"),
        ("many.wim", "export editions.wim 1 OUT --nocheck"),
        ("many.wim", "export editions.wim 1 OUT --nocheck --check"),
        ("v5.wim", "export editions.wim 2 OUT --check --nocheck"),
        ("v5.wim", "export editions.wim 2 OUT --nocheck --include-integrity"),
        ("v5.wim", "export editions.wim 2 OUT --check --nocheck --rebuild"),
        ("v5.wim", "export editions.wim 2 OUT --check --nocheck --chunk-size=64K"),
        ("v5.wim", "export editions.wim 2 OUT --chunk-size=64K"),
        ("v5.wim", "export editions.wim 2 OUT --chunk-size=1000"),
        ("v5.wim", "export editions.wim 2 OUT --chunk-size=4M"),
        ("v5.wim", "export editions.wim 2 OUT --wimboot --chunk-size=8K"),
        ("v5.wim", "export editions.wim 2 OUT --compress=XPRESS --chunk-size=1000"),
        ("v2lzms.wim", "export v2lzms.wim 1 OUT x --chunk-size=8K"),
        ("v2lzms.wim", "export v2lzms.wim 1 OUT x --chunk-size=64K"),
        ("v2xpress.wim", "export v2xpress.wim 1 OUT x --wimboot --chunk-size=8K"),
        ("stored.wim", "export v1.wim 1 OUT x --chunk-size=32K"),
        ("many.wim", "export editions.wim 1 OUT --unsafe-compact"),
        ("solid.esd", "export v2lzms.wim 1 OUT"),
        ("v2lzms.wim", "export solid.esd 1 OUT"),
        ("v5.swm", "export editions.wim 1 OUT"),
        ("list.txt", "export editions.wim 1 OUT"),
    ];
    fs::write(archives.path("list.txt"), "no WIM ".repeat(100)).expect("a file");
    none(existing.map(|(existing, line)| archives.same_export(Some(existing), line)));
}

/// Given a GUID, an export is the same bytes each time, with any number of threads.
#[test]
fn exports_with_a_guid_are_the_same_bytes() {
    let archives = Archives::new();
    let export = |name: &str, threads: &str| {
        let line = format!(
            "export many.wim all {name} --guid=00112233-4455-6677-8899-aabbccddeeff {threads} --check"
        );
        archives.run(bins::wimx(), &words(&line)).ok();
        fs::read(archives.path(name)).expect("an archive")
    };
    let one = export("one.wim", "--threads=1");
    assert_eq!(one, export("two.wim", "--threads=7"));
    assert_eq!(one, export("three.wim", "--verify"));
    let info = archives.run(tools::wimlib(), &["info", "one.wim"]).ok().text();
    assert!(info.contains("GUID:           0x00112233445566778899aabbccddeeff"), "{info}");
}

/// What would need an encoder that is not there says so, and leaves nothing behind.
#[test]
fn what_cannot_be_written_is_refused() {
    let archives = Archives::new();
    for options in ["--compress=LZMS --chunk-size=128M", "--solid --solid-chunk-size=128M"] {
        let line = format!("export editions.wim 1 new.wim {options}");
        let finished = archives.run(bins::wimx(), &words(&line));
        assert_eq!(finished.code(), 68, "{line}: {}", finished.stderr);
        assert!(!archives.path("new.wim").exists(), "{line}");
    }
}

/// The same options give archives of the same kind, with the same in them.
#[test]
fn exports_that_compress_anew() {
    for options in [
        "--compress=XPRESS",
        "--compress=lzx:20 --check",
        "--compress=LZMS:20 --chunk-size=256K",
        "--chunk-size=64K",
        "--recompress",
        "--wimboot",
        "--compress=none",
    ] {
        let [theirs, ours] = [Archives::new(), Archives::new()];
        let line = format!("export ntfs.wim 1 new.wim {options} --quiet");
        for (archives, program) in [(&theirs, tools::wimlib()), (&ours, bins::wimx())] {
            let finished = archives.run(program, &words(&line));
            assert_eq!(finished.code(), 0, "{line}: {}", finished.stderr);
        }
        let facts = |archives: &Archives| {
            let line = "info new.wim --json";
            let finished = archives.run(bins::wimx(), &words(line));
            let text = finished.text();
            let keep = |part: &&str| {
                [
                    "\"compression\"",
                    "\"chunk_size\"",
                    "\"attributes\"",
                    "\"wimboot\"",
                    "\"total_bytes\"",
                ]
                .iter()
                .any(|key| part.contains(key))
            };
            text.split(',').filter(keep).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(facts(&ours), facts(&theirs), "{line}");
        let verified = ours.run(tools::wimlib(), &words("verify new.wim"));
        assert_eq!(verified.code(), 0, "{line}: {}", verified.stderr);
    }
}

/// Where a header says how long a table is; 8 bytes behind it, where it begins.
const BLOB_TABLE: usize = 48;
const INTEGRITY_TABLE: usize = 124;
/// Bytes of an entry of the blob table.
const ENTRY: usize = 50;

/// The bytes of an archive that are to be damaged.
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&self, at: usize) -> usize {
        self.0[at..at + 7].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Where the table begins that the header names at `at`.
    fn table(&self, at: usize) -> usize {
        self.number(at + 8)
    }

    /// Where the first entry of the blob table is whose flags are these.
    fn entry(&self, flags: u8) -> usize {
        let entries = (self.table(BLOB_TABLE)..).step_by(ENTRY);
        let mut entries = entries.take(self.number(BLOB_TABLE) / ENTRY);
        entries.find(|at| self.0[at + 7] == flags).expect("there is one")
    }
}

impl Archives {
    /// Makes a damaged archive of `many.wim`.
    fn damage(&self, name: &str, damage: impl FnOnce(Bytes) -> Bytes) {
        let whole = Bytes(fs::read(self.path("many.wim")).expect("an archive"));
        fs::write(self.path(name), damage(whole).0).expect("a file");
    }

    /// Runs both, each with a copy of `wim`, which `line` calls OUT, and compares the codes. What ours
    /// has written has to be whole.
    fn same_change(&self, wim: &str, line: &str) -> Option<String> {
        let change = |command: Command| {
            fs::copy(self.path(wim), self.path("OUT")).expect("a copy");
            let finished = self.run(command, &words(line));
            let _ = fs::remove_dir_all(self.path("dir"));
            finished
        };
        let (theirs, ours) = (change(tools::wimlib()), change(bins::wimx()));
        let (code, expected, said) = (ours.code(), theirs.code(), ours.stderr);
        if code != expected {
            return Some(format!("{wim}: {line}: code {code}, expected {expected}\n{said}"));
        }
        let is_written = fs::read(self.path("OUT")).ok() != fs::read(self.path(wim)).ok();
        let verified = self.run(tools::wimlib(), &["verify", "OUT"]);
        let is_broken = is_written && verified.code() != 0;
        is_broken.then(|| format!("{wim}: {line}: {}\n{said}", verified.stderr))
    }
}

/// It is needed where it is to be checked. Who writes the file anew makes another, and who adds to it
/// takes over nothing of it.
#[test]
fn a_damaged_integrity_table_is_in_nobodys_way() {
    let archives = Archives::new();
    let cut = |by| move |Bytes(bytes): Bytes| Bytes(bytes[..bytes.len() - by].to_vec());
    archives.damage("cut.wim", cut(32));
    archives.damage("cut1.wim", cut(1));
    archives
        .damage("elsewhere.wim", |wim| wim.set(INTEGRITY_TABLE + 8, &(1u64 << 40).to_le_bytes()));
    archives.damage("garbled.wim", |wim| {
        let at = wim.table(INTEGRITY_TABLE);
        wim.set(at, &[0xff; 12])
    });
    archives.damage("count.wim", |wim| {
        let at = wim.table(INTEGRITY_TABLE) + 4;
        wim.set(at, &77u32.to_le_bytes())
    });
    let reading = [
        "info OUT",
        "dir OUT 1",
        "apply OUT 1 dir --quiet",
        "extract OUT 1 /a.txt --dest-dir=dir --quiet",
        "verify OUT --nocheck",
        "verify OUT",
        "info OUT --check",
        "apply OUT 1 dir --check",
        "optimize OUT --check",
    ];
    let writing = [
        "append tree OUT third",
        "append tree OUT third --nocheck",
        "append tree OUT third --rebuild",
        "update OUT 1 --command=delete\t/a.txt",
        "delete OUT 1 --soft",
    ];
    let writing_anew = [
        "optimize OUT",
        "optimize OUT --nocheck",
        "delete OUT 1",
        "info OUT 1 NEW",
        "info OUT 1 NEW --nocheck",
    ];
    for wim in ["cut.wim", "cut1.wim", "elsewhere.wim", "garbled.wim", "count.wim"] {
        none(reading.map(|line| archives.same_change(wim, line)));
        none(writing_anew.map(|line| archives.same_change(wim, line)));
        if wim == "elsewhere.wim" {
            // wimlib-imagex writes a file of that length.
            for line in writing {
                fs::copy(archives.path(wim), archives.path("OUT")).expect("a copy");
                archives.run(bins::wimx(), &words(line)).ok();
                archives.wimlib("verify OUT");
            }
        } else {
            none(writing.map(|line| archives.same_change(wim, line)));
        }
    }
    for wim in ["cut.wim", "garbled.wim"] {
        fs::copy(archives.path(wim), archives.path("OUT")).expect("a copy");
        let line = "append tree OUT third";
        let finished = archives.run(bins::wimx(), &words(line));
        assert!(finished.stderr.contains("a new table is made"), "{}", finished.stderr);
        let info = archives.run(tools::wimlib(), &words("info OUT")).ok().text();
        assert!(info.contains("Integrity info"), "{info}");
    }
}

/// Who asks for a check hears first what it says.
#[test]
fn damaged_tables_have_the_same_codes() {
    let archives = Archives::new();
    archives.damage("blob-size.wim", |wim| {
        let at = wim.entry(0) + 16;
        wim.set(at, &(1u64 << 40).to_le_bytes())
    });
    archives.damage("table-size.wim", |wim| {
        let size = wim.number(BLOB_TABLE) - 7;
        wim.set(BLOB_TABLE, &(size as u64).to_le_bytes()[..7])
    });
    archives.damage("table-place.wim", |wim| wim.set(BLOB_TABLE + 8, &(1u64 << 40).to_le_bytes()));
    archives.damage("no-table.wim", |wim| wim.set(BLOB_TABLE, &[0; 24]));
    archives.damage("no-metadata.wim", |wim| {
        let at = wim.entry(6) + 7;
        wim.set(at, &[4])
    });
    archives.damage("count.wim", |wim| wim.set(44, &3u32.to_le_bytes()));
    let checked = [
        "verify OUT",
        "info OUT --check",
        "apply OUT 1 dir --check",
        "optimize OUT --check",
        "append tree OUT third --check",
    ];
    for wim in
        ["blob-size.wim", "table-size.wim", "table-place.wim", "no-table.wim", "no-metadata.wim"]
    {
        none(checked.map(|line| archives.same_change(wim, line)));
    }
    none([archives.same_change("count.wim", "verify OUT")]);
    let reading = ["info OUT", "dir OUT 1"];
    none(reading.map(|line| archives.same_change("table-size.wim", line)));
    for wim in ["no-table.wim", "no-metadata.wim"] {
        none([archives.same_change(wim, "info OUT")]);
        // Which image has lost its metadata nobody knows. wimlib-imagex takes the next one's, and writes
        // archives that it cannot read any more.
        for line in ["dir OUT 1", "append tree OUT third", "optimize OUT", "info OUT 1 NEW"] {
            fs::copy(archives.path(wim), archives.path("OUT")).expect("a copy");
            let finished = archives.run(bins::wimx(), &words(line));
            assert_eq!(finished.code(), 10, "{wim}: {line}: {}", finished.stderr);
            let same = fs::read(archives.path("OUT")).ok() == fs::read(archives.path(wim)).ok();
            assert!(same, "{wim}: {line}");
        }
    }
}

#[test]
fn data_outside_of_the_file_is_noticed_before_anything_is_added() {
    let archives = Archives::new();
    archives.damage("place.wim", |wim| {
        let at = wim.entry(4) + 8;
        wim.set(at, &(1u64 << 40).to_le_bytes())
    });
    let lines = ["append tree OUT third", "update OUT 1 --command=delete\t/a.txt", "optimize OUT"];
    none(lines.map(|line| archives.same_change("place.wim", line)));
}

/// What wimlib-imagex leaves out: data that is copied as it is can be checked on the way.
#[test]
fn optimize_checks_data_when_asked_to() {
    let archives = Archives::new();
    archives.damage("data.wim", |wim| {
        let at = wim.table(wim.entry(4));
        let byte = !wim.0[at + 20];
        wim.set(at + 20, &[byte])
    });
    for (line, code) in [("optimize OUT", 0), ("optimize OUT --verify", 2)] {
        fs::copy(archives.path("data.wim"), archives.path("OUT")).expect("a copy");
        let finished = archives.run(bins::wimx(), &words(line));
        assert_eq!(finished.code(), code, "{line}: {}", finished.stderr);
    }
    let same = fs::read(archives.path("OUT")).ok() == fs::read(archives.path("data.wim")).ok();
    assert!(same, "the archive is as it was");
}

#[test]
fn a_tree_that_cannot_be_names_no_image() {
    let archives = Archives::new();
    fs::write(archives.path("list"), "tree/a.txt d\ntree/dir d\n").expect("a list");
    let line = "capture list OUT --source-list";
    none([archives.same_failure(line)]);
    let finished = archives.run(bins::wimx(), &words(line));
    assert!(finished.stderr.contains("OUT: d: is "), "{}", finished.stderr);
}
