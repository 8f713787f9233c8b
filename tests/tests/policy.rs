//! Rules about the repository itself.

use std::fs;
use std::path::Path;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// `wim-format` is ours, by path. The registry holds copyleft crates of this and near names; none of
/// them may ever come in, directly or below another dependency.
#[test]
fn no_crate_with_our_name_comes_from_the_registry() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let text = fs::read_to_string(repository().join(lock)).expect("the lock file is committed");
        let packages: Vec<&str> = text.split("[[package]]").skip(1).collect();
        assert!(packages.len() > 50, "{lock} is not understood");
        let ours = packages.iter().filter(|package| package.contains("name = \"wim-format\"\n"));
        let sources = ours.map(|package| package.contains("\nsource = ")).collect::<Vec<_>>();
        assert_eq!(sources, [false], "{lock}: wim-format must be the one of this repository");
        for banned in ["wim", "wim-types", "ms-compress", "wimlib"] {
            let name = format!("name = \"{banned}\"\n");
            assert!(!packages.iter().any(|package| package.contains(&name)), "{lock}: {banned}");
        }
    }
}

/// Every fuzz target is listed in the manifest, replayed by `regressions.rs`, and nothing else is.
#[test]
fn every_fuzz_target_is_built_and_replayed() {
    let folder = repository().join("fuzz/fuzz_targets");
    let manifest = fs::read_to_string(repository().join("fuzz/Cargo.toml")).expect("a manifest");
    let replay =
        fs::read_to_string(repository().join("tests/tests/regressions.rs")).expect("a test");
    let mut targets = 0;
    for entry in fs::read_dir(folder).expect("there are targets") {
        let name = entry.expect("a readable folder").file_name().into_string().expect("ASCII");
        let target = name.strip_suffix(".rs").expect("only Rust files");
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}\"")),
            "{target}: not built"
        );
        assert!(replay.contains(&format!("fuzz_targets/{name}\"")), "{target}: not replayed");
        targets += 1;
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets);
}
