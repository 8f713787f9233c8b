//! A folder by its descriptor.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use wim_extract::status::FileId;

use super::{Kind, Sharing};

const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

impl Handle {
    /// Opens a folder; links in its path are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OPEN_DIR.difference(OFlags::NOFOLLOW);
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens the folder `name`; an error of the kind `NotADirectory` where it is something else.
    pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::openat(&self.0, name, OPEN_DIR, Mode::empty()) {
            Ok(fd) => Ok(Self(fd)),
            Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the folder `name` unless it is there.
    pub(super) fn make(&self, name: &str, mode: u32) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens `name` for reading; `None` where there is nothing, or something that cannot be a file.
    pub(super) fn file(&self, name: &str) -> io::Result<Option<File>> {
        // Not blocking: a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens `name` for reading and writing; made if need be.
    pub(super) fn grow(&self, name: &str) -> io::Result<File> {
        self.to_write(name, OFlags::NONBLOCK)
    }

    /// Makes the file `name`, which nothing has.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.to_write(name, OFlags::EXCL)
    }

    fn to_write(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?))
    }

    /// Gives `name` another name in `to`, in the place of any file there.
    pub(super) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &to.0, to_name)?)
    }

    /// Lets two folders change places; `false` where the file system cannot.
    pub(super) fn exchange(&self, name: &str, other: &Self, other_name: &str) -> io::Result<bool> {
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(&self.0, name, &other.0, other_name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What `name` is.
    pub(super) fn kind(&self, name: &str) -> io::Result<Kind> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            _ => Kind::Other,
        })
    }

    /// Which file `name` is.
    pub(super) fn id(&self, name: &str) -> io::Result<FileId> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileId { volume: stat.st_dev, number: stat.st_ino.into() })
    }

    /// Removes `name`, which is no folder.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes the folder `name` if nothing is in it.
    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// All names in this folder.
    pub(super) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Gives the file `name` in `from` the further name `to_name` here.
    pub(super) fn link(&self, from: &Self, name: &str, to_name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&from.0, name, &self.0, to_name, AtFlags::empty())?)
    }

    /// This folder, open so that its times can be set.
    pub(super) fn to_set_times(&self) -> io::Result<File> {
        self.0.try_clone().map(File::from)
    }

    /// Makes names in this folder durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some network file systems have no such thing for folders.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes everything in this folder, with all else on its file system, durable.
    pub(super) fn sync_all(&self, _: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

/// Lets the empty file `to` share the blocks of `from`.
pub(super) fn share_blocks(to: &File, from: &File) -> Sharing {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Sharing::Done,
        Err(Errno::XDEV | Errno::INVAL | Errno::BADF) => Sharing::NotThese,
        Err(_) => Sharing::Never,
    }
}
