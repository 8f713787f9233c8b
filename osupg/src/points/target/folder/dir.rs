//! Folders of a point, by descriptor or handle: no link that somebody put there leads out of it.
//!
//! Whoever may write to a share may put links, pipes and devices there. So every name below the
//! point's own folder is opened from its parent, links are never followed, and only folders and
//! ordinary files are touched.

#[cfg(unix)]
#[path = "dir/unix.rs"]
mod handle;
#[cfg(windows)]
#[path = "dir/windows.rs"]
mod handle;

use std::fs::{File, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wim_extract::status::Status;

use self::handle::Handle;
use crate::error::{Error, Result};
use crate::text;
use crate::time::FileTime;

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
    handle: Handle,
    shown: PathBuf,
}

impl Dir {
    /// Opens the folder of a point. Links in its path are the administrator's word.
    pub(super) fn open(path: &Path) -> Result<Self> {
        match Handle::open(path) {
            Ok(handle) => Ok(Self { handle, shown: path.to_path_buf() }),
            Err(error) => Err(Error::file("open the folder", path, &error)
                .advise("check that it exists and, for a share, that it is mounted")),
        }
    }

    /// Where it is, for messages.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    fn failed(&self, doing: &str, name: &str, error: &io::Error) -> Error {
        Error::file(doing, &self.shown.join(name), error)
    }

    /// The folder at a relative path; `None` where there is nothing.
    pub(super) fn sub(&self, path: &str) -> Result<Option<Self>> {
        let mut here: Option<Self> = None;
        for name in path.split('/') {
            let from = here.as_ref().unwrap_or(self);
            match from.handle.folder(name) {
                Ok(handle) => here = Some(Self { handle, shown: from.shown.join(name) }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    return Err(Error::damaged(format!(
                        "{} is no folder",
                        text::path(&from.shown.join(name))
                    ))
                    .advise("somebody has put something else there; remove it"));
                }
                Err(error) => return Err(from.failed("open", name, &error)),
            }
        }
        Ok(here)
    }

    /// The folder `name` in this one, made if need be with these permissions.
    pub(super) fn make(&self, name: &str, mode: u32) -> Result<Self> {
        self.handle
            .make(name, mode)
            .map_err(|error| self.failed("make the folder", name, &error))?;
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
        let file = folder.handle.file(name);
        let Some(file) = file.map_err(|error| folder.failed("open", name, &error))? else {
            return Ok(None);
        };
        let meta = file
            .metadata()
            .map_err(|error| Error::file("examine", &folder.shown.join(name), &error))?;
        Ok(meta.is_file().then_some(file))
    }

    /// The file `name`, open for reading and writing; made if need be, its bytes kept.
    pub(super) fn grow(&self, name: &str) -> Result<File> {
        let open = || self.handle.grow(name).map_err(|error| self.failed("write", name, &error));
        let file = open()?;
        // A hard link to something else must not be written into.
        let ours = Status::of(&file).is_ok_and(|found| found.is_file() && found.links() == 1);
        if ours {
            return Ok(file);
        }
        drop(file);
        self.clear(name)?;
        open()
    }

    /// The file `name`, which nothing has.
    fn create(&self, name: &str) -> io::Result<File> {
        self.handle.create(name)
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
        self.handle
            .rename(name, &to.handle, to_name)
            .map_err(|error| to.failed("put in place", to_name, &error))
    }

    /// Lets two folders change places in one step. `false` where the file system cannot.
    pub(super) fn exchange(&self, name: &str, other: &Self, other_name: &str) -> Result<bool> {
        self.handle
            .exchange(name, &other.handle, other_name)
            .map_err(|error| other.failed("put in place", other_name, &error))
    }

    /// What `name` is; `None` where there is nothing.
    pub(super) fn kind(&self, name: &str) -> Result<Option<Kind>> {
        match self.handle.kind(name) {
            Ok(kind) => Ok(Some(kind)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("examine", name, &error)),
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
            Some(_) => match self.handle.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(self.failed("remove", name, &error))
                }
                _ => Ok(()),
            },
        }
    }

    /// Removes the folder `name` if nothing is in it.
    pub(super) fn clear_if_empty(&self, name: &str) -> Result<()> {
        use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
        match self.handle.remove_folder(name) {
            Err(error) if ![NotFound, DirectoryNotEmpty, AlreadyExists].contains(&error.kind()) => {
                Err(self.failed("remove", name, &error))
            }
            _ => Ok(()),
        }
    }

    /// What is in this folder: names that are text, and how many are not.
    pub(super) fn list(&self) -> Result<(Vec<(String, Kind)>, usize)> {
        let found =
            self.handle.names().map_err(|error| Error::file("list", &self.shown, &error))?;
        let mut names = Vec::with_capacity(found.len());
        let mut strange = 0;
        for name in found {
            match String::from_utf8(name) {
                // The kind that the listing gives is not there on every file system.
                Ok(name) => {
                    if let Some(kind) = self.kind(&name)? {
                        names.push((name, kind));
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
        let status = Status::of(file).map_err(|error| failed(&error))?;
        let mut clones = clones;
        if clones == Clones::Perhaps {
            let clone = self.create(to_name).map_err(|error| failed(&error))?;
            match handle::share_blocks(&clone, file) {
                Sharing::Done => {
                    set_time(&clone, &path, modified)?;
                    return Ok(clones);
                }
                Sharing::NotThese => {}
                Sharing::Never => clones = Clones::No,
            }
            drop(clone);
            self.clear(to_name)?;
        }
        let (seconds, nanos) = status.written();
        if (FileTime { seconds, nanos }) == modified {
            let (folder, name) = from;
            if self.handle.link(&folder.handle, name, to_name).is_ok() {
                // The name may have come to be another file's since it was opened.
                if self.handle.id(to_name).is_ok_and(|id| id == status.id()) {
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
        let folder = self.handle.to_set_times();
        let folder = folder.map_err(|error| Error::file("set the time of", &self.shown, &error))?;
        set_time(&folder, &self.shown, modified)
    }

    /// Makes names in this folder durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.handle.sync().map_err(|error| Error::file("synchronise", &self.shown, &error))
    }

    /// Makes everything in this folder durable.
    pub(super) fn sync_all(&self) -> Result<()> {
        self.handle
            .sync_all(&self.shown)
            .map_err(|error| Error::file("synchronise", &self.shown, &error))
    }
}

/// What came of an attempt to share blocks between two files.
#[cfg_attr(windows, expect(dead_code, reason = "Windows shares none"))]
enum Sharing {
    /// They are shared.
    Done,
    /// These two cannot, others perhaps.
    NotThese,
    /// The file system does not.
    Never,
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
