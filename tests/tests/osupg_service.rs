//! Servicing through the command line, over sample media; wimlib and wimx judge what comes out.

mod osupg_support;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use osupg_support::{Bench, text};
use osupg_tests::{bins, child, tools};
use serde_json::Value;

/// A cabinet as makecab writes it.
fn cabinet(path: &Path, files: &[(&str, &[u8])]) {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::MsZip);
    for (name, _) in files {
        folder.add_file(*name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).expect("a cabinet");
    let mut data = files.iter();
    while let Some(mut file) = writer.next_file().expect("a file") {
        file.write_all(data.next().expect("its bytes").1).expect("bytes");
    }
    fs::write(path, writer.finish().expect("an end").into_inner()).expect("a file");
}

/// The changes that `wimx diff` finds: path, and in what it differs.
fn changes(old: &str, new: &str) -> Vec<Value> {
    let mut command = bins::wimx();
    command.args(["diff", old, new, "--json"]);
    let found: Value = serde_json::from_slice(&child::run(&mut command).stdout).expect("JSON");
    found["changes"].as_array().expect("changes").clone()
}

fn exported(bench: &Bench, reference: &str, name: &str) -> PathBuf {
    let folder = bench.path(name);
    let _ = bench.run(&["package", "export", reference, text(&folder)]).ok();
    folder
}

#[test]
fn sample_media_are_serviced_and_the_source_stays() {
    let bench = Bench::new();
    let media = bench.path("media");
    bench.json(&["sample-media", text(&media)]);
    bench.json(&["package", "add", text(&media), "--name", "Sample"]);
    let before = exported(&bench, "OSU00001", "before");

    let update = bench.path("windows11.0-kb5045000-x64.cab");
    cabinet(&update, &[("SetupHost.exe", b"a newer host"), ("en-us\\extra.mui", b"extra")]);
    let program = bench.path("installer.exe");
    fs::write(&program, "MZ").expect("a file");
    let done = bench.run(&["update", "import", text(&update), text(&program)]);
    assert_eq!(done.code(), 2, "{}", done.text());
    assert!(done.text().contains("UPD00001  KB5045000  setup"), "{}", done.text());
    assert!(
        done.text().contains("it has to run in the Windows that it changes"),
        "{}",
        done.text()
    );

    let note = bench.path("note.txt");
    fs::write(&note, "from servicing").expect("a file");
    let linked = linked_file(&before.join("sources/install.wim"));
    let replace = format!("install.wim{linked}={}", text(&note));
    let arguments = ["OSU00001", "--latest", "setup", "--keep", "Professional", "--add", &replace];
    let plan = bench.json(&[&["service", "plan"][..], &arguments].concat());
    assert_eq!(plan["problems"].as_array().map(Vec::len), Some(0), "{plan}");
    let shown = bench.run(&[&["service", "plan"][..], &arguments].concat()).ok().text();
    assert!(
        shown.contains("26  media        Setup update over sources") && shown.contains("native"),
        "{shown}"
    );

    let run = bench.json(&[&["service", "run"][..], &arguments].concat());
    assert_eq!(
        (run["state"].as_str(), run["revision"].as_i64()),
        (Some("succeeded"), Some(2)),
        "{run}"
    );
    let id = run["id"].as_str().expect("an id");
    let shown = bench.run(&["service", "show", id]).ok().text();
    assert!(
        shown.contains("every blob of sources/install.wim") && !shown.contains("FAILED"),
        "{shown}"
    );
    let history = bench.run(&["service", "history", "OSU00001"]).ok().text();
    assert!(history.contains("succeeded") && history.contains(id), "{history}");

    let after = exported(&bench, "OSU00001", "after");
    let host = fs::read(after.join("sources/setuphost.exe")).expect("a file");
    assert_eq!(host, b"a newer host");
    assert!(after.join("sources/en-us/extra.mui").exists());
    let wim = after.join("sources/install.wim");
    let _ = child::run(tools::wimlib().arg("verify").arg(&wim)).ok();
    let info = child::run(tools::wimlib().arg("info").arg(&wim)).ok().text();
    assert!(info.contains("Image Count:    1") && info.contains("Sample OS Pro"), "{info}");
    // Nothing but the contents of the one file differs, under both of its names.
    let (old, new) =
        (format!("{}:2", text(&before.join("sources/install.wim"))), format!("{}:1", text(&wim)));
    let found = changes(&old, &new);
    assert_eq!(found.len(), 2, "{found:?}");
    for change in &found {
        let said = change.to_string().to_lowercase();
        for kept in ["security", "attributes", "links", "short", "streams"] {
            assert!(!said.contains(kept), "{said}");
        }
    }
    let source = fs::read(media.join("sources/setuphost.exe")).expect("a file");
    assert!(source.starts_with(b"MZ"), "the source was written to");
    assert_eq!(bench.json(&["package", "verify", "OSU00001"])["sound"], true);
    let left = fs::read_dir(bench.home().join("scratch")).expect("a folder");
    assert!(left.flatten().all(|entry| entry.path().is_file()), "scratch folders stay behind");

    // Refusals change nothing.
    let objects = bench.objects();
    let said = bench.refused(2, &["service", "run", "OSU00001"]);
    assert!(said.contains("this run would do nothing"), "{said}");
    let said = bench.refused(2, &["service", "run", "OSU00001", "--keep", "Datacenter"]);
    assert!(said.contains("there are 1 Core, 2 Professional"), "{said}");
    let said = bench.refused(2, &["service", "run", "OSU00001", "--update", "KB1"]);
    assert!(said.contains("there is no update"), "{said}");
    assert_eq!(bench.objects(), objects);
    let gone = bench.run(&["update", "remove", "KB5045000"]).ok().text();
    assert!(gone.contains("Removed KB5045000 (setup, UPD00001)"), "{gone}");
}

/// A file of the sample's second image that has two names.
fn linked_file(wim: &Path) -> String {
    let mut command = bins::wimx();
    command.args(["dir", text(wim), "2", "--path=/Windows/WinSxS"]);
    let listed = child::run(&mut command).ok().text();
    let name = listed
        .lines()
        .find_map(|line| Some(line.strip_suffix(".dll")?.rsplit('/').next()?.to_string()));
    format!("/Windows/System32/{}.dll", name.expect("a library in the component store"))
}
