//! The status of a file on UNIX: what `stat(2)` says.

use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wim_format::metadata::FileAttributes;

use super::{FileId, UnixTime};

/// What a file is and in which state.
#[derive(Debug, Clone)]
pub struct Status(Metadata);

impl Status {
    /// Of an open file.
    ///
    /// # Errors
    /// Those of `fstat(2)`.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(Self)
    }

    /// Of what a path leads to.
    ///
    /// # Errors
    /// Those of `stat(2)`.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(Self)
    }

    /// Of what has a name; of the link itself if it is one.
    ///
    /// # Errors
    /// Those of `lstat(2)`.
    pub fn of_link(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(Self)
    }

    /// What tells it from all others.
    #[must_use]
    pub fn id(&self) -> FileId {
        FileId { volume: self.0.dev(), number: self.0.ino().into() }
    }

    /// How many names it has.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.0.nlink()
    }

    /// Its length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "directories have a length too")]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Bytes that it takes on the disk.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.0.blocks().saturating_mul(512)
    }

    /// What kind of file it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.0.file_type()
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.0.is_dir()
    }

    /// Whether it is a file with data.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0.is_file()
    }

    /// When its data was written last.
    #[must_use]
    pub fn written(&self) -> UnixTime {
        (self.0.mtime(), self.0.mtime_nsec() as u32)
    }

    /// When it was read last.
    #[must_use]
    pub fn accessed(&self) -> UnixTime {
        (self.0.atime(), self.0.atime_nsec() as u32)
    }

    /// When anything of it was changed last.
    #[must_use]
    pub fn changed(&self) -> UnixTime {
        (self.0.ctime(), self.0.ctime_nsec() as u32)
    }

    /// When it was made. There is no such time that every file system has; wimlib takes the same.
    #[must_use]
    pub fn created(&self) -> UnixTime {
        self.written()
    }

    /// The attributes that Windows would give it.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        if self.is_dir() {
            FileAttributes::DIRECTORY
        } else if !self.is_file() {
            // It has none that say what it is.
            FileAttributes::empty()
        } else if self.allocated() < self.len() {
            FileAttributes::SPARSE_FILE
        } else {
            FileAttributes::NORMAL
        }
    }

    /// Owner, group and mode, and the device that a special file stands for.
    #[must_use]
    pub(crate) fn unix_data(&self) -> wim_format::metadata::UnixData {
        wim_format::metadata::UnixData {
            uid: self.0.uid(),
            gid: self.0.gid(),
            mode: self.0.mode(),
            rdev: self.0.rdev() as u32,
        }
    }
}
