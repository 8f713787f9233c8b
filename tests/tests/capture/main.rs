//! Capturing, appending and compressing anew, judged by wimlib and 7-Zip.
//!
//! - [`shapes`]: trees of every shape with every codec, chunk size and level.
//! - [`append`]: into an archive that is there.
//! - [`options`]: what is captured and how, as wimlib does it.
//! - [`solid`]: file data compressed together.
//! - [`recompress`]: exports to another compression from every kind of archive.
//! - [`faults`]: killed, interrupted, without room, over a tree that changes.
//! - [`interrupted`]: other changes that are stopped.
//! - [`edits`]: changes at random, against a model.
//! - [`template`]: files that are unchanged since another image, and what a rebuild keeps.
//! - [`update`]: changes of an image's tree, and trees laid together from a list.
//! - [`windows`]: what is said of a captured Windows.

mod append;
mod edits;
mod faults;
mod interrupted;
mod options;
mod recompress;
mod shapes;
mod solid;
mod template;
mod trees;
mod update;
mod windows;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::child::{Finished, run};
use osupg_tests::tools::{seven_zip, wimlib};
use osupg_tests::tree::{Times, Tree, after_a_round_trip, assert_same, describe};
use osupg_tests::{bins, child};
use tempfile::TempDir;
use wim_extract::archive::{ImageTree, OpenOptions, Wim};
use wim_format::metadata::{Beside, ImageBuilder};

/// A folder for trees and archives.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = TempDir::with_prefix_in("capture-", env!("CARGO_TARGET_TMPDIR"));
        Self { folder: folder.expect("a scratch folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Our command in this folder: words between blanks, `""` for an empty one.
    fn wimx(&self, line: &str) -> Finished {
        run(&mut self.command(bins::wimx(), line))
    }

    /// wimlib's command in this folder.
    fn wimlib(&self, line: &str) -> Finished {
        run(&mut self.command(wimlib(), line))
    }

    /// A command in this folder.
    fn command(&self, mut command: Command, line: &str) -> Command {
        let words = line.split(' ').map(|word| if word == "\"\"" { "" } else { word });
        command.current_dir(self.folder.path()).args(words);
        command
    }

    /// Changes an image with a tool: `line` are words between blanks, `command` one of `update`'s.
    #[track_caller]
    fn update(&self, tool: Command, line: &str, command: &str) {
        run(self.command(tool, line).arg(format!("--command={command}"))).ok();
    }

    /// What is in this folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a listing");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("text")).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file of the scratch folder")
    }

    /// wimlib accepts all of the archive.
    #[track_caller]
    fn verifies(&self, wim: &str) {
        self.wimlib(&format!("verify --quiet {wim}")).ok();
    }

    /// 7-Zip accepts all of the archive, too.
    #[track_caller]
    fn accepted(&self, wim: &str) {
        self.verifies(wim);
        run(&mut self.command(seven_zip(), &format!("t -bd {wim}"))).ok();
    }

    /// wimlib applies the image to a tree that is equal to `tree`.
    #[track_caller]
    fn holds(&self, wim: &str, image: u32, tree: &Tree) {
        self.holds_with(wim, image, tree, "");
    }

    /// As [`holds`](Self::holds), with further options.
    #[track_caller]
    fn holds_with(&self, wim: &str, image: u32, tree: &Tree, options: &str) {
        let target = self.path("applied");
        let mut apply = wimlib();
        apply.current_dir(self.folder.path()).args(["apply", "--quiet", wim]);
        apply.arg(image.to_string()).arg(&target).args(options.split_whitespace());
        child::run(&mut apply).ok();
        assert_same(&format!("{wim}, image {image}"), tree, &seen(&target));
        fs::remove_dir_all(target).expect("an applied tree can be removed");
    }

    fn open(&self, wim: &str) -> Wim {
        Wim::open(self.path(wim), &OpenOptions::default()).expect("an archive opens")
    }

    /// The metadata of an image, with its hard-link groups numbered from 1 as they come, and links to
    /// directories as wimlib has them since 1.14.
    fn metadata(&self, wim: &str, image: u32) -> Vec<u8> {
        let wim = self.open(wim);
        let index = wim.image(image).expect("there is such an image");
        let tree = wim.metadata(index).expect("its metadata can be read");
        renumbered(without_empty_streams(&tree).unwrap_or_else(|| tree.bytes().to_vec()))
    }

    /// Everything but the XML and where things are: the metadata of all images, and hash, length and
    /// references of every blob in the order of its table.
    fn contents(&self, wim: &str) -> String {
        let wim = self.open(wim);
        let blobs: Vec<_> =
            wim.blobs().map(|(_, blob)| (blob.hash, blob.size, blob.refcount)).collect();
        let images: Vec<_> = wim
            .images()
            .map(|image| wim.metadata(image).expect("metadata").bytes().to_vec())
            .collect();
        format!("{:?} {blobs:#?} {images:?}", wim.header().flags)
    }

    /// Hash and length of every blob, sorted.
    fn blobs(&self, wim: &str) -> Vec<(String, u64)> {
        let wim = self.open(wim);
        let blobs = wim.blobs().map(|(_, blob)| (blob.hash.to_string(), blob.size));
        let mut blobs: Vec<_> = blobs.collect();
        blobs.sort();
        blobs
    }
}

/// The tree at `root` as far as an image keeps it.
fn seen(root: &Path) -> Tree {
    after_a_round_trip(&describe(root, Times::Compare).expect("a tree can be read"))
}

/// Metadata without the empty data streams that wimlib gave links to directories up to 1.13; `None` if
/// there are none.
fn without_empty_streams(tree: &ImageTree) -> Option<Vec<u8>> {
    let mut image = ImageBuilder::from_metadata(tree);
    let (mut open, mut found) = (vec![ImageBuilder::ROOT], false);
    while let Some(entry) = open.pop() {
        let beside = &mut image.inode_mut(entry).reparse.beside;
        found |= *beside == Beside::EmptyData;
        *beside = Beside::Nothing;
        open.extend(image.children(entry));
    }
    found.then(|| image.to_bytes().expect("an image"))
}

/// Numbers the hard-link groups of a metadata resource from 1 in the order in which a walk finds
/// them: what numbers a tool gives has no meaning.
fn renumbered(mut metadata: Vec<u8>) -> Vec<u8> {
    const ATTRIBUTES: usize = 0x08;
    const SUBDIR: usize = 0x10;
    const GROUP: usize = 0x58;
    const STREAMS: usize = 0x60;
    const REPARSE_POINT: u64 = 0x400;
    let number = |bytes: &[u8], at: usize, len: usize| {
        let bytes = &bytes[at..at + len];
        bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    };
    let security = number(&metadata, 0, 4).max(8).next_multiple_of(8);
    let (mut groups, mut lists) = (HashMap::new(), vec![security]);
    while let Some(mut at) = lists.pop() {
        loop {
            let place = at as usize;
            let len = number(&metadata, place, 8);
            if len <= 8 {
                break;
            }
            let group = number(&metadata, place + GROUP, 8);
            if number(&metadata, place + ATTRIBUTES, 4) & REPARSE_POINT == 0 && group != 0 {
                let next = groups.len() as u64 + 1;
                let group: u64 = *groups.entry(group).or_insert(next);
                metadata[place + GROUP..place + GROUP + 8].copy_from_slice(&group.to_le_bytes());
            }
            lists.extend(Some(number(&metadata, place + SUBDIR, 8)).filter(|&list| list != 0));
            let streams = number(&metadata, place + STREAMS, 2);
            at = (at + len).next_multiple_of(8);
            for _ in 0..streams {
                at = (at + number(&metadata, at as usize, 8)).next_multiple_of(8);
            }
        }
    }
    metadata
}
