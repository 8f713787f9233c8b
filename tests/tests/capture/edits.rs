//! Changes to an archive at random, against a model of what must be in it.

use std::collections::BTreeMap;
use std::fs;

use osupg_tests::bins;
use osupg_tests::corpus::{noise, text};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::Scratch;

/// What a file holds: kind, length and seed of it.
type Content = (u8, usize, u64);

/// A tree: paths and what is there.
type Files = BTreeMap<String, Content>;

/// A change.
#[derive(Debug, Clone)]
enum Step {
    /// A new archive with one image.
    Capture { files: Files, compress: usize },
    /// One more image.
    Append { files: Files, options: usize },
    /// All images to a new archive, which is the archive from then on.
    Export { options: usize },
    /// An image, counted round, to the end of the archive itself by way of another.
    Again { image: usize },
    /// A file of an image added or replaced.
    Add { image: usize, path: String, content: Content, options: usize },
    /// A file of an image removed, one that is there, counted round.
    Delete { image: usize, file: usize },
    /// A file of an image given another name; a file of that name is replaced.
    Rename { image: usize, file: usize, to: String },
    /// An image removed, unless it is the last.
    Remove { image: usize, options: usize },
    /// An image put in front.
    First { image: usize },
    /// All written anew.
    Optimize { options: usize },
    /// To a file of another kind, which is the archive from then on.
    Convert { options: usize },
    /// Split, and joined again.
    SplitAndJoin { size: usize },
}

const COMPRESS: [&str; 6] = [
    "--compress=none",
    "--compress=xpress",
    "--compress=xpress:1 --chunk-size=4K",
    "--compress=lzx:20",
    "--compress=lzx:20 --chunk-size=64K",
    "--compress=lzx:20 --chunk-size=2M --check",
];

const APPEND: [&str; 5] = ["--quiet", "--rebuild", "--boot", "--check", "--nocheck --threads=1"];

const UPDATE: [&str; 3] = ["--quiet", "--rebuild", "--check"];

const REMOVE: [&str; 3] = ["--quiet", "--soft", "--check"];

const OPTIMIZE: [&str; 6] = [
    "--quiet",
    "--recompress --check",
    "--compress=xpress",
    "--compress=lzx:20 --chunk-size=64K --nocheck",
    "--solid --solid-compress=lzms:1 --solid-chunk-size=128K",
    "--solid --compress=lzx:20 --solid-compress=xpress --no-solid-sort",
];

const CONVERT: [&str; 4] = [
    "--to=wim --compress=lzx:20",
    "--to=esd --compress=lzms:1",
    "--to=esd --compress=lzx:20 --chunk-size=256K",
    "--to=wim --compress=none --check",
];

/// MiB of a part.
const SIZES: [&str; 3] = ["0.01", "0.1", "5"];

const EXPORT: [&str; 8] = [
    "--quiet",
    "--compress=none",
    "--compress=xpress --chunk-size=64K",
    "--compress=lzx:20",
    "--compress=lzx:20 --chunk-size=256K --check",
    "--recompress",
    "--verify --threads=3",
    "--solid --solid-compress=lzms:1 --solid-chunk-size=64K",
];

fn content() -> impl Strategy<Value = Content> {
    // Few lengths and seeds: equal files, and files that are equally long, are frequent.
    let lens = prop::sample::select(vec![0, 1, 100, 4096, 32768, 32769, 70_000, 300_000]);
    (0..3u8, lens, 0..3u64)
}

fn files() -> impl Strategy<Value = Files> {
    prop::collection::btree_map("(a|b|dir/a|dir/b|dir/\u{fc}/c|x/y/z)", content(), 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (files(), 0..COMPRESS.len())
            .prop_map(|(files, compress)| Step::Capture { files, compress }),
        4 => (files(), 0..APPEND.len()).prop_map(|(files, options)| Step::Append { files, options }),
        3 => (0..EXPORT.len()).prop_map(|options| Step::Export { options }),
        1 => (0..8usize).prop_map(|image| Step::Again { image }),
        3 => (0..8usize, "(a|b|dir/a|dir/c|x/y/w)", content(), 0..UPDATE.len())
            .prop_map(|(image, path, content, options)| Step::Add { image, path, content, options }),
        2 => (0..8usize, 0..8usize).prop_map(|(image, file)| Step::Delete { image, file }),
        2 => (0..8usize, 0..8usize, "(a|b|c)")
            .prop_map(|(image, file, to)| Step::Rename { image, file, to }),
        1 => (0..8usize, 0..REMOVE.len()).prop_map(|(image, options)| Step::Remove { image, options }),
        1 => (0..8usize).prop_map(|image| Step::First { image }),
        2 => (0..OPTIMIZE.len()).prop_map(|options| Step::Optimize { options }),
        1 => (0..CONVERT.len()).prop_map(|options| Step::Convert { options }),
        2 => (0..SIZES.len()).prop_map(|size| Step::SplitAndJoin { size }),
    ]
}

fn bytes((kind, len, seed): Content) -> Vec<u8> {
    match kind {
        0 => text(len, seed + 1),
        1 => noise(len, seed + 1),
        _ => vec![seed as u8; len],
    }
}

/// The archive, and what must be in each of its images, by name.
struct World {
    scratch: Scratch,
    images: Vec<(String, Files)>,
    count: usize,
}

impl World {
    /// Begins with an archive of one image.
    fn new() -> Self {
        let mut world = Self { scratch: Scratch::new(), images: Vec::new(), count: 0 };
        world.take(Step::Capture { files: Files::new(), compress: 3 });
        world
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("image{}", self.count)
    }

    /// Makes `tree` what `files` says.
    fn grow(&self, files: &Files) {
        let tree = self.scratch.path("tree");
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir(&tree).expect("a folder");
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, bytes(*content)).expect("a file");
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Capture { files, compress } => {
                self.grow(&files);
                let name = self.name();
                let options = COMPRESS[compress];
                self.scratch.wimx(&format!("capture tree w.wim {name} --quiet {options}")).ok();
                self.images = vec![(name, files)];
            }
            Step::Append { files, options } => {
                self.grow(&files);
                let name = self.name();
                let options = APPEND[options];
                self.scratch.wimx(&format!("append tree w.wim {name} {options}")).ok();
                self.images.push((name, files));
            }
            Step::Export { options } => {
                let options = EXPORT[options];
                self.scratch.wimx(&format!("export w.wim all new.wim {options}")).ok();
                self.replace();
            }
            Step::Again { image } => {
                let (old, files) = self.images[image % self.images.len()].clone();
                let name = self.name();
                self.scratch.wimx(&format!("export w.wim {old} by.wim --recompress")).ok();
                self.scratch.wimx(&format!("export by.wim 1 w.wim {name}")).ok();
                fs::remove_file(self.scratch.path("by.wim")).expect("it can be removed");
                self.images.push((name, files));
            }
            Step::Add { image, path, content, options } => {
                fs::write(self.scratch.path("added"), bytes(content)).expect("a file");
                let image = image % self.images.len();
                self.update(image, UPDATE[options], &format!("add added {path}"));
                self.images[image].1.insert(path, content);
            }
            Step::Delete { image, file } => {
                let image = image % self.images.len();
                let Some(path) = self.file(image, file) else { return };
                self.update(image, "--quiet", &format!("delete {path}"));
                self.images[image].1.remove(&path);
            }
            Step::Rename { image, file, to } => {
                let image = image % self.images.len();
                let Some(path) = self.file(image, file) else { return };
                self.update(image, "--quiet", &format!("rename {path} {to}"));
                let content = self.images[image].1.remove(&path).expect("it was there");
                self.images[image].1.insert(to, content);
            }
            Step::Remove { image, options } => {
                if self.images.len() == 1 {
                    return;
                }
                let image = image % self.images.len();
                let options = REMOVE[options];
                self.scratch.wimx(&format!("delete w.wim {} {options}", image + 1)).ok();
                self.images.remove(image);
            }
            Step::First { image } => {
                let image = image % self.images.len();
                self.scratch.wimx(&format!("reorder w.wim {}", image + 1)).ok();
                self.images[..=image].rotate_right(1);
            }
            Step::Optimize { options } => {
                self.scratch.wimx(&format!("optimize w.wim {}", OPTIMIZE[options])).ok();
            }
            Step::Convert { options } => {
                self.scratch.wimx(&format!("convert w.wim new.wim {}", CONVERT[options])).ok();
                self.replace();
            }
            Step::SplitAndJoin { size } => {
                self.scratch.wimx(&format!("split w.wim part.swm {}", SIZES[size])).ok();
                let mut parts = self.scratch.names();
                parts.retain(|name| name.starts_with("part"));
                self.scratch.wimx(&format!("join new.wim {}", parts.join(" "))).ok();
                for part in parts {
                    fs::remove_file(self.scratch.path(&part)).expect("it can be removed");
                }
                self.replace();
            }
        }
        self.check();
    }

    /// Puts `new.wim` in the place of the archive.
    fn replace(&self) {
        fs::rename(self.scratch.path("new.wim"), self.scratch.path("w.wim")).expect("a move");
    }

    /// Changes an image, counted from 0.
    fn update(&self, image: usize, options: &str, command: &str) {
        let line = format!("update w.wim {} {options}", image + 1);
        self.scratch.update(bins::wimx(), &line, command);
    }

    /// A file of an image, both counted from 0, the files round.
    fn file(&self, image: usize, file: usize) -> Option<String> {
        let files = &self.images[image].1;
        files.keys().nth(file % files.len().max(1)).cloned()
    }

    fn check(&self) {
        self.scratch.verifies("w.wim");
        self.scratch.wimx("verify w.wim --quiet").ok();
        let wim = self.scratch.open("w.wim");
        let names: Vec<_> = wim
            .images()
            .map(|image| wim.xml().property(image.get(), "NAME").expect("an image"))
            .collect();
        let expected: Vec<_> = self.images.iter().map(|(name, _)| Some(name.clone())).collect();
        assert_eq!(names, expected);
        for (image, (name, files)) in (1..).zip(&self.images) {
            assert_eq!(self.applied(image), wanted(files), "{name}");
        }
    }

    /// Every file of an image and what it holds.
    fn applied(&self, image: usize) -> BTreeMap<String, Vec<u8>> {
        let target = self.scratch.path("applied");
        self.scratch.wimx(&format!("apply w.wim {image} applied --quiet")).ok();
        let mut found = BTreeMap::new();
        let mut pending = vec![target.clone()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder).expect("a listing") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    let within = path.strip_prefix(&target).expect("it is below");
                    let name = within.to_str().expect("UTF-8").to_owned();
                    found.insert(name, fs::read(path).expect("a file"));
                }
            }
        }
        fs::remove_dir_all(target).expect("it can be removed");
        found
    }
}

fn wanted(files: &Files) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(path, content)| (path.clone(), bytes(*content))).collect()
}

fn any_steps_leave_what_the_model_says(cases: u32, steps: usize) {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let all = prop::collection::vec(step(), 1..steps);
    let run = TestRunner::new(config).run(&all, |steps| {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.take(step));
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

#[test]
fn a_few_changes() {
    any_steps_leave_what_the_model_says(6, 10);
}

#[test]
#[ignore = "takes minutes: tests/run"]
fn many_changes() {
    any_steps_leave_what_the_model_says(24, 30);
}
