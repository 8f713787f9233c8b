//! Moving about in the tree: children, paths, walks, hard links.

use std::collections::HashMap;

use super::{DentryId, FileAttributes, Metadata};
use crate::Sha1Hash;
use crate::name::{CaseSensitivity, Utf16Name, Utf16NameBuf};

impl<B: AsRef<[u8]>> Metadata<B> {
    /// The directory that lists the dentry; the root's is the root.
    ///
    /// # Panics
    /// As all methods here: when `id` is of another, larger tree.
    #[must_use]
    pub fn parent(&self, id: DentryId) -> DentryId {
        DentryId(self.nodes[id.index()].parent)
    }

    /// Number of directories above the dentry; 0 for the root.
    #[must_use]
    pub fn depth(&self, id: DentryId) -> u16 {
        self.nodes[id.index()].depth
    }

    /// The children of a directory, sorted as NTFS sorts; none for a file.
    pub fn children(
        &self,
        id: DentryId,
    ) -> impl ExactSizeIterator<Item = DentryId> + DoubleEndedIterator + use<B> {
        let node = &self.nodes[id.index()];
        (node.first_child..node.end_child).map(DentryId)
    }

    /// The child of that name. Where case does not matter and several match, an exact match goes
    /// before the first in order.
    #[must_use]
    pub fn child(
        &self,
        directory: DentryId,
        name: Utf16Name<'_>,
        case: CaseSensitivity,
    ) -> Option<DentryId> {
        let node = &self.nodes[directory.index()];
        let (first, end) = (node.first_child, node.end_child);
        let nth = |index: usize| DentryId(first + index as u32);
        let children = &self.nodes[first as usize..end as usize];
        let exact = children.partition_point(|node| self.name_at(node).cmp_ntfs(name).is_lt());
        if children.get(exact).is_some_and(|node| self.name_at(node) == name) {
            return Some(nth(exact));
        }
        if case == CaseSensitivity::Sensitive {
            return None;
        }
        let similar =
            children.partition_point(|node| self.name_at(node).cmp_ignore_case(name).is_lt());
        let found = children.get(similar)?;
        self.name_at(found).matches(name, case).then(|| nth(similar))
    }

    fn name_at(&self, node: &super::Node) -> Utf16Name<'_> {
        super::Dentry::over(&self.bytes()[node.offset as usize..]).name()
    }

    /// The dentry at a path of WTF-8 names separated by `/`. Empty names are passed over, so `/`,
    /// the empty path and a leading or trailing `/` all work.
    #[must_use]
    pub fn lookup(&self, path: impl AsRef<[u8]>, case: CaseSensitivity) -> Option<DentryId> {
        let names = path.as_ref().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(DentryId::ROOT, |directory, name| {
            let name = Utf16NameBuf::from_wtf8(name).ok()?;
            self.child(directory, name.as_name(), case)
        })
    }

    /// The path from the root as WTF-8, `/` before each name; `/` for the root.
    #[must_use]
    pub fn path(&self, id: DentryId) -> Vec<u8> {
        let mut path = Vec::new();
        self.append_path(id, &mut path);
        path
    }

    /// Appends [`path`](Self::path) to `out`.
    pub fn append_path(&self, id: DentryId, out: &mut Vec<u8>) {
        let mut chain: Vec<_> = self.ancestors(id).collect();
        if chain.is_empty() {
            out.push(b'/');
        }
        while let Some(id) = chain.pop() {
            out.push(b'/');
            self.dentry(id).name().append_wtf8(out);
        }
    }

    /// The dentry and the directories above it, the root left out.
    fn ancestors(&self, id: DentryId) -> impl Iterator<Item = DentryId> + '_ {
        let below_root = move |id: &DentryId| *id != DentryId::ROOT;
        std::iter::successors(Some(id).filter(below_root), move |id| {
            Some(self.parent(*id)).filter(below_root)
        })
    }

    /// Visits `start` and all below it, each directory before its children, children in order.
    /// The path, as [`path`](Self::path) gives it, is kept up to date from step to step, which
    /// costs far less than making it anew.
    pub fn walk(&self, start: DentryId, mut visit: impl FnMut(WalkEntry<'_>)) {
        let mut path = Vec::with_capacity(256);
        self.append_path(start, &mut path);
        visit(WalkEntry { id: start, path: &path });
        if start == DentryId::ROOT {
            path.clear();
        }
        // For each open directory: its children still to come, and the length of its path.
        let node = self.nodes[start.index()];
        let mut open = vec![(node.first_child..node.end_child, path.len())];
        while let Some((children, path_len)) = open.last_mut() {
            path.truncate(*path_len);
            let Some(child) = children.next() else {
                open.pop();
                continue;
            };
            let id = DentryId(child);
            path.push(b'/');
            self.dentry(id).name().append_wtf8(&mut path);
            visit(WalkEntry { id, path: &path });
            let node = self.nodes[id.index()];
            if node.first_child < node.end_child {
                open.push((node.first_child..node.end_child, path.len()));
            }
        }
    }

    /// Finds out which dentries are names of the same file.
    #[must_use]
    pub fn hard_links(&self) -> HardLinks {
        HardLinks::of(self)
    }
}

/// A step of [`Metadata::walk`].
#[derive(Debug, Clone, Copy)]
pub struct WalkEntry<'a> {
    /// The dentry.
    pub id: DentryId,
    /// Its path, as [`Metadata::path`] gives it.
    pub path: &'a [u8],
}

/// Which dentries are names of the same file.
///
/// Links have the same group number, not 0, *and* the same unnamed data (tools of Microsoft's have
/// written one number for different files). Directories and reparse points are never linked.
#[derive(Debug, Clone, Default)]
pub struct HardLinks {
    /// Of each dentry: the first dentry of its file, in the order of ids.
    first: Vec<u32>,
    /// Of the first dentry of each file with several links: all of its dentries.
    groups: HashMap<u32, Vec<DentryId>>,
}

impl HardLinks {
    fn of<B: AsRef<[u8]>>(metadata: &Metadata<B>) -> Self {
        let mut first_of_key: HashMap<(u64, Sha1Hash), u32> = HashMap::new();
        let mut groups: HashMap<u32, Vec<DentryId>> = HashMap::new();
        let first = metadata.ids().map(|id| {
            let dentry = metadata.dentry(id);
            let group = dentry.hard_link_group();
            if group == 0 || dentry.attributes().contains(FileAttributes::DIRECTORY) {
                return id.0;
            }
            let key = (group, dentry.data_hash());
            let first = *first_of_key.entry(key).or_insert(id.0);
            if first != id.0 {
                groups.entry(first).or_insert_with(|| vec![DentryId(first)]).push(id);
            }
            first
        });
        Self { first: first.collect(), groups }
    }

    /// The dentry that stands for the file: the first of its links. Attributes, streams and times
    /// of all links are to be taken from it.
    ///
    /// # Panics
    /// When `id` is of another, larger tree.
    #[must_use]
    pub fn first(&self, id: DentryId) -> DentryId {
        DentryId(self.first[id.index()])
    }

    /// All names of the file that `id` names, `id` included, in the order of ids.
    ///
    /// # Panics
    /// When `id` is of another, larger tree.
    #[must_use]
    pub fn links(&self, id: DentryId) -> Vec<DentryId> {
        self.groups.get(&self.first(id).0).cloned().unwrap_or_else(|| vec![id])
    }

    /// Number of names of the file that `id` names.
    ///
    /// # Panics
    /// When `id` is of another, larger tree.
    #[must_use]
    pub fn count(&self, id: DentryId) -> usize {
        self.groups.get(&self.first(id).0).map_or(1, Vec::len)
    }
}
