//! What is captured and how, as wimlib does it.

use std::fs;
use std::os::unix::fs::symlink;

use osupg_tests::corpus::text;

use crate::{Scratch, trees};

/// The same capture by both tools: the same image.
#[track_caller]
fn same_image(scratch: &Scratch, options: &str) {
    scratch.wimlib(format!("capture tree theirs.wim --quiet {options}").trim_end()).ok();
    scratch.wimx(format!("capture tree ours.wim --quiet {options}").trim_end()).ok();
    let lines =
        ["theirs.wim", "ours.wim"].map(|wim| scratch.wimlib(&format!("dir {wim} 1")).ok().text());
    assert_eq!(lines[1], lines[0], "{options}");
    let same = scratch.metadata("ours.wim", 1) == scratch.metadata("theirs.wim", 1);
    assert!(same, "{options}: the metadata is not wimlib's");
    assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "{options}: blobs");
    let flags = ["theirs.wim", "ours.wim"].map(|wim| scratch.open(wim).header().flags);
    assert_eq!(flags[1], flags[0], "{options}");
}

fn windows_like() -> Scratch {
    let scratch = Scratch::new();
    let names = [
        "pagefile.sys",
        "hiberfil.sys",
        "swapfile.sys",
        "$ntfs.log",
        "sub/pagefile.sys",
        "System Volume Information/x",
        "RECYCLER/x",
        "$RECYCLE.BIN/x",
        "$Recycle.Bin/x",
        "Windows/CSC/x",
        "Windows/System32/kernel",
        "windows/csc/x",
        "PAGEFILE.SYS",
        "a.tmp",
        "sub/b.tmp",
        "sub/keep.tmp",
        "sub/deep/er/file",
        "sub/deep/keep",
        "out/in/keep",
        "out/in/other",
        "out/file",
        "star/1a",
        "star/2a",
        "star/22a",
        "back\\slash",
        "with blank/file",
    ];
    let files = names.map(|name| (name, name.as_bytes()));
    trees::write(&scratch.path("tree"), &files);
    scratch
}

#[test]
fn files_of_a_running_windows_are_left_out() {
    let scratch = windows_like();
    same_image(&scratch, "");
    let listed = scratch.wimx("dir ours.wim 1").ok().text();
    assert!(
        !listed.contains("/Windows/CSC\n") && listed.contains("/sub/pagefile.sys\n"),
        "{listed}"
    );
}

#[test]
fn lists_of_what_is_left_out() {
    let scratch = windows_like();
    for (number, config) in [
        "[ExclusionList]\n*.tmp\n",
        "[ExclusionList]\n*.tmp\n[ExclusionException]\nkeep.tmp\n",
        "[ExclusionList]\n\\sub\n\\out\n[ExclusionException]\n\\out\\in\\keep\n",
        "[ExclusionList]\n\\sub\\deep\n\\out\\in\n[ExclusionException]\nkeep\n",
        "[ExclusionList]\n/star/?a\n\"\\with blank\\file\"\n",
        "[ExclusionList]\n\\star\\*a\nC:\\sub\\*.tmp\n",
        "[ExclusionList]\n\\*\\file\n",
        "[ExclusionList]\n*\n[ExclusionException]\n*.sys\n",
        "[ExclusionList]\n\\*\n[ExclusionException]\n\\sub\n\\sub\\deep\\keep\n",
        "[ExclusionList]\r\n# comment\r\n; comment\r\n\r\n  *.tmp  \r\n'\\out'\r\n",
        "\u{feff}[ExclusionList]\n\\sub\\\n",
        "[PrepopulateList]\n\\a\n[CompressionExclusionList]\n*.tmp\n[CompressionFolderList]\n\\b\n",
        "[CompressionExclusionList]\n*.tmp\n[ExclusionList]\n[x\n",
        "[ExclusionList]\nOUT\n\\STAR\n",
        "[ExclusionList]\nback?slash\n",
        "*.tmp\n[ExclusionList]\n\\out\n",
        "[Nonsense]\n*.tmp\nsub\\deep\n[ExclusionList]\n\\sub\n",
        "[exclusionlist]\n*.tmp\n[ExclusionList]\n\\sub\n[exclusionexception]\n\\sub\n",
        "[ExclusionList]\n/\n[ExclusionException]\n\\out\\in\\keep\n",
        "[ExclusionList]\n\\\n[ExclusionException]\na.tmp\n",
        "[ExclusionList]\n\\sub\n[ExclusionException]\n\\\n",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("{number}.ini");
        fs::write(scratch.path(&file), config).expect("a file");
        same_image(&scratch, &format!("--config={file}"));
        // Windows writes such files in UTF-16.
        let units = config.encode_utf16().flat_map(u16::to_le_bytes);
        let marked = [0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>();
        fs::write(scratch.path(&file), marked).expect("a file");
        if !config.starts_with('\u{feff}') {
            same_image(&scratch, &format!("--config={file}"));
        }
    }
}

#[test]
fn lists_that_cannot_be_understood() {
    let scratch = windows_like();
    fs::write(scratch.path("c.ini"), "[ExclusionList]\nsub\\deep\n").expect("a file");
    let ours = scratch.wimx("capture tree ours.wim --config=c.ini");
    let theirs = scratch.wimlib("capture tree theirs.wim --config=c.ini");
    assert_eq!((theirs.code(), ours.code()), (14, 14), "{}", ours.stderr);
    assert!(ours.stderr.contains("c.ini: line 2: "), "{}", ours.stderr);
    assert!(!scratch.path("ours.wim").exists());
    for config in ["*.tmp\n", "[Nonsense]\n*.tmp\n"] {
        fs::write(scratch.path("c.ini"), config).expect("a file");
        let ours = scratch.wimx("capture tree ours.wim --config=c.ini").ok();
        assert!(ours.stderr.contains("warning: c.ini: line 1: "), "{}", ours.stderr);
    }
}

#[test]
fn targets_of_links_are_moved_or_left() {
    let scratch = Scratch::new();
    trees::links(&scratch.path("tree"));
    for options in ["", "--rpfix", "--norpfix"] {
        same_image(&scratch, options);
        for more in ["", " --rpfix", " --norpfix"] {
            for tool in ["theirs.wim", "ours.wim"] {
                fs::copy(scratch.path(tool), scratch.path(&format!("more-{tool}")))
                    .expect("a copy");
            }
            let line = |tool: &str| format!("append tree more-{tool}.wim more --quiet{more}");
            scratch.wimlib(&line("theirs")).ok();
            scratch.wimx(&line("ours")).ok();
            let both = ["more-theirs.wim", "more-ours.wim"];
            let metadata = both.map(|wim| scratch.metadata(wim, 2));
            assert!(metadata[0] == metadata[1], "{options}, then{more}: metadata");
            let flags = both.map(|wim| scratch.open(wim).header().flags);
            assert_eq!(flags[1], flags[0], "{options}, then{more}");
        }
    }
}

#[test]
fn what_links_lead_to_in_place_of_them() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    trees::write(&tree, &[("file", b"file"), ("dir/inner", b"inner"), ("dir/deeper/x", b"x")]);
    trees::write(&scratch.path("elsewhere"), &[("far", b"far away"), ("sub/farther", b"farther")]);
    fs::create_dir(tree.join("links")).expect("a folder");
    for (target, name) in [
        ("../file", "links/to file"),
        ("../dir", "links/to dir"),
        ("to file", "links/twice"),
        ("../../elsewhere", "links/out"),
    ] {
        symlink(target, tree.join(name)).expect("a link");
    }
    symlink(scratch.path("elsewhere/far"), tree.join("absolute")).expect("a link");
    trees::settle(&tree);
    same_image(&scratch, "--dereference");
    // Each name of what has several is a name of one file, as if they were hard links.
    scratch.accepted("ours.wim");
}

#[test]
fn a_link_that_leads_nowhere_cannot_be_followed() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", b"file")]);
    symlink("nowhere", scratch.path("tree/dangling")).expect("a link");
    let line = |wim: &str| format!("capture tree {wim}.wim --dereference");
    let (theirs, ours) = (scratch.wimlib(&line("theirs")), scratch.wimx(&line("ours")));
    assert_ne!(theirs.code(), 0);
    assert_eq!(ours.code(), theirs.code(), "{}", ours.stderr);
    assert!(ours.stderr.contains("tree/dangling"), "{}", ours.stderr);
    assert!(!scratch.path("ours.wim").exists());
}

/// What `info` prints of the image, but for times.
fn info(scratch: &Scratch, wim: &str) -> Vec<String> {
    let info = scratch.wimlib(&format!("info {wim} 1")).ok().text();
    let is_time = |line: &str| line.contains("Time:") || line.contains("GUID");
    info.lines().filter(|line| !is_time(line)).map(str::to_owned).collect()
}

/// The XML, but for times.
pub(crate) fn xml(scratch: &Scratch, wim: &str) -> String {
    scratch.wimlib(&format!("info {wim} --extract-xml=xml")).ok();
    let bytes = scratch.read("xml");
    let units: Vec<u16> =
        bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut xml = String::from_utf16(&units).expect("UTF-16");
    for part in ["HIGHPART", "LOWPART"] {
        let (open, close) = (format!("<{part}>"), format!("</{part}>"));
        xml = xml
            .split(&open)
            .map(|piece| piece.split_once(&close).map_or(piece, |(_, rest)| rest))
            .collect();
    }
    // The archive's own length depends on the compression.
    match (xml.find("<TOTALBYTES>"), xml.find("</TOTALBYTES>")) {
        (Some(start), Some(end)) => xml[..start].to_owned() + &xml[end..],
        _ => xml,
    }
}

#[test]
fn properties_of_an_image() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", b"file")]);
    for options in [
        "",
        "name",
        "n\u{e4}m\u{1f600}<&>\"'",
        "--flags=Professional",
        "--image-property=DISPLAYNAME=shown --flags Professional",
        "--image-property=A/B=1 --image-property=A/C=2 --image-property=A/B[2]=3",
        "--image-property NAME=other",
        "name --image-property=NAME=other",
        "--image-property=DESCRIPTION=text --image-property=FLAGS=F",
        "--image-property=WINDOWS/VERSION/MAJOR=10",
        "--wimboot",
        "name description",
        "name description --image-property=A=b --flags=F --wimboot",
        "name description --image-property=DESCRIPTION=text --image-property=A=b",
        "--boot --check",
    ] {
        let line =
            |wim: &str| format!("capture tree {wim}.wim --quiet {options}").trim_end().to_owned();
        scratch.wimlib(&line("theirs")).ok();
        scratch.wimx(&line("ours")).ok();
        assert_eq!(info(&scratch, "ours.wim"), info(&scratch, "theirs.wim"), "{options}");
        // Some versions of wimlib end it with a line feed.
        let both = ["theirs.wim", "ours.wim"].map(|wim| xml(&scratch, wim).trim_end().to_owned());
        assert_eq!(both[1], both[0], "{options}");
        let headers = ["theirs.wim", "ours.wim"].map(|wim| scratch.open(wim).header().clone());
        assert_eq!(headers[1].flags, headers[0].flags, "{options}");
        assert_eq!(headers[1].chunk_size, headers[0].chunk_size, "{options}");
        assert_eq!(headers[1].boot_index, headers[0].boot_index, "{options}");
    }
}

/// The exit codes of scripts that have to go on working.
#[test]
fn mistakes_have_wimlibs_codes() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", &text(1000, 1))]);
    scratch.wimlib("capture tree lzx.wim --quiet").ok();
    scratch.wimlib("capture tree none.wim --quiet --compress=none").ok();
    fs::write(scratch.path("junk.wim"), "junk").expect("a file");
    let mut wrong = Vec::new();
    for (line, expected) in [
        ("capture", 255),
        ("capture tree", 255),
        ("capture tree new.wim a b c", 255),
        ("capture tree new.wim --nonsense", 255),
        ("capture tree new.wim --create", 255),
        ("capture tree new.wim --compress=nonsense", 255),
        ("capture tree new.wim --compress=lzx:x", 255),
        ("capture tree new.wim --chunk-size=x", 255),
        ("capture tree new.wim --threads=x", 255),
        ("capture tree new.wim --image-property=NAME", 255),
        ("capture tree new.wim --image-property==x", 24),
        ("capture tree new.wim --image-property=A/B[2]=x", 24),
        ("capture tree new.wim --check --nocheck", 24),
        ("append tree lzx.wim x --check --nocheck --rebuild", 24),
        ("append tree lzx.wim x --check --nocheck --chunk-size=64K", 24),
        ("capture tree new.wim --update-of=lzx.wim:1 --update-of=lzx.wim:1", 255),
        ("capture tree new.wim --solid-compress=none", 16),
        ("capture tree new.wim --solid-chunk-size=3", 15),
        ("append tree lzx.wim x --solid-chunk-size=3", 15),
        ("capture tree new.wim --rpfix --norpfix", 24),
        ("capture tree new.wim --pipable --not-pipable", 24),
        ("capture tree new.wim --chunk-size=4K", 15),
        ("capture tree new.wim --chunk-size=33K", 15),
        ("capture tree new.wim --chunk-size=4M", 15),
        ("capture tree new.wim --compress=xpress --chunk-size=2K", 15),
        ("capture tree new.wim --compress=xpress --chunk-size=128K", 15),
        ("capture tree new.wim --compress=none --chunk-size=32K", 15),
        ("capture missing new.wim", 63),
        ("capture tree missing/new.wim", 47),
        ("capture tree .", 47),
        ("capture tree new.wim --delta-from=missing.wim", 47),
        ("capture tree new.wim --delta-from=junk.wim", 65),
        ("capture tree new.wim --snapshot", 68),
        ("append", 255),
        ("append tree missing.wim", 47),
        ("append missing lzx.wim x", 63),
        ("append tree lzx.wim tree", 11),
        ("append tree lzx.wim tree --create", 11),
        ("append tree lzx.wim x --image-property=NAME=tree", 11),
        ("append tree lzx.wim \"\" --image-property=NAME=tree", 11),
        ("append tree lzx.wim x --image-property=NAME=tree --image-property=NAME=y", 11),
        ("append tree lzx.wim x --chunk-size=4K", 15),
        ("append tree none.wim x --chunk-size=32K", 15),
        ("append tree junk.wim x", 65),
    ] {
        let before = scratch.names();
        let contents = ["lzx.wim", "none.wim"].map(|wim| scratch.read(wim));
        let (theirs, ours) = (scratch.wimlib(line), scratch.wimx(line));
        if (theirs.code(), ours.code()) != (expected, expected) {
            let (theirs, ours) = (theirs.code(), (ours.code(), ours.stderr));
            wrong.push(format!("{line}: {ours:?}, wimlib {theirs}, expected {expected}"));
        }
        assert_eq!(scratch.names(), before, "{line}");
        assert!(contents == ["lzx.wim", "none.wim"].map(|wim| scratch.read(wim)), "{line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As with getopt, the last one counts.
#[test]
fn options_may_be_repeated() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", &text(1000, 1))]);
    for options in [
        "--check --check --boot --boot --compress=lzx --compress=xpress",
        "--chunk-size=3 --chunk-size=64K --threads=2 --threads=1 --quiet",
        "--config=missing.ini --config=/dev/null --nocheck --no-check",
    ] {
        same_image(&scratch, options);
        let kinds = ["theirs.wim", "ours.wim"].map(|wim| {
            let header = scratch.open(wim).header().clone();
            (header.flags, header.chunk_size, header.boot_index, header.integrity.size)
        });
        assert_eq!(kinds[1], kinds[0], "{options}");
    }
    // What is added to in place gets a table, whatever else is said.
    for (number, options) in ["--check --nocheck", "--nocheck --check"].into_iter().enumerate() {
        let line = |wim: &str| {
            format!("append tree {wim}.wim {number} {options} --quiet --create --create")
        };
        scratch.wimlib(&line("theirs")).ok();
        scratch.wimx(&line("ours")).ok();
        let tables =
            ["theirs.wim", "ours.wim"].map(|wim| scratch.open(wim).header().integrity.size);
        assert!(tables[1] > 0 && tables[0] > 0, "{options}: {tables:?}");
    }
}

#[test]
fn what_wimlib_warns_of_is_warned_of() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", &text(1000, 1)), ("a.tmp", b"a")]);
    fs::write(scratch.path("drive.ini"), "[ExclusionList]\nC:\\a.tmp\n").expect("a file");
    fs::write(scratch.path("empty.ini"), "").expect("a file");
    scratch.wimx("capture tree one.wim --quiet").ok();
    scratch.wimx("capture tree checked.wim --quiet --check").ok();
    scratch.wimx("capture tree pipable.wim --quiet --pipable").ok();
    for (line, warning) in [
        ("capture tree new.wim --compress=recovery", Some("unlike DISM's")),
        ("capture tree new.wim --compress=recovery --solid", None),
        ("capture tree new.wim --compress=lzms", None),
        ("export one.wim 1 recovery.wim --compress=recovery", Some("unlike DISM's")),
        ("capture tree new.wim --wimboot", Some("WimBootCompress.ini: is not there")),
        ("capture tree new.wim --wimboot --config=empty.ini", None),
        ("capture tree new.wim --config=drive.ini", Some("drive.ini: line 2: the drive letter")),
        ("verify one.wim", Some("one.wim: has no integrity table")),
        ("verify one.wim --nocheck", None),
        ("verify checked.wim", None),
        ("info one.wim --check", Some("one.wim: has no integrity table")),
        ("apply one.wim out --check", Some("one.wim: has no integrity table")),
        ("info pipable.wim 1 new", Some("a pipable archive cannot be read by Windows")),
        ("info pipable.wim 1 new", None),
        ("append tree pipable.wim more", Some("a pipable archive cannot be read by Windows")),
        ("optimize pipable.wim", Some("a pipable archive cannot be read by Windows")),
        ("optimize pipable.wim --not-pipable", None),
    ] {
        let ours = scratch.wimx(line).ok();
        match warning {
            Some(warning) => assert!(ours.stderr.contains(warning), "{line}: {}", ours.stderr),
            None => assert_eq!(ours.stderr, "", "{line}"),
        }
    }
}

/// What is left out on request is no reason to warn, however much it is.
#[test]
fn what_is_left_out_is_counted() {
    let scratch = windows_like();
    symlink(scratch.path("tree/a.tmp"), scratch.path("tree/link")).expect("a link");
    fs::write(scratch.path("c.ini"), "[ExclusionList]\n*.tmp\n\\out\n").expect("a file");
    let line = "capture tree new.wim --config=c.ini";
    let ours = scratch.wimx(line).ok();
    assert_eq!(ours.stderr, "");
    let text = ours.text();
    assert!(text.contains("4 files and directories were left out by the exclusion list"), "{text}");
    assert!(text.contains("1 absolute link now leads into the image"), "{text}");
    assert_eq!(scratch.wimx(&format!("{line} --quiet")).ok().text(), "");
    let listed = scratch.wimx(&format!("{line} --verbose")).ok().text();
    assert!(listed.contains("Excluding \"tree/sub/b.tmp\" from capture"), "{listed}");
    let document = scratch.wimx(&format!("{line} --json")).ok().text();
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let excluded = ["tree/a.tmp", "tree/out", "tree/sub/b.tmp", "tree/sub/keep.tmp"];
    assert_eq!(document["excluded"], serde_json::json!(excluded));
    assert_eq!(document["moved_links"], serde_json::json!(["tree/link"]));
    assert_eq!(document["warnings"], serde_json::json!([]));
}

/// The running system goes by the list in the image.
#[test]
fn a_tree_for_wimboot_says_itself_what_is_left_out() {
    let scratch = windows_like();
    fs::write(scratch.path("c.ini"), "[ExclusionList]\n\\out\n").expect("a file");
    same_image(&scratch, "--wimboot");
    let list = "[ExclusionList]\n*.tmp\n[PrepopulateList]\n\\out\n";
    fs::write(scratch.path("tree/Windows/System32/WimBootCompress.ini"), list).expect("a file");
    same_image(&scratch, "--wimboot");
    assert!(!scratch.wimx("dir ours.wim 1").ok().text().contains("a.tmp"));
    for config in ["", " --wimboot"] {
        scratch.wimx(&format!("capture tree ours.wim --config=c.ini{config}")).ok();
        let path = "/Windows/System32/WimBootCompress.ini";
        let stored = scratch.wimx(&format!("extract ours.wim 1 {path} --to-stdout")).ok().text();
        assert_eq!(stored.contains("Prepopulate"), config.is_empty(), "{stored}");
    }
}

#[test]
fn a_file_for_a_reader_that_could_not_read_it_is_refused() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("file", &text(1000, 1))]);
    scratch.wimx("capture tree lzx.wim --quiet").ok();
    scratch.wimx("capture tree large.wim --quiet --chunk-size=64K").ok();
    scratch.wimx("capture tree delta.wim --quiet --delta-from=lzx.wim").ok();
    scratch.wimx("capture tree solid.esd --quiet --solid").ok();
    for (line, reason) in [
        ("capture tree new.wim --for=setup --chunk-size=64K", "LZX in chunks of 64 KiB"),
        ("capture tree new.wim --for=boot --wimboot", "XPRESS in chunks of 4 KiB"),
        ("capture tree new.wim --for=wof --compress=xpress --chunk-size=64K", "4 to 32 KiB"),
        ("append tree large.wim x --for=setup", "LZX in chunks of 64 KiB"),
        ("append tree lzx.wim x --for=setup --chunk-size=2M", "LZX in chunks of 2048 KiB"),
        ("export lzx.wim 1 new.wim --for=boot --compress=xpress --chunk-size=8K", "32 KiB"),
        ("export large.wim 1 new.wim --for=boot", "LZX in chunks of 64 KiB"),
        ("export lzx.wim 1 large.wim x --for=setup", "LZX in chunks of 64 KiB"),
        ("optimize large.wim --for=wof", "LZX in chunks of 64 KiB"),
        ("capture tree new.wim --for=setup --delta-from=lzx.wim", "it is a delta"),
        ("capture tree new.wim --for=boot --delta-from=lzx.wim", "it is a delta"),
        ("append tree lzx.wim x --for=wof --delta-from=large.wim", "it is a delta"),
        ("append tree delta.wim x --for=setup", "it is a delta"),
        ("export large.wim 1 delta.wim x --for=setup", "it is a delta"),
        ("split lzx.wim new.swm 1 --for=boot", "not the parts of a set"),
        ("split lzx.wim new.swm 1 --for=wof", "not the parts of a set"),
        ("split large.wim new.swm 1 --for=setup", "LZX in chunks of 64 KiB"),
    ] {
        let (names, before) = (scratch.names(), scratch.read("large.wim"));
        let refused = scratch.wimx(line);
        assert_eq!(refused.code(), 24, "{line}: {}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{line}: {}", refused.stderr);
        assert_eq!(scratch.names(), names, "{line}");
        assert!(scratch.read("large.wim") == before, "{line}");
    }
    for (line, warned) in [
        ("capture tree new.wim --quiet --for=setup", false),
        ("capture tree new.wim --quiet --for=wof --wimboot", false),
        ("capture tree new.wim --quiet --for=boot --compress=none", false),
        ("capture tree new.wim --quiet --compress=xpress --chunk-size=4K", false),
        ("capture tree new.wim --quiet --compress=xpress --chunk-size=4K --boot", true),
        ("capture tree new.wim --quiet --compress=xpress --chunk-size=64K", true),
        ("optimize large.wim --quiet --for=setup --chunk-size=32K", false),
        ("append tree lzx.wim x --quiet --for=boot", false),
        ("capture tree new.wim --quiet --delta-from=lzx.wim", true),
        ("capture tree new.wim --quiet --delta-from=lzx.wim --compress=lzms", true),
        ("split lzx.wim new.swm 1 --quiet --for=setup", false),
        ("split solid.esd new.swm 1 --quiet --for=setup", false),
        ("export delta.wim 1 whole.wim --quiet --for=setup --ref=lzx.wim", false),
    ] {
        let said = scratch.wimx(line).ok().stderr;
        assert_eq!(said.contains("could not read this file"), warned, "{line}: {said}");
    }
}
