//! `wimx split` and `join` beside wimlib-imagex: the same parts but for the order in them, sets of one joined,
//! verified and applied by the other, the same refusals; and what is left when something goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::child::{self, Finished};
use osupg_tests::tools::{seven_zip, wimlib};
use osupg_tests::tree::{self, Times, Tree};
use osupg_tests::{bins, corpus};
use tempfile::TempDir;

/// Two trees as WIMs of many kinds.
fn captures() -> &'static Captures {
    static MADE: OnceLock<(TempDir, Captures)> = OnceLock::new();
    let (_, captures) = MADE.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let trees = corpus::made(&folder.path().join("trees"));
        let captures = Captures::new(folder.path().join("wims"), trees, Effort::Usual);
        (folder, captures)
    });
    captures
}

fn trees() -> [Tree; 2] {
    [0, 1].map(|index: usize| {
        let root = &captures().sources()[index].root;
        tree::after_a_round_trip(&tree::describe(root, Times::Compare).expect("a tree"))
    })
}

/// A scratch folder in which commands run.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command with the words of `line`, and these paths in the place of each `%`.
    fn run(&self, mut command: Command, line: &str, paths: &[&Path]) -> Finished {
        let mut paths = paths.iter();
        for word in line.split(' ') {
            match word {
                "%" => command.arg(paths.next().expect("a path for each %")),
                word => command.arg(word),
            };
        }
        child::run(command.current_dir(self.0.path()))
    }

    fn wimx(&self, line: &str, paths: &[&Path]) -> Finished {
        self.run(bins::wimx(), line, paths)
    }

    fn wimlib(&self, line: &str, paths: &[&Path]) -> Finished {
        self.run(wimlib(), line, paths)
    }

    /// The files whose names begin so, sorted by length and name: parts in their order.
    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).expect("a listing");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.into_string().expect("text"));
        let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names.iter().map(|name| self.path(name)).collect()
    }

    /// Both images of a WIM, applied by wimlib, are the trees.
    fn assert_holds_the_trees(&self, what: &str, options: &str) {
        for (index, expected) in (1..).zip(trees()) {
            let target = self.path("applied");
            let line = format!("apply {what} {index} applied --quiet{options}");
            self.wimlib(&line, &[]).ok();
            let found = tree::describe(&target, Times::Compare).expect("a tree");
            let found = tree::after_a_round_trip(&found);
            tree::assert_same(&line, &expected, &found);
            fs::remove_dir_all(target).expect("it can be removed");
        }
    }
}

/// The GUID of a WIM, as `--guid` takes it.
fn guid(wim: &Path) -> String {
    let bytes = fs::read(wim).expect("a WIM");
    bytes[0x18..0x28].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two files are the same byte for byte, but for one thing: wimlib puts the resources that are stored
/// uncompressed behind all others, we leave them where they were.
#[track_caller]
fn assert_same_but_for_the_order(what: &str, theirs: &Path, ours: &Path) {
    let [theirs, ours] = [theirs, ours].map(|path| fs::read(path).expect("it was made"));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let field = |at: usize| {
        let field: [u8; 8] = theirs[at..at + 8].try_into().expect("8 bytes");
        (u64::from_le_bytes(field) & (u64::MAX >> 8)) as usize
    };
    // Size and offset of the blob table, then of the XML document.
    let (table_len, table, xml_len, xml) = (field(0x30), field(0x38), field(0x48), field(0x50));
    let metadata = 0x60..0x78;
    assert!(ours[..metadata.start] == theirs[..metadata.start], "{what}: header");
    assert!(ours[metadata.end..208] == theirs[metadata.end..208], "{what}: header");
    assert!(ours[xml..xml + xml_len] == theirs[xml..xml + xml_len], "{what}: XML");
    let entries = |bytes: &[u8]| {
        let entries = bytes[table..table + table_len].chunks_exact(50);
        let mut entries: Vec<_> = entries
            .map(|entry| {
                let offset: [u8; 8] = entry[8..16].try_into().expect("8 bytes");
                let (start, len) = (u64::from_le_bytes(offset) as usize, &entry[..7]);
                let len = len.iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
                let data = bytes[start..start + len].to_vec();
                ([&entry[..8], &entry[16..]].concat(), data)
            })
            .collect();
        entries.sort();
        entries
    };
    assert!(entries(&ours) == entries(&theirs), "{what}: blobs");
}

const KINDS: [Kind; 7] =
    [Kind::None, Kind::Xpress, Kind::Xpress4K, Kind::Lzx, Kind::Lzx2M, Kind::Lzms, Kind::Integrity];

#[test]
fn parts_hold_what_wimlibs_hold() {
    for kind in KINDS {
        for size in ["0.3", "1", "0.0001", "1000"] {
            let (place, wim) = (Place::new(), captures().wim(kind));
            let table = if size == "1" { " --include-integrity" } else { "" };
            place.wimlib(&format!("split % a.swm {size} --quiet{table}"), &[&wim]).ok();
            let guid = guid(&place.path("a.swm"));
            let line = format!("split % b.swm {size} --quiet --guid={guid}{table}");
            place.wimx(&line, &[&wim]).ok();
            let (theirs, ours) = (place.files("a"), place.files("b"));
            assert_eq!(ours.len(), theirs.len(), "{kind:?} {size}");
            for (theirs, ours) in theirs.iter().zip(&ours) {
                let what = format!("{kind:?} {size}: {}", ours.display());
                assert_same_but_for_the_order(&what, theirs, ours);
            }
        }
    }
}

#[test]
fn joined_archives_hold_what_wimlibs_hold() {
    for kind in KINDS {
        let (place, wim) = (Place::new(), captures().wim(kind));
        place.wimlib("split % a.swm 0.5 --quiet", &[&wim]).ok();
        let mut parts = place.files("a");
        parts.reverse();
        let parts: Vec<_> = parts.iter().map(PathBuf::as_path).collect();
        let operands = " %".repeat(parts.len());
        for options in ["", " --check"] {
            place.wimlib(&format!("join theirs.wim{operands} --quiet{options}"), &parts).ok();
            place.wimx(&format!("join ours.wim{operands} --quiet{options}"), &parts).ok();
            let (theirs, ours) = (place.path("theirs.wim"), place.path("ours.wim"));
            assert_same_but_for_the_order(&format!("{kind:?}{options}"), &theirs, &ours);
        }
    }
}

/// Also of kinds that wimlib splits in another way, or not at all.
#[test]
fn wimlib_and_seven_zip_read_our_sets() {
    for kind in [Kind::Lzx, Kind::LzmsSolid, Kind::XpressSolid, Kind::Pipable] {
        let (place, wim) = (Place::new(), captures().wim(kind));
        place.wimx("split % x.swm 0.5 --check", &[&wim]).ok();
        let parts = place.files("x");
        assert!(parts.len() > 2, "{kind:?}: {parts:?}");
        let info = place.wimlib("info x.swm", &[]).ok().text();
        assert!(info.contains("Compression:    LZX"), "{kind:?}: {info}");
        place.wimlib("verify x.swm --ref=x*.swm --quiet", &[]).ok();
        place.wimx("verify x.swm --ref=x*.swm", &[]).ok();
        place.assert_holds_the_trees("x.swm", " --ref=x*.swm");
        let parts: Vec<_> = parts.iter().map(PathBuf::as_path).collect();
        let operands = " %".repeat(parts.len());
        place.wimlib(&format!("join theirs.wim{operands} --quiet"), &parts).ok();
        place.wimlib("verify theirs.wim --quiet", &[]).ok();
        place.wimx(&format!("join ours.wim{operands} --verify"), &parts).ok();
        place.wimlib("verify ours.wim --quiet", &[]).ok();
        if kind == Kind::Pipable {
            assert!(info.contains("Pipable"), "{info}");
        } else {
            place.run(seven_zip(), "t ours.wim -bd", &[]).ok();
        }
        place.assert_holds_the_trees("ours.wim", "");
    }
}

#[test]
fn pipable_parts_of_wimlib_are_joined() {
    let (place, wim) = (Place::new(), captures().wim(Kind::Pipable));
    place.wimlib("split % p.swm 0.5 --quiet", &[&wim]).ok();
    let parts = place.files("p");
    let parts: Vec<_> = parts.iter().map(PathBuf::as_path).collect();
    let operands = " %".repeat(parts.len());
    place.wimx(&format!("join whole.wim{operands} --check"), &parts).ok();
    place.wimlib("verify whole.wim --quiet", &[]).ok();
    let info = place.wimlib("info whole.wim", &[]).ok().text();
    assert!(info.contains("Pipable"), "{info}");
    place.assert_holds_the_trees("whole.wim", "");
}

#[test]
fn the_same_command_lines_fail_with_the_same_codes() {
    let place = Place::new();
    let wim = captures().wim(Kind::Lzx);
    place.wimlib("split % x.swm 0.5 --quiet", &[&wim]).ok();
    place.wimlib("split % y.swm 0.5 --quiet", &[&wim]).ok();
    fs::copy(&wim, place.path("w.wim")).expect("a copy");
    fs::write(place.path("text.wim"), "no WIM").expect("a file");
    for line in [
        "split",
        "split w.wim",
        "split w.wim o.swm",
        "split w.wim o.swm 1 2",
        "split w.wim o.swm abc",
        "split w.wim o.swm 1x",
        "split w.wim o.swm 0",
        "split w.wim o.swm 0.00000001",
        "split w.wim o.swm inf",
        "split w.wim o.swm 1 --nocheck",
        "split nope.wim o.swm 1",
        "split text.wim o.swm 1",
        "split w.wim nope/o.swm 1",
        "join",
        "join o.wim",
        "join o.wim nope.swm",
        "join o.wim text.wim",
        "join o.wim x.swm",
        "join o.wim x2.swm x3.swm",
        "join o.wim x.swm x2.swm x3.swm x2.swm",
        "join o.wim x.swm y2.swm y3.swm",
        "join o.wim w.wim w.wim",
        "join o.wim x*.swm",
        "join nope/o.wim w.wim",
    ] {
        let theirs = place.wimlib(line, &[]);
        for file in place.files("o") {
            fs::remove_file(file).expect("it can be removed");
        }
        let ours = place.wimx(line, &[]);
        assert_ne!(theirs.code(), 0, "{line}");
        assert_eq!(ours.code(), theirs.code(), "{line}: {}", ours.stderr);
        assert!(ours.stderr.starts_with("error: "), "{line}: {}", ours.stderr);
        assert_eq!(place.files("o"), Vec::<PathBuf>::new(), "{line}");
    }
    // wimlib-imagex makes sets that lack data of these.
    assert_eq!(place.wimx("split x.swm o.swm 1", &[]).code(), 68);
    let tree = &captures().sources()[0].root;
    place.wimlib("capture % delta.wim --delta-from=w.wim --quiet", &[tree]).ok();
    assert_eq!(place.wimx("split delta.wim o.swm 1", &[]).code(), 68);
    assert_eq!(place.files("o"), Vec::<PathBuf>::new());
}

#[test]
fn the_missing_part_is_named() {
    let place = Place::new();
    place.wimx("split % x.swm 0.5", &[&captures().wim(Kind::Lzx)]).ok();
    let done = place.wimx("join o.wim x.swm x3.swm --json", &[]);
    assert_eq!(done.code(), 62);
    assert!(done.stderr.contains("part 2 is missing") || done.stderr.contains("parts 2"));
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], 62);
}

#[test]
fn a_damaged_source_makes_no_set() {
    let place = Place::new();
    let wim = place.path("w.wim");
    let mut bytes = fs::read(captures().wim(Kind::Integrity)).expect("a WIM");
    bytes[10_000] ^= 1;
    fs::write(&wim, &bytes).expect("a file");
    assert_eq!(place.wimx("split w.wim x.swm 0.5 --check", &[]).code(), 13);
    let verified = place.wimx("split w.wim x.swm 0.5 --verify", &[]).code();
    assert!([2, 28].contains(&verified), "{verified}");
    assert_eq!(place.files("x"), Vec::<PathBuf>::new());
}

/// A WIM that takes a while to be copied.
fn large() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, wim) = MADE.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (tree, wim) = (folder.path().join("tree"), folder.path().join("large.wim"));
        fs::create_dir(&tree).expect("a folder");
        for seed in 0..32u64 {
            let file = tree.join(seed.to_string());
            fs::write(file, corpus::noise(8_000_000, seed + 1)).expect("a file");
        }
        let mut capture = wimlib();
        capture.args(["capture", "--compress=none", "--quiet"]).args([&tree, &wim]);
        child::run(&mut capture).ok();
        fs::remove_dir_all(tree).expect("it can be removed");
        (folder, wim)
    });
    wim
}

/// Splits so that it has to hash everything, over an old first part.
fn slow_split(place: &Place) -> Command {
    let mut split = bins::wimx();
    split.arg("split").arg(large()).arg(place.path("x.swm"));
    split.args(["20", "--verify", "--include-integrity", "--threads=2"]);
    split
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wimx starts")
}

/// Waits until something of the third part is being written.
fn wait_for_part(place: &Place, child: &mut Child) {
    let start = Instant::now();
    while place.files("x3.swm").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is being written");
        assert!(child.try_wait().expect("it can be asked").is_none(), "it has ended already");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_signal_stops_a_split_and_nothing_is_left() {
    let place = Place::new();
    fs::write(place.path("x.swm"), "old").expect("a file");
    let mut split = start(&mut slow_split(&place));
    wait_for_part(&place, &mut split);
    let pid = split.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(split.wait().expect("it ends").code(), Some(130));
    assert_eq!(place.files("x"), [place.path("x.swm")]);
    assert_eq!(fs::read(place.path("x.swm")).expect("a file"), b"old");
}

#[test]
fn a_killed_split_leaves_the_old_file_and_the_next_clears_up() {
    let place = Place::new();
    fs::write(place.path("x.swm"), "old").expect("a file");
    let mut split = start(&mut slow_split(&place));
    wait_for_part(&place, &mut split);
    split.kill().expect("it can be killed");
    split.wait().expect("it ends");
    assert_eq!(fs::read(place.path("x.swm")).expect("a file"), b"old");
    assert!(!place.path("x2.swm").exists(), "a part of a set that is not whole");
    child::run(&mut slow_split(&place)).ok();
    let left = place.files("x");
    assert!(left.iter().all(|file| file.extension().is_some_and(|end| end == "swm")), "{left:?}");
    place.wimlib("verify x.swm --ref=x*.swm --quiet", &[]).ok();
    // 7-Zip takes a set for cut off if its last part is larger than its first. This one's is not.
    place.run(seven_zip(), "t x.swm -bd", &[]).ok();
}

/// `ulimit -f` gives an error in the middle of writing, as a disk does that fills up meanwhile.
#[test]
fn a_write_that_fails_leaves_nothing() {
    let place = Place::new();
    let limited = |command: &Command| {
        let mut shell = Command::new("bash");
        shell.args(["-c", "ulimit -f 10000; exec \"$@\"", "bash"]);
        shell.arg(command.get_program()).args(command.get_args());
        child::run(&mut shell)
    };
    let done = limited(&slow_split(&place));
    assert_eq!(done.code(), 72, "{}", done.stderr);
    assert_eq!(place.files(""), Vec::<PathBuf>::new());
    child::run(&mut slow_split(&place)).ok();
    let mut join = bins::wimx();
    join.arg("join").arg(place.path("whole.wim")).args(place.files("x"));
    let done = limited(&join);
    assert_eq!(done.code(), 72, "{}", done.stderr);
    assert_eq!(place.files("whole"), Vec::<PathBuf>::new());
}

/// A file system of its own, seen by this command only.
#[test]
fn a_disk_too_small_for_the_set_is_said_beforehand() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let script = "mount -t tmpfs -o size=100m none \"$1\" || exit 99; \
                  \"$2\" split \"$3\" \"$1/x.swm\" 20; echo $?; ls -A \"$1\"";
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .args([&disk, bins::wimx_path(), large()]),
    );
    assert_eq!(done.text(), "72\n", "{}", done.stderr);
    assert!(done.stderr.contains("not enough space"), "{}", done.stderr);
}
