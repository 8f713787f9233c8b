//! A strict description of a directory tree.
//!
//! Everything that a POSIX target keeps of an image is compared: names byte for byte, kinds, sizes,
//! content, modification times to the nanosecond, link targets, which names are one file, and
//! permission bits. Two trees are equal when their descriptions are.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sha1::{Digest, Sha1};

/// What stands for the tree's own path in link targets.
pub const ROOT: &[u8] = b"<root>";

/// What is to be compared beyond names, kinds, content and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Modification times of everything.
    Compare,
    /// None: for trees whose maker does not keep them.
    Ignore,
}

/// One name in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Modification time: seconds and nanoseconds; zero when times are ignored.
    pub modified: (i64, i64),
}

/// The kind of an entry, with what is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// SHA-1 of the content.
        sha1: [u8; 20],
        /// The first name (in byte order) of the same file; its own name when it has only one.
        same_as: Vec<u8>,
    },
    /// A symbolic link and its target, where the path of the described tree itself is written as
    /// [`ROOT`]: tools correct absolute targets to the place an image is applied to.
    Symlink(Vec<u8>),
    /// Anything else: device, socket, pipe (the type bits of its mode).
    Special(u32),
}

/// A whole tree: paths relative to its root (`""` is the root itself).
pub type Tree = BTreeMap<Vec<u8>, Entry>;

/// Describes the tree at `root`. Files are read by all processors.
///
/// # Errors
/// When something in the tree cannot be read.
pub fn describe(root: &Path, times: Times) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut first_names: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    let mut names = vec![Vec::new()];
    while let Some(name) = names.pop() {
        let path = root.join(OsStr::from_bytes(&name));
        let metadata = fs::symlink_metadata(&path)?;
        let kind = if metadata.is_dir() {
            for child in fs::read_dir(&path)? {
                let mut child_name = name.clone();
                if !name.is_empty() {
                    child_name.push(b'/');
                }
                child_name.extend(child?.file_name().into_vec());
                names.push(child_name);
            }
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink(inside(root, fs::read_link(&path)?.into_os_string().into_vec()))
        } else if metadata.is_file() {
            let first = first_names.entry((metadata.dev(), metadata.ino())).or_insert(name.clone());
            if name < *first {
                first.clone_from(&name);
            }
            Kind::File { size: metadata.len(), sha1: [0; 20], same_as: Vec::new() }
        } else {
            Kind::Special(metadata.mode() & 0o170_000)
        };
        let modified = match times {
            Times::Compare => (metadata.mtime(), metadata.mtime_nsec()),
            Times::Ignore => (0, 0),
        };
        tree.insert(name, Entry { kind, mode: metadata.mode() & 0o7777, modified });
    }
    let hashes = hash_all(root, first_names.values())?;
    for (name, entry) in &mut tree {
        if let Kind::File { sha1, same_as, .. } = &mut entry.kind {
            let metadata = fs::symlink_metadata(root.join(OsStr::from_bytes(name)))?;
            same_as.clone_from(&first_names[&(metadata.dev(), metadata.ino())]);
            *sha1 = hashes[same_as];
        }
    }
    Ok(tree)
}

/// The link target with `root` replaced by [`ROOT`].
fn inside(root: &Path, target: Vec<u8>) -> Vec<u8> {
    match target.strip_prefix(root.as_os_str().as_bytes()) {
        Some(rest) if rest.is_empty() || rest[0] == b'/' => [ROOT, rest].concat(),
        _ => target,
    }
}

/// The tree as capturing and applying it leaves it on any machine: absolute link targets lead into
/// the tree, permissions are the user's own, times are whole ticks of 100 ns.
#[must_use]
pub fn after_a_round_trip(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    for entry in tree.values_mut() {
        entry.mode = 0;
        entry.modified.1 -= entry.modified.1 % 100;
        if let Kind::Symlink(target) = &mut entry.kind
            && target.starts_with(b"/")
        {
            *target = [ROOT, target].concat();
        }
    }
    tree
}

/// Hashes the named files, several at a time.
fn hash_all<'a>(
    root: &Path,
    names: impl Iterator<Item = &'a Vec<u8>>,
) -> io::Result<HashMap<Vec<u8>, [u8; 20]>> {
    let names: Vec<&Vec<u8>> = names.collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((name.to_vec(), hash(&root.join(OsStr::from_bytes(name)), &mut buffer)?));
        }
        io::Result::Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut hashes = HashMap::new();
        for worker in workers {
            hashes.extend(worker.join().expect("hashing does not panic")?);
        }
        Ok(hashes)
    })
}

fn hash(path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 20]> {
    let mut file = File::open(path)?;
    let mut sha1 = Sha1::new();
    loop {
        let n = file.read(buffer)?;
        if n == 0 {
            return Ok(sha1.finalize().into());
        }
        sha1.update(&buffer[..n]);
    }
}

/// Fails the test with a list of differences unless both trees are equal.
///
/// # Panics
/// When they differ.
pub fn assert_same(what: &str, expected: &Tree, found: &Tree) {
    let differences = differences(expected, found);
    if differences.is_empty() {
        return;
    }
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
    panic!("{what}: {} differences:\n  {shown}", differences.len());
}

/// Every difference, as one line each.
#[must_use]
pub fn differences(expected: &Tree, found: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, entry) in expected {
        let name_text = String::from_utf8_lossy(name);
        match found.get(name) {
            None => lines.push(format!("{name_text}: missing")),
            Some(other) if other != entry => {
                lines.push(format!("{name_text}: expected {entry:?}, found {other:?}"));
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        lines.push(format!("{}: not expected", String::from_utf8_lossy(name)));
    }
    lines
}
