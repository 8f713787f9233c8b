//! Changes of an image's tree, and trees laid together from a list, as wimlib does them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use osupg_tests::bins;
use osupg_tests::child::{Finished, run};
use osupg_tests::corpus::noise;
use osupg_tests::tools::wimlib;

use crate::append::two_trees;
use crate::{Scratch, seen, trees};

impl Scratch {
    /// The same command of `update` by both tools, each over a copy of the archive. (wimlib's, ours)
    fn both_update(&self, wim: &str, options: &str, command: &str) -> (Finished, Finished) {
        let update = |tool: Command, name: &str| {
            fs::copy(self.path(wim), self.path(name)).expect("a copy");
            let line = format!("update {name} 1 --quiet {options}");
            run(self.command(tool, line.trim_end()).arg(format!("--command={command}")))
        };
        (update(wimlib(), "theirs.wim"), update(bins::wimx(), "ours.wim"))
    }

    /// Both have done the same. (wimlib leaves in the blob table what nothing refers to any more.)
    #[track_caller]
    fn same_result(&self, what: &str) {
        let lines =
            ["theirs.wim", "ours.wim"].map(|wim| self.wimlib(&format!("dir {wim} 1")).ok().text());
        assert_eq!(lines[1], lines[0], "{what}");
        let counts = |wim: &str| {
            let xml = self.open(wim).xml().clone();
            ["FILECOUNT", "TOTALBYTES"].map(|name| xml.property(1, name).expect("an image"))
        };
        assert_eq!(counts("ours.wim"), counts("theirs.wim"), "{what}");
        let missing = |hash: &String| !self.blobs("theirs.wim").iter().any(|(has, _)| has == hash);
        let more = self.blobs("ours.wim").into_iter().find(|(hash, _)| missing(hash));
        assert_eq!(more, None, "{what}: blobs");
    }
}

fn with_a_delta() -> Scratch {
    let scratch = two_trees();
    fs::write(scratch.path("copy"), noise(100_000, 2)).expect("a file");
    fs::write(scratch.path("new"), noise(50_000, 3)).expect("a file");
    scratch.wimlib("capture one base.wim --quiet").ok();
    scratch.wimlib("capture two delta.wim --quiet --delta-from=base.wim").ok();
    scratch
}

#[test]
fn a_delta_is_changed_without_what_it_builds_on() {
    let scratch = with_a_delta();
    for (options, command) in [
        ("", "delete /own"),
        ("", "delete /shared"),
        ("", "rename /own /mine"),
        ("", "rename /shared /own"),
        ("", "add new /new"),
        ("", "add copy /copy"),
        ("--ref=base.wim", "add copy /copy"),
        ("--ref=base.wim", "add one /"),
        ("--ref=b?se.wim --verbose", "delete /own"),
    ] {
        let what = format!("{options} {command}");
        let (theirs, ours) = scratch.both_update("delta.wim", options, command);
        assert_eq!(ours.code(), 0, "{what}: {}", ours.stderr);
        match theirs.code() {
            // 1.13 does not know --ref here.
            255 if options.starts_with("--ref") => {}
            code => {
                assert_eq!(code, 0, "{what}: {}", theirs.stderr);
                scratch.same_result(&what);
            }
        }
        scratch.wimlib("verify ours.wim --quiet --ref=base.wim").ok();
        scratch.wimx("verify ours.wim --quiet --ref=base.wim").ok();
    }
    let (_, ours) = scratch.both_update("delta.wim", "--ref=missing*.wim", "delete /own");
    assert_eq!(ours.code(), 47, "{}", ours.stderr);
    assert!(scratch.read("ours.wim") == scratch.read("delta.wim"), "it is changed");
}

/// What is written anew has no more than before either. (wimlib wants all data then.)
#[test]
fn a_delta_is_written_anew_without_what_it_builds_on() {
    for layout in ["", "--pipable"] {
        let scratch = with_a_delta();
        let line = format!("capture two delta.wim --quiet --delta-from=base.wim {layout}");
        scratch.wimx(line.trim_end()).ok();
        scratch.wimx("append one delta.wim more --quiet --delta-from=base.wim").ok();
        let both = |wim: &str| {
            scratch.holds_with(wim, 1, &seen(&scratch.path("two")), "--ref=base.wim");
            scratch.holds_with(wim, 2, &seen(&scratch.path("one")), "--ref=base.wim");
        };
        both("delta.wim");
        for line in [
            "append two WIM third --quiet --rebuild",
            "info WIM 1 name description",
            "info WIM 2 --boot",
            "reorder WIM 1 2",
            "optimize WIM --quiet",
        ] {
            fs::copy(scratch.path("delta.wim"), scratch.path("ours.wim")).expect("a copy");
            scratch.wimx(&line.replace("WIM", "ours.wim")).ok();
            both("ours.wim");
        }
        for line in ["delete WIM 1 --quiet", "delete WIM 1 --quiet --soft"] {
            fs::copy(scratch.path("delta.wim"), scratch.path("ours.wim")).expect("a copy");
            scratch.wimx(&line.replace("WIM", "ours.wim")).ok();
            scratch.holds_with("ours.wim", 1, &seen(&scratch.path("one")), "--ref=base.wim");
        }
        fs::copy(scratch.path("delta.wim"), scratch.path("ours.wim")).expect("a copy");
        scratch.update(bins::wimx(), "update ours.wim 1 --quiet --rebuild", "rename /e /own");
        fs::rename(scratch.path("two/e"), scratch.path("two/own")).expect("a file");
        trees::settle(&scratch.path("two"));
        scratch.wimx("verify ours.wim --quiet --ref=base.wim").ok();
        let listed = scratch.wimlib("dir ours.wim 1").ok().text();
        assert!(listed.contains("/own\n") && !listed.contains("/e\n"), "{listed}");
        // An export leaves its archive, and has to have all data.
        assert_eq!(scratch.wimx("export delta.wim 1 x.wim").code(), 55);
        assert_eq!(scratch.wimx("convert delta.wim x.wim").code(), 55);
    }
}

#[test]
fn an_archive_is_not_put_into_itself() {
    for (options, more) in [
        ("", ""),
        ("", " --rebuild"),
        ("--pipable", ""),
        ("--solid --solid-compress=lzms:1 --solid-chunk-size=128K", " --solid"),
    ] {
        let scratch = Scratch::new();
        trees::write(&scratch.path("tree"), &[("file", b"data")]);
        let before = seen(&scratch.path("tree"));
        scratch.wimx(format!("capture tree tree/n.wim N --quiet {options}").trim_end()).ok();
        fs::hard_link(scratch.path("tree/n.wim"), scratch.path("tree/same")).expect("a link");
        let said = scratch.wimx(&format!("append tree tree/n.wim M --quiet{more}")).ok().stderr;
        assert!(said.contains("tree/n.wim: is the archive that is added to"), "{said}");
        if more == " --rebuild" || options == "--pipable" {
            // It is another file now.
            fs::remove_file(scratch.path("tree/same")).expect("a file");
        }
        let listed = scratch.wimx("dir tree/n.wim 2").ok().text();
        assert_eq!(listed, "/\n/file\n", "{options}{more}");
        fs::copy(scratch.path("tree/n.wim"), scratch.path("copy.wim")).expect("a copy");
        scratch.holds("copy.wim", 1, &before);
        scratch.update(bins::wimx(), "update tree/n.wim 1 --quiet", "add tree /x");
        let listed = scratch.wimx("dir tree/n.wim 1").ok().text();
        assert_eq!(listed, "/\n/file\n/x\n/x/file\n", "{options}{more}");
        let now = scratch.read("tree/n.wim");
        let mut itself = scratch.command(bins::wimx(), "update tree/n.wim 1");
        let itself = run(itself.arg("--command=add tree/n.wim /x/n.wim"));
        assert_eq!(itself.code(), 24, "{}", itself.stderr);
        assert!(scratch.read("tree/n.wim") == now, "it is changed");
        scratch.wimx("verify tree/n.wim --quiet").ok();
    }
}

fn with_links() -> Scratch {
    let scratch = Scratch::new();
    trees::write(&scratch.path("base"), &[("b", b"b"), ("d/x", b"x")]);
    trees::write(&scratch.path("src"), &[("dir/f", b"f"), ("file", b"file")]);
    for (target, name) in [("dir", "to dir"), ("file", "to file"), ("nowhere", "dangling")] {
        symlink(target, scratch.path("src").join(name)).expect("a link");
    }
    symlink(scratch.path("src/dir"), scratch.path("src/absolute")).expect("a link");
    scratch.wimlib("capture base base.wim --quiet").ok();
    scratch
}

#[test]
fn a_link_that_is_added_stays_one() {
    let scratch = with_links();
    for (options, command, code) in [
        ("", "add 'src/to dir' /l", 0),
        ("", "add 'src/to dir/' /l", 0),
        ("", "add 'src/to file' /l", 0),
        ("", "add src/dangling /l", 0),
        ("", "add src/absolute /l", 0),
        ("", "add 'src/to file' /b", 0),
        ("", "add 'src/to dir' /d", 32),
        ("", "add 'src/to dir' /", 0),
        ("", "add 'src/to file' /", 40),
        ("", "add src/dangling /", 63),
        ("--dereference", "add 'src/to dir' /d", 0),
        ("--dereference", "add 'src/to file' /l", 0),
        ("--dereference", "add src/dangling /l", 63),
    ] {
        let what = format!("{options} {command}");
        let (theirs, ours) = scratch.both_update("base.wim", options, command);
        assert_eq!((theirs.code(), ours.code()), (code, code), "{what}: {}", ours.stderr);
        scratch.same_result(&what);
    }
}

#[test]
fn lists_of_sources() {
    let scratch = with_links();
    for (list, code) in [
        ("'src/to dir' /l\n", 0),
        ("src/absolute /l\nsrc/absolute\n", 0),
        ("base /\n'src/to dir' /\n", 0),
        ("; a comment\n  ;another\n# and one\nbase /\n", 0),
        ("base ;x # and what means nothing 'even so\nsrc #\n", 0),
        ("base \"x\"y\n", 0),
        ("base 'x\n", 255),
        ("src/file /\n", 40),
        ("'src/to file' /\n", 40),
        ("src/dangling /\n", 63),
        ("missing /\n", 63),
    ] {
        fs::write(scratch.path("list"), list).expect("a list");
        for tool in ["theirs.wim", "ours.wim"] {
            let _ = fs::remove_file(scratch.path(tool));
        }
        let theirs = scratch.wimlib("capture list theirs.wim --quiet --source-list");
        let ours = scratch.wimx("capture list ours.wim --quiet --source-list");
        assert_eq!((theirs.code(), ours.code()), (code, code), "{list}: {}", ours.stderr);
        if code == 0 {
            scratch.same_result(list);
            let same =
                scratch.metadata("ours.wim", 1).len() == scratch.metadata("theirs.wim", 1).len();
            assert!(same, "{list}: metadata");
        }
    }
    for list in ["missing", "src"] {
        let line = format!("capture {list} new.wim --source-list");
        assert_eq!(
            (scratch.wimlib(&line).code(), scratch.wimx(&line).code()),
            (255, 255),
            "{line}"
        );
    }
}

#[test]
fn what_the_root_of_a_capture_leads_to_is_captured() {
    let scratch = with_links();
    for source in ["src/absolute", "src/dangling"] {
        let (theirs, ours) = (
            scratch.wimlib(&format!("capture {source} theirs.wim --quiet")),
            scratch.wimx(&format!("capture {source} ours.wim --quiet")),
        );
        assert_eq!(ours.code(), theirs.code(), "{source}: {}", ours.stderr);
    }
    scratch.same_result("a link to a directory");
}

#[test]
fn links_that_lead_back_are_not_followed() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("a/b/file", b"x")]);
    symlink("../..", scratch.path("tree/a/b/up")).expect("a link");
    let line = |wim: &str| format!("capture tree {wim} --quiet --dereference");
    // wimlib goes on until it has too many files open, which may take long.
    let ours = scratch.wimx(&line("ours.wim"));
    assert_eq!(ours.code(), 48, "{}", ours.stderr);
    assert!(ours.stderr.contains("tree/a/b/up: a link leads back here"), "{}", ours.stderr);
    fs::remove_file(scratch.path("tree/a/b/up")).expect("a link");
    // The same directory twice, but not within itself.
    symlink("b", scratch.path("tree/a/c")).expect("a link");
    scratch.wimlib(&line("theirs.wim")).ok();
    scratch.wimx(&line("ours.wim")).ok();
    scratch.same_result("a link to a neighbour");
}

#[test]
fn commands_have_wimlibs_codes() {
    let scratch = with_links();
    fs::write(scratch.path("bad.ini"), "[ExclusionList]\na/b\n").expect("a file");
    fs::write(scratch.path("all.ini"), "[ExclusionList]\n\\\n").expect("a file");
    fs::write(scratch.path("lower.ini"), "[exclusionlist]\n\\file\n").expect("a file");
    for (options, command, code) in [
        ("--config=missing.ini", "delete /b", 0),
        ("--config=missing.ini", "rename /b /c", 0),
        ("--config=missing.ini", "add src /x", 83),
        ("--config=missing.ini", "add --nonsense src /x", 255),
        ("--config=bad.ini", "add src /x", 14),
        ("--config=all.ini", "add src /x", 0),
        ("--config=all.ini", "add src/file /x", 0),
        ("--config=lower.ini", "add src /x", 0),
        ("", "rename /b /", 32),
        ("", "rename /d /", 41),
        ("", "rename / /x", 41),
        ("", "rename / /", 0),
        ("", "rename /d /d/e", 41),
        ("", "; nothing", 0),
        ("", "delete /b ; nothing", 255),
        ("--verbose", "delete /b", 0),
    ] {
        let what = format!("{options} {command}");
        let (theirs, ours) = scratch.both_update("base.wim", options, command);
        assert_eq!((theirs.code(), ours.code()), (code, code), "{what}: {}", ours.stderr);
        scratch.same_result(&what);
    }
    // wimlib says that it ignores such a file; ours does not leave out what it was told to add.
    for command in ["add src/file /..", "add src/file /x/.", "rename /b /.."] {
        let (_, ours) = scratch.both_update("base.wim", "", command);
        assert_eq!(ours.code(), 24, "{command}: {}", ours.stderr);
        assert!(scratch.read("ours.wim") == scratch.read("base.wim"), "{command}");
    }
}
