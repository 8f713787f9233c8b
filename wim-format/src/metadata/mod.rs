//! The metadata resource of an image: its security descriptors and its directory tree.
//!
//! ```text
//! security data    u32 length   u32 n   u64 size × n   descriptors   zeros to a multiple of 8
//! root dentry      8 zero bytes
//! for each directory, parents first:   dentry × n   8 zero bytes
//! ```
//!
//! [`Metadata`] keeps the bytes as they are and adds a flat list of nodes, 24 bytes each, that say
//! where each dentry is, what its parent is, and which nodes are its children; a name, a time or
//! a stream is read from the bytes when it is asked for. So a tree of 100,000 files is ready in
//! milliseconds, and whatever the file holds beyond what we understand is still there when the
//! tree is written again.

mod build;
mod dentry;
mod edit;
mod emit;
mod parse;
pub mod reparse;
mod security;
mod stats;
mod streams;
pub mod tagged;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use crate::name::Utf16Name;

pub use build::{Beside, BuildError, EntryId, ImageBuilder, Inode, Reparse, SecurityId};
pub use dentry::{Dentry, FileAttributes};
pub use security::SecurityDescriptors;
pub use stats::ImageStats;
pub use streams::{ExtraStream, Stream, StreamKind};
pub use tagged::{ExtendedAttribute, ObjectId, TaggedItem, TaggedItems, UnixData};
pub use tree::{HardLinks, WalkEntry};

/// Names a dentry of one [`Metadata`]: its position in the list of nodes. The root is 0 and
/// children have higher numbers than their parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DentryId(pub u32);

impl DentryId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A parsed metadata resource over the bytes `B` (a slice, a vector, a shared buffer).
///
/// `B` must return the same bytes each time it is asked; all std and `bytes` types do.
#[derive(Debug, Clone)]
pub struct Metadata<B> {
    bytes: B,
    /// Where the root dentry begins: the length of the security data.
    security_len: u32,
    nodes: Vec<Node>,
    warnings: Vec<Warning>,
}

/// One dentry of the tree.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where the dentry begins.
    offset: u32,
    /// Node of the directory that lists it; the root names itself.
    parent: u32,
    /// The children are the nodes `first_child..end_child`.
    first_child: u32,
    end_child: u32,
    depth: u16,
}

/// Something a reader passes over, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// Offset of the dentry in the metadata resource.
    pub offset: u64,
    /// The directory that lists it.
    pub directory: DentryId,
    /// What is wrong with it.
    pub kind: WarningKind,
}

/// What is wrong with a dentry, though not so wrong that the image could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// It has no name and is ignored, with all below it.
    #[error("dentry without a name is ignored")]
    EmptyName,
    /// It is called `.` or `..` and is ignored, with all below it.
    #[error("dentry named `.` or `..` is ignored")]
    DotName,
    /// Its name holds a NUL; it is ignored, with all below it.
    #[error("dentry with a NUL in its name is ignored")]
    NulInName,
    /// An earlier dentry of the same directory has the same name; this one is ignored, with all
    /// below it.
    #[error("second dentry of the same name is ignored")]
    DuplicateName,
    /// The root directory has a name, which is ignored.
    #[error("name of the root directory is ignored")]
    NamedRoot,
    /// It is no directory but refers to a list of children, which is ignored.
    #[error("children of a dentry that is not a directory are ignored")]
    ChildrenOfFile,
    /// It refers to a security descriptor that does not exist; it counts as having none.
    #[error("unknown security descriptor counts as none")]
    UnknownSecurityDescriptor,
}

impl<B: AsRef<[u8]>> Metadata<B> {
    /// The bytes that were parsed.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Number of dentries, the root included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no dentry; never so, since there is always a root.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All dentries, each after its parent.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = DentryId> + DoubleEndedIterator + use<B> {
        (0..self.nodes.len() as u32).map(DentryId)
    }

    /// What was passed over, in the order found.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The security descriptors.
    pub fn security(&self) -> SecurityDescriptors<'_> {
        SecurityDescriptors::over(&self.bytes()[..self.security_len as usize])
    }

    /// The metadata written anew: the lists of children one after the other in the order they
    /// were found in, each dentry with all that it holds, and only the offsets of the lists
    /// computed. What a writer has laid out without gaps comes out byte for byte; dentries that
    /// were passed over with a warning are left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        write::rewrite(self)
    }

    /// A dentry.
    ///
    /// # Panics
    /// When `id` is of another, larger tree.
    pub fn dentry(&self, id: DentryId) -> Dentry<'_> {
        Dentry::over(&self.bytes()[self.nodes[id.index()].offset as usize..])
    }
}

/// What forbids a name to a dentry other than the root.
fn name_problem(name: Utf16Name<'_>) -> Option<WarningKind> {
    match name.as_bytes() {
        [] => Some(WarningKind::EmptyName),
        b".\0" | b".\0.\0" => Some(WarningKind::DotName),
        _ if name.contains_nul() => Some(WarningKind::NulInName),
        _ => None,
    }
}
