//! Small images for the tests of apply and extract, and what a directory holds afterwards.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use wim_extract::{
    Cancel, Error, Progress,
    apply::{self, Options, Outcome},
    archive::Wim,
    source::MemorySource,
};
use wim_format::{
    Sha1Hash,
    metadata::{EntryId, ImageBuilder, Inode, Metadata, Reparse},
    name::Utf16NameBuf,
    testing::{Chunks, TinyWim},
    time::FileTime,
};

pub const ROOT: EntryId = ImageBuilder::ROOT;

/// 2020-01-02 03:04:05.1234567 UTC.
pub const TIME: FileTime = FileTime(0x01d5_c119_4ad6_d707);

/// An image in the making.
///
/// Names are checked by the builder, so hostile characters are written as stand-ins from the
/// private use area and exchanged in the finished metadata: U+F02F for `/`, U+F05C for `\`, U+F02E
/// for `.` and U+F000 for NUL.
pub struct Image {
    pub wim: TinyWim,
    pub tree: ImageBuilder,
}

impl Default for Image {
    fn default() -> Image {
        Image::new(TinyWim::new(None, 0))
    }
}

impl Image {
    pub fn new(wim: TinyWim) -> Image {
        Image { wim, tree: ImageBuilder::new(Inode::directory().at(TIME)) }
    }

    pub fn blob(&mut self, data: &[u8]) -> Sha1Hash {
        if data.is_empty() { Sha1Hash::ZERO } else { self.wim.blob(data, Chunks::Stored) }
    }

    pub fn dir(&mut self, parent: EntryId, name: &str) -> EntryId {
        self.tree.add(parent, name, Inode::directory().at(TIME)).unwrap()
    }

    pub fn file(&mut self, parent: EntryId, name: &str, data: &[u8]) -> EntryId {
        let hash = self.blob(data);
        self.tree.add(parent, name, Inode::file(hash).at(TIME)).unwrap()
    }

    /// A symbolic link that is stored as relative.
    pub fn symlink(&mut self, parent: EntryId, name: &str, target: &str) -> EntryId {
        self.reparse(parent, name, 0xa000_000c, 0, &link_data(target, Some(1)))
    }

    /// A symbolic link to an absolute target; `flags` 1 says that it was not fixed up.
    pub fn absolute(&mut self, parent: EntryId, name: &str, target: &str, flags: u16) -> EntryId {
        self.reparse(parent, name, 0xa000_000c, flags, &link_data(target, Some(0)))
    }

    pub fn reparse(
        &mut self,
        parent: EntryId,
        name: &str,
        tag: u32,
        flags: u16,
        data: &[u8],
    ) -> EntryId {
        let reparse = Reparse { tag, flags, hash: self.blob(data), ..Reparse::default() };
        self.tree.add(parent, name, Inode::reparse_point(reparse).at(TIME)).unwrap()
    }

    pub fn bytes(mut self) -> Vec<u8> {
        let metadata = exchange(self.tree.to_bytes().unwrap());
        self.wim.image("image", metadata, Chunks::Stored);
        self.wim.build()
    }

    pub fn open(self) -> Wim {
        open(self.bytes())
    }
}

pub fn open(bytes: Vec<u8>) -> Wim {
    Wim::from_source(Arc::new(MemorySource::new(bytes, "test.wim")), []).unwrap()
}

/// The data of a symbolic link (with flags) or a junction (without).
pub fn link_data(target: &str, flags: Option<u32>) -> Vec<u8> {
    let name = Utf16NameBuf::from(target);
    let name = name.as_name();
    let len = name.as_bytes().len() as u16;
    let mut data: Vec<u8> = [0, len, len, 0].into_iter().flat_map(u16::to_le_bytes).collect();
    data.extend(flags.into_iter().flat_map(u32::to_le_bytes));
    data.extend(name.as_bytes());
    data
}

/// Puts hostile characters in the place of their stand-ins, in names alone.
fn exchange(mut metadata: Vec<u8>) -> Vec<u8> {
    let tree = Metadata::parse(metadata.as_slice()).unwrap();
    let start = tree.bytes().as_ptr() as usize;
    let names = tree.ids().map(|id| {
        let name = tree.dentry(id).name().as_bytes();
        ((name.as_ptr() as usize).wrapping_sub(start), name.len())
    });
    // The root has no name, and thus no place in the metadata.
    let names: Vec<_> = names.filter(|&(_, len)| len > 0).collect();
    for (start, len) in names {
        for unit in metadata[start..start + len].chunks_exact_mut(2) {
            if unit[1] == 0xf0 && [0x2f, 0x5c, 0x2e, 0x00].contains(&unit[0]) {
                unit[1] = 0;
            }
        }
    }
    metadata
}

/// Keeps the warnings of a run.
#[derive(Default)]
pub struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn warning(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl Heard {
    pub fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Applies image 1; gives the warnings too.
pub fn apply(wim: &Wim, target: &Path, options: &Options) -> (Result<Outcome, Error>, Vec<String>) {
    let heard = Heard::default();
    let image = wim.image(1).unwrap();
    let result = apply::run(wim, image, target, options, &heard, &Cancel::new());
    (result, heard.warnings())
}

/// Applies image 1, which has to succeed without warnings.
pub fn apply_cleanly(wim: &Wim, target: &Path, options: &Options) -> Outcome {
    let (result, warnings) = apply(wim, target, options);
    assert_eq!(warnings, Vec::<String>::new());
    result.unwrap()
}

/// A file, directory or link as found on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    Dir,
    /// Content and number of names.
    File(Vec<u8>, u64),
    Link(PathBuf),
    Other(u32),
}

/// All that is below `root`, links not followed.
pub fn found_in(root: &Path) -> BTreeMap<PathBuf, Found> {
    let mut all = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let found = if metadata.is_dir() {
                pending.push(path.clone());
                Found::Dir
            } else if metadata.is_symlink() {
                Found::Link(fs::read_link(&path).unwrap())
            } else if metadata.is_file() {
                Found::File(fs::read(&path).unwrap(), metadata.nlink())
            } else {
                Found::Other(metadata.mode())
            };
            all.insert(path.strip_prefix(root).unwrap().to_owned(), found);
        }
    }
    all
}

/// The paths below `root`, escaped so that they can be written in a test.
pub fn names_in(root: &Path) -> Vec<String> {
    let escaped = |path: &PathBuf| path.as_os_str().as_bytes().escape_ascii().to_string();
    found_in(root).keys().map(escaped).collect()
}

/// The modification time of what is at `path` itself: seconds and nanoseconds.
pub fn time_of(path: &Path) -> (i64, i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.mtime(), metadata.mtime_nsec())
}

/// [`TIME`] as [`time_of`] gives it.
pub const TIME_FOUND: (i64, i64) = (1_577_934_245, 123_456_700);

/// Bytes that look like nothing in particular, different for each seed.
pub fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
