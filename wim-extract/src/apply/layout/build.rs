//! Making the layout from the tree of an image.

use std::collections::HashMap;

use wim_format::{
    Sha1Hash,
    metadata::{
        Dentry, DentryId, FileAttributes, HardLinks,
        reparse::{TAG_JUNCTION, TAG_SYMLINK},
    },
};

use super::{Content, Directory, DirectoryId, File, FileId, Layout, Link, Name, is_sparse};
use crate::{
    apply::{
        InvalidNames, Options, Structure, UnixData,
        blobs::Blobs,
        links,
        losses::Losses,
        names::{Fault, Names},
        warnings::Warnings,
    },
    archive::{BlobId, ImageTree},
    beneath::Node,
    error::Error,
};

/// The layout for the files `chosen`, with all below them.
pub(super) fn layout(
    blobs: &dyn Blobs,
    tree: &ImageTree,
    options: &Options,
    chosen: &[DentryId],
    structure: Structure,
    warnings: &Warnings<'_>,
) -> Result<Layout, Error> {
    let mut builder = Builder::new(blobs, tree, options, warnings);
    match structure {
        Structure::Flat => builder.add_flat(chosen)?,
        Structure::Preserve => builder.add_in_place(chosen)?,
    }
    builder.losses.tell(options, warnings)?;
    Ok(builder.layout)
}

/// What becomes of a dentry.
enum Kind {
    Directory,
    File(Content),
    /// Nothing, and the user has been told.
    LeftOut,
}

struct Builder<'b> {
    blobs: &'b dyn Blobs,
    tree: &'b ImageTree,
    options: &'b Options,
    warnings: &'b Warnings<'b>,
    names: Names,
    hard_links: HardLinks,
    /// Files with several links, by the first of them.
    linked: HashMap<DentryId, FileId>,
    losses: Losses,
    layout: Layout,
}

impl<'b> Builder<'b> {
    fn new(
        blobs: &'b dyn Blobs,
        tree: &'b ImageTree,
        options: &'b Options,
        warnings: &'b Warnings<'b>,
    ) -> Builder<'b> {
        let target = Directory {
            parent: DirectoryId::TARGET,
            name: Name { start: 0, len: 0 },
            dentry: None,
        };
        let layout = Layout {
            names: Vec::new(),
            directories: vec![target],
            files: Vec::new(),
            more_links: HashMap::new(),
            by_blob: Vec::new(),
            space: 0,
        };
        Builder {
            blobs,
            tree,
            options,
            warnings,
            names: Names::new(options.invalid_names),
            hard_links: tree.hard_links(),
            linked: HashMap::new(),
            losses: Losses::default(),
            layout,
        }
    }

    /// Adds each of `chosen` to the target itself. Of several with one name the last stays.
    fn add_flat(&mut self, chosen: &[DentryId]) -> Result<(), Error> {
        let mut seen: HashMap<Vec<u8>, DentryId> = HashMap::new();
        let mut last = Vec::new();
        for &id in chosen.iter().rev() {
            let name = self.tree.dentry(id).name().to_wtf8();
            match seen.get(&name) {
                Some(&other) => self.warnings.one_of("files of the same name", || {
                    let path = |id| String::from_utf8_lossy(&self.tree.path(id)).into_owned();
                    let (lost, kept) = (path(id), path(other));
                    format!("{lost} is left out, because {kept} has the same name")
                }),
                None => {
                    seen.insert(name, id);
                    last.push(id);
                }
            }
        }
        for &id in last.iter().rev() {
            if id == DentryId::ROOT {
                self.add_root()?;
            } else {
                self.add(id, DirectoryId::TARGET)?;
            }
        }
        Ok(())
    }

    /// Adds each of `chosen` where it is in the image.
    fn add_in_place(&mut self, chosen: &[DentryId]) -> Result<(), Error> {
        let mut made: HashMap<DentryId, Option<DirectoryId>> = HashMap::new();
        made.insert(DentryId::ROOT, Some(DirectoryId::TARGET));
        self.layout.directories[0].dentry = Some(DentryId::ROOT);
        for &id in chosen {
            if id == DentryId::ROOT {
                self.add_root()?;
                continue;
            }
            let mut above = Vec::new();
            let mut here = self.tree.parent(id);
            while !made.contains_key(&here) {
                above.push(here);
                here = self.tree.parent(here);
            }
            for &directory in above.iter().rev() {
                let parent = made.get(&self.tree.parent(directory)).copied().flatten();
                let new = parent.and_then(|parent| self.add_directory(directory, parent));
                made.insert(directory, new);
            }
            if let Some(Some(parent)) = made.get(&self.tree.parent(id)).copied() {
                self.add(id, parent)?;
            }
        }
        Ok(())
    }

    fn add_root(&mut self) -> Result<(), Error> {
        self.layout.directories[0].dentry = Some(DentryId::ROOT);
        self.losses.count(&self.tree.dentry(DentryId::ROOT), false);
        self.add_below(DentryId::ROOT, DirectoryId::TARGET)
    }

    /// Adds `id` and all below it to `parent`.
    fn add(&mut self, id: DentryId, parent: DirectoryId) -> Result<(), Error> {
        if let Some(directory) = self.add_one(id, parent)? {
            self.add_below(id, directory)?;
        }
        Ok(())
    }

    /// Adds all below `id`, which is `directory`.
    fn add_below(&mut self, id: DentryId, directory: DirectoryId) -> Result<(), Error> {
        // For each open directory: its children still to come.
        let mut open = vec![(self.tree.children(id), directory)];
        while let Some((children, parent)) = open.last_mut() {
            let parent = *parent;
            match children.next() {
                None => drop(open.pop()),
                Some(child) => {
                    if let Some(directory) = self.add_one(child, parent)? {
                        open.push((self.tree.children(child), directory));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds `id` alone; gives the directory if it is one.
    fn add_one(&mut self, id: DentryId, parent: DirectoryId) -> Result<Option<DirectoryId>, Error> {
        // The attributes and streams of a file are those of its first link.
        let first = self.hard_links.first(id);
        match self.kind(first)? {
            Kind::LeftOut => Ok(None),
            Kind::Directory => Ok(self.add_directory(id, parent)),
            Kind::File(content) => {
                if let Some(name) = self.name(id) {
                    self.add_file(first, Link { directory: parent, name }, content);
                }
                Ok(None)
            }
        }
    }

    fn add_directory(&mut self, id: DentryId, parent: DirectoryId) -> Option<DirectoryId> {
        let name = self.name(id)?;
        self.losses.count(&self.tree.dentry(id), false);
        let new = DirectoryId(self.layout.directories.len() as u32);
        self.layout.directories.push(Directory { parent, name, dentry: Some(id) });
        Some(new)
    }

    fn add_file(&mut self, first: DentryId, link: Link, content: Content) {
        let layout = &mut self.layout;
        if let Some(&file) = self.linked.get(&first) {
            layout.more_links.entry(file).or_default().push(link);
            return;
        }
        let id = FileId(layout.files.len() as u32);
        if self.hard_links.count(first) > 1 {
            self.linked.insert(first, id);
        }
        let dentry = self.tree.dentry(first);
        self.losses.count(&dentry, matches!(content, Content::Link(_)));
        if let Content::Data(blob) | Content::Link(blob) = content {
            layout.by_blob.push((blob, id));
        }
        if let Content::Data(blob) = content {
            let size = self.blobs.size(blob).unwrap_or(0);
            if !is_sparse(&dentry) {
                layout.space = layout.space.saturating_add(size);
            }
        }
        layout.files.push(File { link, dentry: first, content });
    }

    /// The name of `id` in the target; `None` if it can have none, which the user is told.
    fn name(&mut self, id: DentryId) -> Option<Name> {
        let start = self.layout.names.len();
        let given = self.names.append(self.tree, id, &mut self.layout.names);
        if let Err(fault) | Ok(Some(fault)) = given {
            let reason = match fault {
                Fault::Characters => "has characters that no name here can have",
                Fault::TooLong => "is longer than a name here can be",
            };
            self.warnings.one_of("names that this system cannot hold", || {
                let path = self.tree.path(id);
                let path = String::from_utf8_lossy(&path);
                match self.options.invalid_names {
                    InvalidNames::Skip => format!(
                        "not extracting {path}: its name {reason} (--include-invalid-names \
                         extracts it under another)"
                    ),
                    InvalidNames::Escape => {
                        let new = String::from_utf8_lossy(&self.layout.names[start..]);
                        format!("{path} is extracted as {new:?}: its name {reason}")
                    }
                }
            });
        }
        given.ok()?;
        // At most 255 bytes, or three for each of 255 units, as `Names` sees to.
        Some(Name { start, len: (self.layout.names.len() - start) as u16 })
    }

    fn kind(&mut self, id: DentryId) -> Result<Kind, Error> {
        let dentry = self.tree.dentry(id);
        if let Some(TAG_SYMLINK | TAG_JUNCTION) = dentry.reparse_tag() {
            return self.link(id, dentry.reparse_hash().unwrap_or_default());
        }
        if dentry.is_directory() {
            return Ok(Kind::Directory);
        }
        let hash = dentry.data_hash();
        // The raw export of an encrypted file is of no use but on Windows.
        if dentry.attributes().contains(FileAttributes::ENCRYPTED) || hash.is_zero() {
            return Ok(Kind::File(self.special(&dentry).unwrap_or(Content::Empty)));
        }
        Ok(Kind::File(Content::Data(self.blob(id, hash)?)))
    }

    fn link(&mut self, id: DentryId, hash: Sha1Hash) -> Result<Kind, Error> {
        let max = links::MAX_DATA as u64;
        let size = match hash.is_zero() {
            true => Some(0),
            false => self.blobs.size(self.blob(id, hash)?),
        };
        if let Some(size) = size.filter(|&size| size == 0 || size > max) {
            self.warnings.one_of("links whose target is malformed", || {
                let path = self.tree.path(id);
                format!(
                    "not extracting the link {}: its target has {size} bytes, and should have 1 \
                     to {max}",
                    String::from_utf8_lossy(&path)
                )
            });
            return Ok(Kind::LeftOut);
        }
        Ok(Kind::File(Content::Link(self.blob(id, hash)?)))
    }

    /// The special file that a file without data is, if it was one on a UNIX system.
    fn special(&self, dentry: &Dentry<'_>) -> Option<Content> {
        if self.options.unix_data == UnixData::Ignore {
            return None;
        }
        let unix = dentry.unix_data()?;
        let device = u64::from(unix.rdev);
        Some(Content::Node(match unix.mode & 0o170_000 {
            0o010_000 => Node::Fifo,
            0o140_000 => Node::Socket,
            0o020_000 => Node::CharacterDevice(device),
            0o060_000 => Node::BlockDevice(device),
            _ => return None,
        }))
    }

    fn blob(&self, id: DentryId, hash: Sha1Hash) -> Result<BlobId, Error> {
        self.blobs.find(&hash).ok_or_else(|| {
            let path = String::from_utf8_lossy(&self.tree.path(id)).into_owned();
            self.blobs.missing(hash, path)
        })
    }
}
