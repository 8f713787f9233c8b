//! A folder read with `openat2` and `RESOLVE_BENEATH`: the kernel follows no link out of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::super::identity;
use super::Found;

/// An open folder.
pub(super) struct Tree(OwnedFd);

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The file at `path`; `None` where it has gone, or leads out of the folder.
    pub(super) fn file(&self, path: &Path) -> io::Result<Option<File>> {
        match self.open_beneath(path, OFlags::NONBLOCK, ResolveFlags::NO_MAGICLINKS) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::NOENT | Errno::XDEV | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in the folder at `place`; `None` where there are more than `most`.
    pub(super) fn names(&self, place: &Path, most: usize) -> io::Result<Option<Vec<Vec<u8>>>> {
        let folder = self.open_beneath(place, OFlags::DIRECTORY, ResolveFlags::NO_SYMLINKS)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
            if names.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(names))
    }

    pub(super) fn examine(&self, place: &Path) -> io::Result<Found> {
        // With PATH nothing is opened: a pipe or a device would act on it.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let found = self.open_beneath(place, flags, ResolveFlags::NO_MAGICLINKS)?;
        match kind_of(&found)? {
            FileType::Directory => Ok(Found::Folder(identity(&File::from(found))?.mtime)),
            FileType::RegularFile => Ok(Found::File(identity(&File::from(found))?)),
            FileType::Symlink => self.examine_link(place),
            FileType::Fifo => Ok(Found::Unfit("is a named pipe")),
            FileType::Socket => Ok(Found::Unfit("is a socket")),
            _ => Ok(Found::Unfit("is a device")),
        }
    }

    fn examine_link(&self, place: &Path) -> io::Result<Found> {
        match self.open_beneath(place, OFlags::PATH, ResolveFlags::NO_MAGICLINKS) {
            Ok(target) => match kind_of(&target)? {
                FileType::RegularFile => Ok(Found::File(identity(&File::from(target))?)),
                FileType::Directory => Ok(Found::Unfit("is a symbolic link to a folder")),
                _ => Ok(Found::Unfit("is a symbolic link to something that is not a file")),
            },
            Err(Errno::XDEV) => Ok(Found::Unfit("is a symbolic link that leads out of the source")),
            Err(Errno::NOENT) => Ok(Found::Unfit("is a symbolic link to nothing")),
            Err(Errno::LOOP) => Ok(Found::Unfit("is a symbolic link that never ends")),
            Err(error) => Err(error.into()),
        }
    }

    fn open_beneath(
        &self,
        path: &Path,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        loop {
            // The kernel says so when a rename elsewhere made it lose its way.
            match openat2(&self.0, path, flags, Mode::empty(), resolve | ResolveFlags::BENEATH) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }
}

fn kind_of(found: &OwnedFd) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode))
}
