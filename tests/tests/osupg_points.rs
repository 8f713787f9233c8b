//! Points as people use them, with what goes wrong around them.

mod osupg_support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use osupg_support::{Bench, text};
use osupg_tests::{bins, child};
use serde_json::Value;

/// A package of sample media, a folder and an object store as points.
fn site() -> Bench {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    bench.json(&["package", "add", text(&media), "--name", "Sample"]);
    for name in ["folder", "bucket"] {
        fs::create_dir(bench.path(name)).expect("a folder");
    }
    bench.json(&["point", "add", "Folder", text(&bench.path("folder"))]);
    let bucket = format!("file://{}", bench.path("bucket").display());
    bench.json(&["point", "add", "Bucket", &bucket]);
    bench
}

/// Every file below a folder with its size, by relative path.
fn files(root: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).expect("a listing") {
            let entry = entry.expect("an entry");
            let meta = entry.metadata().expect("facts");
            if meta.is_dir() {
                pending.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(root).expect("below it").to_str().expect("text");
                found.push((path.to_string(), meta.len()));
            }
        }
    }
    found.sort();
    found
}

fn sent(carried: &Value) -> u64 {
    let delivered = carried["delivered"].as_array().expect("deliveries");
    delivered.iter().map(|one| one["sent"].as_u64().expect("a number")).sum()
}

#[test]
fn a_package_goes_to_its_points_and_leaves_them() {
    let bench = site();
    let planned = bench.json(&["publish", "Sample", "--to", "Folder", "Bucket", "--dry-run"]);
    let total = planned["points"][0]["plan"]["total"].as_u64().expect("a number");
    assert!(bench.json(&["point", "status"]).as_array().is_some_and(Vec::is_empty));
    let first = bench.json(&["publish", "Sample", "--to", "Folder", "Bucket"]);
    let planned: u64 = planned["points"]
        .as_array()
        .expect("points")
        .iter()
        .map(|point| point["plan"]["send"].as_u64().expect("a number"))
        .sum();
    assert!(planned <= 2 * total);
    // A file that is there twice, or a piece of one, may travel twice where nobody could know.
    assert!(sent(&first) >= planned && sent(&first) <= 2 * total, "{} {planned}", sent(&first));

    // The tree is that of the media, and setup.exe can be run from it.
    let tree = bench.path("folder/OSU00001");
    assert_eq!(files(&tree), files(&bench.path("media")));
    let status = bench.json(&["point", "status", "--package", "Sample"]);
    assert_eq!(status["tally"]["success"], 2, "{status}");
    assert_eq!(status["points"][1]["held"], 1);
    let again = bench.json(&["publish", "Sample", "--to", "Folder", "Bucket"]);
    assert_eq!(sent(&again), 0, "nothing travels twice");

    // Somebody changes a byte, and nothing else, not even the time.
    let spoilt = tree.join("sources/boot.wim");
    let time = fs::metadata(&spoilt).expect("facts").modified().expect("a time");
    let mut bytes = fs::read(&spoilt).expect("bytes");
    // The GUID in the header: nothing else at the point has these bytes.
    bytes[26] ^= 0x20;
    fs::write(&spoilt, bytes).expect("it can be written");
    fs::File::options().write(true).open(&spoilt).expect("a file").set_modified(time).expect("set");
    let done = bench.run(&["point", "validate", "--at", "Folder"]);
    assert_eq!(done.code(), 3, "{}", done.stderr);
    assert!(done.text().contains("sources/boot.wim was changed"), "{}", done.text());
    let status = bench.json(&["point", "status", "--point", "Folder"]);
    assert_eq!(status[0]["state"], "damaged");
    assert!(status[0]["reason"].as_str().expect("why").contains("boot.wim"), "{status}");
    let repaired = bench.json(&["point", "repair", "--at", "Folder"]);
    let again = repaired[0]["repair"]["sent"].as_u64().expect("a number");
    assert!(again > 0 && again <= 8 << 20, "one piece: {again}");
    assert_eq!(bench.run(&["point", "validate"]).ok().code(), 0);
    assert_eq!(files(&tree), files(&bench.path("media")));

    bench.json(&["withdraw", "Sample", "--from", "Folder", "Bucket"]);
    assert!(bench.json(&["point", "status"]).as_array().is_some_and(Vec::is_empty));
    assert_eq!(files(&bench.path("folder")).len(), 1, "only the mark is left");
    assert_eq!(files(&bench.path("bucket")).len(), 1, "only the mark is left");
    for point in ["Folder", "Bucket"] {
        bench.json(&["point", "remove", point]);
    }
    assert_eq!(files(&bench.path("folder")), []);
    assert_eq!(files(&bench.path("bucket")), []);
}

#[test]
fn killed_at_any_moment_a_delivery_is_simply_made_again() {
    let bench = site();
    let start = Instant::now();
    bench.json(&["publish", "Sample", "--to", "Folder", "Bucket"]);
    let takes = start.elapsed();
    bench.json(&["withdraw", "Sample", "--from", "Folder", "Bucket"]);
    let rounds = 10;
    for round in 0..rounds {
        // Every other round something is being removed when the blow falls.
        let mut command = bench.osupg();
        match round % 3 {
            2 => command.args(["withdraw", "Sample", "--from", "Folder", "Bucket"]),
            _ => command.args(["publish", "Sample", "--to", "Folder", "Bucket"]),
        };
        let mut running =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("osupg starts");
        std::thread::sleep(takes * (round + 1) / rounds);
        running.kill().expect("it can be killed");
        running.wait().expect("it can be waited for");
        // What a point calls installed is whole.
        let found = bench.run(&["point", "validate", "--json"]);
        assert!([0].contains(&found.code()), "round {round}: {}{}", found.text(), found.stderr);
    }
    bench.json(&["publish", "Sample", "--to", "Folder", "Bucket"]);
    let status = bench.json(&["point", "status", "--package", "Sample"]);
    assert_eq!(status["tally"]["success"], 2, "{status}");
    assert_eq!(bench.run(&["point", "validate"]).ok().code(), 0);
    assert_eq!(files(&bench.path("folder/OSU00001")), files(&bench.path("media")));
    let state = files(&bench.path("folder/.osupg/OSU00001"));
    assert_eq!(state.len(), 1, "nothing half-done is left: {state:?}");
    bench.json(&["withdraw", "Sample", "--from", "Folder", "Bucket"]);
    bench.json(&["point", "catch-up"]);
    assert_eq!(files(&bench.path("folder")).len(), 1, "only the mark is left");
    // A bucket in a folder keeps what a killed process was writing, as `name#1`; it is no object.
    let objects = files(&bench.path("bucket"));
    let objects: Vec<_> = objects.iter().filter(|(name, _)| !name.contains('#')).collect();
    assert_eq!(objects.len(), 1, "only the mark is left: {objects:?}");
}

#[test]
fn one_point_that_is_gone_fails_alone_and_says_why() {
    let bench = site();
    fs::rename(bench.path("folder"), bench.path("elsewhere")).expect("it can be moved");
    let done = bench.run(&["publish", "Sample", "--to", "Folder", "Bucket"]);
    assert_eq!(done.code(), 4, "{}", done.stderr);
    assert!(done.text().contains("Bucket: OSU00001 revision 1 installed"), "{}", done.text());
    assert!(done.text().contains("Folder: OSU00001 failed"), "{}", done.text());
    // The share is not mounted: an empty folder is in its place, and stays empty.
    fs::create_dir(bench.path("folder")).expect("a folder");
    let done = bench.run(&["point", "retry", "Sample"]);
    assert_eq!(done.code(), 4);
    assert!(done.text().contains("has lost the mark"), "{}", done.text());
    assert_eq!(files(&bench.path("folder")), []);
    let status = bench.json(&["point", "status", "--point", "Folder"]);
    assert_eq!(status[0]["state"], "failed");
    // And when it is back, trying again is all it takes.
    fs::remove_dir(bench.path("folder")).expect("it is empty");
    fs::rename(bench.path("elsewhere"), bench.path("folder")).expect("it can be moved");
    bench.json(&["point", "retry", "Sample"]);
    assert_eq!(files(&bench.path("folder/OSU00001")), files(&bench.path("media")));
}

#[test]
fn groups_give_to_those_who_join_and_take_nothing_from_those_who_leave() {
    let bench = site();
    bench.json(&["group", "add", "Pilot", "--points", "Folder"]);
    bench.json(&["publish", "Sample", "--to", "Pilot"]);
    assert_eq!(bench.json(&["point", "status", "--package", "Sample"])["tally"]["success"], 1);
    let said = bench.refused(2, &["withdraw", "Sample", "--from", "Folder"]);
    assert!(said.contains("as a point of the group Pilot"), "{said}");
    let joined = bench.json(&["group", "add-member", "Pilot", "Bucket"]);
    assert!(sent(&joined) > 0, "what the group has comes to the new point");
    bench.json(&["group", "remove-member", "Pilot", "Folder"]);
    assert!(bench.path("folder/OSU00001/setup.exe").exists(), "what it has stays");
    bench.json(&["withdraw", "Sample", "--from", "Pilot"]);
    assert_eq!(files(&bench.path("bucket")).len(), 1, "the point that was in it has it no more");
    assert!(bench.path("folder/OSU00001/setup.exe").exists());
    bench.json(&["withdraw", "Sample", "--from", "Folder"]);
    assert!(!bench.path("folder/OSU00001").exists());
    bench.json(&["group", "remove", "Pilot"]);
    assert!(bench.json(&["group", "list"]).as_array().is_some_and(Vec::is_empty));
}

#[test]
fn closed_windows_and_maintenance_are_waited_for() {
    let bench = site();
    bench.json(&["point", "edit", "Folder", "--windows", "daily high"]);
    let done = bench.run(&["publish", "Sample", "--to", "Folder"]).ok();
    assert!(done.text().contains("no hour of the week lets medium priority"), "{}", done.text());
    let status = bench.json(&["point", "status", "--point", "Folder"]);
    assert_eq!((&status[0]["state"], &status[0]["held"]), (&"waiting".into(), &Value::Null));
    assert!(!bench.path("folder/OSU00001").exists());
    bench.json(&["publish", "Sample", "--to", "Folder", "--priority", "high"]);
    assert!(bench.path("folder/OSU00001/setup.exe").exists());

    bench.json(&["point", "maintenance", "Folder", "on"]);
    let done = bench.run(&["withdraw", "Sample", "--from", "Folder"]).ok();
    assert!(done.text().contains("in maintenance"), "{}", done.text());
    assert!(bench.path("folder/OSU00001/setup.exe").exists());
    bench.json(&["point", "maintenance", "Folder", "off"]);
    assert!(!bench.path("folder/OSU00001").exists(), "what waited is done");
}

#[test]
fn a_removed_package_leaves_no_orphans_behind() {
    let bench = site();
    bench.json(&["publish", "Sample", "--to", "Folder"]);
    bench.json(&["package", "remove", "Sample"]);
    assert!(bench.json(&["point", "status"]).as_array().is_some_and(Vec::is_empty));
    bench.json(&["point", "catch-up"]);
    assert_eq!(files(&bench.path("folder")).len(), 1, "only the mark is left");
}

#[test]
fn a_full_disk_is_said_before_the_first_byte() {
    let bench = site();
    let small = bench.path("small");
    fs::create_dir(&small).expect("a folder");
    let script = "mount -t tmpfs -o size=6m none \"$1\" || exit 99; \
                  \"$2\" --home \"$3\" point add Small \"$1\" >&2; \
                  \"$2\" --home \"$3\" publish Sample --to Small; code=$?; \
                  find \"$1\" -name setup.exe; exit $code";
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .args([&small, bins::osupg_path(), &bench.home()]),
    );
    assert_eq!(done.code(), 4, "{}{}", done.text(), done.stderr);
    assert!(done.text().contains("there is room for"), "{}", done.text());
    assert!(!done.text().contains("setup.exe\n"), "{}", done.text());
}

#[test]
fn what_is_equal_is_there_once() {
    let bench = site();
    bench.json(&["package", "add", text(&bench.path("media")), "--name", "Twin"]);
    bench.json(&["publish", "Sample", "--to", "Folder"]);
    let second = bench.json(&["publish", "Twin", "--to", "Folder"]);
    assert_eq!(sent(&second), 0);
    let meta = |id: &str| {
        fs::metadata(bench.path(&format!("folder/{id}/sources/install.wim"))).expect("facts")
    };
    let (first, second) = (meta("OSU00001"), meta("OSU00002"));
    // A hard link, or a clone where the file system can.
    assert!(first.ino() != second.ino() || first.nlink() == 2);
    bench.json(&["withdraw", "Sample", "--from", "Folder"]);
    assert_eq!(bench.run(&["point", "validate"]).ok().code(), 0);
}
