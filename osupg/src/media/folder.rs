//! A folder as a source.
//!
//! Every file is opened relative to the folder with `openat2` and `RESOLVE_BENEATH`, so whatever is
//! renamed or linked meanwhile, nothing outside the folder is read. A symbolic link to a file
//! inside counts as that file; any other link is refused, for leaving it out would give media with
//! a hole.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use wim_extract::source::{FileExtent, Source};

use super::path::{BadName, MediaPath};
use super::{
    MAX_ENTRIES, MediaEntry, OpenFile, Reader, Refused, changed, identity, no_media, too_many,
};
use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::text;
use crate::time::FileTime;

/// Reads the files of a folder.
pub(super) struct Folder {
    root: Arc<OwnedFd>,
    path: PathBuf,
    /// Path and state of each file, as it was listed.
    files: Vec<(PathBuf, Identity)>,
}

/// Lists a folder.
pub(super) fn open(path: &Path) -> Result<(Vec<MediaEntry>, Folder)> {
    let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::file("open the folder", path, &error.into()))?;
    let mut folder = Folder { root: Arc::new(root), path: path.to_path_buf(), files: Vec::new() };
    let entries = folder.list()?;
    Ok((entries, folder))
}

impl Reader for Folder {
    fn open(&self, place: usize) -> Result<OpenFile> {
        let Some((path, listed)) = self.files.get(place) else {
            return Err(Error::io("internal: no such file in the listing"));
        };
        let name = text::path(&self.path.join(path));
        let file = match self.open_beneath(path, OFlags::NONBLOCK, ResolveFlags::NO_MAGICLINKS) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::XDEV | Errno::LOOP) => return Err(changed(&name)),
            Err(error) => return Err(Error::file("open", &self.path.join(path), &error.into())),
        };
        let found = identity(&file)
            .map_err(|error| Error::file("examine", &self.path.join(path), &error))?;
        if found != *listed {
            return Err(changed(&name));
        }
        let file = Arc::new(file);
        let source = FileReader { file: file.clone(), len: found.size, name };
        Ok(OpenFile { source: Arc::new(source), identity: found, file })
    }

    fn identity(&self, place: usize) -> Option<Identity> {
        self.files.get(place).map(|(_, state)| *state)
    }
}

impl Folder {
    fn open_beneath(
        &self,
        path: &Path,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        loop {
            // The kernel says so when a rename elsewhere made it lose its way.
            match openat2(&*self.root, path, flags, Mode::empty(), resolve | ResolveFlags::BENEATH)
            {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    fn list(&mut self) -> Result<Vec<MediaEntry>> {
        // Looked at first: a home folder given by mistake need not be walked, nor its oddities shown.
        let top = self.names(Path::new("."))?;
        if !top.iter().any(|name| name.eq_ignore_ascii_case(b"setup.exe")) {
            return Err(no_media(&self.path, "setup.exe"));
        }
        let mut entries = Vec::new();
        let mut refused = Refused::default();
        // Folders still to be listed: where they are, and the same as a checked path.
        let mut pending: Vec<(PathBuf, Option<MediaPath>)> = vec![(PathBuf::from("."), None)];
        while let Some((place, folder)) = pending.pop() {
            for name in self.names(&place)? {
                if entries.len() >= MAX_ENTRIES {
                    return Err(too_many());
                }
                let place = match &folder {
                    Some(_) => place.join(OsStr::from_bytes(&name)),
                    None => PathBuf::from(OsStr::from_bytes(&name)),
                };
                let path = match media_path(folder.as_ref(), &name) {
                    Ok(path) => path,
                    Err(bad) => {
                        refused.add(&text::path(&place), &bad.to_string());
                        continue;
                    }
                };
                match self.examine(&place)? {
                    Found::Folder(modified) => {
                        pending.push((place, Some(path.clone())));
                        entries.push(MediaEntry { path, modified, size: None, place: 0 });
                    }
                    Found::File(state) => {
                        entries.push(MediaEntry {
                            path,
                            modified: state.mtime,
                            size: Some(state.size),
                            place: self.files.len(),
                        });
                        self.files.push((place, state));
                    }
                    Found::Unfit(why) => refused.add(&text::path(&place), why),
                }
            }
        }
        refused.check()?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn names(&self, place: &Path) -> Result<Vec<Vec<u8>>> {
        let failed = |error: Errno| Error::file("list", &self.path.join(place), &error.into());
        let folder = self
            .open_beneath(place, OFlags::DIRECTORY, ResolveFlags::NO_SYMLINKS)
            .map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
            if names.len() > MAX_ENTRIES {
                return Err(too_many());
            }
        }
        Ok(names)
    }

    fn examine(&self, place: &Path) -> Result<Found> {
        let failed = |error: Errno| Error::file("examine", &self.path.join(place), &error.into());
        // With PATH nothing is opened: a pipe or a device would act on it.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let found = self.open_beneath(place, flags, ResolveFlags::NO_MAGICLINKS).map_err(failed)?;
        let kind = kind_of(&found).map_err(failed)?;
        match kind {
            FileType::Directory => Ok(Found::Folder(state_of(found).map_err(failed)?.mtime)),
            FileType::RegularFile => Ok(Found::File(state_of(found).map_err(failed)?)),
            FileType::Symlink => self.examine_link(place),
            FileType::Fifo => Ok(Found::Unfit("is a named pipe")),
            FileType::Socket => Ok(Found::Unfit("is a socket")),
            _ => Ok(Found::Unfit("is a device")),
        }
    }

    fn examine_link(&self, place: &Path) -> Result<Found> {
        let failed = |error: Errno| Error::file("examine", &self.path.join(place), &error.into());
        match self.open_beneath(place, OFlags::PATH, ResolveFlags::NO_MAGICLINKS) {
            Ok(target) => match kind_of(&target).map_err(failed)? {
                FileType::RegularFile => Ok(Found::File(state_of(target).map_err(failed)?)),
                FileType::Directory => Ok(Found::Unfit("is a symbolic link to a folder")),
                _ => Ok(Found::Unfit("is a symbolic link to something that is not a file")),
            },
            Err(Errno::XDEV) => Ok(Found::Unfit("is a symbolic link that leads out of the source")),
            Err(Errno::NOENT) => Ok(Found::Unfit("is a symbolic link to nothing")),
            Err(Errno::LOOP) => Ok(Found::Unfit("is a symbolic link that never ends")),
            Err(error) => Err(failed(error)),
        }
    }
}

/// What lies at a place.
enum Found {
    Folder(FileTime),
    File(Identity),
    Unfit(&'static str),
}

fn kind_of(found: &OwnedFd) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode))
}

fn state_of(found: OwnedFd) -> rustix::io::Result<Identity> {
    identity(&File::from(found)).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn media_path(folder: Option<&MediaPath>, name: &[u8]) -> std::result::Result<MediaPath, BadName> {
    let name = std::str::from_utf8(name).map_err(|_| BadName::NotText)?;
    match folder {
        Some(folder) => folder.join(name),
        None => MediaPath::new(name),
    }
}

/// Positioned reads of an open file. Not a memory map: media on a share may shrink at any moment,
/// and that must give an error, not a signal.
#[derive(Debug)]
pub(super) struct FileReader {
    file: Arc<File>,
    len: u64,
    name: String,
}

impl Source for FileReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> std::io::Result<Bytes> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                format!("{} has only {} bytes", self.name, self.len),
            ));
        }
        let mut buffer = BytesMut::zeroed(len);
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer.freeze())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn file_extents(&self, offset: u64, len: u64) -> Option<Vec<FileExtent>> {
        let end = offset.checked_add(len)?;
        let extent = FileExtent { file: self.file.clone(), offset, len };
        (end <= self.len).then(|| if len == 0 { Vec::new() } else { vec![extent] })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl FileReader {
    /// Opens a file for positioned reads.
    pub(super) fn open(path: &Path) -> Result<(Self, Identity, Arc<File>)> {
        let file = File::open(path).map_err(|error| Error::file("open", path, &error))?;
        let state = identity(&file).map_err(|error| Error::file("examine", path, &error))?;
        let file = Arc::new(file);
        let name = text::path(path);
        Ok((Self { file: file.clone(), len: state.size, name }, state, file))
    }
}

#[cfg(test)]
mod tests;
