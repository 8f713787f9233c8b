//! Looking at a directory tree: what is there, not what is in it.
//!
//! Directories are looked at in parallel; what is found is in the order of names, so the result
//! does not depend on the threads nor on the order in which a file system lists its files.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wim_format::metadata::{FileAttributes, Inode, Reparse};
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
    /// The archive that is added to, which cannot hold itself as it will be, and is left out.
    pub(crate) archive: Option<FileId>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

/// Where something is that is looked at.
struct Place<'a> {
    path: PathBuf,
    /// Its path from the root of the tree, with a slash in front.
    within: &'a Path,
    /// The directory that it was found in.
    above: Option<&'a Directory<'a>>,
}

/// A directory that is being looked at.
struct Directory<'a> {
    id: FileId,
    above: Option<&'a Directory<'a>>,
}

impl Directory<'_> {
    /// Whether it is one of those above it.
    fn is_within_itself(&self) -> bool {
        let mut above = iter::successors(self.above, |directory| directory.above);
        above.any(|directory| directory.id == self.id)
    }
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
    /// Looks at the tree at `path`, whose root gets the name `name`; `links` says what becomes of the
    /// root if it is a link. `None` where it is excluded or cannot be stored, which is then said.
    ///
    /// # Errors
    /// It is the archive that is added to; something cannot be read; [`Error::Cancelled`].
    pub(crate) fn tree(
        &self,
        path: &Path,
        name: Utf16NameBuf,
        links: Links,
    ) -> Result<Option<Found>, Error> {
        let status = look(path, links)?;
        if self.is_archive(&status) {
            return Err(Error::Parameter(format!(
                "{}: is the archive that is added to; copy it, and add the copy",
                path.display()
            )));
        }
        let within = Path::new("/");
        if self.is_excluded(path, within, &status) {
            return Ok(None);
        }
        self.found(Place { path: path.to_owned(), within, above: None }, name, &status)
    }

    fn is_archive(&self, status: &Status) -> bool {
        status.is_file() && self.archive.is_some_and(|archive| status.id() == archive)
    }

    /// Whether it is left out because that is wanted, which is then said.
    fn is_excluded(&self, path: &Path, within: &Path, status: &Status) -> bool {
        let is_excluded = self.exclusions.exclude(&slashed(within), status.is_dir());
        if is_excluded {
            self.progress.note(Note::Excluded(path));
        }
        is_excluded
    }

    fn found(
        &self,
        place: Place<'_>,
        name: Utf16NameBuf,
        status: &Status,
    ) -> Result<Option<Found>, Error> {
        self.cancel.check()?;
        let kind = status.file_type();
        let mut inode = self.inode(&place.path, status)?;
        let path = &place.path;
        let kind = if kind.is_dir() {
            Kind::Directory(self.directory(&place, status)?)
        } else if kind.is_file() {
            // A file that links lead to has as many names as lead to it, whatever it says itself.
            let has_names = status.links() > 1 || self.links == Links::Follow;
            let linked = has_names.then(|| status.id());
            Kind::File(FileData { stamp: Stamp::from(status), linked })
        } else if kind.is_symlink() {
            self.link(path, &mut inode)?
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
        Ok(Some(Found { name, path: place.path, inode, kind }))
    }

    fn directory(&self, place: &Place<'_>, status: &Status) -> Result<Vec<Found>, Error> {
        let Place { path, within, above } = place;
        let above = Directory { id: status.id(), above: *above };
        if self.links == Links::Follow && above.is_within_itself() {
            let loops = "a link leads back here, to a directory above it; exclude it, or do without \
                         --dereference";
            return Err(Error::io(Action::List, path)(io::Error::other(loops)));
        }
        let list = fs::read_dir(path).map_err(Error::io(Action::List, path))?;
        let names = list.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>();
        let mut names: Vec<OsString> = names.map_err(Error::io(Action::Read, path))?;
        names.sort_unstable();
        let child = |name: &OsString| {
            let within = within.join(name);
            self.child(Place { path: path.join(name), within: &within, above: Some(&above) }, name)
        };
        let found: Result<Vec<Option<Found>>, Error> = names.par_iter().map(child).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn child(&self, place: Place<'_>, name: &OsStr) -> Result<Option<Found>, Error> {
        let path = &place.path;
        let status = look(path, self.links)?;
        if self.is_excluded(path, place.within, &status) {
            return Ok(None);
        }
        if self.is_archive(&status) {
            self.progress.warning(&format!(
                "{}: is the archive that is added to, and is left out",
                path.display()
            ));
            return Ok(None);
        }
        let Ok(name) = Utf16NameBuf::from_os_str(name) else {
            let name = path.display().to_string();
            return Err(Error::NotUnicode { name, what_to_do: "rename or exclude the file" });
        };
        self.found(place, name, &status)
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
        inode.reparse = Reparse { tag: link.tag, flags, ..Reparse::default() };
        Ok(Kind::Link(link.data))
    }
}

/// The status of what is at `path`: of a link itself, or of what it leads to.
fn look(path: &Path, links: Links) -> Result<Status, Error> {
    let status = match links {
        Links::Keep => Status::of_link(path),
        Links::Follow => Status::at(path),
    };
    status.map_err(Error::io(Action::Scan, path))
}

/// A path as patterns have it: WTF-8 with slashes.
fn slashed(path: &Path) -> Cow<'_, [u8]> {
    let path = os_bytes(path.as_os_str());
    if cfg!(unix) {
        return path;
    }
    Cow::Owned(path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect())
}
