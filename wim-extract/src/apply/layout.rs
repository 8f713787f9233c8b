//! What goes where: the target as it shall be, made in memory before anything is touched.

mod build;

use std::{collections::HashMap, path::PathBuf};

use wim_format::metadata::{Dentry, DentryId, FileAttributes};

use super::{Options, Structure, blobs::Blobs, warnings::Warnings};
use crate::{
    archive::{BlobId, ImageTree},
    beneath::{Component, Node},
    error::Error,
};

/// Names a directory of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DirectoryId(u32);

impl DirectoryId {
    /// The target itself.
    pub(super) const TARGET: DirectoryId = DirectoryId(0);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a file of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(u32);

/// A name in the layout's store of names.
#[derive(Debug, Clone, Copy)]
struct Name {
    start: usize,
    len: u16,
}

/// A directory to be made.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: DirectoryId,
    name: Name,
    /// Whose attributes it gets; none for a target that is only a place to put files in.
    pub(super) dentry: Option<DentryId>,
}

/// A name of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) directory: DirectoryId,
    name: Name,
}

/// A file, symbolic link or special file to be made.
#[derive(Debug)]
pub(super) struct File {
    /// The name that it is made under.
    pub(super) link: Link,
    /// The first of its links in the image: whose attributes it gets.
    pub(super) dentry: DentryId,
    pub(super) content: Content,
}

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A file without data.
    Empty,
    /// A file with the data of a blob.
    Data(BlobId),
    /// A symbolic link whose reparse data is a blob.
    Link(BlobId),
    /// A special file.
    Node(Node),
}

/// The target as it shall be.
#[derive(Debug)]
pub(super) struct Layout {
    names: Vec<u8>,
    /// The target first, and each directory after its parent.
    directories: Vec<Directory>,
    files: Vec<File>,
    /// Further names of files: hard links.
    more_links: HashMap<FileId, Vec<Link>>,
    /// Files by blob, in order.
    by_blob: Vec<(BlobId, FileId)>,
    /// Bytes that the files will take up at most.
    space: u64,
}

impl Layout {
    /// The layout for the files `chosen` with all below them. Nothing is changed on disk.
    pub(super) fn new(
        blobs: &dyn Blobs,
        tree: &ImageTree,
        options: &Options,
        chosen: &[DentryId],
        structure: Structure,
        warnings: &Warnings<'_>,
    ) -> Result<Layout, Error> {
        let mut layout = build::layout(blobs, tree, options, chosen, structure, warnings)?;
        layout.by_blob.sort_unstable();
        Ok(layout)
    }

    pub(super) fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// All directories but the target, each after its parent.
    pub(super) fn directories_to_make(
        &self,
    ) -> impl DoubleEndedIterator<Item = DirectoryId> + use<> {
        (1..self.directories.len() as u32).map(DirectoryId)
    }

    pub(super) fn directory(&self, id: DirectoryId) -> &Directory {
        &self.directories[id.index()]
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    pub(super) fn file(&self, id: FileId) -> &File {
        &self.files[id.0 as usize]
    }

    /// The further names of a file.
    pub(super) fn more_links(&self, id: FileId) -> &[Link] {
        self.more_links.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Number of names beyond the first of their file.
    pub(super) fn hard_links(&self) -> u64 {
        self.more_links.values().map(|links| links.len() as u64).sum()
    }

    /// The files that need no blob.
    pub(super) fn files_without_blob(&self) -> Vec<FileId> {
        let ids = (0..self.files.len() as u32).map(FileId);
        ids.filter(|&id| matches!(self.file(id).content, Content::Empty | Content::Node(_)))
            .collect()
    }

    /// The blobs that files are made of; some come more than once.
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobId> + '_ {
        self.by_blob.iter().map(|&(blob, _)| blob)
    }

    /// The files made of a blob.
    pub(super) fn files_of(&self, blob: BlobId) -> &[(BlobId, FileId)] {
        let start = self.by_blob.partition_point(|&(other, _)| other < blob);
        let len = self.by_blob[start..].partition_point(|&(other, _)| other == blob);
        &self.by_blob[start..start + len]
    }

    /// Sum of the sizes of files, as far as they are known.
    pub(super) fn bytes(&self, blobs: &dyn Blobs) -> u64 {
        let sizes = self.files.iter().filter_map(|file| match file.content {
            Content::Data(blob) => blobs.size(blob),
            _ => None,
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// Bytes that the files need; sparse ones are not counted, as nobody knows before.
    pub(super) fn space(&self) -> u64 {
        self.space
    }

    pub(super) fn name_of(&self, link: Link) -> Component<'_> {
        self.component(link.name)
    }

    pub(super) fn directory_name(&self, id: DirectoryId) -> Component<'_> {
        self.component(self.directory(id).name)
    }

    fn component(&self, name: Name) -> Component<'_> {
        let bytes = &self.names[name.start..name.start + usize::from(name.len)];
        Component::new(bytes).expect("only names that are components were stored")
    }

    /// The path of a directory below the target; empty for the target.
    pub(super) fn directory_path(&self, id: DirectoryId) -> PathBuf {
        let mut parts = Vec::new();
        let mut here = id;
        while here != DirectoryId::TARGET {
            parts.push(self.directory_name(here).to_path());
            here = self.directory(here).parent;
        }
        parts.iter().rev().collect()
    }

    /// The path of a file below the target.
    pub(super) fn path_of(&self, link: Link) -> PathBuf {
        self.directory_path(link.directory).join(self.name_of(link).to_path())
    }

    /// Whether the file's image says that runs of zeros need not be stored.
    pub(super) fn is_sparse(&self, tree: &ImageTree, id: FileId) -> bool {
        is_sparse(&tree.dentry(self.file(id).dentry))
    }
}

fn is_sparse(dentry: &Dentry<'_>) -> bool {
    dentry.attributes().contains(FileAttributes::SPARSE_FILE)
}
