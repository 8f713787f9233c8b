//! ISO images made by `genisoimage -udf`, read by us and by 7-Zip.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wim_extract::source::{
    self, Access, Source,
    udf::{EntryKind, Iso},
};

/// Runs a program that `tests/run` installs; its failure or absence fails the test.
fn run(program: &str, configure: impl FnOnce(&mut Command) -> &mut Command) {
    let output = configure(&mut Command::new(program)).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

struct Media {
    dir: tempfile::TempDir,
    iso: PathBuf,
}

impl Media {
    /// Files of all sizes around a block, many in one directory, names of one and two bytes a
    /// character, and what an installation medium has.
    fn new() -> Media {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let write = |path: &str, len: usize| {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content: Vec<u8> = (0..len).map(|i| ((i * i) >> 5) as u8 ^ len as u8).collect();
            fs::write(path, content).unwrap();
        };
        write("sources/install.wim", 3_000_000);
        write("sources/boot.wim", 700_001);
        write("setup.exe", 1);
        write("empty", 0);
        write("Ünï cödé/日本語/名前.txt", 100);
        for len in [1, 2047, 2048, 2049, 4095, 4096, 4097] {
            write(&format!("sizes/{len}"), len);
        }
        for i in 0..300 {
            write(&format!("many/a file with a rather long name, number {i:04}.txt"), i);
        }
        let iso = dir.path().join("media.iso");
        run("genisoimage", |command| {
            let options = ["-quiet", "-udf", "-input-charset", "utf-8", "-V", "TEST_MEDIA", "-o"];
            command.args(options).arg(&iso).arg(&tree)
        });
        Media { dir, iso }
    }
}

fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn read_all(source: &dyn Source) -> Vec<u8> {
    source.bytes(0, source.len() as usize).unwrap().to_vec()
}

#[test]
fn every_file_equals_what_went_in_and_what_7zip_reads() {
    let media = Media::new();
    let unpacked = media.dir.path().join("7z");
    run("7zz", |command| command.arg("x").arg(format!("-o{}", unpacked.display())).arg(&media.iso));
    let expected = files_below(&media.dir.path().join("tree"));
    assert_eq!(files_below(&unpacked), expected);
    for access in [Access::Map, Access::Read] {
        let iso = Iso::open(&media.iso, access).unwrap();
        assert_eq!(iso.label(), "TEST_MEDIA");
        let entries = iso.entries().unwrap();
        let files: BTreeMap<_, _> = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::File)
            .map(|entry| (entry.path.clone(), read_all(&*iso.source(entry).unwrap())))
            .collect();
        assert_eq!(files, expected);
        for entry in &entries {
            let path = media.dir.path().join("tree").join(&entry.path);
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let noted = entry.modified.unwrap();
            // genisoimage writes whole seconds.
            assert!(modified.duration_since(noted).unwrap().as_secs() < 1, "{}", entry.path);
        }
    }
}

#[test]
fn paths_into_images_and_the_archive_by_itself() {
    let media = Media::new();
    let tree = media.dir.path().join("tree");
    let install = fs::read(tree.join("sources/install.wim")).unwrap();
    let iso = media.iso.display();
    let open = |path: String| source::open(Path::new(&path), Access::Map);

    let found = open(format!("{iso}")).unwrap();
    assert_eq!(read_all(&*found), install);
    assert_eq!(found.name(), format!("{iso}:sources/install.wim"));
    assert_eq!(read_all(&*open(format!("{iso}:/Sources\\INSTALL.wim")).unwrap()), install);
    let extents = found.file_extents(1000, 2_000_000).unwrap();
    assert_eq!(extents.len(), 1, "the extents of one file follow each other");
    assert_eq!(extents[0].len, 2_000_000);

    let error = open(format!("{iso}:sources/none.wim")).unwrap_err().to_string();
    assert!(error.contains("sources/boot.wim, sources/install.wim"), "{error}");
    let error = open(format!("{iso}:sources")).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");

    // A file whose own name has a colon is taken as it stands.
    let odd = media.dir.path().join("media.iso:setup.exe");
    fs::write(&odd, b"odd").unwrap();
    assert_eq!(read_all(&*source::open(&odd, Access::Read).unwrap()), b"odd");
}

#[test]
fn an_image_without_archive_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    let iso = dir.path().join("empty.iso");
    run("genisoimage", |command| {
        command.args(["-quiet", "-udf", "-o"]).arg(&iso).arg(dir.path().join("tree"))
    });
    let error = source::open(&iso, Access::Map).unwrap_err().to_string();
    assert!(error.contains("there is no sources/install.wim"), "{error}");
    assert!(error.contains(":path/file.wim"), "{error}");

    run("genisoimage", |command| {
        command.args(["-quiet", "-J", "-o"]).arg(&iso).arg(dir.path().join("tree"))
    });
    let error = source::open(&iso, Access::Map).unwrap_err().to_string();
    assert!(error.contains("UDF"), "{error}");
}

#[test]
fn patterns_expand_inside_images_and_outside() {
    let media = Media::new();
    let iso = media.iso.display();
    let expand = |pattern: String| source::expand(&pattern, Access::Map).unwrap();
    let paths = expand(format!("{iso}:sources/*.WIM"));
    let names = ["boot", "install"].map(|n| PathBuf::from(format!("{iso}:sources/{n}.wim")));
    assert_eq!(paths, names);
    assert!(expand(format!("{iso}:*.wim")).is_empty(), "a star stays within its directory");
    let outside = expand(format!("{}/tree/s*/*.wim", media.dir.path().display()));
    assert_eq!(outside.len(), 2);
    assert!(source::expand("***bad", Access::Map).is_err());
}
