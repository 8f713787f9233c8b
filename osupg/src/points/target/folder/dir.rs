//! Folders of a point, by descriptor: no link that somebody put there leads out of it.
//!
//! Whoever may write to a share may put links, pipes and devices there. So every name below the
//! point's own folder is opened from its parent, links are never followed, and only folders and
//! ordinary files are touched.

use std::fs::{File, FileTimes};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::text;
use crate::time::FileTime;

const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The longest path below the root of a walk: that of a media path.
const MAX_DEPTH: usize = 2000;

/// What a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A link, pipe, device or socket.
    Other,
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    shown: PathBuf,
}

impl Dir {
    /// Opens the folder of a point. Links in its path are the administrator's word.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OPEN_DIR.difference(OFlags::NOFOLLOW);
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, shown: path.to_path_buf() }),
            Err(error) => Err(Error::file("open the folder", path, &error.into())
                .advise("check that it exists and, for a share, that it is mounted")),
        }
    }

    /// Where it is, for messages.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    fn failed(&self, doing: &str, name: &str, error: Errno) -> Error {
        Error::file(doing, &self.shown.join(name), &error.into())
    }

    /// The folder at a relative path; `None` where there is nothing.
    pub(super) fn sub(&self, path: &str) -> Result<Option<Self>> {
        let mut here: Option<Self> = None;
        for name in path.split('/') {
            let from = here.as_ref().unwrap_or(self);
            match rustix::fs::openat(&from.fd, name, OPEN_DIR, Mode::empty()) {
                Ok(fd) => here = Some(Self { fd, shown: from.shown.join(name) }),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(Error::damaged(format!(
                        "{} is no folder",
                        text::path(&from.shown.join(name))
                    ))
                    .advise("somebody has put something else there; remove it"));
                }
                Err(error) => return Err(from.failed("open", name, error)),
            }
        }
        Ok(here)
    }

    /// The folder `name` in this one, made if need be with these permissions.
    pub(super) fn make(&self, name: &str, mode: u32) -> Result<Self> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed("make the folder", name, error)),
        }
        self.sub(name)?.ok_or_else(|| {
            Error::io(format!("{} has gone again", text::path(&self.shown.join(name))))
        })
    }

    /// The ordinary file at a relative path, open for reading; `None` where there is none.
    pub(super) fn file(&self, path: &str) -> Result<Option<File>> {
        let (folder, name) = match path.rsplit_once('/') {
            Some((folder, name)) => match self.sub(folder) {
                Ok(Some(folder)) => (Some(folder), name),
                // What is in the way of a folder is no file of ours either.
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == crate::error::Kind::Damaged => return Ok(None),
                Err(error) => return Err(error),
            },
            None => (None, path),
        };
        let folder = folder.as_ref().unwrap_or(self);
        // Not blocking: a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(folder.failed("open", name, error)),
        };
        let meta = file
            .metadata()
            .map_err(|error| Error::file("examine", &folder.shown.join(name), &error))?;
        Ok(meta.is_file().then_some(file))
    }

    /// The file `name`, open for reading and writing; made if need be, its bytes kept.
    pub(super) fn grow(&self, name: &str) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644));
        let file = File::from(open().map_err(|error| self.failed("write", name, error))?);
        // A hard link to something else must not be written into.
        let ours = file.metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 1);
        if ours {
            return Ok(file);
        }
        self.clear(name)?;
        open().map(File::from).map_err(|error| self.failed("write", name, error))
    }

    /// The file `name`, which nothing has.
    fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644))?))
    }

    /// The bytes of the small file `name`; `None` where there is none.
    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        use std::io::Read;
        let Some(file) = self.file(name)? else { return Ok(None) };
        let path = self.shown.join(name);
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::file("read", &path, &error))?;
        if bytes.len() > limit {
            return Err(Error::damaged(format!(
                "{} is longer than the {limit} bytes that such a file can have",
                text::path(&path)
            )));
        }
        Ok(Some(bytes))
    }

    /// Writes the small file `name`, whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = format!("{name}.tmp");
        let path = self.shown.join(name);
        let failed = |error: &io::Error| Error::file("write", &path, error);
        self.clear(&temporary)?;
        let mut file = self.create(&temporary).map_err(|error| failed(&error))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        self.rename(&temporary, self, name)?;
        self.sync()
    }

    /// Puts `name` into the folder `to`, in the place of whatever file is there.
    pub(super) fn rename(&self, name: &str, to: &Self, to_name: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, name, &to.fd, to_name)
            .map_err(|error| to.failed("put in place", to_name, error))
    }

    /// Lets two folders change places in one step. `false` where the file system cannot.
    pub(super) fn exchange(&self, name: &str, other: &Self, other_name: &str) -> Result<bool> {
        let done =
            rustix::fs::renameat_with(&self.fd, name, &other.fd, other_name, RenameFlags::EXCHANGE);
        match done {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(other.failed("put in place", other_name, error)),
        }
    }

    /// What `name` is; `None` where there is nothing.
    pub(super) fn kind(&self, name: &str) -> Result<Option<Kind>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Kind::Folder,
                FileType::RegularFile => Kind::File,
                _ => Kind::Other,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("examine", name, error)),
        }
    }

    /// Removes whatever has the name.
    pub(super) fn clear(&self, name: &str) -> Result<()> {
        match self.kind(name)? {
            None => Ok(()),
            Some(Kind::Folder) => {
                let path = self.shown.join(name);
                match std::fs::remove_dir_all(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Error::file("remove", &path, &error))
                    }
                    _ => Ok(()),
                }
            }
            Some(_) => match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(self.failed("remove", name, error)),
            },
        }
    }

    /// Removes the folder `name` if nothing is in it.
    pub(super) fn clear_if_empty(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// What is in this folder: names that are text, and how many are not.
    pub(super) fn list(&self) -> Result<(Vec<(String, Kind)>, usize)> {
        let failed = |error: Errno| Error::file("list", &self.shown, &error.into());
        let mut names = Vec::new();
        let mut strange = 0;
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            match std::str::from_utf8(name) {
                // The kind that the listing gives is not there on every file system.
                Ok(name) => {
                    if let Some(kind) = self.kind(name)? {
                        names.push((name.to_string(), kind));
                    }
                }
                Err(_) => strange += 1,
            }
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok((names, strange))
    }

    /// Everything below, by relative path, folders before what is in them; stops beyond `most`.
    /// Names that are not text are counted as `strange`.
    pub(super) fn walk(&self, most: usize) -> Result<Walk> {
        let mut walk = Walk::default();
        let mut pending: Vec<String> = vec![String::new()];
        while let Some(folder) = pending.pop() {
            let opened;
            let here = if folder.is_empty() {
                self
            } else {
                // It may have gone since it was listed.
                let Ok(Some(sub)) = self.sub(&folder) else { continue };
                opened = sub;
                &opened
            };
            let (names, strange) = here.list()?;
            walk.strange += strange;
            for (name, kind) in names {
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if walk.found.len() >= most {
                    walk.cut_off = true;
                    return Ok(walk);
                }
                if kind == Kind::Folder && path.matches('/').count() < MAX_DEPTH {
                    pending.push(path.clone());
                }
                walk.found.push((path, kind));
            }
        }
        walk.found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(walk)
    }

    /// Gives `file`, which is `name` in `from`, the further name `to_name` in this folder, with
    /// this time: as a clone where the file system has clones, as a hard link where the time is the
    /// same, as a copy otherwise. Something else may have the name; it goes.
    pub(super) fn place(
        &self,
        to_name: &str,
        file: &File,
        from: (&Self, &str),
        modified: FileTime,
        clones: Clones,
    ) -> Result<Clones> {
        let path = self.shown.join(to_name);
        let failed = |error: &io::Error| Error::file("write", &path, error);
        self.clear(to_name)?;
        let meta = file.metadata().map_err(|error| failed(&error))?;
        let mut clones = clones;
        if clones == Clones::Perhaps {
            let clone = self.create(to_name).map_err(|error| failed(&error))?;
            match rustix::fs::ioctl_ficlone(&clone, file) {
                Ok(()) => {
                    set_time(&clone, &path, modified)?;
                    return Ok(clones);
                }
                Err(Errno::XDEV | Errno::INVAL | Errno::BADF) => {}
                Err(_) => clones = Clones::No,
            }
            self.clear(to_name)?;
        }
        let same_time = meta.modified().is_ok_and(|time| FileTime::from(time) == modified);
        if same_time {
            let (folder, name) = from;
            let linked =
                rustix::fs::linkat(&folder.fd, name, &self.fd, to_name, AtFlags::empty()).is_ok();
            if linked {
                // The name may have come to be another file's since it was opened.
                let stat = rustix::fs::statat(&self.fd, to_name, AtFlags::SYMLINK_NOFOLLOW);
                if stat.is_ok_and(|stat| stat.st_ino == meta.ino() && stat.st_dev == meta.dev()) {
                    return Ok(clones);
                }
                self.clear(to_name)?;
            }
        }
        let mut source = file.try_clone().map_err(|error| failed(&error))?;
        io::Seek::seek(&mut source, io::SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let mut copy = self.create(to_name).map_err(|error| failed(&error))?;
        io::copy(&mut source, &mut copy).map_err(|error| failed(&error))?;
        set_time(&copy, &path, modified)?;
        Ok(clones)
    }

    /// Sets the time of this folder.
    pub(super) fn set_own_time(&self, modified: FileTime) -> Result<()> {
        let folder = File::from(
            self.fd
                .try_clone()
                .map_err(|error| Error::file("set the time of", &self.shown, &error))?,
        );
        set_time(&folder, &self.shown, modified)
    }

    /// Makes names in this folder durable.
    pub(super) fn sync(&self) -> Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Some network file systems have no such thing for folders.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(Error::file("synchronise", &self.shown, &error.into())),
        }
    }

    /// Makes everything on the file system of this folder durable.
    pub(super) fn sync_all(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd)
            .map_err(|error| Error::file("synchronise", &self.shown, &error.into()))
    }
}

/// Whether a file system shares blocks between files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clones {
    /// Nobody has tried.
    Perhaps,
    /// It does not.
    No,
}

/// What a walk met.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Relative paths, sorted.
    pub found: Vec<(String, Kind)>,
    /// Names that are not text.
    pub strange: usize,
    /// Whether there is more than was asked for.
    pub cut_off: bool,
}

/// Sets the modification time of an open file or folder.
pub(super) fn set_time(file: &File, path: &Path, modified: FileTime) -> Result<()> {
    let modified = modified.to_system().ok_or_else(|| {
        Error::damaged(format!("the time of {} is not one that can be set", text::path(path)))
    })?;
    file.set_times(FileTimes::new().set_modified(modified))
        .map_err(|error| Error::file("set the time of", path, &error))
}
