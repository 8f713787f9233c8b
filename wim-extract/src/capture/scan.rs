//! Looking at a directory tree: what is there, not what is in it.
//!
//! Directories are looked at in parallel; what is found is in the order of names, so the result
//! does not depend on the threads nor on the order in which a file system lists its files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wim_format::metadata::reparse::TAG_SYMLINK;
use wim_format::metadata::{Beside, ExtendedAttribute, FileAttributes, Inode, Reparse, UnixData};
use wim_format::name::Utf16NameBuf;
use wim_format::time::FileTime;

use super::exclude::Exclusions;
use super::links::{LinkRoot, link_data};
use super::{Links, UnixMetadata};
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::progress::{Amount, Progress};

/// How to look at a tree.
pub(crate) struct Scanner<'a> {
    pub(crate) exclusions: &'a Exclusions,
    pub(crate) links: Links,
    pub(crate) unix: UnixMetadata,
    /// What absolute links are made relative to, if they are.
    pub(crate) root: Option<LinkRoot>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

/// A file or directory that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: Utf16NameBuf,
    pub(crate) path: PathBuf,
    /// All of it but the hashes of its data.
    pub(crate) inode: Inode,
    pub(crate) kind: Kind,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A directory and what is in it.
    Directory(Vec<Found>),
    /// A file with this data.
    File(FileData),
    /// A symbolic link: the data of its reparse point.
    Link(Vec<u8>),
    /// A device, pipe or socket.
    Special,
}

/// The data of a file as it was when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileData {
    pub(crate) stamp: Stamp,
    /// Device and inode, where the file has several names.
    pub(crate) linked: Option<(u64, u64)>,
}

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    write_time: (i64, i64),
    change_time: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            write_time: (metadata.mtime(), metadata.mtime_nsec()),
            change_time: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Scanner<'_> {
    /// Looks at the tree at `path`, whose root gets the name `name`. A link to a directory is
    /// followed here. `None` where it is excluded or cannot be stored, which is then said.
    ///
    /// # Errors
    /// Something cannot be read, or [`Error::Cancelled`].
    pub(crate) fn tree(&self, path: &Path, name: Utf16NameBuf) -> Result<Option<Found>, Error> {
        let metadata = fs::metadata(path).map_err(Error::io(Action::Scan, path))?;
        self.found(path.to_owned(), Path::new("/"), name, &metadata)
    }

    /// `within` is its path from the root of the tree, with a slash in front.
    fn found(
        &self,
        path: PathBuf,
        within: &Path,
        name: Utf16NameBuf,
        metadata: &Metadata,
    ) -> Result<Option<Found>, Error> {
        self.cancel.check()?;
        let kind = metadata.file_type();
        let mut inode = self.inode(&path, metadata)?;
        let kind = if kind.is_dir() {
            inode.attributes = FileAttributes::DIRECTORY;
            Kind::Directory(self.directory(&path, within)?)
        } else if kind.is_file() {
            let is_sparse = metadata.blocks() * 512 < metadata.size();
            inode.attributes =
                if is_sparse { FileAttributes::SPARSE_FILE } else { FileAttributes::NORMAL };
            // A file that links lead to has as many names as lead to it, whatever it says itself.
            let has_names = metadata.nlink() > 1 || self.links == Links::Follow;
            let linked = has_names.then(|| (metadata.dev(), metadata.ino()));
            Kind::File(FileData { stamp: Stamp::of(metadata), linked })
        } else if kind.is_symlink() {
            self.link(&path, &mut inode)?
        } else if self.unix == UnixMetadata::Keep {
            debug_assert!(kind.is_fifo() || kind.is_socket() || !kind.is_file());
            Kind::Special
        } else {
            self.progress.warning(&format!(
                "{}: is a device, pipe or socket and is left out; --unix-data keeps it",
                path.display()
            ));
            return Ok(None);
        };
        let size = match &kind {
            Kind::File(data) => data.stamp.size,
            _ => 0,
        };
        self.progress.advance(Amount::new(size, 1));
        Ok(Some(Found { name, path, inode, kind }))
    }

    fn directory(&self, path: &Path, within: &Path) -> Result<Vec<Found>, Error> {
        let list = || -> io::Result<Vec<OsString>> {
            fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
        };
        let mut names = list().map_err(Error::io(Action::Read, path))?;
        names.sort_unstable();
        let found: Result<Vec<Option<Found>>, Error> =
            names.par_iter().map(|name| self.child(path, within, name)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn child(&self, parent: &Path, within: &Path, name: &OsStr) -> Result<Option<Found>, Error> {
        let (path, within) = (parent.join(name), within.join(name));
        let look = match self.links {
            Links::Keep => fs::symlink_metadata(&path),
            Links::Follow => fs::metadata(&path),
        };
        let metadata = look.map_err(Error::io(Action::Scan, &path))?;
        if self.exclusions.exclude(within.as_os_str().as_bytes(), metadata.is_dir()) {
            self.progress.warning(&format!("{}: is excluded", path.display()));
            return Ok(None);
        }
        let Ok(name) = Utf16NameBuf::from_os_str(name) else {
            let name = path.display().to_string();
            return Err(Error::NotUnicode { name, what_to_do: "rename or exclude the file" });
        };
        self.found(path, &within, name, &metadata)
    }

    /// What every kind of file has.
    fn inode(&self, path: &Path, metadata: &Metadata) -> Result<Inode, Error> {
        let time = |seconds, nanos: i64| FileTime::from_unix(seconds, nanos as u32);
        let write_time = time(metadata.mtime(), metadata.mtime_nsec());
        let mut inode = Inode {
            // There is no creation time that every file system has. wimlib writes the same.
            creation_time: write_time,
            access_time: time(metadata.atime(), metadata.atime_nsec()),
            write_time,
            ..Inode::default()
        };
        if self.unix == UnixMetadata::Keep {
            inode.tagged.push_unix_data(UnixData {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode(),
                rdev: metadata.rdev() as u32,
            });
            let attributes = extended_attributes(path, self.links);
            let attributes = attributes.map_err(Error::io(Action::Read, path))?;
            let each = attributes.iter().map(|(name, value)| ExtendedAttribute {
                name: name.as_bytes(),
                value,
                flags: 0,
            });
            inode.tagged.push_extended_attributes(each).map_err(|error| {
                Error::Parameter(format!("{}: extended attributes: {error}", path.display()))
            })?;
        }
        Ok(inode)
    }

    fn link(&self, path: &Path, inode: &mut Inode) -> Result<Kind, Error> {
        let target = fs::read_link(path).map_err(Error::io(Action::Read, path))?;
        let (data, is_moved) = link_data(&target, self.root.as_ref()).map_err(|problem| {
            Error::Parameter(format!("{}: target of the link: {problem}", path.display()))
        })?;
        if is_moved {
            self.progress.warning(&format!(
                "{}: its absolute target is stored relative to the image; --norpfix keeps it",
                path.display()
            ));
        }
        inode.attributes = FileAttributes::REPARSE_POINT;
        // Windows tells links to directories from links to files.
        if fs::metadata(path).is_ok_and(|target| target.is_dir()) {
            inode.attributes |= FileAttributes::DIRECTORY;
        }
        let flags = if is_moved { 0 } else { Reparse::NOT_FIXED };
        inode.reparse =
            Reparse { tag: TAG_SYMLINK, flags, beside: Beside::EmptyData, ..Reparse::default() };
        Ok(Kind::Link(data))
    }
}

/// The extended attributes of a file, by name.
fn extended_attributes(path: &Path, links: Links) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    use rustix::fs::{getxattr, lgetxattr, listxattr, llistxattr};
    let list = |buffer: &mut [u8]| match links {
        Links::Keep => llistxattr(path, buffer),
        Links::Follow => listxattr(path, buffer),
    };
    let names = match read_all(list) {
        Ok(names) => names,
        // This file system has none.
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut names: Vec<&[u8]> =
        names.split(|&byte| byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let mut attributes = Vec::new();
    for name in names {
        let name = OsStr::from_bytes(name);
        let value = read_all(|buffer| match links {
            Links::Keep => lgetxattr(path, name, buffer),
            Links::Follow => getxattr(path, name, buffer),
        });
        match value {
            Ok(value) => attributes.push((name.to_owned(), value)),
            // Gone in the meantime, or not for us to read.
            Err(
                rustix::io::Errno::NODATA | rustix::io::Errno::ACCESS | rustix::io::Errno::PERM,
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(attributes)
}

/// Reads what a call gives that says when there is no room for it.
fn read_all(
    mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    /// Linux has no longer lists and values.
    const LONGEST: usize = 64 << 10;
    let mut buffer = vec![0; 1 << 10];
    loop {
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(buffer);
            }
            Err(rustix::io::Errno::RANGE) if buffer.len() < LONGEST => {
                buffer.resize(LONGEST, 0);
            }
            Err(error) => return Err(error),
        }
    }
}
