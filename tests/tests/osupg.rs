//! osupg from end to end: media in, packages, the same media out.

#[path = "osupg_support/media.rs"]
mod media;
mod osupg_support;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use media::{EDITIONS, capture};
use osupg_support::{Bench, text};
use osupg_tests::tree::{self, Times, Tree};
use osupg_tests::{child, corpus, tools};
use serde_json::Value;

fn describe(folder: &Path) -> Tree {
    tree::describe(folder, Times::Compare).expect("a tree can be described")
}

/// Times of last change, which nothing can set: they tell whether anything touched a file.
fn change_times(folder: &Path) -> Vec<(i64, i64)> {
    let mut times = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        times.push((meta.ctime(), meta.ctime_nsec()));
        if meta.is_dir() {
            let mut names: Vec<_> = fs::read_dir(&path)
                .expect("a listing")
                .map(|e| e.expect("an entry").path())
                .collect();
            names.sort();
            pending.extend(names);
        }
    }
    times
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

fn word<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}"))
}

#[test]
fn media_come_back_bit_for_bit_and_are_left_alone() {
    let bench = Bench::new();
    let media = bench.media("media");
    let (before, touched) = (describe(&media), change_times(&media));

    let added = bench.json(&["package", "add", text(&media), "--name", "All", "--version", "1.0"]);
    assert_eq!(word(&added, "/package/id"), "OSU00001");
    assert_eq!(word(&added, "/package/architecture/value"), "x64");
    assert_eq!(word(&added, "/package/language/value"), "en-US");
    assert_eq!(word(&added, "/package/revision/editions"), "Core, Professional, Enterprise");
    assert_eq!(word(&added, "/package/revision/builds"), "26100.1742");
    assert_eq!(number(&added, "/package/revision/number"), 1);
    assert_eq!(number(&added, "/work/images_verified"), 4);
    assert_eq!(number(&added, "/work/files_read"), 7);
    assert_eq!(added["warnings"].as_array().map(Vec::len), Some(0));

    let out = bench.path("out");
    bench.json(&["package", "export", "OSU00001", text(&out)]);
    tree::assert_same("the exported media", &before, &describe(&out));

    let verified = bench.json(&["package", "verify", "All"]);
    assert_eq!(verified["sound"], true);
    assert_eq!(number(&verified, "/images"), 4);
    tree::assert_same("the source", &before, &describe(&media));
    assert_eq!(touched, change_times(&media), "the source was touched");
}

#[test]
fn every_command_prints_what_it_knows() {
    let bench = Bench::new();
    let media = bench.media("media");
    assert!(bench.run(&["package", "list"]).ok().text().contains("no packages yet"));
    let added = bench.run(&["package", "add", text(&media), "--name", "Three editions"]).ok();
    for part in ["Added OSU00001 \"Three editions\"", "Professional", "26100.1742", "4 images"] {
        assert!(added.text().contains(part), "{part} in {}", added.text());
    }
    assert!(added.stderr.is_empty(), "silent when nobody watches: {}", added.stderr);

    let list = bench.run(&["package", "list"]).ok().text();
    assert!(list.lines().nth(1).is_some_and(|line| line.starts_with("OSU00001  Three editions")));
    assert_eq!(bench.json(&["package", "list"]).as_array().map(Vec::len), Some(1));

    let shown = bench.run(&["package", "show", "three EDITIONS"]).ok().text();
    assert!(shown.contains(text(&media)), "{shown}");
    assert_eq!(
        bench.json(&["package", "show", "OSU00001"])["images"].as_array().map(Vec::len),
        Some(3)
    );

    let images = bench.json(&["package", "images", "OSU00001"]);
    let paths: Vec<_> = images.as_array().into_iter().flatten().map(|i| word(i, "/path")).collect();
    assert_eq!(paths[0], "sources/boot.wim");
    assert_eq!(&paths[1..], ["sources/install.wim"; 3]);
    assert_eq!(word(&images[2], "/edition"), "Professional");
    assert!(bench.run(&["package", "images", "OSU00001"]).ok().text().contains("sources/boot.wim"));

    let files = bench.json(&["package", "files", "OSU00001"]);
    let setup = files.as_array().into_iter().flatten().find(|f| f["path"] == "setup.exe");
    assert_eq!(number(setup.expect("setup.exe is listed"), "/size"), 3_000_000);
    let lines = bench.run(&["package", "files", "OSU00001"]).ok().text();
    assert!(lines.lines().any(|line| line.ends_with("support/empty/")), "{lines}");

    let inspected = bench.json(&["image", "inspect", text(&media.join("sources/install.wim"))]);
    assert_eq!(inspected["images"].as_array().map(Vec::len), Some(3));
    assert_eq!(word(&inspected, "/compression"), "LZX");
    let folder = bench.run(&["image", "inspect", text(&media)]).ok().text();
    assert!(folder.contains("Enterprise"), "{folder}");
}

#[test]
fn a_second_add_reads_nothing_and_stores_nothing() {
    let bench = Bench::new();
    let media = bench.media("media");
    let first = bench.json(&["package", "add", text(&media), "--name", "One"]);
    let objects = bench.objects();
    assert_eq!(number(&first, "/work/new_objects"), objects.len() as u64);
    assert_eq!(number(&first, "/work/new_size"), objects.iter().map(|(_, size)| size).sum::<u64>());

    let second = bench.json(&["package", "add", text(&media), "--name", "Two"]);
    assert_eq!(number(&second, "/work/files_read"), 0);
    assert_eq!(number(&second, "/work/files_recognised"), 7);
    assert_eq!(number(&second, "/work/new_objects"), 0);
    assert_eq!(bench.objects(), objects);
    assert_eq!(word(&first, "/package/revision/digest"), word(&second, "/package/revision/digest"));

    let third = bench.json(&["package", "add", text(&media), "--name", "Three", "--rehash"]);
    assert_eq!(number(&third, "/work/files_read"), 7);
    assert_eq!(number(&third, "/work/images_verified"), 4);
    assert_eq!(number(&third, "/work/new_objects"), 0);
    assert_eq!(bench.objects(), objects);

    // The same content elsewhere: read, for its path is new, but not stored again.
    let copy = bench.path("copy");
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .args([&media, &copy])
            .status()
            .expect("cp")
            .success()
    );
    let fourth = bench.json(&["package", "add", text(&copy), "--name", "Four"]);
    assert_eq!(number(&fourth, "/work/files_read"), 7);
    assert_eq!(number(&fourth, "/work/new_objects"), 0);

    // A changed file is noticed though its size and time of modification are as before.
    let inf = media.join("autorun.inf");
    let modified = fs::metadata(&inf).and_then(|meta| meta.modified()).expect("a time");
    let file = fs::File::options().write(true).open(&inf).expect("the file opens");
    file.write_all_at(b"[AUTORUN]", 0).expect("it can be written");
    file.set_modified(modified).expect("its time can be set");
    let fifth = bench.json(&["package", "add", text(&media), "--name", "Five"]);
    assert_eq!(number(&fifth, "/work/files_read"), 1);
    assert_eq!(number(&fifth, "/work/new_objects"), 1);
}

#[test]
fn removing_frees_what_no_other_package_uses() {
    let bench = Bench::new();
    let media = bench.media("media");
    bench.json(&["package", "add", text(&media), "--name", "One"]);
    let shared = bench.objects();
    fs::write(media.join("more.bin"), corpus::noise(2_000_000, 77)).expect("a file");
    bench.json(&["package", "add", text(&media), "--name", "Two"]);
    assert!(bench.objects().len() > shared.len());

    let removed = bench.json(&["package", "remove", "OSU00002"]);
    assert_eq!(number(&removed, "/freed_size"), 2_000_000);
    assert_eq!(removed["collected"], true);
    assert_eq!(bench.objects(), shared);
    assert_eq!(bench.json(&["package", "verify", "One"])["sound"], true);

    bench.json(&["package", "remove", "one"]);
    assert_eq!(bench.objects(), []);
    assert_eq!(bench.json(&["package", "list"]), Value::Array(Vec::new()));
    // Numbers are not given twice.
    let again =
        bench.json(&["package", "add", text(&media), "--name", "One", "--site-code", "osu"]);
    assert_eq!(word(&again, "/package/id"), "OSU00003");
    let other = bench.json(&["package", "add", text(&media), "--name", "X", "--site-code", "AMS"]);
    assert_eq!(word(&other, "/package/id"), "AMS00001");
}

#[test]
fn damage_is_named_and_mended_from_the_source() {
    let bench = Bench::new();
    let media = bench.media("media");
    bench.json(&["package", "add", text(&media), "--name", "One"]);
    let (name, _) = bench.objects().into_iter().max_by_key(|(_, size)| *size).expect("objects");
    let object = bench.home().join("library/objects").join(&name[..2]).join(&name);
    let whole = fs::read(&object).expect("it can be read");

    for damage in ["flipped", "truncated", "missing"] {
        let mut bytes = whole.clone();
        match damage {
            "flipped" => {
                bytes[1000] ^= 1;
                fs::write(&object, bytes).expect("it can be written");
            }
            "truncated" => fs::write(&object, &bytes[..1000]).expect("it can be written"),
            _ => fs::remove_file(&object).expect("it can be removed"),
        }
        let verified = bench.run(&["package", "verify", "One"]);
        assert_eq!(verified.code(), 3, "{damage}");
        assert!(verified.text().contains(&name), "{damage}: {}", verified.text());
        let said = bench.refused(3, &["package", "export", "One", "out"]);
        assert!(said.contains(&name) && said.contains("library repair"), "{said}");
        assert!(!bench.path("out").exists());

        let mended = bench.json(&["package", "add", text(&media), "--name", damage, "--rehash"]);
        assert_eq!(number(&mended, "/work/mended_objects"), 1, "{damage}");
        assert_eq!(fs::read(&object).expect("it is back"), whole, "{damage}");
        assert_eq!(bench.json(&["package", "verify", "One"])["sound"], true);
    }
    // What is plainly gone is noticed without --rehash, too.
    fs::remove_file(&object).expect("it can be removed");
    let mended = bench.json(&["package", "add", text(&media), "--name", "quick"]);
    assert_eq!(number(&mended, "/work/mended_objects"), 1);
    assert_eq!(bench.json(&["package", "verify", "One"])["sound"], true);
}

#[test]
fn an_iso_holds_the_same_media() {
    let bench = Bench::new();
    let media = bench.media("media");
    let iso = bench.path("media.iso");
    let made = std::process::Command::new("genisoimage")
        .args(["-quiet", "-udf", "-iso-level", "3", "-V", "MEDIA", "-o"])
        .args([&iso, &media])
        .output()
        .expect("genisoimage runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let from_folder = bench.json(&["package", "add", text(&media), "--name", "folder"]);
    let from_iso = bench.json(&["package", "add", text(&iso), "--name", "iso"]);
    assert_eq!(word(&from_iso, "/package/source_kind"), "iso");
    assert_eq!(number(&from_iso, "/work/files_read"), 7);
    assert_eq!(number(&from_iso, "/work/new_objects"), 0, "the same bytes are stored once");
    assert_eq!(
        number(&from_iso, "/package/revision/total_size"),
        number(&from_folder, "/package/revision/total_size")
    );
    let out = bench.path("out");
    bench.json(&["package", "export", "iso", text(&out)]);
    // An ISO keeps times to the second or so: all else is the same.
    let ignoring = |folder: &Path| tree::describe(folder, Times::Ignore).expect("a tree");
    let modes = std::process::Command::new("chmod")
        .args(["-R", "u=rwX,go=rX"])
        .args([&media, &out])
        .status();
    assert!(modes.expect("chmod runs").success());
    tree::assert_same("media from the ISO", &ignoring(&media), &ignoring(&out));

    let inspected = bench.json(&["image", "inspect", text(&iso)]);
    assert_eq!(inspected["images"].as_array().map(Vec::len), Some(3));
    // A file that was written a moment ago is not trusted by its times; this one is, from now on.
    let iso_file = fs::File::options().write(true).open(&iso).expect("the ISO opens");
    iso_file.set_modified(std::time::UNIX_EPOCH).expect("its time can be set");
    bench.json(&["package", "add", text(&iso), "--name", "iso at rest"]);
    let second = bench.json(&["package", "add", text(&iso), "--name", "iso again"]);
    assert_eq!(number(&second, "/work/files_recognised"), 7);
}

/// The tree of an image, as wimlib applies it.
fn applied(bench: &Bench, wim: &Path, image: &str, options: &[&str]) -> Tree {
    let folder = tempfile::tempdir_in(bench.path("")).expect("a scratch folder");
    let mut apply = tools::wimlib();
    apply.arg("apply").arg(wim).arg(image).arg(folder.path()).args(options);
    let _ = child::run(&mut apply).ok();
    describe(folder.path())
}

#[test]
fn one_edition_of_three_is_kept() {
    let bench = Bench::new();
    let media = bench.media("media");
    let (before, touched) = (describe(&media), change_times(&media));
    let install = media.join("sources/install.wim");
    for (number, (name, edition)) in EDITIONS.iter().enumerate() {
        let index = (number + 1).to_string();
        let added =
            bench.json(&["package", "add", text(&media), "--name", name, "--edition", edition]);
        assert_eq!(word(&added, "/package/revision/editions"), *edition);
        assert_eq!(number_of_images(&added), 1);
        assert_eq!(self::number(&added, "/images_in_source"), 3);

        // By index it is the same media, and nothing is read or stored for it.
        let by_index = format!("{name} by index");
        let again =
            bench.json(&["package", "add", text(&media), "--name", &by_index, "--index", &index]);
        assert_eq!(self::number(&again, "/work/files_read"), 0);
        assert_eq!(
            word(&again, "/package/revision/digest"),
            word(&added, "/package/revision/digest")
        );

        let out = bench.path(name);
        bench.json(&["package", "export", name, text(&out)]);
        let kept = out.join("sources/install.wim");
        let _ = child::run(tools::wimlib().arg("verify").arg(&kept)).ok();
        let tested = child::run(tools::seven_zip().arg("t").arg(&kept)).ok().text();
        assert!(tested.contains("Everything is Ok"), "{tested}");
        let info = child::run(tools::wimlib().arg("info").arg(&kept)).ok().text();
        assert!(info.contains("Image Count:    1\n"), "{info}");
        assert!(info.contains(&format!("Edition ID:             {edition}\n")), "{info}");
        tree::assert_same(
            "the kept image",
            &applied(&bench, &install, &index, &[]),
            &applied(&bench, &kept, "1", &[]),
        );
        assert_eq!(bench.json(&["package", "verify", name])["sound"], true);
    }
    tree::assert_same("the source", &before, &describe(&media));
    assert_eq!(touched, change_times(&media), "the source was touched");
}

fn number_of_images(added: &Value) -> usize {
    added["images"].as_array().map_or(0, Vec::len)
}

#[test]
fn one_image_is_taken_from_every_kind_of_wim() {
    let bench = Bench::new();
    let trees = corpus::made(&bench.path("trees"));
    let kinds: [(&str, &[&str]); 6] = [
        ("none", &["--compress=none"]),
        ("xpress", &["--compress=XPRESS", "--chunk-size=16K"]),
        ("lzx", &["--compress=LZX", "--check"]),
        ("lzx2m", &["--compress=LZX", "--chunk-size=2M"]),
        ("solid", &["--solid"]),
        ("pipable", &["--compress=LZX", "--pipable"]),
    ];
    for (kind, options) in kinds {
        let wim = bench.path(&format!("{kind}.wim"));
        capture("capture", &trees[0].root, &wim, "One", "Core", options);
        capture("append", &trees[1].root, &wim, "Two", "Professional", &[]);
        let added = bench.json(&["package", "add", text(&wim), "--name", kind, "--index", "2"]);
        assert_eq!(number_of_images(&added), 1, "{kind}");
        let out = bench.path(kind);
        bench.json(&["package", "export", kind, text(&out)]);
        let name = if kind == "solid" { "sources/install.esd" } else { "sources/install.wim" };
        let kept = out.join(name);
        let _ = child::run(tools::wimlib().arg("verify").arg(&kept)).ok();
        tree::assert_same(
            kind,
            &applied(&bench, &wim, "2", &[]),
            &applied(&bench, &kept, "1", &[]),
        );
    }
}

#[test]
fn a_split_set_is_kept_whole_or_joined_for_one_image() {
    let bench = Bench::new();
    let media = bench.media("media");
    let install = media.join("sources/install.wim");
    let swm = media.join("sources/install.swm");
    let _ = child::run(tools::wimlib().arg("split").arg(&install).arg(&swm).arg("1")).ok();
    let whole = bench.path("whole.wim");
    fs::rename(&install, &whole).expect("it can be moved");
    let parts = fs::read_dir(media.join("sources")).expect("a listing").count() - 1;
    assert!(parts > 2, "{parts} parts");

    let all = bench.json(&["package", "add", text(&media), "--name", "all"]);
    assert_eq!(number(&all, "/work/images_verified"), 4);
    let out = bench.path("all");
    bench.json(&["package", "export", "all", text(&out)]);
    tree::assert_same("the split media", &describe(&media), &describe(&out));

    bench.json(&["package", "add", text(&media), "--name", "one", "--edition", "Enterprise"]);
    let out = bench.path("one");
    bench.json(&["package", "export", "one", text(&out)]);
    let names = fs::read_dir(out.join("sources")).expect("a listing").count();
    assert_eq!(names, 2, "boot.wim and install.wim");
    let kept = out.join("sources/install.wim");
    let _ = child::run(tools::wimlib().arg("verify").arg(&kept)).ok();
    tree::assert_same(
        "the joined image",
        &applied(&bench, &whole, "3", &[]),
        &applied(&bench, &kept, "1", &[]),
    );
}

#[test]
fn sample_media_are_real_and_always_the_same() {
    let bench = Bench::new();
    let (first, second) = (bench.path("first"), bench.path("second"));
    let made = bench.json(&["sample-media", text(&first)]);
    assert_eq!(made["editions"], serde_json::json!(["Core", "Professional", "Enterprise"]));
    bench.json(&["sample-media", text(&second)]);
    tree::assert_same("the second sample", &describe(&first), &describe(&second));
    let said = bench.refused(2, &["sample-media", text(&first)]);
    assert!(said.contains("already"), "{said}");

    for (name, images) in [("install.wim", 3), ("boot.wim", 2)] {
        let wim = first.join("sources").join(name);
        let _ = child::run(tools::wimlib().arg("verify").arg(&wim)).ok();
        let tested = child::run(tools::seven_zip().arg("t").arg(&wim)).ok().text();
        assert!(tested.contains("Everything is Ok"), "{tested}");
        let info = child::run(tools::wimlib().arg("info").arg(&wim)).ok().text();
        assert!(info.contains(&format!("Image Count:    {images}\n")), "{info}");
        for image in 1..=images {
            let tree = applied(&bench, &wim, &image.to_string(), &[]);
            assert!(tree.len() > 15, "{} names", tree.len());
        }
    }
    let programs = child::run(tools::seven_zip().arg("l").arg(first.join("setup.exe"))).ok().text();
    assert!(programs.contains(".rdata"), "a PE file to others, too: {programs}");

    let added = bench.json(&["package", "add", text(&first), "--name", "S", "--edition", "Core"]);
    assert_eq!(number(&added, "/work/images_verified"), 3);
    let again = bench.json(&["package", "add", text(&first), "--name", "T", "--edition", "Core"]);
    assert_eq!(number(&again, "/work/files_read"), 0, "the sample files are at rest");
}

#[test]
fn the_demonstration_ends_with_a_verified_package() {
    let bench = Bench::new();
    let folder = bench.path("demo");
    for _ in 0..2 {
        let shown = bench.run(&["demo", text(&folder)]).ok().text();
        for part in ["1 of 3 images", "OSU00001  Sample OS Pro", "is sound"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
    let all = bench.json(&["demo", text(&folder)]);
    assert_eq!(all["verified"]["sound"], true);
    assert!(!bench.home().exists(), "the ordinary store is not touched");
}

#[test]
fn a_bare_image_becomes_the_install_image() {
    let bench = Bench::new();
    let trees = corpus::made(&bench.path("trees"));
    let wim = bench.path("some.wim");
    capture("capture", &trees[0].root, &wim, "Only", "Core", &["--compress=LZX"]);
    let esd = bench.path("some.esd");
    capture("capture", &trees[1].root, &esd, "Solid", "Core", &["--solid"]);
    for (file, place) in [(&wim, "sources/install.wim"), (&esd, "sources/install.esd")] {
        let added = bench.json(&["package", "add", text(file), "--name", place]);
        assert_eq!(word(&added, "/package/source_kind"), "image");
        assert_eq!(number(&added, "/work/images_verified"), 1);
        let out = bench.path(&format!("out of {}", file.display()).replace('/', "_"));
        bench.json(&["package", "export", place, text(&out)]);
        let stored = out.join(place);
        assert_eq!(fs::read(&stored).expect("it is there"), fs::read(file).expect("the source"));
        let _ = child::run(tools::wimlib().arg("verify").arg(&stored)).ok();
    }
}

#[test]
fn fields_are_limited_and_contradictions_said() {
    let bench = Bench::new();
    let media = bench.media("media");
    let add = |extra: &[&str]| -> Vec<String> {
        ["package", "add", text(&media)].iter().chain(extra).map(ToString::to_string).collect()
    };
    let refused = |extra: &[&str], says: &str| {
        let arguments = add(extra);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let said = bench.refused(2, &arguments);
        assert!(said.contains(says), "{says} in {said}");
    };
    let (fifty, more) = ("n".repeat(50), "n".repeat(51));
    refused(&["--name", &more], "51 characters; 50 is the most");
    refused(&["--name", &"n".repeat(100_000)], "50 is the most");
    refused(&["--name", "  "], "needs a name");
    refused(&["--name", "a\x1b[31mb"], "control character");
    refused(&["--name", "x", "--version", &"v".repeat(33)], "32 is the most");
    refused(&["--name", "x", "--comment", &"c".repeat(128)], "127 is the most");
    refused(&["--name", "x", "--architecture", "z80"], "not an architecture");
    refused(&["--name", "x", "--language", "klingon"], "not a language");
    refused(&["--name", "x", "--index", "4"], "no image 4");
    refused(&["--name", "x", "--index", "0"], "no image 0");
    refused(&["--name", "x", "--edition", "Server"], "no edition");
    refused(&["--name", "x", "--index", "1", "--edition", "Core"], "cannot be used with");
    refused(&["--name", "x", "--site-code", "TOOLONG"], "three letters or digits");
    refused(&[], "--name");
    assert_eq!(bench.objects(), []);

    let arguments = [
        "package",
        "add",
        text(&media),
        "--name",
        &fifty,
        "--version",
        &"v".repeat(32),
        "--comment",
        &"ß".repeat(127),
        "--architecture",
        "arm64",
        "--language",
        "de-de",
    ];
    let added = bench.json(&arguments);
    assert_eq!(word(&added, "/package/name"), fifty);
    assert_eq!(word(&added, "/package/language/value"), "de-DE");
    assert_eq!(word(&added, "/package/language/by"), "hand");
    assert_eq!(added["warnings"].as_array().map(Vec::len), Some(2), "{added}");
    refused(&["--name", &fifty.to_uppercase()], "already");
    assert_eq!(bench.json(&["package", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn hostile_sources_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let media = bench.media("media");
    let refused = |says: &str| {
        let said = bench.refused(2, &["package", "add", text(&media), "--name", "x"]);
        assert!(said.contains(says), "{says} in {said}");
    };
    std::os::unix::fs::symlink("/etc", media.join("out")).expect("a link");
    refused("leads out of the source");
    fs::remove_file(media.join("out")).expect("it can be removed");
    fs::write(media.join("a\\..\\b"), "").expect("a file");
    refused("forbids in names");
    fs::remove_file(media.join("a\\..\\b")).expect("it can be removed");

    let mut inside = osupg_tests::bins::osupg();
    inside.arg("--home").arg(media.join("store"));
    let done = child::run(inside.args(["package", "add", text(&media), "--name", "x"]));
    assert_eq!(done.code(), 2, "{}", done.stderr);
    assert!(done.stderr.contains("is inside the source"), "{}", done.stderr);
    assert!(!media.join("store").exists(), "nothing is made in the source");

    for (path, says) in
        [("nowhere", "cannot open"), ("media/setup.exe", "ISO"), ("media/boot", "no setup.exe")]
    {
        let done = bench.run(&["package", "add", path, "--name", "x"]);
        assert_ne!(done.code(), 0);
        assert!(done.stderr.contains(says), "{says} in {}", done.stderr);
    }
    // A damaged image is found before anything is committed, and what was stored goes again.
    let install = media.join("sources/install.wim");
    let whole = fs::read(&install).expect("it can be read");
    let mut bytes = whole.clone();
    bytes[whole.len() / 3] ^= 0x55;
    fs::write(&install, &bytes).expect("it can be written");
    let said = bench.refused(3, &["package", "add", text(&media), "--name", "x"]);
    assert!(said.contains("sources/install.wim is damaged"), "{said}");
    fs::write(&install, &whole[..whole.len() / 2]).expect("it can be written");
    let done = bench.run(&["package", "add", text(&media), "--name", "x"]);
    assert_eq!(done.code(), 3, "{}", done.stderr);
    assert_eq!(bench.objects(), []);
    assert_eq!(bench.json(&["package", "list"]), Value::Array(Vec::new()));
}
