//! What differs between two images: by names, metadata and the SHA-1 of all data, none of which is
//! read.
//!
//! Both trees are walked side by side. What only one of them has is added or removed; if a removed
//! file and an added one have the same data, the file was renamed.

mod renames;

use std::cmp::Ordering;
use std::sync::Arc;

use bitflags::bitflags;
use wim_format::Sha1Hash;
use wim_format::metadata::{Dentry, DentryId, HardLinks, StreamKind};

use crate::archive::{ImageIndex, ImageTree, Wim};
use crate::error::Error;

bitflags! {
    /// In what a file or directory differs. Times of last access are never compared.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Aspects: u16 {
        /// One is a directory, the other is not.
        const KIND = 1;
        /// The unnamed data (of an encrypted file, its raw form).
        const CONTENT = 1 << 1;
        /// The named data streams.
        const STREAMS = 1 << 2;
        /// The reparse point: what a link leads to.
        const TARGET = 1 << 3;
        /// The Windows attributes.
        const ATTRIBUTES = 1 << 4;
        /// The times of creation and last change.
        const TIMES = 1 << 5;
        /// The security descriptor.
        const SECURITY = 1 << 6;
        /// The number of hard links.
        const LINKS = 1 << 7;
        /// The short name (8.3).
        const SHORT_NAME = 1 << 8;
        /// Object ID, extended attributes, UNIX owner and mode.
        const EXTRAS = 1 << 9;
    }
}

/// An image of an open archive.
#[derive(Debug, Clone, Copy)]
pub struct Image<'w> {
    /// The archive.
    pub wim: &'w Wim,
    /// The image in it.
    pub index: ImageIndex,
}

/// How to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Differences that do not count.
    pub ignored: Aspects,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// All that differs, in the order of the paths; what was renamed, at its new path.
    pub changes: Vec<Change>,
    /// Number of files and directories that are the same.
    pub same: u64,
}

/// A file or directory that is not the same in both images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path as WTF-8: the new one, unless it was removed.
    pub path: Vec<u8>,
    /// What became of it.
    pub kind: ChangeKind,
    /// Whether it is a directory (or was one, if it was removed).
    pub is_directory: bool,
    /// Bytes of unnamed data before; `None` if it was not there, or its blob is in no file given.
    pub old_size: Option<u64>,
    /// Bytes of unnamed data now; `None` if it is gone, or its blob is in no file given.
    pub new_size: Option<u64>,
}

/// What became of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the new image has it.
    Added,
    /// Only the old image has it.
    Removed,
    /// It differs.
    Changed(Aspects),
    /// The old image has a file of the same data under another path.
    Renamed {
        /// The old path, as WTF-8.
        from: Vec<u8>,
        /// What else differs.
        aspects: Aspects,
    },
}

/// Compares an old image with a new one.
///
/// # Errors
/// The metadata of one of them is damaged, malformed, or in another part of a split set.
pub fn run(old: Image<'_>, new: Image<'_>, options: &Options) -> Result<Outcome, Error> {
    let (old_tree, new_tree) = (old.wim.metadata(old.index)?, new.wim.metadata(new.index)?);
    let comparison =
        Comparison { old: Side::new(old.wim, &old_tree), new: Side::new(new.wim, &new_tree) };
    let (differing, same) = comparison.walk(options.ignored);
    let differing = renames::find(&comparison, differing, options.ignored);
    let changes = differing.into_iter().map(|pair| comparison.change(pair)).collect();
    Ok(Outcome { changes, same })
}

/// One of the two images, and what of it lies outside of its dentries.
struct Side<'t> {
    wim: &'t Wim,
    tree: &'t ImageTree,
    links: HardLinks,
    security: Vec<&'t [u8]>,
}

impl<'t> Side<'t> {
    fn new(wim: &'t Wim, tree: &'t Arc<ImageTree>) -> Self {
        Self { wim, tree, links: tree.hard_links(), security: tree.security().iter().collect() }
    }

    /// The dentry that has all but the names of a file.
    fn file(&self, id: DentryId) -> Dentry<'t> {
        self.tree.dentry(self.links.first(id))
    }

    fn security(&self, file: Dentry<'_>) -> Option<&'t [u8]> {
        let id = usize::try_from(file.security_id()).ok()?;
        self.security.get(id).copied()
    }

    fn size(&self, id: DentryId) -> Option<u64> {
        match self.file(id).data_hash() {
            Sha1Hash::ZERO => Some(0),
            hash => self.wim.find(&hash).map(|blob| self.wim.blob(blob).size),
        }
    }
}

/// What is compared: a dentry of one image that has none to go with it, or one of each.
#[derive(Debug, Clone, Copy)]
enum Pair {
    Old(DentryId),
    New(DentryId),
    /// Under the same path.
    Both(DentryId, DentryId, Aspects),
    /// Under different paths, with the same data.
    Moved(DentryId, DentryId, Aspects),
}

/// Two images side by side.
struct Comparison<'t> {
    old: Side<'t>,
    new: Side<'t>,
}

impl Comparison<'_> {
    /// Goes through both trees, directories before what is in them; gives what differs, and the
    /// number of those that do not.
    fn walk(&self, ignored: Aspects) -> (Vec<Pair>, u64) {
        let (mut differing, mut same) = (Vec::new(), 0);
        let mut pending = vec![Pair::Both(DentryId::ROOT, DentryId::ROOT, Aspects::empty())];
        while let Some(pair) = pending.pop() {
            self.push_children(pair, &mut pending);
            match pair {
                Pair::Both(old, new, _) => match self.aspects(old, new) - ignored {
                    none if none.is_empty() => same += 1,
                    aspects => differing.push(Pair::Both(old, new, aspects)),
                },
                alone => differing.push(alone),
            }
        }
        (differing, same)
    }

    /// Puts what is in directories on the stack, in reverse order.
    fn push_children(&self, pair: Pair, pending: &mut Vec<Pair>) {
        let (old, new) = match pair {
            Pair::Old(old) => (Some(old), None),
            Pair::New(new) => (None, Some(new)),
            Pair::Both(old, new, _) | Pair::Moved(old, new, _) => (Some(old), Some(new)),
        };
        let old = old.into_iter().flat_map(|id| self.old.tree.children(id));
        let new = new.into_iter().flat_map(|id| self.new.tree.children(id));
        let (mut old, mut new) = (old.peekable(), new.peekable());
        let start = pending.len();
        loop {
            // Both are sorted by this order, in which only equal names are equal.
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(&old), Some(&new)) => {
                    self.old.tree.dentry(old).name().cmp_ntfs(self.new.tree.dentry(new).name())
                }
            };
            let both = match order {
                Ordering::Less => old.next().map(Pair::Old),
                Ordering::Greater => new.next().map(Pair::New),
                Ordering::Equal => old
                    .next()
                    .zip(new.next())
                    .map(|(old, new)| Pair::Both(old, new, Aspects::empty())),
            };
            pending.extend(both);
        }
        pending[start..].reverse();
    }

    /// In what two differ that are under the same name.
    fn aspects(&self, old: DentryId, new: DentryId) -> Aspects {
        let mut aspects = self.aspects_but_names(old, new);
        let short_names = (self.old.tree.dentry(old), self.new.tree.dentry(new));
        aspects.set(Aspects::SHORT_NAME, short_names.0.short_name() != short_names.1.short_name());
        aspects
    }

    fn aspects_but_names(&self, old: DentryId, new: DentryId) -> Aspects {
        let links = self.old.links.count(old) != self.new.links.count(new);
        let (old, new) = (self.old.file(old), self.new.file(new));
        let security = self.old.security(old) != self.new.security(new);
        let mut aspects = Aspects::empty();
        for (aspect, differs) in [
            (Aspects::KIND, old.is_directory() != new.is_directory()),
            (Aspects::CONTENT, old.data_hash() != new.data_hash()),
            (Aspects::STREAMS, named_streams(old) != named_streams(new)),
            (Aspects::TARGET, target(old) != target(new)),
            (Aspects::ATTRIBUTES, old.attributes() != new.attributes()),
            (Aspects::TIMES, times(old) != times(new)),
            (Aspects::SECURITY, security),
            (Aspects::LINKS, links),
            (Aspects::EXTRAS, !extras(old).eq(extras(new))),
        ] {
            aspects.set(aspect, differs);
        }
        aspects
    }

    fn change(&self, pair: Pair) -> Change {
        let (old, new, kind) = match pair {
            Pair::Old(old) => (Some(old), None, ChangeKind::Removed),
            Pair::New(new) => (None, Some(new), ChangeKind::Added),
            Pair::Both(old, new, aspects) => (Some(old), Some(new), ChangeKind::Changed(aspects)),
            Pair::Moved(old, new, aspects) => {
                let from = self.old.tree.path(old);
                (Some(old), Some(new), ChangeKind::Renamed { from, aspects })
            }
        };
        let (id, tree) = match (old, new) {
            (_, Some(new)) => (new, self.new.tree),
            (old, None) => (old.unwrap_or(DentryId::ROOT), self.old.tree),
        };
        Change {
            path: tree.path(id),
            kind,
            is_directory: tree.dentry(id).is_directory(),
            old_size: old.and_then(|id| self.old.size(id)),
            new_size: new.and_then(|id| self.new.size(id)),
        }
    }
}

/// Names and hashes of the named streams, which may come in any order.
fn named_streams<'d>(file: Dentry<'d>) -> Vec<(&'d [u8], Sha1Hash)> {
    let named = file.streams().filter_map(|stream| match stream.kind {
        StreamKind::Named(name) => Some((name.as_bytes(), stream.hash)),
        _ => None,
    });
    let mut named: Vec<_> = named.collect();
    named.sort_unstable_by_key(|(name, _)| *name);
    named
}

/// The reparse point, if it is one.
fn target(file: Dentry<'_>) -> Option<(Option<u32>, Sha1Hash)> {
    file.reparse_hash().map(|hash| (file.reparse_tag(), hash))
}

fn times(file: Dentry<'_>) -> [u64; 2] {
    [file.creation_time().0, file.write_time().0]
}

/// Everything in tagged items.
fn extras<'d>(file: Dentry<'d>) -> impl Iterator<Item = (u32, &'d [u8])> {
    file.tagged_items().map(|item| (item.tag, item.data))
}
