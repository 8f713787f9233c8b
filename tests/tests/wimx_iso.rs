//! Every command of wimx over archives that lie in an ISO image, made by genisoimage: what it prints
//! and writes is what it does for the archive by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::child::{Finished, run};
use osupg_tests::tools::wimlib;
use osupg_tests::tree::{Times, assert_same, describe};
use osupg_tests::{bins, corpus};
use tempfile::TempDir;

struct Media {
    folder: TempDir,
    install: PathBuf,
    iso: PathBuf,
}

impl Media {
    /// An ISO image with an install.wim of three images, and a boot.wim.
    fn new() -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let trees = corpus::made(&folder.path().join("trees"));
        let media = folder.path().join("media");
        fs::create_dir_all(media.join("sources")).expect("a folder");
        fs::write(media.join("setup.exe"), "setup").expect("a file");
        let install = media.join("sources/install.wim");
        for (verb, tree, name) in [("capture", 0, "a"), ("append", 1, "b"), ("append", 0, "c")] {
            let mut command = wimlib();
            command.arg(verb).arg(&trees[tree].root).arg(&install).arg(name).arg("--quiet");
            run(&mut command).ok();
        }
        let boot = media.join("sources/boot.wim");
        run(wimlib().arg("capture").arg(&trees[1].root).arg(&boot).arg("--compress=XPRESS")).ok();
        let iso = folder.path().join("win.iso");
        let mut make = Command::new("genisoimage");
        make.args(["-quiet", "-udf", "-iso-level", "3", "-V", "MEDIA", "-o"]).args([&iso, &media]);
        run(&mut make).ok();
        Self { folder, install, iso }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a file inside the ISO.
    fn inside(&self, path: &str) -> PathBuf {
        format!("{}:{path}", self.iso.display()).into()
    }
}

fn wimx(verb: &str, wim: &Path, operands: &[&str]) -> Finished {
    run(bins::wimx().arg(verb).arg(wim).args(operands)).ok()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are text")
}

#[test]
fn an_iso_stands_for_the_archive_in_it() {
    let media = Media::new();
    let inside = media.inside("sources/install.wim");
    let named = media.inside("SOURCES\\Install.wim");
    for wim in [&media.iso, &inside, &named] {
        for (verb, operands) in [
            ("info", &[][..]),
            ("info", &["2"]),
            ("info", &["--blobs"]),
            ("dir", &["2"]),
            ("dir", &["3", "--detailed"]),
        ] {
            let ours = wimx(verb, wim, operands).text();
            let plain = wimx(verb, &media.install, operands).text();
            // They differ in the one line that names the file.
            let rest = |text: &str| -> Vec<String> {
                let lines = text.lines().filter(|line| !line.starts_with("Path: "));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(rest(&ours), rest(&plain), "{verb} {operands:?} {}", wim.display());
        }
        assert!(wimx("verify", wim, &[]).text().contains("successfully verified"));
    }
}

#[test]
fn an_image_is_exported_from_an_iso() {
    let media = Media::new();
    let (from_iso, from_wim) = (media.path("iso.wim"), media.path("wim.wim"));
    let guid = "--guid=00112233445566778899aabbccddeeff";
    wimx("export", &media.iso, &["3", text(&from_iso), guid, "--check"]);
    wimx("export", &media.install, &["3", text(&from_wim), guid, "--check"]);
    let read = |path: &Path| fs::read(path).expect("it was made");
    assert!(read(&from_iso) == read(&from_wim), "the same bytes, wherever they come from");
    run(wimlib().args(["verify", "--quiet"]).arg(&from_iso)).ok();
}

#[test]
fn an_image_is_applied_and_extracted_from_an_iso() {
    let media = Media::new();
    let describe = |folder: &Path| describe(folder, Times::Compare).expect("a tree");
    for (path, image) in [("sources/install.wim", "2"), ("sources/boot.wim", "1")] {
        let (ours, theirs) = (media.path("ours"), media.path("theirs"));
        wimx("apply", &media.inside(path), &[image, text(&ours)]);
        let wim = media.path("media").join(path);
        run(wimlib().arg("apply").arg(wim).arg(image).arg(&theirs)).ok();
        assert_same(path, &describe(&theirs), &describe(&ours));
        for folder in [ours, theirs] {
            fs::remove_dir_all(folder).expect("it can be removed");
        }
    }
    let out = wimx("extract", &media.iso, &["1", "/text/own.txt", "--to-stdout"]).stdout;
    let original = fs::read(media.path("trees/first/text/own.txt")).expect("it is in the tree");
    assert!(out == original);
}
