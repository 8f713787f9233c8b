//! Revisions of packages, judged by wimlib: kept images, patched images, old states.

#[path = "osupg_support/media.rs"]
mod media;
mod osupg_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use media::capture;
use osupg_support::{Bench, text};
use osupg_tests::tree::{self, Times};
use osupg_tests::{child, corpus, tools};
use serde_json::Value;

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

fn word<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}"))
}

#[test]
fn wimlib_reads_the_images_that_were_kept() {
    let bench = Bench::new();
    let media = bench.media("media");
    let added = bench.json(&[
        "package",
        "add",
        text(&media),
        "--name",
        "Two",
        "--edition",
        "Enterprise",
        "--edition",
        "core",
    ]);
    assert_eq!(word(&added, "/package/revision/editions"), "Core, Enterprise");
    assert_eq!(number(&added, "/images_in_source"), 3);
    let by_index =
        bench.json(&["package", "add", text(&media), "--name", "By index", "--index", "3,1"]);
    assert_eq!(
        word(&by_index, "/package/revision/digest"),
        word(&added, "/package/revision/digest")
    );
    bench.json(&["package", "export", "Two", "out"]);
    let wim = bench.path("out").join("sources/install.wim");
    let _ = child::run(tools::wimlib().arg("verify").arg(&wim)).ok();
    let info = child::run(tools::wimlib().arg("info").arg(&wim)).ok().text();
    assert!(info.contains("Image Count:    2"), "{info}");
    for (kept, name) in [("1", "Home"), ("2", "Work")] {
        let applied = bench.path(name);
        let _ = child::run(tools::wimlib().arg("apply").arg(&wim).arg(kept).arg(&applied)).ok();
        let source = bench.path(&format!("{name}.source"));
        let install = media.join("sources/install.wim");
        let _ = child::run(tools::wimlib().arg("apply").arg(&install).arg(name).arg(&source)).ok();
        let describe = |folder: &Path| tree::describe(folder, Times::Compare).expect("a tree");
        tree::assert_same(name, &describe(&source), &describe(&applied));
    }
    bench.refused(2, &["package", "add", text(&media), "--name", "x", "--index", "1,4"]);
}

/// An image as Windows has it in outline: many small files, most bytes in large ones.
fn windows(root: &Path, version: u64, changed: impl Fn(u64) -> bool) {
    for index in 0..400_u64 {
        let folder = root.join(format!("component{:02}", index % 40));
        fs::create_dir_all(&folder).expect("folders can be made");
        let size = if index % 4 == 0 { 60_000 + index * 1_500 } else { 500 + index * 90 };
        let seed = if changed(index) { index + version * 10_000 } else { index };
        let data = if index % 3 == 0 {
            corpus::text(size as usize, seed)
        } else {
            corpus::noise(size as usize, seed)
        };
        fs::write(folder.join(format!("file{index:03}.dll")), data).expect("files can be made");
    }
    // A file whose bytes are the same is the same file: its times are, too.
    let touch = Command::new("find")
        .arg(root)
        .args(["-exec", "touch", "-d", "2024-05-06 07:08:09", "{}", "+"])
        .status();
    assert!(touch.expect("find runs").success());
}

#[test]
fn next_months_image_stores_little_more_than_what_changed() {
    let bench = Bench::new();
    let (old, new) = (bench.path("old"), bench.path("new"));
    // Small and large files all over the image: 5 % of the bytes.
    windows(&old, 1, |_| false);
    windows(&new, 2, |index| index % 40 == 7 || index % 76 == 4);
    let media = bench.path("media");
    fs::create_dir_all(media.join("sources")).expect("folders can be made");
    fs::write(media.join("setup.exe"), corpus::code(100_000, 1)).expect("a file");
    let install = media.join("sources/install.wim");
    capture("capture", &old, &install, "Pro", "Professional", &["--compress=XPRESS"]);
    let first = bench.json(&["package", "add", text(&media), "--name", "Monthly"]);
    let whole = number(&first, "/package/revision/total_size");

    // As a servicing tool does it: files are replaced, and the WIM is written anew.
    let commands: String = fs::read_dir(&new)
        .expect("a listing")
        .map(|folder| folder.expect("an entry").path())
        .map(|folder| {
            let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
            format!("add '{}' '/{name}'\n", text(&folder))
        })
        .collect();
    let list = bench.path("commands");
    fs::write(&list, commands).expect("a file");
    let mut update = tools::wimlib();
    update.arg("update").arg(&install).arg("1").arg("--rebuild");
    let _ = child::run_with_input(&mut update, fs::File::open(&list).expect("the file")).ok();

    let second = bench.json(&["package", "refresh", "Monthly"]);
    assert_eq!(second["changed"], true);
    let stored = number(&second, "/work/new_size");
    let share = stored as f64 / whole as f64;
    assert!((0.03..0.08).contains(&share), "{stored} of {whole} bytes: {share}");

    let difference = bench.json(&["package", "diff", "Monthly@1", "Monthly@2"]);
    assert_eq!(number(&difference, "/new_bytes"), stored);
    assert_eq!(number(&difference, "/images/0/changed"), 16);
    assert_eq!(number(&difference, "/images/0/added"), 0);
    let people = bench.run(&["package", "diff", "Monthly@1", "Monthly@2"]).ok().text();
    assert!(people.contains("changed  /component07/file007.dll"), "{people}");
    assert_eq!(bench.json(&["package", "verify", "Monthly@1"])["sound"], true);

    // Back to the first, the second pruned: exactly what it had brought goes.
    let before = bench.objects().len();
    bench.json(&["package", "rollback", "Monthly@1"]);
    let pruned = bench.json(&["package", "prune", "--keep-last", "1", "--keep-days", "0"]);
    assert_eq!(number(&pruned, "/freed_size"), stored);
    assert_eq!(pruned["revisions"].as_array().map(Vec::len), Some(2));
    assert_eq!(bench.objects().len() as u64, before as u64 - number(&pruned, "/freed_objects"));
    assert_eq!(bench.json(&["library", "check"])["sound"], true);
    bench.json(&["package", "remove", "Monthly"]);
    assert_eq!(bench.objects(), []);
}

#[test]
fn commands_say_what_they_did() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    bench.json(&["package", "add", text(&media), "--name", "p", "--folder", "Windows 11/Pro"]);
    let said = |arguments: &[&str]| bench.run(arguments).ok().text();
    assert!(said(&["package", "refresh", "p"]).contains("its source is as it was"));
    fs::write(media.join("readme.txt"), "changed").expect("a file");
    assert!(said(&["package", "drift", "p"]).contains("changed  readme.txt"));
    assert!(said(&["package", "refresh", "p"]).contains("is at revision 2 now, made from 1"));
    let revisions = said(&["package", "revisions", "p"]);
    assert!(
        revisions.lines().nth(1).is_some_and(|line| line.contains("2  current")),
        "{revisions}"
    );
    assert!(said(&["package", "rollback", "p@1"]).contains("`osupg package rollback OSU00001@2`"));
    assert!(said(&["package", "prune", "--dry-run"]).contains("No revision has to go"));
    let edited = said(&["package", "edit", "p", "--priority", "high", "--persist-in-cache", "yes"]);
    assert!(edited.contains("priority: \"high\", was \"medium\""), "{edited}");
    assert!(said(&["package", "history", "p"]).contains("persist-in-cache"));
    assert!(said(&["package", "accept-licence", "p"]).contains("are accepted by local:"));
    assert!(said(&["package", "folders"]).contains("/Windows 11/Pro"));
    assert!(said(&["package", "list", "--folder", "/Windows 11"]).contains("OSU00001"));
    assert_eq!(said(&["package", "list", "--text", "nothing"]), "No package fits.\n");
    let stale = bench.refused(2, &["package", "edit", "p", "--comment", "x", "--if-edit", "1"]);
    assert!(stale.contains("licence-accepted"), "{stale}");
    bench.refused(2, &["package", "edit", "p"]);
    bench.refused(2, &["package", "edit", "p", "--priority", "urgent"]);
    assert!(said(&["library", "check"]).contains("all whole"));
    assert!(said(&["library", "repair"]).contains("Nothing to repair"));
    assert!(said(&["library", "gc", "--dry-run"]).contains("0 objects"));
    let (name, _) = bench.objects().into_iter().max_by_key(|(_, size)| *size).expect("objects");
    let object = bench.home().join("library/objects").join(&name[..2]).join(&name);
    fs::write(&object, "damaged").expect("it can be written");
    let checked = bench.run(&["library", "check"]);
    assert_eq!(checked.code(), 3);
    assert!(checked.text().contains(&name), "{}", checked.text());
    assert!(said(&["library", "repair"]).contains("1 object"));
    assert!(said(&["library", "check"]).contains("all whole"));
}
