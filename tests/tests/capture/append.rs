//! Into an archive that is there.

use std::fs;

use osupg_tests::child::{Finished, run};
use osupg_tests::corpus::{noise, text};
use osupg_tests::tools::wimlib;
use osupg_tests::tree::{Times, assert_same, describe};
use wim_format::header::HeaderFlags;
use wim_format::metadata::ImageStats;

use crate::{Scratch, seen, trees};

/// Two trees, of which the second has most of what is in the first.
pub(crate) fn two_trees() -> Scratch {
    let scratch = Scratch::new();
    let shared = text(400_000, 1);
    trees::write(
        &scratch.path("one"),
        &[("shared", &shared), ("noise", &noise(100_000, 2)), ("own", b"of the first")],
    );
    trees::write(
        &scratch.path("two"),
        &[("shared", &shared), ("again/shared", &shared), ("own", b"of the second"), ("e", b"")],
    );
    scratch
}

impl Scratch {
    fn len(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).expect("it is there").len()
    }

    fn image_names(&self, wim: &str) -> Vec<String> {
        let wim = self.open(wim);
        let names = (1..=wim.image_count()).map(|index| wim.xml().property(index, "NAME"));
        names.map(|name| name.expect("an image").unwrap_or_default()).collect()
    }

    /// Both images of an archive of [`two_trees`] are there for others.
    #[track_caller]
    fn has_both(&self, wim: &str) {
        self.accepted(wim);
        self.holds(wim, 1, &seen(&self.path("one")));
        self.holds(wim, 2, &seen(&self.path("two")));
    }

    /// The same line by both tools, each over a copy of the archive. (wimlib's, ours)
    fn both(&self, wim: &str, line: &str) -> (Finished, Finished) {
        for tool in ["theirs.wim", "ours.wim"] {
            let _ = fs::remove_file(self.path(tool));
            if self.path(wim).exists() {
                fs::copy(self.path(wim), self.path(tool)).expect("a copy");
            }
        }
        let theirs = self.wimlib(&line.replace("WIM", "theirs.wim"));
        (theirs, self.wimx(&line.replace("WIM", "ours.wim")))
    }
}

#[test]
fn to_archives_of_every_compression() {
    let scratch = two_trees();
    for options in [
        "--compress=none",
        "--compress=xpress",
        "--compress=xpress --chunk-size=4K",
        "--compress=lzx",
        "--compress=lzx --chunk-size=2M",
        "--compress=lzx --check",
    ] {
        let capture = format!("capture one a.wim --quiet {options}");
        for maker in [Scratch::wimlib, Scratch::wimx] {
            maker(&scratch, &capture).ok();
            let before = scratch.open("a.wim").header().clone();
            scratch.wimx("append two a.wim --quiet").ok();
            scratch.has_both("a.wim");
            let after = scratch.open("a.wim").header().clone();
            assert_eq!((after.guid, after.chunk_size), (before.guid, before.chunk_size));
            assert_eq!(after.flags, before.flags, "{options}");
            let has_table = |header: &wim_format::header::Header| header.integrity.size > 0;
            assert_eq!(has_table(&after), has_table(&before), "{options}");
            assert_eq!(scratch.image_names("a.wim"), ["one", "two"]);
        }
    }
}

/// What is appended is what wimlib appends.
#[test]
fn as_wimlib_appends() {
    let scratch = two_trees();
    trees::links(&scratch.path("two/links"));
    scratch.wimlib("capture one base.wim --quiet --compress=xpress").ok();
    let (theirs, ours) = scratch.both("base.wim", "append two WIM --quiet");
    theirs.ok();
    ours.ok();
    assert!(scratch.metadata("ours.wim", 2) == scratch.metadata("theirs.wim", 2), "metadata");
    assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "blobs");
    let references = |wim: &str| {
        let wim = scratch.open(wim);
        let mut all: Vec<_> =
            wim.blobs().map(|(_, blob)| (blob.hash.to_string(), blob.refcount)).collect();
        all.sort();
        all
    };
    assert_eq!(references("ours.wim"), references("theirs.wim"));
}

#[test]
fn the_same_tree_again_adds_its_metadata_only() {
    let scratch = two_trees();
    trees::large_sizes(&scratch.path("one/large"));
    scratch.wimx("capture one a.wim --quiet --compress=none").ok();
    let (blobs, before) = (scratch.blobs("a.wim"), scratch.len("a.wim"));
    let said = scratch.wimx("append one a.wim again --json").ok().text();
    assert!(said.contains("\"stored\": 0") || said.contains("\"stored\":0"), "{said}");
    assert_eq!(scratch.blobs("a.wim"), blobs);
    // The old tables stay behind as unused space.
    let tables = 4 * (blobs.len() as u64 * 50 + 8192);
    assert!(scratch.len("a.wim") - before < tables, "{} bytes more", scratch.len("a.wim") - before);
    scratch.accepted("a.wim");
    scratch.holds("a.wim", 2, &seen(&scratch.path("one")));
}

#[test]
fn names_of_images() {
    let scratch = two_trees();
    scratch.wimx("capture one a.wim --quiet").ok();
    for (line, names) in [
        ("append one a.wim --quiet", &["one", "one (1)"][..]),
        ("append ./one/ a.wim --quiet", &["one", "one (1)", "one (2)"]),
        ("append two a.wim  --quiet", &["one", "one (1)", "one (2)", ""]),
    ] {
        let line = line.replace("  ", " \"\" ");
        scratch.wimx(&line).ok();
        assert_eq!(scratch.image_names("a.wim"), names);
    }
    // As often as wanted: no name is no name.
    scratch.wimx("append two a.wim \"\" --quiet").ok();
    let before = scratch.read("a.wim");
    let taken = scratch.wimx("append two a.wim one");
    assert_eq!(taken.code(), 11, "{}", taken.stderr);
    assert!(taken.stderr.contains("one"), "{}", taken.stderr);
    assert!(scratch.read("a.wim") == before, "it is changed");
    scratch.accepted("a.wim");
}

#[test]
fn a_rebuild_leaves_no_unused_space() {
    let scratch = two_trees();
    for compress in ["none", "xpress", "lzx"] {
        scratch.wimx(&format!("capture one a.wim --quiet --compress={compress}")).ok();
        fs::copy(scratch.path("a.wim"), scratch.path("b.wim")).expect("a copy");
        scratch.wimx("append two a.wim --quiet").ok();
        scratch.wimx("append two b.wim --quiet --rebuild").ok();
        scratch.has_both("b.wim");
        assert_eq!(scratch.contents("a.wim"), scratch.contents("b.wim"));
        assert!(scratch.len("b.wim") < scratch.len("a.wim"), "{compress}");
        assert_eq!(scratch.open("a.wim").header().guid, scratch.open("b.wim").header().guid);
    }
}

#[test]
fn another_chunk_size_compresses_all_anew() {
    let scratch = two_trees();
    for (compress, size, bytes) in
        [("xpress", "64K", 64 << 10), ("xpress", "4K", 4 << 10), ("lzx", "2M", 2 << 20)]
    {
        scratch.wimlib(&format!("capture one a.wim --quiet --check --compress={compress}")).ok();
        let guid = scratch.open("a.wim").header().guid;
        scratch.wimx(&format!("append two a.wim --quiet --chunk-size={size}")).ok();
        let header = scratch.open("a.wim").header().clone();
        assert_eq!((header.chunk_size, header.guid), (bytes, guid), "{compress} {size}");
        assert!(header.integrity.size > 0, "{compress} {size}: its integrity table is gone");
        scratch.has_both("a.wim");
    }
}

#[test]
fn create_makes_what_is_missing_and_appends_to_what_is_not() {
    let scratch = two_trees();
    let missing = scratch.wimx("append one a.wim");
    assert_eq!(missing.code(), 47, "{}", missing.stderr);
    assert_eq!(scratch.names(), ["one", "two"]);
    scratch.wimx("append one a.wim --create --quiet --compress=xpress").ok();
    scratch.wimx("append two a.wim --create --quiet").ok();
    scratch.has_both("a.wim");
}

#[test]
fn the_image_to_boot() {
    let scratch = two_trees();
    let boots = |index: u32| {
        let wim = scratch.open("a.wim");
        assert_eq!(wim.header().boot_index, index);
        let metadata = wim.header().boot_metadata;
        match wim.image(index) {
            None => assert_eq!(metadata.size, 0),
            Some(image) => {
                let entry = wim.metadata_entry(image).expect("an image has metadata");
                assert_eq!(metadata, entry.resource);
            }
        }
        scratch.accepted("a.wim");
    };
    scratch.wimx("capture one a.wim --quiet").ok();
    boots(0);
    scratch.wimx("append two a.wim --quiet --boot").ok();
    boots(2);
    scratch.wimx("append one a.wim third --quiet").ok();
    boots(2);
    scratch.wimx("append one a.wim fourth --quiet --rebuild").ok();
    boots(2);
    scratch.wimx("append two a.wim fifth --quiet --boot --chunk-size=64K").ok();
    boots(5);
    scratch.wimx("capture one a.wim --quiet --boot").ok();
    boots(1);
}

#[test]
fn integrity_tables() {
    let scratch = two_trees();
    for (capture, append, has) in [
        ("", "", false),
        ("", "--check", true),
        ("", "--include-integrity", true),
        ("--check", "", true),
        ("--check", "--nocheck", false),
        ("--check", "--no-check --rebuild", false),
        ("--include-integrity", "--check", true),
        ("--include-integrity", "--rebuild", true),
    ] {
        scratch
            .wimx(&format!("capture one base.wim --quiet {capture}").trim_end().replace("  ", " "))
            .ok();
        let line = format!("append two WIM --quiet {append}");
        let (theirs, ours) = scratch.both("base.wim", line.trim_end());
        theirs.ok();
        ours.ok();
        for wim in ["ours.wim", "theirs.wim"] {
            let found = scratch.open(wim).header().integrity.size > 0;
            assert_eq!(found, has, "{wim}: capture {capture}, append {append}");
        }
        scratch.accepted("ours.wim");
        if has {
            let checked = scratch.wimlib("info ours.wim --check 1").ok();
            assert!(!checked.stderr.contains("does not contain"), "{}", checked.stderr);
        }
    }
}

/// `--check` finds out before anything is written.
#[test]
fn a_damaged_archive_is_not_appended_to_under_check() {
    let scratch = two_trees();
    scratch.wimx("capture one base.wim --quiet --check --compress=none").ok();
    let mut bytes = scratch.read("base.wim");
    bytes[5000] ^= 1;
    fs::write(scratch.path("base.wim"), &bytes).expect("it can be written");
    let (theirs, ours) = scratch.both("base.wim", "append two WIM --check");
    assert_eq!((theirs.code(), ours.code()), (13, 13), "{}", ours.stderr);
    assert!(scratch.read("ours.wim") == bytes, "it is changed");
}

#[test]
fn deltas() {
    let scratch = two_trees();
    scratch.wimlib("capture one base.wim --quiet").ok();
    let line = "capture two WIM --quiet --compress=xpress --delta-from=base.wim";
    let (theirs, ours) = scratch.both("none", line);
    theirs.ok();
    ours.ok();
    assert_eq!(scratch.blobs("ours.wim"), scratch.blobs("theirs.wim"));
    assert!(scratch.len("ours.wim") < 10_000, "{} bytes", scratch.len("ours.wim"));
    let stats = |wim: &str| {
        let xml = scratch.open(wim).xml().clone();
        ["FILECOUNT", "TOTALBYTES"].map(|name| xml.property(1, name).expect("an image"))
    };
    assert_eq!(stats("ours.wim"), stats("theirs.wim"));
    let (alone, also_alone) = (scratch.wimlib("verify ours.wim"), scratch.wimx("verify ours.wim"));
    assert_eq!((alone.code(), also_alone.code()), (55, 55));
    scratch.wimlib("verify ours.wim --quiet --ref=base.wim").ok();
    scratch.holds_with("ours.wim", 1, &seen(&scratch.path("two")), "--ref=base.wim");
    scratch.wimx("apply ours.wim 1 applied --quiet --ref=base.wim").ok();
    let applied = describe(&scratch.path("applied"), Times::Compare).expect("a tree");
    let applied = osupg_tests::tree::after_a_round_trip(&applied);
    assert_same("wimx", &seen(&scratch.path("two")), &applied);
    fs::remove_dir_all(scratch.path("applied")).expect("it can be removed");
    // And appended to an archive that is there, from two bases.
    trees::write(
        &scratch.path("three"),
        &[("own", b"of the third"), ("shared", &text(400_000, 1))],
    );
    scratch.wimlib("capture three base2.wim --quiet --compress=none").ok();
    let line = "append three WIM --quiet --delta-from=base.wim --delta-from=base2.wim";
    let (theirs, ours) = scratch.both("base.wim", line);
    theirs.ok();
    ours.ok();
    assert_eq!(scratch.blobs("ours.wim"), scratch.blobs("theirs.wim"));
    scratch.holds_with("ours.wim", 2, &seen(&scratch.path("three")), "--ref=base2.wim");
}

#[test]
fn archives_that_cannot_be_appended_to() {
    let scratch = two_trees();
    fs::write(scratch.path("one/large"), noise(3_000_000, 4)).expect("a file");
    fs::write(scratch.path("one/larger"), noise(3_000_001, 5)).expect("a file");
    scratch.wimlib("capture one a.wim --quiet --compress=none").ok();
    scratch.wimlib("split a.wim part.swm 2 --quiet").ok();
    let mut read_only = scratch.read("a.wim");
    let flags = u32::from_le_bytes(read_only[16..20].try_into().expect("four bytes"));
    let flags = flags | HeaderFlags::READONLY.bits();
    read_only[16..20].copy_from_slice(&flags.to_le_bytes());
    fs::write(scratch.path("read-only.wim"), read_only).expect("a file");
    fs::write(scratch.path("junk.wim"), "this is no archive").expect("a file");
    fs::write(scratch.path("long-junk.wim"), noise(1000, 1)).expect("a file");
    fs::write(scratch.path("nothing.wim"), "").expect("a file");
    for wim in
        ["read-only.wim", "part.swm", "part2.swm", "junk.wim", "long-junk.wim", "nothing.wim"]
    {
        let before = scratch.read(wim);
        let (theirs, ours) = scratch.both(wim, "append two WIM another");
        assert_ne!(theirs.code(), 0, "{wim}");
        assert_eq!(ours.code(), theirs.code(), "{wim}: {}", ours.stderr);
        assert!(ours.stderr.contains("ours.wim"), "{wim}: {}", ours.stderr);
        assert!(scratch.read("ours.wim") == before, "{wim} is changed");
    }
}

/// What the XML counts is what is there, also of the images that were there before.
#[test]
fn counts_are_right_for_every_image() {
    let scratch = two_trees();
    scratch.wimx("capture one a.wim --quiet").ok();
    scratch.wimx("append two a.wim --quiet").ok();
    scratch.wimx("append one a.wim --quiet --rebuild").ok();
    let wim = scratch.open("a.wim");
    for image in wim.images() {
        let tree = wim.metadata(image).expect("metadata");
        let stats: ImageStats = tree.stats(|hash| Some(wim.blob(wim.find(hash)?).size));
        for (name, count) in [
            ("DIRCOUNT", stats.dir_count),
            ("FILECOUNT", stats.file_count),
            ("TOTALBYTES", stats.total_bytes),
        ] {
            let said = wim.xml().property(image.get(), name).expect("an image");
            assert_eq!(said.as_deref(), Some(&*count.to_string()), "{name}");
        }
    }
    run(wimlib().args(["info"]).arg(scratch.path("a.wim"))).ok();
}

#[test]
fn images_in_another_order() {
    for layout in ["", "--pipable", "--check"] {
        let scratch = two_trees();
        scratch.wimx(&format!("capture one a.wim first --boot --quiet {layout}")).ok();
        scratch.wimx("append two a.wim second --quiet").ok();
        scratch.wimx("append one a.wim third --quiet").ok();
        let length = scratch.len("a.wim");
        let said = scratch.wimx("reorder a.wim 3 second").ok().stdout;
        assert!(said.ends_with(b"are now the former 3, 2, 1.\n"), "{}", said.escape_ascii());
        // 7-Zip knows no pipable archives.
        match layout {
            "--pipable" => drop(scratch.wimlib("verify a.wim").ok()),
            _ => scratch.accepted("a.wim"),
        }
        assert_eq!(scratch.image_names("a.wim"), ["third", "second", "first"]);
        assert_eq!(scratch.open("a.wim").header().boot_image(), Some(3), "{layout}");
        scratch.holds("a.wim", 1, &seen(&scratch.path("one")));
        scratch.holds("a.wim", 2, &seen(&scratch.path("two")));
        // Nothing but tables was written.
        assert!(scratch.len("a.wim") < length + 20_000, "{layout}");
        let json = scratch.wimx("--json reorder a.wim first").ok().stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).expect("a document");
        assert_eq!(json["order"], serde_json::json!([3, 1, 2]));
        assert_eq!(scratch.image_names("a.wim"), ["first", "third", "second"]);
        let before = fs::read(scratch.path("a.wim")).expect("it is there");
        assert_eq!(scratch.wimx("reorder a.wim 1 2 1").code(), 24);
        assert_eq!(scratch.wimx("reorder a.wim fourth").code(), 18);
        assert!(fs::read(scratch.path("a.wim")).expect("it is there") == before);
    }
}
