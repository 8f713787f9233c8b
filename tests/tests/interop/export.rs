//! What `wimx export` writes, read by wimlib and 7-Zip.

use std::fs;
use std::path::Path;

use osupg_tests::capture::Kind;
use osupg_tests::child::run;
use osupg_tests::tree::{Times, Tree, after_a_round_trip, assert_same, describe};

use crate::{Archives, Scratch, Wim, accepted_by_others, peer, wimx};

#[test]
fn made_images_export() {
    all_export(Archives::made());
}

#[test]
#[ignore = "takes minutes over real files: tests/run"]
fn real_images_export() {
    Archives::real().iter().for_each(all_export);
}

fn all_export(archives: &Archives) {
    let scratch = Scratch::new();
    for wim in archives.wims() {
        one_then_another(archives, &wim, &scratch);
        all_at_once(archives, &wim, &scratch);
    }
}

/// Image 1 to a new file, then image 2 into the same file.
fn one_then_another(archives: &Archives, wim: &Wim, scratch: &Scratch) {
    let exported = scratch.path("exported.wim");
    let mut command = wimx("export --quiet");
    wim.with_parts(command.arg(&wim.path).arg("1").arg(&exported)).ok();
    accepted_by_others(&exported, written_as(wim.kind));
    holds(&exported, 1, &archives.trees[0], scratch);

    let mut command = wimx("export --quiet");
    wim.with_parts(command.arg(&wim.path).arg("2").arg(&exported).arg("Another name")).ok();
    accepted_by_others(&exported, written_as(wim.kind));
    holds(&exported, 2, &archives.trees[1], scratch);
    holds(&exported, 1, &archives.trees[0], scratch);
    let named = run(peer("info").arg(&exported).arg("Another name")).ok();
    assert!(named.text().contains("Another name"), "{}", named.text());
    scratch.clear();
}

/// All images, with an integrity table.
fn all_at_once(archives: &Archives, wim: &Wim, scratch: &Scratch) {
    let exported = scratch.path("exported.wim");
    let mut command = wimx("export --quiet --check");
    wim.with_parts(command.arg(&wim.path).arg("all").arg(&exported)).ok();
    accepted_by_others(&exported, written_as(wim.kind));
    let info = run(peer("info").arg(&exported)).ok().text();
    assert!(info.contains(&format!("Image Count:    {}", archives.trees.len())), "{info}");
    assert!(info.contains("Integrity info"), "{info}");
    let last = archives.trees.len();
    holds(&exported, last, &archives.trees[last - 1], scratch);
    scratch.clear();
}

/// An export is never pipable unless that is asked for.
fn written_as(kind: Kind) -> Kind {
    if kind == Kind::Pipable { Kind::Lzx } else { kind }
}

/// Whether wimlib finds `tree` in the image.
fn holds(wim: &Path, image: usize, tree: &Tree, scratch: &Scratch) {
    let target = scratch.path("applied");
    fs::create_dir(&target).expect("the scratch folder can be written");
    run(peer("apply --quiet").arg(wim).arg(image.to_string()).arg(&target)).ok();
    let found = describe(&target, Times::Compare).expect("an applied tree can be read");
    assert_same(&format!("{}, image {image}", wim.display()), tree, &after_a_round_trip(&found));
    fs::remove_dir_all(&target).expect("the scratch folder can be written");
}

/// The same bytes whatever the number of threads, and on every run.
#[test]
fn exports_are_reproducible() {
    let archives = Archives::made();
    let scratch = Scratch::new();
    for wim in archives.wims() {
        let mut written = Vec::new();
        for threads in ["1", "2", "7", "2"] {
            let exported = scratch.path("exported.wim");
            let mut command = wimx("export --quiet --check --verify");
            command.arg("--guid=00112233-4455-6677-8899-aabbccddeeff");
            command.arg(format!("--threads={threads}"));
            wim.with_parts(command.arg(&wim.path).arg("all").arg(&exported)).ok();
            written.push(fs::read(&exported).expect("an export can be read"));
            fs::remove_file(&exported).expect("the scratch folder can be written");
        }
        assert!(written.iter().all(|bytes| *bytes == written[0]), "{:?} differs", wim.kind);
    }
}
