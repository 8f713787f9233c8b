//! osupg when things go wrong around it: killed, out of space, raced.

mod osupg_support;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use osupg_support::{Bench, text};
use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::{bins, child, corpus};
use serde_json::Value;

/// Everything that packages refer to is there, and nothing else.
fn assert_consistent(bench: &Bench) {
    let listed = bench.json(&["package", "list"]);
    for package in listed.as_array().into_iter().flatten() {
        let id = package["id"].as_str().expect("an id");
        assert_eq!(bench.json(&["package", "verify", id])["sound"], true, "{id}");
    }
    let names: HashSet<String> = bench.objects().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.len() == 64), "half-written objects: {names:?}");
    if listed.as_array().is_some_and(Vec::is_empty) {
        assert!(names.is_empty(), "{} objects belong to no package", names.len());
    }
}

#[test]
fn killed_at_any_moment_an_add_leaves_nothing_that_stays() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    // How long one takes, to spread the kills over it.
    let start = Instant::now();
    bench.json(&["package", "add", text(&media), "--name", "whole"]);
    let takes = start.elapsed();
    bench.json(&["package", "remove", "whole"]);
    assert_eq!(bench.objects(), []);

    let rounds = 12;
    for round in 0..rounds {
        let name = format!("round {round}");
        let mut add = bench.osupg();
        add.args(["package", "add", text(&media), "--name", &name]);
        let mut add =
            add.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("osupg starts");
        std::thread::sleep(takes * round / rounds);
        add.kill().expect("it can be killed");
        add.wait().expect("it can be waited for");

        let listed = bench.json(&["package", "list"]);
        let committed = listed.as_array().is_some_and(|all| !all.is_empty());
        if committed {
            assert_consistent(&bench);
            bench.json(&["package", "remove", &name]);
        } else {
            // The next command that changes the store clears what was left: here an add that fails.
            bench.refused(2, &["package", "add", text(&media), "--name", "x", "--index", "9"]);
            bench.json(&["package", "add", text(&media), "--name", "after", "--edition", "Core"]);
            assert_consistent(&bench);
            bench.json(&["package", "remove", "after"]);
        }
        assert_eq!(bench.objects(), [], "after round {round}");
    }
}

#[test]
fn killed_at_any_moment_an_export_leaves_no_tree() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    bench.json(&["package", "add", text(&media), "--name", "p"]);
    let start = Instant::now();
    let parent = bench.path("exports");
    fs::create_dir(&parent).expect("a folder");
    let out = parent.join("out");
    bench.json(&["package", "export", "p", text(&out)]);
    let takes = start.elapsed();
    fs::remove_dir_all(&out).expect("it can be removed");

    for round in 0..8 {
        let mut export = bench.osupg();
        export.args(["package", "export", "p", text(&out)]).stdout(Stdio::null());
        let mut export = export.spawn().expect("osupg starts");
        std::thread::sleep(takes * round / 8);
        export.kill().expect("it can be killed");
        export.wait().expect("it can be waited for");
        if out.exists() {
            fs::remove_dir_all(&out).expect("it can be removed");
        }
    }
    bench.json(&["package", "export", "p", text(&out)]);
    let names: Vec<_> = fs::read_dir(&parent)
        .expect("a listing")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["out"], "the last run clears what the killed ones left");
}

#[test]
fn a_signal_stops_an_add_cleanly() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    // Enough to be at it for a while.
    fs::write(media.join("big.bin"), corpus::noise(300_000_000, 1)).expect("a file");
    let mut add = bench.osupg();
    add.args(["package", "add", text(&media), "--name", "p"]);
    let add = add.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("osupg starts");
    let library = bench.home().join("library");
    let start = Instant::now();
    while bench.objects().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} stays empty", library.display());
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = add.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let done = add.wait_with_output().expect("it ends");
    assert_eq!(done.status.code(), Some(130), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stderr).contains("stopped; nothing was changed"));
    assert_eq!(bench.objects(), []);
    assert_eq!(bench.json(&["package", "list"]), Value::Array(Vec::new()));
}

/// Runs `script` with a file system of 12 MB at `$1`, seen by this one command only; `$2` is osupg and
/// `$3` sample media. Gives also the place of that file system.
fn on_a_small_disk(bench: &Bench, script: &str) -> (child::Finished, PathBuf) {
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    let small = bench.path("small");
    fs::create_dir(&small).expect("a folder");
    let script = format!("mount -t tmpfs -o size=12m none \"$1\" || exit 99; {script}");
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"])
            .args([&small, bins::osupg_path(), &media]),
    );
    (done, small)
}

#[test]
fn a_full_disk_is_said_and_what_was_stored_is_given_back() {
    // Afterwards the command shows what is left.
    // --rehash: the source is not presumed to be new, so that the disk fills up meanwhile.
    let script = "\"$2\" --home \"$1/home\" package add \"$3\" --name p --rehash; code=$?; \
                  find \"$1/home/library\" -type f | wc -l; \
                  \"$2\" --home \"$1/home\" package list; exit $code";
    let (done, _) = on_a_small_disk(&Bench::new(), script);
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    assert!(done.stderr.contains("No space left"), "{}", done.stderr);
    assert!(done.text().starts_with("0\n"), "objects are left: {}", done.text());
    assert!(done.text().contains("no packages yet"), "{}", done.text());
}

#[test]
fn too_small_a_disk_is_said_before_anything_is_stored() {
    let script = "\"$2\" --home \"$1/home\" package add \"$3\" --name p";
    let (done, small) = on_a_small_disk(&Bench::new(), script);
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    let library = small.join("home/library");
    assert!(done.stderr.contains(&format!("{} needs ", library.display())), "{}", done.stderr);
    assert!(done.stderr.contains(" bytes), and there is room for "), "{}", done.stderr);
    assert!(done.stderr.contains("--rehash"), "{}", done.stderr);
}

#[test]
fn a_source_that_changes_meanwhile_is_refused() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    let stop = AtomicBool::new(false);
    let path = media.join("sources/license/_default/license.rtf");
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&path).expect("it opens");
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"more").expect("it can be written");
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let done = bench.run(&["package", "add", text(&media), "--name", "p"]);
        stop.store(true, Ordering::Relaxed);
        done
    });
    assert_eq!(done.code(), 4, "{}", done.stderr);
    assert!(done.stderr.contains("license.rtf"), "{}", done.stderr);
    assert!(done.stderr.contains("was changed while it was being read"), "{}", done.stderr);
    assert_eq!(bench.objects(), []);
}

#[test]
fn many_at_once_store_everything_once() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    let adds: Vec<_> = (0..4)
        .map(|number| {
            let mut add = bench.osupg();
            // Two of them want the same name: one must lose.
            let name = format!("package {}", number % 3);
            add.args(["package", "add", text(&media), "--json", "--name", &name]);
            add.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("osupg starts")
        })
        .collect();
    let done: Vec<_> =
        adds.into_iter().map(|add| add.wait_with_output().expect("it ends")).collect();
    let codes: Vec<_> = done.iter().map(|done| done.status.code()).collect();
    let said: Vec<_> = done.iter().map(|done| String::from_utf8_lossy(&done.stderr)).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 3, "{codes:?} {said:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(2)).count(), 1, "{codes:?} {said:?}");

    let listed = bench.json(&["package", "list"]);
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 3);
    let ids: HashSet<_> = listed.iter().map(|package| package["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
    assert_consistent(&bench);
    // One that removes while another adds must not take the objects away.
    let mut add = bench.osupg();
    add.args(["package", "add", text(&media), "--name", "late", "--rehash"]).stdout(Stdio::null());
    let mut add = add.spawn().expect("osupg starts");
    for number in 0..3 {
        bench.json(&["package", "remove", &format!("package {number}")]);
    }
    assert!(add.wait().expect("it ends").success());
    assert_consistent(&bench);
    bench.json(&["package", "remove", "late"]);
    assert_eq!(bench.objects(), []);
}

#[test]
fn memory_stays_within_bounds() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    fs::write(media.join("big.bin"), corpus::noise(600_000_000, 2)).expect("a file");
    let limit = 300_000_000;
    for arguments in [
        &["package", "add", text(&media), "--name", "p"][..],
        &["package", "verify", "p"],
        &["package", "export", "p", "out"],
    ] {
        let done = bench.run(arguments).ok();
        assert!(done.peak_anonymous < limit, "{}: {} bytes", done.command, done.peak_anonymous);
    }
}

/// A WIM of which every byte is read several times, by threads that are at many places of it.
#[test]
#[ignore = "takes minutes over 1.3 GB of real files: tests/run"]
fn memory_does_not_grow_with_the_wim() {
    let sources = corpus::real("large");
    let captures = Captures::new(corpus::archives_of(&sources), sources, Effort::Low);
    for kind in [Kind::Lzx, Kind::None] {
        let wim = captures.wim(kind);
        let bench = Bench::in_folder(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")));
        let limit = 128_000_000;
        for arguments in [
            &["package", "add", text(&wim), "--name", "all"][..],
            &["package", "verify", "all"],
            &["package", "export", "all", "out"],
            &["package", "add", text(&wim), "--name", "one", "--index", "2"],
        ] {
            let done = bench.run(arguments).ok();
            let peak = done.peak_anonymous;
            assert!(peak < limit, "{kind:?}: {}: {peak} bytes", done.command);
        }
    }
}
