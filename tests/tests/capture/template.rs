//! `--update-of`: what has not changed since another image is not read, as wimlib decides it.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osupg_tests::bins;
use osupg_tests::child::run;
use osupg_tests::corpus::{noise, text};
use osupg_tests::tools::wimlib;

use crate::{Scratch, seen, trees};

const FILES: [&str; 6] = ["same", "touched", "longer", "read before", "dir/deep", "linked"];

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds)
}

/// Gives a file times of last writing and reading, in seconds.
fn set_times(scratch: &Scratch, name: &str, written: u64, read: u64) {
    let file = File::options().write(true).open(scratch.path(&format!("tree/{name}")));
    let times = FileTimes::new().set_modified(at(written)).set_accessed(at(read));
    file.expect("it is there").set_times(times).expect("times can be set");
}

/// The tree as it is when the first image is made.
fn before(scratch: &Scratch) {
    for (name, seed) in FILES.iter().zip(1..) {
        trees::write(&scratch.path("tree"), &[(name, &text(40_000, seed))]);
    }
    let _ = fs::remove_file(scratch.path("tree/link"));
    fs::hard_link(scratch.path("tree/linked"), scratch.path("tree/link")).expect("a link");
    FILES.iter().for_each(|name| set_times(scratch, name, 100, 200));
}

/// The tree as it is when the second is made: everything has changed, but most of it does not show.
fn after(scratch: &Scratch) {
    for (name, seed) in FILES.iter().zip(11..) {
        fs::write(scratch.path(&format!("tree/{name}")), text(40_000, seed)).expect("a file");
        set_times(scratch, name, 100, 200);
    }
    fs::write(scratch.path("tree/longer"), text(40_001, 5)).expect("a file");
    set_times(scratch, "longer", 100, 200);
    set_times(scratch, "touched", 101, 200);
    set_times(scratch, "read before", 100, 199);
    set_times(scratch, "dir/deep", 100, 300);
}

/// Both tools make the same image of the changed tree.
#[track_caller]
fn same(scratch: &Scratch, line: &str, image: u32) {
    for (wim, tool) in [("theirs.wim", crate::wimlib()), ("ours.wim", bins::wimx())] {
        after(scratch);
        run(&mut scratch.command(tool, &line.replace("WIM", wim))).ok();
    }
    let same = scratch.metadata("ours.wim", image) == scratch.metadata("theirs.wim", image);
    assert!(same, "{line}: the metadata is not wimlib's");
    assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "{line}: blobs");
}

fn with_a_first_image() -> Scratch {
    let scratch = Scratch::new();
    for (wim, tool) in [("theirs.wim", crate::wimlib()), ("ours.wim", bins::wimx())] {
        before(&scratch);
        run(&mut scratch.command(tool, &format!("capture tree {wim} first --quiet"))).ok();
    }
    fs::copy(scratch.path("theirs.wim"), scratch.path("base.wim")).expect("a copy");
    scratch
}

#[test]
fn what_seems_unchanged_is_not_read() {
    let scratch = with_a_first_image();
    same(&scratch, "append tree WIM second --quiet --update-of=first", 2);
    // What is stored of `same` is what it held before.
    let stored = scratch.wimx("extract ours.wim 2 /same --to-stdout").ok().stdout;
    assert!(stored == text(40_000, 1), "it was read");
    scratch.verifies("ours.wim");
    for (number, operand) in (3..).zip(["1", "-2", "base.wim:1", "base.wim:-1", "base.wim:first"]) {
        same(&scratch, &format!("append tree WIM {number} --quiet --update-of={operand}"), number);
    }
    same(&scratch, "append tree WIM rebuilt --quiet --rebuild --update-of 1", 8);
    same(&scratch, "append tree WIM other --quiet --chunk-size=64K --update-of=1", 9);
}

#[test]
fn a_new_file_takes_nothing_from_a_template_whose_data_it_does_not_have() {
    let scratch = with_a_first_image();
    after(&scratch);
    scratch.wimx("capture tree ours.wim alone --quiet --update-of=base.wim:1").ok();
    scratch.accepted("ours.wim");
    scratch.holds("ours.wim", 1, &seen(&scratch.path("tree")));
}

#[test]
fn a_delta_of_what_has_changed() {
    let scratch = with_a_first_image();
    same(&scratch, "capture tree WIM delta --quiet --delta-from=base.wim --update-of=1", 1);
    same(&scratch, "capture tree WIM delta --quiet --delta-from=base.wim", 1);
    // With contents that are what they seem, the delta gives the tree.
    before(&scratch);
    fs::write(scratch.path("tree/new"), noise(90_000, 1)).expect("a file");
    trees::settle(&scratch.path("tree"));
    scratch.wimx("capture tree d.wim x --quiet --delta-from=base.wim --update-of=1").ok();
    assert!(scratch.read("d.wim").len() < 100_000, "it holds more than the new file");
    scratch.holds_with("d.wim", 1, &seen(&scratch.path("tree")), "--ref=base.wim");
    assert_eq!(scratch.wimx("verify d.wim --quiet").code(), 55);
    scratch.wimx("verify d.wim --quiet --ref=base.wim").ok();
}

#[test]
fn mistakes_have_wimlibs_codes() {
    let scratch = with_a_first_image();
    let mut wrong = Vec::new();
    for (line, expected) in [
        ("capture tree new.wim --update-of=1", 255),
        ("capture tree new.wim --update-of=1 --delta-from=base.wim --delta-from=ours.wim", 255),
        ("append tree base.wim x --update-of=1 --update-of=1", 255),
        ("append tree base.wim x --update-of=0", 18),
        ("append tree base.wim x --update-of=-2", 18),
        ("append tree base.wim x --update-of=nobody", 18),
        ("append tree base.wim x --update-of=all", 18),
        ("append tree base.wim x --update-of=ours.wim:9", 18),
        ("append tree base.wim x --update-of=ours.wim:all", 18),
        ("append tree base.wim x --update-of=missing.wim:1", 47),
        ("append tree base.wim x --update-of=:1", 24),
        ("capture tree new.wim --unsafe-compact", 255),
        ("capture tree new.wim --config=missing.ini", 83),
        ("capture tree new.wim --config=tree", 83),
    ] {
        let (theirs, ours) = (scratch.wimlib(line), scratch.wimx(line));
        if (theirs.code(), ours.code()) != (expected, expected) {
            wrong.push(format!(
                "{line}: {}, wimlib {}, expected {expected}",
                ours.code(),
                theirs.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is made has no image yet that its files could be unchanged since.
#[test]
fn an_archive_that_is_made() {
    let scratch = with_a_first_image();
    for more in ["", " --delta-from=base.wim", " --delta-from=base.wim --delta-from=base.wim"] {
        for (tool, wim) in [(wimlib(), "theirs.wim"), (bins::wimx(), "ours.wim")] {
            let _ = fs::remove_file(scratch.path(wim));
            let line = format!("append tree {wim} x --quiet --create --update-of=1{more}");
            run(&mut scratch.command(tool, &line)).ok();
        }
        assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "{more}: blobs");
    }
}

#[test]
fn names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scratch = with_a_first_image();
    let bad = OsStr::from_bytes(b"n\xff");
    fs::create_dir(scratch.path("bad")).expect("a folder");
    fs::write(scratch.path("bad").join(bad), "x").expect("a file");
    for line in ["capture bad new.wim", "capture tree new.wim BAD", "append tree base.wim BAD"] {
        let start = |mut tool: std::process::Command| {
            tool.current_dir(scratch.path(""));
            let words =
                line.split(' ').map(|word| if word == "BAD" { bad } else { OsStr::new(word) });
            run(tool.args(words)).code()
        };
        assert_eq!(start(bins::wimx()), 31, "{line}");
        // Of names on the command line, wimlib 1.13 says 39.
        assert!(matches!(start(crate::wimlib()), 31 | 39), "{line}");
    }
}

#[test]
fn an_update_that_rebuilds_keeps_nothing_in_vain() {
    let scratch = Scratch::new();
    trees::write(
        &scratch.path("one"),
        &[("gone", &noise(300_000, 1)), ("kept", &noise(50_000, 2)), ("dir/x", b"x")],
    );
    trees::write(&scratch.path("two"), &[("shared", &noise(60_000, 3)), ("x", b"x")]);
    trees::write(&scratch.path("new"), &[("n", &noise(20_000, 4)), ("again", &noise(60_000, 3))]);
    for options in ["--compress=none", "--compress=lzx:20 --check"] {
        scratch.wimx(&format!("capture one w.wim one --quiet --boot {options}")).ok();
        scratch.wimx("append two w.wim two --quiet").ok();
        scratch.wimx("append one w.wim three --quiet").ok();
        for (image, command, least, most) in [
            ("1", "delete /gone", 410_000, 420_000),
            ("3", "delete /gone", 110_000, 120_000),
            ("3", "rename /dir /folder", 110_000, 120_000),
            ("1", "add new /new", 130_000, 140_000),
            ("2", "delete /shared", 130_000, 140_000),
            ("1", "delete --recursive /", 50_000, 60_000),
        ] {
            let line = format!("update w.wim {image} --quiet --rebuild");
            scratch.update(bins::wimx(), &line, command);
            scratch.accepted("w.wim");
            let len = scratch.read("w.wim").len();
            assert!((least..most).contains(&len), "{options}, {command:?}: {len} bytes");
            fs::copy(scratch.path("w.wim"), scratch.path("o.wim")).expect("a copy");
            scratch.wimx("optimize o.wim --quiet").ok();
            assert_eq!(scratch.contents("o.wim"), scratch.contents("w.wim"), "{command:?}");
            assert_eq!(scratch.read("o.wim").len(), len, "{options}, {command:?}");
        }
        let listed = scratch.wimx("dir w.wim 3").ok().text();
        assert_eq!(listed, "/\n/folder\n/folder/x\n/kept\n");
        assert_eq!(scratch.open("w.wim").header().boot_index, 1);
    }
}
