//! Reading the tree.
//!
//! Directories are read in the order of their nodes: each appends its children to the list, so
//! there is no recursion and no stack. Two guards keep a hostile tree in bounds: no dentry is
//! read twice (one bit for each byte remembers), and there are never more nodes than dentries
//! would fit the bytes, even if lists overlap at odd offsets.

use std::cmp::Ordering;

use super::dentry::{DENTRY_LEN, Dentry, dentry_at};
use super::security::security_len;
use super::{DentryId, Metadata, Node, Warning, WarningKind, name_problem};
use crate::bytes::invalid;
use crate::limits::{MAX_DEPTH, MAX_PARSED_BYTES};
use crate::name::Utf16Name;
use crate::{FormatError, Structure};

impl<B: AsRef<[u8]>> Metadata<B> {
    /// Reads the metadata of an image from all of its uncompressed bytes.
    ///
    /// # Errors
    /// Anything that goes past the end of the bytes, contradictory lengths, directories that
    /// contain themselves, or more than 16384 levels. What readers are to pass over is in
    /// [`Metadata::warnings`].
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let slice = bytes.as_ref();
        if slice.len() as u64 > MAX_PARSED_BYTES {
            let expected = "less than 4 GiB of metadata";
            return Err(invalid(Structure::Dentry, 0, slice.len() as u64, expected));
        }
        let security_len = security_len(slice)?;
        let mut parser = Parser::new(slice);
        parser.root(security_len)?;
        let mut next = 0;
        while next < parser.nodes.len() {
            parser.children(next)?;
            next += 1;
        }
        let Parser { nodes, warnings, .. } = parser;
        Ok(Self { bytes, security_len: security_len as u32, nodes, warnings })
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
    warnings: Vec<Warning>,
    /// One bit for each offset at which a dentry was read.
    seen: Vec<u64>,
    descriptors: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            nodes: Vec::with_capacity(bytes.len() / 256),
            warnings: Vec::new(),
            seen: vec![0; bytes.len() / 64 + 1],
            descriptors: super::security::descriptor_count(bytes),
        }
    }

    fn root(&mut self, offset: usize) -> Result<(), FormatError> {
        if dentry_at(self.bytes, offset)?.is_none() {
            return Err(invalid(Structure::Dentry, offset, 0, "a root directory"));
        }
        self.mark(offset)?;
        let root = Dentry::over(&self.bytes[offset..]);
        if !root.is_directory() {
            let found = u64::from(root.attributes().bits());
            return Err(invalid(Structure::Dentry, offset, found, "a root that is a directory"));
        }
        if !root.name().is_empty() {
            self.warn(offset, 0, WarningKind::NamedRoot);
        }
        self.push(offset, 0, 0);
        Ok(())
    }

    /// Reads the list of children of a node, if it has one.
    fn children(&mut self, parent: usize) -> Result<(), FormatError> {
        let node = self.nodes[parent];
        let dentry = Dentry::over(&self.bytes[node.offset as usize..]);
        let subdir = dentry.subdir_offset();
        if subdir == 0 {
            return Ok(());
        }
        if !dentry.is_directory() {
            self.warn(node.offset as usize, node.parent, WarningKind::ChildrenOfFile);
            return Ok(());
        }
        let first = self.nodes.len();
        let mut sorted = true;
        let mut last = Utf16Name::default();
        let mut offset = usize::try_from(subdir).unwrap_or(usize::MAX);
        while let Some(end) = dentry_at(self.bytes, offset)? {
            self.mark(offset)?;
            let child = Dentry::over(&self.bytes[offset..]);
            let name = child.name();
            match name_problem(name) {
                Some(problem) => self.warn(offset, parent as u32, problem),
                None => {
                    sorted = sorted && last.cmp_ntfs(name) == Ordering::Less;
                    last = name;
                    let depth = node.depth + 1;
                    if depth >= MAX_DEPTH {
                        let expected = "directories nested less than 16384 deep";
                        return Err(invalid(Structure::Dentry, offset, depth.into(), expected));
                    }
                    self.push(offset, parent as u32, depth);
                }
            }
            offset = end;
        }
        if !sorted {
            self.sort_from(first, parent as u32);
        }
        self.nodes[parent].first_child = first as u32;
        self.nodes[parent].end_child = self.nodes.len() as u32;
        Ok(())
    }

    /// Sorts the nodes from `first` on by name and drops all but the first of each name.
    fn sort_from(&mut self, first: usize, parent: u32) {
        let bytes = self.bytes;
        let name = |node: &Node| Dentry::over(&bytes[node.offset as usize..]).name();
        // Stable: of equal names the earliest in the file stays in front.
        self.nodes[first..].sort_by(|a, b| name(a).cmp_ntfs(name(b)));
        let mut kept = first;
        for index in first..self.nodes.len() {
            let node = self.nodes[index];
            if kept > first && name(&self.nodes[kept - 1]) == name(&node) {
                self.warn(node.offset as usize, parent, WarningKind::DuplicateName);
            } else {
                self.nodes[kept] = node;
                kept += 1;
            }
        }
        self.nodes.truncate(kept);
    }

    fn push(&mut self, offset: usize, parent: u32, depth: u16) {
        let id = Dentry::over(&self.bytes[offset..]).security_id();
        if id != -1 && usize::try_from(id).map_or(true, |id| id >= self.descriptors) {
            self.warn(offset, parent, WarningKind::UnknownSecurityDescriptor);
        }
        let offset = offset as u32;
        self.nodes.push(Node { offset, parent, first_child: 0, end_child: 0, depth });
    }

    /// Notes that the dentry at `offset` is being read.
    fn mark(&mut self, offset: usize) -> Result<(), FormatError> {
        let (word, bit) = (offset / 64, 1 << (offset % 64));
        let twice = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        let crowded = self.nodes.len() > self.bytes.len() / DENTRY_LEN;
        if twice || crowded {
            let expected = "lists of children that do not overlap; \
                            a directory contains itself or its lists are damaged";
            return Err(invalid(Structure::Dentry, offset, offset as u64, expected));
        }
        Ok(())
    }

    fn warn(&mut self, offset: usize, directory: u32, kind: WarningKind) {
        let directory = DentryId(directory);
        self.warnings.push(Warning { offset: offset as u64, directory, kind });
    }
}
