//! A folder as a source.
//!
//! Every file is opened relative to the folder ([`Tree`]), so whatever is renamed or linked meanwhile,
//! nothing outside the folder is read. A symbolic link to a file inside counts as that file where the
//! system can follow it safely; any other link is refused, for leaving it out would give media with a
//! hole.

#[cfg(unix)]
#[path = "folder/unix.rs"]
mod tree;
#[cfg(windows)]
#[path = "folder/windows.rs"]
mod tree;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wim_extract::source::{FileExtent, Source, read_exact_at};
use wim_extract::text::os_string;

use self::tree::Tree;
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
    tree: Tree,
    path: PathBuf,
    /// Path and state of each file, as it was listed.
    files: Vec<(PathBuf, Identity)>,
}

/// Lists a folder.
pub(super) fn open(path: &Path) -> Result<(Vec<MediaEntry>, Folder)> {
    let tree = Tree::open(path).map_err(|error| Error::file("open the folder", path, &error))?;
    let mut folder = Folder { tree, path: path.to_path_buf(), files: Vec::new() };
    let entries = folder.list()?;
    Ok((entries, folder))
}

impl Reader for Folder {
    fn open(&self, place: usize) -> Result<OpenFile> {
        let Some((path, listed)) = self.files.get(place) else {
            return Err(Error::io("internal: no such file in the listing"));
        };
        let name = text::path(&self.path.join(path));
        let opened = self.tree.file(path);
        let opened = opened.map_err(|error| Error::file("open", &self.path.join(path), &error))?;
        let file = opened.ok_or_else(|| changed(&name))?;
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
                    Some(_) => place.join(os_string(name.clone())),
                    None => PathBuf::from(os_string(name.clone())),
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
        let names = self.tree.names(place, MAX_ENTRIES);
        let names = names.map_err(|error| Error::file("list", &self.path.join(place), &error))?;
        names.ok_or_else(too_many)
    }

    fn examine(&self, place: &Path) -> Result<Found> {
        self.tree
            .examine(place)
            .map_err(|error| Error::file("examine", &self.path.join(place), &error))
    }
}

/// What lies at a place.
enum Found {
    Folder(FileTime),
    File(Identity),
    Unfit(&'static str),
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
        read_exact_at(&self.file, &mut buffer, offset)?;
        Ok(buffer.freeze())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        read_exact_at(&self.file, buffer, offset)
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
