//! Changes to archives, and archives made of others, that are stopped: killed, interrupted, without room.
//!
//! Whatever happens, an archive is as it was or as it was to be; a new one is complete or not there;
//! and what a killed run leaves is cleared by the next one.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use osupg_tests::child::run;
use osupg_tests::{bins, corpus};

use crate::faults::{limited, signal};
use crate::{Scratch, trees};

/// Bytes of each file of the tree, and how many there are.
const FILE: usize = 1_000_000;
const FILES: u64 = 12;

const GUID: &str = "--guid=00112233445566778899aabbccddeeff";

/// Ways to change `out.wim`: in place, and by a new file that takes its place. (Tabs divide the words
/// of a command of `update`.)
const CHANGES: [&str; 9] = [
    "update out.wim 2 --command=add\ttree/new\tnew",
    "update out.wim 2 --command=add\ttree/new\tnew --rebuild",
    "delete out.wim 1",
    "delete out.wim 1 --soft",
    "reorder out.wim 2",
    "optimize out.wim",
    "optimize out.wim --compress=xpress:20 --threads=2",
    "optimize out.wim --solid --solid-compress=xpress:20 --solid-chunk-size=4K",
    "append tree out.wim third --solid --solid-compress=lzx:20",
];

/// Ways to make something called `new` of `old.wim` or of the parts of a set.
const MAKERS: [&str; 5] = [
    "split old.wim new.swm 3",
    "split solid.esd new.swm 1",
    "join new.wim set3.swm set.swm set2.swm set4.swm",
    "convert old.wim new.wim --compress=lzx:20",
    "convert old.wim new.esd --compress=xpress:20",
];

/// `old.wim` of two images, much data as it is and a long description; `solid.esd` of the same; and
/// `set.swm` with three more parts.
fn scene() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tree")).expect("a folder");
    for number in 0..FILES {
        let name = format!("tree/{number:02}");
        fs::write(scratch.path(&name), corpus::text(FILE, number + 1)).expect("a file");
    }
    fs::write(scratch.path("tree/new"), corpus::noise(3_000_000, 99)).expect("a file");
    trees::settle(&scratch.path("tree"));
    trees::write(&scratch.path("small"), &[("old", b"old"), ("more", &[7; 100_000])]);
    scratch.wimx("capture small old.wim small --quiet --compress=none").ok();
    fs::rename(scratch.path("tree/new"), scratch.path("aside")).expect("a move");
    scratch.wimx("append tree old.wim tree --quiet").ok();
    fs::rename(scratch.path("aside"), scratch.path("tree/new")).expect("a move");
    let long = "long ".repeat(3000).replace(' ', "-");
    scratch.wimx(&format!("info old.wim 2 tree {long} --quiet --check")).ok();
    scratch.wimx(&format!("convert old.wim solid.esd --compress=xpress:20 --quiet {GUID}")).ok();
    scratch.wimx(&format!("split old.wim set.swm 3 --quiet {GUID}")).ok();
    scratch.copy("old.wim", "out.wim");
    scratch
}

impl Scratch {
    /// The images of an archive and their data; a soft change leaves the same as another.
    fn state(&self, wim: &str) -> String {
        let wim = self.open(wim);
        let mut blobs: Vec<_> =
            wim.blobs().map(|(_, blob)| (blob.hash, blob.size, blob.refcount)).collect();
        blobs.sort_unstable_by_key(|(hash, ..)| hash.0);
        let metadata = wim.images().map(|image| wim.metadata_entry(image).expect("an image").hash);
        format!("{:?} {blobs:?}", metadata.collect::<Vec<_>>())
    }

    /// Everything called `new`.
    fn made(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names().into_iter();
        let names = names.filter(|name| name.starts_with("new") && !name.contains("partial"));
        names.map(|name| (name.clone(), self.read(&name))).collect()
    }

    fn remove_made(&self) {
        for name in self.made().keys() {
            fs::remove_file(self.path(name)).expect("it can be removed");
        }
    }

    /// What a change makes of `old.wim`, and how long that takes.
    fn changed(&self, line: &str) -> (String, Duration) {
        self.copy("old.wim", "out.wim");
        let begin = Instant::now();
        self.wimx(line).ok();
        (self.state("out.wim"), begin.elapsed())
    }

    /// Starts the command, and sends it a signal after that time.
    fn stopped(&self, line: &str, after: Duration, name: &str) -> Option<i32> {
        let child = self.start(line);
        std::thread::sleep(after);
        // It may have ended.
        signal(&child, name);
        child.wait_with_output().expect("it ends").status.code()
    }
}

/// Points in time at which a command is stopped.
const ROUNDS: u32 = 8;

#[test]
fn a_change_that_is_stopped_is_done_or_not() {
    let scratch = scene();
    let (names, before) = (scratch.names(), scratch.state("old.wim"));
    let mut undone = 0;
    for line in CHANGES {
        let (after, takes) = scratch.changed(line);
        assert_eq!(scratch.names(), names, "{line}");
        for round in 0..ROUNDS {
            let name = if round % 2 == 0 { "-KILL" } else { "-INT" };
            scratch.copy("old.wim", "out.wim");
            let code = scratch.stopped(line, takes * round / ROUNDS, name);
            scratch.verifies("out.wim");
            let state = scratch.state("out.wim");
            assert!(state == before || state == after, "{line}, round {round}: {state}");
            undone += u32::from(state == before);
            match (code, name) {
                (Some(0), _) => assert_eq!(state, after, "{line}, round {round}"),
                (Some(130), "-INT") => {
                    // What it left of its own is gone; only a killed one leaves something.
                    assert_eq!(state, before, "{line}, round {round}");
                    let same = scratch.read("out.wim") == scratch.read("old.wim");
                    assert!(same, "{line}, round {round}: the old archive is changed");
                }
                (None, _) => {}
                (code, _) => panic!("{line}, round {round}: {code:?}"),
            }
        }
        let (again, _) = scratch.changed(line);
        assert_eq!(again, after, "{line}");
        assert_eq!(scratch.names(), names, "{line}: the last run clears what killed ones left");
        scratch.accepted("out.wim");
    }
    assert!(undone > CHANGES.len() as u32, "only {undone} were stopped in time");
}

#[test]
fn what_is_made_is_complete_or_not_there() {
    let scratch = scene();
    let mut undone = 0;
    for line in MAKERS {
        let line = match line.starts_with("join") {
            true => line.to_owned(),
            false => format!("{line} {GUID}"),
        };
        let begin = Instant::now();
        scratch.wimx(&line).ok();
        let (takes, expected, names) = (begin.elapsed(), scratch.made(), scratch.names());
        let first = expected.keys().find(|name| name[..].starts_with("new.")).expect("a file");
        scratch.remove_made();
        for round in 0..ROUNDS {
            let name = if round % 2 == 0 { "-KILL" } else { "-INT" };
            scratch.stopped(&line, takes * round / ROUNDS, name);
            let made = scratch.made();
            // A set without its first part is none.
            match made.contains_key(first) {
                true => assert!(made == expected, "{line}, round {round}: {:?}", made.keys()),
                false => undone += 1,
            }
            scratch.remove_made();
        }
        scratch.wimx(&line).ok();
        assert!(scratch.made() == expected, "{line}");
        assert_eq!(scratch.names(), names, "{line}: the last run clears what killed ones left");
        scratch.remove_made();
    }
    assert!(undone > MAKERS.len() as u32, "only {undone} were stopped in time");
}

/// `ulimit -f` gives an error in the middle of writing, as a disk does that fills up meanwhile.
#[test]
fn a_write_that_fails_changes_nothing() {
    let scratch = scene();
    let names = scratch.names();
    let old = scratch.read("old.wim").len() as u64 >> 10;
    let limits = [1, 30, 2000, 9000, old, old + 2, old + 40, old + 2000];
    for line in CHANGES {
        let (after, _) = scratch.changed(line);
        let mut failed = 0;
        for limit in limits {
            scratch.copy("old.wim", "out.wim");
            let done = limited(&scratch, line, limit);
            if done.code() == 0 {
                assert_eq!(scratch.state("out.wim"), after, "{line}, {limit} KiB");
                continue;
            }
            assert_eq!(done.code(), 72, "{line}, {limit} KiB: {}", done.stderr);
            assert!(done.stderr.contains("out.wim"), "{}", done.stderr);
            let same = scratch.read("out.wim") == scratch.read("old.wim");
            assert!(same, "{line}, {limit} KiB: the old archive is changed");
            assert_eq!(scratch.names(), names, "{line}, {limit} KiB");
            failed += 1;
        }
        assert!(failed > 0, "{line}: no write failed");
    }
    for line in MAKERS {
        for limit in [1, 30, 700] {
            let done = limited(&scratch, line, limit);
            assert_eq!(done.code(), 72, "{line}, {limit} KiB: {}", done.stderr);
            assert!(done.stderr.contains("new"), "{}", done.stderr);
            assert_eq!(scratch.names(), names, "{line}, {limit} KiB");
        }
    }
}

/// A disk with so much room: the command fails and leaves all as it was, or there is enough.
#[test]
fn a_full_disk_changes_nothing() {
    let scratch = scene();
    fs::create_dir(scratch.path("disk")).expect("a folder");
    // A file system of its own, seen by this command only, filled but for some room.
    let script = "mount -t tmpfs -o size=64m none disk || exit 99; \
                  cp old.wim solid.esd set.swm set2.swm set3.swm set4.swm disk; \
                  for room in 0 64 5000; do \
                  cp old.wim disk/out.wim; head -c ${room}k /dev/zero > disk/room; \
                  cat /dev/zero > disk/fill 2> /dev/null; rm disk/room; \
                  ls disk > names; (cd disk; \"$@\" > ../said 2>&1); code=$?; \
                  ls disk | cmp -s - names && cmp -s old.wim disk/out.wim && echo $code kept || \
                  echo $code changed; rm -f disk/fill disk/new*; done";
    for line in CHANGES.into_iter().chain(MAKERS) {
        let line = line.replace("tree", "../tree");
        let command = scratch.command(bins::wimx(), &line);
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "bash", "-c", script, "bash"]);
        unshare.arg(command.get_program()).args(command.get_args()).arg("--quiet");
        let done = run(unshare.current_dir(scratch.folder.path()));
        let text = done.text();
        let outcomes: Vec<&str> = text.lines().collect();
        assert_eq!(outcomes.len(), 3, "{line}: {text}{}", done.stderr);
        assert_eq!(outcomes[0], "72 kept", "{line}: {text}{}", done.stderr);
        for outcome in &outcomes[1..] {
            assert!(["72 kept", "0 changed"].contains(outcome), "{line}: {text}");
        }
    }
}
