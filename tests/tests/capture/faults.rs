//! Captures when things go wrong around them: killed, interrupted, without room, over a tree that
//! changes.
//!
//! Whatever happens, an archive is as it was before or as it was to be, and what a killed run leaves
//! is cleared by the next one.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osupg_tests::child::{Finished, run};
use osupg_tests::{bins, corpus};

use crate::{Scratch, seen, trees};

/// Bytes of each file of the tree, and how many there are: enough to be at it for a while, and more
/// than is read at once.
const FILE: usize = 2_500_000;
const FILES: u64 = 12;

/// `tree`, whose files are read in the order of their names; `small` and an archive of it.
fn scene() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tree")).expect("a folder");
    for number in 0..FILES {
        let name = format!("tree/{number:02}");
        fs::write(scratch.path(&name), corpus::text(FILE, number + 1)).expect("a file");
    }
    trees::settle(&scratch.path("tree"));
    trees::write(&scratch.path("small"), &[("old", b"old"), ("more", &[7; 100_000])]);
    scratch.wimx("capture small old.wim small --quiet --check").ok();
    scratch.copy("old.wim", "out.wim");
    scratch
}

impl Scratch {
    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("a copy");
    }

    pub(crate) fn start(&self, line: &str) -> Child {
        spawn(self.command(bins::wimx(), line))
    }

    /// Starts the command and holds it when it has begun to write.
    fn held(&self, line: &str) -> Child {
        self.held_with("--default-signal=HUP", line)
    }

    /// As `held`, with signals as an option of `env` has it.
    fn held_with(&self, signals: &str, line: &str) -> Child {
        let old = self.read("out.wim").len() as u64;
        let command = self.command(bins::wimx(), line);
        let mut env = Command::new("env");
        env.arg(signals).arg(command.get_program()).args(command.get_args());
        env.current_dir(self.folder.path());
        let mut child = spawn(env);
        let is_partial = |name: &String| name.ends_with(".wimx-partial");
        let grows = || fs::metadata(self.path("out.wim")).expect("it is there").len() > old;
        wait_until(&mut child, || self.names().iter().any(is_partial) || grows());
        signal(&child, "-STOP");
        child
    }

    /// `out.wim` is what it was, and nothing else is there.
    #[track_caller]
    fn untouched(&self, when: &str) {
        let same = self.read("out.wim") == self.read("old.wim");
        assert!(same, "{when}: the old archive is changed");
        assert_eq!(self.names(), ["old.wim", "out.wim", "small", "tree"], "{when}");
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wimx starts")
}

fn wait_until(child: &mut Child, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is being written");
        assert!(child.try_wait().expect("it can be asked").is_none(), "it has ended already");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a signal to a process that has not been waited for.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

fn ended(child: Child) -> (Option<i32>, String) {
    let done = child.wait_with_output().expect("it ends");
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

/// Captures that replace a file, add to it, and write it anew to add to it.
const WRITERS: [&str; 3] = [
    "capture tree out.wim new --compress=lzx:20 --threads=2",
    "append tree out.wim new --compress=lzx:20 --threads=2",
    "append tree out.wim new --compress=lzx:20 --rebuild --threads=2",
];

#[test]
fn a_signal_leaves_the_old_archive() {
    let scratch = scene();
    for line in WRITERS {
        for name in ["-INT", "-TERM", "-HUP"] {
            let child = scratch.held(line);
            signal(&child, name);
            signal(&child, "-CONT");
            let (code, said) = ended(child);
            assert_eq!(code, Some(130), "{line} {name}: {said}");
            scratch.untouched(line);
        }
    }
}

/// As under `nohup`.
#[test]
fn a_session_that_is_lost_is_outlived_where_that_is_wanted() {
    let scratch = scene();
    let child = scratch.held_with("--ignore-signal=HUP", WRITERS[0]);
    signal(&child, "-HUP");
    signal(&child, "-CONT");
    let (code, said) = ended(child);
    assert_eq!(code, Some(0), "{said}");
    scratch.verifies("out.wim");
}

/// There is less memory than so many threads take.
#[test]
fn few_threads_or_an_error_but_no_abort() {
    let scratch = scene();
    for line in WRITERS.into_iter().chain(["optimize out.wim --recompress --threads=16"]) {
        let line = line.replace("--threads=2", "--threads=16");
        for mib in [1000, 2000, 8000] {
            scratch.copy("old.wim", "out.wim");
            let command = scratch.command(bins::wimx(), &line);
            let mut shell = Command::new("bash");
            shell.args(["-c", &format!("ulimit -v {}; exec \"$@\"", mib << 10), "bash"]);
            shell.arg(command.get_program()).args(command.get_args());
            let done = run(shell.current_dir(scratch.folder.path()));
            match done.code() {
                0 => scratch.verifies("out.wim"),
                39 => scratch.untouched(&line),
                code => panic!("{line}, {mib} MiB: {code}: {}", done.stderr),
            }
        }
    }
}

#[test]
fn killed_at_any_moment_it_is_the_old_archive_or_the_new_one() {
    let scratch = scene();
    let rounds = 6;
    for line in WRITERS {
        let begin = Instant::now();
        scratch.wimx(line).ok();
        let takes = begin.elapsed();
        let new = scratch.names();
        let images = scratch.open("out.wim").image_count();
        let len = scratch.read("out.wim").len();
        scratch.copy("old.wim", "out.wim");
        let mut killed = 0;
        for round in 0..rounds {
            let mut child = scratch.start(line);
            std::thread::sleep(takes * round / rounds);
            child.kill().expect("it can be killed");
            let _ = child.wait_with_output().expect("it ends");
            scratch.verifies("out.wim");
            let names = scratch.open("out.wim").xml().clone();
            let is_new = (1..=scratch.open("out.wim").image_count()).any(|image| {
                names.property(image, "NAME").expect("an image").as_deref() == Some("new")
            });
            if is_new {
                scratch.copy("old.wim", "out.wim");
            } else {
                killed += 1;
                assert_eq!(scratch.open("out.wim").image_count(), 1, "{line}, round {round}");
                scratch.holds("out.wim", 1, &seen(&scratch.path("small")));
            }
        }
        assert!(killed > 0, "{line}: no run was killed");
        scratch.wimx(line).ok();
        assert_eq!(scratch.names(), new, "{line}: the last run clears what the killed ones left");
        assert_eq!(scratch.open("out.wim").image_count(), images);
        assert_eq!(scratch.read("out.wim").len(), len, "{line}: something is left in the archive");
        scratch.accepted("out.wim");
        scratch.copy("old.wim", "out.wim");
    }
}

/// `ulimit -f` gives an error in the middle of writing, as a disk does that fills up meanwhile.
#[test]
fn a_write_that_fails_leaves_the_old_archive() {
    let scratch = scene();
    for line in WRITERS {
        let done = limited(&scratch, line, 3000);
        assert_eq!(done.code(), 72, "{line}: {}", done.stderr);
        assert!(done.stderr.contains("out.wim"), "{}", done.stderr);
        scratch.untouched(line);
    }
}

/// Runs the command where no file may be longer than that.
pub(crate) fn limited(scratch: &Scratch, line: &str, kib: u64) -> Finished {
    let command = scratch.command(bins::wimx(), line);
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -f {kib}; exec \"$@\""), "bash"]);
    shell.arg(command.get_program()).args(command.get_args());
    run(shell.current_dir(scratch.folder.path()))
}

#[test]
fn a_full_disk_leaves_the_old_archive() {
    let scratch = scene();
    fs::create_dir(scratch.path("disk")).expect("a folder");
    // A file system of its own, seen by this command only.
    let script = "mount -t tmpfs -o size=3m none disk || exit 99; cp old.wim disk/out.wim; \
                  \"$@\" 2>&1; echo $?; cmp old.wim disk/out.wim && echo untouched; ls -A disk";
    for line in WRITERS {
        let command = scratch.command(bins::wimx(), &line.replace("out.wim", "disk/out.wim"));
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        unshare.arg(command.get_program()).args(command.get_args()).arg("--quiet");
        let done = run(unshare.current_dir(scratch.folder.path()));
        let text = done.text();
        assert!(text.ends_with("\n72\nuntouched\nout.wim\n"), "{line}: {text}{}", done.stderr);
        assert!(text.contains("out.wim: ") || text.contains("disk"), "{text}");
    }
}

/// What is done to a file of the tree after it was found and before it is read.
#[test]
fn files_that_change_are_not_stored() {
    let scratch = scene();
    let last = scratch.path(&format!("tree/{:02}", FILES - 1));
    let original = fs::read(&last).expect("a file");
    let append = |bytes: &[u8]| {
        let mut file = File::options().append(true).open(&last).expect("it opens");
        file.write_all(bytes).expect("it can be written");
    };
    let set_len = |len: usize| {
        let file = File::options().write(true).open(&last).expect("it opens");
        file.set_len(len as u64).expect("a length");
    };
    type Change<'a> = (&'a str, &'a dyn Fn(), &'a [i32]);
    let changes: [Change<'_>; 5] = [
        ("grows", &|| append(b"more"), &[88]),
        ("shrinks", &|| set_len(FILE / 2), &[88]),
        ("is emptied", &|| set_len(0), &[88]),
        ("is written over", &|| fs::write(&last, vec![1; FILE]).expect("a file"), &[88]),
        ("vanishes", &|| fs::remove_file(&last).expect("it can be removed"), &[47, 88]),
    ];
    for line in WRITERS {
        for (what, change, codes) in &changes {
            let child = scratch.held(line);
            change();
            signal(&child, "-CONT");
            let (code, said) = ended(child);
            let code = code.unwrap_or_else(|| panic!("a crash: {said}"));
            assert!(codes.contains(&code), "{line}, a file {what}: {code} {said}");
            let name = format!("tree/{:02}", FILES - 1);
            assert!(said.contains(&name), "{line}, a file {what}: {said}");
            scratch.untouched(what);
            fs::write(&last, &original).expect("a file");
        }
    }
}

/// A file that becomes a pipe must not make the capture wait for a writer.
#[test]
fn a_file_that_becomes_a_pipe_is_not_waited_for() {
    let scratch = scene();
    let last = scratch.path(&format!("tree/{:02}", FILES - 1));
    let child = scratch.held(WRITERS[0]);
    fs::remove_file(&last).expect("it can be removed");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, &last, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    signal(&child, "-CONT");
    let start = Instant::now();
    let mut child = child;
    while child.try_wait().expect("it can be asked").is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().expect("it can be killed");
            panic!("it waits for the pipe");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, said) = ended(child);
    assert_eq!(code, Some(88), "{said}");
    scratch.untouched("a pipe");
}

/// A user namespace without a user in it: even root may not read what its mode forbids.
#[test]
fn a_file_that_must_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = scene();
    let name = format!("tree/{:02}", FILES - 1);
    let secret = scratch.path(&name);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("a mode");
    for line in WRITERS {
        let command = scratch.command(bins::wimx(), line);
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--"]).arg(command.get_program()).args(command.get_args());
        let done = run(unshare.current_dir(scratch.folder.path()));
        assert_eq!(done.code(), 47, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(&name), "{}", done.stderr);
        scratch.untouched(line);
    }
}

#[test]
fn two_do_not_write_to_one_archive() {
    let scratch = scene();
    for line in [WRITERS[1], WRITERS[2]] {
        let first = scratch.held(line);
        for second in ["append small out.wim second", "append small out.wim second --rebuild"] {
            let done = scratch.wimx(second);
            assert_eq!(done.code(), 1, "{second}: {}", done.stderr);
            assert!(done.stderr.contains("out.wim"), "{}", done.stderr);
        }
        let wimlibs = scratch.wimlib("append small out.wim second");
        assert_eq!(wimlibs.code(), 1, "{}", wimlibs.stderr);
        signal(&first, "-CONT");
        let (code, said) = ended(first);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(scratch.open("out.wim").image_count(), 2);
        scratch.accepted("out.wim");
        scratch.holds("out.wim", 2, &seen(&scratch.path("tree")));
        scratch.copy("old.wim", "out.wim");
    }
}

/// An archive within the tree that is captured would have to hold itself.
#[test]
fn an_archive_in_the_tree_it_holds_is_no_trap() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("a", b"a"), ("z", &corpus::noise(3_000_000, 1))]);
    let tree = seen(&scratch.path("tree"));
    scratch.wimx("capture tree tree/new.wim --quiet").ok();
    scratch.accepted("tree/new.wim");
    let applied = scratch.wimlib("apply tree/new.wim 1 applied --quiet");
    applied.ok();
    let found = seen(&scratch.path("applied"));
    for name in tree.keys().filter(|name| !name.is_empty()) {
        assert_eq!(found.get(name), tree.get(name));
    }
}
