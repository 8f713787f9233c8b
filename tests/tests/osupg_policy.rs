//! Keys, bundles, schedules, pre-cache, upgrade commands and the doctor, through the command itself.

#[path = "osupg_support/media.rs"]
mod media;
mod osupg_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use osupg_support::{Bench, text};
use osupg_tests::tree::{self, Times};
use serde_json::Value;

fn word<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// From one store to another that no network joins: what is exported there is the media.
#[test]
fn a_bundle_takes_a_package_to_another_store() {
    let (maker, reader) = (Bench::new(), Bench::new());
    let media = maker.media("media");
    maker.json(&["package", "add", text(&media), "--name", "Windows 11", "--edition", "Core"]);
    let (bundle, key) = (maker.path("win11.osupg"), maker.path("key.pem"));
    let created = maker.json(&["bundle", "create", "OSU00001", "--out", text(&bundle)]);
    assert_eq!(created["revisions"][0], "OSU00001@1");

    let said = reader.refused(3, &["bundle", "import", text(&bundle)]);
    assert!(said.contains("not trusted here") && said.contains("osupg trust add"), "{said}");
    let seen = reader.run(&["bundle", "inspect", text(&bundle)]);
    assert!(seen.code() == 3 && seen.text().contains("NOT TRUSTED"), "{}", seen.text());

    fs::write(&key, maker.run(&["key", "show"]).ok().stdout).expect("a file");
    reader.run(&["trust", "add", text(&key), "--name", "maker"]).ok();
    let taken = reader.json(&["bundle", "import", text(&bundle)]);
    assert_eq!((word(&taken, "/signer"), &taken["revisions"][0]["new"]), ("maker", &true.into()));
    let listed = reader.json(&["package", "list"]);
    assert_eq!(word(&listed, "/0/id"), "OSU00001");
    let images = reader.json(&["package", "images", "OSU00001"]);
    assert!(images.as_array().is_some_and(|images| images.len() == 2), "{images}");
    reader.json(&["package", "verify", "OSU00001"]);

    for (bench, name) in [(&maker, "theirs"), (&reader, "ours")] {
        bench.json(&["package", "export", "OSU00001", text(&bench.path(name))]);
    }
    let describe = |path| tree::describe(path, Times::Compare).expect("a tree can be described");
    let (theirs, ours) = (maker.path("theirs"), reader.path("ours"));
    tree::assert_same("the media", &describe(&theirs), &describe(&ours));

    // Its own packages get other numbers.
    let own = reader.media("own");
    let added = reader.json(&["package", "add", text(&own), "--name", "Own"]);
    assert_eq!(word(&added, "/package/id"), "OSU00002");

    // After a rotation the statement is enough.
    let statement = maker.path("rotation.json");
    let rotated = maker.json(&["key", "rotate"]);
    fs::write(&statement, rotated["statement"].to_string()).expect("a file");
    maker.json(&["bundle", "create", "OSU00001", "--out", text(&bundle)]);
    reader.refused(3, &["bundle", "import", text(&bundle)]);
    reader.run(&["trust", "add", text(&statement)]).ok();
    let again = reader.json(&["bundle", "import", text(&bundle)]);
    assert_eq!(again["revisions"][0]["new"], false);
    assert!(reader.run(&["trust", "list"]).ok().text().contains("a key before it"));
}

#[test]
fn a_package_answers_for_devices_and_task_sequences() {
    let bench = Bench::new();
    let media = bench.media("media");
    bench.json(&["package", "add", text(&media), "--name", "Three"]);
    bench.json(&[
        "package",
        "add",
        text(&media),
        "--name",
        "Mislabelled",
        "--language",
        "de-DE",
        "--edition",
        "Professional",
    ]);
    let fits = bench.json(&["precache", "simulate", "--arch", "amd64", "--os-language", "1033"]);
    let fetched = |answer: &Value| -> Vec<bool> {
        let packages = answer["packages"].as_array().cloned().unwrap_or_default();
        packages.iter().map(|choice| choice["fetch"] == true).collect()
    };
    assert_eq!(fetched(&fits), [true, true], "{fits:#}");
    assert!(word(&fits, "/packages/1/warnings/0").contains("would not fetch it"), "{fits:#}");
    let german = bench.json(&["precache", "simulate", "--arch", "x64", "--os-language", "de-DE"]);
    assert_eq!(fetched(&german), [false, false]);
    let people =
        bench.run(&["precache", "simulate", "--arch", "arm64", "--os-language", "en-US"]).ok();
    assert!(people.text().contains("would fetch 0 of 2 packages"), "{}", people.text());

    let said = bench.refused(2, &["upgrade-command", "OSU00001"]);
    assert!(said.contains("--edition") && said.contains("2 Professional"), "{said}");
    let call = bench.json(&["upgrade-command", "OSU00001", "--edition", "professional"]);
    assert_eq!(
        word(&call, "/command_line"),
        ".\\setup.exe /Auto Upgrade /Quiet /NoReboot /DynamicUpdate Disable /EULA Accept \
         /ImageIndex 2"
    );
    let scan = bench.run(&["upgrade-command", "OSU00002@1", "--scan-only"]).ok().text();
    assert!(scan.contains("0xC1900210  3247440400") && scan.contains("/Compat ScanOnly"), "{scan}");
}

#[test]
fn schedules_are_kept_shown_and_removed() {
    let bench = Bench::new();
    let preview = bench.json(&["schedule", "preview", "Patch Tuesday + 5 days 22:00 UTC"]);
    assert_eq!(preview["upcoming"].as_array().map(Vec::len), Some(5));
    assert!(word(&preview, "/there/0").starts_with("Sun "), "{preview}");
    let said = bench.refused(2, &["schedule", "preview", "every second Tuesday 22:00"]);
    assert!(said.contains("two ways"), "{said}");
    let add = ["schedule", "add", "Listing", "--when", "every day 03:00 Europe/Amsterdam"];
    bench.run(&[&add[..], &["--operation", "package.list"]].concat()).ok();
    bench.refused(2, &[&add[..], &["--operation", "package.list"]].concat());
    bench.refused(2, &["schedule", "add", "x", "--when", "now", "--operation", "key.rotate"]);
    let listed = bench.run(&["schedule", "list"]).ok().text();
    assert!(listed.contains("every day 03:00 Europe/Amsterdam"), "{listed}");
    bench.run(&["schedule", "pause", "listing"]).ok();
    assert!(bench.run(&["schedule", "show", "listing"]).ok().text().contains("paused"));
    bench.run(&["schedule", "resume", "listing"]).ok();
    bench.run(&["schedule", "remove", "listing"]).ok();
    assert!(bench.run(&["schedule", "list"]).ok().text().contains("no schedules yet"));
}

#[test]
fn the_doctor_finds_what_others_can_write_to() {
    let bench = Bench::new();
    let well = bench.run(&["doctor"]);
    assert!(well.code() == 0 && well.text().contains("ok    keys"), "{}", well.text());
    fs::set_permissions(bench.home(), fs::Permissions::from_mode(0o777)).expect("they can be set");
    let ill = bench.run(&["doctor"]);
    assert!(ill.code() == 2 && ill.text().contains("chmod go-w"), "{}", ill.text());
    fs::remove_dir_all(bench.home()).expect("it can be removed");
    fs::write(bench.home(), "no folder").expect("a file");
    let lost = bench.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&lost.stdout).expect("a report even so");
    assert_eq!((lost.code(), word(&report, "/checks/0/state")), (2, "bad"));
}

#[test]
fn manual_pages_and_completions_know_every_command() {
    let bench = Bench::new();
    let man = bench.path("man");
    bench.run(&["man", text(&man)]).ok();
    let page = |name: &str| fs::read_to_string(man.join(name)).expect("a page");
    assert!(page("osupg.1").contains("osupg\\-bundle(1)"));
    let create = page("osupg-bundle-create.1");
    for expected in [".TH osupg-bundle-create 1", "encrypt\\-to", "\\-\\-json", ".SH NOTES"] {
        assert!(create.contains(expected), "{expected}: {create}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let completions = bench.run(&["completions", shell]).ok().text();
        assert!(completions.contains("precache") && completions.contains("os-language"), "{shell}");
    }
}
