//! wimx when things go wrong around it: interrupted, killed, out of space, its source cut off.
//!
//! Whatever happens, an old output file is untouched, and what a killed run leaves is cleared by the
//! next one.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use osupg_tests::tools::wimlib;
use osupg_tests::{bins, child, corpus};
use tempfile::TempDir;

/// Bytes of each file of the sample tree, and how many there are: enough to be at it for a while.
const FILE: usize = 8_000_000;
const FILES: u64 = 32;

/// A tree, and a WIM of it that wimlib made; kept for all tests.
struct Sample {
    _folder: TempDir,
    tree: PathBuf,
    wim: PathBuf,
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (tree, wim) = (folder.path().join("tree"), folder.path().join("sample.wim"));
        fs::create_dir(&tree).expect("a folder");
        for seed in 0..FILES {
            let text = corpus::noise(FILE, seed + 1);
            fs::write(tree.join(format!("{seed}.txt")), text).expect("a file");
        }
        let mut capture = wimlib();
        capture.args(["capture", "--compress=none", "--quiet"]).args([&tree, &wim]);
        child::run(&mut capture).ok();
        Sample { _folder: folder, tree, wim }
    })
}

/// A folder for outputs with an old one in it.
struct Place {
    folder: TempDir,
    out: PathBuf,
    old: Vec<u8>,
}

impl Place {
    /// The old output is a WIM without compression that holds one small file.
    fn new() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (tree, out) = (folder.path().join("small"), folder.path().join("out.wim"));
        fs::create_dir(&tree).expect("a folder");
        fs::write(tree.join("old.txt"), "old").expect("a file");
        let mut capture = wimlib();
        capture.args(["capture", "--compress=none", "--quiet"]).args([&tree, &out]).arg("old");
        child::run(&mut capture).ok();
        fs::remove_dir_all(tree).expect("it can be removed");
        let old = fs::read(&out).expect("it was made");
        Self { folder, out, old }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a new file in place of the old one, with every blob hashed, and every piece of it.
    fn export(&self) -> Command {
        self.export_from(&sample().wim)
    }

    fn export_from(&self, wim: &Path) -> Command {
        let mut export = bins::wimx();
        export.arg("export").arg(wim).arg("1").arg(&self.out).arg("new");
        export.args(["--rebuild", "--verify", "--include-integrity", "--threads=2"]);
        export
    }

    fn assert_old(&self, when: &str) {
        assert!(fs::read(&self.out).expect("it is there") == self.old, "{when}: not the old file");
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a listing");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("text")).collect();
        names.sort();
        names
    }

    /// Waits until something is being written.
    fn wait_for_partial(&self, child: &mut Child) {
        let begun = || self.names().iter().any(|name| name.ends_with(".wimx-partial"));
        wait_until(child, begun);
    }
}

fn wait_until(child: &mut Child, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is being written");
        assert!(child.try_wait().expect("it can be asked").is_none(), "it has ended already");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wimx starts")
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

fn ended(child: Child) -> (ExitStatus, String) {
    let done = child.wait_with_output().expect("it ends");
    (done.status, String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn a_signal_stops_an_export_cleanly() {
    for name in ["-INT", "-TERM"] {
        let place = Place::new();
        let mut export = start(&mut place.export());
        place.wait_for_partial(&mut export);
        signal(&export, name);
        let (status, said) = ended(export);
        assert_eq!(status.code(), Some(130), "{name}: {said}");
        assert!(said.contains("stopped"), "{said}");
        place.assert_old(name);
        assert_eq!(place.names(), ["out.wim"], "{name}");
    }
}

/// What is being appended lies behind what the header knows, so the old archive is all there; wimlib
/// judges.
#[test]
fn a_signal_stops_an_append_cleanly() {
    let place = Place::new();
    let mut append = bins::wimx();
    append.arg("export").arg(&sample().wim).arg("1").arg(&place.out).arg("new");
    let mut append = start(append.arg("--include-integrity"));
    let length = || fs::metadata(&place.out).expect("it is there").len();
    let old = length();
    wait_until(&mut append, || length() > old);
    signal(&append, "-INT");
    let (status, said) = ended(append);
    assert_eq!(status.code(), Some(130), "{said}");
    let begins = fs::read(&place.out).expect("it is there");
    assert!(begins.starts_with(&place.old), "the old archive is changed");
    child::run(wimlib().args(["verify", "--quiet"]).arg(&place.out)).ok();
    assert_eq!(place.names(), ["out.wim"]);
}

#[test]
fn a_signal_stops_an_apply_and_leaves_whole_files_only() {
    let place = Place::new();
    let target = place.path("target");
    let mut apply = bins::wimx();
    let mut apply = start(apply.arg("apply").arg(&sample().wim).arg("1").arg(&target));
    let files = || fs::read_dir(&target).map_or(0, Iterator::count);
    wait_until(&mut apply, || files() > 2);
    signal(&apply, "-INT");
    let (status, said) = ended(apply);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(files() < FILES as usize, "it was stopped too late to tell anything");
    for file in fs::read_dir(&target).expect("a listing") {
        let file = file.expect("an entry");
        let original = fs::read(sample().tree.join(file.file_name())).expect("it is in the tree");
        assert!(fs::read(file.path()).expect("a file") == original, "{:?}", file.file_name());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut export = start(&mut place.export());
    place.wait_for_partial(&mut export);
    // Held, so that both signals are there before it can clean up.
    signal(&export, "-STOP");
    signal(&export, "-INT");
    signal(&export, "-TERM");
    signal(&export, "-CONT");
    let (status, said) = ended(export);
    assert_eq!(status.code(), Some(130), "{said}");
    place.assert_old("after two signals");
}

#[test]
fn killed_at_any_moment_an_export_leaves_the_old_file() {
    let place = Place::new();
    let rounds = 8;
    let begin = Instant::now();
    let measured = Place::new();
    child::run(&mut measured.export()).ok();
    let takes = begin.elapsed();
    let mut survived = 0;
    for round in 0..rounds {
        let mut export = start(&mut place.export());
        std::thread::sleep(takes * round / rounds);
        export.kill().expect("it can be killed");
        let ended = export.wait().expect("it can be waited for").success();
        let is_old = fs::read(&place.out).expect("it is there") == place.old;
        assert!(!(ended && is_old), "round {round}: it ended well and did nothing");
        if !is_old {
            // It had ended, or nothing was left to do but that: then all of the new file is there.
            child::run(wimlib().args(["verify", "--quiet"]).arg(&place.out)).ok();
            survived += 1;
            fs::write(&place.out, &place.old).expect("it can be written");
        }
    }
    assert!(survived < rounds, "no run was killed");
    child::run(&mut place.export()).ok();
    assert_eq!(place.names(), ["out.wim"], "the last run clears what the killed ones left");
    child::run(wimlib().args(["verify", "--quiet"]).arg(&place.out)).ok();
}

/// What is half applied is replaced by the next run.
#[test]
fn an_apply_after_a_killed_one_completes_the_tree() {
    let place = Place::new();
    let target = place.path("target");
    let apply = || {
        let mut apply = bins::wimx();
        apply.arg("apply").arg(&sample().wim).arg("1").arg(&target);
        apply
    };
    for files in [1, 4, 9] {
        let mut killed = start(&mut apply());
        wait_until(&mut killed, || fs::read_dir(&target).map_or(0, Iterator::count) >= files);
        killed.kill().expect("it can be killed");
        killed.wait().expect("it can be waited for");
    }
    child::run(&mut apply()).ok();
    assert_eq!(fs::read_dir(&target).expect("a listing").count(), FILES as usize);
    for number in 0..FILES {
        let name = format!("{number}.txt");
        let original = fs::read(sample().tree.join(&name)).expect("it is in the tree");
        assert!(fs::read(target.join(&name)).expect("a file") == original, "{name}");
    }
}

/// `ulimit -f` gives an error in the middle of writing, as a disk does that fills up meanwhile.
#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let place = Place::new();
    let limited = |command: &Command| {
        let mut shell = Command::new("bash");
        shell.args(["-c", "ulimit -f 50000; exec \"$@\"", "bash"]);
        shell.arg(command.get_program()).args(command.get_args());
        child::run(&mut shell)
    };
    let done = limited(&place.export());
    assert_eq!(done.code(), 72, "{}", done.stderr);
    assert!(
        done.stderr.contains("out.wim") && done.stderr.contains("too large"),
        "{}",
        done.stderr
    );
    place.assert_old("export");
    assert_eq!(place.names(), ["out.wim"]);
}

#[test]
fn a_disk_too_small_is_said_beforehand() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).expect("a folder");
    // File systems of their own, seen by these commands only. The second target is not empty.
    let script = "mount -t tmpfs -o size=20m none \"$1\" || exit 99; cp \"$4\" \"$1/out.wim\"; \
                  \"$2\" export \"$3\" 1 \"$1/out.wim\" new --rebuild; echo $?; \
                  cmp \"$1/out.wim\" \"$4\" && echo untouched; mkdir \"$1/t\"; echo x > \"$1/t/x\"; \
                  \"$2\" apply \"$3\" 1 \"$1/t\" --quiet; echo $?; ls -A \"$1\" \"$1/t\" | grep -v :";
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .args([&disk, bins::wimx_path(), &sample().wim, &place.out]),
    );
    assert_eq!(done.text(), "72\nuntouched\n72\nout.wim\nt\n\nx\n", "{}", done.stderr);
    let needed = (FILE as u64 * FILES).to_string();
    assert!(done.stderr.contains(&needed), "{}", done.stderr);
}

#[test]
fn an_image_fits_in_the_place_of_itself() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let script = "mount -t tmpfs -o size=300m none \"$1\" || exit 99; \
                  for time in 1 2; do \"$2\" apply \"$3\" 1 \"$1/t\" --quiet; echo $?; done";
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .args([&disk, bins::wimx_path(), &sample().wim]),
    );
    assert_eq!(done.text(), "0\n0\n", "{}", done.stderr);
}

#[test]
fn large_files_get_their_space_before_their_data() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let target = place.path("target");
    let mut apply = bins::wimx();
    let mut apply = start(apply.arg("apply").arg(&sample().wim).arg("1").arg(&target));
    wait_until(&mut apply, || {
        let Ok(files) = fs::read_dir(&target) else { return false };
        let growing = files.filter_map(|file| file.ok()?.metadata().ok());
        let mut growing = growing.filter(|file| file.len() > 0 && file.len() < FILE as u64);
        growing.any(|file| {
            assert!(file.blocks() * 512 >= FILE as u64, "{} bytes set aside", file.blocks() * 512);
            true
        })
    });
    apply.kill().expect("it can be killed");
    apply.wait().expect("it can be waited for");
}

#[test]
fn a_source_cut_off_while_it_is_read_leaves_the_old_file() {
    for options in [&["--no-mmap"][..], &[]] {
        let place = Place::new();
        let source = place.path("source.wim");
        fs::copy(&sample().wim, &source).expect("a copy");
        let mut export = place.export_from(&source);
        let mut export = start(export.args(options));
        place.wait_for_partial(&mut export);
        let cut = File::options().write(true).open(&source).expect("it opens");
        cut.set_len(10_000).expect("it can be cut off");
        let (status, said) = ended(export);
        assert!(!status.success(), "{options:?}: {said}");
        if options.is_empty() {
            // A map that is read beyond the end of its file cannot say it in another way than SIGBUS.
            assert!(status.signal().is_none_or(|signal| signal == 7), "{status} {said}");
        } else {
            assert!(status.code().is_some() && said.contains("source.wim"), "{status} {said}");
        }
        place.assert_old("cut off");
        child::run(&mut place.export()).ok();
        assert_eq!(place.names(), ["out.wim", "source.wim"], "the next run clears what is left");
    }
}

/// What a terminal shows of a command that fails half-way: the bar goes before the message comes.
#[test]
fn a_failure_leaves_no_bar_on_the_terminal() {
    let place = Place::new();
    let damaged = place.path("damaged.wim");
    fs::copy(&sample().wim, &damaged).expect("a copy");
    let file = File::options().write(true).open(&damaged).expect("it opens");
    let somewhere = FILES / 2 * FILE as u64;
    std::os::unix::fs::FileExt::write_all_at(&file, b"damage", somewhere).expect("it is written");
    let export = place.export_from(&damaged);
    let words = export.get_args().map(|word| word.to_str().expect("scratch paths are text"));
    let line = words.fold(bins::wimx_path().display().to_string(), |line, word| line + " " + word);
    let shown = child::run(Command::new("script").args(["-qec", &line, "/dev/null"])).text();
    let (before, _) = shown.split_once("error:").expect("it fails");
    let (_, after_bar) = before.rsplit_once("writing").expect("a bar is shown");
    // On the same line: a bar that stays would be followed by a line feed.
    assert!(after_bar.contains("\r\u{1b}[2K") && !after_bar.contains('\n'), "{before:?}");
    place.assert_old("damaged");
}
