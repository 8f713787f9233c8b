//! Making the metadata of an image from nothing.
//!
//! ```
//! use wim_format::Sha1Hash;
//! use wim_format::metadata::{ImageBuilder, Inode, Metadata};
//!
//! let mut image = ImageBuilder::new(Inode::directory());
//! let sources = image.add(ImageBuilder::ROOT, "sources", Inode::directory())?;
//! let setup = image.add(sources, "setup.exe", Inode::file(Sha1Hash([7; 20])))?;
//! image.link(ImageBuilder::ROOT, "setup.exe", setup)?;
//!
//! let metadata = Metadata::parse(image.to_bytes()?)?;
//! assert_eq!(metadata.len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;

use super::dentry::{Dentry, FileAttributes};
use super::emit::Emitter;
use super::name_problem;
use super::tagged::TaggedItems;
use crate::limits::{MAX_DEPTH, MAX_NAME_BYTES};
use crate::name::Utf16NameBuf;
use crate::time::FileTime;
use crate::{FormatError, Sha1Hash};

/// Why an image cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A name is empty, `.` or `..`, or holds a NUL or a slash. (A backslash is legal: UNIX has such
    /// names, though Windows cannot make files of them.)
    #[error("{name:?} is no name for a file in an image")]
    BadName {
        /// The name.
        name: Utf16NameBuf,
    },
    /// A name has more than 32767 UTF-16 units.
    #[error("a name of {units} UTF-16 units is too long, at most 32767 fit")]
    LongName {
        /// Its length.
        units: usize,
    },
    /// Two children of a directory have the same name.
    #[error("two files of one directory are named {name:?}")]
    DuplicateName {
        /// The name.
        name: Utf16NameBuf,
    },
    /// Something was to be put into a file, or into a link to a directory.
    #[error("{name:?} is to go into something that is no directory")]
    NotADirectory {
        /// The name of what was to be put there.
        name: Utf16NameBuf,
    },
    /// A directory or reparse point was to get a second name.
    #[error("{name:?} is to be a hard link to a directory or reparse point, which have one name")]
    NotAFile {
        /// The second name.
        name: Utf16NameBuf,
    },
    /// A directory was to be moved below itself.
    #[error("a directory cannot be moved below itself, to {name:?}")]
    WithinItself {
        /// Its new name.
        name: Utf16NameBuf,
    },
    /// Directories nest 16384 deep or deeper.
    #[error("directories are nested more than 16383 deep")]
    TooDeep,
    /// A file has more named streams, or a dentry is longer, than the format can say.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// A dentry of an [`ImageBuilder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId(pub(super) u32);

/// Index of a security descriptor in its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecurityId(pub(super) i32);

/// A file, whatever its names are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inode {
    /// Windows attributes; DIRECTORY and REPARSE_POINT decide what is written.
    pub attributes: FileAttributes,
    /// Its security descriptor.
    pub security: Option<SecurityId>,
    /// When it was made.
    pub creation_time: FileTime,
    /// When it was last read.
    pub access_time: FileTime,
    /// When its contents last changed.
    pub write_time: FileTime,
    /// The contents, or with ENCRYPTED the raw EFS export; zero when empty. Not for directories.
    pub data: Sha1Hash,
    /// The reparse point, if REPARSE_POINT is set.
    pub reparse: Reparse,
    /// Named data streams.
    pub named: Vec<(Utf16NameBuf, Sha1Hash)>,
    /// Object id, extended attributes, UNIX data and the like.
    pub tagged: TaggedItems,
}

/// The reparse point of an [`Inode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reparse {
    /// What kind it is; see [`super::reparse`].
    pub tag: u32,
    /// [`NOT_FIXED`](Self::NOT_FIXED) or 0.
    pub flags: u16,
    /// The blob that holds its data.
    pub hash: Sha1Hash,
    /// Whether there is a data stream beside it, where it is a directory; files always have one.
    pub beside: Beside,
}

/// What a directory that is a reparse point has beside the reparse point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beside {
    /// Nothing: what comes from NTFS, and what wimlib makes of a UNIX link to a directory.
    #[default]
    Nothing,
    /// An empty data stream: what wimlib up to 1.13 made of a UNIX link to a directory.
    EmptyData,
}

impl Reparse {
    /// Flag: the target of the link is stored as it was found.
    pub const NOT_FIXED: u16 = 1;
}

impl Inode {
    /// An empty directory.
    #[must_use]
    pub fn directory() -> Self {
        Self { attributes: FileAttributes::DIRECTORY, ..Self::default() }
    }

    /// A file with the contents of this hash (zero when empty).
    #[must_use]
    pub fn file(data: Sha1Hash) -> Self {
        Self { attributes: FileAttributes::NORMAL, data, ..Self::default() }
    }

    /// A reparse point, such as a symbolic link; add DIRECTORY for links to directories.
    #[must_use]
    pub fn reparse_point(reparse: Reparse) -> Self {
        Self { attributes: FileAttributes::REPARSE_POINT, reparse, ..Self::default() }
    }

    /// The same file with all three times set to `time`.
    #[must_use]
    pub fn at(self, time: FileTime) -> Self {
        Self { creation_time: time, access_time: time, write_time: time, ..self }
    }

    fn is(&self, attributes: FileAttributes) -> bool {
        self.attributes.contains(attributes)
    }

    /// Whether it can hold other files: it is a directory and no link to one.
    #[must_use]
    pub fn is_plain_directory(&self) -> bool {
        self.is(FileAttributes::DIRECTORY) && !self.is(FileAttributes::REPARSE_POINT)
    }
}

/// Collects the files of an image and writes its metadata.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    pub(super) descriptors: Vec<Vec<u8>>,
    pub(super) descriptor_ids: HashMap<Vec<u8>, i32>,
    pub(super) entries: Vec<Entry>,
    pub(super) inodes: Vec<LinkedInode>,
}

/// A name.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Utf16NameBuf,
    pub(super) short_name: Utf16NameBuf,
    pub(super) inode: u32,
    /// The directory that holds it; the root holds itself.
    pub(super) parent: u32,
    /// Children, in the order in which they were added.
    pub(super) children: Vec<u32>,
    pub(super) depth: u16,
    pub(super) carried: Carried,
}

/// Fields of a dentry that have no known meaning, and are written as they were read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Carried {
    pub(super) unused: [u8; 16],
    pub(super) unknown: u32,
    /// Beside the tag of a reparse point.
    pub(super) reparse_reserved: u16,
}

impl Carried {
    pub(super) fn of(dentry: Dentry<'_>) -> Self {
        let reparse_reserved = match dentry.reparse_tag() {
            Some(_) => dentry.reparse_flags().0,
            None => 0,
        };
        Self { unused: dentry.unused_field(), unknown: dentry.unknown_field(), reparse_reserved }
    }
}

/// A file and the number of its names.
#[derive(Debug, Clone)]
pub(super) struct LinkedInode {
    pub(super) inode: Inode,
    pub(super) links: u32,
}

impl ImageBuilder {
    /// The root directory.
    pub const ROOT: EntryId = EntryId(0);

    /// An image that holds nothing but its root directory. DIRECTORY is added to its attributes.
    #[must_use]
    pub fn new(mut root: Inode) -> Self {
        root.attributes |= FileAttributes::DIRECTORY;
        root.attributes -= FileAttributes::REPARSE_POINT;
        let mut builder = Self {
            descriptors: Vec::new(),
            descriptor_ids: HashMap::new(),
            entries: Vec::new(),
            inodes: vec![LinkedInode { inode: root, links: 0 }],
        };
        builder.push(Utf16NameBuf::default(), 0, 0, 0);
        builder
    }

    /// Adds a self-relative security descriptor; equal ones are stored once.
    ///
    /// # Errors
    /// More descriptors than a 32-bit index can name.
    pub fn add_security_descriptor(&mut self, bytes: &[u8]) -> Result<SecurityId, BuildError> {
        if let Some(id) = self.descriptor_ids.get(bytes) {
            return Ok(SecurityId(*id));
        }
        let id = super::emit::security_id(self.descriptors.len())?;
        self.descriptors.push(bytes.to_vec());
        self.descriptor_ids.insert(bytes.to_vec(), id);
        Ok(SecurityId(id))
    }

    /// Puts a new file or directory into a directory.
    ///
    /// # Errors
    /// A name that no file can have, or a parent that is no directory. Names that are used twice
    /// are found when the image is written.
    pub fn add(
        &mut self,
        parent: EntryId,
        name: impl Into<Utf16NameBuf>,
        inode: Inode,
    ) -> Result<EntryId, BuildError> {
        let name = self.checked_name(parent, name.into())?;
        let index = self.inodes.len() as u32;
        self.inodes.push(LinkedInode { inode, links: 0 });
        self.attach(parent, name, index)
    }

    /// Gives a file another name: a hard link.
    ///
    /// # Errors
    /// As [`add`](Self::add), and when `file` is a directory or reparse point.
    pub fn link(
        &mut self,
        parent: EntryId,
        name: impl Into<Utf16NameBuf>,
        file: EntryId,
    ) -> Result<EntryId, BuildError> {
        let name = self.checked_name(parent, name.into())?;
        let inode = self.inode(file);
        if inode.attributes.intersects(FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT) {
            return Err(BuildError::NotAFile { name });
        }
        self.attach(parent, name, self.entries[file.index()].inode)
    }

    /// Sets the 8.3 name that DOS programs see; an empty one removes it.
    ///
    /// # Errors
    /// A name longer than any name can be.
    pub fn set_short_name(
        &mut self,
        entry: EntryId,
        name: impl Into<Utf16NameBuf>,
    ) -> Result<(), BuildError> {
        let name = name.into();
        check_len(&name)?;
        self.entries[entry.index()].short_name = name;
        Ok(())
    }

    /// The file behind a name.
    #[must_use]
    pub fn inode(&self, entry: EntryId) -> &Inode {
        &self.inodes[self.entries[entry.index()].inode as usize].inode
    }

    /// The file behind a name, to be changed. Whether it is a directory must stay as it is.
    pub fn inode_mut(&mut self, entry: EntryId) -> &mut Inode {
        &mut self.inodes[self.entries[entry.index()].inode as usize].inode
    }

    /// Writes the metadata resource: directories before what they hold, names in the order of
    /// NTFS, as wimlib lays it out.
    ///
    /// # Errors
    /// A name used twice in a directory; more streams, longer items or more bytes than the format
    /// can express.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BuildError> {
        Emitter::new(self).emit()
    }

    pub(super) fn checked_name(
        &self,
        parent: EntryId,
        name: Utf16NameBuf,
    ) -> Result<Utf16NameBuf, BuildError> {
        check_len(&name)?;
        let is_separator = |unit| unit == u16::from(b'/');
        if name_problem(name.as_name()).is_some() || name.as_name().units().any(is_separator) {
            return Err(BuildError::BadName { name });
        }
        if !self.inode(parent).is_plain_directory() {
            return Err(BuildError::NotADirectory { name });
        }
        Ok(name)
    }

    fn attach(
        &mut self,
        parent: EntryId,
        name: Utf16NameBuf,
        inode: u32,
    ) -> Result<EntryId, BuildError> {
        let depth = self.entries[parent.index()].depth + 1;
        if depth >= MAX_DEPTH {
            return Err(BuildError::TooDeep);
        }
        let id = self.push(name, inode, parent.0, depth);
        self.entries[parent.index()].children.push(id.0);
        Ok(id)
    }

    pub(super) fn push(
        &mut self,
        name: Utf16NameBuf,
        inode: u32,
        parent: u32,
        depth: u16,
    ) -> EntryId {
        let id = EntryId(self.entries.len() as u32);
        self.inodes[inode as usize].links += 1;
        self.entries.push(Entry {
            name,
            short_name: Utf16NameBuf::default(),
            inode,
            parent,
            children: Vec::new(),
            depth,
            carried: Carried::default(),
        });
        id
    }
}

impl EntryId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

fn check_len(name: &Utf16NameBuf) -> Result<(), BuildError> {
    let units = name.as_name().len();
    if units * 2 > MAX_NAME_BYTES { Err(BuildError::LongName { units }) } else { Ok(()) }
}
