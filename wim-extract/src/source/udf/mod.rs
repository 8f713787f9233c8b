//! A reader for the file system on Windows media: UDF 1.02 in an ISO image.
//!
//! Windows installation ISOs hold two file systems over the same data; the files over 4 GiB are
//! only in the UDF one ([ECMA-167] as restricted by UDF 1.02: one partition, no virtual, sparable
//! or metadata partitions). The way to a file:
//!
//! ```text
//! sector 256, or the last, or the 257th from the end
//!   anchor ──► volume descriptor sequence (or its reserve copy)
//!                ├─ partition descriptor ──► first sector of the partition
//!                └─ logical volume descriptor ──► file set descriptor
//!                                                   └─► root directory's file entry
//! file entry ──► allocation descriptors ──► extents of data (a directory's data are file
//!                                           identifiers, which point at file entries)
//! ```
//!
//! Nothing is mounted or unpacked: [`Iso::source`] gives the file as an
//! [`ExtentSource`](super::ExtentSource) of the image, whose slices are slices of the map.
//!
//! The image may be hostile. Every tag's checksum and CRC is checked, every length is compared with
//! the block that holds it, extents must lie inside the image, a directory is visited once, and
//! limits bound what a small image can make us do: directories no larger in all than the image or
//! 256 MiB, 1,000,000 entries, 64 MiB of paths, 128 levels, 1,000,000 extents a file.

mod directory;
mod name;
mod node;
mod tag;
#[cfg(test)]
mod tests;
mod time;
mod volume;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use self::{directory::Child, node::Node, volume::Volume};
use super::{Access, ExtentSource, FileSource, Source, SourceError};

/// Entries listed at most; Windows media have about a thousand.
const MAX_ENTRIES: usize = 1_000_000;
/// Levels of directories at most.
const MAX_DEPTH: usize = 128;
/// Bytes of directory data read at most in one walk, and never more than the image has.
const MAX_DIRECTORY_BYTES: u64 = 256 << 20;
/// Bytes of all listed paths at most: a long path to a full directory is repeated in every entry.
const MAX_PATH_BYTES: usize = 64 << 20;

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UdfError {
    /// No UDF file system was found.
    #[error(
        "this is not an ISO image with a UDF file system (Windows media have one); images with \
         only ISO 9660 or Joliet are not read"
    )]
    NotUdf,
    /// A structure breaks a rule of the format.
    #[error("damaged UDF file system at byte {offset}: {what}; make or download the image again")]
    Damaged {
        /// Where in the image.
        offset: u64,
        /// The rule.
        what: &'static str,
    },
    /// A kind of UDF that Windows media do not use.
    #[error(
        "{what} is not read (Windows media are UDF 1.02); mount the image and give the file's path"
    )]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
    /// A limit of this reader is exceeded.
    #[error("the UDF file system has more than {limit} {what}; this is no installation medium")]
    TooMuch {
        /// The greatest number allowed.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The image cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file or directory of an image.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Path from the root, parts separated by `/`. No part is empty, `.` or `..`, or holds `/`, `\`
    /// or NUL.
    pub path: String,
    /// Whether it is a file or a directory.
    pub kind: EntryKind,
    /// Bytes of a file; of no meaning for a directory.
    pub size: u64,
    /// When it was last modified, where the image says so.
    pub modified: Option<SystemTime>,
    /// Where the file entry is in the image.
    place: u64,
}

/// The kinds of [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// An ISO image with a UDF file system.
#[derive(Debug)]
pub struct Iso {
    base: Arc<dyn Source>,
    volume: Volume,
    path: PathBuf,
}

impl Iso {
    /// Opens the ISO image at `path`.
    ///
    /// # Errors
    /// [`SourceError::Open`] and [`SourceError::NotAFile`] as for any file, [`SourceError::Iso`]
    /// where it has no readable UDF file system.
    pub fn open(path: &Path, access: Access) -> Result<Iso, SourceError> {
        Iso::from_source(Arc::new(FileSource::open(path, access)?))
    }

    /// Reads an ISO image that is itself any source.
    ///
    /// # Errors
    /// [`SourceError::Iso`] where it has no readable UDF file system.
    pub fn from_source(base: Arc<dyn Source>) -> Result<Iso, SourceError> {
        let path = PathBuf::from(base.name());
        match Volume::read(&*base) {
            Ok(volume) => Ok(Iso { base, volume, path }),
            Err(error) => Err(SourceError::Iso { path, error }),
        }
    }

    /// The name of the volume, as a file manager shows it; empty if it has none.
    pub fn label(&self) -> &str {
        &self.volume.label
    }

    /// Every directory and file, each directory before what is in it, otherwise in the image's
    /// order; the root itself is left out.
    ///
    /// # Errors
    /// [`SourceError::Iso`] where a structure is damaged or a limit is exceeded.
    pub fn entries(&self) -> Result<Vec<Entry>, SourceError> {
        self.walk().map_err(|error| self.error(error))
    }

    /// The entry at `path` (parts separated by `/` or `\`), with its spelling in the image. A part
    /// that does not occur as written is sought without regard to upper and lower case. `None`
    /// where there is no such entry.
    ///
    /// # Errors
    /// As [`entries`](Iso::entries).
    pub fn find(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        self.resolve(path).map_err(|error| self.error(error))
    }

    /// The content of the file `entry` as a source.
    ///
    /// # Errors
    /// [`SourceError::Iso`] where it is no file, or its extents are not inside the image (which
    /// happens when a download was cut short).
    pub fn source(&self, entry: &Entry) -> Result<Arc<dyn Source>, SourceError> {
        let name = format!("{}:{}", self.path.display(), entry.path);
        let open = || {
            let node = Node::read(&*self.base, &self.volume, entry.place)?;
            if node.kind != EntryKind::File {
                return Err(UdfError::Damaged {
                    offset: entry.place,
                    what: "a file is expected here, and this is a directory",
                });
            }
            Ok(ExtentSource::new(self.base.clone(), node.extents, name)?)
        };
        Ok(Arc::new(open().map_err(|error| self.error(error))?))
    }

    fn error(&self, error: UdfError) -> SourceError {
        SourceError::Iso { path: self.path.clone(), error }
    }

    fn directory_allowance(&self) -> u64 {
        MAX_DIRECTORY_BYTES.min(self.base.len())
    }

    fn walk(&self) -> Result<Vec<Entry>, UdfError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut path_bytes = 0;
        let mut visited = HashSet::from([self.volume.root]);
        let mut bytes_left = self.directory_allowance();
        // Directories still to be read, deepest first: (path with trailing `/`, place, depth).
        let mut pending = vec![(String::new(), self.volume.root, 0)];
        while let Some((prefix, place, depth)) = pending.pop() {
            if depth > MAX_DEPTH {
                let limit = MAX_DEPTH as u64;
                return Err(UdfError::TooMuch { limit, what: "levels of directories" });
            }
            let first_child = pending.len();
            for child in self.children(place, &mut bytes_left)? {
                if entries.len() >= MAX_ENTRIES {
                    let limit = MAX_ENTRIES as u64;
                    return Err(UdfError::TooMuch { limit, what: "files" });
                }
                path_bytes += prefix.len() + child.name.len();
                if path_bytes > MAX_PATH_BYTES {
                    let limit = MAX_PATH_BYTES as u64;
                    return Err(UdfError::TooMuch { limit, what: "bytes of paths" });
                }
                let entry = self.entry(&prefix, &child)?;
                if entry.kind == EntryKind::Directory {
                    if !visited.insert(child.place) {
                        return Err(UdfError::Damaged {
                            offset: child.place,
                            what: "a directory occurs in two places",
                        });
                    }
                    pending.push((format!("{}/", entry.path), child.place, depth + 1));
                }
                entries.push(entry);
            }
            pending[first_child..].reverse();
        }
        Ok(entries)
    }

    fn resolve(&self, path: &str) -> Result<Option<Entry>, UdfError> {
        let mut place = self.volume.root;
        let mut found: Option<Entry> = None;
        let mut bytes_left = self.directory_allowance();
        for part in path.split(['/', '\\']).filter(|part| !part.is_empty()) {
            if found.as_ref().is_some_and(|entry| entry.kind != EntryKind::Directory) {
                return Ok(None);
            }
            let children = self.children(place, &mut bytes_left)?;
            let child = children.iter().find(|child| child.name == part);
            let alike = || children.iter().find(|child| name::alike(&child.name, part));
            let Some(child) = child.or_else(alike) else { return Ok(None) };
            let prefix = found.map_or(String::new(), |entry| format!("{}/", entry.path));
            found = Some(self.entry(&prefix, child)?);
            place = child.place;
        }
        Ok(found)
    }

    fn children(&self, place: u64, bytes_left: &mut u64) -> Result<Vec<Child>, UdfError> {
        let node = Node::read(&*self.base, &self.volume, place)?;
        if node.kind != EntryKind::Directory {
            let what = "a directory is expected here, and this is a file";
            return Err(UdfError::Damaged { offset: place, what });
        }
        let Some(left) = bytes_left.checked_sub(node.size) else {
            let limit = self.directory_allowance();
            return Err(UdfError::TooMuch { limit, what: "bytes of directories" });
        };
        *bytes_left = left;
        let data = ExtentSource::new(self.base.clone(), node.extents, self.base.name())?;
        // Bounded by the allowance.
        let data = data.bytes(0, node.size as usize)?;
        directory::parse(&data, place, &self.volume)
    }

    fn entry(&self, prefix: &str, child: &Child) -> Result<Entry, UdfError> {
        let node = Node::read_attributes(&*self.base, &self.volume, child.place)?;
        if (node.kind == EntryKind::Directory) != child.is_directory {
            return Err(UdfError::Damaged {
                offset: child.place,
                what: "a directory entry and its file entry disagree about what it is",
            });
        }
        Ok(Entry {
            path: format!("{prefix}{}", child.name),
            kind: node.kind,
            size: node.size,
            modified: node.modified,
            place: child.place,
        })
    }
}
