//! Pipable WIMs beside wimlib-imagex: each tool's read by the other, from files and through pipes; what
//! becomes of the layout in every command; and the same refusals.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use osupg_tests::child::{self, Finished};
use osupg_tests::tools::wimlib;
use osupg_tests::tree::{self, Times, Tree};
use osupg_tests::{bins, corpus};
use tempfile::TempDir;

/// A tool.
type Tool = fn() -> Command;

const WIMX: Tool = bins::wimx;
const BOTH: [(Tool, Tool); 2] = [(bins::wimx, wimlib), (wimlib, bins::wimx)];

/// Two trees: folders, links of both kinds, equal files, text and noise, one file of several batches.
fn sources() -> &'static [PathBuf; 2] {
    static MADE: OnceLock<(TempDir, [PathBuf; 2])> = OnceLock::new();
    let (_, sources) = MADE.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let made = corpus::made(&folder.path().join("trees"));
        let roots = [0, 1].map(|index: usize| made[index].root.clone());
        fs::write(roots[0].join("noise"), corpus::noise(9 << 20, 7)).expect("it can be written");
        fs::write(roots[0].join("large"), corpus::text(6 << 20, 8)).expect("it can be written");
        (folder, roots)
    });
    sources
}

fn expected(index: usize) -> Tree {
    let found = tree::describe(&sources()[index], Times::Compare).expect("a tree");
    tree::after_a_round_trip(&found)
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

    /// A command with the words of `line`; `A` and `B` are the trees.
    fn command(&self, tool: Tool, line: &str) -> Command {
        let mut command = tool();
        command.current_dir(self.0.path());
        for word in line.split(' ') {
            match word {
                "A" => command.arg(&sources()[0]),
                "B" => command.arg(&sources()[1]),
                word => command.arg(word),
            };
        }
        command
    }

    fn run(&self, tool: Tool, line: &str) -> Finished {
        child::run(&mut self.command(tool, line))
    }

    /// Runs a command with a file on standard input.
    fn run_with_input(&self, tool: Tool, line: &str, input: &str) -> Finished {
        let input = File::open(self.path(input)).expect("a file");
        child::run_with_input(&mut self.command(tool, line), input)
    }

    /// Runs `writer | reader`.
    fn pipe(&self, writer: &mut Command, reader: &mut Command) -> [ExitStatus; 2] {
        let mut writing =
            writer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
        let pipe = writing.stdout.take().expect("a pipe");
        let reader = reader.stdin(pipe).stdout(Stdio::null()).stderr(Stdio::null());
        let read = reader.status().expect("it runs");
        [writing.wait().expect("it ends"), read]
    }

    /// Whether a folder here holds a tree; it is removed.
    #[track_caller]
    fn assert_is(&self, folder: &str, index: usize, what: &str) {
        let found = tree::describe(&self.path(folder), Times::Compare).expect("a tree");
        tree::assert_same(what, &expected(index), &tree::after_a_round_trip(&found));
        fs::remove_dir_all(self.path(folder)).expect("it can be removed");
    }

    /// A WIM has this layout, is sound for both, and its images are these trees, for wimlib through a
    /// pipe too.
    #[track_caller]
    fn assert_holds(&self, wim: &str, pipable: bool, trees: &[usize], what: &str) {
        let magic = if pipable { b"WLPWM" } else { b"MSWIM" };
        assert!(fs::read(self.path(wim)).expect("a WIM").starts_with(magic), "{what}");
        self.run(wimlib, &format!("verify {wim}")).ok();
        self.run(WIMX, &format!("verify {wim}")).ok();
        for (image, &tree) in (1..).zip(trees) {
            self.run(wimlib, &format!("apply {wim} {image} applied")).ok();
            self.assert_is("applied", tree, what);
            if pipable {
                self.run_with_input(wimlib, &format!("apply - {image} piped"), wim).ok();
                self.assert_is("piped", tree, what);
            }
        }
    }
}

const CODECS: [&str; 6] = [
    "--compress=none",
    "--compress=xpress",
    "--compress=xpress --chunk-size=4K",
    "--compress=lzx",
    "--compress=lzx:20 --chunk-size=64K",
    "--compress=lzx:20 --chunk-size=2M",
];

#[test]
fn through_a_pipe_from_one_to_the_other() {
    for (writer, reader) in BOTH {
        for codec in CODECS {
            let place = Place::new();
            let mut writer = place.command(writer, &format!("capture A - Name {codec}"));
            let mut reader = place.command(reader, "apply - out");
            let ended = place.pipe(&mut writer, &mut reader);
            assert!(ended.iter().all(ExitStatus::success), "{writer:?}: {ended:?}");
            place.assert_is("out", 0, codec);
        }
    }
}

#[test]
fn wimlib_takes_the_files() {
    for codec in CODECS {
        let place = Place::new();
        let line = format!("capture A a.wim --pipable --include-integrity {codec}");
        place.run(WIMX, &line).ok();
        place.run(WIMX, "append B a.wim second").ok();
        place.assert_holds("a.wim", true, &[0, 1], codec);
    }
}

#[test]
fn the_files_of_wimlib_are_taken_from_a_pipe() {
    // LZMS is in what wimlib writes alone.
    for codec in CODECS.into_iter().chain(["--compress=lzms:20"]) {
        let place = Place::new();
        place.run(wimlib, &format!("capture A a.wim one --pipable {codec}")).ok();
        place.run(wimlib, "append B a.wim two --include-integrity").ok();
        for (image, tree) in [("one", 0), ("2", 1)] {
            place.run_with_input(WIMX, &format!("apply - {image} out"), "a.wim").ok();
            place.assert_is("out", tree, codec);
        }
    }
}

/// The parts of a pipable set come one after the other. (wimlib stumbles over integrity tables between
/// them, its own too.)
#[test]
fn parts_come_through_one_pipe() {
    let with_table = " --include-integrity";
    let tools: [(Tool, Tool, &str); 3] =
        [(wimlib, WIMX, with_table), (WIMX, WIMX, with_table), (WIMX, wimlib, "")];
    for (splitter, reader, table) in tools {
        let place = Place::new();
        place.run(wimlib, &format!("capture A a.wim one --pipable{table}")).ok();
        place.run(splitter, "split a.wim part.swm 2").ok();
        let mut whole = Vec::new();
        for number in ["", "2", "3", "4", "5", "6", "7", "8", "9"] {
            if let Ok(part) = fs::read(place.path(&format!("part{number}.swm"))) {
                whole.extend(part);
            }
        }
        assert!(place.path("part2.swm").exists());
        fs::write(place.path("whole"), whole).expect("it can be written");
        place.run_with_input(reader, "apply - 1 out", "whole").ok();
        place.assert_is("out", 0, "parts");
    }
}

#[test]
fn edits_keep_the_layout_and_conversions_change_it() {
    let place = Place::new();
    place.run(WIMX, "capture A a.wim first --pipable --compress=lzx:20").ok();
    for (line, pipable, trees) in [
        ("append B a.wim second", true, &[0, 1][..]),
        ("info a.wim 2 renamed Text", true, &[0, 1]),
        ("info a.wim 2 --boot --include-integrity", true, &[0, 1]),
        ("optimize a.wim", true, &[0, 1]),
        ("export a.wim 2 a.wim2", false, &[0, 1]),
        ("delete a.wim 1", true, &[1]),
        ("append A a.wim again --not-pipable", false, &[1, 0]),
        ("append B a.wim more --pipable", true, &[1, 0, 1]),
        ("delete a.wim 3 --soft", true, &[1, 0]),
        ("optimize a.wim --not-pipable", false, &[1, 0]),
        ("optimize a.wim --pipable", true, &[1, 0]),
        ("optimize a.wim --compress=xpress", true, &[1, 0]),
        ("optimize a.wim --compress=none", true, &[1, 0]),
        ("optimize a.wim --compress=lzx:20 --chunk-size=64K", true, &[1, 0]),
    ] {
        place.run(WIMX, line).ok();
        if !line.starts_with("export") {
            place.assert_holds("a.wim", pipable, trees, line);
        } else {
            place.assert_holds("a.wim2", false, &[1], line);
        }
    }
    place.run(WIMX, "export a.wim all b.wim --pipable --compress=xpress").ok();
    place.assert_holds("b.wim", true, &[1, 0], "export --pipable");
    place.run(WIMX, "export a.wim2 1 b.wim another").ok();
    place.assert_holds("b.wim", true, &[1, 0, 1], "export to a pipable one");
    place.run(WIMX, "export a.wim2 1 b.wim more --not-pipable").ok();
    place.assert_holds("b.wim", false, &[1, 0, 1, 1], "export --not-pipable");
    fs::write(place.path("new"), "new\n").expect("it can be written");
    place.run(WIMX, "optimize b.wim --pipable").ok();
    let before = fs::read(place.path("b.wim")).expect("a WIM");
    let finished =
        child::run(place.command(WIMX, "update b.wim 1").arg("--command=add new /new file"));
    assert_ne!(finished.code(), 0, "that is too much for a command");
    assert!(before == fs::read(place.path("b.wim")).expect("a WIM"), "it is as it was");
    child::run(place.command(WIMX, "update b.wim 1").arg("--command=add new /new")).ok();
    place.assert_holds("b.wim", true, &[], "update");
    place.run(wimlib, "apply b.wim 1 updated").ok();
    assert_eq!(fs::read_to_string(place.path("updated/new")).expect("a file"), "new\n");
}

#[test]
fn exports_go_through_pipes() {
    for (writer, reader) in BOTH {
        for codec in ["", " --compress=xpress", " --compress=none", " --recompress"] {
            let place = Place::new();
            place.run(wimlib, "capture A a.wim first --compress=lzx:20").ok();
            place.run(wimlib, "append B a.wim second").ok();
            let mut writer = place.command(writer, &format!("export a.wim all -{codec}"));
            let mut reader = place.command(reader, "apply - 2 out");
            let ended = place.pipe(&mut writer, &mut reader);
            assert!(ended.iter().all(ExitStatus::success), "{writer:?}: {ended:?}");
            place.assert_is("out", 1, codec);
        }
    }
}

/// Both refuse the same, with the same code.
#[test]
fn refusals() {
    let place = Place::new();
    place.run(wimlib, "capture B n.wim one").ok();
    place.run(wimlib, "capture B p.wim one --pipable").ok();
    for (line, input) in [
        ("capture B -  --check", None),
        ("capture B - --include-integrity", None),
        ("capture B - --not-pipable", None),
        ("capture B x.wim --pipable --not-pipable", None),
        ("capture B x.wim --pipable --solid", None),
        ("append B -", None),
        ("append B n.wim again --pipable --not-pipable", None),
        ("export n.wim 1 - --check", None),
        ("export n.wim 1 - --not-pipable", None),
        ("export n.wim 1 x.wim --pipable --not-pipable", None),
        ("export n.wim 1 x.wim --pipable --solid", None),
        ("apply - out", Some("n.wim")),
        ("apply - 2 out", Some("p.wim")),
        ("apply - two out", Some("p.wim")),
        ("apply - all out", Some("p.wim")),
        ("apply - 1 out --ref=n.wim", Some("p.wim")),
    ] {
        let line = line.replace("  ", " ");
        let codes = [wimlib, WIMX].map(|tool| {
            let finished = match input {
                Some(input) => place.run_with_input(tool, &line, input),
                None => place.run(tool, &line),
            };
            assert!(!place.path("out").exists() && !place.path("x.wim").exists(), "{line}");
            finished.code()
        });
        assert_eq!(codes[1], codes[0], "{line}");
        assert_ne!(codes[1], 0, "{line}");
    }
}

/// A stream whose XML document is damaged is refused with wimlib's code. (wimlib takes one that can still
/// be parsed, whatever its hash says.)
#[test]
fn streams_with_a_damaged_document() {
    let place = Place::new();
    place.run(wimlib, "capture B p.wim one --pipable").ok();
    let bytes = fs::read(place.path("p.wim")).expect("a WIM");
    let tag: Vec<u8> = "<WIM>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let start = bytes.windows(tag.len()).position(|found| found == tag).expect("a document");
    // The byte order mark, the name of a tag, a sign of a tag; then a letter of a name.
    for (at, with, codes) in [
        (start - 2, 0x00, [73, 73]),
        (start + 2, b'X', [73, 73]),
        (start + 8, b'<', [73, 73]),
        (start + 2 * "<WIM><IMAGE INDEX='1'><NAME>".len(), b'x', [73, 0]),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] = with;
        fs::write(place.path("damaged"), &damaged).expect("it can be written");
        let tools: [Tool; 2] = [WIMX, wimlib];
        let found = tools.map(|tool| {
            let finished = place.run_with_input(tool, "apply - 1 out", "damaged");
            let _ = fs::remove_dir_all(place.path("out"));
            finished.code()
        });
        assert_eq!(found, codes, "byte {at}");
    }
}

/// Cut anywhere in its data, a stream is refused with wimlib's code, and no file is left half there.
#[test]
fn streams_that_end() {
    let place = Place::new();
    place.run(WIMX, "capture A a.wim --pipable --compress=lzx:20").ok();
    let bytes = fs::read(place.path("a.wim")).expect("a WIM");
    for part in 0..12 {
        let end = bytes.len() * part / 13;
        fs::write(place.path("cut"), &bytes[..end]).expect("it can be written");
        let tools: [(Tool, bool); 2] = [(WIMX, true), (wimlib, false)];
        let codes = tools.map(|(tool, is_ours)| {
            let finished = place.run_with_input(tool, "apply - 1 out", "cut");
            if place.path("out").exists() {
                if is_ours {
                    assert_no_other_files(&place.path("out"), &sources()[0], end);
                }
                fs::remove_dir_all(place.path("out")).expect("it can be removed");
            }
            finished.code()
        });
        assert_eq!(codes, [65, 65], "{end} of {}", bytes.len());
    }
}

/// Each file in `found` is one of `expected`, byte for byte.
fn assert_no_other_files(found: &Path, expected: &Path, end: usize) {
    for entry in fs::read_dir(found).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
        let other = expected.join(entry.file_name());
        if kind.is_dir() {
            assert_no_other_files(&path, &other, end);
        } else if kind.is_file() {
            let [found, expected] = [&path, &other].map(|path| fs::read(path).expect("a file"));
            assert!(found == expected, "{}, cut at {end}", path.display());
        }
    }
}

/// Who stops reading ends the writer, without a word; who stops writing is noticed.
#[test]
fn pipes_that_break() {
    let place = Place::new();
    let mut writer = place.command(WIMX, "capture A - --compress=none");
    let mut child = writer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut start = [0; 1000];
    child.stdout.take().expect("a pipe").read_exact(&mut start).expect("a header");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let mut reader = place.command(WIMX, "apply - out");
    let mut child = reader.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let sent: io::Result<()> = child.stdin.take().expect("a pipe").write_all(&start);
    sent.expect("it is taken");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1000 bytes"));
    assert!(!place.path("out").exists());
}

/// The stream may be larger than the memory that reading it takes.
#[test]
fn memory_does_not_grow_with_the_stream() {
    let place = Place::new();
    let tree = place.path("huge");
    fs::create_dir(&tree).expect("it can be made");
    let mut file = File::create(tree.join("file")).expect("it can be made");
    let block = corpus::noise(1 << 20, 3);
    for number in 0..200u32 {
        file.write_all(&number.to_le_bytes()).expect("it can be written");
        file.write_all(&block).expect("it can be written");
    }
    drop(file);
    place.run(WIMX, "capture huge a.wim --pipable --compress=none").ok();
    let finished = place.run_with_input(WIMX, "apply - out --threads=2", "a.wim").ok();
    assert!(finished.peak_anonymous < 64 << 20, "{} bytes", finished.peak_anonymous);
    let [found, expected] =
        ["huge/file", "out/file"].map(|path| fs::read(place.path(path)).expect("a file"));
    assert!(found == expected);
}
