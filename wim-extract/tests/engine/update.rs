//! Capturing, updating and rebuilding, against a model in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wim_extract::capture::{self, Exclusions, SourceTree};
use wim_extract::export::{Compression, Grouping, IntegrityTable, Recompress, Solid, SolidOrder};
use wim_extract::pipeline::Threads;
use wim_extract::update::{self, AddOptions, Command, Directories, Missing};
use wim_extract::{Cancel, Error, Silent, rebuild};
use wim_format::{Codec, Level};

use crate::samples;

/// Files of an image by path; `None` is a directory.
type Model = BTreeMap<String, Option<Vec<u8>>>;

fn model_of(path: &Path, image: u32) -> Model {
    let wim = samples::open_file(path);
    let tree = wim.metadata(wim.image(image).unwrap()).unwrap();
    let mut model = Model::new();
    for id in tree.ids() {
        let dentry = tree.dentry(id);
        let path = String::from_utf8(tree.path(id)).unwrap();
        let hash = dentry.data_hash();
        let data = match wim.find(&hash) {
            Some(blob) => samples::read(&wim, blob),
            None => Vec::new(),
        };
        model.insert(path, (!dentry.is_directory()).then_some(data));
    }
    model
}

fn capture(source: &Path, to: &Path, options: &capture::Options) -> capture::Outcome {
    let sources = [SourceTree::root(source.to_owned())];
    capture::run(&sources, to, options, &Silent, &Cancel::new()).unwrap()
}

fn write(path: &Path, data: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, data).unwrap();
}

/// What a file `seed` holds: sizes around the borders of chunks and batches.
fn data(seed: u8) -> Vec<u8> {
    const SIZES: [usize; 8] = [0, 1, 4095, 32_768, 32_769, 200_000, 1 << 20, (8 << 20) + 70_001];
    let size = SIZES[usize::from(seed) % SIZES.len()];
    let noise = samples::noise(size.min(40_000), u64::from(seed));
    noise.into_iter().cycle().take(size).collect()
}

#[test]
fn what_is_captured_does_not_depend_on_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("tree");
    for seed in 0..8 {
        write(&source.join(format!("d{}/f{seed}", seed % 3)), &data(seed));
        write(&source.join(format!("again/f{seed}")), &data(seed));
    }
    // Two large files of one length: neither may be taken for the other.
    write(&source.join("large1"), &samples::noise(9 << 20, 1));
    write(&source.join("large2"), &samples::noise(9 << 20, 2));
    write(&source.join("large3"), &samples::noise(9 << 20, 1));
    // The first reading may change access times, which are stored.
    capture(&source, &dir.path().join("first.wim"), &capture::Options::default());
    let chunks = |codec, chunk_size| Compression::Chunks { codec, chunk_size };
    for compression in
        [Compression::Stored, chunks(Codec::Xpress, 4096), chunks(Codec::Lzx, 1 << 21)]
    {
        let [one, four] = [1, 4].map(|threads| {
            let to = dir.path().join(format!("{threads}.wim"));
            let options = capture::Options {
                threads: Threads::new(threads),
                compression: Some(compression),
                level: Level::Fast,
                guid: Some([1; 16]),
                integrity: IntegrityTable::Write,
                ..Default::default()
            };
            capture(&source, &to, &options);
            let found = samples::verify(&samples::open_file(&to), 2);
            assert!(found.is_sound(), "{compression:?}: {:?}", found.problems);
            let header = samples::open_file(&to).header().clone();
            let bytes = fs::read(&to).unwrap();
            bytes[208..header.blob_table.end() as usize].to_vec()
        });
        assert!(one == four, "{compression:?}");
    }
    let model = model_of(&dir.path().join("1.wim"), 1);
    for seed in 0..8 {
        assert_eq!(model[&format!("/again/f{seed}")], Some(data(seed)));
    }
    assert_eq!(model["/large2"], Some(samples::noise(9 << 20, 2)));
    let wim = samples::open_file(&dir.path().join("1.wim"));
    let large = wim.blobs().filter(|(_, blob)| blob.size == 9 << 20);
    assert_eq!(large.map(|(_, blob)| blob.refcount).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_file_that_changes_meanwhile_is_not_stored() {
    /// Appends to a file as soon as the scan is over.
    struct Meddler(PathBuf);
    impl wim_extract::Progress for Meddler {
        fn end(&self, phase: wim_extract::progress::Phase) {
            if phase == wim_extract::progress::Phase::Scan {
                fs::write(&self.0, b"something else").unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (source, to) = (dir.path().join("tree"), dir.path().join("out.wim"));
    for size in [10, 20 << 20] {
        write(&source.join("f"), &samples::noise(size, 1));
        let sources = [SourceTree::root(source.clone())];
        let meddler = Meddler(source.join("f"));
        let options = capture::Options::default();
        let error = capture::run(&sources, &to, &options, &meddler, &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        assert!(!to.exists());
    }
}

#[test]
fn trees_are_laid_over_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write(&path("a/x/one"), b"1");
    write(&path("a/y"), b"old");
    write(&path("b/x/two"), b"2");
    write(&path("b/y"), b"new");
    let source = |name: &str, destination: &str| SourceTree {
        path: path(name),
        destination: destination.into(),
    };
    let sources = [source("a", "/"), source("b", ""), source("a/y", r"deep\er/z")];
    let (to, options) = (path("out.wim"), capture::Options::default());
    capture::run(&sources, &to, &options, &Silent, &Cancel::new()).unwrap();
    let file = |data: &str| Some(data.as_bytes().to_vec());
    let expected = [
        ("/", None),
        ("/deep", None),
        ("/deep/er", None),
        ("/deep/er/z", file("old")),
        ("/x", None),
        ("/x/one", file("1")),
        ("/x/two", file("2")),
        ("/y", file("new")),
    ];
    let expected = expected.into_iter().map(|(path, data)| (path.to_owned(), data));
    assert_eq!(model_of(&to, 1), expected.collect());
    let clash = [source("a", "/"), source("b", "/y")];
    let error = capture::run(&clash, &to, &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 40, "{error}");
}

#[test]
fn images_are_removed_with_what_only_they_need() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, wim) = (dir.path().join("tree"), dir.path().join("x.wim"));
    let into = capture::Into::Existing;
    for (image, name) in ["one", "two", "three"].into_iter().enumerate() {
        write(&tree.join("shared"), &data(5));
        write(&tree.join("own"), &samples::noise(50_000, image as u64));
        let into = if image == 0 { capture::Into::New } else { into };
        let options = capture::Options { name: name.into(), into, ..Default::default() };
        capture(&tree, &wim, &options);
    }
    let before = fs::read(&wim).unwrap();
    let two = [samples::open_file(&wim).image(2).unwrap()];
    let check = |blobs: usize| {
        let wim = samples::open_file(&wim);
        assert!(samples::verify(&wim, 1).is_sound());
        assert_eq!(wim.image_count(), 2);
        assert!(wim.image_named("three").is_some_and(|image| image.get() == 2));
        assert_eq!(wim.blob_count() as usize, blobs);
    };
    let soft = update::Options::default();
    let done = update::remove_images(&wim, &two, &soft, &Silent, &Cancel::new()).unwrap();
    assert!(done.after > done.before);
    check(3);
    let estimate = rebuild::estimate(&samples::open_file(&wim), Threads::ONE, &Cancel::new());
    let options = rebuild::Options::default();
    let done = rebuild::run(&wim, &options, &Silent, &Cancel::new()).unwrap();
    assert!(estimate.unwrap().abs_diff(done.after) < 16, "digits of the length in the XML");
    check(3);
    let softly = fs::read(&wim).unwrap();
    fs::write(&wim, before).unwrap();
    let options = rebuild::Options { without: two.to_vec(), ..Default::default() };
    rebuild::run(&wim, &options, &Silent, &Cancel::new()).unwrap();
    check(3);
    assert_eq!(fs::read(&wim).unwrap().len(), softly.len());
}

#[test]
fn a_command_that_cannot_be_carried_out_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, wim) = (dir.path().join("tree"), dir.path().join("x.wim"));
    write(&tree.join("d/f"), b"data");
    capture(&tree, &wim, &capture::Options::default());
    let before = fs::read(&wim).unwrap();
    let image = samples::open_file(&wim).image(1).unwrap();
    let rename = |from: &str, to: &str| Command::Rename { from: from.into(), to: to.into() };
    let delete = |path: &str| Command::Delete {
        path: path.into(),
        missing: Missing::Refuse,
        directories: Directories::Refuse,
    };
    for (command, code) in [
        (rename("/none", "/x"), 49),
        (rename("/d", "/d/e"), 41),
        (rename("/d", "/"), 41),
        (delete("/d"), 32),
        (delete("/none"), 49),
    ] {
        let commands = [rename("/d/f", "/g"), command];
        let options = update::Options::default();
        let error =
            update::run(&wim, image, &commands, &options, &Silent, &Cancel::new()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(fs::read(&wim).unwrap() == before);
    }
}

/// A step of the random test.
#[derive(Debug, Clone)]
enum Step {
    Add(String, u8),
    Delete(String),
    Rename(String, String),
    Append(u8),
    Optimize(usize),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (path(), 0..6u8).prop_map(|(path, seed)| Step::Add(path, seed)),
        2 => path().prop_map(Step::Delete),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (0..6u8).prop_map(Step::Append),
        1 => (0..6usize).prop_map(Step::Optimize),
    ]
}

fn below<'m>(model: &'m Model, path: &str) -> Vec<&'m String> {
    let inside = format!("{}/", path.trim_end_matches('/'));
    model.keys().filter(|key| *key == path || key.starts_with(&inside)).collect()
}

fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".into(),
        Some((parent, _)) => parent.into(),
    }
}

/// What a command makes of the model; `None` where it must fail.
fn expected(model: &Model, step: &Step) -> Option<Model> {
    let mut new = model.clone();
    match step {
        Step::Add(path, seed) => {
            if model.get(path).is_some_and(Option::is_none) {
                return None;
            }
            let mut above = parent(path);
            while above != "/" {
                if model.get(&above).is_some_and(Option::is_some) {
                    return None;
                }
                new.insert(above.clone(), None);
                above = parent(&above);
            }
            new.insert(path.clone(), Some(data(*seed)));
        }
        Step::Delete(path) => {
            model.get(path)?;
            below(model, path).into_iter().for_each(|key| drop(new.remove(key)));
        }
        Step::Rename(from, to) => {
            let moved = model.get(from)?;
            if model.get(&parent(to))?.is_some() || below(model, from).contains(&&parent(to)) {
                return None;
            }
            if let Some(there) = model.get(to).filter(|_| from != to)
                && (there.is_none() != moved.is_none() || below(model, to).len() > 1)
            {
                return None;
            }
            new.remove(to).filter(|_| from != to);
            for key in below(model, from) {
                let data = new.remove(key).unwrap_or_else(|| model[key].clone());
                new.insert(format!("{to}{}", &key[from.len()..]), data);
            }
        }
        Step::Append(_) | Step::Optimize(_) => {}
    }
    Some(new)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_do_what_a_model_does(steps in prop::collection::vec(step(), 1..14)) {
        let dir = tempfile::tempdir().unwrap();
        let (tree, wim, added) =
            (dir.path().join("tree"), dir.path().join("x.wim"), dir.path().join("added"));
        fs::create_dir(&tree).unwrap();
        capture(&tree, &wim, &capture::Options::default());
        let mut model = Model::from([("/".to_owned(), None)]);
        for step in steps {
            let before = fs::read(&wim).unwrap();
            let command = match &step {
                Step::Add(path, seed) => {
                    fs::write(&added, data(*seed)).unwrap();
                    let options =
                        AddOptions { exclusions: Exclusions::none(), ..Default::default() };
                    let destination = path.clone().into_bytes();
                    Some(Command::Add { source: added.clone(), destination, options })
                }
                Step::Delete(path) => Some(Command::Delete {
                    path: path.clone().into_bytes(),
                    missing: Missing::Refuse,
                    directories: Directories::Remove,
                }),
                Step::Rename(from, to) => Some(Command::Rename {
                    from: from.clone().into_bytes(),
                    to: to.clone().into_bytes(),
                }),
                Step::Append(seed) => {
                    fs::write(tree.join("f"), data(*seed)).unwrap();
                    let into = capture::Into::Existing;
                    capture(&tree, &wim, &capture::Options { into, ..Default::default() });
                    None
                }
                Step::Optimize(kind) => {
                    let codec = if kind % 2 == 0 { Codec::Lzx } else { Codec::Xpress };
                    let chunk_size = if *kind < 3 { 32768 } else { 65536 };
                    let compression = match kind {
                        0 => Compression::AsSource,
                        _ => Compression::Chunks { codec, chunk_size },
                    };
                    let solid = Solid {
                        codec: Codec::Lzms,
                        chunk_size: 128 << 10,
                        level: Level::Fast,
                        order: SolidOrder::Name,
                    };
                    let options = rebuild::Options {
                        compression,
                        grouping: match kind {
                            0 => Grouping::Keep,
                            5 => Grouping::Solid(solid),
                            _ => Grouping::Single,
                        },
                        recompress: Recompress::WhenNeeded,
                        integrity: IntegrityTable::Write,
                        ..Default::default()
                    };
                    rebuild::run(&wim, &options, &Silent, &Cancel::new()).unwrap();
                    None
                }
            };
            if let Some(command) = command {
                let image = samples::open_file(&wim).image(1).unwrap();
                let options = update::Options::default();
                let done =
                    update::run(&wim, image, &[command], &options, &Silent, &Cancel::new());
                match expected(&model, &step) {
                    Some(new) => {
                        prop_assert!(done.is_ok(), "{step:?}: {done:?}");
                        model = new;
                    }
                    None => {
                        prop_assert!(done.is_err(), "{step:?}");
                        prop_assert!(fs::read(&wim).unwrap() == before);
                    }
                }
            }
            prop_assert_eq!(&model_of(&wim, 1), &model);
            prop_assert!(samples::verify(&samples::open_file(&wim), 2).is_sound());
        }
    }
}
