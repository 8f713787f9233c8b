//! Looking at a directory tree: what is there, not what is in it.
//!
//! Directories are looked at in parallel; what is found is in the order of names, so the result
//! does not depend on the threads nor on the order in which a file system lists its files.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wim_format::metadata::{Beside, FileAttributes, Inode, Reparse};
use wim_format::name::Utf16NameBuf;
use wim_format::time::FileTime;

use super::exclude::Exclusions;
use super::links::{self, LinkRoot};
use super::{Links, UnixMetadata};
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::progress::{Amount, Note, Progress};
use crate::status::{FileId, Stamp, Status};
use crate::text::os_bytes;

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
    /// Which file it is, where it has several names.
    pub(crate) linked: Option<FileId>,
}

impl Scanner<'_> {
    /// Looks at the tree at `path`, whose root gets the name `name`. A link to a directory is
    /// followed here. `None` where it is excluded or cannot be stored, which is then told.
    ///
    /// # Errors
    /// Something cannot be read, or [`Error::Cancelled`].
    pub(crate) fn tree(&self, path: &Path, name: Utf16NameBuf) -> Result<Option<Found>, Error> {
        let status = Status::at(path).map_err(Error::io(Action::Scan, path))?;
        self.found(path.to_owned(), Path::new("/"), name, &status)
    }

    /// `within` is its path from the root of the tree, with a slash in front.
    fn found(
        &self,
        path: PathBuf,
        within: &Path,
        name: Utf16NameBuf,
        status: &Status,
    ) -> Result<Option<Found>, Error> {
        self.cancel.check()?;
        let kind = status.file_type();
        let mut inode = self.inode(&path, status)?;
        let kind = if kind.is_dir() {
            Kind::Directory(self.directory(&path, within)?)
        } else if kind.is_file() {
            // A file that links lead to has as many names as lead to it, whatever it says itself.
            let has_names = status.links() > 1 || self.links == Links::Follow;
            let linked = has_names.then(|| status.id());
            Kind::File(FileData { stamp: Stamp::from(status), linked })
        } else if kind.is_symlink() {
            self.link(&path, &mut inode)?
        } else if self.unix == UnixMetadata::Keep {
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
            Links::Keep => Status::of_link(&path),
            Links::Follow => Status::at(&path),
        };
        let status = look.map_err(Error::io(Action::Scan, &path))?;
        if self.exclusions.exclude(&slashed(&within), status.is_dir()) {
            self.progress.note(Note::Excluded(&path));
            return Ok(None);
        }
        let Ok(name) = Utf16NameBuf::from_os_str(name) else {
            let name = path.display().to_string();
            return Err(Error::NotUnicode { name, what_to_do: "rename or exclude the file" });
        };
        self.found(path, &within, name, &status)
    }

    /// What every kind of file has.
    fn inode(&self, path: &Path, status: &Status) -> Result<Inode, Error> {
        let time = |(seconds, nanos)| FileTime::from_unix(seconds, nanos);
        let mut inode = Inode {
            attributes: status.attributes(),
            creation_time: time(status.created()),
            access_time: time(status.accessed()),
            write_time: time(status.written()),
            ..Inode::default()
        };
        if self.unix == UnixMetadata::Keep {
            super::unix_data::add(&mut inode, path, status, self.links)?;
        }
        Ok(inode)
    }

    fn link(&self, path: &Path, inode: &mut Inode) -> Result<Kind, Error> {
        let link = links::read(path, self.root.as_ref())?;
        if link.is_moved {
            self.progress.note(Note::LinkMoved(path));
        }
        inode.attributes = FileAttributes::REPARSE_POINT;
        if link.to_directory {
            inode.attributes |= FileAttributes::DIRECTORY;
        }
        let flags = if link.is_moved { 0 } else { Reparse::NOT_FIXED };
        inode.reparse =
            Reparse { tag: link.tag, flags, beside: Beside::EmptyData, ..Reparse::default() };
        Ok(Kind::Link(link.data))
    }
}

/// A path as patterns have it: WTF-8 with slashes.
fn slashed(path: &Path) -> Cow<'_, [u8]> {
    let path = os_bytes(path.as_os_str());
    if cfg!(unix) {
        return path;
    }
    Cow::Owned(path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect())
}
